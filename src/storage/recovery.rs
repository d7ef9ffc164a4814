//! The state that a server starts with: the newest snapshot, and what the logs hold after it.
//!
//! A folder may have been Java's, ours, and Java's again. Snapshots are alike whoever wrote them; of the two
//! logs, Java's `log.*` and our own, each entry is taken in the order of zxids. No file of Java's is changed
//! or deleted. What both logs have must be the same, as a crash during a [hand-over](super::hand_over) leaves it.
//!
//! # What may be missing
//!
//! Old parts of both logs go when snapshots cover them, so a state is served only if nothing is missing
//! between the snapshot and the last entry. Each batch of our log says which state it continues. Java's
//! entries do not, but within an epoch their zxids follow one another: where a file does not go on from the
//! state before it, one is missing (Java 3.9.5 refuses that as well), and where a zxid comes again, the files
//! are of two histories. Within a file Java's own gaps are taken as they are. Nor is a state served that is
//! older than the newest snapshot's name says, if that cannot be loaded. What is missing at the very end of
//! the last log, whole entries, shows nowhere else.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ringkeeper_core::format::wal::Record;
use ringkeeper_core::id::Zxid;
use ringkeeper_core::ops;
use ringkeeper_core::prep::{Pipeline, PipelineOptions};
use ringkeeper_core::tree::{DataTree, TreeOptions};
use thiserror::Error;
use tracing::{info, warn};

use super::disk::{Disk, Os};
use super::java_log::{Entry, JavaLog, JavaLogError};
use super::snapshot::{self, LoadError, Loaded};
use super::wal;

/// Why the state cannot be recovered. Nothing has been changed, unless the operating system refused something
/// while our log was made ready: see [`wal::RecoverError`].
#[derive(Debug, Error)]
#[allow(missing_docs, reason = "the texts say what each is")]
pub enum RecoverError {
    #[error(transparent)]
    Snapshot(#[from] LoadError),
    #[error(transparent)]
    JavaLog(#[from] JavaLogError),
    #[error(transparent)]
    Wal(#[from] wal::RecoverError),
    #[error("{}: at offset {offset} ({offset:#x}), entry {zxid}: {source}", path.display())]
    Entry { path: PathBuf, offset: usize, zxid: Zxid, source: wal::BoxError },
    #[error("cannot make durable what was read from {}: {source}", folder.display())]
    Sync { folder: PathBuf, source: io::Error },
    #[error(
        "No snapshot found, but there are log entries, of which the first is {first}: what came before it is \
         missing, with the snapshot of Java's that it was in. Put that back; or, to start without all that, \
         set snapshot.trust.empty=true once"
    )]
    NoSnapshot { first: Zxid },
    #[error(
        "the snapshot of {snapshot} cannot be loaded, and what else there is ends at {state}: the transactions \
         between are in no file here. A warning above names what is damaged: put a good copy back; or, to start \
         without what is lost, move it away. Nothing has been changed"
    )]
    Short { state: Zxid, snapshot: Zxid },
    #[error(
        "it continues the state at {after}, but what there is to load ends at {state}: the transactions between \
         are in no file here. A snapshot after {state} is damaged (then a warning above names it) or missing: \
         put a good copy back. In an ensemble that has a quorum without this server, move version-2 of dataDir \
         and of dataLogDir away and start again: the leader sends everything. Nothing has been changed"
    )]
    Gap { after: Zxid, state: Zxid },
    #[error(
        "{}: the log can't be brought back to {zxid}, for what it has after that continues {after}: it needs a \
         whole snapshot from its leader instead. Nothing has been changed", folder.display()
    )]
    OutOfReach { folder: PathBuf, zxid: Zxid, after: Zxid },
    #[error(
        "Java's log and ours both have a transaction {zxid}: a Java server was started on this folder after \
         ringkeeper had ended without a clean stop, so each has acknowledged what the other does not know. \
         Decide which to keep, and move the other's files away: wal.*, or log.* and the snapshots from {zxid} on"
    )]
    Diverged { zxid: Zxid },
}

/// Where the state lies.
#[derive(Clone, Copy, Debug)]
pub struct Folders<'a> {
    /// `version-2` in `dataDir`.
    pub snapshots: &'a Path,
    /// `version-2` in `dataLogDir`.
    pub logs: &'a Path,
}

