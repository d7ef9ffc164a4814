//! Scenarios C: networks that carry nothing, or only one way.

use super::{SYNC, leader, part, with_ensembles, with_setup};
use crate::checks::progress;
use crate::network::Port;
use crate::server::TICK_MS;
use crate::setup::Setup;
use crate::world::{MS, World};

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
        (1..3).for_each(|other| world.block(other, 0, Some(Port::Election)));
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
fn c2_a_minority_that_was_away_for_long_is_back_soon() {
    with_ensembles(5, 0, |world| {
        let leads = leader(world);
        let away = [(leads + 1) % 5, (leads + 2) % 5];
        part(world, &away);
        world.run(30_000 * MS);
        let epochs = world.checks.leaders.count();
        world.heal_network();
        assert!(world.run_until(1000 * MS, progress::all_serve), "they are not back");
        assert_eq!((leader(world), world.checks.leaders.count()), (leads, epochs), "they have moved others");
    });
}

#[test]
fn c6_a_slow_network_that_loses_much_changes_no_leader() {
    let setup = Setup { latency_us: (13_000, 17_000), laggards: 5, ..Setup::calm(3, 0) };
    with_setup(&setup, |world| {
        let (leads, epochs) = (leader(world), world.checks.leaders.count());
        world.run(10_000 * MS);
        assert_eq!((leader(world), world.checks.leaders.count()), (leads, epochs));
        assert_eq!(world.checks.counts.sessions_lost, 0);
    });
}

#[test]
fn c7_connections_that_were_dead_for_long_keep_nobody_out() {
    with_ensembles(3, 0, |world| {
        let leads = leader(world);
        let (one, other) = ((leads + 1) % 3, (leads + 2) % 3);
        world.block(one, other, None);
        world.block(other, one, None);
        world.run(30_000 * MS);
        world.heal_network();
        for server in [one, other] {
            world.kill(server, false);
            world.start(server);
            assert!(world.run_until(1000 * MS, progress::all_serve), "{server} is not in");
        }
        assert_eq!(leader(world), leads);
    });
}
