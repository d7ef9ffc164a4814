//! Scenarios of `ensemble-scenarios` that need times and partitions to the point, in the same world.

use crate::checks::progress;
use crate::run::{is_loud, settle};
use crate::server::{SYNC_LIMIT, TICK_MS};
use crate::setup::Setup;
use crate::world::{MS, World};

const SYNC: u64 = SYNC_LIMIT as u64 * TICK_MS as u64 * MS;

/// Runs a scenario on ensembles that have just come to serve, with clients at work; in the end all must be well.
fn with_ensembles(voters: usize, observers: usize, scenario: impl Fn(&mut World)) {
    for seed in 0..10 {
        let mut world =
            World::new(Setup::calm(voters, observers), fastrand::Rng::with_seed(seed), is_loud(seed));
        assert!(world.run_until(5000 * MS, progress::all_serve), "seed {seed}: they do not come to serve");
        world.run(500 * MS);
        scenario(&mut world);
        settle(&mut world);
        assert_eq!(world.failure, None, "seed {seed}");
    }
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

#[test]
fn b1_a_leader_that_is_killed_is_followed_by_another_with_all_sessions() {
    with_ensembles(3, 0, |world| {
        let old = leader(world);
        world.kill(old, false);
        let led = |world: &World| world.leader().is_some_and(|leader| leader != old);
        assert!(world.run_until(1000 * MS, led), "nobody leads");
        assert_eq!(world.checks.counts.sessions_lost, 0);
    });
}

#[test]
fn b4_who_is_left_alone_stops_serving_and_serves_again_when_one_more_is_back() {
    with_ensembles(3, 0, |world| {
        let left = leader(world);
        let others: Vec<usize> = (0..3).filter(|server| *server != left).collect();
        others.iter().for_each(|server| world.kill(*server, false));
        assert!(world.run_until(SYNC + 200 * MS, |world| !world.servers[left].is_serving()), "it goes on");
        world.run(2000 * MS);
        world.start(others[0]);
        assert!(world.run_until(1500 * MS, |world| world.servers[left].is_serving()), "it does not serve");
    });
}

#[test]
fn b6_what_no_quorum_had_is_gone_when_its_leader_returns() {
    with_ensembles(3, 0, |world| {
        let old = leader(world);
        part(world, &[old]);
        let led = |world: &World| world.servers.iter().any(|server| server.id != old && server.leads());
        assert!(world.run_until(2 * SYNC + 1000 * MS, led), "nobody else leads");
        world.run(500 * MS);
        let ahead = world.servers[old].disk.durable();
        world.heal_network();
        assert!(world.run_until(5000 * MS, progress::all_serve), "it does not come back");
        let is_gone = world.checks.history.at(ahead).is_some()
            || world.servers[old].process.as_ref().is_some_and(|process| process.cuts_asked > 0);
        assert!(is_gone, "{ahead} is in nobody's history, and stays");
    });
}

#[test]
fn c1_a_leader_in_the_minority_steps_down_and_comes_back_as_a_follower() {
    with_ensembles(5, 0, |world| {
        let old = leader(world);
        part(world, &[old, (old + 1) % 5]);
        let stepped_down = |world: &World| !world.servers[old].leads();
        assert!(world.run_until(SYNC + 400 * MS, stepped_down), "it still leads");
        assert!(world.run_until(SYNC + 1000 * MS, |world| world.leader().is_some()), "nobody leads");
        world.run(10_000 * MS);
        world.heal_network();
        assert!(world.run_until(5000 * MS, progress::all_serve), "they do not come back");
    });
}

#[test]
fn c3_one_that_does_not_hear_its_leader_disturbs_nobody() {
    with_ensembles(3, 0, |world| {
        let (leads, epochs) = (leader(world), world.checks.leaders.count());
        let deaf = (leads + 1) % 3;
        world.block(leads, deaf, None);
        world.run(8000 * MS);
        assert_eq!((leader(world), world.checks.leaders.count()), (leads, epochs));
    });
}

#[test]
fn c4_one_that_may_not_be_called_back_is_in_as_soon_as_it_may() {
    with_ensembles(3, 0, |world| {
        let (leads, epochs) = (leader(world), world.checks.leaders.count());
        world.kill(0, false);
        (1..3).for_each(|other| world.block(other, 0, Some(crate::network::Port::Election)));
        world.start(0);
        world.run(5000 * MS);
        if leads != 0 {
            assert_eq!((leader(world), world.checks.leaders.count()), (leads, epochs));
        }
        world.heal_network();
        assert!(world.run_until(5000 * MS, progress::all_serve), "it is not in");
    });
}

#[test]
fn c5_two_that_know_each_other_only_by_a_third_have_one_leader() {
    with_ensembles(3, 0, |world| {
        world.block(0, 2, None);
        world.block(2, 0, None);
        let before = world.checks.leaders.count();
        world.run(20_000 * MS);
        let leaders = world.servers.iter().filter(|server| server.leads()).count();
        assert!(leaders <= 1, "{leaders} lead");
        let epochs = world.checks.leaders.count() - before;
        assert!(epochs <= 4, "{epochs} epochs in {} initLimits", 20_000 / 2000);
    });
}

/// Others keep saying who leads, so that it would come again at once.
#[test]
fn one_that_its_leader_sends_away_comes_back_less_and_less_often_and_is_in_as_soon_as_it_may() {
    with_ensembles(3, 1, |world| {
        let leads = leader(world);
        for sent_away in [(leads + 1) % 3, 3] {
            world.kill(sent_away, false);
            world.servers[leads].sent_away = Some(0);
            world.start(sent_away);
            world.run(10_000 * MS);
            let count = world.servers[leads].sent_away.take().expect("just set");
            let every_half_tick = 10_000 / (TICK_MS as usize / 2);
            assert!((every_half_tick / 3..=every_half_tick + 1).contains(&count), "it came {count} times");
            assert!(world.run_until(1000 * MS, progress::all_serve), "it is not in");
        }
        assert_eq!(leader(world), leads);
    });
}

#[test]
fn d1_wall_clocks_that_jump_change_nothing() {
    with_ensembles(3, 1, |world| {
        let (epochs, count) = (world.checks.leaders.count(), world.servers.len());
        for hours in [1, -1, 0] {
            (0..count).for_each(|server| world.servers[server].clock.wall_offset_ms = hours * 3_600_000);
            world.run(2000 * MS);
        }
        assert_eq!((world.checks.leaders.count(), world.checks.counts.sessions_lost), (epochs, 0));
    });
}

#[test]
fn d2_a_leader_that_was_stopped_finds_another_and_follows_it() {
    with_ensembles(3, 0, |world| {
        let old = leader(world);
        world.stop(old, 2 * SYNC);
        world.run(2 * SYNC);
        let led = |world: &World| world.servers.iter().any(|server| server.id != old && server.leads());
        assert!(world.run_until(SYNC, led), "nobody else leads");
        let follows = |world: &World| progress::all_serve(world) && !world.servers[old].leads();
        assert!(world.run_until(4000 * MS, follows), "it does not follow");
    });
}

#[test]
fn d3_a_disk_that_hangs_takes_its_follower_out_and_nobody_else() {
    with_ensembles(3, 0, |world| {
        let (leads, epochs) = (leader(world), world.checks.leaders.count());
        let slow = (leads + 1) % 3;
        let writes = world.checks.counts.writes;
        world.servers[slow].write_us_max = 6_000_000;
        world.run(4000 * MS);
        assert_eq!((leader(world), world.checks.leaders.count()), (leads, epochs));
        assert!(world.checks.counts.writes > writes + 20, "writes wait for the slow disk");
    });
}

#[test]
fn d4_a_leader_whose_disk_hangs_commits_by_its_followers() {
    with_ensembles(3, 0, |world| {
        let (leads, writes) = (leader(world), world.checks.counts.writes);
        world.servers[leads].write_us_max = 3_000_000;
        world.run(2000 * MS);
        assert!(world.checks.counts.writes > writes + 20, "writes wait for the slow disk");
    });
}
