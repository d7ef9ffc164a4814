//! Everything that goes wrong at once, and whether it ends well.

use std::time::Duration;

use super::with_seeds;
use super::world::World;

#[test]
fn three_servers_agree_after_any_faults() {
    with_seeds(150, |seed, talks| storm(seed, 3, 0, talks));
}

#[test]
fn five_servers_and_two_observers_agree_after_any_faults() {
    with_seeds(100, |seed, talks| storm(seed, 5, 2, talks));
}

#[test]
fn eleven_servers_agree_after_any_faults() {
    with_seeds(25, |seed, talks| storm(seed, 11, 0, talks));
}

/// Servers start together, or each when those before have long agreed. In between an election can miss a
/// better server by milliseconds and elect twice; that the wrong leader finds no quorum is Zab's part.
#[test]
fn without_faults_each_round_has_one_leader_and_everybody_the_same() {
    with_seeds(100, |seed, talks| {
        let voters = [1, 2, 3, 4, 5, 11][(seed % 6) as usize];
        let mut world = World::new(seed, voters, (seed % 3) as usize);
        world.witness.talks = talks;
        let mut order: Vec<usize> = (0..world.servers.len()).collect();
        world.rng.shuffle(&mut order);
        for server in order {
            world.start(server);
            let pause = if seed % 2 == 0 { world.rng.u64(0..10) } else { world.rng.u64(1500..3000) };
            world.run(Duration::from_millis(pause));
        }
        assert!(world.run_until(Duration::from_secs(5), World::is_settled), "nobody leads");
        world.witness.check_backing(voters);
        for (round, leaders) in world.witness.leaders_by_round() {
            assert_eq!(leaders.len(), 1, "round {round} elected {leaders:?}");
        }
        assert_eq!(world.witness.leaders_of_epochs.len(), 1, "once there is a leader, it stays");
        world
    });
}

/// Faults of all kinds for a while; then they end, all servers run, and must agree within a bounded time.
pub(super) fn storm(seed: u64, voters: usize, observers: usize, talks: bool) -> World {
    let mut world = World::new(seed, voters, observers);
    world.witness.talks = talks;
    world.latency_ms = [1..3, 1..20, 5..150, 100..300][world.rng.usize(0..4)].clone();
    let count = world.servers.len();
    for server in 0..count {
        if world.rng.u8(0..4) == 0 {
            world.servers[server].advertises.host = "0.0.0.0".to_owned();
        }
        if world.rng.bool() {
            world.start(server);
        }
    }
    for _ in 0..world.rng.usize(5..40) {
        let longest = [50, 500, 4000][world.rng.usize(0..3)];
        let pause = world.rng.u64(1..longest);
        world.run(Duration::from_millis(pause));
        let server = world.rng.usize(0..count);
        fault(&mut world, server);
    }
    world.heal();
    for server in 0..count {
        if world.servers[server].is_stopped {
            world.resume(server);
        }
        if world.servers[server].peer.is_none() {
            world.start(server);
        }
    }
    let healed = world.now;
    let settled = world.run_until(SETTLED_WITHIN, World::is_settled);
    assert!(settled, "no agreement {SETTLED_WITHIN:?} after the last fault");
    if talks {
        println!("agreed after {:?}", world.now.since(healed));
    }
    world.witness.check_backing(voters);
    let before = world.witness.elected.len();
    world.run(Duration::from_secs(20));
    assert!(world.is_settled() && world.witness.elected.len() == before, "the agreement does not last");
    world
}

fn fault(world: &mut World, server: usize) {
    let count = world.servers.len();
    let is_running = world.servers[server].peer.is_some();
    match world.rng.u8(0..10) {
        0 | 1 if !is_running => world.start(server),
        0 if is_running => world.kill(server),
        1 if is_running => {
            world.kill(server);
            world.start(server);
        }
        2 if is_running => world.turn_off(server),
        3 if is_running && !world.servers[server].is_stopped => world.stop(server),
        4 if world.servers[server].is_stopped => world.resume(server),
        5 => {
            let other = world.rng.usize(0..count);
            world.network.blocked.insert((server, other));
        }
        6 => {
            let side: Vec<bool> = (0..count).map(|_| world.rng.bool()).collect();
            let cut =
                |one: usize| (0..count).filter(move |other| *other != one).map(move |other| (one, other));
            let pairs = (0..count).flat_map(cut).filter(|(one, other)| side[*one] != side[*other]);
            world.network.blocked.extend(pairs);
        }
        7 => world.heal(),
        _ => {
            let conns: Vec<u64> = world.network.conns.keys().copied().collect();
            for conn in conns {
                if world.rng.u8(0..3) == 0 {
                    world.break_conn(conn);
                }
            }
        }
    }
}

/// Ten ticks of `tickTime`'s usual 2 s.
const SETTLED_WITHIN: Duration = Duration::from_secs(20);
