use std::borrow::Cow;

use super::quota::Quotas;
use super::reconfig::{CONFIG_NODE, CONFIG_NODE_VERSION};
use super::{create, delete, quota, sessions, set_acl, set_data};
use crate::acl::Interner;
use crate::error::Code;
use crate::flow::{Outcome, PartOutcome};
use crate::id::{SessionId, Zxid};
use crate::proto::{Txn, TxnHeader};
use crate::time::WallTime;
use crate::tree::{DataTree, Delta, Slot, Undo};

/// The tree and what is kept beside it to change it: which subtrees have a quota.
pub struct Database {
    pub(super) tree: DataTree,
    pub(super) quotas: Quotas,
}

/// Told of each change that applying a transaction makes.
pub trait Trail {
    /// The change was applied; `undo` takes it back.
    fn note(&mut self, delta: Delta, undo: Undo);
}

/// Nobody is told.
impl Trail for () {
    fn note(&mut self, _: Delta, _: Undo) {}
}

impl Database {
    /// The database whose tree this is, with what quotas say is used counted anew.
    pub fn new(tree: DataTree) -> Database {
        let quotas = Quotas::of(&tree);
        let mut database = Database { tree, quotas };
        database.recount();
        database
    }

    /// The tree.
    pub fn tree(&self) -> &DataTree {
        &self.tree
    }

    /// The tree alone, which is changed no further.
    pub fn into_tree(self) -> DataTree {
        self.tree
    }

    /// Applies a transaction, and notes that everything up to its zxid is applied.
    pub fn apply(&mut self, header: &TxnHeader, txn: &Txn<'_>, trail: &mut impl Trail) {
        match txn {
            Txn::CreateSession { timeout_ms } => sessions::open(self, header, *timeout_ms, trail),
            Txn::CloseSession { ephemerals } => {
                sessions::close(self, header, ephemerals.iter().flatten().map(Cow::as_ref), trail);
            }
            Txn::Multi(parts) if parts.iter().any(|part| matches!(part, Txn::Error { .. })) => {}
            Txn::Multi(parts) => parts.iter().for_each(|part| {
                self.apply_to_node(header, part, trail);
            }),
            _ => {
                self.apply_to_node(header, txn, trail);
            }
        }
        self.tree.advance(header.zxid);
    }

    /// Applies a transaction that another server decided, and says what its client hears of it if it is one
    /// of this server's. Sessions' own outcomes are [`Outcome::Done`].
    pub fn perform(&mut self, header: &TxnHeader, txn: &Txn<'_>, trail: &mut impl Trail) -> Outcome {
        let outcome = match txn {
            Txn::Error { err } => Outcome::Failed(Code::from_number(*err)),
            Txn::CreateSession { .. } | Txn::CloseSession { .. } => {
                self.apply(header, txn, trail);
                Outcome::Done
            }
            Txn::Multi(parts) if parts.iter().any(|part| matches!(part, Txn::Error { .. })) => {
                let codes = parts.iter().map(|part| match part {
                    Txn::Error { err } => Code::from_number(*err),
                    _ => Code::Ok,
                });
                Outcome::Multi(codes.map(PartOutcome::Failed).collect())
            }
            Txn::Multi(parts) => {
                Outcome::Multi(parts.iter().map(|part| self.apply_to_node(header, part, trail)).collect())
            }
            _ => {
                let part = self.apply_to_node(header, txn, trail);
                self.outcome_of(txn, part)
            }
        };
        self.tree.advance(header.zxid);
        outcome
    }

    /// Notes that everything up to `zxid` is applied.
    pub fn advance(&mut self, zxid: Zxid) {
        self.tree.advance(zxid);
    }

    /// Forgets that transactions after `zxid` were applied, all of whose changes were taken back.
    pub fn rewind(&mut self, zxid: Zxid) {
        self.tree.rewind(zxid);
    }

