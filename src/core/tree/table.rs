use foldhash::fast::FixedState;
use hashbrown::HashTable;
use std::hash::BuildHasher;

use super::slots::{Slot, Slots};

/// Finds a node's slot by its path. Made of many small tables, so that none of their growths takes
/// long: with five million nodes one holds about 1,200.
#[derive(Clone)]
pub(super) struct Table {
    hasher: FixedState,
    parts: Vec<HashTable<u32>>,
}

impl Table {
    /// An empty table; `seed` keeps clients from choosing paths that collide.
    pub(super) fn new(seed: u64) -> Table {
        Table { hasher: FixedState::with_seed(seed), parts: (0..PARTS).map(|_| HashTable::new()).collect() }
    }

    pub(super) fn find(&self, path: &str, slots: &Slots) -> Option<Slot> {
        let hash = self.hash(path.as_bytes());
        self.parts[part(hash)].find(hash, |slot| is_at(slots, *slot, path)).map(|slot| Slot(*slot))
    }

    /// Adds a path that is not there yet.
    pub(super) fn insert(&mut self, slot: Slot, slots: &Slots) {
        let Some(node) = &slots.entry(slot).node else { return };
        let hash = self.hash(node.path_bytes());
        let hasher = self.hasher.clone();
        self.parts[part(hash)].insert_unique(hash, slot.0, |slot| {
            slots.entry(Slot(*slot)).node.as_ref().map_or(0, |node| hash_with(&hasher, node.path_bytes()))
        });
    }

    /// Takes a slot out that still holds its node.
    pub(super) fn remove(&mut self, slot: Slot, slots: &Slots) {
        let Some(node) = &slots.entry(slot).node else { return };
        let hash = self.hash(node.path_bytes());
        if let Ok(entry) = self.parts[part(hash)].find_entry(hash, |other| *other == slot.0) {
            entry.remove();
        }
    }

    pub(super) fn len(&self) -> usize {
        self.parts.iter().map(HashTable::len).sum()
    }

    fn hash(&self, path: &[u8]) -> u64 {
        hash_with(&self.hasher, path)
    }
}

fn hash_with(hasher: &FixedState, path: &[u8]) -> u64 {
    hasher.hash_one(path)
}

fn is_at(slots: &Slots, slot: u32, path: &str) -> bool {
    slots.entry(Slot(slot)).node.as_ref().is_some_and(|node| node.path_bytes() == path.as_bytes())
}

/// Bits from the middle: the low ones choose the bucket within a part, the high ones its tag.
fn part(hash: u64) -> usize {
    (hash >> 32) as usize % PARTS
}

const PARTS: usize = 4096;
