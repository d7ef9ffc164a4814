use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::error::Code;
use crate::flow::{
    ConnId, Origin, Outcome, PartOutcome, Records, Reply, ShardId, ShardTurn, Step, Submission, Submitted,
};
use crate::id::{ServerId, SessionId, Zxid};
use crate::log_room::LogRoom;
use crate::ops::Settings;
use crate::proto::{Identity, OpCode, Password, Txn, TxnDigest, TxnHeader};
use crate::session::password_of;
use crate::testing::{create, create_ttl, multi, path_version, picture, record, set_acl, set_data};
use crate::time::{Instant, WallTime};
use crate::tree::{DataTree, TreeOptions};

/// Logged transactions as the log has them.
#[derive(Default)]
struct Log(Vec<(Zxid, Vec<u8>)>);

impl LogSink for Log {
    fn append(&mut self, header: &TxnHeader, txn: &Txn<'_>, digest: Option<TxnDigest>) {
        assert_eq!(digest.is_none(), matches!(txn, Txn::Error { .. }), "{txn:?}");
        let mut payload = Vec::new();
        header.encode(txn, &mut payload);
        digest.inspect(|digest| digest.encode(&mut payload));
        self.0.push((header.zxid, payload));
    }
}

/// A pipeline with a log, a role that follows what is published, and a clock.
struct Harness {
    pipeline: Pipeline,
    log: Log,
    follower: DataTree,
    now: Instant,
    identities: Arc<[Identity]>,
}

const TICK_MS: u32 = 1000;
const SHARDS: u16 = 2;
const CHECK_INTERVAL_MS: u64 = 60_000;

fn new_tree(seed: u64) -> DataTree {
    DataTree::new(TreeOptions { extended_types: true, digest: true, seed })
}

fn options() -> PipelineOptions {
    PipelineOptions {
        server: ServerId(1),
        shards: usize::from(SHARDS),
        tick_ms: TICK_MS,
        new_sessions: crate::session::NewSessions::Global,
        settings: Settings { extended_types: true, ..Settings::default() },
        reaper: ReaperOptions {
            check_interval_ms: CHECK_INTERVAL_MS,
            per_minute_max: 60,
            never_used_ms_max: 300_000,
        },
    }
}

fn conn(shard: u16, conn: u64) -> Origin {
    Origin { shard: ShardId(shard), conn: ConnId(conn) }
}

impl Harness {
    fn new() -> Harness {
        Harness::after(Log::default())
    }

    /// A server that starts with this log.
    fn after(log: Log) -> Harness {
        let mut pipeline = Pipeline::new(options(), new_tree(1));
        for (_, payload) in &log.0 {
            pipeline.recover(payload).expect("our own record");
        }
        assert_eq!(pipeline.digests().mismatches(), 0, "what the log says of the tree");
        let now = Instant::from_ms(5000);
        pipeline.recovered(now, WallTime(1_700_000_000_000));
        let follower = pipeline.tree().clone();
        let identities = vec![Identity { scheme: "ip".into(), id: "127.0.0.1".into() }].into();
        Harness { pipeline, log, follower, now, identities }
    }

    fn wall(&self) -> WallTime {
        WallTime(1_700_000_000_000 + self.now.ms() as i64)
    }

    fn submit(&mut self, origin: Origin, session: SessionId, what: Submission, records: Records) {
        let turn = ShardTurn {
            shard: origin.shard,
            submitted: vec![Submitted { origin, session, what }],
            records,
            heard: vec![],
            as_of: self.now,
        };
        self.pipeline.on_turn(turn, self.now, self.wall(), &mut self.log);
    }

    fn connect(&mut self, origin: Origin, session: SessionId, password: Password, timeout_ms: i32) {
        let what = Submission::Connect { password: Some(password), timeout_ms };
        self.submit(origin, session, what, Records::default());
    }

    fn request(&mut self, origin: Origin, session: SessionId, xid: i32, op: OpCode, record: Vec<u8>) {
        let ((records, [record]), identities) = (Records::of([&record]), self.identities.clone());
        self.submit(origin, session, Submission::Request { xid, op, record, identities }, records);
    }

    /// Opens a session and waits for it.
    fn open(&mut self, origin: Origin, timeout_ms: i32) -> SessionId {
        self.connect(origin, SessionId::NONE, [0; 16], timeout_ms);
        match self.publish_all().pop() {
            Some(Step::Reply(Reply { outcome: Outcome::Connected { session, .. }, .. })) => session,
            other => panic!("{other:?}"),
        }
    }

