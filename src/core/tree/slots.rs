use super::node::Node;
use crate::chunks::Chunks;
use crate::id::Zxid;

/// Where a node lives in one tree; valid until the node is deleted, meaningless in any other tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slot(pub(super) u32);

impl Slot {
    /// No slot: the end of a list of siblings, the parent of the root.
    pub(super) const NONE: Slot = Slot(u32::MAX);

    /// The slot, unless it is none.
    pub(super) fn some(self) -> Option<Slot> {
        (self != Slot::NONE).then_some(self)
    }
}

/// A node's place among others.
#[derive(Clone)]
pub(super) struct Entry {
    /// `None` while the slot is free.
    pub(super) node: Option<Node>,
    pub(super) parent: Slot,
    pub(super) next: Slot,
    pub(super) prev: Slot,
    pub(super) family: FamilyId,
}

/// What a parent knows of its children.
#[derive(Clone)]
pub(super) struct Family {
    pub(super) pzxid: Zxid,
    pub(super) cversion: i32,
    pub(super) children: u32,
    pub(super) first: Slot,
}

/// Where a family lives; [`FamilyId::NONE`] for nodes that never had children.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FamilyId(u32);

impl FamilyId {
    pub(super) const NONE: FamilyId = FamilyId(u32::MAX);
}

/// The entries and families of one tree. They live in chunks that never move, so growth copies nothing.
#[derive(Clone, Default)]
pub(super) struct Slots {
    entries: Chunks<Entry>,
    free: Vec<Slot>,
    families: Chunks<Family>,
    free_families: Vec<FamilyId>,
}

impl Slots {
    pub(super) fn insert(&mut self, node: Node, parent: Slot) -> Slot {
        let entry =
            Entry { node: Some(node), parent, next: Slot::NONE, prev: Slot::NONE, family: FamilyId::NONE };
        match self.free.pop() {
            Some(slot) => {
                self.entries[slot.0] = entry;
                slot
            }
            None => Slot(self.entries.push(entry)),
        }
    }

    /// Frees the slot and its family, and returns the node.
    pub(super) fn remove(&mut self, slot: Slot) -> Option<Node> {
        let entry = &mut self.entries[slot.0];
        let node = entry.node.take();
        let family = std::mem::replace(&mut entry.family, FamilyId::NONE);
        if family != FamilyId::NONE {
            self.free_families.push(family);
        }
        self.free.push(slot);
        node
    }

    pub(super) fn entry(&self, slot: Slot) -> &Entry {
        &self.entries[slot.0]
    }

    pub(super) fn entry_mut(&mut self, slot: Slot) -> &mut Entry {
        &mut self.entries[slot.0]
    }

    pub(super) fn family(&self, slot: Slot) -> Option<&Family> {
        let family = self.entry(slot).family;
        (family != FamilyId::NONE).then(|| &self.families[family.0])
    }

    /// The slot's family, made if it has none: then its pzxid is the node's czxid.
    pub(super) fn family_mut(&mut self, slot: Slot) -> &mut Family {
        let mut id = self.entry(slot).family;
        if id == FamilyId::NONE {
            let pzxid = self.entry(slot).node.as_ref().map_or(Zxid::ZERO, |node| node.czxid());
            let family = Family { pzxid, cversion: 0, children: 0, first: Slot::NONE };
            id = match self.free_families.pop() {
                Some(id) => {
                    self.families[id.0] = family;
                    id
                }
                None => FamilyId(self.families.push(family)),
            };
            self.entry_mut(slot).family = id;
        }
        &mut self.families[id.0]
    }

    /// Forgets the slot's family.
    pub(super) fn drop_family(&mut self, slot: Slot) {
        let family = std::mem::replace(&mut self.entry_mut(slot).family, FamilyId::NONE);
        if family != FamilyId::NONE {
            self.free_families.push(family);
        }
    }

    /// Puts `child` first among `parent`'s children.
    pub(super) fn link(&mut self, parent: Slot, child: Slot) {
        let family = self.family_mut(parent);
        let next = std::mem::replace(&mut family.first, child);
        family.children += 1;
        if let Some(next) = next.some() {
            self.entry_mut(next).prev = child;
        }
        let entry = self.entry_mut(child);
        (entry.next, entry.prev) = (next, Slot::NONE);
    }

    /// Takes `child` out of `parent`'s children.
    pub(super) fn unlink(&mut self, parent: Slot, child: Slot) {
        let Entry { next, prev, .. } = *self.entry(child);
        if let Some(next) = next.some() {
            self.entry_mut(next).prev = prev;
        }
        if let Some(prev) = prev.some() {
            self.entry_mut(prev).next = next;
        }
        let family = self.family_mut(parent);
        family.children -= 1;
        if prev == Slot::NONE {
            family.first = next;
        }
    }
}

const _: () = assert!(size_of::<Entry>() == 24 && size_of::<Family>() == 24);
