//! Scenarios F and J: observers, and servers without a leader.

use ringkeeper_core::election::PeerState;
use ringkeeper_core::session::NewSessions;

use super::{SYNC, leader, with_ensembles, with_setup};
use crate::checks::progress;
use crate::client::Client;
use crate::setup::Setup;
use crate::world::{MS, World};

#[test]
fn f1_an_observer_is_not_missed_and_does_not_decide() {
    with_ensembles(3, 1, |world| {
        let (leads, epochs) = (leader(world), world.checks.leaders.count());
        assert!(matches!(
            world.servers[3].process.as_ref().and_then(|process| process.seat.standing()),
            Some((PeerState::Observing, _))
        ));
        world.kill(3, false);
        world.run(2 * SYNC);
        assert_eq!((leader(world), world.checks.leaders.count()), (leads, epochs), "it is missed");
        world.start(3);
        assert!(world.run_until(1000 * MS, progress::all_serve), "it does not come back");
        let others: Vec<usize> = (0..3).filter(|server| *server != leads).collect();
        others.iter().for_each(|server| world.kill(*server, false));
        assert!(world.run_until(SYNC + 400 * MS, |world| !world.servers[leads].is_serving()), "it decides");
        assert!(world.run_until(SYNC, |world| !world.servers[3].is_serving()), "it goes on alone");
        world.start(others[0]);
        let serves = |world: &World| world.servers[3].is_serving();
        assert!(world.run_until(1500 * MS, serves), "it does not serve soon after there is a leader");
        world.start(others[1]);
    });
}

#[test]
fn f4_an_observer_whose_follower_dies_goes_to_another_with_all_sessions() {
    with_setup(&Setup { has_masters: true, ..Setup::calm(3, 1) }, |world| {
        (0..world.clients.len()).for_each(|client| world.settle_at(client, 3));
        assert!(world.run_until(3000 * MS, |world| world.clients.iter().all(Client::has_session)));
        let lost = world.checks.counts.sessions_lost;
        let leads = leader(world);
        let brings = |server: &usize| {
            let process = world.servers[*server].process.as_ref();
            process.is_some_and(|process| !process.learners.is_empty())
        };
        let master =
            (0..3).filter(|server| *server != leads).find(brings).expect("a follower brings it up to date");
        world.kill(master, false);
        let is_elsewhere = |world: &World| world.servers[3].is_serving();
        world.run_until(500 * MS, |world| !world.servers[3].is_serving());
        assert!(world.run_until(1500 * MS, is_elsewhere), "it is brought up to date by nobody");
        world.run(1000 * MS);
        assert_eq!(world.checks.counts.sessions_lost, lost);
        world.start(master);
    });
}

#[test]
fn j1_who_is_alone_serves_reads_and_nothing_else_until_there_is_a_leader() {
    let sessions = NewSessions::Local { upgrades: false };
    with_setup(&Setup { read_only: true, new_sessions: sessions, ..Setup::calm(3, 0) }, |world| {
        let alone = leader(world);
        let others = [(alone + 1) % 3, (alone + 2) % 3];
        for client in 0..world.clients.len() {
            world.clients[client].take_read_only();
            world.settle_at(client, alone);
        }
        others.iter().for_each(|server| world.kill(*server, false));
        world.run(SYNC + 400 * MS);
        let counts = world.checks.counts;
        world.run(5000 * MS);
        let later = world.checks.counts;
        assert!(later.read_only > 200 && later.reads > counts.reads + 100, "nobody reads: {later:?}");
        assert_eq!((later.writes, later.syncs), (counts.writes, counts.syncs), "somebody writes");
        others.iter().for_each(|server| world.start(*server));
        assert!(world.run_until(3000 * MS, progress::all_serve), "they do not serve");
        world.run(2000 * MS);
        assert!(world.checks.counts.writes > later.writes + 20, "nobody writes though there is a leader");
    });
}
