use std::time::Duration;

use super::harness::*;
use crate::config::{RequestThrottle, Stale};
use crate::error::Code;
use crate::flow::{ConnId, Outcome, Submission};
use crate::id::SessionId;
use crate::proto::OpCode;
use crate::shard::{CloseReason, Service, ShardOptions};

#[test]
fn while_enough_are_in_process_all_others_wait_in_one_line() {
    let mut harness = limited(1);
    harness.create("/a");
    let (one, other) = (harness.open(1), harness.open(2));
    write(&mut harness, one, 1);
    harness.send(other, &get_data(1, "/a"));
    let ping = request(-2, OpCode::Ping.number(), b"");
    harness.send(other, &ping);
    let new = harness.accept();
    harness.send(new, &connect(0, 0, 10_000, &[0; 16], Some(false)));
    write(&mut harness, one, 2);
    assert_eq!((xids(&harness), harness.report().outstanding), (vec![1], 1));
    assert!(harness.frames(other).is_empty(), "not even reads and pings pass by");

    let change = harness.change("/a", b"new");
    harness.transact(vec![change], Some(Outcome::Done));
    let frames = harness.frames(other);
    assert!(matches!(&frames[..], [Frame::Reply { xid: 1, err: 0, body, .. }, Frame::Reply { xid: -2, .. }]
        if body[4..7] == *b"new"));
    assert!(matches!(harness.submitted[..], [ref only] if matches!(only.what, Submission::Connect { .. })));
    harness.connected(new, 3);
    assert_eq!(xids(&harness), [2]);
    harness.transact(vec![], Some(Outcome::Done));
    let report = harness.report();
    assert_eq!((report.outstanding, report.stats.line_time.count), (0, 7));
    assert_eq!(report.stats.throttle_waits, 2, "one read for the write, one write for the connect request");
}

#[test]
fn reads_that_wait_for_nothing_are_never_too_many() {
    let mut harness = limited(1);
    let (one, other) = (harness.open(1), harness.open(2));
    for xid in 1..=3 {
        harness.send(one, &get_data(xid, "/"));
        harness.send(other, &get_data(xid, "/"));
    }
    assert_eq!((harness.frames(one).len(), harness.frames(other).len()), (3, 3));
    assert_eq!(harness.report().stats.throttle_waits, 0);
}

#[test]
fn what_waited_for_too_long_fails_in_its_place() {
    let throttle = RequestThrottle { op_wait_ms: Some(50), ..limit(2) };
    let mut harness = with(throttle, Stale::default());
    let conn = harness.open(1);
    write(&mut harness, conn, 1);
    write(&mut harness, conn, 2);
    write(&mut harness, conn, 3);
    harness.send(conn, &get_data(4, "/"));
    harness.send(conn, &request(-2, OpCode::Ping.number(), b""));
    harness.now = harness.now + Duration::from_millis(51);
    harness.transact(vec![], Some(Outcome::Done));
    let zxid = harness.zxid;
    assert_eq!(harness.frames(conn), [reply(1, zxid, Code::Ok, b"")]);
    assert_eq!(xids(&harness), [2], "the third is not to be carried out");
    harness.transact(vec![], Some(Outcome::Done));
    let zxid = harness.zxid;
    let expected = [
        reply(2, zxid, Code::Ok, b""),
        reply(3, zxid, Code::ThrottledOp, b""),
        reply(4, zxid, Code::ThrottledOp, b""),
        reply(-2, zxid, Code::Ok, b""),
    ];
    assert_eq!(harness.frames(conn), expected);
    let report = harness.report();
    assert_eq!((report.outstanding, report.stats.throttled_ops), (0, 2));
}

#[test]
fn what_a_client_asked_for_that_has_gone_is_dropped_but_for_the_end_of_its_session() {
    let mut harness = limited(1);
    let (one, gone) = (harness.open(1), harness.open(2));
    write(&mut harness, one, 1);
    write(&mut harness, gone, 1);
    harness.request(gone, 2, OpCode::CloseSession.number(), b"");
    harness.shard.on_closed(gone);
    assert_eq!(harness.report().outstanding, 1);
    harness.transact(vec![], Some(Outcome::Done));
    let Submission::Request { xid: 2, op: OpCode::CloseSession, .. } = harness.submitted[0].what else {
        panic!("{:?}", harness.submitted)
    };
    assert_eq!(harness.submitted[0].session, SessionId(2));
    harness.transact(vec![], Some(Outcome::Closed));
    let stats = harness.report().stats;
    assert_eq!((stats.stale_requests_dropped, stats.stale_requests, stats.stale_replies), (1, 0, 0));
}

