//! Scenarios G: who decides changes while something goes wrong.

use ringkeeper_core::config::Membership;
use ringkeeper_kit::wire::{Request, Text};

use crate::checks::progress;
use crate::client::{Client, Habit};
use crate::run::{is_loud, settle};
use crate::server::line;
use crate::setup::Setup;
use crate::world::{MS, World};

#[test]
fn g6_who_has_lost_the_proposal_that_replaces_all_voters_leads_by_what_it_has() {
    for seed in 0..10 {
        let mut world = led_by_one(seed);
        // Its disk writes something else when the proposal comes, which so is not in its log.
        world.servers[0].write_us_max = 6_000_000;
        let write = Request::create("/r0", b"", ringkeeper_kit::wire::create_mode::PERSISTENT);
        world.ask(0, write);
        world.run(100 * MS);
        world.ask(0, listing(&[line(1, "participant"), line(2, "participant")]));
        let has_proposal = |world: &World, server: usize| {
            let seen = world.servers[server].configurations();
            seen.is_pending() && world.servers[server].disk.durable().0 >= seen.last_seen().version()
        };
        let is_proposed = |world: &World| world.servers[0].configurations().is_pending();
        assert!(world.run_until(1000 * MS, is_proposed), "seed {seed}: nothing is proposed");
        world.run(100 * MS);
        let seen = world.servers[0].configurations().clone();
        assert!(seen.is_pending() && !has_proposal(&world, 0), "seed {seed}: it has it on disk");
        let are_told = (1..3).any(|server| world.servers[server].configurations().is_pending());
        assert!(!are_told, "seed {seed}: its followers have what it may lose, and may not lead by it");
        // Whether the file comes first or the log, nobody promises.
        world.servers[0].disk.save_configurations(seen.clone());
        world.kill(0, true);
        world.servers[0].write_us_max = world.setup.write_us_max;
        world.start(0);
        settle(&mut world);
        assert_eq!(world.failure, None, "seed {seed}");
        let votes =
            |membership: &Membership| membership.verifier().voters().map(|id| id.0).collect::<Vec<_>>();
        assert_eq!(votes(world.membership()), [0], "seed {seed}: what is not known to be proposed holds");
    }
}

/// The new voter is needed, and may not lead. If it had what follows the proposal, and the leader's disk had not, nobody
/// could lead any more.
#[test]
fn g6_who_is_to_join_has_nothing_that_its_leader_may_still_lose() {
    for seed in 0..10 {
        let mut world = led_by_one(seed);
        let usual = world.setup.write_us_max;
        // So that it acknowledges nothing.
        world.servers[1].write_us_max = 6_000_000;
        world.ask(0, listing(&[line(0, "participant"), line(1, "participant")]));
        let proposal = |world: &World, server: usize| {
            let seen = world.servers[server].configurations();
            Some(seen.last_seen().version()).filter(|_| seen.is_pending())
        };
        let has_come = |world: &World| {
            let is_logged = proposal(world, 0).is_some_and(|zxid| world.servers[0].disk.durable().0 >= zxid);
            is_logged && proposal(world, 1).is_some()
        };
        assert!(world.run_until(1000 * MS, has_come), "seed {seed}: nothing is proposed");
        world.servers[0].write_us_max = 6_000_000;
        for register in 0..5 {
            let path = format!("/r{register}");
            world.ask(0, Request::create(&path, b"", ringkeeper_kit::wire::create_mode::PERSISTENT));
        }
        world.run(30 * MS);
        assert!(proposal(&world, 0).is_some(), "seed {seed}: it holds already");
        world.kill(0, true);
        world.servers[..2].iter_mut().for_each(|server| server.write_us_max = usual);
        world.start(0);
        settle(&mut world);
        assert_eq!(world.failure, None, "seed {seed}");
        let voters: Vec<i64> = world.membership().verifier().voters().map(|id| id.0).collect();
        assert_eq!(voters, [0, 1], "seed {seed}: what its leader had is lost");
    }
}

/// An ensemble that server 0 leads, as the only one that votes, and that two others follow which its configuration
/// does not name; with a client of its.
fn led_by_one(seed: u64) -> World {
    let setup = Setup { clients: 1, ..Setup::calm(1, 2).reconfigurable() };
    let mut world = World::new(setup, fastrand::Rng::with_seed(seed), is_loud(seed));
    world.clients[0].take_up(Habit::Nothing);
    world.settle_at(0, 0);
    let is_ready =
        |world: &World| progress::all_serve(world) && world.clients.iter().all(Client::has_session);
    assert!(world.run_until(5000 * MS, is_ready), "seed {seed}: they do not come to serve");
    world.ask(0, listing(&[line(0, "participant")]));
    let follow = |world: &World| {
        let is_alone =
            |server: &crate::server::Server| server.configurations().committed().servers().len() == 1;
        world.servers.iter().all(|server| is_alone(server) && server.is_serving())
    };
    assert!(world.run_until(3000 * MS, follow), "seed {seed}: the others do not follow any more");
    world
}

/// These are all servers.
fn listing(lines: &[String]) -> Request {
    let nobody = || Text::from_bytes(None);
    let members = lines.join(",").as_str().into();
    Request::Reconfig { joining: nobody(), leaving: nobody(), members, config: -1 }
}
