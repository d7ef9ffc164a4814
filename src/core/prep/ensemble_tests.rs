//! What a pipeline does for an ensemble, and what a replica does with it.

use std::sync::Arc;

use super::*;
use crate::error::Code;
use crate::flow::{
    ConnId, ForwardedRequest, Origin, Outcome, PartOutcome, Records, Reply, ShardId, ShardTurn, Step,
    Submission, Submitted,
};
use crate::id::{ServerId, SessionId, Zxid};
use crate::jute::Writer;
use crate::ops::Settings;
use crate::proto::{Identity, OpCode, Password, Txn, TxnDigest, TxnHeader};
use crate::session::{LocalSessions, NewSessions, password_of};
use crate::testing::{create, multi, path_version, picture, set_data};
use crate::time::{Instant, WallTime};
use crate::tree::{DataTree, Delta, TreeOptions};

const NOW: Instant = Instant(5_000_000_000);
const WALL: WallTime = WallTime(1_700_000_000_000);
const TIMEOUT_MS: i32 = 4000;

#[derive(Default)]
struct Log(Vec<Vec<u8>>);

impl LogSink for Log {
    fn append(&mut self, header: &TxnHeader, txn: &Txn<'_>, digest: Option<TxnDigest>) {
        let mut payload = Vec::new();
        header.encode(txn, &mut payload);
        digest.inspect(|digest| digest.encode(&mut payload));
        self.0.push(payload);
    }
}

fn pipeline(server: i64) -> Pipeline {
    pipeline_with(server, NewSessions::Global)
}

fn pipeline_with(server: i64, new_sessions: NewSessions) -> Pipeline {
    let options = PipelineOptions {
        server: ServerId(server),
        shards: 1,
        tick_ms: 1000,
        new_sessions,
        settings: Settings::default(),
        reaper: ReaperOptions::default(),
    };
    Pipeline::new(options, DataTree::new(TreeOptions { digest: true, ..TreeOptions::default() }))
}

fn conn(conn: u64) -> Origin {
    Origin { shard: ShardId(0), conn: ConnId(conn) }
}

fn turn(origin: Origin, session: SessionId, (what, records): (Submission, Records)) -> ShardTurn {
    let submitted = vec![Submitted { origin, session, what }];
    ShardTurn { shard: ShardId(0), submitted, records, heard: vec![], as_of: NOW }
}

/// What a shard hears of and has no request.
fn heard(heard: Vec<(SessionId, Instant)>, as_of: Instant) -> ShardTurn {
    ShardTurn { shard: ShardId(0), submitted: vec![], records: Records::default(), heard, as_of }
}

fn connect(password: Option<Password>) -> (Submission, Records) {
    (Submission::Connect { password, timeout_ms: TIMEOUT_MS }, Records::default())
}

fn request(xid: i32, op: OpCode, record: Vec<u8>) -> (Submission, Records) {
    let identities: Arc<[Identity]> = [Identity { scheme: "ip".into(), id: "1.2.3.4".into() }].into();
    let (records, [record]) = Records::of([&record]);
    (Submission::Request { xid, op, record, identities }, records)
}

/// A leader, and a follower whose requests it orders and which applies what it logs.
struct Pair {
    leader: Pipeline,
    log: Log,
    follower: Replica,
    sent: Vec<Forward>,
}

const FOLLOWER: u64 = 9;

impl Pair {
    fn new() -> Pair {
        Pair::with(NewSessions::Global)
    }

    fn with(new_sessions: NewSessions) -> Pair {
        let (mut leader, mut log) = (pipeline_with(1, new_sessions), Log::default());
        leader.lead(1, [], NOW, WALL, &mut log);
        let follower = pipeline_with(2, new_sessions).into_replica();
        Pair { leader, log, follower, sent: Vec::new() }
    }

    fn hand_in(&mut self, origin: Origin, session: SessionId, what: (Submission, Records)) {
        self.follower.on_turn(turn(origin, session, what), NOW, WALL, &mut self.sent);
    }

