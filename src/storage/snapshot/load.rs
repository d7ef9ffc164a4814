use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use ringkeeper_core::acl::Interner;
use ringkeeper_core::format::snapshot::{Digest, Snapshot, SnapshotName};
use ringkeeper_core::id::Zxid;
use ringkeeper_core::tree::{DataTree, TreeOptions};
use thiserror::Error;
use tracing::{info, warn};

use super::bound::unpacked_len_max;
use crate::runtime::Threads;
use crate::storage::mapped::Mapped;

/// The state that a start begins with.
pub struct Loaded {
    /// The tree and the sessions.
    pub tree: DataTree,
    /// The snapshot's file.
    pub path: PathBuf,
    /// What it says of the tree's digest.
    pub digest: Option<Digest>,
}

/// Why there is nothing to start from.
#[derive(Debug, Error)]
pub enum LoadError {
    /// The folder cannot be read.
    #[error("cannot list the snapshots in {}: {source}", path.display())]
    List {
        /// The folder.
        path: PathBuf,
        /// What the kernel says.
        source: io::Error,
    },
    /// There are snapshots, and none of them is whole: to start with an empty tree would lose everything.
    #[error(
        "none of the {count} snapshots in {} can be loaded; the warnings above say why. Put a good copy of one \
         back. Nothing has been changed", path.display()
    )]
    AllDamaged {
        /// The folder.
        path: PathBuf,
        /// How many there are.
        count: usize,
    },
}

/// Loads the newest snapshot of the folder that is whole; `None` if there is no snapshot at all. One that is
/// damaged is named in a warning, and the one before it is tried.
pub fn load_newest(dir: &Path, options: TreeOptions) -> Result<Option<Loaded>, LoadError> {
    let names = names(dir).map_err(|source| LoadError::List { path: dir.to_owned(), source })?;
    let count = names.len();
    for (name, path) in names.into_iter().rev() {
        match load(name, &path, options) {
            Ok(Snapshot { tree, sections, .. }) => {
                info!("{} is loaded: {} znodes", path.display(), tree.node_count());
                return Ok(Some(Loaded { tree, path, digest: sections.digest }));
            }
            Err(reason) => warn!("{} is damaged and not loaded: {reason}", path.display()),
        }
    }
    match count {
        0 => Ok(None),
        count => Err(LoadError::AllDamaged { path: dir.to_owned(), count }),
    }
}

/// The zxid of the newest snapshot in the folder, whole or not.
pub fn newest_zxid(dir: &Path) -> Option<Zxid> {
    names(dir).ok()?.last().map(|(name, _)| name.zxid)
}

/// The snapshots in a folder, the newest last.
pub fn names(dir: &Path) -> io::Result<Vec<(SnapshotName, PathBuf)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if let Some(name) = entry.file_name().to_str().and_then(SnapshotName::parse) {
            found.push((name, entry.path()));
        }
    }
    found.sort();
    Ok(found)
}

fn load(name: SnapshotName, path: &Path, options: TreeOptions) -> Result<Snapshot, String> {
    let file = Mapped::open(path).map_err(|error| error.to_string())?;
    let snapshot = decode(name, &file, options);
    // What seems damaged may just not have been read.
    file.check().map_err(|error| format!("its disk fails: {error}"))?;
    let snapshot = snapshot?;
    if snapshot.lists_missing > 0 {
        warn!(
            "{}: {} znodes have an ACL that the snapshot lacks; the log must bring it",
            path.display(),
            snapshot.lists_missing
        );
    }
    Ok(snapshot)
}

fn decode(name: SnapshotName, file: &[u8], options: TreeOptions) -> Result<Snapshot, String> {
    if !name.compression.seems_whole(file) {
        return Err("it does not end as a snapshot does".into());
    }
    let unpacked = name.compression.unpack(file, unpacked_len_max()).map_err(|error| error.to_string())?;
    let snapshot = Snapshot::decode(&unpacked, name.zxid, options, &mut Interner::new(), &Threads::per_cpu());
    snapshot.map_err(|error| error.to_string())
}
