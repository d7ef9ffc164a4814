//! Asks the log's device what it can do, before anything depends on it.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::time::{Duration, Instant};

use ringkeeper_core::format::wal::BLOCK_LEN;
use rustix::fs::{AtFlags, OFlags, StatxFlags};
use rustix::io::Errno;

use super::device::runtime_knows_device_of;
use super::segment::AlignedBuf;
use crate::storage::disk::{Access, Disk, Os};

/// What makes a write durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SyncBy {
    /// `O_DSYNC`: the write itself.
    Write,
    /// `fdatasync` after the write.
    Fdatasync,
    /// Nothing does (`forceSync=no`).
    Nothing,
}

/// How the log is written on this device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Method {
    pub(super) access: Access,
    pub(super) sync: SyncBy,
}

impl Method {
    /// Finds the method for files in `dir`, in some tens of milliseconds, and logs what it is and why.
    pub(super) fn find(dir: &Path, force_sync: bool) -> io::Result<Method> {
        let path = dir.join(PROBE_FILE);
        let method = probe(&path, force_sync);
        match fs::remove_file(&path) {
            Err(err) if err.kind() != io::ErrorKind::NotFound => Err(err),
            _ => method,
        }
    }
}

fn probe(path: &Path, force_sync: bool) -> io::Result<Method> {
    let dir = path.parent().unwrap_or(path).display();
    let sync_by_write = if force_sync { SyncBy::Write } else { SyncBy::Nothing };
    let opened = match open_direct(path) {
        Err(error) if is_full(&error) => {
            // So that what is there can be read at least. It was written directly, or there would be nothing.
            tracing::warn!("{dir} is full: there is no room to measure how its device is written best");
            return Ok(Method { access: Access::Direct, sync: sync_by_write });
        }
        opened => opened?,
    };
    let Some(file) = opened else {
        tracing::warn!(
            "the filesystem of {dir} has no direct I/O in blocks of {BLOCK_LEN} bytes: the log is written \
             through the page cache, which is slower and is meant for tests. Put dataLogDir on ext4 or XFS."
        );
        return Ok(Method { access: Access::Buffered, sync: sync_by_write });
    };
    if !runtime_knows_device_of(path)? {
        tracing::warn!(
            "the runtime cannot tell what the device of {dir} is: the log is written by a helper thread, which is \
             slower"
        );
    }
    if !force_sync {
        tracing::warn!("forceSync=no: transactions in {dir} are acknowledged before they are durable");
        return Ok(Method { access: Access::Direct, sync: SyncBy::Nothing });
    }
    let sync = fastest_sync(path, &file)?;
    Ok(Method { access: Access::Direct, sync })
}

/// A file of zeroed blocks for direct I/O; `None` if the filesystem can't.
fn open_direct(path: &Path) -> io::Result<Option<File>> {
    let file = match Os.create(path, Access::Direct) {
        Err(err) if is_unsupported(&err) => return Ok(None),
        file => file?,
    };
    // Old kernels and some filesystems don't tell; then the write below does.
    let told = rustix::fs::statx(&file, "", AtFlags::EMPTY_PATH, StatxFlags::DIOALIGN);
    if let Ok(told) = told
        && told.stx_mask & StatxFlags::DIOALIGN.bits() != 0
    {
        let suits = |align: u32| (1..=BLOCK_LEN as u32).contains(&align);
        if !suits(told.stx_dio_mem_align) || !suits(told.stx_dio_offset_align) {
            return Ok(None);
        }
    }
    Os.reserve(&file, PROBE_LEN as u64)?;
    match file.write_all_at(AlignedBuf::new(PROBE_LEN).bytes(), 0) {
        Err(err) if is_unsupported(&err) => return Ok(None),
        result => result?,
    }
    file.sync_all()?;
    Ok(Some(file))
}

fn fastest_sync(path: &Path, plain: &File) -> io::Result<SyncBy> {
    let flags = (OFlags::DIRECT | OFlags::DSYNC).bits() as i32;
    let dsync = File::options().write(true).custom_flags(flags).open(path)?;
    let mut block = AlignedBuf::new(BLOCK_LEN);
    let by_write = median(|offset| dsync.write_all_at(block.bytes(), offset))?;
    let by_fdatasync = median(|offset| {
        plain.write_all_at(block.bytes(), offset)?;
        plain.sync_data()
    })?;
    let sync = choose(by_write, by_fdatasync);
    let chosen = match sync {
        SyncBy::Write => "O_DSYNC",
        SyncBy::Fdatasync | SyncBy::Nothing => "fdatasync",
    };
    tracing::info!(
        "a block of the log is durable after {by_write:?} with O_DSYNC, after {by_fdatasync:?} with write and \
         fdatasync: using {chosen}"
    );
    Ok(sync)
}

/// `O_DSYNC` needs one trip through the kernel where `fdatasync` needs two, of which the second can't be
/// submitted without a worker thread: the probe, which has no such thread, must show a clear gain.
fn choose(by_write: Duration, by_fdatasync: Duration) -> SyncBy {
    if by_fdatasync * 5 < by_write * 4 { SyncBy::Fdatasync } else { SyncBy::Write }
}

/// The median duration of `write`, called with the offsets of successive blocks.
fn median(mut write: impl FnMut(u64) -> io::Result<()>) -> io::Result<Duration> {
    let begin = Instant::now();
    let mut took = Vec::with_capacity(PROBE_WRITES_MAX);
    while took.is_empty() || took.len() < PROBE_WRITES_MAX && begin.elapsed() < PROBE_TIME_MAX {
        let start = Instant::now();
        write((took.len() * BLOCK_LEN % PROBE_LEN) as u64)?;
        took.push(start.elapsed());
    }
    took.sort_unstable();
    Ok(took[took.len() / 2])
}

fn is_unsupported(err: &io::Error) -> bool {
    let unsupported = [Errno::INVAL, Errno::OPNOTSUPP].map(|errno| errno.raw_os_error());
    err.raw_os_error().is_some_and(|errno| unsupported.contains(&errno))
}

fn is_full(err: &io::Error) -> bool {
    matches!(err.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

const PROBE_FILE: &str = "wal.probe";
const PROBE_LEN: usize = 32 * BLOCK_LEN;
const PROBE_WRITES_MAX: usize = 48;
/// For each of the two ways.
const PROBE_TIME_MAX: Duration = Duration::from_millis(15);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_method_suits_the_device_and_leaves_no_file() {
        let dir = tempfile::tempdir().unwrap();
        let method = Method::find(dir.path(), true).unwrap();
        assert_ne!(method.sync, SyncBy::Nothing);
        let relaxed = Method::find(dir.path(), false).unwrap();
        assert_eq!((relaxed.access, relaxed.sync), (method.access, SyncBy::Nothing));
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn fdatasync_must_be_clearly_faster_to_be_chosen() {
        let us = Duration::from_micros;
        assert_eq!(choose(us(115), us(171)), SyncBy::Write);
        assert_eq!(choose(us(115), us(100)), SyncBy::Write);
        assert_eq!(choose(us(2000), us(900)), SyncBy::Fdatasync);
    }

    #[test]
    fn a_folder_that_does_not_exist_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let err = Method::find(&dir.path().join("absent"), true).expect_err("no folder");
        assert_eq!(err.kind(), io::ErrorKind::NotFound);
    }
}
