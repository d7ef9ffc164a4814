use std::borrow::Cow;

use super::database::{Applied, Database, Trail};
use super::quota::UsageChange;
use super::write::{Asker, Decided};
use crate::acl;
use crate::error::Code;
use crate::proto::{AclRef, CreateFlags, CreateKind, CreateRequest, OpCode, Txn, TxnHeader, perms};
use crate::tree::{
    Counters, Delta, Node, NodeFields, Owner, Slot, is_valid_path, parent_of, parent_to_write,
};

/// Decides create, create2, createContainer or createTTL.
pub(super) fn decide<'r>(
    op: OpCode,
    request: CreateRequest<'r>,
    db: &Database,
    asker: &mut Asker<'_>,
) -> Result<Decided<'r>, Code> {
    let flags = CreateFlags::from_number(request.flags).ok_or(Code::BadArguments)?;
    check_ttl(flags, request.ttl_ms, asker.settings.extended_types)?;
    if flags.is_ephemeral() { asker.check_owner() } else { asker.check_session() }?;
    let parent_path = parent_to_write(&request.path).ok_or(Code::BadArguments)?;
    let acl = acl::validate(&request.acl, asker.identities, &asker.settings.policy, asker.interner)?;
    let parent = db.tree.get_near(parent_path, db.last_parent).ok_or(Code::NoNode)?;
    asker.check_permission(parent.node.acl(), perms::CREATE)?;
    let creates_before = parent.cversion();
    let path = if flags.is_sequential() {
        Cow::Owned(format!("{}{creates_before:010}", request.path))
    } else {
        request.path
    };
    if !is_valid_path(&path) {
        return Err(Code::BadArguments);
    }
    if db.tree.get(&path).is_some() {
        return Err(Code::NodeExists);
    }
    if matches!(parent.owner(), Owner::Session(_)) {
        return Err(Code::NoChildrenForEphemerals);
    }
    let usage = UsageChange { nodes: 1, bytes: request.data.map_or(0, |data| data.len() as i64) };
    db.quotas.check(&db.tree, &path, usage, asker.settings.enforce_quota)?;
    let txn = Txn::Create {
        kind: kind(op, flags, request.ttl_ms),
        path,
        data: request.data.map(Cow::Borrowed),
        acl,
        parent_cversion: creates_before.wrapping_add(1),
    };
    Ok(Decided { txn, at: Some(parent.slot) })
}

/// Makes the node, unless its parent is missing. One that exists takes the ACL, and its parent the count
/// that it would have (storage-formats §5); Java forgets the latter for all transactions but `create`.
pub(super) fn apply(
    db: &mut Database,
    header: &TxnHeader,
    kind: CreateKind,
    (path, data, acl): (&str, Option<&[u8]>, &AclRef),
    parent_cversion: i32,
    at: Option<Slot>,
    trail: &mut impl Trail,
) -> Option<Applied> {
    let parent = match at {
        Some(slot) => db.tree.at(slot)?,
        None => db.tree.get_near(parent_of(path)?, db.last_parent)?,
    };
    if at.is_none()
        && let Some(existing) = db.tree.get(path)
    {
        let (slot, aversion) = (existing.slot, existing.node.aversion());
        let node = existing.node.with_acl(acl.clone(), aversion);
        let counted = later_count(parent.cversion(), parent_cversion);
        let raised = (counted != parent.cversion()).then(|| (parent.node.clone(), parent.slot));
        db.change(header.zxid, Delta::SetSilently(node), slot, trail);
        if let Some((node, slot)) = raised {
            let counters = Counters { cversion: counted, pzxid: header.zxid };
            db.change(header.zxid, Delta::SetCounters { node, counters }, slot, trail);
        }
        return None;
    }
    let fields = NodeFields {
        czxid: header.zxid,
        mzxid: header.zxid,
        ctime: header.time.0,
        mtime: header.time.0,
        version: 0,
        aversion: 0,
        owner: owner(kind, header).stored(),
        acl: acl.clone(),
    };
    let node = Node::new(path, data, fields);
    let (parent_cversion, slot) = (later_count(parent.cversion(), parent_cversion), parent.slot);
    db.last_parent = slot;
    db.change(header.zxid, Delta::Create { node: node.clone(), parent_cversion }, slot, trail);
    db.count_stats_node(header.zxid, path, trail);
    let usage = UsageChange { nodes: 1, bytes: node.data_len() as i64 };
    db.account(header.zxid, path, usage, trail);
    Some(match kind {
        CreateKind::Create { .. } => Applied::Created(node),
        _ => Applied::CreatedWithStat(node),
    })
}

/// A time to live and flags that ask for one go together. Java takes -1 with other flags, and dies of it.
fn check_ttl(flags: CreateFlags, ttl_ms: Option<i64>, extended_types: bool) -> Result<(), Code> {
    match (flags.is_ttl(), ttl_ms) {
        (true, _) if !extended_types => Err(Code::Unimplemented),
        (true, Some(ttl_ms)) if (1..=Owner::TTL_MS_MAX).contains(&ttl_ms) => Ok(()),
        (false, None) => Ok(()),
        _ => Err(Code::BadArguments),
    }
}

fn kind(op: OpCode, flags: CreateFlags, ttl_ms: Option<i64>) -> CreateKind {
    let ephemeral = flags.is_ephemeral();
    match (op, ttl_ms) {
        (_, Some(ttl_ms)) => CreateKind::Ttl { ttl_ms },
        (OpCode::CreateContainer, None) => CreateKind::Container,
        (OpCode::Create, None) => CreateKind::Create { ephemeral },
        (_, None) => CreateKind::Create2 { ephemeral },
    }
}

fn owner(kind: CreateKind, header: &TxnHeader) -> Owner {
    match kind {
        CreateKind::Create { ephemeral: true } | CreateKind::Create2 { ephemeral: true } => {
            Owner::Session(header.client_id)
        }
        CreateKind::Create { ephemeral: false } | CreateKind::Create2 { ephemeral: false } => Owner::None,
        CreateKind::Container => Owner::Container,
        CreateKind::Ttl { ttl_ms } => Owner::Ttl(ttl_ms),
    }
}

/// The parent's count of creates after one that says it is the `claimed`th. It only rises, in a circle:
/// a replayed log may start before the state that it is applied to.
fn later_count(stored: i32, claimed: i32) -> i32 {
    match claimed {
        -1 => stored.wrapping_add(1),
        _ if claimed.wrapping_sub(stored) > 0 => claimed,
        _ => stored,
    }
}
