use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crossbeam::queue::SegQueue;
use ringkeeper_core::flow::CommitBatch;
use ringkeeper_core::tree::{Frozen, SnapshotTree};

/// What the commit role published and the snapshotter has not applied.
///
/// Posting wakes nobody, which would cost the commit role a system call each time: the snapshotter looks
/// often enough.
#[derive(Default)]
pub(super) struct Backlog {
    messages: SegQueue<ToSnapshotter>,
    steps: AtomicUsize,
    is_stopped: AtomicBool,
}

/// What the snapshotter is told.
pub(super) enum ToSnapshotter {
    /// What is published.
    Commit(Arc<CommitBatch>),
    /// Another state takes the place of the tree and its digest; there is a snapshot of it already, or somebody writes one.
    Replace(Box<SnapshotTree>, Option<u64>),
    /// The state is known to be committed, see [`super::SnapshotterOptions::is_settled`].
    Settle,
    /// Somebody wants the state as it is now.
    Freeze(Box<dyn FnOnce(Frozen) + Send>),
}

/// The commit role's end of the snapshotter's backlog.
#[derive(Clone)]
pub struct Feed(pub(super) Arc<Backlog>);

impl Feed {
    /// Hands over a batch.
    pub fn post(&self, batch: Arc<CommitBatch>) {
        self.0.steps.fetch_add(batch.steps.len(), Ordering::Relaxed);
        self.0.messages.push(ToSnapshotter::Commit(batch));
    }

    /// Another state, with this digest, takes the place of the tree. It comes from a disk, or goes to one in
    /// another way.
    pub fn replace(&self, tree: SnapshotTree, digest: Option<u64>) {
        self.0.messages.push(ToSnapshotter::Replace(Box::new(tree), digest));
    }

    /// What was posted is known to be committed, and the state that the snapshotter began with.
    pub fn settle(&self) {
        self.0.messages.push(ToSnapshotter::Settle);
    }

    /// Hands over the state as it is when all that was posted before is applied, on the snapshotter's thread.
    pub fn freeze(&self, done: impl FnOnce(Frozen) + Send + 'static) {
        self.0.messages.push(ToSnapshotter::Freeze(Box::new(done)));
    }

    /// Whether the snapshotter is so far behind that nothing more should be published for now: what waits
    /// for it takes memory.
    pub fn is_full(&self) -> bool {
        self.0.steps.load(Ordering::Relaxed) > STEPS_MAX
    }
}

impl Backlog {
    pub(super) fn take(&self) -> Option<ToSnapshotter> {
        let message = self.messages.pop()?;
        if let ToSnapshotter::Commit(batch) = &message {
            self.steps.fetch_sub(batch.steps.len(), Ordering::Relaxed);
        }
        Some(message)
    }

    /// Whether it is so far from being [full](Feed::is_full) that there is no hurry.
    pub(super) fn is_short(&self) -> bool {
        self.steps.load(Ordering::Relaxed) < STEPS_MAX / 8
    }

    /// Nothing will be posted any more.
    pub(super) fn stop(&self) {
        self.is_stopped.store(true, Ordering::Release);
    }

    /// If this is true, then what can be taken afterwards is all there will ever be.
    pub(super) fn is_stopped(&self) -> bool {
        self.is_stopped.load(Ordering::Acquire)
    }
}

/// About a second of writes at the highest rate. A step is about a hundred bytes besides its node.
const STEPS_MAX: usize = 2_000_000;

#[cfg(test)]
mod tests {
    use ringkeeper_core::flow::Step;
    use ringkeeper_core::id::Zxid;

    use super::*;

    #[test]
    fn a_backlog_is_full_at_its_bound_and_no_more_once_some_is_taken() {
        let backlog = Arc::new(Backlog::default());
        let feed = Feed(backlog.clone());
        let batch = |steps| {
            Arc::new(CommitBatch { steps: (0..steps).map(|_| Step::Zxid(Zxid(1))).collect(), digest: None })
        };
        feed.post(batch(STEPS_MAX));
        assert!(!feed.is_full());
        feed.post(batch(1));
        assert!(feed.is_full());
        assert!(
            matches!(backlog.take(), Some(ToSnapshotter::Commit(batch)) if batch.steps.len() == STEPS_MAX)
        );
        assert!(!feed.is_full());
    }
}
