use std::borrow::Cow;

use super::digests::Digests;
use super::quota::Quotas;
use super::reconfig::{CONFIG_NODE, CONFIG_NODE_VERSION};
use super::{create, delete, quota, sessions, set_acl, set_data};
use crate::acl::Interner;
use crate::error::Code;
use crate::flow::{Outcome, PartOutcome};
use crate::format::snapshot::Digest;
use crate::id::{SessionId, Zxid};
use crate::proto::{Txn, TxnDigest, TxnHeader};
use crate::time::WallTime;
use crate::tree::{DIGEST_VERSION, DataTree, Delta, Node, Place, Slot, Undo};

/// The tree and what is kept beside it to change it: which subtrees have a quota.
pub struct Database {
    pub(super) tree: DataTree,
    pub(super) quotas: Quotas,
    digests: Digests,
    /// Below which node the last one was created: most creations are below the parent of the one before.
    pub(super) last_parent: Slot,
}

/// Told of each change that applying a transaction makes.
pub trait Trail {
    /// The change was applied at this place; `undo` takes it back.
    fn note(&mut self, delta: Delta, place: Place, undo: Undo);
}

/// What a transaction that concerns one node has done to it.
pub(super) enum Applied {
    /// create.
    Created(Node),
    /// create2, createContainer, createTTL.
    CreatedWithStat(Node),
    /// delete.
    Deleted,
    /// setData, setACL, reconfig, on the node in this slot.
    Changed(Slot),
    /// check.
    Checked,
    /// Nothing, for the node or its parent is missing.
    Nothing,
}

/// Nobody is told.
impl Trail for () {
    fn note(&mut self, _: Delta, _: Place, _: Undo) {}
}

impl Database {
    /// The database whose tree this is, with what quotas say is used counted anew.
    pub fn new(tree: DataTree) -> Database {
        let quotas = Quotas::of(&tree);
        let mut database = Database { tree, quotas, digests: Digests::default(), last_parent: Slot::ROOT };
        database.recount();
        database
    }

    /// The tree.
    pub fn tree(&self) -> &DataTree {
        &self.tree
    }

    /// The tree of a role on the same executor, see [`DataTree::share`].
    pub fn share_tree(&mut self) -> DataTree {
        self.tree.share()
    }

    /// The tree alone, which is changed no further.
    pub fn into_tree(self) -> DataTree {
        self.tree
    }

    /// Another tree takes the place of this one.
    pub fn replace(&mut self, tree: DataTree) {
        self.digests.restart();
        *self = Database { digests: std::mem::take(&mut self.digests), ..Database::new(tree) };
    }

    /// What is known of the tree's digests.
    pub fn digests(&self) -> &Digests {
        &self.digests
    }

    /// Compares what the snapshot that the tree was loaded from says of its digest.
    pub fn check_snapshot(&mut self, said: Digest) {
        if let Some(digest) = self.tree.digest() {
            self.digests.on_snapshot(said, self.tree.last_zxid(), digest);
        }
    }

    /// Compares what the last transaction that was applied says of the tree after it, if it says anything.
    pub fn check(&mut self, said: Option<TxnDigest>) {
        if let Some(said) = said
            && let Some(digest) = self.tree.digest()
        {
            self.digests.check(self.tree.last_zxid(), said, digest);
        }
    }