    fn ask(&mut self, origin: Origin, session: SessionId, op: OpCode, record: Vec<u8>) -> Vec<Step> {
        self.request(origin, session, 1, op, record);
        self.publish_all()
    }

    /// Lets time pass with all shards telling that they hear nothing.
    fn pass(&mut self, ms: u64) {
        self.now = self.now + std::time::Duration::from_millis(ms);
        for shard in 0..SHARDS {
            self.turn(shard, vec![]);
        }
        let wall = self.wall();
        self.pipeline.on_tick(self.now, wall, &mut self.log);
    }

    fn turn(&mut self, shard: u16, heard: Vec<(SessionId, Instant)>) {
        let turn = ShardTurn {
            shard: ShardId(shard),
            submitted: vec![],
            records: Records::default(),
            heard,
            as_of: self.now,
        };
        self.pipeline.on_turn(turn, self.now, self.wall(), &mut self.log);
    }

    /// Makes all durable and has the follower apply what is published.
    fn publish_all(&mut self) -> Vec<Step> {
        self.pipeline.on_durable(self.pipeline.last_zxid());
        self.publish()
    }

    fn publish(&mut self) -> Vec<Step> {
        let steps = self.pipeline.publish().map_or(Vec::new(), |batch| batch.steps);
        let mut current = Zxid::ZERO;
        for step in &steps {
            match step {
                Step::Zxid(zxid) => {
                    assert!(*zxid > self.follower.last_zxid());
                    current = *zxid;
                    self.follower.advance(current);
                }
                Step::Delta(delta, place) => {
                    self.follower.apply_at(current, delta, *place);
                }
                Step::Reply(_) | Step::Close(_) => {}
            }
        }
        steps
    }
}

fn codes(steps: &[Step]) -> Vec<Code> {
    let replies = steps.iter().filter_map(|step| match step {
        Step::Reply(reply) => Some(&reply.outcome),
        _ => None,
    });
    replies.map(|outcome| if let Outcome::Failed(code) = outcome { *code } else { Code::Ok }).collect()
}

fn closed(steps: &[Step]) -> Vec<Origin> {
    steps
        .iter()
        .filter_map(|step| if let Step::Close(origin) = step { Some(*origin) } else { None })
        .collect()
}

fn deltas(steps: &[Step]) -> usize {
    steps.iter().filter(|step| matches!(step, Step::Delta(..))).count()
}

#[test]
fn a_new_session_is_durable_before_its_client_hears_of_it() {
    let mut harness = Harness::new();
    harness.connect(conn(0, 1), SessionId::NONE, [0; 16], 4000);
    assert!(harness.publish().is_empty());
    assert_eq!((harness.pipeline.outstanding(), harness.pipeline.session_count()), (1, 1));
    let steps = harness.publish_all();
    let [
        Step::Zxid(Zxid(1)),
        Step::Delta(..),
        Step::Reply(Reply { outcome: Outcome::Connected { session, password, timeout_ms: 4000 }, .. }),
    ] = &steps[..]
    else {
        panic!("{steps:?}")
    };
    assert_eq!((*password, session.0 >> 56), (password_of(*session), 1));
    assert_eq!(harness.pipeline.outstanding(), 0);
}

#[test]
fn what_is_not_durable_holds_back_all_that_was_ordered_after_it() {
    let mut harness = Harness::new();
    let me = conn(0, 1);
    let session = harness.open(me, 4000);
    harness.request(me, session, 1, OpCode::Create, create("/a", b"", 0));
    harness.request(me, session, 2, OpCode::Sync, record(|out| out.text("/a")));
    harness.request(me, session, 3, OpCode::Create, create("/b", b"", 0));
    harness.request(me, session, 4, OpCode::Create, vec![1]);
    assert!(harness.publish().is_empty());
    let xids = |steps: &[Step]| -> Vec<i32> {
        steps
            .iter()
            .filter_map(|step| if let Step::Reply(reply) = step { Some(reply.xid) } else { None })
            .collect()
    };
    harness.pipeline.on_durable(Zxid(2));
    assert_eq!(xids(&harness.publish()), [1, 2]);
    assert!(harness.publish().is_empty());
    harness.pipeline.on_durable(Zxid(3));
    assert_eq!(xids(&harness.publish()), [3, 4]);
    harness.request(me, session, 5, OpCode::Sync, record(|out| out.buffer(None)));
    assert_eq!(xids(&harness.publish()), [5], "nothing to wait for");
}

