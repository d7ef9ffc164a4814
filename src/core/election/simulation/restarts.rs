//! Servers restarted one after the other, in any order: each must get back in soon, and alone.

use std::time::Duration;

use super::with_seeds;
use super::world::World;
use crate::election::PeerState;

#[test]
fn servers_restarted_in_ascending_order_get_back_in() {
    in_order(|servers, _| (0..servers).collect());
}

#[test]
fn servers_restarted_in_descending_order_get_back_in() {
    in_order(|servers, _| (0..servers).rev().collect());
}

#[test]
fn the_smallest_server_gets_back_in_when_it_is_restarted_last() {
    in_order(|servers, _| (1..servers).chain([0]).collect());
}

#[test]
fn servers_restarted_in_any_order_get_back_in() {
    in_order(|servers, rng| {
        let mut order: Vec<usize> = (0..servers).chain(0..servers).collect();
        rng.shuffle(&mut order);
        order
    });
}

#[test]
fn a_server_that_lost_its_power_gets_back_in_though_nobody_heard_of_it() {
    restart_each(|world, server| {
        world.turn_off(server);
        world.run(Duration::from_secs(3));
        world.start(server);
    });
}

#[test]
fn a_server_that_was_stopped_for_long_gets_back_in() {
    restart_each(|world, server| {
        world.stop(server);
        world.run(Duration::from_secs(30));
        world.resume(server);
    });
}

#[test]
fn all_servers_restarted_at_once_agree_within_a_second() {
    with_seeds(30, |seed, talks| {
        let mut world = ensemble(seed, talks);
        for server in 0..world.servers.len() {
            world.kill(server);
        }
        for server in 0..world.servers.len() {
            world.start(server);
        }
        assert!(world.run_until(Duration::from_secs(1), World::is_settled), "they do not agree");
        world
    });
}

fn in_order(order: impl Fn(usize, &mut fastrand::Rng) -> Vec<usize>) {
    with_seeds(30, |seed, talks| {
        let mut world = ensemble(seed, talks);
        let order = order(world.servers.len(), &mut world.rng);
        for server in order {
            let pause = [0, 20, 500, 5000][world.rng.usize(0..4)];
            restart(&mut world, server, |world| {
                world.kill(server);
                world.run(Duration::from_millis(pause));
                world.start(server);
            });
        }
        world
    });
}

fn restart_each(how: impl Fn(&mut World, usize)) {
    with_seeds(30, |seed, talks| {
        let mut world = ensemble(seed, talks);
        for server in 0..world.servers.len() {
            restart(&mut world, server, |world| how(world, server));
        }
        world
    });
}

/// Restarts a server in some way; it must be in again in time, and nobody else may have to look for a
/// leader unless it was the leader.
fn restart(world: &mut World, server: usize, how: impl FnOnce(&mut World)) {
    let was_leader = world.leader() == Some(server);
    let before = world.witness.elected.len();
    how(world);
    assert!(world.run_until(BACK_WITHIN, |world| world.is_in(server)), "server {server} does not get in");
    let who: Vec<usize> = world.witness.elected[before..].iter().map(|(server, _)| *server).collect();
    assert!(was_leader || who.iter().all(|id| *id == server), "the restart of {server} moved {who:?}");
}

/// Three, five or eleven servers with ids from 0, in agreement; some advertise an address that only they
/// can reach.
fn ensemble(seed: u64, talks: bool) -> World {
    let servers = [3, 5, 11][(seed % 3) as usize];
    let mut world = World::new(seed, servers, 0);
    world.witness.talks = talks;
    world.latency_ms = [1..5, 10..60][(seed / 3 % 2) as usize].clone();
    for server in 0..servers {
        if seed / 6 % 2 == 1 {
            world.servers[server].advertises.host = "0.0.0.0".to_owned();
        }
        world.start(server);
    }
    assert!(world.run_until(Duration::from_secs(2), World::is_settled), "they do not agree");
    assert_eq!(world.servers[servers - 1].state(), Some(PeerState::Leading), "the largest id wins a draw");
    world
}

/// One tick of `tickTime`'s usual 2 s.
const BACK_WITHIN: Duration = Duration::from_secs(2);
