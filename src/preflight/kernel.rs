use std::io;

use io_uring::IoUring;
use thiserror::Error;

/// Why there is no io_uring.
#[derive(Debug, Error)]
pub enum KernelError {
    /// The kernel has none.
    #[error("this kernel has no io_uring; ringkeeper needs Linux 5.8 or newer, built with CONFIG_IO_URING")]
    Missing,
    /// Something forbids it.
    #[error(
        "io_uring is forbidden here. Outside a container, see `sysctl kernel.io_uring_disabled` (must be \
         0, or 1 with this user in kernel.io_uring_group). In a container, the default seccomp profile \
         blocks it: allow io_uring_setup, io_uring_enter and io_uring_register in a profile of your own \
         (docker run --security-opt seccomp=profile.json)"
    )]
    Forbidden,
    /// The kernel says something else.
    #[error("io_uring cannot be used: {0}")]
    Unusable(io::Error),
}

/// Whether this process may use io_uring. The runtime itself would end the process without a word of help.
pub(super) fn check_io_uring() -> Result<(), KernelError> {
    match IoUring::new(RING_ENTRIES) {
        Ok(_) => Ok(()),
        Err(error) => Err(match error.raw_os_error().map(rustix::io::Errno::from_raw_os_error) {
            Some(rustix::io::Errno::NOSYS) => KernelError::Missing,
            Some(rustix::io::Errno::PERM | rustix::io::Errno::ACCESS) => KernelError::Forbidden,
            _ => KernelError::Unusable(error),
        }),
    }
}

const RING_ENTRIES: u32 = 4;
