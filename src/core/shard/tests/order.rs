use super::harness::*;
use crate::error::Code;
use crate::flow::{Origin, Outcome, Reply, Step, Submission};
use crate::id::{SessionId, Zxid};
use crate::proto::{AclRef, OpCode};
use crate::shard::CloseReason;

/// A create's record, which the shard does not look into.
const RECORD: &[u8] = b"as it came";

#[test]
fn a_read_behind_a_write_waits_for_it_and_sees_it() {
    let mut harness = Harness::new();
    let (conn, other) = (harness.open(1), harness.open(2));
    harness.request(conn, 1, OpCode::Create.number(), RECORD);
    harness.send(conn, &get_data(2, "/a"));
    harness.send(other, &get_data(1, "/a"));
    assert_eq!(harness.frames(conn), []);
    assert_eq!(harness.err(other), Code::NoNode.number(), "others don't wait");

    let creation = harness.creation("/a", AclRef::open(), 0);
    harness.transact(vec![creation], Some(Outcome::Done));
    let frames = harness.frames(conn);
    assert_eq!(frames[0], reply(1, 3, Code::Ok, b""));
    assert!(
        matches!(&frames[1], Frame::Reply { xid: 2, zxid: 3, err: 0, body } if body.starts_with(b"\0\0\0\x02/a"))
    );
}

#[test]
fn a_read_between_two_writes_sees_the_first_and_not_the_second() {
    let mut harness = Harness::new();
    harness.create("/a");
    let conn = harness.open(1);
    harness.request(conn, 1, OpCode::SetData.number(), RECORD);
    harness.send(conn, &get_data(2, "/a"));
    harness.request(conn, 3, OpCode::SetData.number(), RECORD);
    harness.send(conn, &get_data(4, "/a"));
    assert_eq!(harness.submitted.len(), 2, "a write does not wait behind a read");

    // Both in one batch.
    let (first, second) = (harness.submitted.remove(0), harness.submitted.remove(0));
    let one = harness.change("/a", b"one");
    let node = harness.shard.tree().get("/a").expect("a node").node;
    let two = crate::tree::Delta::SetData(node.with_data(Some(b"two"), 2, Zxid(9), 2));
    let (one, two) = (harness.placed(one), harness.placed(two));
    let done = |to: Origin, xid| Step::Reply(Reply { to, xid, outcome: Outcome::Done });
    harness.commit(vec![
        Step::Zxid(Zxid(8)),
        one,
        done(first.origin, 1),
        Step::Zxid(Zxid(9)),
        two,
        done(second.origin, 3),
    ]);
    let seen: Vec<_> = harness
        .frames(conn)
        .into_iter()
        .map(|frame| match frame {
            Frame::Reply { xid, zxid, body, .. } => (xid, zxid, body.get(4..7).map(<[u8]>::to_vec)),
            other => panic!("{other:?}"),
        })
        .collect();
    let data = |text: &str| Some(text.as_bytes().to_vec());
    assert_eq!(seen, [(1, 8, None), (2, 8, data("one")), (3, 9, None), (4, 9, data("two"))]);
}

#[test]
fn a_failed_write_answers_with_its_code_and_the_current_zxid() {
    let mut harness = Harness::new();
    let conn = harness.open(1);
    harness.request(conn, 1, OpCode::Delete.number(), RECORD);
    harness.transact(vec![], Some(Outcome::Failed(Code::BadVersion)));
    assert_eq!(harness.frames(conn), [reply(1, 2, Code::BadVersion, b"")]);
}

#[test]
fn commit_gets_the_record_as_it_came_with_the_identities_of_that_moment() {
    let mut harness = Harness::new();
    let conn = harness.open(4);
    harness.request(conn, 1, OpCode::Multi.number(), RECORD);
    auth(&mut harness, conn, "digest", b"bob:x");
    harness.request(conn, 2, OpCode::Reconfig.number(), b"");
    let got: Vec<_> =
        harness.submitted.iter().map(|submitted| (submitted.session, &submitted.what)).collect();
    let [(session, first), (_, second)] = got[..] else { panic!("two submissions") };
    assert_eq!(session, SessionId(4));
    let Submission::Request { xid: 1, op: OpCode::Multi, record, identities } = first else {
        panic!("{first:?}")
    };
    assert_eq!((harness.records.get(*record), &identities[..]), (RECORD, &[identity("ip", "127.0.0.1")][..]));
    let Submission::Request { identities, .. } = second else { panic!("{second:?}") };
    assert_eq!(identities.len(), 2);
}