    /// What the last transaction that was applied is to say of the tree after it. Errors say nothing.
    pub fn digest_for(&self, txn: &Txn<'_>) -> Option<TxnDigest> {
        match txn {
            Txn::Error { .. } => None,
            _ => self
                .tree
                .digest()
                .map(|digest| TxnDigest { version: DIGEST_VERSION, tree_digest: digest as i64 }),
        }
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
                self.apply_to_node(header, part, None, trail);
            }),
            _ => {
                self.apply_to_node(header, txn, None, trail);
            }
        }
        self.applied(header.zxid);
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
                Outcome::Multi(parts.iter().map(|part| self.apply_part(header, part, None, trail)).collect())
            }
            _ => self.apply_to_node(header, txn, None, trail).outcome(txn),
        };
        self.applied(header.zxid);
        outcome
    }

    /// Notes that everything up to `zxid` is applied.
    pub fn advance(&mut self, zxid: Zxid) {
        self.tree.advance(zxid);
    }

    /// Forgets that transactions after `zxid` were applied, all of whose changes were taken back.
    pub fn rewind(&mut self, zxid: Zxid) {
        self.tree.rewind(zxid);
        self.digests.rewind(zxid);
    }

    /// The transaction of this zxid is applied.
    pub(super) fn applied(&mut self, zxid: Zxid) {
        self.tree.advance(zxid);
        // Java's log of digests goes on without digests.
        self.digests.on_applied(zxid, self.tree.digest().unwrap_or(0));
    }

    /// Applies a transaction that concerns one node. If it was just decided, `at` is the slot that was found then: the
    /// node's; of a new one, whose path is free, its parent's.
    pub(super) fn apply_to_node(
        &mut self,
        header: &TxnHeader,
        txn: &Txn<'_>,
        at: Option<Slot>,
        trail: &mut impl Trail,
    ) -> Applied {
        let done = match txn {
            Txn::Create { kind, path, data, acl, parent_cversion } => {
                let node = (&**path, data.as_deref(), acl);
                create::apply(self, header, *kind, node, *parent_cversion, at, trail)
            }
            Txn::Delete { path } | Txn::DeleteContainer { path } => delete::apply(self, header, path, trail),
            Txn::SetData { path, data, version } | Txn::Reconfig { path, data, version } => {
                set_data::apply(self, header, path, data.as_deref(), *version, at, trail)
            }
            Txn::SetAcl { path, acl, version } => set_acl::apply(self, header, path, acl, *version, trail),
            Txn::Check { .. } => Some(Applied::Checked),
            Txn::Error { .. } | Txn::Multi(_) | Txn::CreateSession { .. } | Txn::CloseSession { .. } => None,
        };
        done.unwrap_or(Applied::Nothing)
    }

    /// As [`Database::apply_to_node`], for a part of a multi, of which its client hears this.
    pub(super) fn apply_part(
        &mut self,
        header: &TxnHeader,
        txn: &Txn<'_>,
        at: Option<Slot>,
        trail: &mut impl Trail,
    ) -> PartOutcome {
        match self.apply_to_node(header, txn, at, trail) {
            Applied::Created(node) => PartOutcome::Created(node),
            Applied::CreatedWithStat(node) => {
                let stat = self.tree.stat_of_childless(&node);
                PartOutcome::CreatedWithStat(node, stat)
            }
            Applied::Deleted => PartOutcome::Deleted,
            Applied::Changed(slot) => match self.tree.at(slot) {
                Some(found) => PartOutcome::Changed(found.stat()),
                None => PartOutcome::Failed(Code::NoNode),
            },
            Applied::Checked => PartOutcome::Checked,
            Applied::Nothing => PartOutcome::Failed(Code::NoNode),
        }
    }

    /// Has the node of the configuration show one that did not come by a transaction: the servers agreed on it
    /// otherwise, and each writes it down for itself (zab §12.2).
    pub fn show_configuration(&mut self, text: &[u8], version: Zxid, wall: WallTime, trail: &mut impl Trail) {
        let (client_id, cxid) = (SessionId::NONE, 0);
        let header = TxnHeader { client_id, cxid, zxid: version, time: wall };
        set_data::apply(self, &header, CONFIG_NODE, Some(text), CONFIG_NODE_VERSION, None, trail);
    }

    /// Opens or closes a session.
    pub(super) fn change_sessions(&mut self, zxid: Zxid, delta: Delta, trail: &mut impl Trail) {
        let undo = self.tree.apply_at(zxid, &delta, Place::NOWHERE);
        trail.note(delta, Place::NOWHERE, undo);
    }

    /// Makes one change, which fits the tree, to the node at this slot or below it, see
    /// [`DataTree::place`].
    pub(super) fn change(&mut self, zxid: Zxid, delta: Delta, slot: Slot, trail: &mut impl Trail) {
        let place = self.tree.place(&delta, slot);
        let undo = self.tree.apply_at(zxid, &delta, place);
        self.quotas.follow(&delta);
        trail.note(delta, place, undo);
    }

    /// Takes back one change, the last that is not taken back yet.
    pub(super) fn undo(&mut self, undo: Undo) {
        self.quotas.take_back(&undo, &self.tree);
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

impl Applied {
    /// What the client hears whose only transaction this was.
    pub(super) fn outcome(self, txn: &Txn<'_>) -> Outcome {
        match self {
            Applied::Created(node) => Outcome::Created(node),
            Applied::CreatedWithStat(node) => Outcome::CreatedWithStat(node),
            Applied::Deleted | Applied::Checked => Outcome::Done,
            Applied::Changed(slot) if matches!(txn, Txn::Reconfig { .. }) => Outcome::Reconfigured(slot),
            Applied::Changed(slot) => Outcome::Changed(slot),
            Applied::Nothing => Outcome::Failed(Code::NoNode),
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
