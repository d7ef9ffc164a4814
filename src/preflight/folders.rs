use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use ringkeeper_core::config::Storage;
use rustix::fs::{Access, access};
use thiserror::Error;

use super::Failure;
use super::lock::lock;
use super::pair::{self, Half};

/// Why a folder cannot be used. Each begins as Java's text for it does (config §2).
#[derive(Debug, Error)]
pub enum FolderError {
    /// It is not there and cannot be made.
    #[error("Unable to create {what} directory {}: {source}", path.display())]
    Create {
        /// What Java calls the folder: "data" for the log's, "snap" for the other.
        what: &'static str,
        /// The folder.
        path: PathBuf,
        /// What the kernel says.
        source: io::Error,
    },
    /// It is not there and must not be made.
    #[error(
        "Missing {what} directory {}, automatic data directory creation is disabled \
         (zookeeper.datadir.autocreate is false). Please create this directory manually.", path.display()
    )]
    Missing {
        /// What Java calls the folder.
        what: &'static str,
        /// The folder.
        path: PathBuf,
    },
    /// Files cannot be made in it.
    #[error(
        "Cannot write to {what} directory {}: {source}; see its owner and mode, who runs this process, and how \
         the file system is mounted", path.display()
    )]
    Unwritable {
        /// What Java calls the folder.
        what: &'static str,
        /// The folder.
        path: PathBuf,
        /// What the kernel says.
        source: io::Error,
    },
    /// The log's folder holds snapshots, though there is another for them.
    #[error(
        "Log directory has snapshot files. Check if dataLogDir and dataDir configuration is correct. \
         (dataLogDir has {})", path.display()
    )]
    SnapshotInLogDir {
        /// One of the files.
        path: PathBuf,
    },
    /// The other folder holds a log, though there is another for it: going on would start without it.
    #[error(
        "Snapshot directory has log files. Check if dataLogDir and dataDir configuration is correct. \
         (dataDir has {})", path.display()
    )]
    LogInSnapDir {
        /// One of the files.
        path: PathBuf,
    },
}

/// The data folders, held for this process until this is dropped.
#[derive(Debug)]
pub struct Held {
    _locks: Vec<File>,
}

/// Makes the folders if they are missing, sees that they can be used, and takes them for this process.
pub(super) fn hold(storage: &Storage) -> Result<Held, Failure> {
    let log_dir = prepare(LOG, &storage.log_dir(), storage.autocreate)?;
    let snap_dir = prepare(SNAP, &storage.snap_dir(), storage.autocreate)?;
    let mut locks = vec![lock(&log_dir)?];
    if snap_dir != log_dir {
        locks.push(lock(&snap_dir)?);
        refuse_mixed(&log_dir, &snap_dir)?;
        let has_log = find(LOG, &log_dir, |name| is_java_log(name) || is_own_log(name))?.is_some();
        let has_snapshot = find(SNAP, &snap_dir, is_java_snapshot)?.is_some();
        let log = Half { path: &log_dir, is_empty: !has_log };
        pair::check(log, Half { path: &snap_dir, is_empty: !has_snapshot })?;
    }
    Ok(Held { _locks: locks })
}

/// Whether a folder that was prepared holds a log of ours.
pub(super) fn has_log(log_dir: &Path) -> Result<bool, FolderError> {
    Ok(find(LOG, log_dir, is_own_log)?.is_some())
}

/// A folder that is there and can be written to, by the one name that it has for all.
fn prepare(what: &'static str, path: &Path, autocreate: bool) -> Result<PathBuf, FolderError> {
    let unwritable = |source| FolderError::Unwritable { what, path: path.to_owned(), source };
    if !path.exists() {
        if !autocreate {
            return Err(FolderError::Missing { what, path: path.to_owned() });
        }
        create(path).map_err(|source| FolderError::Create { what, path: path.to_owned(), source })?;
    }
    access(path, Access::WRITE_OK | Access::EXEC_OK).map_err(|errno| unwritable(errno.into()))?;
    path.canonicalize().map_err(unwritable)
}

/// Makes a folder and those above it, and has the disk keep them: what is written into a folder that a power
/// cut takes away is lost, however well it was synced.
fn create(path: &Path) -> io::Result<()> {
    let missing: Vec<_> = path.ancestors().take_while(|above| !is_there(above)).collect();
    fs::create_dir_all(path)?;
    for folder in missing {
        let above = folder.parent().filter(|above| !above.as_os_str().is_empty());
        File::open(above.unwrap_or(Path::new(".")))?.sync_all()?;
    }
    Ok(())
}

fn is_there(path: &Path) -> bool {
    path.as_os_str().is_empty() || path.exists()
}

/// With two folders, each must hold what it is for. ZooKeeper's check, which knows our log as well.
fn refuse_mixed(log_dir: &Path, snap_dir: &Path) -> Result<(), FolderError> {
    if let Some(path) = find(LOG, log_dir, is_java_snapshot)? {
        return Err(FolderError::SnapshotInLogDir { path });
    }
    match find(SNAP, snap_dir, |name| is_java_log(name) || is_own_log(name))? {
        Some(path) => Err(FolderError::LogInSnapDir { path }),
        None => Ok(()),
    }
}

/// A file in the folder whose name is of some kind.
fn find(
    what: &'static str,
    folder: &Path,
    is_wanted: impl Fn(&str) -> bool,
) -> Result<Option<PathBuf>, FolderError> {
    let unreadable = |source| FolderError::Unwritable { what, path: folder.to_owned(), source };
    for entry in fs::read_dir(folder).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        if is_wanted(&entry.file_name().to_string_lossy()) {
            return Ok(Some(entry.path()));
        }
    }
    Ok(None)
}

fn is_java_snapshot(name: &str) -> bool {
    name.starts_with("snapshot.")
}

fn is_java_log(name: &str) -> bool {
    name.starts_with("log.")
}

/// A segment with data in it, not one that is being prepared.
fn is_own_log(name: &str) -> bool {
    let digits = name.strip_prefix("wal.").unwrap_or_default();
    digits.len() == SEGMENT_DIGITS && digits.bytes().all(|digit| digit.is_ascii_hexdigit())
}

/// What Java's messages call the log's folder.
const LOG: &str = "data";
/// What they call the folder of the rest.
const SNAP: &str = "snap";

/// Hexadecimal digits of the zxid in a segment's name.
const SEGMENT_DIGITS: usize = 16;

#[cfg(test)]
mod tests;
