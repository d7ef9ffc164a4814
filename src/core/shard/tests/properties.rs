use proptest::prelude::*;

use super::harness::*;
use crate::config::RequestThrottle;
use crate::error::Code;
use crate::flow::{Outcome, Submission, Submitted};
use crate::jute::Reader;
use crate::proto::OpCode;
use crate::shard::ShardOptions;

#[derive(Clone, Debug)]
enum Ask {
    Read(OpCode, &'static str, bool),
    AddWatch(&'static str, i32),
    Write(&'static str),
    Ping,
    Garbage(i32, Vec<u8>),
}

fn asks() -> impl Strategy<Value = Vec<Ask>> {
    let path = || prop::sample::select(vec!["/", "", "/a", "/a/b", "/missing"]);
    let read = prop::sample::select(vec![
        OpCode::Exists,
        OpCode::GetData,
        OpCode::GetChildren,
        OpCode::GetChildren2,
        OpCode::GetAcl,
        OpCode::GetAllChildrenNumber,
    ]);
    let known = prop::sample::select(vec![3, 4, 8, 12, 17, 18, 22, 101, 103, 104, 105, 106, 107]);
    let ask = prop_oneof![
        4 => (read, path(), any::<bool>()).prop_map(|(op, path, watch)| Ask::Read(op, path, watch)),
        1 => (path(), 0..3).prop_map(|(path, mode)| Ask::AddWatch(path, mode)),
        2 => prop::sample::select(vec!["/a", "/a/b"]).prop_map(Ask::Write),
        1 => Just(Ask::Ping),
        1 => (known, prop::collection::vec(any::<u8>(), 0..40)).prop_map(|(op, bytes)| Ask::Garbage(op, bytes)),
    ];
    prop::collection::vec(ask, 0..60)
}

fn encode(asks: &[Ask]) -> Vec<u8> {
    let mut bytes = connect(0, 0, 10_000, &[0; 16], Some(false));
    for (xid, ask) in (1..).zip(asks) {
        bytes.extend(match ask {
            Ask::Read(op, path, watch) => request(xid, op.number(), &path_watch(path, *watch)),
            Ask::AddWatch(path, mode) => request(xid, OpCode::AddWatch.number(), &path_int(path, *mode)),
            Ask::Write(path) => request(xid, OpCode::SetData.number(), &path_int(path, 0)),
            Ask::Ping => request(-2, OpCode::Ping.number(), b""),
            Ask::Garbage(op, bytes) => request(xid, *op, bytes),
        });
    }
    bytes
}

/// Everything a client is sent if its input arrives in pieces that end at `cuts`. Commit opens the session
/// at once, and answers requests only when the client has sent everything.
fn transcript(options: ShardOptions, input: &[u8], mut cuts: Vec<usize>) -> Vec<u8> {
    let mut harness = Harness::with(options);
    harness.create("/a");
    harness.create("/a/b");
    let conn = harness.accept();
    cuts.sort();
    let mut sent = 0;
    for cut in cuts.into_iter().chain([input.len()]) {
        harness.send(conn, &input[sent..cut.max(sent)]);
        sent = cut.max(sent);
        if let [Submitted { what: Submission::Connect { .. }, .. }] = harness.submitted[..] {
            harness.connected(conn, 5);
        }
    }
    while !harness.submitted.is_empty() {
        publish_oldest(&mut harness);
    }
    assert!(harness.closed.is_empty());
    harness.received.remove(&conn).unwrap_or_default()
}

/// Commit carries out the oldest write: the data becomes the request's xid.
fn publish_oldest(harness: &mut Harness) {
    let Submission::Request { xid, record, .. } = &harness.submitted[0].what else { panic!("not a request") };
    let path = Reader::new(harness.records.get(*record)).text().expect("a path");
    let change = harness.change(&path, &xid.to_be_bytes());
    harness.transact(vec![change], Some(Outcome::Done));
}

proptest! {
    #[test]
    fn how_the_input_is_cut_makes_no_difference(asks in asks(), cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..20)) {
        let input = encode(&asks);
        let cuts = cuts.into_iter().map(|cut| cut.index(input.len() + 1)).collect();
        let usual = ShardOptions::default;
        prop_assert_eq!(transcript(usual(), &input, cuts), transcript(usual(), &input, Vec::new()));
    }

    #[test]
    fn a_client_gets_the_same_however_few_requests_may_be_in_process(asks in asks(), requests_max in 1..4usize) {
        let input = encode(&asks);
        let throttle = RequestThrottle { requests_max, stall_time_ms: None, drop_stale: true, op_wait_ms: None };
        let limited = ShardOptions { request_throttle: Some(throttle), ..ShardOptions::default() };
        let unlimited = transcript(ShardOptions::default(), &input, Vec::new());
        prop_assert_eq!(transcript(limited, &input, Vec::new()), unlimited);
    }

    #[test]
    fn bytes_that_make_no_sense_never_panic(first in any::<bool>(), pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..80), 0..8)) {
        let mut harness = Harness::new();
        let conn = if first { harness.accept() } else { harness.open(1) };
        for piece in pieces {
            harness.send(conn, &piece);
        }
        harness.shard.on_closed(conn);
        prop_assert_eq!(harness.report().outstanding, 0);
    }

