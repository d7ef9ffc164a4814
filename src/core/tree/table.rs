mod small;

use foldhash::fast::FixedState;
use std::hash::BuildHasher;

use super::node::Node;
use super::slots::{Slot, Slots};
use small::{Place, SmallTable};

/// Finds a node's slot by its path. Made of many small tables, so that none of their growths takes
/// long: with five million nodes one holds about 2 400.
#[derive(Clone)]
pub(super) struct Table {
    hasher: FixedState,
    parts: Vec<SmallTable>,
}

impl Table {
    /// An empty table; `seed` keeps clients from choosing paths that collide.
    pub(super) fn new(seed: u64) -> Table {
        Table { hasher: FixedState::with_seed(seed), parts: vec![SmallTable::default(); PARTS] }
    }

    pub(super) fn find(&self, path: &str, slots: &Slots) -> Option<Slot> {
        let hash = self.hash(path.as_bytes());
        let is_at = |slot| slots.try_node(slot).is_some_and(|node| node.path_bytes() == path.as_bytes());
        self.parts[hash.part()].find(hash.in_part(), is_at)
    }

    /// Has the processor fetch what a look-up of this path begins with.
    pub(super) fn prefetch(&self, path: &[u8]) -> Hash {
        let hash = self.hash(path);
        self.parts[hash.part()].prefetch(hash.in_part());
        hash
    }

    /// The first slot that a look-up will compare the path of.
    pub(super) fn candidate(&self, hash: Hash) -> Option<Slot> {
        self.parts[hash.part()].find(hash.in_part(), |_| true)
    }

    /// Adds a path, even one that is there already.
    pub(super) fn insert(&mut self, slot: Slot, hash: Hash) {
        self.parts[hash.part()].insert(Place::new(slot, hash.in_part()));
    }

    /// Takes out a path that is there, once.
    pub(super) fn remove(&mut self, slot: Slot, hash: Hash) {
        self.parts[hash.part()].remove(Place::new(slot, hash.in_part()));
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
        let mut parts: Vec<SmallTable> = counts.map(SmallTable::with_room_for).into();
        let path = |slot| slots.node(slot).map(Node::path_bytes);
        let mut duplicate = None;
        for filed in filed {
            let (part, place) = (&mut parts[filed.part_in_group()], filed.place);
            match part.find(place.hash, |other| path(other) == path(place.slot())) {
                Some(_) => duplicate = duplicate.or(Some(place.slot())),
                None => part.insert(place),
            }
        }
        (Group(parts), duplicate)
    }

    pub(super) fn len(&self) -> usize {
        self.parts.iter().map(SmallTable::len).sum()
    }

    pub(super) fn hash(&self, path: &[u8]) -> Hash {
        Hash(self.hasher.hash_one(path))
    }
}

/// Neighbours among the small tables.
pub(super) struct Group(Vec<SmallTable>);

/// A slot that is to be put into a table, later and with others.
#[derive(Clone, Copy)]
pub(super) struct Filed {
    part: u16,
    place: Place,
}

impl Filed {
    pub(super) fn new(slot: Slot, hash: Hash) -> Filed {
        Filed { part: hash.part() as u16, place: Place::new(slot, hash.in_part()) }
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
#[derive(Clone, Copy, Default)]
pub(super) struct Hash(u64);

impl Hash {
    /// Which of the small tables.
    fn part(self) -> usize {
        (self.0 >> 32) as usize % PARTS
    }

    /// The hash within that table.
    fn in_part(self) -> u16 {
        self.0 as u16
    }
}

/// So few that those of a large tree lie in a few thousand pages, and so many that 16 bits of a hash nearly tell
/// which node it is: with ten million, one look-up in thirteen compares a path that is another one's.
const PARTS: usize = 2048;
/// How many groups the small tables make: one should fit the processor's cache.
pub(super) const GROUPS: usize = 64;
const PARTS_IN_GROUP: usize = PARTS / GROUPS;
const _: () = assert!(size_of::<Filed>() == 8);
