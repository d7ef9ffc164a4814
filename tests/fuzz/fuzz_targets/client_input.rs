#![no_main]
//! Whatever clients send, in whatever pieces, nothing panics: frames, handshakes, requests of every
//! operation through the shard, the commit role and back, and recovery from what was logged.
//!
//! The input is a script. Each step is a head of two bytes (which connection, what to do) and, for bytes
//! to send, a length and that many bytes. A connection that `Open` has opened has a session, so that the
//! fuzzer reaches the operations without having to guess a handshake.

use std::net::SocketAddr;

use libfuzzer_sys::fuzz_target;
use ringkeeper_core::flow::{ConnId, ShardId};
use ringkeeper_core::format::wal::RecordBatch;
use ringkeeper_core::id::ServerId;
use ringkeeper_core::ops::Settings;
use ringkeeper_core::prep::{Pipeline, PipelineOptions, ReaperOptions};
use ringkeeper_core::shard::{Effect, Next, Shard, ShardOptions};
use ringkeeper_core::time::{Instant, WallTime};
use ringkeeper_core::tree::{DataTree, TreeOptions};

fuzz_target!(|script: &[u8]| {
    let mut server = Server::new();
    let mut rest = script;
    while let [which, what, after @ ..] = rest {
        rest = after;
        let slot = usize::from(*which) % CONNECTIONS;
        match what % 16 {
            0 => server.open(slot),
            1 => server.drop_connection(slot),
            2 => server.advance(u64::from(*which) * 50),
            3..=9 => {
                let [high, low, after @ ..] = rest else { break };
                let len = usize::from(u16::from_be_bytes([*high, *low])).min(after.len());
                let (bytes, after) = after.split_at(len);
                rest = after;
                server.send_frame(slot, bytes);
            }
            _ => {
                let [len, after @ ..] = rest else { break };
                let (bytes, after) = after.split_at(usize::from(*len).min(after.len()));
                rest = after;
                server.send(slot, bytes);
            }
        }
    }
    server.compare_with_recovered();
});

const CONNECTIONS: usize = 3;

struct Connection {
    id: ConnId,
    kept: Vec<u8>,
    is_paused: bool,
}

struct Server {
    shard: Shard,
    pipeline: Pipeline,
    log: Vec<Vec<u8>>,
    connections: [Option<Connection>; CONNECTIONS],
    now_ms: u64,
}

impl Server {
    fn new() -> Server {
        let tree = DataTree::new(TREE);
        let mut pipeline = Pipeline::new(pipeline_options(), tree.clone());
        pipeline.recovered(Instant(0), WallTime(1));
        let shard = Shard::new(ShardId(0), tree, ShardOptions::default());
        Server { shard, pipeline, log: Vec::new(), connections: [const { None }; CONNECTIONS], now_ms: 0 }
    }

    fn accept(&mut self, slot: usize) {
        if self.connections[slot].is_none() {
            let peer = SocketAddr::from(([127, 0, 0, 1], 1000));
            let id = self.shard.on_accept(peer, self.now());
            self.connections[slot] = Some(Connection { id, kept: Vec::new(), is_paused: false });
        }
    }

    fn open(&mut self, slot: usize) {
        self.drop_connection(slot);
        let mut connect = vec![0; 16];
        connect[14..16].copy_from_slice(&10_000u16.to_be_bytes());
        connect.extend([0; 8]);
        connect.extend(16i32.to_be_bytes());
        connect.extend([0; 17]);
        self.send_frame(slot, &connect);
    }

    fn send_frame(&mut self, slot: usize, payload: &[u8]) {
        let frame = [&(payload.len() as i32).to_be_bytes()[..], payload].concat();
        self.send(slot, &frame);
    }

    fn send(&mut self, slot: usize, bytes: &[u8]) {
        self.accept(slot);
        if let Some(connection) = &mut self.connections[slot] {
            connection.kept.extend_from_slice(bytes);
        }
        self.take_input(slot);
        self.run();
    }

    fn take_input(&mut self, slot: usize) {
        let now = self.now();
        let Some(connection) = &mut self.connections[slot] else { return };
        if !connection.is_paused {
            let intake = self.shard.on_input(connection.id, &connection.kept, now);
            connection.kept.drain(..intake.consumed);
            connection.is_paused = intake.next == Next::Resume;
        }
    }