#[test]
fn refused_writes_take_a_zxid_and_unreadable_ones_do_not() {
    let mut harness = Harness::new();
    let me = conn(0, 1);
    let session = harness.open(me, 4000);
    let steps = harness.ask(me, session, OpCode::Delete, path_version("/missing", -1));
    assert_eq!(codes(&steps), [Code::NoNode]);
    assert_eq!(harness.pipeline.last_zxid(), Zxid(2));
    let steps = harness.ask(me, session, OpCode::Delete, vec![0]);
    assert_eq!((codes(&steps), steps.len()), (vec![Code::MarshallingError], 1));
    let steps = harness.ask(me, session, OpCode::Sync, vec![0]);
    assert_eq!((codes(&steps), steps.len()), (vec![Code::MarshallingError], 1));
    assert_eq!(harness.pipeline.last_zxid(), Zxid(2));
    let steps = harness.ask(me, session, OpCode::Multi, vec![]);
    assert_eq!((codes(&steps), harness.pipeline.last_zxid()), (vec![Code::MarshallingError], Zxid(3)));
    assert_eq!(harness.log.0.len(), 3);
}

#[test]
fn a_session_moves_to_the_connection_that_knows_its_password() {
    let mut harness = Harness::new();
    let (old, new) = (conn(0, 1), conn(1, 2));
    let session = harness.open(old, 4000);
    harness.connect(new, session, password_of(session), 6000);
    harness.request(old, session, 7, OpCode::Create, create("/late", b"", 0));
    harness.request(new, session, 8, OpCode::Create, create("/new", b"", 0));
    let steps = harness.publish_all();
    assert_eq!(closed(&steps), [old, old]);
    assert!(matches!(
        steps[1],
        Step::Reply(Reply { outcome: Outcome::Connected { timeout_ms: 6000, .. }, .. })
    ));
    assert!(harness.follower.get("/late").is_none() && harness.follower.get("/new").is_some());
}

#[test]
fn a_wrong_password_is_refused_and_still_costs_the_owner_its_connection() {
    let mut harness = Harness::new();
    let (old, new) = (conn(0, 1), conn(0, 2));
    let session = harness.open(old, 4000);
    harness.connect(new, session, [7; 16], 4000);
    let steps = harness.publish_all();
    assert_eq!(closed(&steps), [old]);
    assert!(matches!(steps[1], Step::Reply(Reply { outcome: Outcome::Refused, .. })));
    let connect = Submission::Connect { password: None, timeout_ms: 4000 };
    harness.submit(new, session, connect, Records::default());
    assert!(matches!(harness.publish_all()[..], [Step::Reply(Reply { outcome: Outcome::Refused, .. })]));
    harness.connect(conn(0, 3), session, password_of(session), 4000);
    let steps = harness.publish_all();
    assert!(matches!(steps[..], [Step::Reply(Reply { outcome: Outcome::Connected { .. }, .. })]));
    let unknown = SessionId(5);
    harness.connect(conn(0, 4), unknown, password_of(unknown), 4000);
    assert!(matches!(harness.publish_all()[..], [Step::Reply(Reply { outcome: Outcome::Refused, .. })]));
}

#[test]
fn closing_a_session_deletes_its_ephemerals_and_then_itself() {
    let mut harness = Harness::new();
    let me = conn(0, 1);
    let session = harness.open(me, 4000);
    for path in ["/e1", "/e2"] {
        harness.ask(me, session, OpCode::Create, create(path, b"", 1));
    }
    let steps = harness.ask(me, session, OpCode::CloseSession, vec![]);
    assert_eq!(deltas(&steps), 3);
    assert!(matches!(steps.last(), Some(Step::Reply(Reply { outcome: Outcome::Closed, xid: 1, .. }))));
    assert!(harness.follower.get("/e1").is_none() && harness.follower.sessions().is_empty());
    let steps = harness.ask(me, session, OpCode::Create, create("/x", b"", 0));
    assert_eq!(codes(&steps), [Code::SessionExpired]);
    let steps = harness.ask(me, session, OpCode::Sync, vec![]);
    assert_eq!((codes(&steps), steps.len()), (vec![Code::SessionExpired], 1));
}