    /// The leader orders what was sent, by this connection's server, and commits it; the follower hears of it.
    fn exchange(&mut self) -> Vec<Step> {
        for forward in std::mem::take(&mut self.sent) {
            match forward {
                Forward::Request(request) if request.op == OpCode::Sync.number() => {
                    self.deliver();
                    self.follower.on_synced();
                }
                Forward::Request(request) => {
                    let from = Origin::peer(FOLLOWER);
                    self.leader.order_forwarded(from, request, NOW, WALL, &mut self.log);
                }
                Forward::Revalidate { session, timeout_ms } => {
                    let valid = self.leader.revalidate(session, timeout_ms, Origin::peer(FOLLOWER), NOW);
                    self.follower.on_revalidated(session, valid);
                }
            }
        }
        self.deliver();
        self.follower.publish().map_or(Vec::new(), |batch| batch.steps)
    }

    fn deliver(&mut self) {
        for payload in std::mem::take(&mut self.log.0) {
            self.follower.on_txn(&payload).expect("a transaction");
        }
        self.leader.on_durable(self.leader.last_zxid());
        self.leader.publish();
    }

    fn open(&mut self, origin: Origin) -> SessionId {
        self.hand_in(origin, SessionId::NONE, connect(None));
        match &outcomes(&self.exchange())[..] {
            [(_, _, Outcome::Connected { session, .. })] => *session,
            other => panic!("{other:?}"),
        }
    }
}

fn outcomes(steps: &[Step]) -> Vec<(Origin, i32, &Outcome)> {
    let replies = steps.iter().filter_map(|step| match step {
        Step::Reply(Reply { to, xid, outcome }) => Some((*to, *xid, outcome)),
        _ => None,
    });
    replies.collect()
}

#[test]
fn a_followers_clients_get_their_answers_from_the_leaders_transactions() {
    let mut pair = Pair::new();
    let me = conn(1);
    let session = pair.open(me);
    assert_eq!(session.0 >> 56, 2, "the follower numbers its sessions");
    assert_eq!(pair.follower.take_touched(), [(session, TIMEOUT_MS)]);
    let two = multi(&[(OpCode::Create, create("/m", b"", 0)), (OpCode::Check, path_version("/nowhere", -1))]);
    let asked = [
        (1, OpCode::Create, create("/a", b"", 0)),
        (2, OpCode::Create, create("/a", b"", 0)),
        (3, OpCode::Sync, vec![0, 0, 0, 1, b'/']),
        (4, OpCode::SetData, vec![1, 2, 3]),
        (5, OpCode::SetData, set_data("/a", Some(b"x"), 0)),
        (6, OpCode::Multi, two),
        (7, OpCode::Delete, path_version("/a", -1)),
        (8, OpCode::CloseSession, vec![]),
    ];
    for (xid, op, record) in asked {
        pair.hand_in(me, session, request(xid, op, record));
    }
    assert_eq!(pair.sent.len(), 7, "what cannot be read is not forwarded");
    let steps = pair.exchange();
    let outcomes = outcomes(&steps);
    assert!(outcomes.iter().map(|(_, xid, _)| *xid).eq(1..=8), "in the client's order");
    let [
        _,
        (_, _, exists),
        (_, _, synced),
        (_, _, unread),
        (_, _, changed),
        (_, _, failed),
        (_, _, done),
        (_, _, closed),
    ] = &outcomes[..]
    else {
        panic!("{outcomes:?}")
    };
    assert!(matches!(exists, Outcome::Failed(Code::NodeExists)));
    assert!(matches!(synced, Outcome::Synced(Some(path)) if &**path == "/"));
    assert!(matches!(unread, Outcome::Failed(Code::MarshallingError)));
    assert!(matches!(changed, Outcome::Changed(_)));
    let is_set = |step: &Step| matches!(step, Step::Delta(Delta::SetData(node), _) if node.version() == 1);
    let is_told = |step: &Step| matches!(step, Step::Reply(Reply { outcome: Outcome::Changed(_), .. }));
    assert!(steps.windows(2).any(|pair| is_set(&pair[0]) && is_told(&pair[1])), "the reply comes next");
    let Outcome::Multi(parts) = failed else { panic!("{failed:?}") };
    assert!(matches!(parts[..], [PartOutcome::Failed(Code::Ok), PartOutcome::Failed(Code::NoNode)]));
    assert!(matches!((done, closed), (Outcome::Done, Outcome::Closed)));
    assert_eq!(picture(pair.follower.tree()), picture(pair.leader.tree()));
    assert_eq!(pair.follower.outstanding(), 0);
}

