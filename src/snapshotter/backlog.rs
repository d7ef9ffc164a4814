use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use crossbeam::queue::SegQueue;
use ringkeeper_core::flow::CommitBatch;

/// What the commit role published and the snapshotter has not applied.
///
/// Posting wakes nobody, which would cost the commit role a system call each time: the snapshotter looks
/// often enough.
#[derive(Debug, Default)]
pub(super) struct Backlog {
    batches: SegQueue<Arc<CommitBatch>>,
    steps: AtomicUsize,
    is_stopped: AtomicBool,
}

/// The commit role's end of the snapshotter's backlog.
#[derive(Clone, Debug)]
pub struct Feed(pub(super) Arc<Backlog>);

impl Feed {
    /// Hands over a batch.
    pub fn post(&self, batch: Arc<CommitBatch>) {
        self.0.steps.fetch_add(batch.steps.len(), Ordering::Relaxed);
        self.0.batches.push(batch);
    }

    /// Whether the snapshotter is so far behind that nothing more should be published for now: what waits
    /// for it takes memory.
    pub fn is_full(&self) -> bool {
        self.0.steps.load(Ordering::Relaxed) > STEPS_MAX
    }
}

impl Backlog {
    pub(super) fn take(&self) -> Option<Arc<CommitBatch>> {
        let batch = self.batches.pop()?;
        self.steps.fetch_sub(batch.steps.len(), Ordering::Relaxed);
        Some(batch)
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
        let batch =
            |steps| Arc::new(CommitBatch { steps: (0..steps).map(|_| Step::Zxid(Zxid(1))).collect() });
        feed.post(batch(STEPS_MAX));
        assert!(!feed.is_full());
        feed.post(batch(1));
        assert!(feed.is_full());
        assert_eq!(backlog.take().map(|batch| batch.steps.len()), Some(STEPS_MAX));
        assert!(!feed.is_full());
    }
}
