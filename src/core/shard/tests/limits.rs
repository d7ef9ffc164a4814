use super::harness::*;
use crate::config::{ConnectionThrottle, LargeRequests, ThrottleWeights};
use crate::error::Code;
use crate::flow::Outcome;
use crate::proto::OpCode;
use crate::shard::{CloseReason, Intake, Next, ShardOptions};

#[test]
fn beyond_the_limit_of_outstanding_requests_only_who_has_none_is_read_from() {
    let mut harness = Harness::with(ShardOptions { outstanding_max: 2, ..ShardOptions::default() });
    let (busy, idle) = (harness.open(1), harness.open(2));
    let writes: Vec<u8> = (1..=5).flat_map(|xid| request(xid, OpCode::Create.number(), b"")).collect();
    harness.send(busy, &writes);
    assert_eq!(harness.submitted.len(), 3, "the third is what exceeds the limit");
    harness.request(idle, 1, OpCode::Create.number(), b"");
    harness.request(idle, 2, OpCode::Create.number(), b"");
    assert_eq!(harness.submitted.len(), 4);
    for _ in 0..7 {
        harness.transact(vec![], Some(Outcome::Done));
    }
    assert_eq!((harness.frames(busy).len(), harness.frames(idle).len()), (5, 2));
    assert_eq!(harness.report().outstanding, 0);
}

#[test]
fn clients_that_connect_beyond_the_throttle_are_sent_away_before_a_session_is_asked_for() {
    let throttle = ConnectionThrottle {
        tokens_max: 3,
        fill_count: 0,
        fill_time_ms: 1,
        freeze_time_ms: None,
        drop_increase: 0,
        drop_decrease: 0,
        decrease_ratio: 0,
        weights: ThrottleWeights { new: 1, local: 1, renewed: 2 },
    };
    let options = ShardOptions { connection_throttle: Some(throttle), ..ShardOptions::default() };
    let mut harness = Harness::with(options);
    let conns = [0, 7, 0].map(|session| {
        let conn = harness.accept();
        harness.send(conn, &connect(0, session, 10_000, &[0; 16], None));
        conn
    });
    assert_eq!(harness.submitted.len(), 2);
    assert_eq!(harness.closed[&conns[2]], CloseReason::Throttled);
}

#[test]
fn a_client_that_does_not_read_is_not_read_from_until_it_does() {
    let options = ShardOptions { output_pause_len: 100, ..ShardOptions::default() };
    let mut harness = Harness::with(options);
    let conn = harness.open(1);
    harness.stuck = Some(conn);
    let pings: Vec<u8> = (0..50).flat_map(|_| request(-2, OpCode::Ping.number(), b"")).collect();
    harness.send(conn, &pings);
    assert_eq!(harness.report().connections[0].sent, 1 + 5, "five pings are 100 bytes");
    harness.stuck = None;
    harness.drain(conn);
    harness.pump();
    assert_eq!(harness.frames(conn).len(), 50);
}

#[test]
fn a_client_that_lets_events_pile_up_is_closed() {
    let options = ShardOptions { output_len_max: 200, ..ShardOptions::default() };
    let mut harness = Harness::with(options);
    harness.create("/a");
    let (conn, other) = (harness.open(1), harness.open(2));
    for conn in [conn, other] {
        harness.request(conn, 7, OpCode::AddWatch.number(), &path_int("/a", 0));
    }
    harness.stuck = Some(conn);
    for _ in 0..20 {
        let change = harness.change("/a", b"");
        harness.transact(vec![change], None);
    }
    assert!(matches!(harness.closed[&conn], CloseReason::SlowReader { waiting: 200..300 }));
    assert!(!harness.closed.contains_key(&other));
    assert_eq!(harness.frames(other).len(), 1 + 20);
    assert_eq!(
        harness.report().watch_count,
        2,
        "the closed one's watch is gone, the other's is in both tables"
    );
}

#[test]
fn large_requests_in_process_hold_back_the_connection_s_next() {
    let options = ShardOptions { pending_len_max: 1_000, ..ShardOptions::default() };
    let mut harness = Harness::with(options);
    let conn = harness.open(1);
    let large: Vec<u8> = (1..=4).flat_map(|xid| request(xid, OpCode::SetData.number(), &[0; 600])).collect();
    harness.send(conn, &large);
    assert_eq!(harness.submitted.len(), 2);
    for left in [2, 2, 1, 0] {
        harness.transact(vec![], Some(Outcome::Failed(Code::NoNode)));
        assert_eq!(harness.submitted.len(), left);
    }
    assert_eq!(harness.frames(conn).len(), 4);
}

#[test]
fn one_connection_s_turn_ends_after_128_frames() {
    let mut harness = Harness::new();
    let conn = harness.open(1);
    let ping = request(-2, OpCode::Ping.number(), b"");
    let input = ping.repeat(200);
    let intake = harness.shard.on_input(conn, &input, harness.now);
    assert_eq!(intake, Intake { consumed: 128 * ping.len(), next: Next::Resume });
    let mut effects = Vec::new();
    harness.shard.take_effects(&mut effects);
    assert_eq!(effects.len(), 2, "one flush and one resume: {effects:?}");
}

