use super::database::{Applied, Database, Trail};
use super::quota::UsageChange;
use super::write::{Asker, next_version};
use crate::error::Code;
use crate::id::Zxid;
use crate::proto::{PathVersion, Txn, TxnHeader, perms};
use crate::tree::{Counters, Delta, parent_of, parent_to_write};

/// Decides delete.
pub(super) fn decide<'r>(
    request: PathVersion<'r>,
    db: &Database,
    asker: &mut Asker<'_>,
) -> Result<Txn<'r>, Code> {
    asker.check_session()?;
    let parent_path = parent_to_write(&request.path).ok_or(Code::BadArguments)?;
    if UNDELETABLE.contains(&&*request.path) {
        return Err(Code::BadArguments);
    }
    asker.find(db, parent_path, perms::DELETE)?;
    let found = db.tree.get(&request.path).ok_or(Code::NoNode)?;
    next_version(found.node.version(), request.version)?;
    if found.num_children() > 0 {
        return Err(Code::NotEmpty);
    }
    Ok(Txn::Delete { path: request.path })
}

/// Deletes the node. A missing one leaves its zxid with the parent all the same. What is below the node
/// goes first: it had no children when the deletion was decided, so they are later ones, which a log that
/// is replayed will bring back (storage-formats §5).
pub(super) fn apply(
    db: &mut Database,
    header: &TxnHeader,
    path: &str,
    trail: &mut impl Trail,
) -> Option<Applied> {
    // The root stays, whatever a log says.
    let parent = parent_of(path)?;
    let Some(found) = db.tree.get(path) else {
        touch(db, header.zxid, parent, trail);
        return None;
    };
    if found.num_children() > 0 {
        let below: Vec<_> = found.below().map(|found| found.node.clone()).collect();
        // Parents come before their children.
        for node in below.iter().rev() {
            delete_leaf(db, header, node.path(), trail);
        }
    }
    delete_leaf(db, header, path, trail)
}

fn delete_leaf(db: &mut Database, header: &TxnHeader, path: &str, trail: &mut impl Trail) -> Option<Applied> {
    let found = db.tree.get(path)?;
    let (node, slot) = (found.node.clone(), found.slot);
    let usage = UsageChange { nodes: -1, bytes: -(node.data_len() as i64) };
    db.change(header.zxid, Delta::Delete(node), slot, trail);
    db.account(header.zxid, path, usage, trail);
    Some(Applied::Deleted)
}

/// Notes the zxid of a deletion with the parent of a node that is gone already.
fn touch(db: &mut Database, zxid: Zxid, parent: &str, trail: &mut impl Trail) {
    let Some(found) = db.tree.get(parent).filter(|found| found.pzxid() < zxid) else { return };
    let (node, slot) = (found.node.clone(), found.slot);
    let counters = Counters { cversion: found.cversion(), pzxid: zxid };
    db.change(zxid, Delta::SetCounters { node, counters }, slot, trail);
}

const UNDELETABLE: [&str; 4] = ["/", "/zookeeper", "/zookeeper/quota", "/zookeeper/config"];
