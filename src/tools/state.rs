//! The state that a snapshot or a folder stands for.

use std::hash::{BuildHasher, RandomState};
use std::path::{Path, PathBuf};

use ringkeeper_core::acl::Interner;
use ringkeeper_core::format::snapshot::Snapshot;
use ringkeeper_core::id::Zxid;
use ringkeeper_core::jute::Reader;
use ringkeeper_core::ops::{Database, share_lists};
use ringkeeper_core::proto::{Txn, TxnHeader};
use ringkeeper_core::tree::{DataTree, TreeOptions};
use tracing::warn;

use super::ToolError;
use super::files::{self, DataFile, Kind};
use super::logs::{self, Ending, Logged};
use crate::storage::mapped::Mapped;
use crate::storage::snapshot::{Loaded, load_newest};

/// A state, and where it comes from.
pub(super) struct State {
    pub(super) tree: DataTree,
    /// For people.
    pub(super) origin: String,
}

/// The state of a snapshot, or that with which a server would start on a folder. `log_dir` is for a folder
/// that has its logs elsewhere.
pub(super) fn load(path: &Path, log_dir: Option<&Path>) -> Result<State, ToolError> {
    if !path.is_dir() {
        let file = files::find(path)?.remove(0);
        let tree = load_file(&file)?;
        return Ok(State { tree, origin: path.display().to_string() });
    }
    let logs = files::folder(log_dir.unwrap_or(path));
    let base = load_base(&files::folder(path))?;
    if base.path.is_none() && files::list(&logs)?.is_empty() {
        return Err(ToolError::Empty(path.to_owned()));
    }
    let mut origin = match &base.path {
        Some(path) => path.display().to_string(),
        None => "an empty tree".into(),
    };
    let (mut database, mut interner, mut count) = (Database::new(base.tree), Interner::new(), 0u64);
    let after = database.tree().last_zxid();
    replay(&logs, after, &mut |header, mut txn, _| {
        count += 1;
        share_lists(&mut txn, &mut interner);
        database.apply(header, &txn, &mut ());
        Ok(())
    })?;
    if count > 0 {
        origin.push_str(&format!(" and {count} transactions of the log in {}", logs.display()));
    }
    Ok(State { tree: database.into_tree(), origin })
}

/// What a folder's logs are replayed on.
pub(super) struct Base {
    pub(super) tree: DataTree,
    /// The newest sound snapshot; none in a folder without any.
    pub(super) path: Option<PathBuf>,
}

/// The newest sound snapshot of a folder. Those that are damaged are warned of.
pub(super) fn load_base(snapshots: &Path) -> Result<Base, ToolError> {
    let loaded = load_newest(snapshots, options()).map_err(|error| ToolError::Refused(error.to_string()))?;
    Ok(match loaded {
        Some(Loaded { tree, path }) => Base { tree, path: Some(path) },
        None => Base { tree: DataTree::new(options()), path: None },
    })
}

/// Loads one snapshot.
pub(super) fn load_file(file: &DataFile) -> Result<DataTree, ToolError> {
    let Kind::Snapshot(compression) = file.kind else {
        return Err(ToolError::Refused(format!(
            "{} is a log: give a snapshot, or a folder with one",
            file.path.display()
        )));
    };
    let damaged = |offset: Option<usize>, reason: String| ToolError::Damaged {
        path: file.path.clone(),
        offset: offset.map(|offset| offset as u64),
        reason,
    };
    let bytes = Mapped::open(&file.path).map_err(ToolError::io("read", &file.path))?;
    let unpacked =
        compression.unpack(&bytes, UNPACKED_LEN_MAX).map_err(|error| damaged(None, error.to_string()))?;
    // Java's zxid for a file of another name is none, and nothing here depends on it.
    let zxid = file.zxid.unwrap_or_default();
    let snapshot = Snapshot::decode(&unpacked, zxid, options(), &mut Interner::new());
    Ok(snapshot.map_err(|error| damaged(Some(error.offset), error.to_string()))?.tree)
}

/// Takes a transaction: its header, itself, and both as they are stored.
pub(super) type Take<'t> = &'t mut dyn FnMut(&TxnHeader, Txn<'_>, &[u8]) -> Result<(), ToolError>;

/// Hands on each transaction after a state, of both logs of a folder, in the order of zxids: what a server
/// would replay.
///
/// # Errors
///
/// If a server would refuse: if anything is damaged or missing, or the logs contradict each other.
pub(super) fn replay(dir: &Path, after: Zxid, take: Take<'_>) -> Result<(), ToolError> {
    let (java, ours): (Vec<_>, Vec<_>) = files::list(dir)?
        .into_iter()
        .filter(|file| !file.is_snapshot())
        .partition(|file| file.kind == Kind::JavaLog);
    let mut merge = Merge { java: JavaEntries::read(java, after)?, state: after, take };
    let reports = logs::read(&ours, &mut |logged| {
        if logged.zxid <= after {
            return Ok(());
        }
        merge.java_before(logged.zxid)?;
        if merge.java.peek() == Some(logged.zxid) {
            return Err(diverged(logged.zxid));
        }
        merge.follows(logged.zxid, &ours[logged.file].path)?;
        merge.one(logged)
    })?;
    for (at, report) in reports {
        report.must_be_sound(&ours[at].path, false)?;
    }
    merge.java_before(Zxid(i64::MAX))
}

/// Both logs becoming one.
struct Merge<'t> {
    java: JavaEntries,
    /// The last transaction that was handed on.
    state: Zxid,
    take: Take<'t>,
}

