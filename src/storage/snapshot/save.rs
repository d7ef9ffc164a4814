use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU8, Ordering::Relaxed};
use std::thread;
use std::time::Instant;

use ringkeeper_core::format::snapshot::{Compression, Packer, Sections, SnapshotName, SnapshotWriter};
use ringkeeper_core::tree::Frozen;
use rustix::fs::{FallocateFlags, fallocate};

use crate::storage::mapped::MappedMut;

/// Writes a snapshot of this state, exact and on stable storage when this returns, and returns its path.
///
/// A file of that name can only be damaged, or the state would have been loaded from it. It is kept, under a
/// name that nobody takes for a snapshot's.
///
/// The file gets its name only when it is whole and synced, so a crash or a full disk leaves none under a
/// valid name. It has none of the optional sections: such a file is read by every version of Java.
///
/// # Errors
///
/// If the disk is full or fails, or `pace` is [`Pace::GiveUp`]. Nothing is left of the attempt, and older
/// snapshots are as they were.
pub fn save(dir: &Path, state: Frozen, compression: Compression, pace: &SharedPace) -> io::Result<PathBuf> {
    let name = SnapshotName { zxid: state.zxid(), compression };
    let (unfinished, path) = (dir.join(UNFINISHED), dir.join(name.to_string()));
    let written = write(&unfinished, state, compression, pace)
        .and_then(|()| put_aside(&path, &dir.join(format!("{DAMAGED}{name}"))))
        .and_then(|()| fs::rename(&unfinished, &path));
    if let Err(error) = written {
        let _ = fs::remove_file(&unfinished);
        return Err(error);
    }
    File::open(dir)?.sync_all()?;
    Ok(path)
}

fn put_aside(path: &Path, aside: &Path) -> io::Result<()> {
    if path.exists() { fs::rename(path, aside) } else { Ok(()) }
}

/// How fast a snapshot is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Pace {
    /// The device is left to others at least as long as each piece takes.
    Shared,
    /// As fast as it goes.
    Full,
    /// Not at all: what was written is thrown away.
    GiveUp,
}

/// A [`Pace`] that another thread may change at any time.
#[derive(Debug)]
pub struct SharedPace(AtomicU8);

impl SharedPace {
    /// This pace, until it is changed.
    pub fn new(pace: Pace) -> SharedPace {
        SharedPace(AtomicU8::new(pace as u8))
    }

    /// Goes on at this pace from the next piece on.
    pub fn set(&self, pace: Pace) {
        self.0.store(pace as u8, Relaxed);
    }

    fn get(&self) -> Pace {
        match self.0.load(Relaxed) {
            pace if pace == Pace::Shared as u8 => Pace::Shared,
            pace if pace == Pace::Full as u8 => Pace::Full,
            _ => Pace::GiveUp,
        }
    }
}

fn write(path: &Path, state: Frozen, compression: Compression, pace: &SharedPace) -> io::Result<()> {
    let mut writer = SnapshotWriter::new(state, Sections::default());
    let mut file = PacedFile::create(path, pace)?;
    if compression == Compression::None {
        // A disk that is too full says so now, and not after all the work.
        file.reserve(0, writer.encoded_len())?;
    }
    let mut packer = Packer::new(compression);
    let (mut piece, mut packed) = (Vec::with_capacity(PIECE_LEN * 2), Vec::new());
    loop {
        piece.clear();
        packed.clear();
        let goes_on = writer.fill(&mut piece, PIECE_LEN);
        packer.push(&piece, &mut packed);
        file.write(&packed)?;
        if !goes_on {
            break;
        }
    }
    packed.clear();
    packer.finish(&mut packed);
    file.write(&packed)?;
    file.finish()
}

/// A new file that is written through mmap, one window after the other. Each is on the device before the
/// next is begun: a snapshot leaves no heap of dirty pages, behind which the log's next sync would wait.
struct PacedFile<'a> {
    file: File,
    window: Option<MappedMut>,
    window_start: u64,
    window_began: Instant,
    len: u64,
    pace: &'a SharedPace,
}

impl PacedFile<'_> {
    fn create<'a>(path: &Path, pace: &'a SharedPace) -> io::Result<PacedFile<'a>> {
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(path)?;
        Ok(PacedFile { file, window: None, window_start: 0, window_began: Instant::now(), len: 0, pace })
    }

    /// Has the disk set this room aside, for [`MappedMut`] needs it.
    fn reserve(&self, start: u64, len: u64) -> io::Result<()> {
        if len > 0 {
            fallocate(&self.file, FallocateFlags::empty(), start, len)?
        }
        Ok(())
    }

    fn write(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let at = (self.len - self.window_start) as usize;
            let (now, later) = bytes.split_at(bytes.len().min(WINDOW_LEN - at));
            self.window()?[at..at + now.len()].copy_from_slice(now);
            self.len += now.len() as u64;
            bytes = later;
            if self.len - self.window_start == WINDOW_LEN as u64 {
                self.finish_window()?;
            }
        }
        Ok(())
    }

    fn window(&mut self) -> io::Result<&mut MappedMut> {
        if self.window.is_none() {
            self.reserve(self.window_start, WINDOW_LEN as u64)?;
            self.window_began = Instant::now();
        }
        match &mut self.window {
            Some(window) => Ok(window),
            empty => Ok(empty.insert(MappedMut::new(&self.file, self.window_start, WINDOW_LEN)?)),
        }
    }

    fn finish_window(&mut self) -> io::Result<()> {
        if let Some(window) = self.window.take() {
            window.sync()?;
        }
        self.window_start = self.len;
        match self.pace.get() {
            Pace::Shared => thread::sleep(self.window_began.elapsed()),
            Pace::Full => {}
            Pace::GiveUp => return Err(io::Error::new(io::ErrorKind::Interrupted, "it was given up")),
        }
        Ok(())
    }

    fn finish(mut self) -> io::Result<()> {
        self.finish_window()?;
        self.file.set_len(self.len)?;
        self.file.sync_all()
    }
}

