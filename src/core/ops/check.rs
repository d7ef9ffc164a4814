use super::database::Database;
use super::write::{Asker, next_version};
use crate::error::Code;
use crate::proto::{PathVersion, Txn, perms};

/// Decides check, a part of a multi.
pub(super) fn decide<'r>(
    request: PathVersion<'r>,
    db: &Database,
    asker: &mut Asker<'_>,
) -> Result<Txn<'r>, Code> {
    asker.check_target(&request.path)?;
    let found = asker.find(db, &request.path, perms::READ)?;
    // Java logs the version that a write would lead to.
    let version = next_version(found.node.version(), request.version)?;
    Ok(Txn::Check { path: request.path, version })
}
