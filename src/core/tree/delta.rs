use super::node::Node;
use super::slots::{Family, Slot};
use crate::id::{SessionId, Zxid};

/// One step of a committed change, as every role applies it.
///
/// A delta is complete: applying it asks no question and cannot fail. It holds the nodes themselves, so
/// that a role copies nothing and can tell its clients what changed.
#[derive(Clone, Debug)]
pub enum Delta {
    /// A new node; its parent's count of creates becomes `parent_cversion` and, if it was another, its
    /// pzxid the zxid. It is the same only if a log is replayed over a state that is later already.
    Create {
        /// The node, whose parent exists and whose path does not.
        node: Node,
        /// The parent's stored `cversion` after this.
        parent_cversion: i32,
    },
    /// A node's data changed by a client.
    SetData(Node),
    /// A node changed in a way that no watch hears of: its ACL, or the server's bookkeeping of quotas.
    SetSilently(Node),
    /// A node without children is gone; its parent's pzxid becomes the zxid, unless it is later already,
    /// which it can be where a log is replayed. Holds the node as it was.
    Delete(Node),
    /// A node hears of children that it has, or does not have, already: where a log is replayed over a
    /// state that is partly later.
    SetCounters {
        /// The node, which does not change itself.
        node: Node,
        /// What it knows of its children after this.
        counters: Counters,
    },
    /// A session exists from here on.
    OpenSession {
        /// The session.
        id: SessionId,
        /// Its timeout as negotiated at first.
        timeout_ms: i32,
    },
    /// A session is gone; its ephemerals were deleted before.
    CloseSession(SessionId),
}

impl Delta {
    /// The node that this holds.
    pub fn node(&self) -> Option<&Node> {
        match self {
            Delta::Create { node, .. }
            | Delta::SetData(node)
            | Delta::SetSilently(node)
            | Delta::Delete(node)
            | Delta::SetCounters { node, .. } => Some(node),
            Delta::OpenSession { .. } | Delta::CloseSession(_) => None,
        }
    }

    /// The path that this adds to a tree's index, or takes out of it.
    pub fn indexed_path(&self) -> Option<&[u8]> {
        match self {
            Delta::Create { node, .. } | Delta::Delete(node) => Some(node.path_bytes()),
            _ => None,
        }
    }
}

/// Where in a tree a [`Delta`] changes something: the same in the trees of all roles, which apply the same
/// deltas in the same order. The commit role has looked it up; nobody else needs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The node's.
    pub(super) slot: Slot,
    /// Its parent's, if it is created.
    pub(super) parent: Slot,
}

impl Place {
    /// That of a session.
    pub const NOWHERE: Place = Place { slot: Slot::NONE, parent: Slot::NONE };
}

/// How to take back one applied [`Delta`]. Undone in the reverse order of applying.
#[derive(Debug)]
pub enum Undo {
    /// Takes a created node out again.
    Uncreate {
        /// Where it is.
        slot: Slot,
        /// What the parent knew of its children, `None` if it had never had one.
        parent: Option<Counters>,
    },
    /// Puts the replaced node back.
    Restore {
        /// Where it was.
        slot: Slot,
        /// The node.
        node: Node,
    },
    /// Puts a deleted node back.
    Undelete {
        /// The deleted node.
        node: Node,
        /// Where it was, and its parent.
        place: Place,
        /// What it knew of its own children, which were gone.
        own: Option<Counters>,
        /// What the parent knew before.
        parent: Option<Counters>,
    },
    /// Gives a node its counters back.
    Recount {
        /// Where the node is.
        slot: Slot,
        /// What it knew of its children before.
        counters: Option<Counters>,
    },
    /// Takes a session out again.
    Unopen(SessionId),
    /// Puts a session back.
    Reopen(SessionId, i32),
    /// There is nothing to take back.
    Nothing,
}

/// A parent's own counters, as stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the fields are ZooKeeper's own")]
pub struct Counters {
    pub cversion: i32,
    pub pzxid: Zxid,
}

impl From<&Family> for Counters {
    fn from(family: &Family) -> Counters {
        Counters { cversion: family.cversion, pzxid: family.pzxid }
    }
}
