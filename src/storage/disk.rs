//! What is asked of a file system where the order matters to a crash.
//!
//! Who changes files that must survive a crash does it through a [`Disk`], so that tests can see each step,
//! and build the folders that a crash after any of them may leave. Reading needs no such care. The log's
//! own writes are not made through it: those are glommio's.
//!
//! # What is assumed
//!
//! A file's bytes are durable when [`Disk::sync`] has returned, a name or its removal when
//! [`Disk::sync_dir`] has. Until then any part of the bytes may be lost, and any of the changes to names. A
//! rename is done as a whole or not at all.

use std::fmt::Debug;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::{FallocateFlags, OFlags, statvfs};
use rustix::io::Errno;

/// How bytes get to the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// From our memory (`O_DIRECT`): whole blocks at aligned offsets from aligned memory.
    Direct,
    /// Through the page cache.
    Buffered,
}

/// How many bytes the file system of this path has free for us; `None` if it won't say, as those in memory
/// without a limit don't.
pub fn free_bytes(path: &Path) -> Option<u64> {
    let space = statvfs(path).ok().filter(|space| space.f_blocks > 0)?;
    Some(space.f_bavail.saturating_mul(space.f_frsize))
}

/// A file system. Every method is what its name says, by default on the real one.
pub trait Disk: Debug + Send + Sync {
    /// Makes an empty file, in place of one that may have this name, to be read and written.
    fn create(&self, path: &Path, access: Access) -> io::Result<File> {
        options(access).create(true).truncate(true).open(path)
    }

    /// Opens a file that is there, to be read and written.
    fn open(&self, path: &Path, access: Access) -> io::Result<File> {
        options(access).open(path)
    }

    /// Gives the file a length, and reserves the space where the file system can.
    fn reserve(&self, file: &File, len: u64) -> io::Result<()> {
        match rustix::fs::fallocate(file, FallocateFlags::empty(), 0, len) {
            Err(Errno::OPNOTSUPP) => file.set_len(len),
            result => Ok(result?),
        }
    }

    /// Writes all of these bytes.
    fn write_at(&self, file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
        file.write_all_at(bytes, offset)
    }

    /// Makes all that was written to the file durable, through whatever it was written, and its length.
    fn sync(&self, file: &File) -> io::Result<()> {
        file.sync_all()
    }

    /// Gives a file another name, from which it displaces a file that had it.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    /// Removes a file.
    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    /// Makes the names in a folder durable.
    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        File::open(dir)?.sync_all()
    }
}

/// The real one.
#[derive(Clone, Copy, Debug, Default)]
pub struct Os;

impl Disk for Os {}

fn options(access: Access) -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true);
    if access == Access::Direct {
        options.custom_flags(OFlags::DIRECT.bits() as i32);
    }
    options
}