#[test]
fn what_another_server_asks_for_answers_nobody_here() {
    let mut pair = Pair::new();
    let me = conn(1);
    let session = pair.open(me);
    pair.hand_in(me, session, request(5, OpCode::Create, create("/a", b"", 0)));
    let other = ForwardedRequest {
        session,
        cxid: 4,
        op: OpCode::Create.number(),
        record: create("/b", b"", 0).into(),
        identities: None,
    };
    pair.leader.order_forwarded(Origin::peer(FOLLOWER), other, NOW, WALL, &mut pair.log);
    let steps = pair.exchange();
    assert!(matches!(outcomes(&steps)[..], [(_, 5, Outcome::Created(_))]), "{steps:?}");
}

#[test]
fn a_session_that_comes_back_is_asked_for_and_one_that_moved_on_writes_no_more() {
    let mut pair = Pair::new();
    let (old, new) = (conn(1), conn(2));
    let session = pair.open(old);
    let connect = |password| connect(Some(password));
    pair.hand_in(new, session, connect([0; 16]));
    let steps = pair.exchange();
    assert!(matches!(steps[..], [Step::Close(_), Step::Reply(Reply { outcome: Outcome::Refused, .. })]));
    pair.hand_in(new, session, connect(password_of(session)));
    assert_eq!(pair.sent, [Forward::Revalidate { session, timeout_ms: TIMEOUT_MS }]);
    assert!(matches!(outcomes(&pair.exchange())[..], [(_, 0, Outcome::Connected { .. })]));
    pair.hand_in(old, session, request(1, OpCode::Create, create("/a", b"", 0)));
    assert!(matches!(pair.exchange()[..], [Step::Close(closed)] if closed == old));
    assert!(pair.leader.revalidate(session, TIMEOUT_MS, Origin::peer(7), NOW), "it goes to another server");
    pair.hand_in(new, session, request(2, OpCode::Create, create("/a", b"", 0)));
    let steps = pair.exchange();
    assert!(matches!(outcomes(&steps)[..], [(_, 2, Outcome::Failed(Code::SessionMoved))]), "{steps:?}");
    assert!(!pair.leader.revalidate(SessionId(77), TIMEOUT_MS, Origin::peer(7), NOW));
}

#[test]
fn a_session_that_expires_closes_its_connection_on_the_follower() {
    let mut pair = Pair::new();
    let me = conn(1);
    let session = pair.open(me);
    pair.hand_in(me, session, request(1, OpCode::Create, create("/e", b"", 1)));
    pair.exchange();
    let late = NOW + std::time::Duration::from_secs(10);
    let as_of = heard(vec![], late);
    pair.leader.on_turn(as_of, late, WALL, &mut pair.log);
    pair.leader.on_tick(late, WALL, &mut pair.log);
    let steps = pair.exchange();
    assert!(matches!(steps.last(), Some(Step::Close(closed)) if *closed == me), "{steps:?}");
    assert!(pair.follower.tree().get("/e").is_none() && pair.follower.tree().sessions().is_empty());
}

#[test]
fn every_forwarded_request_gets_a_transaction() {
    let mut pair = Pair::new();
    let session = pair.open(conn(1));
    let before = pair.leader.last_zxid();
    for (op, record, expected) in [
        (OpCode::SetData.number(), vec![1], Code::MarshallingError),
        (OpCode::Multi.number(), vec![1], Code::MarshallingError),
        (OpCode::CreateSession.number(), vec![], Code::MarshallingError),
        (OpCode::Check.number(), path_version("/", -1), Code::Unimplemented),
        (12345, vec![], Code::Unimplemented),
        (OpCode::Delete.number(), path_version("/a", -1), Code::NoNode),
    ] {
        let identities = None;
        let request = ForwardedRequest { session, cxid: 1, op, record: record.into(), identities };
        pair.leader.order_forwarded(Origin::peer(FOLLOWER), request, NOW, WALL, &mut pair.log);
        let payload = pair.log.0.pop().expect("a transaction");
        assert!(payload.ends_with(&expected.number().to_be_bytes()), "{op}: {payload:x?}");
    }
    assert_eq!(pair.leader.last_zxid(), Zxid(before.0 + 6));
}

