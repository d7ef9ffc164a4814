use std::path::Path;

use ringkeeper_core::format::wal as format;
use ringkeeper_core::id::Zxid;

use super::read::{RecoverError, SegmentFile, io_error, read};
use super::segment::Name;
use crate::storage::disk::{Access, Disk};

/// Drops every record after `zxid` from the log in `dir`, which nobody has open. Returns the last record that is
/// left, [`Zxid::ZERO`] if there is none. The log need not lead to `zxid`: it is then
/// [made ready](super::ReadLog::make_ready) in continuation of it.
///
/// When this returns that is durable. A crash before leaves the log as it was, or shorter, but with every
/// record up to `zxid`.
///
/// # Errors
///
/// Everything that [`read`](super::read()) refuses; nothing is changed then.
pub fn cut_off(disk: &dyn Disk, dir: &Path, zxid: Zxid) -> Result<Zxid, RecoverError> {
    let mut last = Zxid::ZERO;
    let log = read(dir, |record| {
        if record.zxid <= zxid {
            last = record.zxid;
        }
        Ok(())
    })?;
    if log.last() <= zxid {
        return Ok(last);
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
    tracing::info!("{}: all after {zxid} is taken out of the log, which now ends at {last}", dir.display());
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
