//! A shard with a driver that keeps everything in memory, and clients that speak in bytes.

use std::collections::BTreeMap;

use crate::error::Code;
use crate::flow::{
    CommitBatch, ConnId, Origin, Outcome, Records, Reply, ShardId, ShardTurn, Step, Submission, Submitted,
};
use crate::id::{SessionId, Zxid};
use crate::jute::{Reader, Writer};
use crate::proto::{AclRef, Identity, OpCode, begin_frame, end_frame};
use crate::shard::{CloseReason, Effect, Intake, Lists, Next, Shard, ShardOptions, ShardReport};
use crate::time::Instant;
use crate::tree::{DataTree, Delta, Node, NodeFields, TreeOptions, parent_of};

pub(super) const SHARD: ShardId = ShardId(3);
pub(super) const PASSWORD: [u8; 16] = [7; 16];

/// What a client received.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Frame {
    Connected { timeout_ms: i32, session: i64, password: Vec<u8>, len: usize },
    Reply { xid: i32, zxid: i64, err: i32, body: Vec<u8> },
    Event { kind: i32, path: String, zxid: i64 },
}

/// A shard and its driver.
pub(super) struct Harness {
    pub(super) shard: Shard,
    /// What the commit role has.
    leader: DataTree,
    pub(super) now: Instant,
    pub(super) zxid: i64,
    /// Requests that commit has and has not answered.
    pub(super) submitted: Vec<Submitted>,
    /// The records of all that commit ever had.
    pub(super) records: Records,
    pub(super) closed: BTreeMap<ConnId, CloseReason>,
    pub(super) words: Vec<(ConnId, [u8; 4])>,
    /// Every byte each client was sent.
    pub(super) received: BTreeMap<ConnId, Vec<u8>>,
    /// How many frames of that were looked at.
    seen: BTreeMap<ConnId, usize>,
    input: BTreeMap<ConnId, Vec<u8>>,
    /// Connections whose output the driver leaves alone, like a socket that takes nothing.
    pub(super) stuck: Option<ConnId>,
    turns: Vec<ShardTurn>,
}

impl Harness {
    pub(super) fn new() -> Harness {
        Harness::with(ShardOptions::default())
    }

    /// The shard's report, with everything.
    pub(super) fn report(&self) -> ShardReport {
        self.shard.report(Lists { connections: true, watches: true, ephemerals: true })
    }

    pub(super) fn with(options: ShardOptions) -> Harness {
        let mut tree = DataTree::new(TreeOptions { extended_types: false, digest: true, seed: 1 });
        Harness {
            shard: Shard::new(SHARD, tree.share(), options),
            leader: tree,
            now: Instant::from_ms(1_000),
            zxid: 0,
            submitted: Vec::new(),
            records: Records::default(),
            closed: BTreeMap::new(),
            words: Vec::new(),
            received: BTreeMap::new(),
            seen: BTreeMap::new(),
            input: BTreeMap::new(),
            stuck: None,
            turns: Vec::new(),
        }
    }

    pub(super) fn accept(&mut self) -> ConnId {
        self.shard.on_accept(([127, 0, 0, 1], 4_000).into(), self.now)
    }

    /// A connection with an open session, whose id is `session`.
    pub(super) fn open(&mut self, session: i64) -> ConnId {
        let conn = self.accept();
        self.send(conn, &connect(0, 0, 10_000, &[0; 16], Some(false)));
        self.connected(conn, session);
        assert!(matches!(self.frames(conn)[..], [Frame::Connected { .. }]));
        conn
    }

    /// Commit opens the session that was asked for last.
    pub(super) fn connected(&mut self, conn: ConnId, session: i64) {
        self.pump();
        let submitted = self.submitted.pop().expect("a connect request");
        assert_eq!(submitted.origin, Origin { shard: SHARD, conn });
        let Submission::Connect { timeout_ms, .. } = submitted.what else { panic!("not a connect") };
        let outcome = Outcome::Connected { session: SessionId(session), password: PASSWORD, timeout_ms };
        self.zxid += 1;
        let reply = Reply { to: submitted.origin, xid: 0, outcome };
        self.commit(vec![Step::Zxid(Zxid(self.zxid)), Step::Reply(reply)]);
    }

    pub(super) fn send(&mut self, conn: ConnId, bytes: &[u8]) {
        self.input.entry(conn).or_default().extend_from_slice(bytes);
        self.feed(conn);
        self.pump();
    }