#[test]
fn a_silent_session_expires_with_its_ephemerals_and_its_connection() {
    let mut harness = Harness::new();
    let me = conn(0, 1);
    let session = harness.open(me, 4000);
    harness.ask(me, session, OpCode::Create, create("/e", b"", 1));
    harness.pass(4999);
    assert_eq!(harness.pipeline.session_count(), 1);
    harness.pass(1);
    let steps = harness.publish_all();
    assert_eq!((deltas(&steps), closed(&steps)), (2, vec![me]));
    assert!(harness.follower.get("/e").is_none() && harness.follower.sessions().is_empty());
    harness.connect(conn(0, 2), session, password_of(session), 4000);
    assert!(matches!(harness.publish_all()[..], [Step::Reply(Reply { outcome: Outcome::Refused, .. })]));
}

#[test]
fn with_little_room_in_the_log_nothing_grows_and_with_none_nothing_is_logged() {
    let mut harness = Harness::new();
    let (me, other) = (conn(0, 1), conn(0, 2));
    let session = harness.open(me, 4000);
    harness.ask(me, session, OpCode::Create, create("/a", b"", 0));
    harness.pipeline.on_log_room(LogRoom::Low);
    let before = harness.pipeline.last_zxid();
    let refused = [Code::SystemError];
    assert_eq!(codes(&harness.ask(me, session, OpCode::Create, create("/b", b"", 0))), refused);
    assert_eq!(codes(&harness.ask(me, session, OpCode::SetData, set_data("/a", Some(b"x"), -1))), refused);
    assert_eq!(harness.pipeline.last_zxid(), before, "a refusal takes no zxid");
    assert_eq!(
        codes(&harness.ask(me, session, OpCode::Delete, path_version("/a", -1))),
        [Code::Ok],
        "it makes room"
    );
    let brief = harness.open(other, 4000);
    assert!(matches!(
        harness.ask(other, brief, OpCode::CloseSession, vec![])[..],
        [.., Step::Reply(Reply { outcome: Outcome::Closed, .. })]
    ));

    harness.pipeline.on_log_room(LogRoom::Spent);
    let before = harness.pipeline.last_zxid();
    harness.connect(other, SessionId::NONE, [0; 16], 4000);
    assert_eq!(codes(&harness.publish_all()), refused);
    assert_eq!(codes(&harness.ask(me, session, OpCode::CloseSession, vec![])), refused);
    harness.pass(60_000);
    assert_eq!((harness.pipeline.last_zxid(), harness.pipeline.session_count()), (before, 1));

    harness.pipeline.on_log_room(LogRoom::Ample);
    assert_eq!(codes(&harness.ask(me, session, OpCode::Create, create("/b", b"", 0))), [Code::Ok]);
    harness.pass(60_000);
    assert_eq!(harness.pipeline.session_count(), 0, "its time was up long ago");
}

#[test]
fn no_session_expires_before_every_shard_has_told_whom_it_heard() {
    let mut harness = Harness::new();
    let session = harness.open(conn(1, 1), 4000);
    harness.now = harness.now + std::time::Duration::from_secs(60);
    harness.turn(0, vec![]);
    let (now, wall) = (harness.now, harness.wall());
    harness.pipeline.on_tick(now, wall, &mut harness.log);
    assert_eq!(harness.pipeline.session_count(), 1, "shard 1 may have heard it");
    harness.turn(1, vec![(session, now)]);
    harness.pipeline.on_tick(now, wall, &mut harness.log);
    assert_eq!(harness.pipeline.session_count(), 1, "and did");
    harness.pass(5000);
    assert_eq!(harness.pipeline.session_count(), 0);
}

#[test]
fn a_restart_gives_each_session_its_timeout_anew_and_new_ones_new_ids() {
    let mut harness = Harness::new();
    let session = harness.open(conn(0, 1), 4000);
    let mut harness = Harness::after(harness.log);
    harness.pass(4900);
    assert_eq!(harness.pipeline.session_count(), 1);
    harness.connect(conn(0, 9), session, password_of(session), 4000);
    let steps = harness.publish_all();
    assert!(matches!(steps[..], [Step::Reply(Reply { outcome: Outcome::Connected { .. }, .. })]));
    let other = harness.open(conn(0, 2), 4000);
    assert_ne!(other, session, "even if the clock stood still");
    assert_eq!(harness.pipeline.last_zxid(), Zxid(2));
}

