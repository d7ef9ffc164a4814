use std::time::Duration;

use ringkeeper_core::ops::{Digests, Mismatch};
use ringkeeper_core::time::Instant;
use tracing::error;

/// Reports digests of the tree that are not what others say of it: the first at once, and what follows not
/// more often than Java does.
#[derive(Debug, Default)]
pub(crate) struct DigestWatch {
    reported: u64,
    not_before: Option<Instant>,
}

impl DigestWatch {
    pub(crate) fn look(&mut self, digests: &Digests, now: Instant) {
        let count = digests.mismatches();
        let Some(mismatch) = digests.last_mismatch().filter(|_| count > self.reported) else { return };
        if self.not_before.is_some_and(|at| now < at) {
            return;
        }
        report(count - self.reported, mismatch);
        (self.reported, self.not_before) = (count, Some(now + REPORT_INTERVAL));
    }
}

/// Reports some mismatches, of which this is the last.
pub(crate) fn report(count: u64, mismatch: Mismatch) {
    let Mismatch { zxid, expected, actual } = mismatch;
    error!(
        "Digests are not matching: {count} times, the last after {zxid}, where the tree's digest should be \
         {expected:#x} and is {actual:#x}. This server's data differ from those of the server that ordered the \
         transaction; it serves them all the same. Compare the servers' snapshots with `ringkeeper compare`; a \
         follower whose version-2 folders are moved away gets everything from the leader"
    );
}

const REPORT_INTERVAL: Duration = Duration::from_secs(15 * 60);
