//! Whole ensembles in memory, from a seed: a reliable network with delays, disks that lose what they have not
//! said to be durable, crashes, broken connections, and elections that need not choose well.

mod checks;
mod clients;
mod disk;
mod observers;
mod read_only;
mod server;
mod world;

use world::{Faults, World};

/// Runs one ensemble through its faults, lets it heal, and checks what must hold at the end.
fn survives(seed: u64, voters: usize, observers: usize, faults: Faults) {
    let mut world = World::new(seed, voters, observers, faults);
    world.run_faulty();
    world.heal_and_settle();
    world.check_end();
}

fn seeds(first: u64, count: u64) -> std::ops::Range<u64> {
    match std::env::var("SEED").ok().and_then(|seed| seed.parse().ok()) {
        Some(seed) => seed..seed + 1,
        None => first..first + count * factor(),
    }
}

/// How many times as many seeds as usual are run.
fn factor() -> u64 {
    std::env::var("SEEDS_FACTOR").ok().and_then(|factor| factor.parse().ok()).unwrap_or(1)
}

#[test]
fn three_servers_without_faults_acknowledge_everything() {
    for seed in seeds(0, 5) {
        let mut world = World::new(seed, 3, 0, Faults::NONE);
        world.run_faulty();
        world.heal_and_settle();
        world.check_end();
        assert!(world.acknowledged() > 50, "only {} writes were acknowledged", world.acknowledged());
        assert_eq!(world.elections(), 1, "nobody had a reason to leave");
    }
}

#[test]
fn three_servers_survive_crashes_and_broken_connections() {
    seeds(100, 20).for_each(|seed| survives(seed, 3, 0, Faults::ALL));
}

#[test]
fn five_servers_survive_crashes_and_broken_connections() {
    seeds(200, 12).for_each(|seed| survives(seed, 5, 0, Faults::ALL));
}

#[test]
fn observers_follow_whatever_happens() {
    seeds(300, 12).for_each(|seed| survives(seed, 3, 2, Faults::ALL));
}

#[test]
fn one_server_is_its_own_quorum() {
    seeds(400, 4).for_each(|seed| survives(seed, 1, 1, Faults::ALL));
}

#[test]
fn epochs_that_are_numbered_out_go_over_into_the_next_without_a_loss() {
    for seed in seeds(500, 4) {
        let mut world = World::new(seed, 3, 0, Faults { rollover_at: 40, ..Faults::NONE });
        world.run_faulty();
        world.heal_and_settle();
        world.check_end();
        assert!(world.elections() > 2, "{}", world.elections());
        assert_eq!(world.sessions_lost(), 0);
    }
}

#[test]
fn servers_come_go_and_change_their_roles() {
    for seed in seeds(600, 12) {
        let mut world = World::new(seed, 3, 2, Faults { reconfigs: true, ..Faults::NONE });
        world.run_faulty();
        world.heal_and_settle();
        world.check_end();
        assert!(world.reconfigs() > 2, "only {} configurations were agreed on", world.reconfigs());
    }
}

#[test]
fn whatever_happens_during_a_reconfig_everybody_agrees_who_decides() {
    seeds(700, 40).for_each(|seed| survives(seed, 3, 2, Faults { reconfigs: true, ..Faults::ALL }));
}

#[test]
fn the_same_seed_twice_has_the_same_trace() {
    let trace = |seed| {
        let mut world = World::new(seed, 3, 1, Faults::ALL);
        world.run_faulty();
        world.heal_and_settle();
        world.trace()
    };
    assert_eq!(trace(7), trace(7));
    assert_ne!(trace(7), trace(8));
}