/// What was recovered.
pub struct Recovery {
    /// The state.
    pub pipeline: Pipeline,
    /// Our log, ready to be written.
    pub wal: wal::Recovered,
    /// Of which state there is a snapshot that is whole, if of any.
    pub snapshot: Option<Zxid>,
}

/// Recovers the state with [`read`], and makes our log ready to be written.
pub fn recover(
    folders: Folders<'_>,
    options: PipelineOptions,
    tree_options: TreeOptions,
    wal_options: wal::Options,
    trust_empty: bool,
) -> Result<Recovery, RecoverError> {
    read(folders, options, tree_options, trust_empty)?.make_ready(Arc::new(Os), wal_options)
}

/// Reads the state. Nothing is changed.
///
/// A log of Java's without any snapshot must begin at the beginning, as one of 3.4 may, unless `trust_empty`
/// (`snapshot.trust.empty`) says that what came before it may be missing.
pub fn read(
    folders: Folders<'_>,
    options: PipelineOptions,
    tree_options: TreeOptions,
    trust_empty: bool,
) -> Result<ReadState<'_>, RecoverError> {
    let loaded = snapshot::load_newest(folders.snapshots, tree_options)?;
    let (snapshot, path, tree) = match loaded {
        Some(Loaded { tree, path, digest }) => (Some(tree.last_zxid()), Some((path, digest)), tree),
        None => (None, None, DataTree::new(tree_options)),
    };
    let mut pipeline = Pipeline::new(options, tree);
    let path = path.map(|(path, digest)| {
        digest.inspect(|digest| pipeline.check_snapshot(*digest));
        path
    });
    let base = if snapshot.is_some() { Base::Snapshot } else { Base::Nothing { trust_empty } };
    let logs = replay(folders, base, &mut pipeline)?;
    if logs.java.taken() > 0 {
        info!("{} entries of Java's log are replayed", logs.java.taken());
    }
    let digests = pipeline.digests();
    if let Some(ops::Mismatch { zxid, expected, actual }) = digests.last_mismatch() {
        warn!(
            "{} of {} digests in the files are not those of the tree: the last is that of {zxid}, {expected:#x} \
             instead of {actual:#x}",
            digests.mismatches(),
            digests.compared()
        );
    }
    Ok(ReadState { folders, pipeline, snapshot, path, logs })
}

/// A state that has been read.
pub struct ReadState<'a> {
    folders: Folders<'a>,
    pipeline: Pipeline,
    snapshot: Option<Zxid>,
    path: Option<PathBuf>,
    logs: Replayed,
}

impl ReadState<'_> {
    /// What there is.
    pub fn tree(&self) -> &DataTree {
        self.pipeline.tree()
    }

    /// Makes durable what was read, and then our log [ready to be written](wal::ReadLog::make_ready).
    pub fn make_ready(
        self,
        disk: Arc<dyn Disk>,
        wal_options: wal::Options,
    ) -> Result<Recovery, RecoverError> {
        let ReadState { folders, pipeline, snapshot, path, logs } = self;
        sync(&*disk, folders, path.as_deref(), &logs.java)?;
        let wal = logs.log.make_ready(disk, wal_options, pipeline.last_zxid())?;
        Ok(Recovery { pipeline, wal, snapshot })
    }
}

/// A state, to which transactions are added.
pub trait State {
    /// The zxid of the last transaction that is in it.
    fn last_zxid(&self) -> Zxid;

    /// Adds a transaction, given as it is stored: header and transaction. One that is in it changes nothing.
    fn recover(&mut self, payload: &[u8]) -> Result<(), wal::BoxError>;
}

impl State for Pipeline {
    fn last_zxid(&self) -> Zxid {
        Pipeline::last_zxid(self)
    }

    fn recover(&mut self, payload: &[u8]) -> Result<(), wal::BoxError> {
        Ok(Pipeline::recover(self, payload)?)
    }
}

/// Logs that have been replayed.
pub struct Replayed {
    /// Java's.
    pub java: JavaLog,
    /// Ours, not ready to be written yet.
    pub log: wal::ReadLog,
}

