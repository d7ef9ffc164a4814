//! Scenarios B: servers that die, and come back.

use ringkeeper_core::member::Attempt;

use super::{SYNC, leader, part, with_ensembles};
use crate::checks::progress;
use crate::client::Habit;
use crate::world::{MS, World};

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
fn b7_what_a_quorum_has_is_kept_though_its_leader_dies_before_it_commits() {
    with_ensembles(3, 0, |world| {
        let old = leader(world);
        let on_both = |world: &World| {
            let disks = world.servers.iter().filter(|server| server.id != old);
            disks.map(|server| server.disk.durable()).min().expect("there are others")
        };
        let last = |world: &World| world.checks.history.last();
        assert!(world.run_until(2000 * MS, |world| on_both(world) > last(world)), "nothing is under way");
        let saved = on_both(world);
        world.kill(old, true);
        world.run(300 * MS);
        world.start(old);
        assert!(world.run_until(5000 * MS, progress::all_serve), "they do not serve");
        assert!(world.checks.history.at(saved).is_some(), "{saved} was on two disks, and is lost");
    });
}

#[test]
fn b2_a_leader_that_is_restarted_at_once_comes_back_as_a_follower_with_all_sessions() {
    with_ensembles(3, 0, |world| {
        let old = leader(world);
        world.kill(old, false);
        world.run(100 * MS);
        world.start(old);
        assert!(world.run_until(2000 * MS, progress::all_serve), "they do not serve");
        assert_eq!(world.checks.counts.sessions_lost, 0);
    });
}

#[test]
fn b3_a_follower_that_is_killed_holds_up_nobody_and_gets_what_it_missed() {
    with_ensembles(3, 0, |world| {
        let (leads, epochs) = (leader(world), world.checks.leaders.count());
        let killed = (leads + 1) % 3;
        world.kill(killed, true);
        let writes = world.checks.counts.writes;
        world.run(2000 * MS);
        assert!(world.checks.counts.writes > writes + 20, "writes wait for who is killed");
        world.start(killed);
        assert!(world.run_until(1000 * MS, progress::all_serve), "it does not come back");
        let process = world.servers[killed].process.as_ref().expect("it serves");
        assert_eq!(process.cuts_asked, 0, "it is not sent what it missed, but another log or tree");
        assert_eq!((leader(world), world.checks.leaders.count()), (leads, epochs));
    });
}

#[test]
fn b5_a_leader_that_loses_its_followers_one_by_one_serves_as_long_as_it_has_a_quorum() {
    with_ensembles(5, 0, |world| {
        let leads = leader(world);
        let others: Vec<usize> = (0..5).filter(|server| *server != leads).collect();
        for other in &others[..2] {
            world.kill(*other, false);
            world.run(2 * SYNC);
            assert!(world.servers[leads].leads(), "three of five are enough");
        }
        world.kill(others[2], false);
        assert!(world.run_until(400 * MS, |world| !world.servers[leads].is_serving()), "it goes on with two");
        world.run(2000 * MS);
        assert_eq!(world.leader(), None, "two of five are not enough");
        others.iter().for_each(|server| world.start(*server));
    });
}

#[test]
fn b9_leaders_that_are_killed_again_and_again_open_later_and_later_epochs() {
    with_ensembles(3, 0, |world| {
        for _ in 0..5 {
            let (old, epoch) = (leader(world), world.checks.leaders.last());
            world.kill(old, true);
            let led = |world: &World| world.leader().is_some_and(|leader| leader != old);
            assert!(world.run_until(SYNC + 2000 * MS, led), "nobody else leads");
            world.start(old);
            assert!(world.run_until(3000 * MS, progress::all_serve), "it does not come back");
            assert!(world.checks.leaders.last() > epoch, "the epoch is not a later one");
        }
    });
}

#[test]
fn b11_followers_stay_with_a_leader_that_answers_late() {
    with_ensembles(3, 0, |world| {
        let (next, others) = successor(world);
        let leads =
            |world: &World| world.servers[next].member().is_some_and(|member| member.leader().is_some());
        assert!(world.run_until(1000 * MS, leads), "{next} is not elected");
        world.stop(next, 3 * SYNC / 2);
        let follows = |world: &World| attempt(world, others[0]).is_some();
        assert!(world.run_until(SYNC, follows), "{} does not follow it", others[0]);
        let first = attempt(world, others[0]);
        let serve = |world: &World| world.servers[next].leads() && world.servers[others[0]].is_serving();
        assert!(world.run_until(2 * SYNC, serve), "they do not serve");
        assert_eq!(attempt(world, others[0]), first, "it has left, and come again");
    });
}

#[test]
fn b12_who_has_all_waits_for_a_quorum_that_takes_longer_than_a_leader_may_be_silent() {
    with_ensembles(5, 0, |world| {
        let (next, others) = successor(world);
        let (fast, mut slow) = (others[0], others[1..].to_vec());
        let epoch = world.checks.leaders.last().expect("somebody led");
        let has_promised = |world: &World, server: usize| {
            world.servers[server].member().is_some_and(|member| member.epochs().accepted > epoch)
        };
        while !slow.is_empty() {
            let is_next = |world: &World| slow.iter().any(|server| has_promised(world, *server));
            assert!(world.run_until(1000 * MS, is_next), "there is no new epoch");
            let (promised, left) = slow.into_iter().partition(|server| has_promised(world, *server));
            slow = left;
            let promised: Vec<usize> = promised;
            promised.iter().for_each(|server| world.stop(*server, 13 * SYNC / 10));
        }
        let follows = |world: &World| attempt(world, fast).is_some() && has_promised(world, fast);
        assert!(world.run_until(SYNC / 10, follows), "{fast} does not follow, too");
        let first = attempt(world, fast);
        world.run(11 * SYNC / 10);
        assert_eq!(world.leader(), None, "two of five are enough");
        assert!(world.run_until(SYNC, |world| world.servers[fast].is_serving()), "it does not serve");
        assert_eq!(attempt(world, fast), first, "it has left, and come again");
        assert_eq!((leader(world), world.checks.leaders.last()), (next, Some(epoch + 1)));
    });
}

/// Kills the leader, with nothing under way: the last of the others will lead, as they are all as far. Returns it, and
/// those that will follow it.
fn successor(world: &mut World) -> (usize, Vec<usize>) {
    world.clients.iter_mut().for_each(|client| client.take_up(Habit::Nothing));
    let is_quiet = |world: &World| progress::all_are_answered(world) && progress::all_have_all(world);
    assert!(world.run_until(3000 * MS, is_quiet), "they do not come to the same");
    let old = leader(world);
    world.kill(old, false);
    let mut others: Vec<usize> = (0..world.servers.len()).filter(|server| *server != old).collect();
    let next = others.pop().expect("there are others");
    (next, others)
}

/// Which attempt to follow a leader a server is at.
fn attempt(world: &World, server: usize) -> Option<Attempt> {
    world.servers[server].process.as_ref()?.leader.as_ref().map(|leader| leader.attempt)
}
