use super::node::Node;
use super::slots::Family;
use crate::id::{SessionId, Zxid};

/// One step of a committed change, as every role applies it.
///
/// A delta is complete: applying it asks no question and cannot fail. It holds the nodes themselves, so
/// that a role copies nothing and can tell its clients what changed.
#[derive(Clone, Debug)]
pub enum Delta {
    /// A new node; its parent's count of creates becomes `parent_cversion` and its pzxid the zxid.
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
    /// A node without children is gone; its parent's pzxid becomes the zxid. Holds the node as it was.
    Delete(Node),
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

/// How to take back one applied [`Delta`]. Undone in the reverse order of applying.
#[derive(Debug)]
pub enum Undo {
    /// Takes a created node out again.
    Uncreate {
        /// The created node.
        node: Node,
        /// What the parent knew of its children, `None` if it had never had one.
        parent: Option<Counters>,
    },
    /// Puts the replaced node back.
    Restore(Node),
    /// Puts a deleted node back.
    Undelete {
        /// The deleted node.
        node: Node,
        /// What it knew of its own children, which were gone.
        own: Option<Counters>,
        /// What the parent knew before.
        parent: Option<Counters>,
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
pub struct Counters {
    pub(super) cversion: i32,
    pub(super) pzxid: Zxid,
}

impl From<&Family> for Counters {
    fn from(family: &Family) -> Counters {
        Counters { cversion: family.cversion, pzxid: family.pzxid }
    }
}
