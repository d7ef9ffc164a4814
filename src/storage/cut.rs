//! Cutting a folder's logs off, ours and Java's, where a leader's history ends or goes another way.
//!
//! A folder that was Java's, ours and Java's again has a history in stretches: some in `log.*`, some in `wal.*`.
//! Whatever follows the zxid goes, from the newest stretch to the oldest, each durably before the next: so a
//! crash leaves a history that is shorter than before and has no hole, with everything up to the zxid, and the
//! leader says the same again.
//!
//! ```text
//!   log.1  1 ... 50 |                | 81 ... 90 |                 cut to 60: 91-100, then 81-90, then 61-80
//!   wal.*           | 51 ........ 80 |           | 91 .. 100 |
//! ```
//!
//! Snapshots of later states must have gone before, or what is cut off comes back with them.

use ringkeeper_core::id::Zxid;

use super::disk::Disk;
use super::recovery::{Folders, RecoverError};
use super::{java_log, snapshot, wal};

/// Drops every transaction after `zxid` from both logs: for a learner whose leader never had them (TRUNC).
/// Returns the last that is left, [`Zxid::ZERO`] if there is none; it is `zxid` if a log has that.
///
/// # Errors
///
/// [`RecoverError::OutOfReach`] if what is left would not lead to `zxid`, and everything that a log's reader
/// refuses: nothing has been changed then. Or what the operating system refuses.
pub fn truncate(disk: &dyn Disk, folders: Folders<'_>, zxid: Zxid) -> Result<Zxid, RecoverError> {
    let (mut has, mut beyond) = (false, None);
    wal::read(folders.logs, |record| {
        has |= record.zxid == zxid;
        if record.zxid > zxid {
            beyond = beyond.or(Some(record.after));
        }
        Ok(())
    })?;
    match beyond.filter(|after| *after > zxid) {
        Some(after) if !has && !is_reached_otherwise(folders, zxid)? => {
            Err(RecoverError::OutOfReach { folder: folders.logs.to_owned(), zxid, after })
        }
        _ => reset(disk, folders, zxid),
    }
}

/// Whether snapshots and logs lead to exactly the state at `zxid`: a snapshot is of it, or one is before it and a log
/// has the transaction. A leader's whole tree may be later than what its successor's history has, and then they do
/// not.
///
/// # Errors
///
/// Everything that a log's reader refuses.
pub fn leads_to(folders: Folders<'_>, zxid: Zxid) -> Result<bool, RecoverError> {
    let snapshots = snapshot::names(folders.snapshots).unwrap_or_default();
    if !snapshots.iter().any(|(name, _)| name.zxid <= zxid) {
        return Ok(false);
    }
    let mut has = false;
    wal::read(folders.logs, |record| {
        has |= record.zxid == zxid;
        Ok(())
    })?;
    Ok(has || is_reached_otherwise(folders, zxid)?)
}

/// As [`truncate`], for a server that gets the state at `zxid` from elsewhere: what is left need not lead there.
pub fn reset(disk: &dyn Disk, folders: Folders<'_>, zxid: Zxid) -> Result<Zxid, RecoverError> {
    let logs = folders.logs;
    loop {
        let ours = wal::read(logs, |_| Ok(()))?.last();
        let javas = java_log::last_zxid(logs)?.unwrap_or(Zxid::ZERO);
        if ours.max(javas) <= zxid {
            return Ok(ours.max(javas));
        }
        if ours < javas {
            java_log::cut_off(disk, logs, ours.max(zxid))?;
        } else {
            // Where both end with the same, they have the same before it.
            wal::cut_off(disk, logs, if javas < ours { javas.max(zxid) } else { zxid })?;
        }
    }
}

/// Whether something else than our log leads to exactly this state.
fn is_reached_otherwise(folders: Folders<'_>, zxid: Zxid) -> Result<bool, RecoverError> {
    let snapshots = snapshot::names(folders.snapshots).unwrap_or_default();
    let mut java = java_log::JavaLog::open(folders.logs, Zxid(zxid.0.saturating_sub(1)))?;
    Ok(snapshots.iter().any(|(name, _)| name.zxid == zxid) || java.next_zxid()? == Some(zxid))
}