#[test]
fn auth_overtakes_what_is_pending_and_a_ping_does_not() {
    let mut harness = Harness::new();
    let conn = harness.open(1);
    harness.request(conn, 1, OpCode::Create.number(), RECORD);
    harness.request(conn, 55, OpCode::Ping.number(), b"");
    auth(&mut harness, conn, "digest", b"bob:x");
    auth(&mut harness, conn, "digest", b"bob:x");
    let frames = harness.frames(conn);
    assert_eq!(frames, [reply(-4, 0, Code::Ok, b""), reply(-4, 0, Code::Ok, b"")]);
    harness.transact(vec![], Some(Outcome::Done));
    let frames = harness.frames(conn);
    assert_eq!(frames, [reply(1, 2, Code::Ok, b""), reply(-2, 2, Code::Ok, b"")]);
}

#[test]
fn failed_authentication_is_answered_and_closes_the_connection() {
    let mut harness = Harness::new();
    let conn = harness.open(1);
    auth(&mut harness, conn, "nonsense", b"");
    assert_eq!(harness.frames(conn), [reply(-4, 0, Code::AuthFailed, b"")]);
    assert_eq!(harness.closed[&conn], CloseReason::AuthFailed { scheme: "nonsense".into() });
}

#[test]
fn sasl_without_a_login_section_gets_a_null_token() {
    let mut harness = Harness::new();
    let conn = harness.open(1);
    harness.request(conn, 1, OpCode::Sasl.number(), &bytes(|out| out.buffer(Some(b""))));
    assert_eq!(harness.frames(conn), [reply(1, 0, Code::Ok, &[0xff; 4])]);
}

#[test]
fn unknown_operations_are_refused_in_their_turn_and_close_the_connection() {
    for op in [0, -1, 10, 13, 20, -10, 99] {
        let mut harness = Harness::new();
        let conn = harness.open(1);
        harness.request(conn, 1, OpCode::Create.number(), RECORD);
        harness.request(conn, 2, op, b"");
        harness.request(conn, 3, OpCode::Ping.number(), b"");
        assert!(harness.closed.is_empty());
        harness.transact(vec![], Some(Outcome::Done));
        let frames = harness.frames(conn);
        assert_eq!(frames, [reply(1, 2, Code::Ok, b""), reply(2, -1, Code::Unimplemented, b"")]);
        assert_eq!(harness.closed[&conn], CloseReason::UnknownOp(op));
    }
}

#[test]
fn nothing_after_a_close_of_the_session_is_answered() {
    let mut harness = Harness::new();
    let conn = harness.open(6);
    let both = [request(9, OpCode::CloseSession.number(), b""), get_data(10, "/")].concat();
    harness.send(conn, &both);
    harness.transact(vec![], Some(Outcome::Closed));
    assert_eq!(harness.frames(conn), [reply(9, 2, Code::Ok, b"")]);
    assert_eq!(harness.closed[&conn], CloseReason::SessionClosed(SessionId(6)));
}

#[test]
fn a_session_that_is_gone_or_moved_ends_the_connection_without_a_word() {
    let mut harness = Harness::new();
    let (gone, moved) = (harness.open(1), harness.open(2));
    harness.request(moved, 1, OpCode::SetData.number(), RECORD);
    harness.transact(vec![], Some(Outcome::Failed(Code::SessionMoved)));
    harness.commit(vec![Step::Close(Origin { shard: SHARD, conn: gone })]);
    assert_eq!(harness.closed[&gone], CloseReason::SessionGone(SessionId(1)));
    assert_eq!(harness.closed[&moved], CloseReason::SessionMoved(SessionId(2)));
    assert_eq!((harness.frames(gone), harness.frames(moved)), (vec![], vec![]));
}

#[test]
fn a_reply_to_a_client_that_has_gone_is_dropped() {
    let mut harness = Harness::new();
    let conn = harness.open(1);
    harness.request(conn, 1, OpCode::Create.number(), RECORD);
    harness.send(conn, &get_data(2, "/"));
    harness.shard.on_closed(conn);
    let next = harness.open(2);
    assert_eq!(conn.0 as u32, next.0 as u32, "the place is used again");
    harness.transact(vec![], Some(Outcome::Done));
    assert_eq!(harness.frames(next), []);
    assert_eq!(harness.report().outstanding, 0);
}

#[test]
fn the_replies_of_other_shards_are_none_of_our_business() {
    let mut harness = Harness::new();
    let conn = harness.open(1);
    harness.request(conn, 1, OpCode::Create.number(), RECORD);
    let stranger = Origin { shard: crate::flow::ShardId(9), conn };
    harness.commit(vec![
        Step::Reply(Reply { to: stranger, xid: 1, outcome: Outcome::Done }),
        Step::Close(stranger),
    ]);
    assert_eq!(harness.frames(conn), []);
    assert!(harness.closed.is_empty());
}

fn auth(harness: &mut Harness, conn: crate::flow::ConnId, scheme: &str, auth: &[u8]) {
    let record = bytes(|out| {
        out.int(0);
        out.text(scheme);
        out.buffer(Some(auth));
    });
    harness.request(conn, -4, OpCode::Auth.number(), &record);
}