    pub(super) fn request(&mut self, conn: ConnId, xid: i32, op: i32, record: &[u8]) {
        self.send(conn, &request(xid, op, record));
    }

    /// Publishes steps, and does what the shard asks for.
    pub(super) fn commit(&mut self, steps: Vec<Step>) {
        self.shard.on_commit(&CommitBatch { steps, digest: None }, self.now);
        self.pump();
    }

    /// Publishes a transaction of these deltas, with a reply to the oldest request if there is an outcome.
    pub(super) fn transact(&mut self, deltas: Vec<Delta>, outcome: Option<Outcome>) {
        self.zxid += 1;
        let mut steps = vec![Step::Zxid(Zxid(self.zxid))];
        steps.extend(deltas.into_iter().map(|delta| self.placed(delta)));
        if let Some(outcome) = outcome {
            let submitted = self.submitted.remove(0);
            let Submission::Request { xid, .. } = submitted.what else { panic!("not a request") };
            steps.push(Step::Reply(Reply { to: submitted.origin, xid, outcome }));
        }
        self.commit(steps);
    }

    /// The delta as the commit role publishes it, which has applied those before it.
    pub(super) fn placed(&mut self, delta: Delta) -> Step {
        let place = self.leader.place_of(&delta);
        self.leader.apply_at(Zxid(self.zxid), &delta, place);
        Step::Delta(delta, place)
    }

    pub(super) fn create(&mut self, path: &str) {
        self.create_with(path, AclRef::open());
    }

    pub(super) fn create_with(&mut self, path: &str, acl: AclRef) {
        let delta = self.creation(path, acl, 0);
        self.transact(vec![delta], None);
    }

    /// The delta that the next transaction would create a node with.
    pub(super) fn creation(&self, path: &str, acl: AclRef, owner: i64) -> Delta {
        let zxid = Zxid(self.zxid + 1);
        let fields =
            NodeFields { czxid: zxid, mzxid: zxid, ctime: 1, mtime: 1, version: 0, aversion: 0, owner, acl };
        let parent = self.shard.tree().get(parent_of(path).expect("a parent")).expect("a parent");
        let node = Node::new(path, Some(path.as_bytes()), fields);
        Delta::Create { node, parent_cversion: parent.cversion() + 1 }
    }

    pub(super) fn change(&self, path: &str, data: &[u8]) -> Delta {
        let node = self.shard.tree().get(path).expect("a node").node;
        Delta::SetData(node.with_data(Some(data), node.version() + 1, Zxid(self.zxid + 1), 2))
    }

    pub(super) fn deletion(&self, path: &str) -> Delta {
        Delta::Delete(self.shard.tree().get(path).expect("a node").node.clone())
    }

    /// What the client received since the last call.
    pub(super) fn frames(&mut self, conn: ConnId) -> Vec<Frame> {
        let all = parse(self.received.get(&conn).map_or(&[], Vec::as_slice));
        let seen = self.seen.insert(conn, all.len()).unwrap_or(0);
        all[seen..].to_vec()
    }

    /// The error of the one reply that came since the last call.
    pub(super) fn err(&mut self, conn: ConnId) -> i32 {
        match &self.frames(conn)[..] {
            [Frame::Reply { err, .. }] => *err,
            other => panic!("not one reply: {other:?}"),
        }
    }

    /// The body of the one good reply that came since the last call.
    pub(super) fn body(&mut self, conn: ConnId) -> Vec<u8> {
        match &self.frames(conn)[..] {
            [Frame::Reply { err: 0, body, .. }] => body.clone(),
            other => panic!("not one good reply: {other:?}"),
        }
    }

    pub(super) fn turns(&mut self) -> Vec<ShardTurn> {
        std::mem::take(&mut self.turns)
    }

    /// Does what the shard asks for until it asks for nothing.
    pub(super) fn pump(&mut self) {
        loop {
            let mut effects = Vec::new();
            self.shard.take_effects(&mut effects);
            if let Some(mut turn) = self.shard.take_turn(self.now) {
                for mut submitted in turn.submitted.drain(..) {
                    if let Submission::Request { record, .. } = &mut submitted.what {
                        *record = self.records.push(turn.records.get(*record));
                    }
                    self.submitted.push(submitted);
                }
                self.turns.push(turn);
            }
            if effects.is_empty() {
                return;
            }
            for effect in effects {
                match effect {
                    Effect::Flush(conn) => self.drain(conn),
                    Effect::Resume(conn) => {
                        assert!(!self.closed.contains_key(&conn), "a closed connection is resumed");
                        self.feed(conn);
                    }
                    Effect::Word(conn, word) => self.words.push((conn, word)),
                    Effect::Close(conn, reason) => {
                        self.drain(conn);
                        assert_eq!(self.closed.insert(conn, reason), None, "closed twice");
                    }
                }
            }
        }
    }

