use super::database::Database;
use super::write::{Asker, next_version};
use crate::error::Code;
use crate::proto::{PathVersion, Txn, perms};
use crate::tree::is_valid_path;

/// Decides check, a part of a multi.
pub(super) fn decide<'r>(
    request: PathVersion<'r>,
    db: &Database,
    asker: &mut Asker<'_>,
) -> Result<Txn<'r>, Code> {
    asker.check_session()?;
    if !is_valid_path(&request.path) {
        return Err(Code::BadArguments);
    }
    let found = db.tree.get(&request.path).ok_or(Code::NoNode)?;
    asker.check_permission(found.node.acl(), perms::READ)?;
    // Java logs the version that a write would lead to.
    let version = next_version(found.node.version(), request.version)?;
    Ok(Txn::Check { path: request.path, version })
}
