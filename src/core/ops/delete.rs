use super::database::{Database, Trail};
use super::quota::UsageChange;
use super::write::{Asker, next_version};
use crate::error::Code;
use crate::flow::PartOutcome;
use crate::proto::{PathVersion, Txn, TxnHeader, perms};
use crate::tree::{Delta, parent_of, parent_to_write};

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
    let parent = db.tree.get(parent_path).ok_or(Code::NoNode)?;
    asker.check_permission(&parent.node.fields().acl, perms::DELETE)?;
    let found = db.tree.get(&request.path).ok_or(Code::NoNode)?;
    next_version(found.node.fields().version, request.version)?;
    if found.num_children() > 0 {
        return Err(Code::NotEmpty);
    }
    Ok(Txn::Delete { path: request.path })
}

/// Deletes the node, unless it is missing or has children.
pub(super) fn apply(
    db: &mut Database,
    header: &TxnHeader,
    path: &str,
    trail: &mut impl Trail,
) -> Option<PartOutcome> {
    // The root stays, whatever a log says.
    parent_of(path)?;
    let found = db.tree.get(path).filter(|found| found.num_children() == 0)?;
    let (node, slot) = (found.node.clone(), found.slot);
    let usage = UsageChange { nodes: -1, bytes: -(node.data_len() as i64) };
    db.change(header.zxid, Delta::Delete(node), slot, trail);
    db.account(header.zxid, path, usage, trail);
    Some(PartOutcome::Deleted)
}

const UNDELETABLE: [&str; 4] = ["/", "/zookeeper", "/zookeeper/quota", "/zookeeper/config"];