#[test]
fn what_a_client_asked_for_that_has_gone_is_carried_out_if_it_is_not_to_be_dropped() {
    let mut harness = with(RequestThrottle { drop_stale: false, ..limit(1) }, Stale::default());
    let (one, gone) = (harness.open(1), harness.open(2));
    write(&mut harness, one, 1);
    write(&mut harness, gone, 5);
    harness.send(gone, &get_data(6, "/"));
    let new = harness.accept();
    harness.send(new, &connect(0, 0, 10_000, &[0; 16], Some(false)));
    harness.shard.on_closed(gone);
    harness.shard.on_closed(new);
    harness.transact(vec![], Some(Outcome::Done));
    assert_eq!(xids(&harness)[..1], [5]);
    assert!(matches!(harness.submitted[1].what, Submission::Connect { .. }));
    harness.transact(vec![], Some(Outcome::Done));
    let stats = harness.report().stats;
    assert_eq!((stats.stale_requests_dropped, stats.stale_requests, stats.stale_replies), (0, 3, 2));
}

#[test]
fn a_request_older_than_its_session_may_be_ends_its_connection_and_nothing_overtakes_it() {
    let stale = Stale { closed_connection: true, session_timeout: true };
    let mut harness = with(limit(1), stale);
    let (one, late) = (harness.open(1), harness.open(2));
    write(&mut harness, one, 1);
    write(&mut harness, late, 1);
    harness.now = harness.now + Duration::from_millis(10_000);
    write(&mut harness, late, 2);
    harness.shard.on_tick(harness.now);
    harness.pump();
    assert!(harness.closed.is_empty(), "it is as old as it may be");
    harness.now = harness.now + Duration::from_millis(1);
    harness.shard.on_tick(harness.now);
    harness.pump();
    assert_eq!(harness.closed[&late], CloseReason::StaleRequest { waited_ms: 10_001 });
    harness.transact(vec![], Some(Outcome::Done));
    assert!(harness.submitted.is_empty());
    let stats = harness.report().stats;
    assert_eq!(
        (stats.stale_requests_dropped, stats.stale_replies),
        (2, 1),
        "the first write's reply is late"
    );
}

#[test]
fn who_is_in_line_is_held_back_and_leaves_no_trace_when_the_server_serves_no_more() {
    let mut harness = Harness::with(ShardOptions {
        request_throttle: Some(limit(1)),
        outstanding_max: 2,
        ..ShardOptions::default()
    });
    let (one, other) = (harness.open(1), harness.open(2));
    write(&mut harness, one, 1);
    (1..=4).for_each(|xid| write(&mut harness, other, xid));
    assert_eq!(harness.report().outstanding, 1);
    let queued: usize = harness.report().connections.iter().map(|conn| conn.queued).sum();
    assert_eq!(queued, 3, "who waits in line counts there, and is read from no more");
    harness.shard.serve(Service::Nobody);
    harness.pump();
    assert_eq!((harness.closed.len(), harness.report().outstanding), (2, 0));
    harness.submitted.clear();
    harness.shard.on_tick(harness.now);
    harness.pump();
    assert!(harness.submitted.is_empty());
}

#[test]
fn an_answer_that_nobody_waits_for_is_counted() {
    for (closed_connection, counted) in [(true, 2), (false, 0)] {
        let stale = Stale { closed_connection, session_timeout: false };
        let mut harness = Harness::with(ShardOptions { stale, ..ShardOptions::default() });
        let gone = harness.open(1);
        write(&mut harness, gone, 1);
        harness.send(gone, &get_data(2, "/"));
        harness.shard.on_closed(gone);
        harness.transact(vec![], Some(Outcome::Done));
        assert_eq!(harness.report().stats.stale_replies, counted);
    }
}

#[test]
fn a_new_session_that_comes_too_late_is_counted_and_one_that_a_client_comes_back_to_is_not() {
    let stale = Stale { closed_connection: true, session_timeout: true };
    let mut harness = Harness::with(ShardOptions { stale, ..ShardOptions::default() });
    for (session, waited_ms, counted) in [(0, 10_000, 0), (0, 10_001, 1), (7, 10_001, 1)] {
        let conn = harness.accept();
        harness.send(conn, &connect(0, session, 10_000, &[0; 16], Some(false)));
        harness.now = harness.now + Duration::from_millis(waited_ms);
        harness.connected(conn, 7);
        assert_eq!(harness.report().stats.stale_replies, counted);
    }
}

fn limit(requests_max: usize) -> RequestThrottle {
    RequestThrottle { requests_max, stall_time_ms: Some(100), drop_stale: true, op_wait_ms: None }
}

fn limited(requests_max: usize) -> Harness {
    with(limit(requests_max), Stale::default())
}

fn with(throttle: RequestThrottle, stale: Stale) -> Harness {
    Harness::with(ShardOptions { request_throttle: Some(throttle), stale, ..ShardOptions::default() })
}

fn write(harness: &mut Harness, conn: ConnId, xid: i32) {
    harness.request(conn, xid, OpCode::SetData.number(), &path_int("/a", 0));
}

/// The requests that the commit role has.
fn xids(harness: &Harness) -> Vec<i32> {
    let requests = harness.submitted.iter().filter_map(|submitted| match submitted.what {
        Submission::Request { xid, .. } => Some(xid),
        Submission::Connect { .. } => None,
    });
    requests.collect()
}
