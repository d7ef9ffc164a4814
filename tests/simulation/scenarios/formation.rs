//! Scenarios A: who comes to lead when servers start.

use super::{SYNC, leader, part, serving, with_ensembles, with_setup};
use crate::checks::progress;
use crate::run::{is_loud, settle};
use crate::setup::{Group, Setup};
use crate::world::{MS, World};

/// Three groups of three: most of each of two of them.
const THREE_BY_THREE: [Group; 3] =
    [&[(0, 1), (1, 1), (2, 1)], &[(3, 1), (4, 1), (5, 1)], &[(6, 1), (7, 1), (8, 1)]];

#[test]
fn a7_two_majorities_of_three_groups_decide() {
    let setup = Setup { groups: &THREE_BY_THREE, ..Setup::calm(9, 0) };
    let left = |world: &mut World, left: &[usize]| {
        (0..9).filter(|server| !left.contains(server)).for_each(|server| world.kill(server, false));
    };
    let back = |world: &mut World| {
        (0..9).for_each(|server| world.start(server));
        assert!(world.run_until(5000 * MS, progress::all_serve), "they do not come back");
    };
    with_setup(&setup, |world| {
        for (some, is_quorum) in
            [(&[0, 1, 3, 4][..], true), (&[3, 4, 5, 6, 7, 8], true), (&[0, 1, 2, 3], false)]
        {
            left(world, some);
            world.run(SYNC + 400 * MS);
            let serve = |world: &World| some.iter().all(|server| world.servers[*server].is_serving());
            assert_eq!(world.run_until(3000 * MS, serve), is_quorum, "{some:?}");
            back(world);
        }
    });
}

#[test]
fn a7_who_has_no_weight_never_leads_and_is_not_missed() {
    let setup = Setup { groups: &[&[(0, 1), (1, 1), (2, 1)], &[(3, 0), (4, 0)]], ..Setup::calm(5, 0) };
    with_setup(&setup, |world| {
        let epochs = world.checks.leaders.count();
        [3, 4].into_iter().for_each(|server| world.kill(server, false));
        world.run(2000 * MS);
        assert_eq!(world.checks.leaders.count(), epochs, "they are missed");
        [3, 4].into_iter().for_each(|server| world.start(server));
        assert!(world.run_until(5000 * MS, progress::all_serve), "they do not come back");
        let old = leader(world);
        assert!(old < 3, "{old} leads");
        world.kill(old, false);
        let led = |world: &World| world.leader().is_some_and(|leader| leader != old && leader < 3);
        assert!(world.run_until(2000 * MS, led), "nobody with a weight leads");
    });
}

#[test]
fn a2_of_three_that_start_in_ascending_order_the_second_leads() {
    from_sleep(3, |world| {
        world.start(0);
        world.run(500 * MS);
        assert_eq!(world.leader(), None, "one of three leads");
        world.start(1);
        let led = |world: &World| world.leader() == Some(1) && world.servers[0].is_serving();
        assert!(world.run_until(1000 * MS, led), "1 does not lead");
        world.start(2);
        assert!(world.run_until(1000 * MS, progress::all_serve), "2 is not in");
        assert_eq!((world.leader(), world.checks.leaders.count()), (Some(1), 1), "it is in by an election");
    });
}

#[test]
fn a3_of_three_that_start_in_descending_order_the_first_leads() {
    from_sleep(3, |world| {
        world.start(2);
        world.run(500 * MS);
        world.start(1);
        let led = |world: &World| world.leader() == Some(2) && world.servers[1].is_serving();
        assert!(world.run_until(1000 * MS, led), "2 does not lead");
        world.start(0);
        assert!(
            world.run_until(1000 * MS, progress::all_serve),
            "0 is not in, and may not keep a connection"
        );
        assert_eq!((world.leader(), world.checks.leaders.count()), (Some(2), 1), "it is in by an election");
    });
}

#[test]
fn a4_servers_restarted_in_ascending_order_get_back_in() {
    restarted(|servers, _| (0..servers).collect());
}

#[test]
fn a4_servers_restarted_in_descending_order_get_back_in() {
    restarted(|servers, _| (0..servers).rev().collect());
}

