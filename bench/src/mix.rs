//! Operations mixed at random, on a tree that keeps its size.

use std::collections::VecDeque;

use crate::paths::{GROUP_SIZE, Paths};
use crate::wire::Request;

/// Chooses operations: of a hundred, on average 50 get, 40 set, 5 create and 5 delete. Gets and sets are
/// spread evenly over the znodes that were loaded; a delete takes the oldest znode that the mix has made,
/// and where there is none yet, a create comes in its place.
#[derive(Debug)]
pub(crate) struct Mix {
    random: fastrand::Rng,
    requests: [Request; Kind::ALL.len()],
    znodes: u32,
    /// How many were made; the next one's number follows from it.
    made: u32,
    /// Those that are known to be there, the oldest first.
    made_and_there: VecDeque<u32>,
}

/// One of the mixed operations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Get,
    Set,
    Create,
    Delete,
}

impl Mix {
    /// A mix over `znodes` at `paths` that hold `data`.
    pub(crate) fn new(paths: &Paths, znodes: u32, data: &[u8]) -> Mix {
        let requests = Kind::ALL.map(|kind| match kind {
            Kind::Get => Request::get(paths, data.len()),
            Kind::Set => Request::set(paths, data),
            Kind::Create => Request::create(paths, data),
            Kind::Delete => Request::delete(paths),
        });
        let random = fastrand::Rng::with_seed(SEED);
        Mix { random, requests, znodes, made: 0, made_and_there: VecDeque::new() }
    }

    /// What to ask next, and of which znode.
    pub(crate) fn next(&mut self) -> (Kind, u32) {
        match self.random.u8(..100) {
            0..50 => (Kind::Get, self.random.u32(..self.znodes)),
            50..90 => (Kind::Set, self.random.u32(..self.znodes)),
            90..95 => self.create(),
            _ => match self.made_and_there.pop_front() {
                Some(child) => (Kind::Delete, child),
                None => self.create(),
            },
        }
    }

    /// Tells that a znode that [`Mix::next`] had created is there.
    pub(crate) fn created(&mut self, child: u32) {
        self.made_and_there.push_back(child);
    }

    /// The request of this kind.
    pub(crate) fn request(&self, kind: Kind) -> &Request {
        &self.requests[kind as usize]
    }

    fn create(&mut self) -> (Kind, u32) {
        let child = first_made(self.znodes) + self.made % MADE_MAX;
        self.made += 1;
        (Kind::Create, child)
    }
}

impl Kind {
    /// All of them, in the order of their numbers.
    pub(crate) const ALL: [Kind; 4] = [Kind::Get, Kind::Set, Kind::Create, Kind::Delete];

    /// Whether it changes the tree.
    pub(crate) fn is_write(self) -> bool {
        self != Kind::Get
    }
}

/// The groups that a tree of `znodes` needs for a [`Mix`], the created ones' included.
pub(crate) fn groups(znodes: u32) -> u32 {
    (first_made(znodes) + MADE_MAX) / GROUP_SIZE
}

/// The znodes that the mix makes have groups of their own.
fn first_made(znodes: u32) -> u32 {
    znodes.next_multiple_of(GROUP_SIZE)
}

/// Numbers are used again after so many; their znodes are deleted long before, as a mix holds about as many
/// as it creates in a round trip.
const MADE_MAX: u32 = 64 * GROUP_SIZE;

/// The same operations in the same order for every server.
const SEED: u64 = 0x7a6b;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_come_in_their_shares_and_the_tree_keeps_its_size() {
        let mut mix = Mix::new(&Paths::grouped("/p"), 5000, b"");
        let mut counts = [0i32; 4];
        let mut there: Vec<u32> = Vec::new();
        for _ in 0..100_000 {
            let (kind, child) = mix.next();
            counts[kind as usize] += 1;
            match kind {
                Kind::Get | Kind::Set => assert!(child < 5000),
                Kind::Create => {
                    assert!(child >= 5000 && child / GROUP_SIZE < groups(5000) && !there.contains(&child));
                    there.push(child);
                    mix.created(child);
                }
                Kind::Delete => assert_eq!(there.remove(0), child, "the oldest goes"),
            }
        }
        for (count, share) in counts.into_iter().zip([50_000, 40_000, 5_000, 5_000]) {
            assert!((count - share).abs() < 1000, "{counts:?}");
        }
        assert!(there.len() < 1000, "{} more than at first", there.len());
    }

    #[test]
    fn what_nobody_has_confirmed_is_not_deleted() {
        let mut mix = Mix::new(&Paths::grouped("/p"), 10, b"");
        assert!((0..1000).all(|_| mix.next().0 != Kind::Delete));
        let child = mix.create().1;
        mix.created(child);
        assert_eq!((0..1000).filter(|_| mix.next() == (Kind::Delete, child)).count(), 1);
    }
}
