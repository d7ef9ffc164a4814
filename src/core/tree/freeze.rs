use std::collections::BTreeMap;

use super::data_tree::{DataTree, Found};
use super::node::Node;
use crate::id::{SessionId, Zxid};

/// The state at one zxid, apart from the tree, which may change meanwhile.
///
/// Freezing copies no znode: it takes a reference to each, 24 bytes, and time in proportion to their number.
/// What is frozen can be read on another thread, to write a snapshot or to send one to a learner.
#[derive(Clone)]
pub struct Frozen {
    pub(crate) zxid: Zxid,
    pub(crate) digest: Option<u64>,
    pub(crate) has_last_zxid: bool,
    pub(crate) sessions: BTreeMap<SessionId, i32>,
    /// Parents before their children.
    pub(crate) nodes: Vec<FrozenNode>,
}

/// A node and what its stat has from its children.
#[derive(Clone)]
pub(crate) struct FrozenNode {
    pub(crate) node: Node,
    pub(crate) pzxid: Zxid,
    pub(crate) cversion: i32,
}

impl DataTree {
    /// The state as it is now.
    pub fn freeze(&self) -> Frozen {
        let mut nodes = Vec::with_capacity(self.node_count());
        nodes.extend(self.walk().map(FrozenNode::from));
        let (zxid, sessions) = (self.last_zxid(), self.sessions().clone());
        Frozen { zxid, digest: None, has_last_zxid: false, sessions, nodes }
    }
}

impl Frozen {
    /// The zxid of the last transaction in it.
    pub fn zxid(&self) -> Zxid {
        self.zxid
    }

    /// Has a snapshot of it say this of the tree's digest, or nothing.
    pub fn with_digest(self, digest: Option<u64>) -> Frozen {
        Frozen { digest, ..self }
    }

    /// Whether a snapshot of it says its zxid, besides its name.
    pub fn with_last_zxid(self, has_last_zxid: bool) -> Frozen {
        Frozen { has_last_zxid, ..self }
    }
}

impl From<Found<'_>> for FrozenNode {
    fn from(found: Found<'_>) -> FrozenNode {
        FrozenNode { node: found.node.clone(), pzxid: found.pzxid(), cversion: found.cversion() }
    }
}

const _: () = assert!(size_of::<FrozenNode>() == 24);