    #[test]
    fn frames_of_random_records_are_each_answered_or_end_the_connection(
        requests in prop::collection::vec((-12..110i32, prop::collection::vec(any::<u8>(), 0..60)), 1..20),
    ) {
        let mut harness = Harness::new();
        let conn = harness.open(1);
        for (xid, (op, record)) in (1..).zip(&requests) {
            harness.request(conn, xid, *op, record);
        }
        while !harness.submitted.is_empty() {
            harness.transact(vec![], Some(Outcome::Failed(Code::BadArguments)));
        }
        let frames = harness.frames(conn);
        let answered = frames.iter().filter(|frame| matches!(frame, Frame::Reply { .. })).count();
        let is_over = harness.closed.contains_key(&conn)
            || requests.iter().any(|(op, _)| *op == OpCode::CloseSession.number());
        prop_assert!(answered == requests.len() || is_over);
        prop_assert_eq!(harness.report().outstanding, 0);
    }

    #[test]
    fn replies_come_in_the_order_of_requests_and_reads_see_the_last_write_before_them(asks in asks()) {
        let mut harness = Harness::new();
        harness.create("/a");
        harness.create("/a/b");
        let conn = harness.accept();
        harness.send(conn, &encode(&asks));
        harness.connected(conn, 5);
        while !harness.submitted.is_empty() {
            publish_oldest(&mut harness);
        }
        harness.frames(conn);
        let mut data = std::collections::BTreeMap::from([("/a", b"/a".to_vec()), ("/a/b", b"/a/b".to_vec())]);
        let received = harness.received.remove(&conn).unwrap_or_default();
        let got = parse(&received);
        let mut got = got.iter().filter(|frame| matches!(frame, Frame::Reply { .. }));
        for (number, ask) in (1..).zip(&asks) {
            let Some(Frame::Reply { xid, err, body, .. }) = got.next() else {
                return Err(TestCaseError::fail("a reply is missing"));
            };
            prop_assert_eq!(*xid, if matches!(ask, Ask::Ping) { -2 } else { number });
            match ask {
                Ask::Write(path) => {
                    data.insert(path, number.to_be_bytes().to_vec());
                }
                Ask::Read(OpCode::GetData, path, _) if data.contains_key(path) => {
                    prop_assert_eq!((*err, &body[4..body.len() - 68]), (0, &data[path][..]));
                }
                _ => {}
            }
        }
        prop_assert!(got.next().is_none());
    }

    #[test]
    fn an_event_comes_before_every_reply_that_shows_its_change(moves in prop::collection::vec(moves(), 1..80)) {
        let mut harness = Harness::new();
        harness.create("/a");
        let created = harness.zxid;
        let (watcher, writer) = (harness.open(1), harness.open(2));
        harness.request(watcher, 1, OpCode::AddWatch.number(), &path_int("/a", 1));
        for step in moves {
            match step {
                Move::Read => harness.send(watcher, &get_data(READ_XID, "/a")),
                Move::OwnWrite => harness.request(watcher, 3, OpCode::SetData.number(), &path_int("/a", 0)),
                Move::OtherWrite => harness.request(writer, 3, OpCode::SetData.number(), &path_int("/a", 0)),
                Move::Publish if harness.submitted.is_empty() => {}
                Move::Publish => publish_oldest(&mut harness),
            }
        }
        let mut told = created;
        for frame in harness.frames(watcher) {
            match frame {
                Frame::Event { zxid, .. } => {
                    prop_assert!(zxid > told, "events come in the order of their transactions");
                    told = zxid;
                }
                Frame::Reply { xid: READ_XID, body, .. } => {
                    let mzxid = i64::from_be_bytes(body[body.len() - 60..][..8].try_into().expect("eight bytes"));
                    prop_assert_eq!(mzxid, told, "the data is that of the last event");
                }
                _ => {}
            }
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum Move {
    Read,
    OwnWrite,
    OtherWrite,
    Publish,
}

fn moves() -> impl Strategy<Value = Move> {
    prop::sample::select(vec![Move::Read, Move::OwnWrite, Move::OtherWrite, Move::Publish])
}

const READ_XID: i32 = 2;
