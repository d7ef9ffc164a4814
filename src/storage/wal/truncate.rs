use std::path::Path;

use ringkeeper_core::format::wal as format;
use ringkeeper_core::id::Zxid;

use super::read::{RecoverError, SegmentFile, io_error, read};
use super::segment::Name;
use crate::storage::disk::{Access, Disk};

/// Drops every record after `zxid` from the log in `dir`, which nobody has open: for a learner whose leader
/// never had them (TRUNC). Returns the last record that is left, [`Zxid::ZERO`] if there is none; it is
/// `zxid` if the log has that.
///
/// When this returns that is durable. A crash before leaves the log as it was, or shorter, but with every
/// record up to `zxid`. Snapshots of a later state must have gone before, or the records come back with them.
///
/// # Errors
///
/// [`RecoverError::OutOfReach`] if the log lacks what lies before `zxid`, and everything that
/// [`read`](super::read) refuses. Nothing is changed then.
pub fn truncate(disk: &dyn Disk, dir: &Path, zxid: Zxid) -> Result<Zxid, RecoverError> {
    cut_off(disk, dir, zxid, Reach::Required)
}

/// As [`truncate`], for a server that has the state at `zxid` from elsewhere, in a snapshot that is durable:
/// the log need not lead there. It is then [made ready](super::ReadLog::make_ready) in continuation of it.
pub fn reset(disk: &dyn Disk, dir: &Path, zxid: Zxid) -> Result<(), RecoverError> {
    cut_off(disk, dir, zxid, Reach::Waived).map(|_| ())
}

/// Whether the log must lead to where it is cut off.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reach {
    Required,
    Waived,
}

fn cut_off(disk: &dyn Disk, dir: &Path, zxid: Zxid, reach: Reach) -> Result<Zxid, RecoverError> {
    let (mut last, mut beyond) = (Zxid::ZERO, None);
    let log = read(dir, |record| {
        match record.zxid <= zxid {
            true => last = record.zxid,
            false => beyond = beyond.or(Some(record.after)),
        }
        Ok(())
    })?;
    let Some(after) = beyond else { return Ok(last) };
    if reach == Reach::Required && after > zxid && last != zxid {
        return Err(RecoverError::OutOfReach { dir: dir.to_owned(), zxid, after });
    }
    let is_kept = |first: &Option<Zxid>| first.is_some_and(|first| first <= zxid);
    let kept = log.recovered.firsts.iter().rposition(is_kept).map_or(0, |tail| tail + 1);
    for file in log.files[kept..].iter().rev() {
        disk.remove(&file.path).map_err(io_error("remove", &file.path))?;
        // What is left must always be the log's beginning, without a hole.
        disk.sync_dir(dir).map_err(io_error("sync", dir))?;
    }
    if let Some(tail) = kept.checked_sub(1) {
        shorten(disk, dir, &log.files[tail], zxid)?;
    }
    tracing::warn!("{}: all after {zxid} is dropped from the log, which now ends at {last}", dir.display());
    Ok(last)
}

/// Replaces a segment by a copy of it that ends at `zxid`, if it goes further: a batch is never written
/// again in its place.
fn shorten(disk: &dyn Disk, dir: &Path, segment: &SegmentFile, zxid: Zxid) -> Result<(), RecoverError> {
    let path = &segment.path;
    let bytes = std::fs::read(path).map_err(io_error("read", path))?;
    let Some(copy) =
        format::shortened(&bytes, zxid).map_err(|what| RecoverError::Corrupt { file: path.clone(), what })?
    else {
        return Ok(());
    };
    let unfinished = Name::Unfinished.path_in(dir);
    let failed = || io_error("write", &unfinished);
    let file = disk.create(&unfinished, Access::Buffered).map_err(failed())?;
    disk.reserve(&file, segment.header.len).map_err(failed())?;
    disk.write_at(&file, &copy, 0).map_err(failed())?;
    disk.sync(&file).map_err(failed())?;
    disk.rename(&unfinished, path).map_err(io_error("replace", path))?;
    disk.sync_dir(dir).map_err(io_error("sync", dir))
}
