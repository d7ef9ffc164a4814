//! One client that writes until the server dies, and knows what it was told.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::net::SocketAddr;
use std::sync::mpsc::Sender;

use fastrand::Rng;
use ringkeeper_kit::wire::{Body, Client, ConnectRequest, Reply, Request, Stat, SubResult};

use super::model::{Mode, Model, Op, Outcome, SHARED};

/// A writer lives through all crashes: its session goes on, and so do its nodes.
#[derive(Debug)]
pub(crate) struct Writer {
    pub(crate) name: String,
    rng: Rng,
    pub(crate) session: ConnectRequest,
    pub(crate) client: Option<Client>,
    /// The end of the session was acknowledged, and there is no new one yet.
    pub(crate) session_over: bool,
    /// How many writes of this round were acknowledged to the session.
    pub(crate) session_age: usize,
    /// The nodes after all acknowledged writes.
    pub(crate) model: Model,
    /// Writes that were sent and not acknowledged, oldest first.
    pub(crate) unanswered: VecDeque<Op>,
    /// The nodes after these, too: what the next write builds on.
    ahead: Model,
    /// The zxids of this round's acknowledged writes.
    pub(crate) acknowledged: Vec<i64>,
    /// Paths and data of this round's acknowledged nodes in the shared parent.
    pub(crate) shared: BTreeMap<String, String>,
    /// The greatest zxid that a reply has told.
    pub(crate) zxid_seen: i64,
    next: u64,
}

impl Writer {
    /// Connects and creates the writer's own nodes.
    pub(crate) fn new(name: usize, seed: u64, server: SocketAddr) -> io::Result<Writer> {
        let client = Client::connect_as(server, &new_session())?;
        let session = ConnectRequest::again(client.granted());
        let model = Model::new(session.session);
        let mut writer = Writer {
            name: format!("w{name}"),
            rng: Rng::with_seed(seed.wrapping_mul(1_000).wrapping_add(name as u64)),
            session,
            client: Some(client),
            session_over: false,
            session_age: 0,
            ahead: model.clone(),
            model,
            unanswered: VecDeque::new(),
            acknowledged: Vec::new(),
            shared: BTreeMap::new(),
            zxid_seen: 0,
            next: 0,
        };
        for path in [writer.root(), format!("{}/s", writer.root())] {
            let data = writer.name.clone();
            writer.send(Op::Create { path, data, mode: Mode::Persistent })?;
            writer.take_reply().map_err(io::Error::other)?;
        }
        Ok(writer)
    }

    /// The node below which the writer writes.
    pub(crate) fn root(&self) -> String {
        format!("/{}", self.name)
    }

    /// Writes until the connection breaks; each acknowledged write is told to `acks`.
    ///
    /// # Errors
    /// When an answer is not what it must be.
    pub(crate) fn work(&mut self, server: SocketAddr, acks: &Sender<()>) -> Result<(), String> {
        loop {
            let outstanding_max = self.rng.usize(1..=8);
            while self.unanswered.len() < outstanding_max && !self.is_closing() {
                let op = self.draw();
                if self.send(op).is_err() {
                    break; // What is still to be read tells how far the server came.
                }
            }
            if !self.take_reply()? {
                return Ok(());
            }
            let _ = acks.send(()); // Nobody listens any more once the server was killed.
            if self.client.is_none() {
                match Client::connect_as(server, &new_session()) {
                    Ok(client) => self.begin_session(client),
                    Err(_) => return Ok(()),
                }
            }
        }
    }

    /// Goes on with this client; unless it has the same session, that one's nodes are gone.
    pub(crate) fn begin_session(&mut self, client: Client) {
        self.session = ConnectRequest::again(client.granted());
        self.client = Some(client);
        self.session_over = false;
        self.session_age = 0;
        self.model.session = self.session.session;
        self.ahead = self.model.clone();
    }

    /// A request outside the sequence of writes, answered well.
    pub(crate) fn ask(&mut self, request: &Request) -> io::Result<Reply> {
        let client = self.client.as_mut().ok_or(io::ErrorKind::NotConnected)?;
        let reply = client.call(request)?;
        self.zxid_seen = self.zxid_seen.max(reply.zxid);
        Ok(reply)
    }

    /// Whether the last write is the end of the session.
    pub(crate) fn is_closing(&self) -> bool {
        self.unanswered.back() == Some(&Op::CloseSession)
    }

    fn send(&mut self, op: Op) -> io::Result<()> {
        let request = op.request();
        self.ahead.apply(&op, 0);
        self.unanswered.push_back(op);
        self.client.as_mut().ok_or(io::ErrorKind::NotConnected)?.send(&request)
    }

