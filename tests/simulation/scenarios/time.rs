//! Scenarios D1 and D2: clocks that jump, and processes that stop.

use super::{SYNC, leader, with_ensembles};
use crate::checks::progress;
use crate::world::{MS, World};

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
