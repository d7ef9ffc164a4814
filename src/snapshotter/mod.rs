//! The snapshotter: an ordinary thread that follows what is published with an index of its own, and writes
//! snapshots of it. Nobody waits for it.
//!
//! ```text
//!   commit --CommitBatch--> [ snapshotter: applies, decides when ] --Frozen--> [ writer, one per snapshot ]
//! ```
//!
//! A snapshot is exact: it is the state between two batches, [frozen](SnapshotTree::freeze) and then written by a
//! thread of its own, at a pace that leaves the device to the log, while the snapshotter goes on to apply. A
//! snapshot that fails is reported and tried again later; the server goes on, since the log has everything.
//!
//! When a snapshot is due is decided as in Java: see [`SnapshotTrigger`]. Another is written at the start if
//! the log had to be replayed, and one at a clean stop, so that a Java server can go on from there.
//!
//! The thread also watches how much room the log has, see [`SpaceWatch`], and sees that old snapshots and old
//! parts of the log go, see [`Purge`].

mod backlog;
mod purger;
mod space;
mod writer;

use std::path::PathBuf;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use ringkeeper_core::flow::{CommitBatch, STEPS_AHEAD, Step};
use ringkeeper_core::format::snapshot::Compression;
use ringkeeper_core::id::Zxid;
use ringkeeper_core::snap_trigger::{SnapshotTrigger, TriggerOptions};
use ringkeeper_core::tree::{Frozen, SnapshotTree};

pub use backlog::Feed;
use backlog::{Backlog, ToSnapshotter};
use purger::Purger;
pub use space::SpaceWatch;
use writer::{Writer, Written};

use crate::storage::purge::Purge;
use crate::storage::snapshot::Pace;
use crate::storage::wal::WalStats;

/// What the snapshotter must know.
#[derive(Clone, Debug)]
pub struct SnapshotterOptions {
    /// Where snapshots lie: `version-2` in `dataDir`.
    pub folder: PathBuf,
    /// How they are compressed.
    pub compression: Compression,
    /// Whether they say their zxid.
    pub has_last_zxid: bool,
    /// When they are due.
    pub trigger: TriggerOptions,
    /// Seeds the trigger.
    pub seed: u64,
    /// Whether the state at the start is known to be committed. If it is not, as a member of an ensemble's, no
    /// snapshot is written before the commit role says so: what a leader has cut off must not come back.
    pub is_settled: bool,
}

/// A snapshotter that runs.
pub struct Running {
    backlog: Arc<Backlog>,
    thread: JoinHandle<()>,
}

/// The snapshotter on its thread.
struct Snapshotter {
    options: SnapshotterOptions,
    backlog: Arc<Backlog>,
    tree: SnapshotTree,
    /// The tree's, which the commit role keeps.
    digest: Option<u64>,
    trigger: SnapshotTrigger,
    log: Arc<WalStats>,
    log_bytes: u64,
    space: SpaceWatch,
    purge: Arc<Purge>,
    purger: Purger,
    /// Of which state the newest snapshot is.
    saved: Option<Zxid>,
    writer: Option<Writer>,
    is_settled: bool,
    /// A snapshot is wanted however little was logged: at the start, and after one that failed.
    is_wanted: bool,
    /// After a failure.
    not_before: Option<Instant>,
}

impl Running {
    /// Starts with this state, which is the one that the commit role starts with, and its digest. `saved` is the state of
    /// which there is a snapshot already.
    pub fn start(
        options: SnapshotterOptions,
        (tree, digest): (SnapshotTree, Option<u64>),
        saved: Option<Zxid>,
        log: Arc<WalStats>,
        space: SpaceWatch,
        purge: Purge,
    ) -> std::io::Result<Running> {
        let backlog = Arc::new(Backlog::default());
        let trigger = SnapshotTrigger::new(options.trigger, options.seed);
        let log_bytes = log.figures().bytes;
        let purge = Arc::new(purge);
        let purger = Purger::new(purge.clone(), Instant::now());
        let snapshotter = Snapshotter {
            is_settled: options.is_settled,
            is_wanted: saved != Some(tree.last_zxid()),
            options,
            backlog: backlog.clone(),
            tree,
            digest,
            trigger,
            log,
            log_bytes,
            space,
            purge,
            purger,
            saved,
            writer: None,
            not_before: None,
        };
        let thread = thread::Builder::new().name("snapshotter".into()).spawn(move || snapshotter.run())?;
        Ok(Running { backlog, thread })
    }

    /// Where the commit role posts what it publishes.
    pub fn feed(&self) -> Feed {
        Feed(self.backlog.clone())
    }

    /// When nothing is posted any more: waits until everything is applied and there is a snapshot of it, or
    /// the attempt has failed and was reported.
    pub fn stop(self) {
        self.backlog.stop();
        self.thread.thread().unpark();
        if self.thread.join().is_err() {
            // A panic has ended the process, unless a test runs this.
            tracing::error!("the snapshotter is gone: there is no snapshot of the final state");
        }
    }
}

