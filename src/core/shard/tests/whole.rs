//! Two shards with the real commit role between them, and a log that keeps everything.

use std::collections::BTreeMap;
use std::time::Duration;

use super::harness::*;
use crate::error::Code;
use crate::flow::{ConnId, ShardId};
use crate::id::{ServerId, Zxid};
use crate::ops::Settings;
use crate::prep::{LogSink, Pipeline, PipelineOptions, ReaperOptions};
use crate::proto::{OpCode, Txn, TxnDigest, TxnHeader};
use crate::shard::{CloseReason, Effect, Shard, ShardOptions};
use crate::testing::{create, multi, path_version, picture, set_data};
use crate::time::{Instant, WallTime};
use crate::tree::{DataTree, TreeOptions};

#[test]
fn a_write_is_seen_by_its_writer_and_by_watchers_on_other_shards() {
    let mut server = Server::new();
    let (writer, watcher) = (server.open(0), server.open(1));
    server.ask(watcher, 1, OpCode::Exists, &path_watch("/a", true));
    server.ask(writer, 1, OpCode::Create, &create("/a", b"data", 0));
    server.ask(writer, 2, OpCode::SetData, &set_data("/a", Some(b"new"), 0));
    server.send(writer, &get_data(3, "/a"));
    let zxid = server.zxid();
    assert_eq!(server.frames(watcher), [reply(1, zxid - 2, Code::NoNode, b""), event(1, "/a", zxid - 1)]);
    let stat = server.shards[1].tree().get("/a").expect("a node").stat();
    let stat = bytes(|out| stat.encode(out));
    let expected = [
        reply(1, zxid - 1, Code::Ok, b"\0\0\0\x02/a"),
        reply(2, zxid, Code::Ok, &stat),
        reply(3, zxid, Code::Ok, &[b"\0\0\0\x03new", &stat[..]].concat()),
    ];
    assert_eq!(server.frames(writer), expected);
}

#[test]
fn ephemerals_are_gone_when_the_reply_to_close_session_arrives() {
    let mut server = Server::new();
    let (owner, watcher) = (server.open(0), server.open(0));
    server.ask(owner, 1, OpCode::Create, &create("/e", b"", 1));
    server.ask(watcher, 1, OpCode::GetData, &path_watch("/e", true));
    server.frames(watcher);
    server.ask(owner, 2, OpCode::CloseSession, b"");
    let zxid = server.zxid();
    assert_eq!(server.frames(owner)[1..], [reply(2, zxid, Code::Ok, b"")]);
    assert_eq!(server.frames(watcher), [event(2, "/e", zxid)]);
    assert!(matches!(server.closed[&owner], CloseReason::SessionClosed(_)));
}

#[test]
fn a_session_goes_with_its_password_to_another_shard_and_is_lost_without_it() {
    let mut server = Server::new();
    let first = server.accept(0);
    server.send(first, &connect(0, 0, 10_000, &[0; 16], None));
    let Frame::Connected { session, password, .. } = server.frames(first).remove(0) else {
        panic!("not connected")
    };
    let second = server.accept(1);
    server.send(second, &connect(0, session, 10_000, &password, None));
    assert!(matches!(server.closed[&first], CloseReason::SessionGone(_)));
    assert!(matches!(server.frames(second)[..], [Frame::Connected { session: same, .. }] if same == session));
    let thief = server.accept(0);
    server.send(thief, &connect(0, session, 10_000, &[9; 16], None));
    assert!(matches!(server.frames(thief)[..], [Frame::Connected { session: 0, timeout_ms: 0, .. }]));
    assert!(matches!(server.closed[&thief], CloseReason::SessionRefused(_)));
    assert!(server.closed.contains_key(&second), "as in Java, the attempt alone detaches the owner");
}

#[test]
fn a_session_that_is_heard_stays_and_a_silent_one_expires_with_its_connection() {
    let mut server = Server::new();
    let (silent, alive) = (server.open(0), server.open(1));
    for _ in 0..20 {
        server.now = server.now + Duration::from_millis(1_000);
        server.ask(alive, -2, OpCode::Ping, b"");
        server.tick();
    }
    assert!(matches!(server.closed[&silent], CloseReason::SessionGone(_)));
    assert!(!server.closed.contains_key(&alive));
}

#[test]
fn a_multi_answers_with_all_results_or_all_errors() {
    let mut server = Server::new();
    let client = server.open(0);
    let good = [
        (OpCode::Create, create("/m", b"", 0)),
        (OpCode::Check, path_version("/m", 0)),
        (OpCode::Delete, path_version("/m", 0)),
    ];
    server.ask(client, 1, OpCode::Multi, &multi(&good));
    let bad = [(OpCode::Create, create("/m", b"", 0)), (OpCode::Delete, path_version("/none", 0))];
    server.ask(client, 2, OpCode::Multi, &multi(&bad));
    let header = |op: i32, done: u8, err: i32| [&op.to_be_bytes()[..], &[done], &err.to_be_bytes()].concat();
    let end = header(-1, 1, -1);
    let results =
        [&header(1, 0, 0), &b"\0\0\0\x02/m"[..], &header(13, 0, 0), &header(2, 0, 0), &end].concat();
    let error = |code: i32| [header(-1, 0, code), code.to_be_bytes().to_vec()].concat();
    let zxid = server.zxid();
    let errors = [error(0), error(-101), end].concat();
    assert_eq!(
        server.frames(client),
        [reply(1, zxid - 1, Code::Ok, &results), reply(2, zxid, Code::Ok, &errors)]
    );
}

