//! The state that a server starts with: the newest snapshot, and what the logs hold after it.
//!
//! A folder may have been Java's, ours, and Java's again. Snapshots are alike whoever wrote them; of the two
//! logs, Java's `log.*` and our own, each entry is taken in the order of zxids. No file of Java's is changed
//! or deleted.

use std::path::{Path, PathBuf};

use ringkeeper_core::id::Zxid;
use ringkeeper_core::prep::{Pipeline, PipelineOptions};
use ringkeeper_core::tree::{DataTree, TreeOptions};
use thiserror::Error;
use tracing::info;

use super::java_log::{JavaLog, JavaLogError, Taken};
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
    #[error("{}: at offset {offset} ({offset:#x}), entry {zxid}: {source}", path.display())]
    Entry { path: PathBuf, offset: usize, zxid: Zxid, source: wal::BoxError },
    #[error(
        "No snapshot found, but there are log entries, of which the first is {first}: what came before it is \
         missing, with the snapshot of Java's that it was in. Put that back; or, to start without all that, \
         set snapshot.trust.empty=true once"
    )]
    NoSnapshot { first: Zxid },
    #[error(
        "none of the snapshots up to {zxid} can be loaded but one of before, and the logs that are there end with \
         {last}: what came between them is lost. The warnings above name what is damaged; put a good copy of it \
         back. To start without what is lost, move the damaged snapshots away"
    )]
    Short { last: Zxid, zxid: Zxid },
    #[error(
        "Java's log and ours both have a transaction {zxid}: a Java server was started on this folder after \
         ringkeeper had ended without a clean stop, so each has acknowledged what the other does not know. \
         Decide which to keep, and move the other's files away: wal.*, or log.* and the snapshots from {zxid} on"
    )]
    Diverged { zxid: Zxid },
}

/// Why a transaction cannot follow on what was recovered before it.
#[derive(Debug, PartialEq, Eq, Error)]
pub enum OutOfLine {
    /// Some are missing.
    #[error(
        "the transactions between {last} and {next} are missing: a log file is gone, or was cut, or the snapshot \
         that had them cannot be loaded; put a good copy of it back"
    )]
    Gap {
        /// The last that was recovered.
        last: Zxid,
        /// What comes next instead.
        next: Zxid,
    },
    /// It is one that was there before, or comes before one that was.
    #[error(
        "the transaction {next} comes behind {last}: the files are of two histories; move one of them away"
    )]
    Back {
        /// The last that was recovered.
        last: Zxid,
        /// What comes next instead.
        next: Zxid,
    },
}

/// Where the state lies.
#[derive(Clone, Copy, Debug)]
pub struct Folders<'a> {
    /// `version-2` in `dataDir`.
    pub snapshots: &'a Path,
    /// `version-2` in `dataLogDir`.
    pub logs: &'a Path,
}

/// Recovers the state, and makes our log ready to be written.
///
/// No transaction is missing in between: each has the zxid that follows on the one before it, or is an early
/// one of a later epoch. Without any snapshot a log of Java's must begin at the beginning,
/// unless `trust_empty` (`snapshot.trust.empty`) says that what came before it may be missing.
pub fn recover(
    folders: Folders<'_>,
    options: PipelineOptions,
    tree_options: TreeOptions,
    wal_options: wal::Options,
    trust_empty: bool,
) -> Result<(Pipeline, wal::Recovered), RecoverError> {
    let newest = snapshot::newest_zxid(folders.snapshots);
    let loaded = snapshot::load_newest(folders.snapshots, tree_options)?;
    let base = if loaded.is_some() { Base::Snapshot } else { Base::Nothing { trust_empty } };
    let tree = loaded.map_or_else(|| DataTree::new(tree_options), |loaded| loaded.tree);
    let mut java = JavaLog::open(folders.logs, tree.last_zxid())?;
    let mut pipeline = Pipeline::new(options, tree);
    let recovered = wal::recover(folders.logs, wal_options, |zxid, payload| {
        replay(&mut java, Some(zxid), base, &mut pipeline)?;
        match java.next_zxid()? {
            Some(javas) if javas == zxid => Err(RecoverError::Diverged { zxid }.into()),
            _ if zxid <= pipeline.last_zxid() => Ok(()),
            _ => {
                check_order(pipeline.last_zxid(), zxid)?;
                Ok(pipeline.recover(payload)?)
            }
        }
    })?;
    replay(&mut java, None, base, &mut pipeline)?;
    if java.taken() > 0 {
        info!("{} entries of Java's log are replayed", java.taken());
    }
    match newest {
        Some(zxid) if zxid > pipeline.last_zxid() => {
            Err(RecoverError::Short { last: pipeline.last_zxid(), zxid })
        }
        _ => Ok((pipeline, recovered)),
    }
}

/// What Java's log is replayed on.
#[derive(Clone, Copy)]
enum Base {
    /// A snapshot.
    Snapshot,
    /// An empty tree, whose log may begin late if `trust_empty`.
    Nothing { trust_empty: bool },
}

fn replay(
    java: &mut JavaLog,
    limit: Option<Zxid>,
    base: Base,
    pipeline: &mut Pipeline,
) -> Result<(), RecoverError> {
    while let Some(Taken { path, offset, zxid, payload }) = java.next_before(limit)? {
        let refused = |source| RecoverError::Entry { path: path.to_owned(), offset, zxid, source };
        let is_first = matches!(base, Base::Nothing { .. }) && pipeline.last_zxid() == Zxid::ZERO;
        match base {
            Base::Nothing { trust_empty: true } if is_first => {}
            Base::Nothing { trust_empty: false } if is_first && !is_first_ever(zxid) => {
                return Err(RecoverError::NoSnapshot { first: zxid });
            }
            _ => check_order(pipeline.last_zxid(), zxid).map_err(|error| refused(error.into()))?,
        }
        pipeline.recover(payload).map_err(|error| refused(error.into()))?;
    }
    Ok(())
}

/// Whether nothing can have come before: the first transaction of a server alone, or of an ensemble.
fn is_first_ever(zxid: Zxid) -> bool {
    zxid.counter() == 1 && zxid.epoch() <= 1
}

fn check_order(last: Zxid, next: Zxid) -> Result<(), OutOfLine> {
    let follows = match next.epoch() == last.epoch() {
        true => next == last.next(),
        // What a leader begins with.
        false => next.counter() <= 1,
    };
    match next > last {
        false => Err(OutOfLine::Back { last, next }),
        true if follows => Ok(()),
        true => Err(OutOfLine::Gap { last, next }),
    }
}
