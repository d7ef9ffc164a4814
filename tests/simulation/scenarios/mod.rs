//! Scenarios of `ensemble-scenarios` that need times and partitions to the point, in the same world. Each test has the
//! number of its scenario; `tickTime` is [`TICK_MS`].

mod disks;
mod failures;
mod formation;
mod partitions;
mod reconfigs;
mod roles;
mod sessions;
mod time;

use crate::checks::progress;
use crate::client::Habit;
use crate::run::{is_loud, settle};
use crate::server::{SYNC_LIMIT, TICK_MS};
use crate::setup::Setup;
use crate::world::{MS, World};

const SYNC: u64 = SYNC_LIMIT as u64 * TICK_MS as u64 * MS;

/// Runs a scenario on ensembles that have just come to serve, with clients at work; in the end all must be well.
fn with_ensembles(voters: usize, observers: usize, scenario: impl Fn(&mut World)) {
    with_setup(&Setup::calm(voters, observers), scenario);
}

fn with_setup(setup: &Setup, scenario: impl Fn(&mut World)) {
    for seed in 0..10 {
        let mut world = serving(setup.clone(), seed);
        scenario(&mut world);
        settle(&mut world);
        assert_eq!(world.failure, None, "seed {seed}");
    }
}

/// An ensemble that has just come to serve, with clients at work.
pub(crate) fn serving(setup: Setup, seed: u64) -> World {
    let mut world = World::new(setup, fastrand::Rng::with_seed(seed), is_loud(seed));
    assert!(world.run_until(5000 * MS, progress::all_serve), "seed {seed}: they do not come to serve");
    world.run(500 * MS);
    world
}

fn leader(world: &World) -> usize {
    world.leader().expect("somebody leads")
}

/// Cuts these servers off from all others, in both directions.
fn part(world: &mut World, these: &[usize]) {
    for one in these {
        for other in (0..world.servers.len()).filter(|other| !these.contains(other)) {
            world.block(*one, other, None);
            world.block(other, *one, None);
        }
    }
}

/// Clients are shown what they write with a new leader, while the old one, to whom nobody has told it, has a client
/// that asks for syncs, and nothing that holds them up.
pub(crate) fn leave_a_leader(world: &mut World) {
    let old = leader(world);
    world.clients.iter_mut().for_each(|client| client.take_up(Habit::Nothing));
    for number in 0..world.clients.len() {
        world.settle_at(number, (old + number.min(2)) % 3);
    }
    assert!(world.run_until(3000 * MS, progress::all_are_answered), "they do not get to their servers");
    world.clients[0].take_up(Habit::Syncs);
    world.depose(old);
    let led = |world: &World| world.servers.iter().any(|server| server.id != old && server.leads());
    world.run_until(1000 * MS, led);
    world.clients.iter_mut().skip(1).for_each(|client| client.take_up(Habit::Everything));
    world.run(2 * SYNC);
}
