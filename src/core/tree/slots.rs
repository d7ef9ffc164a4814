use std::hint::black_box;

use super::node::Node;
use crate::chunks::Chunks;
use crate::id::Zxid;

/// Where a node lives in one tree; valid until the node is deleted, meaningless in any other tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slot(pub(super) u32);

impl Slot {
    /// The root's: it comes first.
    pub(crate) const ROOT: Slot = Slot(0);

    /// No slot: the end of a list of siblings, the parent of the root.
    pub(super) const NONE: Slot = Slot(u32::MAX);

    /// The slot, unless it is none.
    pub(super) fn some(self) -> Option<Slot> {
        (self != Slot::NONE).then_some(self)
    }
}

/// A node's place among others. Apart from the nodes, so that those lie close together for look-ups.
#[derive(Clone, Copy)]
struct Links {
    next: Slot,
    prev: Slot,
    above: Above,
}

/// Where a node's parent is noted: in its family, if it has one.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Above(u32);

impl Above {
    fn parent(slot: Slot) -> Above {
        Above(slot.0)
    }

    fn family(id: FamilyId) -> Above {
        Above(id.0 | FAMILY_BIT)
    }

    fn as_family(self) -> Option<FamilyId> {
        (self.0 & FAMILY_BIT != 0 && self.0 != Slot::NONE.0).then_some(FamilyId(self.0 & !FAMILY_BIT))
    }
}

/// What a parent knows of its children.
#[derive(Clone)]
pub(super) struct Family {
    pub(super) pzxid: Zxid,
    pub(super) cversion: i32,
    pub(super) children: u32,
    pub(super) first: Slot,
    /// The family's own node's parent.
    parent: Slot,
}

/// Where a family lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct FamilyId(u32);

/// The nodes and families of one tree. They live in chunks that never move, so growth copies nothing.
#[derive(Clone, Default)]
pub(super) struct Slots {
    /// `None` while the slot is free.
    nodes: Chunks<Option<Node>>,
    count: usize,
    links: Chunks<Links>,
    /// Which slots have a family, 64 in each: most have none, and whoever asks need not look at their links, which lie
    /// somewhere else in memory for each.
    has_family: Chunks<u64>,
    free: Vec<Slot>,
    families: Chunks<Family>,
    free_families: Vec<FamilyId>,
}

impl Slots {
    /// Nodes in chunks as [`Chunks`] has them, which must be [linked](Slots::linked) yet.
    pub(super) fn unlinked(nodes: Vec<Vec<Option<Node>>>) -> Slots {
        let count = nodes.iter().map(Vec::len).sum();
        Slots { nodes: Chunks::of_chunks(nodes), count, ..Slots::default() }
    }

    /// Makes each node a child of its parent, whose slot comes first.
    pub(super) fn linked(mut self, parents: impl Iterator<Item = Slot>) -> Slots {
        for parent in parents {
            let links = Links { next: Slot::NONE, prev: Slot::NONE, above: Above::parent(parent) };
            let slot = self.push_links(links);
            if parent != Slot::NONE {
                self.link(parent, slot);
            }
        }
        self
    }

    /// How many nodes there are.
    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// The slot that the next new node gets.
    pub(super) fn next_free(&self) -> Slot {
        self.free.last().copied().unwrap_or(Slot(self.nodes.len()))
    }

    /// Puts a node in, without making it one of its parent's children. The slot is the [next
    /// free](Slots::next_free) one of the commit role, and so of this tree: what is taken back there frees its
    /// slots in the reverse order.
    pub(super) fn insert(&mut self, slot: Slot, node: Node, parent: Slot) {
        assert!(slot == self.next_free(), "{slot:?} is not the next free: {node:?}");
        let links = Links { next: Slot::NONE, prev: Slot::NONE, above: Above::parent(parent) };
        self.count += 1;
        match self.free.pop() {
            Some(slot) => {
                self.nodes[slot.0] = Some(node);
                self.links[slot.0] = links;
            }
            None => {
                self.nodes.push(Some(node));
                self.push_links(links);
            }
        }
    }

    /// Frees the slot and its family, and returns the node.
    pub(super) fn remove(&mut self, slot: Slot) -> Option<Node> {
        self.drop_family(slot);
        self.free.push(slot);
        self.count -= 1;
        self.nodes[slot.0].take()
    }

    /// The node in this slot; `None` if the slot is free.
    pub(super) fn node(&self, slot: Slot) -> Option<&Node> {
        self.nodes[slot.0].as_ref()
    }

