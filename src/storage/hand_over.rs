//! What a clean stop leaves for a Java server besides the last snapshot: the end of our log, in Java's log.
//!
//! A member's last snapshot has what it knew to be committed. Behind that its log may have transactions that it
//! has acknowledged to a leader, and that count for a quorum: if the members all stop, and Java servers go on from
//! two of the folders, these must find them, or a write that a client was told of is lost. Where no snapshot could
//! be written, because the member never served or the disk was full, that is the whole log since the last one.
//!
//! ```text
//!   before   snapshot.P   wal.*: ... P | P+1 ... L        written  log.P+1: P+1 ... L, durable and named
//!   after    snapshot.P   wal.*: ... P                    log.P+1: P+1 ... L
//! ```
//!
//! Our own log is cut off there once Java's has it. So each transaction is in one log, whose history a Java server
//! can change: it may truncate what is in its log, and whoever starts next, Java or ringkeeper, finds what it left.
//!
//! | crash                            | what is found                                 | what is done |
//! |----------------------------------|-----------------------------------------------|--------------|
//! | while the files are written      | our log as it was, and files without a name   | a start takes no notice; the next stop overwrites them |
//! | before all have their names, or our log is cut off | the same transactions in both | a start takes them once; the next stop finishes it |
//! | while our log is cut off         | the same, in a shorter log of ours            | the same     |
//!
//! The files are marked as ours ([`Author::Ringkeeper`]), and go when two snapshots cover them, as our log does.
//!
//! [`Author::Ringkeeper`]: ringkeeper_core::format::java_log::Author::Ringkeeper

use std::io;
use std::path::PathBuf;

use ringkeeper_core::format::snapshot::Compression;
use ringkeeper_core::id::Zxid;
use ringkeeper_core::tree::{DataTree, TreeOptions};
use thiserror::Error;

use super::disk::Disk;
use super::java_log::LogWriter;
use super::recovery::Folders;
use super::snapshot::{self, Draft, Pace, SharedPace};
use super::wal;

/// Why the end of the log cannot be handed over. It is in our log as before.
#[derive(Debug, Error)]
#[allow(missing_docs, reason = "the texts say what each is")]
pub enum HandOverError {
    #[error(transparent)]
    Log(#[from] wal::RecoverError),
    #[error("cannot write to {}: {source}", folder.display())]
    Io { folder: PathBuf, source: io::Error },
    #[error("the epoch cannot be written: {0}")]
    Epoch(wal::BoxError),
}

/// Hands over what our log in these folders, which nobody has open, has behind the newest snapshot. Returns how
/// many transactions that are. `enter` is told the last of them when Java's log has them, and sees that the epochs on
/// disk are not behind it.
pub fn hand_over(
    disk: &dyn Disk,
    folders: Folders<'_>,
    enter: impl FnOnce(Zxid) -> Result<(), wal::BoxError>,
) -> Result<u64, HandOverError> {
    let failed = |folder: &std::path::Path| {
        let folder = folder.to_owned();
        |source| HandOverError::Io { folder, source }
    };
    let newest = snapshot::newest_zxid(folders.snapshots);
    let base = newest.unwrap_or(Zxid::ZERO);
    let mut writer = LogWriter::new(disk, folders.logs);
    let log = wal::read(folders.logs, |record| match record.zxid > base {
        true => Ok(writer.push(record.zxid, record.payload)?),
        false => Ok(()),
    })?;
    let count = writer.count();
    if count == 0 {
        return Ok(0);
    }
    if newest.is_none() {
        // Java starts from no log without a snapshot.
        save_empty(disk, folders).map_err(failed(folders.snapshots))?;
    }
    writer.finish().map_err(failed(folders.logs))?;
    enter(log.last()).map_err(HandOverError::Epoch)?;
    wal::cut_off(disk, folders.logs, base)?;
    Ok(count)
}

fn save_empty(disk: &dyn Disk, folders: Folders<'_>) -> io::Result<()> {
    let tree = DataTree::new(TreeOptions::default());
    let pace = SharedPace::new(Pace::Full);
    snapshot::save(disk, folders.snapshots, tree.freeze(), Compression::None, &pace, Draft::Own).map(drop)
}