#[test]
fn a_sync_at_the_leader_waits_for_its_proof_with_what_is_behind_it() {
    let (mut leader, mut log) = (pipeline(1), Log::default());
    leader.lead(1, [], NOW, WALL, &mut log);
    let open = connect(None);
    leader.on_turn(turn(conn(1), SessionId::NONE, open), NOW, WALL, &mut log);
    leader.on_durable(leader.last_zxid());
    let session = *leader.tree().sessions().keys().next().expect("a session");
    leader.publish().expect("the session");
    leader.await_round(Some(3));
    for (xid, op, record) in [(1, OpCode::Sync, vec![0, 0, 0, 0]), (2, OpCode::Create, create("/a", b"", 0))]
    {
        leader.on_turn(turn(conn(1), session, request(xid, op, record)), NOW, WALL, &mut log);
    }
    leader.on_durable(leader.last_zxid());
    leader.on_confirmed(2);
    assert!(leader.publish().is_none());
    leader.on_confirmed(3);
    assert_eq!(outcomes(&leader.publish().expect("both").steps).len(), 2);
}

#[test]
fn a_follower_compares_the_digests_of_all_that_it_applies() {
    let mut pair = Pair::new();
    let session = pair.open(conn(1));
    for (xid, op, record) in [
        (1, OpCode::Create, create("/a", b"x", 0)),
        (2, OpCode::Create, create("/a/e", b"", 1)),
        (3, OpCode::Create, create("/missing/a", b"", 0)),
        (4, OpCode::SetData, set_data("/a", Some(b"other"), -1)),
        (5, OpCode::CloseSession, Vec::new()),
    ] {
        pair.hand_in(conn(1), session, request(xid, op, record));
    }
    pair.exchange();
    let digests = pair.follower.digests();
    assert_eq!((digests.compared(), digests.mismatches()), (5, 0), "an error says nothing of the tree");

    // The leader's tree becomes another without a transaction.
    let (header, txn) = (
        TxnHeader { client_id: SessionId(9), cxid: 0, zxid: pair.leader.last_zxid(), time: WALL },
        Txn::SetData { path: "/a".into(), data: None, version: 7 },
    );
    pair.leader.db.apply(&header, &txn, &mut ());
    pair.open(conn(2));
    let digests = pair.follower.digests();
    assert_eq!((digests.compared(), digests.mismatches()), (6, 1));
    let last = digests.last_mismatch().expect("one");
    assert_eq!(last.zxid, pair.leader.last_zxid());
    assert_eq!(last.actual, pair.follower.tree().digest().expect("kept") as i64);
    assert_eq!(last.expected, pair.leader.tree().digest().expect("kept") as i64);
}

#[test]
fn what_was_not_published_is_rolled_back_without_a_trace() {
    let (mut leader, mut log) = (pipeline(1), Log::default());
    leader.lead(1, [], NOW, WALL, &mut log);
    let mut shard = leader.tree().clone();
    let open = connect(None);
    leader.on_turn(turn(conn(1), SessionId::NONE, open), NOW, WALL, &mut log);
    let session = *leader.tree().sessions().keys().next().expect("a session");
    let mut xid = 0;
    let mut ask = |leader: &mut Pipeline, op, record| {
        xid += 1;
        leader.on_turn(turn(conn(1), session, request(xid, op, record)), NOW, WALL, &mut Log::default());
    };
    for path in ["/a", "/a/b", "/c", "/d"] {
        ask(&mut leader, OpCode::Create, create(path, b"data", 0));
    }
    ask(&mut leader, OpCode::Create, create("/e", b"", 1));
    let committed = leader.last_zxid();
    leader.on_durable(committed);
    let mut current = Zxid::ZERO;
    for step in leader.publish().expect("all so far").steps {
        match step {
            Step::Zxid(zxid) => {
                current = zxid;
                shard.advance(zxid);
            }
            Step::Delta(delta, place) => drop(shard.apply_at(current, &delta, place)),
            Step::Reply(_) | Step::Close(_) => {}
        }
    }
    ask(&mut leader, OpCode::Delete, path_version("/a/b", -1));
    ask(&mut leader, OpCode::Delete, path_version("/a", -1));
    let parts = [(OpCode::SetData, set_data("/c", Some(b"y"), -1)), (OpCode::Delete, path_version("/d", -1))];
    ask(&mut leader, OpCode::Multi, multi(&parts));
    let failing = [(OpCode::Create, create("/f", b"", 0)), (OpCode::Check, path_version("/f", 9))];
    ask(&mut leader, OpCode::Multi, multi(&failing));
    ask(&mut leader, OpCode::Create, create("/g", b"", 0));
    ask(&mut leader, OpCode::CloseSession, vec![]);
    assert_ne!(picture(leader.tree()), picture(&shard));
    leader.roll_back();
    assert_eq!(picture(leader.tree()), picture(&shard));
    assert_eq!((leader.tree().last_zxid(), leader.last_zxid()), (committed, committed));
    assert_eq!((leader.outstanding(), leader.publish().is_none()), (0, true));
}

