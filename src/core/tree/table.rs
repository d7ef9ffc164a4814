use foldhash::fast::FixedState;
use hashbrown::HashTable;
use std::hash::BuildHasher;

use super::node::Node;
use super::slots::{Slot, Slots};

/// Finds a node's slot by its path. Made of many small tables, so that none of their growths takes
/// long: with five million nodes the largest hold about 900. A table grows to twice its size when it is
/// full; they get unequal shares of the paths, so that they don't do so all at the same time.
#[derive(Clone)]
pub(super) struct Table {
    hasher: FixedState,
    parts: Vec<HashTable<Place>>,
}

impl Table {
    /// An empty table; `seed` keeps clients from choosing paths that collide.
    pub(super) fn new(seed: u64) -> Table {
        Table { hasher: FixedState::with_seed(seed), parts: (0..PARTS).map(|_| HashTable::new()).collect() }
    }

    pub(super) fn find(&self, path: &str, slots: &Slots) -> Option<Slot> {
        let hash = self.hash(path.as_bytes());
        let is_at =
            |place: &Place| slots.node(place.slot()).is_some_and(|node| node.path_bytes() == path.as_bytes());
        self.parts[hash.part()].find(hash.in_part(), is_at).map(Place::slot)
    }

    /// Adds a path that is not there yet.
    pub(super) fn insert(&mut self, slot: Slot, hash: Hash) {
        self.parts[hash.part()].insert_unique(hash.in_part(), Place::new(slot, hash), Place::hash_in_part);
    }

    /// Takes out a path that is there.
    pub(super) fn remove(&mut self, slot: Slot, hash: Hash) {
        let place = Place::new(slot, hash);
        if let Ok(entry) = self.parts[hash.part()].find_entry(hash.in_part(), |other| *other == place) {
            entry.remove();
        }
    }

    /// A table of what [`Table::fill`] made for each group.
    pub(super) fn with_groups(&self, groups: Vec<Group>) -> Table {
        Table { hasher: self.hasher.clone(), parts: groups.into_iter().flat_map(|group| group.0).collect() }
    }

    /// Puts what is filed for one group into the tables of it. Says which is the first whose path is there
    /// before.
    pub(super) fn fill<'a>(
        filed: impl Iterator<Item = &'a Filed> + Clone,
        slots: &Slots,
    ) -> (Group, Option<Slot>) {
        let mut counts = [0; PARTS_IN_GROUP];
        filed.clone().for_each(|filed| counts[filed.part_in_group()] += 1);
        let mut parts: Vec<HashTable<Place>> = counts.map(HashTable::with_capacity).into();
        let path = |place: &Place| slots.node(place.slot()).map(Node::path_bytes);
        let mut duplicate = None;
        for filed in filed {
            let (part, place) = (&mut parts[filed.part_in_group()], filed.place);
            let is_same = |other: &Place| other.hash == place.hash && path(other) == path(&place);
            match part.find(place.hash_in_part(), is_same) {
                Some(_) => duplicate = duplicate.or(Some(place.slot())),
                None => {
                    part.insert_unique(place.hash_in_part(), place, Place::hash_in_part);
                }
            }
        }
        (Group(parts), duplicate)
    }

    pub(super) fn len(&self) -> usize {
        self.parts.iter().map(HashTable::len).sum()
    }

    pub(super) fn hash(&self, path: &[u8]) -> Hash {
        Hash(self.hasher.hash_one(path))
    }
}

/// Neighbours among the small tables.
pub(super) struct Group(Vec<HashTable<Place>>);

/// A slot that is to be put into a table, later and with others.
#[derive(Clone, Copy)]
pub(super) struct Filed {
    part: u16,
    place: Place,
}

impl Filed {
    pub(super) fn new(slot: Slot, hash: Hash) -> Filed {
        Filed { part: hash.part() as u16, place: Place::new(slot, hash) }
    }

    /// Which group of small tables it goes into, below [`GROUPS`].
    pub(super) fn group(self) -> usize {
        usize::from(self.part) / PARTS_IN_GROUP
    }

    fn part_in_group(self) -> usize {
        usize::from(self.part) % PARTS_IN_GROUP
    }
}

/// The hash of a path.
#[derive(Clone, Copy)]
pub(super) struct Hash(u64);

impl Hash {
    /// Which of the small tables: the last gets about twice as many paths as the first.
    fn part(self) -> usize {
        let even = self.0 >> 32;
        // About 2^32 times log2(1 + x), for x from 0 to 1 as an x of 32 bits.
        let skewed = even + ((even * (u64::from(u32::MAX) - even)) >> 32) * 88 / 256;
        ((skewed * PARTS as u64) >> 32) as usize
    }

    /// The hash within that table.
    fn in_part(self) -> u64 {
        spread(self.0 as u16)
    }
}

/// A slot, and as much of its path's hash as the small table needs, so that growing looks at no node.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Place {
    slot: [u16; 2],
    hash: u16,
}

impl Place {
    fn new(Slot(slot): Slot, hash: Hash) -> Place {
        Place { slot: [slot as u16, (slot >> 16) as u16], hash: hash.0 as u16 }
    }

    fn slot(&self) -> Slot {
        Slot(u32::from(self.slot[0]) | u32::from(self.slot[1]) << 16)
    }

    fn hash_in_part(&self) -> u64 {
        spread(self.hash)
    }
}

/// The lowest bits choose the bucket, the highest seven are its tag.
fn spread(hash: u16) -> u64 {
    u64::from(hash) | u64::from(hash) << 48
}

/// So many that the 16 bits of a hash in a small table are enough up to some ten million nodes: beyond that, a
/// look-up happens to compare more than one path.
const PARTS: usize = 8192;
/// How many groups the small tables make: one should fit the processor's cache.
pub(super) const GROUPS: usize = 64;
const PARTS_IN_GROUP: usize = PARTS / GROUPS;
const _: () = assert!(size_of::<Place>() == 6 && size_of::<Filed>() == 8);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_get_unequal_shares_and_each_gets_some() {
        let table = Table::new(1);
        let mut counts = [0; PARTS];
        for number in 0..PARTS * 100 {
            counts[table.hash(format!("/parent/{number}").as_bytes()).part()] += 1;
        }
        let share = |parts: std::ops::Range<usize>| counts[parts.clone()].iter().sum::<usize>() / parts.len();
        let (first, last) = (share(0..PARTS / 16), share(PARTS - PARTS / 16..PARTS));
        assert!((65..=80).contains(&first) && (130..=150).contains(&last), "{first} to {last}");
        assert!(counts.iter().all(|count| *count > 0));
        assert_eq!((Hash(0).part(), Hash(u64::MAX).part()), (0, PARTS - 1));
    }
}
