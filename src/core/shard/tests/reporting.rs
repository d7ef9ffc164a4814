use std::time::Duration;

use super::harness::*;
use crate::flow::Outcome;
use crate::id::{SessionId, Zxid};
use crate::proto::OpCode;

#[test]
fn a_report_tells_what_the_administrator_s_words_show() {
    let mut harness = Harness::new();
    harness.create("/a");
    let conn = harness.open(5);
    let word = harness.accept();
    harness.send(word, b"cons");
    harness.request(conn, 1, OpCode::GetData.number(), &path_watch("/a", true));
    harness.request(conn, 2, OpCode::GetChildren.number(), &path_watch("/a", true));
    harness.request(conn, 3, OpCode::SetData.number(), b"");
    harness.now = harness.now + Duration::from_micros(1_500);
    let change = harness.change("/a", b"");
    harness.transact(vec![change], Some(Outcome::Done));

    let report = harness.report();
    assert_eq!((report.stats.received, report.stats.sent), (5, 5), "with the handshake, the word, an event");
    assert_eq!((report.outstanding, report.connections.len(), report.last_zxid), (0, 2, Zxid(3)));
    assert_eq!((report.node_count, report.watch_count, report.watch_summary.watches), (6, 1, 0));
    let client = &report.connections[0];
    assert_eq!((client.received, client.sent, client.queued, client.interest), (4, 5, 0, 1));
    let session = client.session.as_ref().expect("a session");
    assert_eq!((session.id, session.timeout_ms, session.last_op), (SessionId(5), 10_000, "SETD"));
    assert_eq!((session.last_xid, session.last_zxid), (Some(3), Some(Zxid(3))));
    assert_eq!((session.latency.count, session.latency.last_us, session.latency.min_us), (4, 1_500, 0));
    assert!(report.connections[1].session.is_none());
    assert_eq!(report.watches, [], "the data watch has fired");
}

#[test]
fn resets_forget_what_was_counted_and_nothing_else() {
    let mut harness = Harness::new();
    let conn = harness.open(5);
    harness.request(conn, 1, OpCode::Exists.number(), &path_watch("/a", true));
    harness.shard.reset_stats();
    harness.shard.reset_connection_stats();
    let report = harness.report();
    assert_eq!((report.stats.received, report.stats.sent, report.stats.latency.count), (0, 0, 0));
    assert_eq!(report.stats.reply_sizes.max, -1);
    let session = report.connections[0].session.as_ref().expect("a session");
    assert_eq!((session.last_op, session.last_zxid, session.last_xid), ("NA", None, None));
    assert_eq!(report.watches, [(SessionId(5), "/a".into())]);
}
