use std::hint::black_box;

use crate::tree::slots::Slot;

/// Slots by 16 bits of a hash, several of which may be equal.
///
/// Open addressing: a slot stands where its hash points to, or as soon behind that as others left it room
/// that are farther from theirs ("Robin Hood"). It grows by a quarter, so that little room is unused; that costs
/// little because it needs nothing but what is in it.
#[derive(Clone, Default)]
pub(super) struct SmallTable {
    places: Box<[Place]>,
    len: usize,
}

/// A slot with its hash; no slot where there is room.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    slot: [u16; 2],
    pub(super) hash: u16,
}

impl Place {
    const FREE: Place = Place::new(Slot::NONE, 0);

    pub(super) const fn new(Slot(slot): Slot, hash: u16) -> Place {
        Place { slot: [slot as u16, (slot >> 16) as u16], hash }
    }

    pub(super) fn slot(self) -> Slot {
        Slot(u32::from(self.slot[0]) | u32::from(self.slot[1]) << 16)
    }
}

impl SmallTable {
    /// An empty table with room for so many.
    pub(super) fn with_room_for(count: usize) -> SmallTable {
        let len = if count == 0 { 0 } else { count + count / 4 + 1 };
        SmallTable { places: vec![Place::FREE; len].into(), len: 0 }
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// The slot with this hash that is the one.
    pub(super) fn find(&self, hash: u16, is_it: impl Fn(Slot) -> bool) -> Option<Slot> {
        self.position(hash, is_it).map(|at| self.places[at].slot())
    }

    /// Loads what a look-up of this hash will look at first.
    pub(super) fn load(&self, hash: u16) {
        black_box(self.places.get(self.home(hash)).map(|place| place.hash));
    }

    pub(super) fn insert(&mut self, place: Place) {
        self.len += 1;
        if self.len * 8 > self.places.len() * 7 {
            let grown = vec![Place::FREE; self.len * 10 / 7 + 1].into();
            let places = std::mem::replace(&mut self.places, grown);
            places.into_iter().filter(|place| *place != Place::FREE).for_each(|place| self.put(place));
        }
        self.put(place);
    }

    /// Takes a slot out, if it is there.
    pub(super) fn remove(&mut self, place: Place) {
        let Some(mut at) = self.position(place.hash, |slot| slot == place.slot()) else { return };
        self.len -= 1;
        // Those behind it move up, as far as they are not where they would like to be.
        loop {
            let next = self.after(at);
            let behind = self.places[next];
            if behind == Place::FREE || self.distance(next, behind) == 0 {
                break;
            }
            self.places[at] = behind;
            at = next;
        }
        self.places[at] = Place::FREE;
    }

    fn position(&self, hash: u16, is_it: impl Fn(Slot) -> bool) -> Option<usize> {
        let mut at = self.home(hash);
        for distance in 0..self.places.len() {
            let place = self.places[at];
            if place.hash == hash && place != Place::FREE && is_it(place.slot()) {
                return Some(at);
            }
            if place == Place::FREE || self.distance(at, place) < distance {
                return None;
            }
            at = self.after(at);
        }
        None
    }

    /// Puts a slot in, for which there is room.
    fn put(&mut self, mut place: Place) {
        let (mut at, mut distance) = (self.home(place.hash), 0);
        while self.places[at] != Place::FREE {
            let others = self.distance(at, self.places[at]);
            if others < distance {
                std::mem::swap(&mut self.places[at], &mut place);
                distance = others;
            }
            at = self.after(at);
            distance += 1;
        }
        self.places[at] = place;
    }

    /// How far a slot is from where it would like to be.
    fn distance(&self, at: usize, place: Place) -> usize {
        let home = self.home(place.hash);
        if at >= home { at - home } else { at + self.places.len() - home }
    }

    fn home(&self, hash: u16) -> usize {
        (usize::from(hash) * self.places.len()) >> 16
    }

    fn after(&self, at: usize) -> usize {
        if at + 1 == self.places.len() { 0 } else { at + 1 }
    }
}

const _: () = assert!(size_of::<Place>() == 6 && size_of::<SmallTable>() == 24);

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Hashes from a few are often equal and often at the end, where the table goes on at its start.
        #[test]
        fn what_is_in_is_found_and_nothing_else(
            room in 0usize..20,
            steps in prop::collection::vec((any::<bool>(), 0u32..60, 0u16..9), 0..400),
        ) {
            let mut table = SmallTable::with_room_for(room);
            let mut model = BTreeSet::new();
            for (is_insert, slot, hash) in steps {
                let hash = u16::MAX - hash * 5000;
                let place = Place::new(Slot(slot), hash);
                if !is_insert {
                    table.remove(place);
                    model.remove(&(slot, hash));
                } else if model.insert((slot, hash)) {
                    table.insert(place);
                }
                prop_assert_eq!(table.len(), model.len());
            }
            for slot in 0..60 {
                for hash in (0..9).map(|hash| u16::MAX - hash * 5000) {
                    let found = table.find(hash, |found| found == Slot(slot));
                    prop_assert_eq!(found.is_some(), model.contains(&(slot, hash)));
                }
            }
        }
    }

    #[test]
    fn there_is_never_much_room_unused_and_always_some() {
        let mut table = SmallTable::with_room_for(0);
        for number in 1..5000u32 {
            table.insert(Place::new(Slot(number), (number * 40503) as u16));
            let unused = table.places.len() - table.len();
            assert!(unused * 8 >= table.places.len(), "{number}: {unused}");
            assert!(unused * 10 <= table.places.len() * 3 + 20, "{number}: {unused}");
        }
        assert_eq!(SmallTable::with_room_for(1000).places.len(), 1251);
    }
}