/// A name that neither we nor Java take for a snapshot.
const UNFINISHED: &str = "ringkeeper.snapshot.unfinished";
/// What a damaged snapshot's name is prefixed with when a good one takes its place.
const DAMAGED: &str = "ringkeeper.damaged.";
const PIECE_LEN: usize = 1 << 16;
/// What is mapped and synced at once, in whole pages of every size.
const WINDOW_LEN: usize = 1 << 20;

#[cfg(test)]
mod tests {
    use ringkeeper_core::id::Zxid;
    use ringkeeper_core::tree::{DataTree, TreeOptions};

    use super::*;
    use crate::storage::snapshot::load_newest;

    fn save_now(dir: &Path, tree: &DataTree, compression: Compression) -> io::Result<PathBuf> {
        save(dir, tree.freeze(), compression, &SharedPace::new(Pace::Full))
    }

    fn tree_at(zxid: i64) -> DataTree {
        let mut tree = DataTree::new(TreeOptions::default());
        tree.advance(Zxid(zxid));
        tree
    }

    #[test]
    fn a_saved_state_is_loaded_again() {
        for (compression, name) in [
            (Compression::None, "snapshot.7"),
            (Compression::Gzip, "snapshot.7.gz"),
            (Compression::Snappy, "snapshot.7.snappy"),
        ] {
            let dir = tempfile::tempdir().expect("a folder");
            let tree = tree_at(7);
            let path = save_now(dir.path(), &tree, compression).expect("room");
            assert_eq!(path.file_name().and_then(|name| name.to_str()), Some(name));
            let loaded = load_newest(dir.path(), TreeOptions::default()).expect("readable").expect("one");
            assert_eq!((loaded.tree.last_zxid(), loaded.tree.node_count()), (Zxid(7), 5));
        }
    }

    #[test]
    fn a_snapshot_of_several_windows_has_every_byte_in_its_place() {
        let dir = tempfile::tempdir().expect("a folder");
        let mut tree = tree_at(1);
        let pattern: Vec<u8> = (0..WINDOW_LEN * 5 / 2).map(|at| (at % 251) as u8).collect();
        let root = tree.get("/").expect("the root").node.with_data(Some(&pattern), 1, Zxid(1), 0);
        tree.apply(Zxid(1), &ringkeeper_core::tree::Delta::SetData(root));
        save_now(dir.path(), &tree, Compression::None).expect("room");
        let loaded = load_newest(dir.path(), TreeOptions::default()).expect("readable").expect("one");
        assert_eq!(loaded.tree.get("/").expect("the root").node.data(), Some(&pattern[..]));
    }

    #[test]
    fn a_snapshot_that_is_given_up_leaves_nothing() {
        let dir = tempfile::tempdir().expect("a folder");
        let given_up =
            save(dir.path(), tree_at(1).freeze(), Compression::None, &SharedPace::new(Pace::GiveUp));
        assert!(given_up.is_err());
        assert_eq!(fs::read_dir(dir.path()).expect("a folder").count(), 0);
    }

    #[test]
    fn a_damaged_snapshot_of_the_same_state_is_kept_aside() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = save_now(dir.path(), &tree_at(5), Compression::None).expect("room");
        damage(&path);
        let damaged = fs::read(&path).expect("a snapshot");
        save_now(dir.path(), &tree_at(5), Compression::None).expect("room");
        assert_eq!(fs::read(dir.path().join("ringkeeper.damaged.snapshot.5")).expect("kept"), damaged);
        assert!(load_newest(dir.path(), TreeOptions::default()).expect("readable").is_some());
    }

    #[test]
    fn a_damaged_snapshot_falls_back_to_the_one_before_it_and_none_whole_is_refused() {
        let dir = tempfile::tempdir().expect("a folder");
        let save_at = |zxid| save_now(dir.path(), &tree_at(zxid), Compression::None).expect("room");
        let (old, new) = (save_at(1), save_at(2));
        damage(&new);
        let loaded = load_newest(dir.path(), TreeOptions::default()).expect("readable").expect("one");
        assert_eq!(loaded.path, old);
        damage(&old);
        assert!(load_newest(dir.path(), TreeOptions::default()).is_err());
    }

    fn damage(path: &Path) {
        let mut bytes = fs::read(path).expect("a snapshot");
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(path, bytes).expect("room");
    }
}