/// Adds to a state what both logs of a folder hold after it. Changes nothing on disk.
pub fn replay(folders: Folders<'_>, base: Base, state: &mut impl State) -> Result<Replayed, RecoverError> {
    let mut java = JavaLog::open(folders.logs, state.last_zxid())?;
    let log = wal::read(folders.logs, |record| replay_ours(record, &mut java, base, state))?;
    replay_java(&mut java, Zxid(i64::MAX), base, state)?;
    let state = state.last_zxid();
    match snapshot::newest_zxid(folders.snapshots).filter(|newest| *newest > state) {
        Some(snapshot) => Err(RecoverError::Short { state, snapshot }),
        None => Ok(Replayed { java, log }),
    }
}

/// What the logs are replayed on.
#[derive(Clone, Copy, Debug)]
pub enum Base {
    /// A snapshot.
    Snapshot,
    /// An empty tree, which a log of Java's may go on from wherever it begins, if `trust_empty`.
    Nothing {
        /// `snapshot.trust.empty`.
        trust_empty: bool,
    },
}

fn replay_ours(
    record: Record<'_>,
    java: &mut JavaLog,
    base: Base,
    replayed: &mut impl State,
) -> Result<(), wal::BoxError> {
    let Record { after, zxid, payload } = record;
    replay_java(java, after, base, replayed)?;
    let state = replayed.last_zxid();
    if state < after {
        return Err(RecoverError::Gap { after, state }.into());
    }
    match java.next_zxid()? {
        // A crash while our log's end was handed over has left it in both.
        Some(javas) if javas == zxid && java.next_payload()? == Some(payload) => {
            java.next_upto(zxid)?;
        }
        Some(javas) if javas <= zxid => return Err(RecoverError::Diverged { zxid: javas }.into()),
        _ => {}
    }
    replayed.recover(payload)
}

fn replay_java(
    java: &mut JavaLog,
    upto: Zxid,
    base: Base,
    replayed: &mut impl State,
) -> Result<(), RecoverError> {
    while let Some(entry) = java.next_upto(upto)? {
        check_place(&entry, replayed.last_zxid(), base)?;
        let Entry { zxid, payload, path, offset, .. } = entry;
        replayed.recover(payload).map_err(|source| RecoverError::Entry {
            path: path.to_owned(),
            offset,
            zxid,
            source,
        })?;
    }
    Ok(())
}

/// Whether an entry of Java's may be the next after this state.
fn check_place(entry: &Entry<'_>, state: Zxid, base: Base) -> Result<(), RecoverError> {
    let Entry { zxid, path, offset, begins, .. } = *entry;
    let is_first = state == Zxid::ZERO;
    match base {
        _ if zxid <= state => {
            return Err(JavaLogError::Back { path: path.to_owned(), offset, state, zxid }.into());
        }
        Base::Nothing { trust_empty: true } if is_first => {}
        Base::Nothing { trust_empty: false } if is_first && !is_first_ever(zxid) => {
            return Err(RecoverError::NoSnapshot { first: zxid });
        }
        _ if begins && !may_follow(zxid, state) => {
            return Err(JavaLogError::Gap { path: path.to_owned(), state, first: zxid }.into());
        }
        _ => {}
    }
    Ok(())
}

/// Whether nothing can have come before: the first transaction of a server alone, or of an ensemble.
fn is_first_ever(zxid: Zxid) -> bool {
    zxid.counter() == 1 && zxid.epoch() <= 1
}

/// Whether an entry of Java's may be the first after this state. A leader's first in its epoch is 1.
fn may_follow(zxid: Zxid, state: Zxid) -> bool {
    match zxid.epoch() == state.epoch() {
        true => zxid == state.next(),
        false => zxid.counter() <= 1,
    }
}

/// Also what was read before it was durable must not be lost once it has been served: our log goes on from
/// there.
fn sync(
    disk: &dyn Disk,
    folders: Folders<'_>,
    snapshot: Option<&Path>,
    java: &JavaLog,
) -> Result<(), RecoverError> {
    let failed = |folder: &Path| {
        let folder = folder.to_owned();
        |source| RecoverError::Sync { folder, source }
    };
    let synced = snapshot.map_or(Ok(()), |path| disk.sync(&File::open(path)?));
    let synced = synced.and_then(|()| disk.sync_dir(folders.snapshots));
    synced.map_err(failed(folders.snapshots))?;
    java.sync(disk).map_err(failed(folders.logs))
}
