//! Which operation comes next, and on what: the same for all protocols.

use std::collections::VecDeque;

use rand::distr::Distribution;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use rand_distr::Zipf;

use super::workload::{Kind, Skew, Workload};

/// Chooses operations by their weights, and znodes by their skew.
pub(crate) struct Plan {
    random: SmallRng,
    /// Each with the weight of all up to it.
    mix: Vec<(Kind, u32)>,
    nodes: u32,
    /// `None`: all znodes alike. Otherwise the first is the one that is asked for most.
    zipf: Option<Zipf<f64>>,
    multi_size: u32,
    /// The number of the last znode that was made; no two connections make the same.
    last_made: u32,
    /// What each connection has made and not deleted, as far as it is known to be there, the oldest first.
    made: Vec<VecDeque<u32>>,
}

/// What to ask for: of which of the znodes that were there before the load, or of which that it makes.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Step {
    Get(u32),
    Exists(u32),
    Set(u32),
    Children,
    Create(u32),
    Ephemeral(u32),
    Sequential(u32),
    Delete(u32),
    /// Neighbours, so that no znode is set twice in one multi unless there are too few.
    Multi(Vec<u32>),
    SyncGet(u32),
}

impl Plan {
    pub(crate) fn new(workload: &Workload) -> Plan {
        let mut sum = 0;
        let mix = workload.mix.iter().map(|&(kind, weight)| {
            sum += weight;
            (kind, sum)
        });
        let zipf = match workload.skew {
            Skew::Uniform => None,
            Skew::Zipf(exponent) => Zipf::new(f64::from(workload.nodes), exponent).ok(),
        };
        Plan {
            random: SmallRng::seed_from_u64(SEED),
            mix: mix.collect(),
            nodes: workload.nodes,
            zipf,
            multi_size: workload.multi_size,
            last_made: 0,
            made: vec![VecDeque::new(); workload.connections],
        }
    }

    /// The place of the next operation in the mix, and what it is to do.
    pub(crate) fn next(&mut self, connection: usize) -> (usize, Step) {
        let sum = self.mix.last().map_or(1, |(_, sum)| *sum);
        let ticket = self.random.random_range(0..sum);
        let index = self.mix.partition_point(|(_, upto)| *upto <= ticket);
        let step = match self.mix[index].0 {
            Kind::Get => Step::Get(self.node()),
            Kind::Exists => Step::Exists(self.node()),
            Kind::Set => Step::Set(self.node()),
            Kind::Children => Step::Children,
            Kind::Create => Step::Create(self.make()),
            Kind::Ephemeral => Step::Ephemeral(self.make()),
            Kind::Sequential => Step::Sequential(self.make()),
            // Where nothing is there to delete, a create comes in its place.
            Kind::Delete | Kind::Churn => match self.made[connection].pop_front() {
                Some(number) => Step::Delete(number),
                None => Step::Create(self.make()),
            },
            Kind::Multi => {
                let first = u64::from(self.node());
                let neighbour = |step| ((first + u64::from(step)) % u64::from(self.nodes)) as u32;
                Step::Multi((0..self.multi_size).map(neighbour).collect())
            }
            Kind::SyncGet => Step::SyncGet(self.node()),
        };
        (index, step)
    }

    /// What [`Step::Create`] had made is there by the time that the connection's next request is done.
    pub(crate) fn is_there(&mut self, connection: usize, number: u32) {
        self.made[connection].push_back(number);
    }

    /// A connection is lost: who knows which of those that it made are there.
    pub(crate) fn lost(&mut self, connection: usize) {
        self.made[connection].clear();
    }

    fn node(&mut self) -> u32 {
        match &self.zipf {
            None => self.random.random_range(0..self.nodes),
            Some(zipf) => zipf.sample(&mut self.random) as u32 - 1,
        }
    }

    fn make(&mut self) -> u32 {
        self.last_made = self.last_made.wrapping_add(1);
        self.last_made
    }
}

/// The same operations in the same order for every server.
const SEED: u64 = 0x7a6b;

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(mix: Vec<(Kind, u32)>) -> Plan {
        Plan::new(&Workload { mix, connections: 2, nodes: 20, ..Workload::plain() })
    }

    #[test]
    fn no_znode_is_set_twice_in_a_multi_wherever_it_begins() {
        for skew in [Skew::Uniform, Skew::Zipf(1.0)] {
            let workload = Workload { mix: vec![(Kind::Multi, 1)], nodes: 12, skew, ..Workload::plain() };
            let mut plan = Plan::new(&workload);
            for _ in 0..1000 {
                let Step::Multi(mut chosen) = plan.next(0).1 else { panic!("a multi was to come") };
                chosen.sort_unstable();
                chosen.dedup();
                assert!(chosen.len() == 10 && chosen.iter().all(|node| *node < 12), "{chosen:?}");
            }
        }
    }

    #[test]
    fn a_connection_deletes_what_it_knows_to_be_there_and_nothing_else() {
        let mut plan = plan(vec![(Kind::Churn, 1)]);
        assert_eq!(plan.next(0).1, Step::Create(1));
        assert_eq!(plan.next(0).1, Step::Create(2), "nobody has said that the first is there");
        plan.is_there(0, 2);
        assert_eq!(plan.next(1).1, Step::Create(3), "the other connection has made none");
        assert_eq!(plan.next(0).1, Step::Delete(2));
        plan.is_there(0, 1);
        plan.lost(0);
        assert_eq!(plan.next(0).1, Step::Create(4));
    }

    #[test]
    fn operations_come_by_their_weights() {
        let mut plan = plan(vec![(Kind::Get, 3), (Kind::Set, 1)]);
        let gets = (0..10_000).filter(|_| plan.next(0).0 == 0).count();
        assert!((7300..7700).contains(&gets), "{gets}");
    }
}
