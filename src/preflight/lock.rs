use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process;

use thiserror::Error;

/// Why a folder could not be taken for this process.
#[derive(Debug, Error)]
pub enum LockError {
    /// Another server has it.
    #[error(
        "{} is in use by another ringkeeper{}: stop that one, or give this one a dataDir and dataLogDir of its \
         own", path.display(), pid.map(|pid| format!(", process {pid}")).unwrap_or_default()
    )]
    Held {
        /// The folder.
        path: PathBuf,
        /// The other server's process, if it left its number. In another container it has another one.
        pid: Option<u32>,
    },
    /// The lock could not be made.
    #[error("{} cannot be locked: {source}", path.display())]
    Unusable {
        /// The file that is the lock.
        path: PathBuf,
        /// What the kernel says.
        source: io::Error,
    },
}

/// Takes a folder for this process, until what it returns is dropped.
///
/// The lock is the kernel's, so a server that was killed leaves none behind. The file stays: it holds the
/// number of the last process, for the message that the next one gives.
pub(crate) fn lock(folder: &Path) -> Result<File, LockError> {
    let path = folder.join(LOCK_FILE);
    let mut options = OpenOptions::new();
    let opened = options.read(true).write(true).create(true).truncate(false).open(&path);
    let unusable = |source| LockError::Unusable { path: path.clone(), source };
    let mut file = opened.map_err(unusable)?;
    match file.try_lock() {
        Ok(()) => {
            file.set_len(0).and_then(|()| writeln!(file, "{}", process::id())).map_err(unusable)?;
            Ok(file)
        }
        Err(TryLockError::WouldBlock) => {
            let mut text = String::new();
            // The number is a help and no more; the holder may just be writing it.
            let read = file.take(PID_TEXT_MAX).read_to_string(&mut text);
            let pid = read.ok().and_then(|_| text.trim().parse().ok());
            Err(LockError::Held { path: folder.to_owned(), pid })
        }
        Err(TryLockError::Error(source)) => Err(unusable(source)),
    }
}

const LOCK_FILE: &str = "ringkeeper.lock";
const PID_TEXT_MAX: u64 = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_server_on_the_folder_is_told_which_folder_and_who_has_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let held = lock(folder.path()).expect("a free folder");
        let refused = lock(folder.path()).expect_err("the folder is held").to_string();
        assert!(refused.starts_with(&folder.path().display().to_string()), "{refused}");
        assert!(refused.contains(&format!("process {}", process::id())), "{refused}");
        drop(held);
        lock(folder.path()).expect("a folder that was let go");
    }

    #[test]
    fn a_lock_file_without_a_number_still_locks() {
        let folder = tempfile::tempdir().expect("a folder");
        let held = lock(folder.path()).expect("a free folder");
        held.set_len(0).expect("a file that can be emptied");
        let refused = lock(folder.path()).expect_err("the folder is held");
        assert!(matches!(refused, LockError::Held { pid: None, .. }), "{refused}");
    }

    #[test]
    fn the_number_of_a_dead_holder_is_overwritten() {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join(LOCK_FILE), "4194304999\n").expect("a file");
        let _held = lock(folder.path()).expect("nobody holds it");
        let text = std::fs::read_to_string(folder.path().join(LOCK_FILE)).expect("a file");
        assert_eq!(text, format!("{}\n", process::id()));
    }
}
