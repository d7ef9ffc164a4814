use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use ringkeeper_core::format::snapshot::Compression;
use ringkeeper_core::id::Zxid;
use ringkeeper_core::tree::Frozen;

use crate::storage::disk::Os;
use crate::storage::purge::Purge;
use crate::storage::snapshot::{Draft, Pace, SharedPace, save};

/// A thread that writes one snapshot.
pub(super) struct Writer {
    zxid: Zxid,
    pace: Arc<SharedPace>,
    thread: JoinHandle<io::Result<Written>>,
}

/// A snapshot that is on the disk.
pub(super) struct Written {
    pub(super) path: PathBuf,
    pub(super) took: Duration,
}

impl Writer {
    /// Starts to write this state, and then to purge what it makes superfluous. Whoever calls this is woken
    /// when it is done.
    pub(super) fn start(
        folder: &Path,
        compression: Compression,
        state: Frozen,
        pace: Pace,
        purge: Arc<Purge>,
    ) -> io::Result<Writer> {
        let (zxid, folder, caller) = (state.zxid(), folder.to_owned(), thread::current());
        let shared_pace = Arc::new(SharedPace::new(pace));
        let pace_of_writer = shared_pace.clone();
        let work = move || {
            // At a clean stop somebody waits for it, and the executors have ended.
            if pace == Pace::Shared {
                yield_to_executors();
            }
            let began = Instant::now();
            let saved = save(&Os, &folder, state, compression, &pace_of_writer, Draft::Own);
            let took = began.elapsed();
            if saved.is_ok() {
                purge.after_snapshot();
            }
            caller.unpark();
            Ok(Written { path: saved?, took })
        };
        let thread = thread::Builder::new().name("snapshot".into()).spawn(work)?;
        Ok(Writer { zxid, pace: shared_pace, thread })
    }

    /// Of which state the snapshot is.
    pub(super) fn zxid(&self) -> Zxid {
        self.zxid
    }

    /// Goes on at this pace.
    pub(super) fn set_pace(&self, pace: Pace) {
        self.pace.set(pace);
    }

    pub(super) fn is_finished(&self) -> bool {
        self.thread.is_finished()
    }

    /// Waits until the snapshot is written.
    pub(super) fn join(self) -> io::Result<Written> {
        self.thread.join().unwrap_or_else(|_| Err(io::Error::other("the thread that wrote it is gone")))
    }
}

/// Lets every executor run before this thread wherever they share a CPU.
pub(super) fn yield_to_executors() {
    if let Err(errno) = rustix::process::nice(NICENESS_MAX) {
        tracing::debug!("snapshots are written at the priority of everything else: {errno}");
    }
}

const NICENESS_MAX: i32 = 19;
