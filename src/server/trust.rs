//! Whether an empty database is what the operator wants.

use std::fs;
use std::io;

use ringkeeper_core::config::Storage;
use ringkeeper_core::format::snapshot::Compression;
use ringkeeper_core::id::Zxid;
use ringkeeper_core::tree::DataTree;
use tracing::{info, warn};

use crate::storage::disk::Os;
use crate::storage::snapshot::{self, Draft, Pace, SharedPace};

/// Whether the vote of a member that starts with this tree may count. A disk that was wiped looks like a new one, and
/// a voter that has forgotten what it acknowledged can take part in forgetting it altogether. So with
/// `db.autocreate=false` an empty database is trusted only where the file `initialize` says, once, that it should be
/// (storage-formats §7); `saved` is the state of which there is a snapshot.
///
/// There is a snapshot of the empty tree before the file is gone, so that another start needs it no more.
pub(super) fn may_vote(storage: &Storage, tree: &DataTree, saved: Option<Zxid>) -> io::Result<bool> {
    let marker = storage.initialize_marker();
    let is_empty = saved.is_none() && tree.last_zxid() == Zxid::ZERO;
    let is_marked = marker.try_exists()?;
    if is_empty && !storage.trust_new {
        if !is_marked {
            warn!(
                "there is no database, and neither db.autocreate nor a file {} says that there should be none: this \
                 server's vote does not count until a leader has sent it everything. If this is a new ensemble, make \
                 that file on each server, and start again",
                marker.display()
            );
            return Ok(false);
        }
        let pace = SharedPace::new(Pace::Full);
        snapshot::save(&Os, &storage.snap_dir(), tree.freeze(), Compression::None, &pace, Draft::Own)?;
    }
    if is_marked {
        info!("Initialize file found, an empty database will not block voting participation");
        fs::remove_file(marker)?;
    }
    Ok(true)
}