#[test]
fn empty_containers_and_outlived_nodes_are_reaped_at_the_set_pace() {
    let mut harness = Harness::new();
    let me = conn(0, 1);
    let session = harness.open(me, 100_000_000);
    for path in ["/used", "/fresh", "/full"] {
        harness.ask(me, session, OpCode::CreateContainer, create(path, b"", 4));
    }
    for path in ["/used/c", "/full/c"] {
        harness.ask(me, session, OpCode::Create, create(path, b"", 0));
    }
    harness.ask(me, session, OpCode::Delete, path_version("/used/c", -1));
    harness.ask(me, session, OpCode::CreateTtl, create_ttl("/short", 5, 10));
    harness.ask(me, session, OpCode::CreateTtl, create_ttl("/long", 5, 10_000_000));
    harness.pass(CHECK_INTERVAL_MS - 1);
    assert!(harness.publish_all().is_empty());
    harness.pass(1);
    assert_eq!(deltas(&harness.publish_all()), 1, "sixty in a minute");
    harness.pass(999);
    assert_eq!(deltas(&harness.publish_all()), 0);
    harness.pass(1);
    assert_eq!(deltas(&harness.publish_all()), 1);
    let left = |harness: &Harness| -> Vec<&str> {
        let paths = ["/used", "/fresh", "/full", "/short", "/long"];
        paths.into_iter().filter(|path| harness.follower.get(path).is_some()).collect()
    };
    assert_eq!(left(&harness), ["/fresh", "/full", "/long"]);
    for _ in 0..10 {
        harness.pass(CHECK_INTERVAL_MS);
        harness.publish_all();
    }
    assert_eq!(left(&harness), ["/full", "/long"], "a container is not for ever unused");
}

#[test]
fn a_damaged_record_is_not_recovered() {
    let mut pipeline = Pipeline::new(options(), new_tree(1));
    assert!(matches!(pipeline.recover(&[0; 20]), Err(RecoverError::Undecodable(_))));
    assert_eq!(pipeline.last_zxid(), Zxid::ZERO);
}

/// One thing that clients do.
#[derive(Clone, Debug)]
enum Act {
    Connect(u64),
    Reattach(u64, u64),
    Request(u64, OpCode, Vec<u8>),
    Close(u64),
    Pass(u64),
    Publish(u64),
}

const PATHS: [&str; 10] = [
    "/a",
    "/a/b",
    "/a/b/c",
    "/d",
    "/d/n-",
    "/zookeeper/quota/a",
    "/zookeeper/quota/a/zookeeper_limits",
    "/zookeeper/quota/a/zookeeper_stats",
    "/a//",
    "/",
];

fn part() -> impl Strategy<Value = (OpCode, Vec<u8>)> {
    let path = || prop::sample::select(&PATHS[..]);
    let data = || prop::collection::vec(any::<u8>(), 0..6);
    prop_oneof![
        (path(), data(), 0..4i32)
            .prop_map(|(path, data, flags)| (OpCode::Create, create(path, &data, flags))),
        (path(), data(), 0..4i32)
            .prop_map(|(path, data, flags)| (OpCode::Create2, create(path, &data, flags))),
        path().prop_map(|path| (OpCode::CreateContainer, create(path, b"", 4))),
        (path(), 1..100_000i64).prop_map(|(path, ttl_ms)| (OpCode::CreateTtl, create_ttl(path, 5, ttl_ms))),
        (path(), -1..2i32).prop_map(|(path, version)| (OpCode::Delete, path_version(path, version))),
        (path(), data(), -1..2i32)
            .prop_map(|(path, data, version)| (OpCode::SetData, set_data(path, Some(&data), version))),
    ]
}

fn request() -> impl Strategy<Value = (OpCode, Vec<u8>)> {
    let acl = [(31, Some("world"), Some("anyone")), (1, Some("ip"), Some("127.0.0.0/8"))];
    prop_oneof![
        6 => part(),
        1 => (prop::sample::select(&PATHS[..]), 1..3usize)
            .prop_map(move |(path, len)| (OpCode::SetAcl, set_acl(path, Some(&acl[..len]), -1))),
        2 => prop::collection::vec(part(), 0..5).prop_map(|parts| (OpCode::Multi, multi(&parts))),
        1 => Just((OpCode::Sync, vec![0, 0, 0, 0])),
    ]
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        1 => (0..4u64).prop_map(Act::Connect),
        1 => (0..4u64, 0..4u64).prop_map(|(from, to)| Act::Reattach(from, to)),
        12 => (0..4u64, request()).prop_map(|(conn, (op, record))| Act::Request(conn, op, record)),
        1 => (0..4u64).prop_map(Act::Close),
        1 => (0..3000u64).prop_map(Act::Pass),
        2 => (0..3u64).prop_map(Act::Publish),
    ]
}

