use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};

use ringkeeper_core::config::Storage;
use rustix::fs::statvfs;
use thiserror::Error;
use tracing::warn;

/// Why a folder cannot be used. The first sentences are Java's (config §2).
#[derive(Debug, Error)]
pub enum FolderError {
    /// It is not there and cannot be made.
    #[error("Unable to create data directory {}: {source}", path.display())]
    Create {
        /// The folder.
        path: PathBuf,
        /// What the kernel says.
        source: io::Error,
    },
    /// It is not there and must not be made.
    #[error(
        "Missing data directory {}, automatic data directory creation is disabled \
         (zookeeper.datadir.autocreate is false). Please create this directory manually.", path.display()
    )]
    Missing {
        /// The folder.
        path: PathBuf,
    },
    /// Files cannot be made in it.
    #[error("Cannot write to data directory {}: {source}; see its owner and mode, and who runs this", path.display())]
    Unwritable {
        /// The folder.
        path: PathBuf,
        /// What the kernel says.
        source: io::Error,
    },
    /// Another server has it.
    #[error(
        "{} is in use by another server{}; stop that one, or give this one folders of its own",
        path.display(), pid.as_ref().map(|pid| format!(" (process {pid})")).unwrap_or_default()
    )]
    Held {
        /// The folder.
        path: PathBuf,
        /// The other server's process, if it left its number.
        pid: Option<String>,
    },
    /// There is too little room for the log.
    #[error(
        "{} has {free_mib} MiB free, and the log needs {needed_mib} MiB to start: make room, choose another \
         dataLogDir, or lower preAllocSize", path.display()
    )]
    Full {
        /// The folder.
        path: PathBuf,
        /// What is free.
        free_mib: u64,
        /// What is needed.
        needed_mib: u64,
    },
    /// It holds a Java server's data.
    #[error(
        "{} holds {file}, a file of a Java ZooKeeper server. This version of ringkeeper cannot read it and \
         will not start beside it with an empty tree; choose other folders", path.display()
    )]
    Java {
        /// The folder.
        path: PathBuf,
        /// One of its files.
        file: String,
    },
}

/// The data folders, held for this process.
#[derive(Debug)]
pub struct Held {
    _locks: Vec<File>,
}

/// Makes the folders if they are missing, sees that they can be used, and takes them for this process.
pub(super) fn hold(storage: &Storage) -> Result<Held, FolderError> {
    let folders = BTreeSet::from([&storage.data_dir, &storage.data_log_dir]);
    let mut locks = Vec::new();
    for folder in folders {
        let path = folder.join("version-2");
        create(&path, storage.autocreate)?;
        locks.push(lock(&path)?);
        refuse_java(&path)?;
    }
    check_room(storage)?;
    Ok(Held { _locks: locks })
}

fn create(path: &Path, autocreate: bool) -> Result<(), FolderError> {
    if path.is_dir() {
        return Ok(());
    }
    if !autocreate {
        return Err(FolderError::Missing { path: path.to_owned() });
    }
    fs::create_dir_all(path).map_err(|source| FolderError::Create { path: path.to_owned(), source })
}

/// The lock is the kernel's, so a server that was killed leaves none behind. The file holds its holder's
/// process number, for the message that the next one gives.
fn lock(path: &Path) -> Result<File, FolderError> {
    let unwritable = |source| FolderError::Unwritable { path: path.to_owned(), source };
    let mut options = OpenOptions::new();
    let file = options.read(true).write(true).create(true).truncate(false).open(path.join(LOCK_FILE));
    let mut file = file.map_err(unwritable)?;
    match file.try_lock() {
        Ok(()) => {
            file.set_len(0).and_then(|()| write!(file, "{}", std::process::id())).map_err(unwritable)?;
            Ok(file)
        }
        Err(TryLockError::WouldBlock) => {
            let mut pid = String::new();
            let read = file.rewind().and_then(|()| file.read_to_string(&mut pid));
            let pid = read.is_ok().then_some(pid).filter(|pid| !pid.is_empty());
            Err(FolderError::Held { path: path.to_owned(), pid })
        }
        Err(TryLockError::Error(source)) => Err(unwritable(source)),
    }
}

fn refuse_java(path: &Path) -> Result<(), FolderError> {
    let names = fs::read_dir(path).into_iter().flatten().flatten().map(|entry| entry.file_name());
    let mut names = names.map(|name| name.to_string_lossy().into_owned());
    match names.find(|name| name.starts_with("snapshot.") || name.starts_with("log.")) {
        Some(file) => Err(FolderError::Java { path: path.to_owned(), file }),
        None => Ok(()),
    }
}

fn check_room(storage: &Storage) -> Result<(), FolderError> {
    let path = storage.data_log_dir.join("version-2");
    let Ok(space) = statvfs(&path) else { return Ok(()) };
    let free = space.f_bavail * space.f_frsize;
    // The segment in use and the one prepared behind it. A server that comes back has its first already.
    let is_first_start = !fs::read_dir(&path)
        .into_iter()
        .flatten()
        .flatten()
        .any(|entry| entry.file_name().to_string_lossy().starts_with("wal."));
    let needed = storage.segment_bytes * if is_first_start { 2 } else { 0 };
    if free < needed {
        let (free_mib, needed_mib) = (free >> 20, needed >> 20);
        return Err(FolderError::Full { path, free_mib, needed_mib });
    }
    if free < storage.segment_bytes * 4 {
        warn!("{} has only {} MiB free; the log will soon be full", path.display(), free >> 20);
    }
    Ok(())
}

const LOCK_FILE: &str = "ringkeeper.lock";

#[cfg(test)]
mod tests {
    use super::*;

    fn storage(folder: &Path) -> Storage {
        Storage {
            data_dir: folder.to_owned(),
            data_log_dir: folder.to_owned(),
            segment_bytes: 1 << 20,
            force_sync: true,
            sync_warning_ms: 1000,
            autocreate: true,
        }
    }

    #[test]
    fn a_second_server_on_the_folder_is_told_who_has_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let storage = storage(folder.path());
        let held = hold(&storage).expect("a free folder");
        let refused = hold(&storage).expect_err("the folder is held").to_string();
        assert!(refused.contains(&format!("process {}", std::process::id())), "{refused}");
        drop(held);
        hold(&storage).expect("a folder that was let go");
    }

    #[test]
    fn a_java_server_s_folder_is_never_started_beside() {
        let folder = tempfile::tempdir().expect("a folder");
        fs::create_dir(folder.path().join("version-2")).expect("a folder");
        fs::write(folder.path().join("version-2/snapshot.0"), b"ZKSN").expect("a file");
        let refused = hold(&storage(folder.path())).expect_err("Java's data").to_string();
        assert!(refused.contains("snapshot.0"), "{refused}");
    }

    #[test]
    fn a_missing_folder_is_not_made_where_that_is_forbidden() {
        let folder = tempfile::tempdir().expect("a folder");
        let storage = Storage { autocreate: false, ..storage(&folder.path().join("missing")) };
        let refused = hold(&storage).expect_err("missing").to_string();
        assert!(refused.starts_with("Missing data directory"), "{refused}");
    }
}