    fn drop_connection(&mut self, slot: usize) {
        if let Some(connection) = self.connections[slot].take() {
            self.shard.on_closed(connection.id);
            self.run();
        }
    }

    fn advance(&mut self, ms: u64) {
        self.now_ms += ms;
        self.shard.on_tick(self.now());
        self.run();
    }

    /// Everything that follows from what happened, until nothing does.
    fn run(&mut self) {
        loop {
            let is_idle = !self.perform();
            let mut records = RecordBatch::new();
            if let Some(turn) = self.shard.take_turn(self.now()) {
                self.pipeline.on_turn(turn, self.now(), self.wall(), &mut LogTo(&mut self.log, &mut records));
            }
            self.pipeline.on_tick(self.now(), self.wall(), &mut LogTo(&mut self.log, &mut records));
            self.pipeline.on_durable(self.pipeline.last_zxid());
            match self.pipeline.publish() {
                Some(batch) => self.shard.on_commit(&batch, self.now()),
                None if is_idle => return,
                None => {}
            }
        }
    }

    /// Whether the shard wanted anything.
    fn perform(&mut self) -> bool {
        let (mut effects, mut output) = (Vec::new(), Vec::new());
        self.shard.take_effects(&mut effects);
        for effect in &effects {
            match effect {
                Effect::Flush(id) => self.shard.swap_output(*id, &mut output),
                Effect::Word(id, _) => self.shard.send_raw_and_close(*id, b"imok"),
                Effect::Close(id, _) => {
                    self.shard.on_closed(*id);
                    if let Some(slot) = self.slot(*id) {
                        self.connections[slot] = None;
                    }
                }
                Effect::Resume(id) => {
                    if let Some(slot) = self.slot(*id) {
                        if let Some(connection) = &mut self.connections[slot] {
                            connection.is_paused = false;
                        }
                        self.take_input(slot);
                    }
                }
            }
        }
        !effects.is_empty()
    }

    /// What the log holds makes the same database, on the shard and after a restart.
    fn compare_with_recovered(&self) {
        let mut again = Pipeline::new(pipeline_options(), DataTree::new(TREE));
        for record in &self.log {
            again.recover(record).expect("what was logged can be read");
        }
        for tree in [self.pipeline.tree(), self.shard.tree()] {
            assert_eq!(again.tree().node_count(), tree.node_count());
            assert_eq!(again.tree().approximate_data_size(), tree.approximate_data_size());
            assert_eq!(again.tree().sessions(), tree.sessions());
            assert_eq!(again.tree().last_zxid(), tree.last_zxid());
        }
    }

    fn slot(&self, id: ConnId) -> Option<usize> {
        self.connections.iter().position(|slot| slot.as_ref().is_some_and(|connection| connection.id == id))
    }

    fn now(&self) -> Instant {
        Instant::from_ms(self.now_ms)
    }

    fn wall(&self) -> WallTime {
        WallTime(1 + self.now_ms as i64)
    }
}

/// Keeps each record as the log would.
struct LogTo<'a>(&'a mut Vec<Vec<u8>>, &'a mut RecordBatch);

impl ringkeeper_core::prep::LogSink for LogTo<'_> {
    fn append(
        &mut self,
        header: &ringkeeper_core::proto::TxnHeader,
        txn: &ringkeeper_core::proto::Txn<'_>,
        digest: Option<ringkeeper_core::proto::TxnDigest>,
    ) {
        let mut record = Vec::new();
        header.encode(txn, &mut record);
        digest.inspect(|digest| digest.encode(&mut record));
        self.1.push(header.zxid, |body| body.extend_from_slice(&record));
        self.0.push(record);
    }
}

fn pipeline_options() -> PipelineOptions {
    PipelineOptions {
        server: ServerId(1),
        shards: 1,
        tick_ms: 2000,
        new_sessions: ringkeeper_core::session::NewSessions::Global,
        settings: Settings { extended_types: true, enforce_quota: true, ..Settings::default() },
        reaper: ReaperOptions { check_interval_ms: 100, ..ReaperOptions::default() },
    }
}

const TREE: TreeOptions = TreeOptions { extended_types: true, digest: true, seed: 1 };
