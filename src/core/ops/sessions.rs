use super::database::{Database, Trail};
use super::delete;
use crate::id::SessionId;
use crate::proto::{Txn, TxnHeader};
use crate::tree::{Delta, Node};

/// The transaction that closes a session, whose paths borrow from `ephemerals`: those that it has.
pub fn close_txn(ephemerals: &[Node]) -> Txn<'_> {
    Txn::CloseSession { ephemerals: Some(ephemerals.iter().map(|node| node.path().into()).collect()) }
}

/// Adds the session.
pub(super) fn open(db: &mut Database, header: &TxnHeader, timeout_ms: i32, trail: &mut impl Trail) {
    db.change_sessions(header.zxid, Delta::OpenSession { id: header.client_id, timeout_ms }, trail);
}

/// Deletes what is listed and what else the session owns, and then the session.
pub(super) fn close<'a>(
    db: &mut Database,
    header: &TxnHeader,
    ephemerals: impl Iterator<Item = &'a str>,
    trail: &mut impl Trail,
) {
    for path in ephemerals {
        delete::apply(db, header, path, trail);
    }
    for node in ephemerals_of(db, header.client_id) {
        delete::apply(db, header, node.path(), trail);
    }
    db.change_sessions(header.zxid, Delta::CloseSession(header.client_id), trail);
}

/// What goes with a session, by path, so that the same history always has the same order.
pub fn ephemerals_of(db: &Database, session: SessionId) -> Vec<Node> {
    let mut ephemerals: Vec<_> = db.tree.ephemerals(session).cloned().collect();
    ephemerals.sort_unstable_by(|one, other| one.path_bytes().cmp(other.path_bytes()));
    ephemerals
}
