use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Instant;

use super::writer::yield_to_executors;
use crate::storage::purge::Purge;

/// Purges at the start, and then in the configured interval, each time on a thread of its own: removing files
/// may take as long as the disk likes.
pub(super) struct Purger {
    purge: Arc<Purge>,
    due: Option<Instant>,
    running: Option<JoinHandle<()>>,
}

impl Purger {
    /// A purger that is due.
    pub(super) fn new(purge: Arc<Purge>, now: Instant) -> Purger {
        Purger { purge, due: Some(now), running: None }
    }

    /// Begins if it is due and the last time is over.
    pub(super) fn on_time(&mut self, now: Instant) {
        let is_running = self.running.as_ref().is_some_and(|thread| !thread.is_finished());
        if is_running || self.due.is_none_or(|due| now < due) {
            return;
        }
        self.due = self.purge.interval().map(|interval| now + interval);
        let purge = self.purge.clone();
        let work = move || {
            yield_to_executors();
            purge.run();
        };
        match thread::Builder::new().name("purge".into()).spawn(work) {
            Ok(thread) => self.running = Some(thread),
            Err(error) => tracing::warn!("nothing is purged for now: no thread could be started: {error}"),
        }
    }

    /// Waits for the one that is running.
    pub(super) fn join(self) {
        // A panic of its thread has ended the process, unless a test runs this.
        let _ = self.running.map(JoinHandle::join);
    }
}
