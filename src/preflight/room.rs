use std::path::{Path, PathBuf};

use thiserror::Error;
use tracing::warn;

use crate::storage::disk::free_bytes;

/// There is too little room for the log.
#[derive(Debug, Error)]
#[error(
    "{} has {} MiB free, and the log needs {} MiB to start: make room, choose another dataLogDir, or lower \
     preAllocSize", path.display(), free >> 20, needed >> 20
)]
pub struct RoomError {
    /// The folder.
    pub path: PathBuf,
    /// What is free, in bytes.
    pub free: u64,
    /// What is needed, in bytes.
    pub needed: u64,
}

/// Sees that `needed` bytes are free in a folder, and warns if they, and `more` to go on with, are not free
/// twice.
pub(super) fn check(path: &Path, needed: u64, more: u64) -> Result<(), RoomError> {
    // A file system that won't say is none that we can judge.
    let Some(free) = free_bytes(path) else { return Ok(()) };
    judge(path, free, needed, more)
}

fn judge(path: &Path, free: u64, needed: u64, more: u64) -> Result<(), RoomError> {
    if free < needed {
        return Err(RoomError { path: path.to_owned(), free, needed });
    }
    if free < needed.saturating_add(more).saturating_mul(2) {
        warn!("{} has only {} MiB free: the log will soon be full", path.display(), free >> 20);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_little_room_is_told_with_both_figures() {
        let refused = judge(Path::new("/log"), 100 << 20, 128 << 20, 64 << 20).expect_err("too little");
        let text = refused.to_string();
        assert!(text.starts_with("/log has 100 MiB free, and the log needs 128 MiB to start"), "{text}");
        assert!(judge(Path::new("/log"), 128 << 20, 128 << 20, 64 << 20).is_ok());
    }

    #[test]
    fn a_folder_s_own_file_system_is_asked() {
        let folder = tempfile::tempdir().expect("a folder");
        assert!(check(folder.path(), 1, 1).is_ok());
        assert!(check(folder.path(), u64::MAX, 1).is_err());
    }
}