#[test]
fn a_new_leaders_tail_and_the_nodes_of_sessions_that_are_gone_are_published_with_its_epoch() {
    let (mut leader, mut log) = (pipeline(1), Log::default());
    let mut payload = Vec::new();
    let header = TxnHeader { client_id: SessionId(5), cxid: 1, zxid: Zxid(1), time: WALL };
    let mut record = Vec::new();
    Writer::new(&mut record).int(1);
    header.encode(&Txn::CreateSession { timeout_ms: TIMEOUT_MS }, &mut payload);
    leader.lead(1, [&payload[..]], NOW, WALL, &mut log);
    assert!(leader.publish().is_none(), "no quorum has it");
    leader.on_durable(Zxid::new(1, 0));
    let steps = leader.publish().expect("the tail").steps;
    let zxids: Vec<Zxid> = steps
        .iter()
        .filter_map(|step| if let Step::Zxid(zxid) = step { Some(*zxid) } else { None })
        .collect();
    assert_eq!(zxids, [Zxid(1), Zxid::new(1, 0)]);
    assert_eq!((leader.session_count(), leader.published()), (1, Zxid::new(1, 0)));
}

#[test]
fn a_followers_local_session_costs_no_transaction_until_it_needs_to_be_known() {
    let mut pair = Pair::with(NewSessions::Local { upgrades: true });
    let me = conn(1);
    pair.hand_in(me, SessionId::NONE, connect(None));
    assert!(pair.sent.is_empty());
    let steps = pair.exchange();
    let [(_, 0, Outcome::Connected { session, .. })] = outcomes(&steps)[..] else { panic!("{steps:?}") };
    let session = *session;
    let before = pair.leader.last_zxid();
    pair.hand_in(me, session, request(1, OpCode::Create, create("/a", b"", 0)));
    assert!(matches!(outcomes(&pair.exchange())[..], [(_, 1, Outcome::Created(_))]));
    assert_eq!(pair.leader.last_zxid(), before.next());
    assert!(pair.leader.tree().sessions().is_empty());

    // A client may number its request as servers number theirs.
    for (xid, path) in [(0, "/e"), (2, "/f")] {
        pair.hand_in(me, session, request(xid, OpCode::Create, create(path, b"", 1)));
    }
    assert_eq!(pair.sent.len(), 3, "it is upgraded once");
    let steps = pair.exchange();
    let outcomes = outcomes(&steps);
    assert!(
        matches!(outcomes[..], [(_, 0, Outcome::Created(_)), (_, 2, Outcome::Created(_))]),
        "{outcomes:?}"
    );
    assert_eq!(pair.leader.tree().sessions().get(&session), Some(&TIMEOUT_MS));
    assert_eq!(pair.follower.local_sessions().map(LocalSessions::len), Some(0));
    assert_eq!(pair.follower.take_touched(), [(session, TIMEOUT_MS)]);
    assert_eq!(picture(pair.follower.tree()), picture(pair.leader.tree()));
    pair.hand_in(me, session, request(3, OpCode::CloseSession, vec![]));
    assert_eq!(pair.sent.len(), 1, "the leader must know");
    pair.exchange();
    assert!(pair.leader.tree().sessions().is_empty() && pair.leader.tree().get("/e").is_none());
}