/// Does what the clients do. `sessions` are those of the four connections.
fn act_out(harness: &mut Harness, sessions: &mut [SessionId; 4], act: Act) {
    let origin = |id: u64| conn((id % u64::from(SHARDS)) as u16, id);
    match act {
        Act::Connect(id) => sessions[id as usize] = harness.open(origin(id), 4000),
        Act::Reattach(from, to) => {
            let session = sessions[from as usize];
            harness.connect(origin(to), session, password_of(session), 4000);
            sessions[to as usize] = session;
        }
        Act::Request(id, op, record) => harness.request(origin(id), sessions[id as usize], 1, op, record),
        Act::Close(id) => {
            harness.request(origin(id), sessions[id as usize], 1, OpCode::CloseSession, vec![]);
        }
        Act::Pass(ms) => harness.pass(ms),
        Act::Publish(back) => {
            let durable = Zxid(harness.pipeline.last_zxid().0 - back as i64);
            harness.pipeline.on_durable(durable);
            harness.publish();
        }
    }
}

proptest! {
    #[test]
    fn followers_and_a_restarted_server_have_the_same_tree(acts in prop::collection::vec(act(), 0..80)) {
        let mut harness = Harness::new();
        let mut sessions = std::array::from_fn(|id| harness.open(conn((id % 2) as u16, id as u64), 4000));
        for act in acts {
            act_out(&mut harness, &mut sessions, act);
        }
        harness.publish_all();
        prop_assert_eq!(harness.pipeline.outstanding(), 0);
        let expected = picture(harness.pipeline.tree());
        prop_assert_eq!(&picture(&harness.follower), &expected);
        let last = harness.pipeline.last_zxid();
        let zxids: Vec<i64> = harness.log.0.iter().map(|(zxid, _)| zxid.0).collect();
        prop_assert_eq!(zxids, (1..=last.0).collect::<Vec<_>>());
        let restarted = Harness::after(harness.log);
        prop_assert_eq!(&picture(restarted.pipeline.tree()), &expected);
        prop_assert_eq!(restarted.pipeline.last_zxid(), last);
        prop_assert_eq!(restarted.pipeline.session_count(), harness.pipeline.session_count());
    }

    #[test]
    fn a_multi_that_fails_leaves_no_trace(
        before in prop::collection::vec(part(), 0..20),
        parts in prop::collection::vec(part(), 0..6),
    ) {
        let mut harness = Harness::new();
        let me = conn(0, 1);
        let session = harness.open(me, 4000);
        for (op, record) in before {
            harness.ask(me, session, op, record);
        }
        let expected = picture(harness.pipeline.tree());
        let failing = (OpCode::Check, path_version("/nowhere", -1));
        let steps = harness.ask(me, session, OpCode::Multi, multi(&[&parts[..], &[failing]].concat()));
        let [Step::Zxid(_), Step::Reply(Reply { outcome: Outcome::Multi(outcomes), .. })] = &steps[..] else {
            return Err(TestCaseError::fail(format!("{steps:?}")));
        };
        prop_assert_eq!(outcomes.len(), parts.len() + 1);
        let all_failed = outcomes.iter().all(|outcome| matches!(outcome, PartOutcome::Failed(_)));
        prop_assert!(all_failed);
        prop_assert_eq!(picture(harness.pipeline.tree()), expected);
    }

    #[test]
    fn no_bytes_make_it_panic(
        op in prop::sample::select(&[
            OpCode::Create, OpCode::Create2, OpCode::CreateContainer, OpCode::CreateTtl, OpCode::Delete,
            OpCode::SetData, OpCode::SetAcl, OpCode::Multi, OpCode::Reconfig, OpCode::Sync,
            OpCode::CloseSession, OpCode::CreateSession, OpCode::Check, OpCode::GetData,
        ][..]),
        (_, mut record) in request(),
        noise in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..8),
        junk in prop::collection::vec(any::<u8>(), 0..40),
    ) {
        for (at, byte) in noise {
            if !record.is_empty() {
                let at = at.index(record.len());
                record[at] = byte;
            }
        }
        let mut harness = Harness::new();
        let me = conn(0, 1);
        let session = harness.open(me, 4000);
        harness.request(me, session, 1, op, record.clone());
        harness.request(me, session, 2, op, junk.clone());
        harness.publish_all();
        prop_assert_eq!(picture(&harness.follower), picture(harness.pipeline.tree()));
        let _ = harness.pipeline.recover(&junk);
        let _ = harness.pipeline.recover(&record);
    }
}