    pub(super) fn drain(&mut self, conn: ConnId) {
        if self.stuck != Some(conn) {
            let mut bytes = Vec::new();
            self.shard.swap_output(conn, &mut bytes);
            self.received.entry(conn).or_default().extend(bytes);
        }
    }

    fn feed(&mut self, conn: ConnId) {
        let input = self.input.entry(conn).or_default();
        loop {
            let Intake { consumed, next } = self.shard.on_input(conn, input, self.now);
            input.drain(..consumed);
            match next {
                Next::Bytes(wanted) if input.len() >= wanted => continue,
                _ => return,
            }
        }
    }
}

pub(super) fn connect(
    seen: i64,
    session: i64,
    timeout_ms: i32,
    password: &[u8],
    read_only: Option<bool>,
) -> Vec<u8> {
    frame(|out| {
        out.int(0);
        out.long(seen);
        out.int(timeout_ms);
        out.long(session);
        out.buffer(Some(password));
        if let Some(read_only) = read_only {
            out.bool(read_only);
        }
    })
}

pub(super) fn request(xid: i32, op: i32, record: &[u8]) -> Vec<u8> {
    frame(|out| {
        out.int(xid);
        out.int(op);
        out.raw(record);
    })
}

pub(super) fn get_data(xid: i32, path: &str) -> Vec<u8> {
    request(xid, OpCode::GetData.number(), &path_watch(path, false))
}

pub(super) fn path_watch(path: &str, watch: bool) -> Vec<u8> {
    bytes(|out| {
        out.text(path);
        out.bool(watch);
    })
}

pub(super) fn path_int(path: &str, number: i32) -> Vec<u8> {
    bytes(|out| {
        out.text(path);
        out.int(number);
    })
}

pub(super) fn bytes(fill: impl FnOnce(&mut Writer<'_>)) -> Vec<u8> {
    let mut out = Vec::new();
    fill(&mut Writer::new(&mut out));
    out
}

pub(super) fn reply(xid: i32, zxid: i64, err: Code, body: &[u8]) -> Frame {
    Frame::Reply { xid, zxid, err: err.number(), body: body.to_vec() }
}

pub(super) fn event(kind: i32, path: &str, zxid: i64) -> Frame {
    Frame::Event { kind, path: path.to_owned(), zxid }
}

pub(super) fn identity(scheme: &str, id: &str) -> Identity {
    Identity { scheme: scheme.into(), id: id.into() }
}

fn frame(fill: impl FnOnce(&mut Writer<'_>)) -> Vec<u8> {
    let mut out = Vec::new();
    let start = begin_frame(&mut out);
    fill(&mut Writer::new(&mut out));
    end_frame(&mut out, start);
    out
}

/// The first frame of a connection is the answer to its handshake.
pub(super) fn parse(mut bytes: &[u8]) -> Vec<Frame> {
    let mut frames = Vec::new();
    while !bytes.is_empty() {
        let mut reader = Reader::new(bytes);
        let payload = reader.buffer().expect("whole frames").expect("a length");
        bytes = reader.rest();
        frames.push(parse_one(payload, frames.is_empty()).expect("a frame of the protocol"));
    }
    frames
}

fn parse_one(payload: &[u8], is_first: bool) -> Result<Frame, crate::jute::DecodeError> {
    let reader = &mut Reader::new(payload);
    if is_first && payload.len() != 16 {
        assert_eq!(reader.int()?, 0);
        return Ok(Frame::Connected {
            timeout_ms: reader.int()?,
            session: reader.long()?,
            password: reader.buffer()?.unwrap_or_default().to_vec(),
            len: payload.len(),
        });
    }
    let (xid, zxid, err) = (reader.int()?, reader.long()?, reader.int()?);
    if xid != -1 {
        return Ok(Frame::Reply { xid, zxid, err, body: reader.rest().to_vec() });
    }
    let kind = reader.int()?;
    assert_eq!((err, reader.int()?), (0, 3));
    Ok(Frame::Event { kind, path: reader.text()?.into_owned(), zxid })
}
