//! Scenarios I: sessions and what they are shown.

use ringkeeper_core::id::SessionId;

use super::{leader, leave_a_leader, with_ensembles};
use crate::checks::progress;
use crate::server::TICK_MS;
use crate::world::{MS, World};

#[test]
fn i9_a_leader_that_was_left_answers_no_sync() {
    with_ensembles(3, 0, |world| {
        leave_a_leader(world);
        assert!(world.checks.counts.syncs > 5, "who has a leader gets no sync either");
        world.heal_network();
    });
}

#[test]
fn i2_a_session_without_its_client_ends_in_time_with_its_ephemerals() {
    with_ensembles(3, 0, |world| {
        let (session, timeout) = with_ephemerals(world);
        world.end_client(0);
        assert!(world.run_until(timeout + 3 * TICK, |world| is_over(world, session)), "it does not end");
    });
}

#[test]
fn i3_a_session_without_its_client_ends_in_time_though_its_leader_dies_too() {
    with_ensembles(3, 0, |world| {
        let (session, timeout) = with_ephemerals(world);
        let old = leader(world);
        world.end_client(0);
        world.kill(old, false);
        let led = |world: &World| world.leader().is_some_and(|leader| leader != old);
        assert!(world.run_until(2000 * MS, led), "nobody leads");
        assert!(world.run_until(timeout + 3 * TICK, |world| is_over(world, session)), "it does not end");
    });
}

#[test]
fn i13_sessions_outlast_the_whole_ensemble_and_have_all_their_time_again() {
    with_ensembles(3, 0, |world| {
        let (session, timeout) = with_ephemerals(world);
        (0..world.clients.len()).for_each(|client| world.end_client(client));
        (0..3).for_each(|server| world.kill(server, true));
        world.run(2 * timeout);
        (0..3).for_each(|server| world.start(server));
        assert!(world.run_until(3000 * MS, progress::all_serve), "they do not serve");
        world.run(timeout - TICK);
        assert!(!is_over(world, session), "its time was not its own");
        assert!(world.run_until(4 * TICK, |world| is_over(world, session)), "it does not end");
    });
}

/// Waits until the first client has ephemerals; returns its session, and for how long that is kept without it.
fn with_ephemerals(world: &mut World) -> (SessionId, u64) {
    let session = |world: &World| SessionId(world.clients[0].session());
    let has_some =
        |world: &World| world.checks.ephemerals.count_of(session(world)).is_some_and(|count| count > 0);
    assert!(world.run_until(10_000 * MS, has_some), "it makes no ephemerals");
    (session(world), world.clients[0].timeout())
}

fn is_over(world: &World, session: SessionId) -> bool {
    world.checks.ephemerals.count_of(session).is_none()
}

const TICK: u64 = TICK_MS as u64 * MS;
