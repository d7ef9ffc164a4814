use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use thiserror::Error;
use tracing::warn;

/// A limit of this process that is too low.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum LimitError {
    /// io_uring needs locked memory.
    #[error(
        "this process may lock {} KiB of memory, and {executors} executors need {} KiB: raise it with \
         `ulimit -l`, LimitMEMLOCK= in a systemd unit, or `docker run --ulimit memlock=-1`",
        allowed / 1024, needed / 1024
    )]
    Memlock {
        /// What the hard limit allows, in bytes.
        allowed: u64,
        /// What is needed, in bytes.
        needed: u64,
        /// For how many executors.
        executors: usize,
    },
}

/// Raises the soft limits as far as they may be, and says what is still too low.
pub(super) fn raise(executors: usize) -> Result<(), LimitError> {
    let needed = MEMLOCK_PER_EXECUTOR * executors as u64;
    let allowed = raise_to_hard(Resource::Memlock);
    if allowed.is_some_and(|allowed| allowed < needed) {
        return Err(LimitError::Memlock { allowed: allowed.unwrap_or(0), needed, executors });
    }
    let descriptors = raise_to_hard(Resource::Nofile);
    if let Some(descriptors) = descriptors.filter(|descriptors| *descriptors < DESCRIPTORS_WANTED) {
        warn!(
            "this process may open {descriptors} files, so about as many clients can connect; raise it with \
             `ulimit -n` or LimitNOFILE= in a systemd unit"
        );
    }
    Ok(())
}

/// Raises the soft limit to the hard one, and returns what then holds; `None` is no limit.
fn raise_to_hard(resource: Resource) -> Option<u64> {
    let Rlimit { current, maximum } = getrlimit(resource);
    match setrlimit(resource, Rlimit { current: maximum, maximum }) {
        Ok(()) => maximum,
        Err(_) => current,
    }
}

/// What the runtime asks for.
const MEMLOCK_PER_EXECUTOR: u64 = 512 << 10;
const DESCRIPTORS_WANTED: u64 = 4096;
