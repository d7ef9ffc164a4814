//! The log's role: writes, and for a member of an ensemble is cut off or begun anew when its leader says so.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use futures_channel::oneshot;
use ringkeeper_core::format::snapshot::Compression;
use ringkeeper_core::format::wal::RecordBatch;
use ringkeeper_core::id::Zxid;
use ringkeeper_core::prep::PipelineOptions;
use ringkeeper_core::tree::{DataTree, Frozen, TreeOptions};

use crate::runtime::{Inbox, Reason, Sender, fatal};
use crate::storage::cut;
use crate::storage::disk::Os;
use crate::storage::recovery::{self, Folders};
use crate::storage::snapshot::{self, Draft, Pace, SharedPace};
use crate::storage::wal::{self, Batches, Recovered, Wal, WalHandle};
use crate::wiring::{ToCommit, ToLog};

/// Where the log and the snapshots lie, for when they are to be changed.
#[derive(Clone)]
pub(super) struct LogKeeper {
    pub(super) snapshots: PathBuf,
    pub(super) logs: PathBuf,
    pub(super) wal: wal::Options,
    pub(super) tree: TreeOptions,
    pub(super) pipeline: PipelineOptions,
    pub(super) trust_empty: bool,
    /// Whether snapshots say their zxid.
    pub(super) has_last_zxid: bool,
    /// How the log is told what it need not keep: another way after each change.
    pub(super) handle: Arc<Mutex<WalHandle>>,
}

impl LogKeeper {
    /// Runs until the inbox is closed and everything in it is written.
    pub(super) async fn run(self, mut recovered: Recovered, inbox: Inbox<ToLog>, commit: Sender<ToCommit>) {
        let mut inbox = LogInbox { inbox, change: None };
        let (mut cuts, stats) = (0, recovered.stats());
        loop {
            let durable = |durable| commit.post(ToCommit::Durable(durable, cuts));
            let rest = match Wal::open(recovered).await {
                Ok(wal) => wal.run(&mut inbox, durable).await,
                Err(error) => {
                    fatal(Reason::LogWrite, format_args!("cannot open the log for writing: {error}"))
                }
            };
            let Some(change) = inbox.change.take() else {
                on_a_thread(move || drop(rest)).await;
                break;
            };
            cuts += 1;
            let keeper = self.clone();
            let changed = on_a_thread(move || {
                drop(rest);
                keeper.perform(change)
            });
            match changed.await {
                Ok((log, told)) => {
                    recovered = log;
                    recovered.count_on(stats.clone());
                    *self.handle.lock().unwrap_or_else(PoisonError::into_inner) = recovered.handle();
                    commit.post(told);
                }
                Err(error) => fatal(Reason::LeaderMisbehaved, error),
            }
        }
        commit.post(ToCommit::LogEnded);
    }

    fn perform(&self, change: Change) -> Result<(Recovered, ToCommit), wal::BoxError> {
        match change {
            Change::Cut { zxid, rebuild } => {
                let (log, tree) = self.cut(zxid, rebuild)?;
                Ok((log, ToCommit::LogCut(tree)))
            }
            Change::Restart(state) => Ok((self.restart(state)?, ToCommit::TreeSaved)),
        }
    }

    /// Later snapshots go first, or what the log loses would come back with them. A database that would have to be
    /// built anew and cannot be stays as it is: it may be needed for what others have acknowledged.
    fn cut(&self, zxid: Zxid, rebuild: bool) -> Result<(Recovered, Option<Box<DataTree>>), wal::BoxError> {
        let folders = Folders { snapshots: &self.snapshots, logs: &self.logs };
        if !rebuild || zxid.counter() == 0 || cut::leads_to(folders, zxid)? {
            snapshot::set_aside_after(&Os, &self.snapshots, zxid)?;
            cut::truncate(&Os, folders, zxid)?;
        }
        if !rebuild {
            let log = wal::read(&self.logs, |_| Ok(()))?;
            return Ok((log.make_ready(Arc::new(Os), self.wal, zxid)?, None));
        }
        let recovered =
            recovery::recover(folders, self.pipeline.clone(), self.tree, self.wal, self.trust_empty)?;
        Ok((recovered.wal, Some(Box::new(recovered.pipeline.tree().clone()))))
    }

    /// What the log has after the state is gone before the snapshot counts, so that it is never replayed on
    /// top of it.
    fn restart(&self, state: Frozen) -> Result<Recovered, wal::BoxError> {
        let zxid = state.zxid();
        let state = state.with_last_zxid(self.has_last_zxid);
        snapshot::set_aside_after(&Os, &self.snapshots, zxid)?;
        cut::reset(&Os, Folders { snapshots: &self.snapshots, logs: &self.logs }, zxid)?;
        let pace = SharedPace::new(Pace::Full);
        snapshot::save(&Os, &self.snapshots, state, Compression::None, &pace, Draft::Received)?;
        let log = wal::read(&self.logs, |_| Ok(()))?;
        Ok(log.make_ready(Arc::new(Os), self.wal, zxid)?)
    }
}

/// Waits for what takes the disk's time, which nobody else on this executor has to.
async fn on_a_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let (done, result) = oneshot::channel();
    let work = move || drop(done.send(work()));
    if let Err(error) = thread::Builder::new().name("log change".into()).spawn(work) {
        fatal(Reason::LogWrite, format_args!("the log cannot be changed or closed: no thread: {error}"));
    }
    match result.await {
        Ok(result) => result,
        Err(_) => fatal(Reason::LogWrite, "the thread that was to change or close the log is gone"),
    }
}

/// What must be done to the log while nobody writes it.
enum Change {
    Cut { zxid: Zxid, rebuild: bool },
    Restart(Frozen),
}

/// The log's inbox, as far as the next change.
struct LogInbox {
    inbox: Inbox<ToLog>,
    change: Option<Change>,
}

impl LogInbox {
    fn sort(&mut self, message: ToLog) -> Option<RecordBatch> {
        match message {
            ToLog::Records(records) => return Some(records),
            ToLog::Cut { zxid, rebuild } => self.change = Some(Change::Cut { zxid, rebuild }),
            ToLog::Restart(state) => self.change = Some(Change::Restart(state)),
        }
        None
    }
}

impl Batches for &mut LogInbox {
    async fn next(&mut self) -> Option<RecordBatch> {
        if self.change.is_some() {
            return None;
        }
        let message = self.inbox.take_one().await?;
        self.sort(message)
    }

    fn try_next(&mut self) -> Option<RecordBatch> {
        if self.change.is_some() {
            return None;
        }
        let message = self.inbox.try_take()?;
        self.sort(message)
    }
}
