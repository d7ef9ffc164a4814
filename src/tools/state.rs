//! The state that a snapshot or a folder stands for.

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::path::{Path, PathBuf};

use ringkeeper_core::acl::Interner;
use ringkeeper_core::format::snapshot::{Digest, Snapshot};
use ringkeeper_core::id::Zxid;
use ringkeeper_core::jute::Reader;
use ringkeeper_core::ops::{Database, Mismatch, share_lists};
use ringkeeper_core::proto::{TxnDigest, TxnHeader};
use ringkeeper_core::tree::{DataTree, TreeOptions};

use super::ToolError;
use super::files::{self, DataFile, Kind};
use crate::runtime::Threads;
use crate::storage::mapped::Mapped;
use crate::storage::recovery::{self, Folders};
use crate::storage::snapshot::{Loaded, load_newest};
use crate::storage::wal::BoxError;

/// A state, and where it comes from.
pub(super) struct State {
    pub(super) tree: DataTree,
    /// For people.
    pub(super) origin: String,
    pub(super) digests: DigestReport,
}

/// What came of comparing what files say of the tree's digest with the tree.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct DigestReport {
    pub(super) compared: u64,
    pub(super) mismatches: u64,
    pub(super) last: Option<Mismatch>,
}

impl DigestReport {
    fn of(database: &Database) -> DigestReport {
        let digests = database.digests();
        DigestReport {
            compared: digests.compared(),
            mismatches: digests.mismatches(),
            last: digests.last_mismatch(),
        }
    }
}

impl fmt::Display for DigestReport {
    /// The end of a sentence; nothing if there is nothing to say.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.last, self.compared) {
            (Some(Mismatch { zxid, expected, actual }), compared) => write!(
                f,
                ", of {compared} digests {} DIFFER from the tree's, the last at {zxid}: {expected:#x} is said, {actual:#x} is there",
                self.mismatches
            ),
            (None, 0) => Ok(()),
            (None, compared) => write!(f, ", {compared} digests are right"),
        }
    }
}

/// The state of a snapshot, or that with which a server would start on a folder. `log_dir` is for a folder
/// that has its logs elsewhere.
pub(super) fn load(path: &Path, log_dir: Option<&Path>) -> Result<State, ToolError> {
    if !path.is_dir() {
        let file = files::find(path)?.remove(0);
        let Base { tree, digest, .. } = load_file(&file)?;
        let mut database = Database::new(tree);
        digest.inspect(|digest| database.check_snapshot(*digest));
        let digests = DigestReport::of(&database);
        return Ok(State { tree: database.into_tree(), origin: path.display().to_string(), digests });
    }
    let logs = files::folder(log_dir.unwrap_or(path));
    let snapshots = files::folder(path);
    let base = load_base(&snapshots)?;
    if base.path.is_none() && files::list(&logs)?.is_empty() {
        return Err(ToolError::Empty(path.to_owned()));
    }
    let mut origin = match &base.path {
        Some(path) => path.display().to_string(),
        None => "an empty tree".into(),
    };
    let mut count = 0u64;
    let folders = Folders { snapshots: &snapshots, logs: &logs };
    let database = Replay::run(base, folders, false, |_, _| {
        count += 1;
        Ok(())
    })?;
    if count > 0 {
        origin.push_str(&format!(" and {count} transactions of the log in {}", logs.display()));
    }
    let digests = DigestReport::of(&database);
    Ok(State { tree: database.into_tree(), origin, digests })
}

/// What a folder's logs are replayed on.
pub(super) struct Base {
    pub(super) tree: DataTree,
    /// The newest sound snapshot; none in a folder without any.
    pub(super) path: Option<PathBuf>,
    /// What it says of the tree's digest.
    pub(super) digest: Option<Digest>,
}

/// The newest sound snapshot of a folder. Those that are damaged are warned of.
pub(super) fn load_base(snapshots: &Path) -> Result<Base, ToolError> {
    let loaded = load_newest(snapshots, options()).map_err(|error| ToolError::Start(error.into()))?;
    Ok(match loaded {
        Some(Loaded { tree, path, digest }) => Base { tree, path: Some(path), digest },
        None => Base { tree: DataTree::new(options()), path: None, digest: None },
    })
}

/// Loads one snapshot.
pub(super) fn load_file(file: &DataFile) -> Result<Base, ToolError> {
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
    let unpacked = compression.unpack(&bytes, UNPACKED_LEN_MAX);
    bytes.check().map_err(ToolError::io("read", &file.path))?;
    let unpacked = unpacked.map_err(|error| damaged(None, error.to_string()))?;
    // Java's zxid for a file of another name is none, and nothing here depends on it.
    let zxid = file.zxid.unwrap_or_default();
    let snapshot = Snapshot::decode(&unpacked, zxid, options(), &mut Interner::new(), &Threads::per_cpu());
    bytes.check().map_err(ToolError::io("read", &file.path))?;
    let Snapshot { tree, sections, .. } =
        snapshot.map_err(|error| damaged(Some(error.offset), error.to_string()))?;
    Ok(Base { tree, path: Some(file.path.clone()), digest: sections.digest })
}

/// A state to which a folder's logs are added; each transaction that is new to it is told to `each`.
pub(super) struct Replay<F> {
    database: Database,
    interner: Interner,
    each: F,
    /// Why `each` would not go on.
    failed: Option<ToolError>,
}

impl<F: FnMut(Zxid, &[u8]) -> Result<(), ToolError>> Replay<F> {
    /// Adds to a state what the logs hold after it, as a server would; `trust_empty` as for a server. Each transaction is told to
    /// `each` as it is stored: header and transaction.
    ///
    /// # Errors
    ///
    /// If a server would refuse to start: if something is damaged or missing, or the logs contradict each
    /// other. Or if `each` fails.
    pub(super) fn run(
        base: Base,
        folders: Folders<'_>,
        trust_empty: bool,
        each: F,
    ) -> Result<Database, ToolError> {
        let kind = match base.path {
            Some(_) => recovery::Base::Snapshot,
            None => recovery::Base::Nothing { trust_empty },
        };
        let mut database = Database::new(base.tree);
        base.digest.inspect(|digest| database.check_snapshot(*digest));
        let mut replay = Replay { database, interner: Interner::new(), each, failed: None };
        let replayed = recovery::replay(folders, kind, &mut replay);
        match replay.failed {
            Some(error) => Err(error),
            None => replayed.map(|_| replay.database).map_err(ToolError::Start),
        }
    }
}

impl<F: FnMut(Zxid, &[u8]) -> Result<(), ToolError>> recovery::State for Replay<F> {
    fn last_zxid(&self) -> Zxid {
        self.database.tree().last_zxid()
    }

    fn recover(&mut self, payload: &[u8]) -> Result<(), BoxError> {
        let mut reader = Reader::new(payload);
        let (header, mut txn) = TxnHeader::decode(&mut reader)?;
        if header.zxid <= self.last_zxid() {
            return Ok(());
        }
        if let Err(error) = (self.each)(header.zxid, payload) {
            let text = error.to_string();
            self.failed = Some(error);
            return Err(text.into());
        }
        share_lists(&mut txn, &mut self.interner);
        self.database.apply(&header, &txn, &mut ());
        self.database.check(TxnDigest::decode(&mut reader));
        Ok(())
    }
}

/// Clients may have chosen the paths, but not the seed.
fn options() -> TreeOptions {
    TreeOptions { extended_types: true, digest: true, seed: RandomState::new().hash_one(0) }
}

const UNPACKED_LEN_MAX: usize = 1 << 40;