    /// Applies a transaction that concerns one node, and says what its client hears of it.
    pub(super) fn apply_to_node(
        &mut self,
        header: &TxnHeader,
        txn: &Txn<'_>,
        trail: &mut impl Trail,
    ) -> PartOutcome {
        let done = match txn {
            Txn::Create { kind, path, data, acl, parent_cversion } => {
                create::apply(self, header, *kind, (path, data.as_deref(), acl), *parent_cversion, trail)
            }
            Txn::Delete { path } | Txn::DeleteContainer { path } => delete::apply(self, header, path, trail),
            Txn::SetData { path, data, version } | Txn::Reconfig { path, data, version } => {
                set_data::apply(self, header, path, data.as_deref(), *version, trail)
            }
            Txn::SetAcl { path, acl, version } => set_acl::apply(self, header, path, acl, *version, trail),
            Txn::Check { .. } => Some(PartOutcome::Checked),
            Txn::Error { .. } | Txn::Multi(_) | Txn::CreateSession { .. } | Txn::CloseSession { .. } => None,
        };
        done.unwrap_or(PartOutcome::Failed(Code::NoNode))
    }

    /// What a client hears of a transaction that concerns one node and was applied.
    pub(super) fn outcome_of(&self, txn: &Txn<'_>, part: PartOutcome) -> Outcome {
        match (txn, part) {
            (Txn::Reconfig { path, .. }, PartOutcome::Changed(stat)) => match self.tree.get(path) {
                Some(found) => Outcome::Reconfigured(found.node.clone(), stat),
                None => Outcome::Changed(stat),
            },
            (_, part) => part.into(),
        }
    }

    /// Has the node of the configuration show one that did not come by a transaction: the servers agreed on it
    /// otherwise, and each writes it down for itself (zab §12.2).
    pub fn show_configuration(&mut self, text: &[u8], version: Zxid, wall: WallTime, trail: &mut impl Trail) {
        let (client_id, cxid) = (SessionId::NONE, 0);
        let header = TxnHeader { client_id, cxid, zxid: version, time: wall };
        set_data::apply(self, &header, CONFIG_NODE, Some(text), CONFIG_NODE_VERSION, trail);
    }

    /// Opens or closes a session.
    pub(super) fn change_sessions(&mut self, zxid: Zxid, delta: Delta, trail: &mut impl Trail) {
        let undo = self.tree.apply(zxid, &delta);
        trail.note(delta, undo);
    }

    /// Makes one change, which fits the tree, to the node at this slot or below it, see
    /// [`DataTree::apply_at`].
    pub(super) fn change(&mut self, zxid: Zxid, delta: Delta, slot: Slot, trail: &mut impl Trail) {
        let undo = self.tree.apply_at(zxid, &delta, slot);
        self.quotas.follow(&delta);
        trail.note(delta, undo);
    }

    /// Takes back one change, the last that is not taken back yet.
    pub(super) fn undo(&mut self, undo: Undo) {
        self.quotas.take_back(&undo);
        self.tree.undo(undo);
    }

    /// Rewrites what the quota that a node counts for says of its subtree.
    pub(super) fn account(
        &mut self,
        zxid: Zxid,
        path: &str,
        usage: quota::UsageChange,
        trail: &mut impl Trail,
    ) {
        if self.quotas.is_empty() {
            return;
        }
        if let Some((delta, slot)) = self.quotas.updated_stats(&self.tree, path, usage) {
            self.change(zxid, delta, slot, trail);
        }
    }
}

/// Makes the ACL lists of a decoded transaction those that other nodes share.
pub fn share_lists(txn: &mut Txn<'_>, interner: &mut Interner) {
    match txn {
        Txn::Create { acl, .. } | Txn::SetAcl { acl, .. } => *acl = interner.share(acl.clone()),
        Txn::Multi(parts) => parts.iter_mut().for_each(|part| share_lists(part, interner)),
        _ => {}
    }
}
