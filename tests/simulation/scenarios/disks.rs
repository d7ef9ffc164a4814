//! Scenarios D3 to D5 and E: disks that are slow, full, or lost.

use ringkeeper_core::log_room::LogRoom;

use super::{SYNC, leader, with_ensembles, with_setup};
use crate::checks::progress;
use crate::client::Habit;
use crate::setup::Setup;
use crate::world::{MS, World};

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

#[test]
fn d5_a_follower_whose_disk_is_full_ends_and_comes_back_when_there_is_room() {
    with_ensembles(3, 0, |world| {
        let (leads, epochs) = (leader(world), world.checks.leaders.count());
        let full = (leads + 1) % 3;
        world.fill_disk(full, true);
        let has_ended = |world: &World| world.servers[full].process.is_none();
        assert!(world.run_until(1000 * MS, has_ended), "it goes on");
        world.start(full);
        assert!(world.run_until(2000 * MS, has_ended), "it is started again, and goes on");
        let writes = world.checks.counts.writes;
        world.run(2000 * MS);
        assert!(world.checks.counts.writes > writes + 20, "writes wait for the full disk");
        world.make_room(full);
        assert!(world.run_until(5000 * MS, progress::all_serve), "it does not come back");
        assert_eq!((leader(world), world.checks.leaders.count()), (leads, epochs));
    });
}

#[test]
fn d5_a_leader_whose_disk_is_filling_up_refuses_writes_and_keeps_everything_else() {
    with_ensembles(3, 0, |world| {
        let (leads, epochs) = (leader(world), world.checks.leaders.count());
        world.set_room(leads, LogRoom::Spent);
        world.run(500 * MS);
        let before = world.checks.counts;
        world.run(5000 * MS);
        let counts = world.checks.counts;
        assert_eq!((counts.writes, counts.sessions_lost), (before.writes, 0), "what cannot be kept is done");
        assert!(counts.syncs > before.syncs + 30 && counts.reads > before.reads + 100, "nobody reads");
        world.make_room(leads);
        world.run(2000 * MS);
        assert!(world.checks.counts.writes > counts.writes + 20, "nobody writes though there is room");
        assert_eq!((leader(world), world.checks.leaders.count()), (leads, epochs));
    });
}

#[test]
fn d5_a_leader_whose_disk_is_full_makes_way_for_another() {
    with_ensembles(3, 0, |world| {
        let full = leader(world);
        world.fill_disk(full, true);
        let led = |world: &World| world.leader().is_some_and(|leader| leader != full);
        assert!(world.run_until(2000 * MS, led), "nobody else leads");
        world.make_room(full);
        assert!(world.run_until(5000 * MS, progress::all_serve), "it does not come back");
    });
}

#[test]
fn e8_who_has_lost_its_disk_does_not_vote_until_it_has_everything() {
    with_setup(&Setup { autocreate: false, ..Setup::calm(3, 0) }, |world| {
        let leads = leader(world);
        let (lost, other) = ((leads + 1) % 3, (leads + 2) % 3);
        world.lose_disk(lost);
        world.kill(leads, false);
        world.start(lost);
        let led = |world: &World| world.leader().is_some();
        assert!(!world.run_until(5000 * MS, led), "{lost} has voted");
        world.start(leads);
        assert!(world.run_until(5000 * MS, progress::all_serve), "they do not serve");
        world.kill(leads, false);
        world.run(2 * SYNC);
        assert!(world.servers[lost].is_serving() && world.servers[other].is_serving(), "it may not vote yet");
        world.start(leads);
    });
}

#[test]
fn e9_most_without_their_disks_elect_nobody_until_one_may_vote_with_nothing() {
    with_setup(&Setup { autocreate: false, ..Setup::calm(3, 0) }, |world| {
        let kept = leader(world);
        let lost = [(kept + 1) % 3, (kept + 2) % 3];
        let led = |world: &World| world.leader().is_some();
        lost.iter().for_each(|server| world.lose_disk(*server));
        world.kill(kept, false);
        lost.iter().for_each(|server| world.start(*server));
        assert!(!world.run_until(5000 * MS, led), "those without anything elect one of them");
        world.start(kept);
        assert!(!world.run_until(5000 * MS, led), "the votes of those without anything count");
        world.kill(lost[0], false);
        world.servers[lost[0]].disk.mark();
        world.start(lost[0]);
        assert!(world.run_until(5000 * MS, progress::all_serve), "they do not serve");
        assert_eq!(leader(world), kept, "somebody leads who has nothing");
    });
}

/// Those two are a quorum. But they wait for a better vote before they agree on theirs, and whoever has something is
/// back with them sooner, though it has just tried to reach them in vain.
#[test]
fn e9_two_that_may_vote_with_nothing_hear_in_time_of_one_that_has_everything() {
    with_setup(&Setup { autocreate: false, ..Setup::calm(3, 0) }, |world| {
        world.clients.iter_mut().for_each(|client| client.take_up(Habit::Nothing));
        let is_quiet = |world: &World| progress::all_are_answered(world) && progress::all_have_all(world);
        assert!(world.run_until(3000 * MS, is_quiet), "they do not come to the same");
        for kept in (0..3).cycle().take(30) {
            let lost = [(kept + 1) % 3, (kept + 2) % 3];
            for server in lost {
                world.lose_disk(server);
                world.servers[server].disk.mark();
            }
            let pause = world.rng.u64(300..1500) * MS;
            world.run(pause);
            lost.iter().for_each(|server| world.start(*server));
            assert!(world.run_until(5000 * MS, progress::all_serve), "they do not serve");
            assert_eq!(leader(world), kept, "somebody leads who has nothing");
            assert!(world.run_until(3000 * MS, is_quiet), "they do not come to the same");
        }
    });
}

#[test]
fn e10_who_is_killed_while_it_writes_snapshots_has_the_same_as_the_others() {
    with_ensembles(3, 0, |world| {
        let killed = (leader(world) + 1) % 3;
        for _ in 0..5 {
            world.begin_snapshot(killed);
            let pause = world.rng.u64(1..200) * MS;
            world.run(pause);
            world.kill(killed, true);
            world.run(100 * MS);
            world.start(killed);
            assert!(world.run_until(3000 * MS, progress::all_serve), "it does not come back");
        }
    });
}
