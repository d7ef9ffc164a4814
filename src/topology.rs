//! Which role runs on which executor.

use std::time::Duration;

use ringkeeper_core::config::{Layout, LayoutKind};

use crate::runtime::ExecutorOptions;

/// The executors of a server and what each of them runs.
///
/// A hop to an executor that sleeps costs as much as half a disk write, and a write needs two to four of
/// them. So roles are split only over CPUs of their own, where an executor may spin; a machine with
/// fewer runs all of them on one.
#[derive(Clone, Debug)]
pub struct Topology {
    /// The executors that run something.
    pub executors: Vec<Place>,
    /// How many shards there are.
    pub shards: usize,
}

/// One executor.
#[derive(Clone, Debug)]
pub struct Place {
    /// How it runs.
    pub options: ExecutorOptions,
    /// What it runs.
    pub roles: Vec<Role>,
}

/// A role to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The shard with this number.
    Shard(usize),
    /// The commit role.
    Commit,
    /// The log.
    Wal,
}

impl Topology {
    /// The topology for this configuration on a machine with so many CPUs.
    pub fn plan(layout: &Layout, cpus: usize) -> Topology {
        match layout.kind {
            LayoutKind::Single => Topology::single(layout),
            LayoutKind::Split => Topology::split(layout, cpus),
            LayoutKind::Auto if cpus < SPLIT_FROM_CPUS => Topology::single(layout),
            LayoutKind::Auto => Topology::split(layout, cpus),
        }
    }

    /// Whether all roles are on one executor.
    pub fn is_single(&self) -> bool {
        self.executors.len() == 1
    }

    fn single(layout: &Layout) -> Topology {
        let options = ExecutorOptions { name: "server".into(), cpu: cpu(layout, 0), spin: None };
        let roles = vec![Role::Shard(0), Role::Commit, Role::Wal];
        Topology { executors: vec![Place { options, roles }], shards: 1 }
    }

    fn split(layout: &Layout, cpus: usize) -> Topology {
        // Without a CPU for each, nobody may keep one busy with waiting.
        let shards = layout.shards.unwrap_or(cpus.saturating_sub(ORDERING_EXECUTORS).max(1));
        let spin = (shards + ORDERING_EXECUTORS <= cpus).then_some(SPIN);
        let place = |index: usize, name: String, spin: Option<Duration>, role: Role| Place {
            options: ExecutorOptions { name, cpu: cpu(layout, index), spin },
            roles: vec![role],
        };
        let mut executors =
            vec![place(0, "wal".into(), spin, Role::Wal), place(1, "commit".into(), spin, Role::Commit)];
        executors.extend((0..shards).map(|shard| {
            place(shard + ORDERING_EXECUTORS, format!("shard-{shard}"), None, Role::Shard(shard))
        }));
        Topology { executors, shards }
    }
}

/// The CPU that the operator gave the executor with this number.
fn cpu(layout: &Layout, index: usize) -> Option<usize> {
    layout.cpus.get(index).copied()
}

/// With fewer CPUs than this, splitting the roles costs more than it brings.
const SPLIT_FROM_CPUS: usize = 4;
/// The log's and the commit role's.
const ORDERING_EXECUTORS: usize = 2;
const SPIN: Duration = Duration::from_micros(100);

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(kind: LayoutKind, shards: Option<usize>) -> Layout {
        Layout { kind, shards, cpus: Vec::new() }
    }

    #[test]
    fn a_small_machine_runs_everything_on_one_executor() {
        let topology = Topology::plan(&layout(LayoutKind::Auto, None), 2);
        assert_eq!((topology.executors.len(), topology.shards), (1, 1));
        assert!(topology.is_single());
        assert_eq!(topology.executors[0].roles, [Role::Shard(0), Role::Commit, Role::Wal]);
    }

    #[test]
    fn a_large_machine_gives_the_log_and_the_order_a_cpu_each_and_the_rest_to_shards() {
        let topology = Topology::plan(&layout(LayoutKind::Auto, None), 8);
        assert_eq!((topology.executors.len(), topology.shards), (8, 6));
        assert!(topology.executors[0].options.spin.is_some());
    }

    #[test]
    fn executors_that_share_cpus_do_not_spin() {
        let topology = Topology::plan(&layout(LayoutKind::Split, Some(2)), 2);
        assert_eq!((topology.executors.len(), topology.shards), (4, 2));
        assert!(topology.executors.iter().all(|place| place.options.spin.is_none()));
    }
}
