//! What a write costs each role of one executor, without sockets and disk: it is ordered and encoded for the log,
//! published, and applied by a shard and by the snapshotter. In turns of 512 requests, as `side-by-side` has 16x32.
//!
//!     cargo run --release -p ringkeeper-bench --example write_path -- 2000000
//!     cargo run --release -p ringkeeper-bench --example write_path -- 2000000 create

#[path = "../benches/common/mod.rs"]
mod common;

use std::sync::Arc;
use std::time::Instant as Now;

use anyhow::{Context, Result};
use common::{DATA, OPTIONS};
use ringkeeper_core::flow::{
    CommitBatch, ConnId, Origin, Records, STEPS_AHEAD, ShardId, ShardTurn, Step, Submission, Submitted,
};
use ringkeeper_core::format::wal::RecordBatch;
use ringkeeper_core::id::{ServerId, SessionId};
use ringkeeper_core::jute::Writer;
use ringkeeper_core::ops::Settings;
use ringkeeper_core::prep::{Pipeline, PipelineOptions, ReaperOptions};
use ringkeeper_core::proto::{Identity, OpCode};
use ringkeeper_core::session::NewSessions;
use ringkeeper_core::time::{Instant, WallTime};
use ringkeeper_core::tree::{DataTree, SnapshotTree};

fn main() -> Result<()> {
    let mut args = std::env::args().skip(1);
    let count: usize = args.next().context("how many writes?")?.parse()?;
    let last = args.next().unwrap_or_else(|| "set any".into());
    println!("ns each of {count}");
    println!("{:8} {:>9} {:>9} {:>9} {:>9} {:>9}", "", "commit", "publish", "shard", "snapshot", "all");
    for _ in 0..ROUNDS {
        let mut roles = Roles::new();
        for (name, request) in LOADS {
            roles.measure(name, count, |number| request(number, count))?;
            if name == last {
                break;
            }
        }
    }
    Ok(())
}

struct Roles {
    pipeline: Pipeline,
    log: RecordBatch,
    shard: DataTree,
    snapshotter: SnapshotTree,
    session: SessionId,
    identities: Arc<[Identity]>,
}

impl Roles {
    fn new() -> Roles {
        let options = PipelineOptions {
            server: ServerId(1),
            shards: 1,
            tick_ms: 2000,
            new_sessions: NewSessions::Global,
            settings: Settings::default(),
            reaper: ReaperOptions { check_interval_ms: 60_000, per_minute_max: 1, never_used_ms_max: 0 },
        };
        let mut tree = DataTree::new(OPTIONS);
        let (shard, snapshotter) = (tree.share(), SnapshotTree::of(&tree));
        let mut pipeline = Pipeline::new(options, tree);
        pipeline.recovered(Instant::default(), WallTime(1));
        let mut roles = Roles {
            pipeline,
            log: RecordBatch::new(),
            shard,
            snapshotter,
            session: SessionId::NONE,
            identities: Arc::default(),
        };
        let connect = Submission::Connect { password: None, timeout_ms: 30_000 };
        roles.turn(vec![connect], Records::default());
        if let Some(batch) = roles.publish() {
            roles.apply(&batch);
            roles.follow(&batch);
        }
        roles.session = roles.pipeline.tree().sessions().keys().next().copied().unwrap_or(SessionId::NONE);
        roles
    }

    fn measure(&mut self, name: &str, count: usize, request: impl Fn(usize) -> Request) -> Result<()> {
        let mut spent = [0u128; 4];
        for start in (0..count).step_by(TURN) {
            let mut records = Records::default();
            let requests = (start..count.min(start + TURN)).map(|number| {
                let (op, record) = request(number);
                let identities = self.identities.clone();
                Submission::Request { xid: number as i32, op, record: records.push(&record), identities }
            });
            let requests = requests.collect();
            let started = Now::now();
            self.turn(requests, records);
            let ordered = Now::now();
            let batch = self.publish().context("something is published")?;
            let published = Now::now();
            self.apply(&batch);
            let applied = Now::now();
            self.follow(&batch);
            let followed = Now::now();
            drop(batch);
            for (spent, (from, to)) in spent.iter_mut().zip([
                (started, ordered),
                (ordered, published),
                (published, applied),
                (applied, followed),
            ]) {
                *spent += (to - from).as_nanos();
            }
        }
        let each = |spent: u128| spent / count as u128;
        let [commit, publish, shard, snapshot] = spent.map(each);
        let all = each(spent.iter().sum());
        println!("{name:8} {commit:9} {publish:9} {shard:9} {snapshot:9} {all:9}");
        Ok(())
    }

    fn turn(&mut self, requests: Vec<Submission>, records: Records) {
        let (shard, session) = (ShardId(0), self.session);
        let origin = Origin { shard, conn: ConnId(1) };
        let submitted = requests.into_iter().map(|what| Submitted { origin, session, what }).collect();
        let turn = ShardTurn { shard, submitted, records, heard: Vec::new(), as_of: Instant::default() };
        self.log.clear();
        self.pipeline.on_turn(turn, Instant::default(), WallTime(1), &mut self.log);
    }

    fn publish(&mut self) -> Option<CommitBatch> {
        self.pipeline.on_durable(self.pipeline.last_zxid());
        self.pipeline.publish()
    }

    /// As a shard does it.
    fn apply(&mut self, batch: &CommitBatch) {
        for steps in batch.steps.chunks(STEPS_AHEAD) {
            self.shard.look_ahead_to_steps(steps.iter().filter_map(Step::delta));
            for step in steps {
                match step {
                    Step::Zxid(zxid) => self.shard.advance(*zxid),
                    Step::Delta(delta, place) => {
                        self.shard.apply_at(self.shard.last_zxid(), delta, *place);
                    }
                    Step::Reply(_) | Step::Close(_) => {}
                }
            }
        }
    }

    fn follow(&mut self, batch: &CommitBatch) {
        for step in &batch.steps {
            match step {
                Step::Zxid(zxid) => self.snapshotter.advance(*zxid),
                Step::Delta(delta, place) => self.snapshotter.apply_at(delta, *place),
                Step::Reply(_) | Step::Close(_) => {}
            }
        }
    }
}

/// An operation and its record.
type Request = (OpCode, Vec<u8>);
/// Makes a request, by its number, of so many.
type Make = fn(usize, usize) -> Request;

/// What is measured one after the other, up to the one that is asked for.
const LOADS: [(&str, Make); 3] = [
    ("create", |number, _| (OpCode::Create, create(number))),
    // Of a few, as in a small tree.
    ("set", |number, _| (OpCode::SetData, set(number % 1000))),
    ("set any", |number, count| (OpCode::SetData, set(number * 7919 % count))),
];

fn create(number: usize) -> Vec<u8> {
    record(number, |record| {
        record.int(1);
        record.int(31);
        record.text("world");
        record.text("anyone");
        record.int(0);
    })
}

fn set(number: usize) -> Vec<u8> {
    record(number, |record| record.int(-1))
}

/// A request that begins with path and data.
fn record(number: usize, rest: impl FnOnce(&mut Writer<'_>)) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(200);
    let mut record = Writer::new(&mut bytes);
    record.text(&format!("/n{number:010}"));
    record.buffer(Some(&DATA));
    rest(&mut record);
    bytes
}

const TURN: usize = 512;
const ROUNDS: usize = 3;
