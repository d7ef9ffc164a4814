use std::time::Duration;

use super::harness::*;
use crate::error::Code;
use crate::flow::{Outcome, Reply, Step, Submission};
use crate::id::{SessionId, Zxid};
use crate::shard::{CloseReason, Service};
use crate::time::Instant;

#[test]
fn a_client_of_3_3_gets_no_read_only_byte() {
    let mut harness = Harness::new();
    for (read_only, expected) in [(None, 36), (Some(false), 37), (Some(true), 37)] {
        let conn = harness.accept();
        harness.send(conn, &connect(0, 0, 10_000, &[0; 16], read_only));
        harness.connected(conn, 5);
        let Frame::Connected { len, session, password, timeout_ms } = harness.frames(conn).remove(0) else {
            panic!("not a connect response");
        };
        assert_eq!((len, session, password.as_slice(), timeout_ms), (expected, 5, &PASSWORD[..], 10_000));
    }
}

#[test]
fn timeouts_are_clamped_before_commit_sees_them() {
    let mut harness = Harness::new();
    for (asked, granted) in [(-5, 4_000), (5_000, 5_000), (i32::MAX, 40_000)] {
        let conn = harness.accept();
        harness.send(conn, &connect(0, 0, asked, &[], None));
        let what = harness.submitted.pop().expect("a submission").what;
        assert!(matches!(what, Submission::Connect { timeout_ms, .. } if timeout_ms == granted));
    }
}

#[test]
fn a_password_of_the_wrong_length_reaches_commit_as_none() {
    let mut harness = Harness::new();
    let conn = harness.accept();
    harness.send(conn, &connect(0, 9, 10_000, &[1; 15], None));
    let submitted = harness.submitted.pop().expect("a submission");
    assert_eq!(submitted.session, SessionId(9));
    assert!(matches!(submitted.what, Submission::Connect { password: None, .. }));
}

#[test]
fn a_client_that_has_seen_more_than_this_server_is_sent_elsewhere() {
    let mut harness = Harness::new();
    harness.create("/a");
    let conn = harness.accept();
    harness.send(conn, &connect(2, 0, 10_000, &[0; 16], None));
    assert_eq!(harness.closed[&conn], CloseReason::ZxidAhead { seen: Zxid(2), ours: Zxid(1) });
    let equal = harness.accept();
    harness.send(equal, &connect(1, 0, 10_000, &[0; 16], None));
    assert_eq!(harness.submitted.len(), 1);
}

#[test]
fn requests_right_behind_the_connect_request_wait_for_the_session() {
    let mut harness = Harness::new();
    let conn = harness.accept();
    let both = [connect(0, 0, 10_000, &[0; 16], None), request(-2, 11, &[])].concat();
    harness.send(conn, &both);
    assert_eq!(harness.frames(conn), []);
    harness.connected(conn, 5);
    let frames = harness.frames(conn);
    assert!(matches!(frames[0], Frame::Connected { session: 5, .. }));
    assert_eq!(frames[1..], [reply(-2, 1, Code::Ok, b"")]);
}

#[test]
fn a_refused_session_is_answered_with_zeros_and_closed() {
    let mut harness = Harness::new();
    let conn = harness.accept();
    harness.send(conn, &connect(0, 77, 10_000, &[1; 16], Some(false)));
    let to = harness.submitted.remove(0).origin;
    harness.commit(vec![Step::Reply(Reply { to, xid: 0, outcome: Outcome::Refused })]);
    let refused = Frame::Connected { timeout_ms: 0, session: 0, password: vec![0; 16], len: 37 };
    assert_eq!(harness.frames(conn), [refused]);
    assert_eq!(harness.closed[&conn], CloseReason::SessionRefused(SessionId(77)));
}

#[test]
fn a_truncated_connect_request_closes_the_connection() {
    let mut harness = Harness::new();
    let conn = harness.accept();
    harness.send(conn, &[0, 0, 0, 4, 0, 0, 0, 0]);
    assert!(matches!(harness.closed[&conn], CloseReason::BadConnectRequest(_)));
}

#[test]
fn a_connection_that_stays_silent_is_closed_at_the_next_multiple_of_its_time() {
    let mut harness = Harness::new();
    let silent = harness.accept();
    let open = harness.open(1);
    harness.now = Instant::from_ms(19_999);
    harness.shard.on_tick(harness.now);
    harness.pump();
    assert!(harness.closed.is_empty());
    harness.now = Instant::from_ms(20_000);
    harness.shard.on_tick(harness.now);
    harness.pump();
    assert_eq!(harness.closed[&silent], CloseReason::NoHandshake { waited_ms: 19_000 });
    assert!(!harness.closed.contains_key(&open));
}

#[test]
fn commit_learns_which_sessions_were_heard_and_until_when() {
    let mut harness = Harness::new();
    let conn = harness.open(5);
    harness.turns();
    harness.now = harness.now + Duration::from_millis(60);
    harness.request(conn, -2, 11, &[]);
    assert!(harness.turns().is_empty(), "it is too early, and there is no request");
    let heard_at = harness.now;
    harness.now = harness.now + Duration::from_millis(60);
    harness.pump();
    let turns = harness.turns();
    assert_eq!((turns.len(), turns[0].as_of), (1, harness.now));
    assert_eq!(turns[0].heard, [(SessionId(5), heard_at)]);
}

#[test]
fn what_was_heard_before_a_connection_went_is_not_lost() {
    let mut harness = Harness::new();
    let conn = harness.open(5);
    harness.turns();
    harness.request(conn, -2, 11, &[]);
    harness.shard.on_closed(conn);
    let reused = harness.accept();
    assert_ne!(conn, reused);
    harness.now = harness.now + super::super::HEARD_INTERVAL;
    harness.pump();
    assert_eq!(harness.turns()[0].heard, [(SessionId(5), Instant::from_ms(1_000))]);
}

#[test]
fn without_a_leader_those_are_served_that_ask_for_no_more_than_reads() {
    let mut harness = Harness::new();
    let old = harness.open(5);
    harness.shard.serve(Service::ReadOnly);
    harness.pump();
    assert_eq!(harness.closed[&old], CloseReason::NotServing);
    for read_only in [None, Some(false)] {
        let conn = harness.accept();
        harness.send(conn, &connect(0, 0, 10_000, &[0; 16], read_only));
        assert_eq!(harness.closed[&conn], CloseReason::NotReadOnlyClient);
    }
    let conn = harness.accept();
    harness.send(conn, &connect(0, 0, 10_000, &[0; 16], Some(true)));
    harness.connected(conn, 6);
    assert_eq!(harness.received[&conn].last(), Some(&1), "the response says so");
    harness.request(conn, 1, 9, &[0, 0, 0, 0]);
    assert_eq!(harness.submitted.len(), 1, "what may be asked is the commit role's to say");

    harness.shard.serve(Service::Nobody);
    harness.shard.serve(Service::Everybody);
    harness.pump();
    assert_eq!(harness.closed[&conn], CloseReason::NotServing);
    let conn = harness.accept();
    harness.send(conn, &connect(0, 0, 10_000, &[0; 16], Some(true)));
    harness.connected(conn, 7);
    assert_eq!(harness.received[&conn].last(), Some(&0));
}
