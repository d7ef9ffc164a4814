//! What must be right about the machine before anything is served, each with what to change if it is not.

mod folders;
mod io_uring;
mod limits;
pub(crate) mod lock;
mod pair;
mod room;

use ringkeeper_core::config::Storage;
use thiserror::Error;

pub use folders::{FolderError, Held};
pub use io_uring::IoUringError;
pub use limits::{MemlockError, reserved_descriptors};
pub use lock::LockError;
pub use pair::PairError;
pub use room::RoomError;

/// What is looked at.
#[derive(Clone, Copy, Debug)]
pub struct Preflight<'a> {
    /// Where data will lie.
    pub storage: &'a Storage,
    /// How many executors there will be, at least 1.
    pub executors: usize,
    /// How many clients may be connected; 0 is no limit.
    pub connections_max: usize,
}

/// Why the server cannot run here.
#[derive(Debug, Error)]
#[allow(missing_docs, reason = "each error says what it is")]
pub enum Failure {
    #[error(transparent)]
    IoUring(#[from] IoUringError),
    #[error(transparent)]
    Memlock(#[from] MemlockError),
    #[error(transparent)]
    Folder(#[from] FolderError),
    #[error(transparent)]
    Pair(#[from] PairError),
    #[error(transparent)]
    Lock(#[from] LockError),
    #[error(transparent)]
    Room(#[from] RoomError),
}

impl Failure {
    /// The exit status that the Java server has for it (config §2).
    pub fn exit_status(&self) -> u8 {
        match self {
            Failure::Folder(_) | Failure::Pair(_) | Failure::Lock(_) | Failure::Room(_) => 3,
            Failure::IoUring(_) | Failure::Memlock(_) => 1,
        }
    }
}

/// Checks everything, and holds the data folders for this process as long as what it returns lives.
/// Raises the process's soft limits on the way. What works but won't for long is logged as a warning.
pub fn check(preflight: &Preflight<'_>) -> Result<Held, Failure> {
    io_uring::check()?;
    limits::raise_memlock(preflight.executors)?;
    limits::raise_descriptors(preflight.connections_max);
    let storage = preflight.storage;
    let held = folders::hold(storage)?;
    // The segment in use and the one prepared behind it. A server that comes back has both already.
    let segments = if folders::has_log(&storage.log_dir())? { 0 } else { 2 };
    room::check(&storage.log_dir(), segments * storage.segment_bytes, storage.segment_bytes)?;
    Ok(held)
}
