//! What the connections of a mix ask for, request by request.

use std::collections::VecDeque;

use anyhow::Result;
use rand::distr::Distribution;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use rand_distr::Zipf;

use super::tree::Tree;
use super::workload::{Kind, Skew, Workload};
use crate::engine::{Queue, Work};
use crate::paths::Paths;
use crate::wire::{self, Reply, Request};

/// Chooses operations by their weights, and znodes by their skew.
pub(crate) struct MixedWork {
    random: SmallRng,
    /// Each with the weight of all up to it.
    mix: Vec<(Kind, u32)>,
    keys: Keys,
    requests: Requests,
    nodes: Paths,
    data: Vec<u8>,
    multi_size: u32,
    /// The number of the next znode that is made; no two connections make the same.
    next_made: u32,
    /// What each connection has made and not deleted, the oldest first. A session's requests are done in
    /// their order, so what it has asked to be made is there when it asks for the next thing.
    made: Vec<VecDeque<u32>>,
}

enum Keys {
    Uniform(u32),
    /// The first znode is the one that is asked for most.
    Zipf(Zipf<f64>),
}

struct Requests {
    get: Request,
    exists: Request,
    set: Request,
    sync: Request,
    create: Request,
    ephemeral: Request,
    sequential: Request,
    delete: Request,
    listed: String,
}

impl MixedWork {
    pub(crate) fn new(workload: &Workload, tree: &Tree) -> MixedWork {
        let data = vec![b'd'; workload.data_len];
        let mut sum = 0;
        let mix = workload.mix.iter().map(|&(kind, weight)| {
            sum += weight;
            (kind, sum)
        });
        let keys = match workload.skew {
            Skew::Uniform => Keys::Uniform(workload.nodes),
            Skew::Zipf(exponent) => Zipf::new(f64::from(workload.nodes), exponent)
                .map_or(Keys::Uniform(workload.nodes), Keys::Zipf),
        };
        MixedWork {
            random: SmallRng::seed_from_u64(SEED),
            mix: mix.collect(),
            keys,
            requests: Requests {
                get: Request::get(&tree.nodes, data.len()),
                exists: Request::exists(&tree.nodes),
                set: Request::set(&tree.nodes, &data),
                sync: Request::sync(&tree.nodes),
                create: Request::create(&tree.made, &data),
                ephemeral: Request::create_ephemeral(&tree.made, &data),
                sequential: Request::create_sequential(&tree.made, &data),
                delete: Request::delete(&tree.made),
                listed: tree.listed.clone(),
            },
            nodes: tree.nodes.clone(),
            data,
            multi_size: workload.multi_size,
            next_made: 0,
            made: vec![VecDeque::new(); workload.connections],
        }
    }

    fn key(&mut self) -> u32 {
        match &self.keys {
            Keys::Uniform(nodes) => self.random.random_range(0..*nodes),
            Keys::Zipf(zipf) => zipf.sample(&mut self.random) as u32 - 1,
        }
    }

    fn choose(&mut self) -> (usize, Kind) {
        let sum = self.mix.last().map_or(1, |(_, sum)| *sum);
        let ticket = self.random.random_range(0..sum);
        let index = self.mix.partition_point(|(_, upto)| *upto <= ticket);
        (index, self.mix[index].0)
    }

    fn make(&mut self) -> u32 {
        self.next_made = self.next_made.wrapping_add(1);
        self.next_made
    }
}

impl Work for MixedWork {
    fn ask(&mut self, connection: usize, queue: &mut Queue<'_>) {
        let (operation, kind) = self.choose();
        let mut one = |request: &Request, number: u32| {
            let reply_len = Some(request.reply_len());
            queue.last(operation, 0, reply_len, |xid, out| request.append(xid, number, out));
        };
        match kind {
            Kind::Get => {
                let key = self.key();
                one(&self.requests.get, key);
            }
            Kind::Exists => {
                let key = self.key();
                one(&self.requests.exists, key);
            }
            Kind::Set => {
                let key = self.key();
                one(&self.requests.set, key);
            }
            Kind::Create => {
                let number = self.make();
                self.made[connection].push_back(number);
                one(&self.requests.create, number);
            }
            Kind::Ephemeral => {
                let number = self.make();
                one(&self.requests.ephemeral, number);
            }
            Kind::Sequential => {
                let number = self.make();
                one(&self.requests.sequential, number);
            }
            Kind::Delete | Kind::Churn => match self.made[connection].pop_front() {
                Some(number) => one(&self.requests.delete, number),
                // Nothing is there to delete: a create comes in its place.
                None => {
                    let number = self.make();
                    self.made[connection].push_back(number);
                    one(&self.requests.create, number);
                }
            },
            Kind::Children => {
                let listed = &self.requests.listed;
                queue.last(operation, 0, None, |xid, out| wire::append_get_children(xid, listed, out));
            }
            Kind::Multi => {
                let first = self.key();
                let MixedWork { nodes, data, multi_size, keys, .. } = &*self;
                let count = match keys {
                    Keys::Uniform(count) => *count,
                    Keys::Zipf(_) => u32::MAX,
                };
                // Neighbours, so that no znode is set twice in one multi unless there are too few.
                let children = (0..*multi_size).map(|step| (first.saturating_sub(step)) % count);
                let reply_len = Some(wire::multi_set_reply_len(*multi_size as usize));
                queue.last(operation, 0, reply_len, |xid, out| {
                    wire::append_multi_set(xid, nodes, children, data, out);
                });
            }
            Kind::SyncGet => {
                let key = self.key();
                let Requests { sync, get, .. } = &self.requests;
                queue.first(operation, Some(sync.reply_len()), |xid, out| sync.append(xid, key, out));
                queue.last(operation, 0, Some(get.reply_len()), |xid, out| get.append(xid, key, out));
            }
        }
    }

    fn replied(&mut self, _connection: usize, _tag: u32, _reply: &Reply<'_>) -> Result<()> {
        Ok(())
    }

    fn lost(&mut self, connection: usize) {
        // Who knows which of them are there.
        self.made[connection].clear();
    }
}

/// The same operations in the same order for every server.
const SEED: u64 = 0x7a6b;
