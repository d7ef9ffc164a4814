use std::hash::BuildHasher;

use foldhash::fast::FixedState;
use hashbrown::HashTable;

/// Gives each watched path a small number. Made of many small tables, so that none of their growths
/// takes long.
pub(super) struct PathIndex {
    hasher: FixedState,
    parts: Vec<HashTable<u32>>,
}

impl PathIndex {
    pub(super) fn new(seed: u64) -> PathIndex {
        let parts = (0..PARTS).map(|_| HashTable::new()).collect();
        PathIndex { hasher: FixedState::with_seed(seed), parts }
    }

    /// The number of `path`; `text` tells the path of a number.
    pub(super) fn find<'a>(&self, path: &str, text: impl Fn(u32) -> &'a str) -> Option<u32> {
        let hash = self.hasher.hash_one(path);
        self.parts[part(hash)].find(hash, |id| text(*id) == path).copied()
    }

    /// Adds a path that is not there yet.
    pub(super) fn insert<'a>(&mut self, path: &str, id: u32, text: impl Fn(u32) -> &'a str) {
        let hasher = &self.hasher;
        let hash = hasher.hash_one(path);
        self.parts[part(hash)].insert_unique(hash, id, |id| hasher.hash_one(text(*id)));
    }

    pub(super) fn remove(&mut self, path: &str, id: u32) {
        let hash = self.hasher.hash_one(path);
        if let Ok(entry) = self.parts[part(hash)].find_entry(hash, |other| *other == id) {
            entry.remove();
        }
    }
}

/// Bits from the middle: the low ones choose the bucket within a part, the high ones its tag.
fn part(hash: u64) -> usize {
    (hash >> 32) as usize % PARTS
}

const PARTS: usize = 1024;
