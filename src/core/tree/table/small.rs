use prefetch_index::prefetch_index;

use crate::tree::slots::Slot;

/// Slots by 16 bits of a hash, several of which may be equal.
///
/// In the order of their hashes, with room between them: a slot stands where its hash points to, or as soon behind
/// that as those with lower or equal hashes left it room. The last may stand behind where any hash points to. So a
/// look-up compares hashes with one another and nothing else, and growth is one walk. It grows by a quarter, so
/// that little room is unused.
#[derive(Clone, Default)]
pub(super) struct SmallTable {
    places: Box<[Place]>,
    /// How many of the places hashes point to.
    room: u32,
    len: u32,
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
        let room = count + count / 4 + 1;
        SmallTable { places: vec![Place::FREE; room + BEHIND].into(), room: room as u32, len: 0 }
    }

    pub(super) fn len(&self) -> usize {
        self.len as usize
    }

    /// The slot with this hash that is the one.
    pub(super) fn find(&self, hash: u16, is_it: impl Fn(Slot) -> bool) -> Option<Slot> {
        self.position(hash, is_it).map(|at| self.places[at].slot())
    }

    /// Has the processor fetch what a look-up of this hash will look at first, without waiting for it.
    pub(super) fn prefetch(&self, hash: u16) {
        let home = self.home(hash);
        prefetch_index(&self.places, home);
        prefetch_index(&self.places, home + PLACES_IN_LINE);
    }

    pub(super) fn insert(&mut self, place: Place) {
        self.len += 1;
        if self.len * 8 > self.room * 7 {
            self.grow();
        }
        if !self.put(place) {
            let mut longer = std::mem::take(&mut self.places).into_vec();
            longer.extend([Place::FREE; BEHIND]);
            self.places = longer.into();
            self.put(place);
        }
    }

    /// Takes a slot out, if it is there; once, if it is there more than once.
    pub(super) fn remove(&mut self, place: Place) {
        let Some(at) = self.position(place.hash, |slot| slot == place.slot()) else { return };
        self.len -= 1;
        // Those behind it move up, as far as they are not where they would like to be.
        let is_last = |(at, place): (usize, &Place)| *place == Place::FREE || self.home(place.hash) == at;
        let behind = self.places.iter().enumerate().skip(at + 1);
        let end = behind.clone().find(|next| is_last(*next)).map_or(self.places.len(), |(end, _)| end);
        self.places.copy_within(at + 1..end, at);
        self.places[end - 1] = Place::FREE;
    }

    fn position(&self, hash: u16, is_it: impl Fn(Slot) -> bool) -> Option<usize> {
        let home = self.home(hash);
        let from_home = self.places.get(home..)?.iter();
        let same = from_home.enumerate().skip_while(|(_, place)| place.hash < hash && **place != Place::FREE);
        let mut same = same.take_while(|(_, place)| place.hash == hash && **place != Place::FREE);
        same.find(|(_, place)| is_it(place.slot())).map(|(at, _)| home + at)
    }

    /// Puts a slot in, if there is room at its end.
    fn put(&mut self, place: Place) -> bool {
        let home = self.home(place.hash);
        let behind = |other: &Place| *other == Place::FREE || other.hash > place.hash;
        let Some(at) = self.places[home..].iter().position(behind).map(|at| home + at) else { return false };
        let free = self.places[at..].iter().position(|other| *other == Place::FREE);
        let Some(free) = free.map(|free| at + free) else { return false };
        self.places.copy_within(at..free, at + 1);
        self.places[at] = place;
        true
    }

    /// Makes room. What is in the table is in order, and so is put where it goes one after the other.
    fn grow(&mut self) {
        self.room = self.len * 10 / 7 + 1;
        let mut grown = Vec::with_capacity(self.room as usize + BEHIND);
        for place in std::mem::take(&mut self.places) {
            if place != Place::FREE {
                grown.resize(grown.len().max(self.home(place.hash)), Place::FREE);
                grown.push(place);
            }
        }
        grown.resize(grown.len().max(self.room as usize) + BEHIND, Place::FREE);
        self.places = grown.into();
    }

    /// Where a hash points to.
    fn home(&self, hash: u16) -> usize {
        (usize::from(hash) * self.room as usize) >> 16
    }
}

/// How much room is added where no hash points to, whenever there is not enough.
const BEHIND: usize = 8;
/// How many places a line of the processor's cache holds.
const PLACES_IN_LINE: usize = 64 / size_of::<Place>();
const _: () = assert!(size_of::<Place>() == 6 && size_of::<SmallTable>() == 24);

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Hashes from a few are often equal and often at the end, behind which there is little room.
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
            assert!(unused * 10 <= table.places.len() * 3 + 10 * (2 + BEHIND), "{number}: {unused}");
        }
        assert_eq!(SmallTable::with_room_for(1000).places.len(), 1251 + BEHIND);
    }
}
