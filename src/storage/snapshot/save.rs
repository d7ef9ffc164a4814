//! # What is assumed of the device and its file system
//!
//! What [`Disk`] says of every file. The snapshot's sums (see [`ringkeeper_core::format::snapshot`]) tell later
//! what was damaged after it was synced; nothing here is read back.
//!
//! # What a crash leaves
//!
//! ```text
//!   ringkeeper.snapshot.unfinished    1 created, allocated, written window by window, cut to its length
//!                                     2 synced
//!   ringkeeper.damaged.snapshot.<z>   3 a damaged file that has the name is renamed
//!   snapshot.<z>                      4 the unfinished one is renamed
//!                                     5 the folder is synced
//! ```
//!
//! | crash                     | what is found                                    | what is done               |
//! |---------------------------|--------------------------------------------------|----------------------------|
//! | before 2 is done          | no unfinished file, or one with any part of its bytes, zeros for others, of any length | nobody reads it; the next snapshot begins it anew |
//! | before 4                  | the same, with all of its bytes                  | the same                   |
//! | between 3 and 4           | the damaged file under either name, none whole   | as before: an older snapshot and the log |
//! | between 4 and 5           | the snapshot under its name, whole, or as before 4 | it is loaded, or as before 4 |
//! |                           | the same, and the damaged file nowhere: its own new name was lost, and the old one taken | it is loaded |
//! | after 5                   | the snapshot under its name, whole               | it is loaded               |
//!
//! So a file under a snapshot's name was whole once, and whatever is found, the state is what it was: of older
//! snapshots and of the log nothing goes before step 5 is done and the [purge](crate::storage::purge) has seen
//! that the new one is whole. Nor does a snapshot tell more than the log, since only what the log has made
//! durable gets into its state.
//!
//! # What a failure leaves
//!
//! A disk that is full or fails ends the attempt at any step. Nothing is tried twice, for after a failed sync
//! nobody knows what the device has. Before step 4 the unfinished file is removed, or tried to be: left, it is
//! what a crash leaves. If step 5 fails the snapshot is there, and may be gone after a crash; it does not count
//! until a purge has synced the folder.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use ringkeeper_core::format::snapshot::{Compression, Packer, SnapshotName, SnapshotWriter};
use ringkeeper_core::id::Zxid;
use ringkeeper_core::tree::Frozen;

use super::load::names;
use crate::storage::disk::{Access, Disk};

/// Writes a snapshot of this state, exact and on stable storage when this returns, and returns its path.
///
/// A file of that name can only be damaged, or the state would have been loaded from it. It is kept, under a
/// name that nobody takes for a snapshot's.
///
/// The file gets its name only when it is whole and synced, so a crash or a full disk leaves none under a
/// valid name.
///
/// # Errors
///
/// If the disk is full or fails, or `pace` is [`Pace::GiveUp`]. Nothing is left of the attempt, unless all
/// but the last sync was done, and older snapshots are as they were.
pub fn save(
    disk: &dyn Disk,
    dir: &Path,
    state: Frozen,
    compression: Compression,
    pace: &SharedPace,
    draft: Draft,
) -> io::Result<PathBuf> {
    let name = SnapshotName { zxid: state.zxid(), compression };
    let (unfinished, path) = (dir.join(draft.name()), dir.join(name.to_string()));
    let written = write(disk, &unfinished, state, compression, pace)
        .and_then(|()| put_aside(disk, &path, &dir.join(format!("{DAMAGED}{name}"))))
        .and_then(|()| disk.rename(&unfinished, &path));
    if let Err(error) = written {
        let _ = disk.remove(&unfinished);
        return Err(error);
    }
    disk.sync_dir(dir)?;
    Ok(path)
}

/// What a snapshot is called until it is whole: by a name that neither we nor Java take for a snapshot's. The
/// two may be written at the same time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Draft {
    /// Of this server's own state.
    Own,
    /// Of a state that a leader sent.
    Received,
}

impl Draft {
    fn name(self) -> &'static str {
        match self {
            Draft::Own => "ringkeeper.snapshot.unfinished",
            Draft::Received => "ringkeeper.snapshot.received",
        }
    }
}

/// Takes the snapshots of later states out of the way: they have what a leader never had. They stay in the
/// folder, under a name that nobody takes for a snapshot's. Durable when this returns.
pub fn set_aside_after(disk: &dyn Disk, dir: &Path, zxid: Zxid) -> io::Result<()> {
    for (name, path) in names(dir)?.into_iter().filter(|(name, _)| name.zxid > zxid) {
        disk.rename(&path, &dir.join(format!("{OUTVOTED}{name}")))?;
    }
    disk.sync_dir(dir)
}

fn put_aside(disk: &dyn Disk, path: &Path, aside: &Path) -> io::Result<()> {
    if path.try_exists()? { disk.rename(path, aside) } else { Ok(()) }
}

/// How fast a snapshot is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// The device, and the processor, are left to others for several times as long as each piece takes.
    Shared,
    /// As fast as it goes.
    Full,
    /// Not at all: what was written is thrown away.
    GiveUp,
}

/// A [`Pace`] that another thread may change at any time.
#[derive(Debug)]
pub struct SharedPace {
    pace: Mutex<Pace>,
    changed: Condvar,
}

impl SharedPace {
    /// This pace, until it is changed.
    pub fn new(pace: Pace) -> SharedPace {
        SharedPace { pace: Mutex::new(pace), changed: Condvar::new() }
    }