impl Merge<'_> {
    fn one(&mut self, logged: Logged<'_>) -> Result<(), ToolError> {
        self.state = logged.zxid;
        (self.take)(&logged.header, logged.txn, logged.payload)
    }

    fn java_before(&mut self, limit: Zxid) -> Result<(), ToolError> {
        while let Some(entry) = self.java.next_before(limit) {
            let (path, file) = &self.java.files[entry.file];
            if entry.begins {
                self.follows(entry.zxid, path)?;
            }
            let payload = &file[entry.start..entry.start + entry.len];
            let decoded = TxnHeader::decode(&mut Reader::new(payload));
            let (header, txn) = decoded.map_err(|error| ToolError::Damaged {
                path: path.clone(),
                offset: None,
                reason: format!("entry {}: {error}", entry.zxid),
            })?;
            self.state = entry.zxid;
            (self.take)(&header, txn, payload)?;
        }
        Ok(())
    }

    /// That nothing is missing between the state and a transaction. A leader's first in its epoch is 1.
    fn follows(&self, zxid: Zxid, path: &Path) -> Result<(), ToolError> {
        let follows = match zxid.epoch() == self.state.epoch() {
            true => zxid <= self.state.next(),
            false => zxid.counter() <= 1,
        };
        match follows {
            true => Ok(()),
            false => Err(ToolError::Refused(format!(
                "{}: transaction {zxid} does not follow {}, up to which there is something to load: what is \
                 between them is in no file here. Put back the snapshot or the log that is missing or damaged",
                path.display(),
                self.state
            ))),
        }
    }
}

/// Where the transactions of Java's log are.
struct JavaEntries {
    files: Vec<(PathBuf, Mapped)>,
    /// The next one last.
    entries: Vec<JavaEntry>,
}

#[derive(Clone, Copy)]
struct JavaEntry {
    zxid: Zxid,
    file: usize,
    /// Where in the file its payload starts.
    start: usize,
    len: usize,
    /// Whether it is the first of its file that is asked for.
    begins: bool,
}

impl JavaEntries {
    fn read(mut found: Vec<DataFile>, after: Zxid) -> Result<JavaEntries, ToolError> {
        let first = found.iter().rposition(|file| file.zxid <= Some(after)).unwrap_or(0);
        found.drain(..first);
        let (mut entries, mut last_file) = (Vec::new(), None);
        let reports = logs::read(&found, &mut |logged| {
            if logged.zxid > after {
                entries.push(JavaEntry {
                    zxid: logged.zxid,
                    file: logged.file,
                    start: logged.offset as usize + ENTRY_HEAD_LEN,
                    len: logged.payload.len(),
                    begins: last_file.replace(logged.file) != Some(logged.file),
                });
            }
            Ok(())
        })?;
        for (at, report) in reports {
            report.must_be_sound(&found[at].path, at + 1 == found.len())?;
        }
        entries.reverse();
        let open = |file: DataFile| {
            let opened = Mapped::open(&file.path).map_err(ToolError::io("read", &file.path))?;
            Ok((file.path, opened))
        };
        Ok(JavaEntries { files: found.into_iter().map(open).collect::<Result<_, ToolError>>()?, entries })
    }

    fn peek(&self) -> Option<Zxid> {
        self.entries.last().map(|entry| entry.zxid)
    }

    fn next_before(&mut self, limit: Zxid) -> Option<JavaEntry> {
        self.entries.pop_if(|entry| entry.zxid < limit)
    }
}

impl logs::LogReport {
    /// That a server would go on behind this file. A damaged last entry of Java's last file was never
    /// acknowledged.
    fn must_be_sound(&self, path: &Path, may_end_damaged: bool) -> Result<(), ToolError> {
        match &self.ending {
            Ending::Whole | Ending::Torn { .. } => Ok(()),
            Ending::Damaged { offset, reason, is_followed: false } if may_end_damaged && *offset > 0 => {
                warn!("{}: the last entry is left out: at offset {offset} {reason}", path.display());
                Ok(())
            }
            Ending::Damaged { offset, reason, .. } => Err(ToolError::Damaged {
                path: path.to_owned(),
                offset: Some(*offset),
                reason: format!("at offset {offset} ({offset:#x}) {reason}"),
            }),
        }
    }
}

fn diverged(zxid: Zxid) -> ToolError {
    ToolError::Refused(format!(
        "Java's log and ours both have a transaction {zxid}: a Java server was started on this folder after \
         ringkeeper had ended without a clean stop. Decide which to keep, and move the other's files away: \
         wal.*, or log.* and the snapshots from {zxid} on"
    ))
}

/// Clients may have chosen the paths, but not the seed.
fn options() -> TreeOptions {
    TreeOptions { extended_types: true, seed: RandomState::new().hash_one(0) }
}

const UNPACKED_LEN_MAX: usize = 1 << 40;
/// What precedes an entry's payload in Java's log.
const ENTRY_HEAD_LEN: usize = 12;
