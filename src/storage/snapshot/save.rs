use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use ringkeeper_core::format::snapshot::{Compression, Sections, SnapshotName, SnapshotWriter};
use ringkeeper_core::tree::DataTree;
use rustix::fs::{FallocateFlags, fallocate};

use super::load::newest_zxid;
use crate::storage::mapped::MappedMut;

/// Writes a snapshot of this state, exact and on stable storage when this returns; `None` if there is one of
/// it already.
///
/// The file gets its name only when it is whole and synced, so a crash or a full disk leaves none under a
/// valid name. It has none of the optional sections: such a file is read by every version of Java.
///
/// # Errors
///
/// If the disk is full or fails. Nothing is left of the attempt, and older snapshots are as they were.
pub fn save(dir: &Path, tree: &DataTree) -> io::Result<Option<PathBuf>> {
    let zxid = tree.last_zxid();
    if newest_zxid(dir) == Some(zxid) {
        return Ok(None);
    }
    let name = SnapshotName { zxid, compression: Compression::None };
    let (unfinished, path) = (dir.join(UNFINISHED), dir.join(name.to_string()));
    let written = write(&unfinished, tree).and_then(|()| fs::rename(&unfinished, &path));
    if let Err(error) = written {
        let _ = fs::remove_file(&unfinished);
        return Err(error);
    }
    File::open(dir)?.sync_all()?;
    Ok(Some(path))
}

fn write(path: &Path, tree: &DataTree) -> io::Result<()> {
    let mut writer = SnapshotWriter::new(tree, Sections::default());
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(path)?;
    let len = writer.encoded_len();
    file.set_len(len)?;
    fallocate(&file, FallocateFlags::empty(), 0, len)?;
    let mut map = MappedMut::new(&file)?;
    let (mut piece, mut written) = (Vec::with_capacity(PIECE_LEN * 2), 0);
    loop {
        piece.clear();
        let is_last = !writer.fill(&mut piece, PIECE_LEN);
        map[written..written + piece.len()].copy_from_slice(&piece);
        written += piece.len();
        if is_last {
            break;
        }
    }
    assert_eq!(written as u64, len, "a snapshot is as long as was computed before");
    map.sync()?;
    file.sync_all()
}

/// A name that neither we nor Java take for a snapshot.
const UNFINISHED: &str = "ringkeeper.snapshot.unfinished";
const PIECE_LEN: usize = 1 << 20;

#[cfg(test)]
mod tests {
    use ringkeeper_core::id::Zxid;
    use ringkeeper_core::tree::TreeOptions;

    use super::*;
    use crate::storage::snapshot::load_newest;

    #[test]
    fn a_saved_state_is_loaded_again_and_saved_only_once() {
        let dir = tempfile::tempdir().expect("a folder");
        let mut tree = DataTree::new(TreeOptions::default());
        tree.advance(Zxid(7));
        let path = save(dir.path(), &tree).expect("room").expect("a new snapshot");
        assert_eq!(path.file_name().and_then(|name| name.to_str()), Some("snapshot.7"));
        assert!(save(dir.path(), &tree).expect("room").is_none());
        let loaded = load_newest(dir.path(), TreeOptions::default()).expect("readable").expect("one");
        assert_eq!((loaded.tree.last_zxid(), loaded.tree.node_count()), (Zxid(7), 5));
    }

    #[test]
    fn a_damaged_snapshot_falls_back_to_the_one_before_it_and_none_whole_is_refused() {
        let dir = tempfile::tempdir().expect("a folder");
        let mut tree = DataTree::new(TreeOptions::default());
        let mut save_at = |zxid| {
            tree.advance(Zxid(zxid));
            save(dir.path(), &tree).expect("room").expect("a new snapshot")
        };
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