    /// Has the processor load where the slot's node is, and its family if it has one, if there is such a slot.
    pub(super) fn load(&self, slot: Slot) {
        if let Some(node) = self.nodes.get(slot.0) {
            black_box(node.is_some());
            if self.has_family(slot) {
                self.load_links(slot);
            }
        }
    }

    /// Has it load where the slot's place among others is.
    pub(super) fn load_links(&self, slot: Slot) {
        black_box(self.links.get(slot.0).map(|links| links.above.0));
    }

    /// The slot's node, if there is such a slot and it is taken.
    pub(super) fn try_node(&self, slot: Slot) -> Option<&Node> {
        self.nodes.get(slot.0)?.as_ref()
    }

    /// Puts another node in the place of the slot's, which it returns.
    pub(super) fn replace(&mut self, slot: Slot, node: Node) -> Option<Node> {
        self.nodes[slot.0].replace(node)
    }

    /// The slot of the node's parent, none for the root.
    pub(super) fn parent(&self, slot: Slot) -> Slot {
        let above = self.links[slot.0].above;
        above.as_family().map_or(Slot(above.0), |id| self.families[id.0].parent)
    }

    /// What comes after the node among its parent's children.
    pub(super) fn next(&self, slot: Slot) -> Slot {
        self.links[slot.0].next
    }

    pub(super) fn family(&self, slot: Slot) -> Option<&Family> {
        if !self.has_family(slot) {
            return None;
        }
        self.links[slot.0].above.as_family().map(|id| &self.families[id.0])
    }

    /// The slot's family, made if it has none: then its pzxid is the node's czxid.
    pub(super) fn family_mut(&mut self, slot: Slot) -> &mut Family {
        let above = self.links[slot.0].above;
        let id = above.as_family().unwrap_or_else(|| self.make_family(slot, Slot(above.0)));
        &mut self.families[id.0]
    }

    /// Forgets the slot's family.
    pub(super) fn drop_family(&mut self, slot: Slot) {
        if let Some(id) = self.links[slot.0].above.as_family() {
            self.has_family[slot.0 / 64] &= !(1 << (slot.0 % 64));
            self.links[slot.0].above = Above::parent(self.families[id.0].parent);
            self.free_families.push(id);
        }
    }

    /// Puts `child` first among `parent`'s children.
    pub(super) fn link(&mut self, parent: Slot, child: Slot) {
        let family = self.family_mut(parent);
        let next = std::mem::replace(&mut family.first, child);
        family.children += 1;
        if let Some(next) = next.some() {
            self.links[next.0].prev = child;
        }
        let links = &mut self.links[child.0];
        (links.next, links.prev) = (next, Slot::NONE);
    }

    /// Takes `child` out of `parent`'s children.
    pub(super) fn unlink(&mut self, parent: Slot, child: Slot) {
        let Links { next, prev, .. } = self.links[child.0];
        if let Some(next) = next.some() {
            self.links[next.0].prev = prev;
        }
        if let Some(prev) = prev.some() {
            self.links[prev.0].next = next;
        }
        let family = self.family_mut(parent);
        family.children -= 1;
        if prev == Slot::NONE {
            family.first = next;
        }
    }

    fn make_family(&mut self, slot: Slot, parent: Slot) -> FamilyId {
        let pzxid = self.node(slot).map_or(Zxid::ZERO, Node::czxid);
        let family = Family { pzxid, cversion: 0, children: 0, first: Slot::NONE, parent };
        let id = match self.free_families.pop() {
            Some(id) => {
                self.families[id.0] = family;
                id
            }
            None => FamilyId(self.families.push(family)),
        };
        self.links[slot.0].above = Above::family(id);
        self.has_family[slot.0 / 64] |= 1 << (slot.0 % 64);
        id
    }

    fn has_family(&self, slot: Slot) -> bool {
        self.has_family[slot.0 / 64] & (1 << (slot.0 % 64)) != 0
    }

    fn push_links(&mut self, links: Links) -> Slot {
        let slot = self.links.push(links);
        if slot.is_multiple_of(64) {
            self.has_family.push(0);
        }
        Slot(slot)
    }
}

/// Tells a family from a parent. Two thousand million nodes would take hundreds of gigabytes.
const FAMILY_BIT: u32 = 1 << 31;
const _: () = assert!(size_of::<Option<Node>>() + size_of::<Links>() == 20 && size_of::<Family>() == 24);
