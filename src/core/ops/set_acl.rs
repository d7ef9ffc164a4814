use super::database::{Applied, Database, Trail};
use super::write::{Asker, next_version};
use crate::acl;
use crate::error::Code;
use crate::proto::{AclRef, SetAclRequest, Txn, TxnHeader, perms};
use crate::tree::Delta;

/// Decides setACL.
pub(super) fn decide<'r>(
    request: SetAclRequest<'r>,
    db: &Database,
    asker: &mut Asker<'_>,
) -> Result<Txn<'r>, Code> {
    asker.check_target(&request.path)?;
    let acl = acl::validate(&request.acl, asker.identities, &asker.settings.policy, asker.interner)?;
    let found = asker.find(db, &request.path, perms::ADMIN)?;
    let version = next_version(found.node.aversion(), request.version)?;
    Ok(Txn::SetAcl { path: request.path, acl, version })
}

/// Gives the node the list, unless it is missing.
pub(super) fn apply(
    db: &mut Database,
    header: &TxnHeader,
    path: &str,
    acl: &AclRef,
    version: i32,
    trail: &mut impl Trail,
) -> Option<Applied> {
    let found = db.tree.get(path)?;
    let slot = found.slot;
    let node = found.node.with_acl(acl.clone(), version);
    db.change(header.zxid, Delta::SetSilently(node), slot, trail);
    Some(Applied::Changed(slot))
}