    /// Goes on at this pace from the next piece on, and leaves the device alone no longer if it is another.
    pub fn set(&self, pace: Pace) {
        *self.pace.lock().unwrap_or_else(PoisonError::into_inner) = pace;
        self.changed.notify_all();
    }

    /// Leaves the device alone for so long, as long as it is to be shared. Returns the pace then.
    fn rest(&self, time: Duration) -> Pace {
        let pace = self.pace.lock().unwrap_or_else(PoisonError::into_inner);
        let rested = self.changed.wait_timeout_while(pace, time, |pace| *pace == Pace::Shared);
        *rested.unwrap_or_else(PoisonError::into_inner).0
    }
}

fn write(
    disk: &dyn Disk,
    path: &Path,
    state: Frozen,
    compression: Compression,
    pace: &SharedPace,
) -> io::Result<()> {
    let mut writer = SnapshotWriter::of(state);
    let mut file = PacedFile::create(disk, path, pace)?;
    if compression == Compression::None {
        // A disk that is too full says so now, and not after all the work.
        disk.allocate(&file.file, 0..writer.len_min())?;
    }
    let mut packer = Packer::new(compression);
    let mut piece = Vec::with_capacity(PIECE_LEN * 2);
    loop {
        piece.clear();
        let goes_on = writer.fill(&mut piece, PIECE_LEN);
        packer.push(&piece, &mut file.unwritten);
        file.write_whole_windows()?;
        if !goes_on {
            break;
        }
    }
    packer.finish(&mut file.unwritten);
    file.finish()
}

/// A new file that is written through mmap, one window after the other. Each is on the device before the
/// next is begun: a snapshot leaves no heap of dirty pages, behind which the log's next sync would wait.
struct PacedFile<'a> {
    disk: &'a dyn Disk,
    file: File,
    /// How much of the file is written.
    len: u64,
    /// What comes behind that.
    unwritten: Vec<u8>,
    window_began: Instant,
    pace: &'a SharedPace,
}

impl PacedFile<'_> {
    fn create<'a>(disk: &'a dyn Disk, path: &Path, pace: &'a SharedPace) -> io::Result<PacedFile<'a>> {
        let file = disk.create(path, Access::Buffered)?;
        let unwritten = Vec::with_capacity(WINDOW_LEN + PIECE_LEN * 2);
        Ok(PacedFile { disk, file, len: 0, unwritten, window_began: Instant::now(), pace })
    }

    fn write_whole_windows(&mut self) -> io::Result<()> {
        while self.unwritten.len() >= WINDOW_LEN {
            self.write_window(WINDOW_LEN)?;
        }
        Ok(())
    }

    /// Writes so much of what is unwritten, and leaves the device to others as the pace says.
    fn write_window(&mut self, len: usize) -> io::Result<()> {
        let end = self.len + len as u64;
        self.disk.allocate(&self.file, self.len..end)?;
        self.disk.write_mapped(&self.file, &self.unwritten[..len], self.len)?;
        self.unwritten.drain(..len);
        self.len = end;
        if self.pace.rest((self.window_began.elapsed() * REST).min(REST_MAX)) == Pace::GiveUp {
            return Err(io::Error::new(io::ErrorKind::Interrupted, "it was given up"));
        }
        self.window_began = Instant::now();
        Ok(())
    }

    fn finish(mut self) -> io::Result<()> {
        self.write_whole_windows()?;
        if !self.unwritten.is_empty() {
            self.write_window(self.unwritten.len())?;
        }
        self.disk.set_len(&self.file, self.len)?;
        self.disk.sync(&self.file)
    }
}

/// What the name of a snapshot is prefixed with whose state no leader had.
const OUTVOTED: &str = "ringkeeper.outvoted.";
/// What a damaged snapshot's name is prefixed with when a good one takes its place.
const DAMAGED: &str = "ringkeeper.damaged.";
const PIECE_LEN: usize = 1 << 16;
/// At the highest rates of writes one snapshot follows the other. So they take a quarter of a processor and of the
/// device at most. What it costs is that more may be in the log behind the newest snapshot after a kill.
const REST: u32 = 3;
/// However long a device hung, the snapshot goes on after this.
const REST_MAX: Duration = Duration::from_secs(1);
/// What is mapped and written at once, in whole pages of every size.
const WINDOW_LEN: usize = 1 << 20;

#[cfg(test)]
mod tests {
    use std::fs;

    use ringkeeper_core::tree::{DataTree, TreeOptions};

    use super::*;
    use crate::storage::disk::Os;
    use crate::storage::snapshot::load_newest;

    fn save_now(dir: &Path, tree: &DataTree, compression: Compression) -> io::Result<PathBuf> {
        save(&Os, dir, tree.freeze(), compression, &SharedPace::new(Pace::Full), Draft::Own)
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
        let pace = SharedPace::new(Pace::GiveUp);
        let given_up = save(&Os, dir.path(), tree_at(1).freeze(), Compression::None, &pace, Draft::Own);
        assert!(given_up.is_err());
        assert_eq!(fs::read_dir(dir.path()).expect("a folder").count(), 0);
    }

    /// A clean stop waited for as long as the device had hung before.
    #[test]
    fn a_rest_ends_when_the_pace_changes() {
        for changed in [Pace::Full, Pace::GiveUp] {
            let pace = SharedPace::new(Pace::Shared);
            std::thread::scope(|scope| {
                let resting = scope.spawn(|| pace.rest(Duration::from_secs(1_000_000)));
                pace.set(changed);
                assert_eq!(resting.join().expect("no panic"), changed);
            });
        }
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
