use std::ops::Range;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use thiserror::Error;
use tracing::warn;

/// The process may lock too little memory for a single executor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error(
    "this process may lock {} KiB of memory (RLIMIT_MEMLOCK), and io_uring needs {} KiB for each \
     executor, of which there are {executors}: raise the limit with `ulimit -l`, LimitMEMLOCK= in a systemd unit, or `docker run \
     --ulimit memlock=-1`",
    allowed / 1024, MEMLOCK_PER_EXECUTOR / 1024
)]
pub struct MemlockError {
    /// What the hard limit allows, in bytes.
    pub allowed: u64,
    /// How many executors there are.
    pub executors: usize,
}

/// Raises the limit on locked memory as far as it may be. The runtime refuses to start with less than one
/// executor's; with less than all executors' its buffers may be slower, or kernels before 5.12 refuse.
pub(super) fn raise_memlock(executors: usize) -> Result<(), MemlockError> {
    judge_memlock(raise_to_hard(Resource::Memlock), executors)
}

/// Raises the limit on open files as far as it may be, and warns if the clients that are allowed need more.
pub(super) fn raise_descriptors(connections_max: usize) {
    let allowed = raise_to_hard(Resource::Nofile);
    let wanted = descriptors_wanted(connections_max);
    if let Some(allowed) = allowed.filter(|allowed| *allowed < wanted) {
        warn!(
            "this process may open {allowed} files (RLIMIT_NOFILE), each connection is one, and {wanted} are \
             advised: raise the limit with `ulimit -n`, LimitNOFILE= in a systemd unit, or `docker run --ulimit \
             nofile={wanted}`"
        );
    }
}

/// The descriptors that no client gets, by the limit as it is now, if there is one: those are for files that the server
/// has to open, and for other servers. Without them it would end, or lose its place among the others.
pub fn reserved_descriptors() -> Option<Range<u64>> {
    getrlimit(Resource::Nofile).current.map(|allowed| allowed - reserved_of(allowed)..allowed)
}

fn reserved_of(allowed: u64) -> u64 {
    DESCRIPTORS_RESERVED.min(allowed / 4)
}

fn judge_memlock(allowed: Option<u64>, executors: usize) -> Result<(), MemlockError> {
    let Some(allowed) = allowed else { return Ok(()) };
    let verdict = MemlockError { allowed, executors };
    if allowed < MEMLOCK_PER_EXECUTOR {
        return Err(verdict);
    }
    if allowed < MEMLOCK_PER_EXECUTOR.saturating_mul(executors as u64) {
        warn!("{verdict}");
    }
    Ok(())
}

fn descriptors_wanted(connections_max: usize) -> u64 {
    match connections_max {
        0 => DESCRIPTORS_ADVISED,
        connections_max => connections_max as u64 + DESCRIPTORS_OF_THE_SERVER,
    }
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
/// Enough for the clients of a large site, where no limit says how many there are.
const DESCRIPTORS_ADVISED: u64 = 16_384;
/// Files of the log, rings, listeners, and a margin.
const DESCRIPTORS_OF_THE_SERVER: u64 = 256;
/// Of those: what is opened later than at the start.
const DESCRIPTORS_RESERVED: u64 = 128;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn less_memory_than_one_executor_needs_is_refused() {
        assert_eq!(judge_memlock(None, 64), Ok(()));
        assert_eq!(judge_memlock(Some(512 << 10), 64), Ok(()));
        let refused = judge_memlock(Some(64 << 10), 3).expect_err("too little");
        let text = refused.to_string();
        assert!(
            text.contains("may lock 64 KiB")
                && text.contains("512 KiB for each executor, of which there are 3"),
            "{text}"
        );
        assert!(text.contains("ulimit -l") && text.contains("LimitMEMLOCK"), "{text}");
    }

    #[test]
    fn a_soft_limit_is_raised_to_the_hard_one() {
        let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
        let lowered = Rlimit { current: Some(256), maximum };
        setrlimit(Resource::Nofile, lowered).expect("a soft limit may be lowered");
        assert_eq!(raise_to_hard(Resource::Nofile), maximum);
        assert_eq!(getrlimit(Resource::Nofile).current, maximum);
    }

    #[test]
    fn clients_get_most_descriptors_and_never_all() {
        assert_eq!((reserved_of(1024), reserved_of(256)), (128, 64));
    }

    #[test]
    fn the_descriptors_wanted_follow_the_connections_allowed() {
        assert_eq!(descriptors_wanted(0), 16_384);
        assert_eq!(descriptors_wanted(100), 356);
    }
}
