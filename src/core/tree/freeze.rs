use std::collections::{BTreeMap, HashMap};

use super::data_tree::{DataTree, Found, LOOK_AHEAD};
use super::delta::{Delta, Place};
use super::node::Node;
use crate::id::{SessionId, Zxid};
use crate::proto::AclRef;

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
    /// How many bytes their paths and data are.
    pub(crate) content_len: usize,
    /// The lists that they have.
    pub(crate) lists: AclLists,
}

/// A node and what its stat has from its children.
#[derive(Clone)]
pub(crate) struct FrozenNode {
    pub(crate) node: Node,
    pub(crate) pzxid: Zxid,
    pub(crate) cversion: i32,
}

/// Distinct ACL lists, in the order in which they were met. The list that lets everybody do everything is none of them.
#[derive(Clone, Default)]
pub(crate) struct AclLists {
    in_order: Vec<AclRef>,
    indexes: HashMap<AclRef, usize>,
    /// Neighbours tend to have the same list.
    last: Option<(AclRef, usize)>,
}

/// The tree as the snapshotter has it, which only writes it down: no node can be found by its path, nor by its
/// owner, and so much less there is to keep.
pub struct SnapshotTree(DataTree);

impl SnapshotTree {
    /// The same tree.
    pub fn of(tree: &DataTree) -> SnapshotTree {
        SnapshotTree(tree.without_paths())
    }

    /// The zxid of the last transaction applied.
    pub fn last_zxid(&self) -> Zxid {
        self.0.last_zxid()
    }

    /// Notes that everything up to `zxid` is applied, or about to be.
    pub fn advance(&mut self, zxid: Zxid) {
        self.0.advance(zxid);
    }

    /// Applies a step of the last transaction, see [`DataTree::apply_at`].
    pub fn apply_at(&mut self, delta: &Delta, place: Place) {
        self.0.apply_at(self.0.last_zxid(), delta, place);
    }

    /// See [`DataTree::look_ahead_to_steps`].
    pub fn look_ahead_to_steps<'s>(&self, steps: impl Iterator<Item = (&'s Delta, Place)>) {
        self.0.look_ahead_to_steps(steps);
    }

    /// The state as it is now. `pause` is called after every thousand znodes or so, a tenth of a millisecond's work: what
    /// it does, such as letting others have the processor, takes so much longer, and is no part of the state.
    pub fn freeze(&self, pause: impl FnMut()) -> Frozen {
        self.0.freeze_in_pieces(pause)
    }
}

impl DataTree {
    /// The state as it is now.
    pub fn freeze(&self) -> Frozen {
        self.freeze_in_pieces(|| ())
    }

    fn freeze_in_pieces(&self, mut pause: impl FnMut()) -> Frozen {
        let mut nodes = Vec::with_capacity(self.node_count());
        let (mut content_len, mut lists) = (0, AclLists::default());
        let mut walk = self.walk().fuse();
        for count in 1.. {
            let found: [_; LOOK_AHEAD] = std::array::from_fn(|_| walk.next());
            found.iter().flatten().for_each(|found| found.node.load());
            for Found { node, .. } in found.iter().flatten() {
                content_len += node.path_bytes().len() + node.data_len();
                lists.index(node.acl());
            }
            nodes.extend(found.iter().flatten().map(|found| FrozenNode::from(*found)));
            if found.last().is_none_or(Option::is_none) {
                break;
            }
            if count % (PIECE_LEN / LOOK_AHEAD) == 0 {
                pause();
            }
        }
        let (zxid, sessions) = (self.last_zxid(), self.sessions().clone());
        Frozen { zxid, digest: None, has_last_zxid: false, sessions, nodes, content_len, lists }
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

impl AclLists {
    /// Where this list is among them, put in if it is new; nowhere if it lets everybody do everything.
    pub(crate) fn index(&mut self, list: &AclRef) -> Option<usize> {
        if *list == AclRef::open() {
            return None;
        }
        if let Some((_, index)) = self.last.as_ref().filter(|(last, _)| last == list) {
            return Some(*index);
        }
        let index = self.indexes.get(list).copied().unwrap_or_else(|| {
            self.in_order.push(list.clone());
            self.indexes.insert(list.clone(), self.in_order.len() - 1);
            self.in_order.len() - 1
        });
        self.last = Some((list.clone(), index));
        Some(index)
    }

    /// The lists in their order.
    pub(crate) fn in_order(&self) -> &[AclRef] {
        &self.in_order
    }
}

impl From<Found<'_>> for FrozenNode {
    fn from(found: Found<'_>) -> FrozenNode {
        FrozenNode { node: found.node.clone(), pzxid: found.pzxid(), cversion: found.cversion() }
    }
}

/// Znodes between two pauses.
const PIECE_LEN: usize = 1024;

const _: () = assert!(size_of::<FrozenNode>() == 24);
