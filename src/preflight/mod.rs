//! What must be right about the machine before anything is served, each with what to change if it is not.

mod folders;
mod kernel;
mod limits;

use ringkeeper_core::config::Storage;
use thiserror::Error;

pub use folders::{FolderError, Held};
pub use kernel::KernelError;
pub use limits::LimitError;

/// What is looked at.
#[derive(Clone, Copy, Debug)]
pub struct Preflight<'a> {
    /// Where data will lie.
    pub storage: &'a Storage,
    /// How many executors there will be.
    pub executors: usize,
}

/// Why the server cannot run here.
#[derive(Debug, Error)]
pub enum Failure {
    /// The kernel does not give us io_uring.
    #[error(transparent)]
    Kernel(#[from] KernelError),
    /// A limit of this process is too low.
    #[error(transparent)]
    Limit(#[from] LimitError),
    /// A folder cannot be used.
    #[error(transparent)]
    Folder(#[from] FolderError),
}

impl Failure {
    /// The exit status, as Java's (config §2).
    pub fn exit_status(&self) -> u8 {
        match self {
            Failure::Folder(_) => 3,
            Failure::Kernel(_) | Failure::Limit(_) => 1,
        }
    }
}

/// Checks everything, and holds the data folders for this process as long as what it returns lives.
pub fn check(preflight: &Preflight<'_>) -> Result<Held, Failure> {
    kernel::check_io_uring()?;
    limits::raise(preflight.executors)?;
    Ok(folders::hold(preflight.storage)?)
}