#[test]
fn a_local_session_that_may_not_be_upgraded_owns_nothing() {
    let mut pair = Pair::with(NewSessions::Local { upgrades: false });
    let me = conn(1);
    let session = pair.open(me);
    pair.hand_in(me, session, request(1, OpCode::Create, create("/e", b"", 1)));
    let steps = pair.exchange();
    let expected = Code::EphemeralOnLocalSession;
    assert!(
        matches!(outcomes(&steps)[..], [(_, 1, Outcome::Failed(code))] if *code == expected),
        "{steps:?}"
    );
    let before = pair.leader.last_zxid();
    pair.hand_in(me, session, request(2, OpCode::CloseSession, vec![]));
    assert!(pair.sent.is_empty());
    assert!(matches!(outcomes(&pair.exchange())[..], [(_, 2, Outcome::Closed)]));
    assert_eq!(pair.leader.last_zxid(), before);
    pair.hand_in(me, session, request(3, OpCode::Create, create("/a", b"", 0)));
    assert!(matches!(pair.exchange()[..], [Step::Close(closed)] if closed == me));
}

#[test]
fn a_local_session_comes_back_to_its_server_alone_and_ends_there() {
    let mut pair = Pair::with(NewSessions::Local { upgrades: true });
    let (old, new) = (conn(1), conn(2));
    let session = pair.open(old);
    let connect = connect(Some(password_of(session)));
    pair.hand_in(new, session, connect);
    assert!(pair.sent.is_empty());
    let steps = pair.exchange();
    assert!(matches!(steps[0], Step::Close(closed) if closed == old), "{steps:?}");
    assert!(matches!(outcomes(&steps)[..], [(_, 0, Outcome::Connected { .. })]), "{steps:?}");
    assert!(!pair.leader.revalidate(session, TIMEOUT_MS, Origin::peer(7), NOW), "others never heard of it");
    let late = NOW + std::time::Duration::from_secs(60);
    let heard = heard(vec![], late);
    pair.follower.on_tick(late);
    assert!(pair.exchange().is_empty(), "the shard may have heard of it");
    pair.follower.on_turn(heard, late, WALL, &mut pair.sent);
    pair.follower.on_tick(late);
    assert!(matches!(pair.exchange()[..], [Step::Close(closed)] if closed == new));
}

#[test]
fn a_leaders_own_clients_have_local_sessions_too() {
    for upgrades in [true, false] {
        let (mut leader, mut log) = (pipeline_with(1, NewSessions::Local { upgrades }), Log::default());
        leader.lead(1, [], NOW, WALL, &mut log);
        let before = leader.last_zxid();
        let me = conn(1);
        let open = connect(None);
        leader.on_turn(turn(me, SessionId::NONE, open), NOW, WALL, &mut log);
        leader.on_durable(leader.last_zxid());
        let steps = leader.publish().expect("an answer").steps;
        let [(_, 0, Outcome::Connected { session, .. })] = outcomes(&steps)[..] else { panic!("{steps:?}") };
        let session = *session;
        assert_eq!(leader.last_zxid(), before, "no transaction");
        let asked = [(1, create("/a", b"", 0)), (2, create("/e", b"", 1))];
        for (xid, record) in asked {
            leader.on_turn(turn(me, session, request(xid, OpCode::Create, record)), NOW, WALL, &mut log);
        }
        leader.on_durable(leader.last_zxid());
        let steps = leader.publish().expect("answers").steps;
        let outcomes = outcomes(&steps);
        assert!(matches!(outcomes[0], (_, 1, Outcome::Created(_))), "{outcomes:?}");
        match upgrades {
            true => assert!(matches!(outcomes[1], (_, 2, Outcome::Created(_))), "{outcomes:?}"),
            false => assert!(
                matches!(outcomes[1], (_, 2, Outcome::Failed(Code::EphemeralOnLocalSession))),
                "{outcomes:?}"
            ),
        }
        assert_eq!(leader.tree().sessions().len(), usize::from(upgrades));
        assert_eq!(leader.last_zxid().counter() - before.counter(), if upgrades { 3 } else { 2 });
        let ordered = leader.last_zxid();
        leader.on_turn(turn(me, session, request(3, OpCode::CloseSession, vec![])), NOW, WALL, &mut log);
        assert_eq!(leader.last_zxid() != ordered, upgrades, "a local session ends without a transaction");
    }
}
