use std::borrow::Cow;

use super::database::{Applied, Database, Trail};
use super::quota::UsageChange;
use super::write::{Asker, Decided, next_version};
use crate::error::Code;
use crate::proto::{SetDataRequest, Txn, TxnHeader, perms};
use crate::tree::{Delta, Slot};

/// Decides setData.
pub(super) fn decide<'r>(
    request: SetDataRequest<'r>,
    db: &Database,
    asker: &mut Asker<'_>,
) -> Result<Decided<'r>, Code> {
    asker.check_target(&request.path)?;
    let found = asker.find(db, &request.path, perms::WRITE)?;
    let len = request.data.map_or(0, <[u8]>::len);
    let usage = UsageChange { nodes: 0, bytes: len as i64 - found.node.data_len() as i64 };
    db.quotas.check(&db.tree, &request.path, usage, asker.settings.enforce_quota)?;
    let version = next_version(found.node.version(), request.version)?;
    let txn = Txn::SetData { path: request.path, data: request.data.map(Cow::Borrowed), version };
    Ok(Decided { txn, at: Some(found.slot) })
}

/// Gives the node the data, unless it is missing.
pub(super) fn apply(
    db: &mut Database,
    header: &TxnHeader,
    path: &str,
    data: Option<&[u8]>,
    version: i32,
    at: Option<Slot>,
    trail: &mut impl Trail,
) -> Option<Applied> {
    let found = at.map_or_else(|| db.tree.get(path), |slot| db.tree.at(slot))?;
    let slot = found.slot;
    let node = found.node.with_data(data, version, header.zxid, header.time.0);
    let usage = UsageChange { nodes: 0, bytes: node.data_len() as i64 - found.node.data_len() as i64 };
    db.change(header.zxid, Delta::SetData(node), slot, trail);
    db.account(header.zxid, path, usage, trail);
    Some(Applied::Changed(slot))
}
