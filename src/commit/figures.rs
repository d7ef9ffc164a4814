use std::sync::atomic::{AtomicUsize, Ordering};

use ringkeeper_core::prep::Pipeline;

/// What other threads may see of the commit role. Each figure is right by itself; two of them need not
/// be of the same moment.
#[derive(Debug, Default)]
pub struct CommitFigures {
    outstanding: AtomicUsize,
    global_sessions: AtomicUsize,
}

impl CommitFigures {
    /// Requests that were taken and not answered yet.
    pub fn outstanding(&self) -> usize {
        self.outstanding.load(Ordering::Relaxed)
    }

    /// Open sessions.
    pub fn global_sessions(&self) -> usize {
        self.global_sessions.load(Ordering::Relaxed)
    }

    pub(super) fn note(&self, pipeline: &Pipeline) {
        self.outstanding.store(pipeline.outstanding(), Ordering::Relaxed);
        self.global_sessions.store(pipeline.global_sessions(), Ordering::Relaxed);
    }
}