impl Snapshotter {
    fn run(mut self) {
        loop {
            let is_stopped = self.backlog.is_stopped();
            self.catch_up();
            if is_stopped {
                return self.finish();
            }
            self.collect();
            let now = Instant::now();
            self.space.look(now);
            self.purger.on_time(now);
            let is_due = self.is_wanted || self.trigger.is_due();
            let may_begin =
                self.is_settled && self.writer.is_none() && self.not_before.is_none_or(|at| now >= at);
            if may_begin && is_due {
                self.begin(Pace::Shared);
            }
            thread::park_timeout(LOOK_INTERVAL);
        }
    }

    /// Applies what is published.
    fn catch_up(&mut self) {
        let mut transactions = 0;
        while let Some(message) = self.backlog.take() {
            match message {
                ToSnapshotter::Commit(batch) => transactions += self.apply(&batch),
                ToSnapshotter::Replace(tree, digest) => {
                    (self.tree, self.digest) = (*tree, digest);
                    self.saved = Some(self.tree.last_zxid());
                    self.trigger.reset();
                }
                ToSnapshotter::Settle => self.is_settled = true,
                ToSnapshotter::Freeze(done) => done(self.freeze()),
            }
        }
        let log_bytes = self.log.figures().bytes;
        self.trigger.on_logged(transactions, log_bytes - self.log_bytes);
        self.log_bytes = log_bytes;
    }

    /// Returns how many transactions there are in the batch.
    fn apply(&mut self, batch: &CommitBatch) -> u64 {
        let mut transactions = 0;
        self.digest = batch.digest.or(self.digest);
        for steps in batch.steps.chunks(STEPS_AHEAD) {
            self.tree.look_ahead_to_steps(steps.iter().filter_map(Step::delta));
            for step in steps {
                match step {
                    Step::Zxid(zxid) => {
                        self.tree.advance(*zxid);
                        transactions += 1;
                    }
                    Step::Delta(delta, place) => self.tree.apply_at(delta, *place),
                    Step::Reply(_) | Step::Close(_) => {}
                }
            }
        }
        transactions
    }

    fn begin(&mut self, pace: Pace) {
        self.trigger.reset();
        (self.not_before, self.is_wanted) = (None, false);
        let SnapshotterOptions { folder, compression, .. } = &self.options;
        match Writer::start(folder, *compression, self.freeze(), pace, self.purge.clone()) {
            Ok(writer) => self.writer = Some(writer),
            Err(error) => self.failed(&error),
        }
    }

    /// The state as it is now. A large tree takes a tenth of a second, in which executors that share the processor are
    /// let go first time and again, unless so much waits to be applied that there is a hurry.
    fn freeze(&self) -> Frozen {
        let pause = || {
            if self.backlog.is_short() {
                thread::yield_now();
            }
        };
        self.tree.freeze(pause).with_digest(self.digest).with_last_zxid(self.options.has_last_zxid)
    }

    /// Takes note of a snapshot that is finished.
    fn collect(&mut self) {
        if let Some(writer) = self.writer.take_if(|writer| writer.is_finished()) {
            self.end(writer);
        }
    }

    fn end(&mut self, writer: Writer) {
        let zxid = writer.zxid();
        match writer.join() {
            Ok(written) => {
                let Written { path, took } = written;
                tracing::info!("{} is written, in {} ms", path.display(), took.as_millis());
                self.saved = Some(zxid);
            }
            Err(error) => self.failed(&error),
        }
    }

    /// Leaves a snapshot of the final state behind. One that is being written is finished if it is that, and
    /// thrown away if it is not.
    fn finish(mut self) {
        let last = self.tree.last_zxid();
        if let Some(writer) = self.writer.take() {
            let is_of_last = writer.zxid() == last;
            writer.set_pace(if is_of_last { Pace::Full } else { Pace::GiveUp });
            match is_of_last {
                true => self.end(writer),
                false => drop(writer.join()),
            }
        }
        if self.is_settled && self.saved != Some(last) {
            self.begin(Pace::Full);
            if let Some(writer) = self.writer.take() {
                self.end(writer);
            }
        }
        self.purger.join();
    }

    fn failed(&mut self, error: &std::io::Error) {
        (self.not_before, self.is_wanted) = (Some(Instant::now() + RETRY_AFTER), true);
        tracing::error!(
            "no snapshot could be written to {}: {error}. Nothing is lost, for the log has everything; but until \
             there is a snapshot a start takes longer, the log takes more room, and no Java server should be \
             started on this folder. Make room, or see to the disk",
            self.options.folder.display()
        );
    }
}

/// How long what is published may wait to be applied.
const LOOK_INTERVAL: Duration = Duration::from_millis(20);
/// After a snapshot has failed.
const RETRY_AFTER: Duration = Duration::from_secs(10);