#[test]
fn every_shard_follows_the_tree_that_commit_has() {
    let mut server = Server::new();
    let clients = [server.open(0), server.open(1)];
    for number in 0..200 {
        let client = clients[number % 2];
        let path = format!("/{}", number % 7);
        let (op, record) = match number % 5 {
            0 | 3 => (OpCode::Create, create(&path, b"x", (number % 4) as i32)),
            1 => (OpCode::Delete, path_version(&path, -1)),
            2 => (OpCode::Create2, create(&format!("{path}/c"), b"", 2)),
            _ => (OpCode::SetData, set_data(&path, None, -1)),
        };
        server.ask(client, number as i32, op, &record);
    }
    let expected = picture(server.pipeline.tree());
    assert!(expected.len() > 20, "some of the requests succeeded");
    for shard in &server.shards {
        assert_eq!(picture(shard.tree()), expected);
        assert_eq!(shard.tree().last_zxid(), server.pipeline.last_zxid());
    }
}

/// A connection of one of the shards.
type Client = (usize, ConnId);

struct Server {
    shards: Vec<Shard>,
    pipeline: Pipeline,
    log: Log,
    now: Instant,
    closed: BTreeMap<Client, CloseReason>,
    received: BTreeMap<Client, Vec<u8>>,
    seen: BTreeMap<Client, usize>,
}

#[derive(Default)]
struct Log(Zxid);

impl LogSink for Log {
    fn append(&mut self, header: &TxnHeader, _: &Txn<'_>, _: Option<TxnDigest>) {
        self.0 = header.zxid;
    }
}

impl Server {
    fn new() -> Server {
        let tree = |seed| DataTree::new(TreeOptions { extended_types: false, digest: true, seed });
        let options = PipelineOptions {
            server: ServerId(1),
            shards: SHARDS,
            tick_ms: 2_000,
            new_sessions: crate::session::NewSessions::Global,
            settings: Settings::default(),
            reaper: ReaperOptions::default(),
        };
        let shard = |n: usize| Shard::new(ShardId(n as u16), tree(n as u64), ShardOptions::default());
        let mut server = Server {
            shards: (0..SHARDS).map(shard).collect(),
            pipeline: Pipeline::new(options, tree(9)),
            log: Log::default(),
            now: Instant::from_ms(1_000),
            closed: BTreeMap::new(),
            received: BTreeMap::new(),
            seen: BTreeMap::new(),
        };
        server.pipeline.recovered(server.now, WALL);
        server
    }

    fn accept(&mut self, shard: usize) -> Client {
        (shard, self.shards[shard].on_accept(([127, 0, 0, 1], 4_000).into(), self.now))
    }

    fn open(&mut self, shard: usize) -> Client {
        let client = self.accept(shard);
        self.send(client, &connect(0, 0, 10_000, &[0; 16], None));
        assert!(matches!(self.frames(client)[..], [Frame::Connected { .. }]));
        client
    }

    fn ask(&mut self, client: Client, xid: i32, op: OpCode, record: &[u8]) {
        self.send(client, &request(xid, op.number(), record));
    }

    /// Whole frames, few enough for one turn.
    fn send(&mut self, (shard, conn): Client, bytes: &[u8]) {
        let intake = self.shards[shard].on_input(conn, bytes, self.now);
        assert_eq!(intake.consumed, bytes.len());
        self.run();
    }

    fn tick(&mut self) {
        self.shards.iter_mut().for_each(|shard| shard.on_tick(self.now));
        self.run();
        self.pipeline.on_tick(self.now, WALL, &mut self.log);
        self.run();
    }

    fn frames(&mut self, client: Client) -> Vec<Frame> {
        let all = parse(self.received.get(&client).map_or(&[], Vec::as_slice));
        let seen = self.seen.insert(client, all.len()).unwrap_or(0);
        all[seen..].to_vec()
    }

    fn zxid(&self) -> i64 {
        self.pipeline.last_zxid().0
    }

    fn run(&mut self) {
        for shard in &mut self.shards {
            if let Some(turn) = shard.take_turn(self.now) {
                self.pipeline.on_turn(turn, self.now, WALL, &mut self.log);
            }
        }
        self.pipeline.on_durable(self.log.0);
        while let Some(batch) = self.pipeline.publish() {
            self.shards.iter_mut().for_each(|shard| shard.on_commit(&batch, self.now));
        }
        for number in 0..SHARDS {
            let mut effects = Vec::new();
            self.shards[number].take_effects(&mut effects);
            for effect in effects {
                match effect {
                    Effect::Flush(conn) => self.drain((number, conn)),
                    Effect::Close(conn, reason) => {
                        self.drain((number, conn));
                        self.shards[number].on_closed(conn);
                        self.closed.insert((number, conn), reason);
                    }
                    Effect::Resume(_) | Effect::Word(..) => {}
                }
            }
        }
    }

    fn drain(&mut self, client: Client) {
        let mut bytes = Vec::new();
        self.shards[client.0].swap_output(client.1, &mut bytes);
        self.received.entry(client).or_default().extend(bytes);
    }
}

const SHARDS: usize = 2;
const WALL: WallTime = WallTime(1_700_000_000_000);
