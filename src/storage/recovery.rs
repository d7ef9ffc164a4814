//! The state that a server starts with: the newest snapshot, and what the logs hold after it.
//!
//! A folder may have been Java's, ours, and Java's again. Snapshots are alike whoever wrote them; of the two
//! logs, Java's `log.*` and our own, each entry is taken in the order of zxids. No file of Java's is changed
//! or deleted.

use std::path::Path;

use ringkeeper_core::id::Zxid;
use ringkeeper_core::prep::{Pipeline, PipelineOptions};
use ringkeeper_core::tree::{DataTree, TreeOptions};
use thiserror::Error;
use tracing::info;

use super::java_log::{JavaLog, JavaLogError};
use super::snapshot::{self, LoadError};
use super::wal;

/// Why the state cannot be recovered. Nothing has been changed.
#[derive(Debug, Error)]
#[allow(missing_docs, reason = "the texts say what each is")]
pub enum RecoverError {
    #[error(transparent)]
    Snapshot(#[from] LoadError),
    #[error(transparent)]
    JavaLog(#[from] JavaLogError),
    #[error(transparent)]
    Wal(#[from] wal::RecoverError),
    #[error("Java's log: entry {zxid}: {source}")]
    Entry { zxid: Zxid, source: wal::BoxError },
    #[error(
        "No snapshot found, but there are log entries: a snapshot of Java's is missing. If this folder is of \
         ZooKeeper 3.4, which may have none, set snapshot.trust.empty=true once"
    )]
    NoSnapshot,
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

/// Recovers the state, and makes our log ready to be written.
///
/// `trust_empty` is `snapshot.trust.empty`: whether a log of Java's without any snapshot starts from an
/// empty tree.
pub fn recover(
    folders: Folders<'_>,
    options: PipelineOptions,
    tree_options: TreeOptions,
    wal_options: wal::Options,
    trust_empty: bool,
) -> Result<Recovery, RecoverError> {
    let loaded = snapshot::load_newest(folders.snapshots, tree_options)?;
    let snapshot = loaded.as_ref().map(|loaded| loaded.tree.last_zxid());
    let tree = loaded.map_or_else(|| DataTree::new(tree_options), |loaded| loaded.tree);
    let mut java = JavaLog::open(folders.logs, tree.last_zxid())?;
    let mut pipeline = Pipeline::new(options, tree);
    let wal = wal::recover(folders.logs, wal_options, |zxid, payload| {
        replay(&mut java, Some(zxid), &mut pipeline)?;
        match java.next_zxid()? {
            Some(javas) if javas == zxid => Err(RecoverError::Diverged { zxid }.into()),
            _ => Ok(pipeline.recover(payload)?),
        }
    })?;
    replay(&mut java, None, &mut pipeline)?;
    if java.taken() > 0 {
        if snapshot.is_none() && !trust_empty {
            return Err(RecoverError::NoSnapshot);
        }
        info!("{} entries of Java's log are replayed", java.taken());
    }
    Ok(Recovery { pipeline, wal, snapshot })
}

fn replay(java: &mut JavaLog, limit: Option<Zxid>, pipeline: &mut Pipeline) -> Result<(), RecoverError> {
    while let Some((zxid, payload)) = java.next_before(limit)? {
        let applied = pipeline.recover(payload);
        applied.map_err(|source| RecoverError::Entry { zxid, source: source.into() })?;
    }
    Ok(())
}
