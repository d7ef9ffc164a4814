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
        let both_have = |world: &World| has_proposal(world, 1) && has_proposal(world, 2);
        assert!(world.run_until(1000 * MS, both_have), "seed {seed}: its followers do not get the proposal");
        let seen = world.servers[0].configurations().clone();
        assert!(seen.is_pending() && !has_proposal(&world, 0), "seed {seed}: it has it on disk");
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