#[test]
fn a4_the_smallest_server_gets_back_in_when_it_is_restarted_last() {
    restarted(|servers, _| (1..servers).chain([0]).collect());
}

#[test]
fn a5_servers_restarted_in_any_order_get_back_in() {
    restarted(|servers, rng| {
        let mut order: Vec<usize> = (0..servers).collect();
        rng.shuffle(&mut order);
        order
    });
}

#[test]
fn a5_eleven_servers_that_start_in_any_order_come_to_have_one_leader() {
    from_sleep(11, |world| {
        let mut order: Vec<usize> = (0..11).collect();
        world.rng.shuffle(&mut order);
        for (started, server) in order.into_iter().enumerate() {
            world.start(server);
            let pause = world.rng.u64(1..200) * MS;
            world.run(pause);
            assert!(started >= 5 || world.leader().is_none(), "{} of eleven serve", started + 1);
        }
        assert!(world.run_until(1000 * MS, progress::all_serve), "not all of them serve");
    });
}

#[test]
fn a6_of_an_even_number_more_than_half_decide() {
    with_ensembles(4, 0, |world| {
        part(world, &[0, 1]);
        world.run(SYNC + 400 * MS);
        world.run_until(3000 * MS, |world| {
            let serving = world.servers.iter().filter(|server| server.is_serving()).count();
            assert_eq!(serving, 0, "two of four serve");
            false
        });
        world.heal_network();
        assert!(world.run_until(5000 * MS, progress::all_serve), "they do not serve again");
        world.kill(2, false);
        let serve = |world: &World| [0, 1, 3].into_iter().all(|server| world.servers[server].is_serving());
        assert!(world.run_until(3000 * MS, serve), "three of four do not serve");
        world.start(2);
    });
    with_ensembles(2, 0, |world| {
        world.kill(0, false);
        assert!(
            world.run_until(SYNC + 400 * MS, |world| !world.servers[1].is_serving()),
            "one of two serves"
        );
        world.start(0);
    });
}

/// Runs a scenario on ensembles whose servers are not started yet.
fn from_sleep(voters: usize, scenario: impl Fn(&mut World)) {
    for seed in 0..10 {
        let setup = Setup { are_asleep: true, have_wildcards: seed % 2 == 1, ..Setup::calm(voters, 0) };
        let mut world = World::new(setup, fastrand::Rng::with_seed(seed), is_loud(seed));
        scenario(&mut world);
        settle(&mut world);
        assert_eq!(world.failure, None, "seed {seed}");
    }
}

/// Restarts servers one after the other, in an order and in different ways: each must be in again in time, and nobody
/// but a leader may make others look for one.
fn restarted(order: impl Fn(usize, &mut fastrand::Rng) -> Vec<usize>) {
    for (seed, voters) in (0..).zip([3, 3, 5, 5, 11]) {
        let latency_us = [(200, 1500), (1000, 6000)][seed as usize / 2 % 2];
        let setup = Setup { have_wildcards: seed % 2 == 1, latency_us, ..Setup::calm(voters, 0) };
        let mut world = serving(setup, seed);
        for server in order(voters, &mut world.rng) {
            let (leads, epochs) = (leader(&world), world.checks.leaders.count());
            match world.rng.u8(0..4) {
                0 => {
                    world.stop(server, 3000 * MS);
                    world.run(3100 * MS);
                }
                way => world.kill(server, way == 1),
            }
            // Who elects another while a leader comes back waits for a quorum in vain, for an initLimit.
            let limit = if server == leads { 4000 * MS } else { 2000 * MS };
            let pause = *world.rng.choice(&[1, 2, 50, 500, 3000]).expect("some");
            world.run(pause * MS);
            world.start(server);
            assert!(
                world.run_until(limit, progress::all_serve),
                "seed {seed}: {server} does not get back in"
            );
            let has_stayed = (leader(&world), world.checks.leaders.count()) == (leads, epochs);
            assert!(has_stayed || server == leads, "seed {seed}: the restart of {server} has moved others");
        }
        settle(&mut world);
        assert_eq!(world.failure, None, "seed {seed}");
    }
}