#[test]
fn whoever_counts_whole_subtrees_lets_others_have_their_turn_after_each() {
    let mut harness = Harness::new();
    let conn = harness.open(1);
    let one = request(1, OpCode::GetAllChildrenNumber.number(), &bytes(|out| out.text("/zookeeper")));
    let intake = harness.shard.on_input(conn, &one.repeat(3), harness.now);
    assert_eq!(intake, Intake { consumed: one.len(), next: Next::Resume });
    harness.pump();
    harness.send(conn, &one.repeat(3));
    assert_eq!(harness.frames(conn).len(), 4, "all are answered in the end");
}

#[test]
fn behind_a_request_only_one_count_of_a_whole_subtree_waits() {
    let mut harness = Harness::new();
    let conn = harness.open(1);
    harness.request(conn, 1, OpCode::Create.number(), b"");
    let count = request(2, OpCode::GetAllChildrenNumber.number(), &bytes(|out| out.text("/zookeeper")));
    harness.send(conn, &count.repeat(5));
    assert_eq!(harness.report().outstanding, 2);
    harness.transact(vec![], Some(Outcome::Done));
    assert_eq!(harness.frames(conn).len(), 6);
    assert_eq!(harness.report().outstanding, 0);
}

#[test]
fn identities_are_bounded_in_number_and_in_length() {
    let auth = |user: &str| {
        bytes(|out| {
            out.int(0);
            out.text("digest");
            out.buffer(Some(format!("{user}:secret").as_bytes()));
        })
    };
    let mut harness = Harness::new();
    let (many, long) = (harness.open(1), harness.open(2));
    for user in 0..200 {
        harness.request(many, -4, OpCode::Auth.number(), &auth(&format!("user{user}")));
    }
    assert!(matches!(harness.closed[&many], CloseReason::TooManyIdentities { max: 100, .. }));
    harness.request(long, -4, OpCode::Auth.number(), &auth(&"x".repeat(1000)));
    assert!(!harness.closed.contains_key(&long));
    harness.request(long, -4, OpCode::Auth.number(), &auth(&"x".repeat(100_000)));
    assert!(matches!(harness.closed[&long], CloseReason::TooManyIdentities { .. }));
}

#[test]
fn a_client_that_leaves_watches_without_end_is_closed_and_its_watches_go() {
    let options = ShardOptions { watches_len_max: 10_000, ..ShardOptions::default() };
    let mut harness = Harness::with(options);
    let (greedy, modest) = (harness.open(1), harness.open(2));
    for n in 0..200 {
        let path = format!("/not/there/{n}");
        harness.request(greedy, n, OpCode::Exists.number(), &path_watch(&path, true));
        harness.request(modest, n, OpCode::Exists.number(), &path_watch("/not/there", true));
    }
    assert_eq!(harness.closed[&greedy], CloseReason::TooManyWatches { max: 10_000 });
    assert!(!harness.closed.contains_key(&modest));
    assert_eq!(harness.report().watch_count, 1);
}

#[test]
fn what_a_client_watched_that_has_gone_is_forgotten_in_parts_and_hits_nobody() {
    let mut harness = Harness::new();
    harness.create("/a");
    let greedy = harness.open(1);
    for n in 0..12_000 {
        let path = format!("/not/there/{n}");
        harness.request(greedy, n, OpCode::Exists.number(), &path_watch(&path, true));
    }
    harness.request(greedy, 12_000, OpCode::AddWatch.number(), &path_int("/a", 0));
    harness.shard.on_closed(greedy);
    let left = harness.report().watch_count;
    assert!((1..12_000).contains(&left), "{left} are left after the first part");

    let next = harness.open(2);
    let change = harness.change("/a", b"");
    harness.transact(vec![change], None);
    assert_eq!(harness.frames(next).len(), 0);
    for _ in 0..3 {
        harness.shard.on_tick(harness.now);
    }
    assert_eq!(harness.report().watch_count, 0);
    assert_eq!(harness.open(3).0 as u32, greedy.0 as u32, "its place is used again");
}

#[test]
fn a_large_request_too_many_closes_its_connection_before_it_has_come() {
    let large_requests = Some(LargeRequests { threshold: 100, bytes_max: 300 });
    let mut harness = Harness::with(ShardOptions { large_requests, ..ShardOptions::default() });
    let (first, second, third) = (harness.open(1), harness.open(2), harness.open(3));
    let create = OpCode::Create.number();
    harness.request(first, 1, create, &[0; 192]);
    harness.request(first, 2, create, &[0; 92]);
    harness.request(second, 1, create, &[0; 92]);
    assert_eq!(harness.submitted.len(), 3, "those of 100 bytes are not large");
    // The length alone is enough.
    harness.send(second, &101u32.to_be_bytes());
    assert_eq!(harness.closed[&second], CloseReason::LargeRequest { len: 101, others: 200 });
    assert_eq!(harness.report().stats.large_requests_rejected, 1);
    harness.request(third, 1, OpCode::Ping.number(), &[0; 80]);
    assert!(!harness.closed.contains_key(&third));

    // What is done, or whose connection has gone, counts no more.
    harness.transact(vec![], Some(Outcome::Done));
    harness.request(third, 2, create, &[0; 292]);
    assert!(!harness.closed.contains_key(&third), "300 bytes are allowed");
    harness.shard.on_closed(third);
    let fourth = harness.open(4);
    harness.request(fourth, 1, create, &[0; 292]);
    assert!(!harness.closed.contains_key(&fourth));
    harness.request(fourth, 2, create, &[0; 93]);
    assert_eq!(harness.closed[&fourth], CloseReason::LargeRequest { len: 101, others: 300 });
}