    /// Takes the next reply; false if the server is gone.
    fn take_reply(&mut self) -> Result<bool, String> {
        let Some(client) = &mut self.client else { return Ok(false) };
        let reply = match client.next_reply() {
            Ok(reply) => reply,
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(false),
            Err(error) => return Err(format!("{}: {error}", self.name)),
        };
        let op = self.unanswered.pop_front().ok_or("a reply to nothing")?;
        let expected = self.model.apply(&op, reply.zxid);
        self.check(&op, &expected, &reply)?;
        self.acknowledged.push(reply.zxid);
        self.session_age += 1;
        self.zxid_seen = reply.zxid;
        if op == Op::CloseSession {
            self.client = None;
            self.session_over = true;
        }
        Ok(true)
    }

    fn check(&mut self, op: &Op, expected: &Outcome, reply: &Reply) -> Result<(), String> {
        let wrong = || format!("{}: {op:?} was answered {reply:?}, expected {expected:?}", self.name);
        if reply.zxid <= self.zxid_seen {
            return Err(format!("zxid {:#x} after {:#x}: {}", reply.zxid, self.zxid_seen, wrong()));
        }
        if let (Op::Shared { data }, Body::PathStat(path, stat)) = (op, &reply.body) {
            self.shared.insert(path.lossy(), data.clone());
            let new = path.lossy().starts_with(SHARED) && stat.czxid == reply.zxid;
            return if new { Ok(()) } else { Err(wrong()) };
        }
        let right = match expected {
            Outcome::Failed(code) => reply.err == *code && reply.body == Body::Nothing,
            expected => reply.err == 0 && self.model.learn(expected, op, &reply.body),
        };
        if right { Ok(()) } else { Err(wrong()) }
    }

    /// A write that builds on all that were sent before it: mostly one that must succeed.
    fn draw(&mut self) -> Op {
        self.next += 1;
        let data = format!("{} #{}", self.name, self.next);
        match self.rng.u32(..100) {
            0..12 => Op::Shared { data },
            12..13 => Op::CloseSession,
            13..35 => {
                let ops = (0..self.rng.usize(1..5)).map(|at| self.draw_one(format!("{data}.{at}")));
                let mut ops: Vec<Op> = ops.collect();
                if self.rng.u32(..3) == 0 {
                    ops.push(Op::Check { path: self.root(), version: 99 });
                }
                Op::Multi(ops)
            }
            _ => self.draw_one(data),
        }
    }

    fn draw_one(&mut self, data: String) -> Op {
        let root = self.root();
        let path = format!("{root}/n{}", self.rng.u32(..12));
        let version = self.ahead.nodes.get(&path).map(|node| node.version);
        match (self.rng.u32(..10), version) {
            (0, _) => Op::Create { path: format!("{root}/s/"), data, mode: Mode::Sequential },
            (1, _) => match self.ahead.children(&format!("{root}/s")).next() {
                Some(oldest) => Op::Delete { path: oldest.clone(), version: -1 },
                None => Op::Create { path: format!("{root}/s/"), data, mode: Mode::Sequential },
            },
            (2, Some(version)) => Op::Set { path, data, version: version + 7 },
            (3..6, Some(version)) => Op::Delete { path, version },
            (_, Some(version)) => Op::Set { path, data, version },
            (2..5, None) => Op::Create { path, data, mode: Mode::Ephemeral },
            (_, None) => Op::Create { path, data, mode: Mode::Persistent },
        }
    }
}

impl Model {
    /// Whether the body is what was expected; the times in it are remembered.
    fn learn(&mut self, expected: &Outcome, op: &Op, body: &Body) -> bool {
        match (expected, op, body) {
            (Outcome::Done, _, Body::Nothing) => true,
            (Outcome::Created(path, stat), _, Body::PathStat(told_path, told)) => {
                told_path.lossy() == *path && self.learn_stat(path, stat, told)
            }
            (Outcome::Changed(stat), Op::Set { path, .. }, Body::Stat(told)) => {
                self.learn_stat(path, stat, told)
            }
            (Outcome::Many(outcomes), Op::Multi(ops), Body::Results(results)) => {
                outcomes.len() == results.len()
                    && outcomes.iter().zip(ops).zip(results).all(|((outcome, op), result)| {
                        match (outcome, result) {
                            (Outcome::Failed(code), SubResult::Failed(told)) => code == told,
                            (outcome, SubResult::Done(_, body)) => self.learn(outcome, op, body),
                            _ => false,
                        }
                    })
            }
            _ => false,
        }
    }

    fn learn_stat(&mut self, path: &str, expected: &Stat, told: &Stat) -> bool {
        // A later part of the same multi may have changed or deleted the node again.
        if let Some(node) = self.nodes.get_mut(path)
            && (node.mzxid, node.version) == (told.mzxid, told.version)
        {
            node.times = Some((told.ctime, told.mtime));
        }
        Stat { ctime: told.ctime, mtime: told.mtime, ..*expected } == *told
    }
}

/// A session that does not expire while a round waits for a loaded machine.
pub(crate) fn new_session() -> ConnectRequest {
    ConnectRequest { timeout_ms: i32::MAX, ..ConnectRequest::default() }
}
