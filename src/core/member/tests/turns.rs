//! What a driver hands in together.

use super::server::Server;
use crate::durable::Durable;
use crate::flow::{ConnId, Origin, Records, ShardId, ShardTurn, Step, Submission, Submitted};
use crate::id::SessionId;
use crate::member::{Action, Member, Moment};
use crate::time::{Instant, WallTime};

const AT: Moment = Moment { now: Instant(0), wall: WallTime(0) };
const SHARD: ShardId = ShardId(0);

/// A server that is its own quorum, and leads.
fn leading(server: &mut Server) -> &mut Member {
    server.start();
    let member = &mut server.process.as_mut().expect("it runs").member;
    let mut actions = Vec::new();
    member.lead(AT, &mut actions);
    while !member.is_serving() {
        let action = actions.pop().expect("it goes on");
        if let Action::SaveEpoch(file, epoch) = action {
            member.on_epoch_saved(file, epoch, AT, &mut actions);
        }
    }
    member.end_turn(&mut actions);
    member
}

/// A client that asks for a session.
fn turn(conn: u64) -> ShardTurn {
    let origin = Origin { shard: SHARD, conn: ConnId(conn) };
    let what = Submission::Connect { password: None, timeout_ms: 4_000 };
    let submitted = vec![Submitted { origin, session: SessionId::NONE, what }];
    ShardTurn { shard: SHARD, submitted, records: Records::default(), heard: Vec::new(), as_of: AT.now }
}

#[test]
fn what_comes_in_one_turn_is_written_and_published_together() {
    let mut server = Server::new(0, 1);
    let member = leading(&mut server);
    let mut actions = Vec::new();
    member.on_turn(turn(1), AT, &mut actions);
    member.on_turn(turn(2), AT, &mut actions);
    assert!(actions.is_empty(), "the turn goes on: {actions:?}");
    member.end_turn(&mut actions);
    let [Action::Append(records)] = &actions[..] else { panic!("{actions:?}") };
    let (first, last) = (records.first().expect("records"), records.last().expect("records"));
    assert_eq!((records.count(), first.next()), (2, last));

    actions.clear();
    let cuts = 0;
    member.on_durable(Durable::in_a_test(first), cuts, AT, &mut actions);
    member.on_durable(Durable::in_a_test(last), cuts, AT, &mut actions);
    assert!(actions.is_empty(), "the turn goes on: {actions:?}");
    member.end_turn(&mut actions);
    let [Action::Publish(batch)] = &actions[..] else { panic!("{actions:?}") };
    let replies = batch.steps.iter().filter(|step| matches!(step, Step::Reply(_)));
    assert_eq!((replies.count(), member.published()), (2, last));

    actions.clear();
    member.end_turn(&mut actions);
    assert!(actions.is_empty(), "there is nothing more: {actions:?}");
}
