//! One of the two servers, and the connections of a run to it.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ringkeeper_kit::wire::{
    Client, ConnectRequest, ConnectResponse, Message, Received, Reply, Request, Wire, op,
};

use super::observe::{Names, Observed, sort_events};
use super::step::{Action, Password, SLOTS, Step};

/// A server and what a run has open on it. A step is driven in phases, so that two sides work on the
/// same step at the same time.
#[derive(Debug)]
pub(crate) struct Side {
    pub(crate) server: SocketAddr,
    pub(crate) names: Names,
    /// A connection of the test's own, with super rights. Its zxids are part of the sequence.
    control: Client,
    slots: [Slot; SLOTS],
    sessions: Vec<Session>,
    step: InStep,
}

/// What one step did: for each connection with anything to tell, its lines in order.
pub(crate) type Transcript = Vec<(usize, Vec<String>)>;

#[derive(Debug, Default)]
struct Slot {
    wire: Option<Wire>,
    /// The last session it had, alive or not.
    session: Option<usize>,
    seen: Vec<Observed>,
    fenced: bool,
}

#[derive(Debug, Clone)]
struct Session {
    id: i64,
    password: Option<Vec<u8>>,
    timeout_ms: i32,
    closed: bool,
}

#[derive(Debug, Default)]
struct InStep {
    started_ms: i64,
    /// Opcodes and xids whose replies are awaited.
    awaited: Vec<(i32, i32)>,
    handshake: bool,
    closes_session: bool,
    concerns_others: bool,
}

impl Side {
    /// Connects the test's own connection and gives it super rights.
    pub(crate) fn new(server: SocketAddr) -> io::Result<Side> {
        let request = ConnectRequest { timeout_ms: i32::MAX, ..ConnectRequest::default() };
        let started_ms = now_ms();
        let mut control = Client::connect_as(server, &request)?;
        let reply = control.call(&Request::Auth { scheme: "digest".into(), auth: SUPER.into() })?;
        if reply.err != 0 {
            return Err(io::Error::other(format!("the server refused super: {reply:?}")));
        }
        let mut side = Side {
            server,
            names: Names::default(),
            control,
            slots: Default::default(),
            sessions: Vec::new(),
            step: InStep::default(),
        };
        side.record_span(started_ms)?;
        Ok(side)
    }

    /// Creates the run's root node and counts zxids from there.
    pub(crate) fn begin(&mut self, root: &str) -> io::Result<()> {
        let started_ms = now_ms();
        let reply = self.control.call(&Request::create(root, b"", 0))?;
        if reply.err != 0 {
            return Err(io::Error::other(format!("cannot create {root}: {reply:?}")));
        }
        self.names.restart(reply.zxid);
        self.names.ledger.record(reply.zxid, started_ms, now_ms());
        Ok(())
    }

    /// Sends what the step sends.
    pub(crate) fn start(&mut self, step: &Step) {
        self.step = InStep {
            started_ms: now_ms(),
            concerns_others: step.action.concerns_others(),
            ..InStep::default()
        };
        let slot = step.slot;
        match &step.action {
            Action::Call { xid, request } => {
                self.ensure_connected(slot);
                let request = self.rebased(request);
                self.step.closes_session = matches!(request, Request::CloseSession);
                let answer = if matches!(request, Request::Ping) { PING_XID } else { *xid };
                self.step.awaited = vec![(answer, request.opcode())];
                let mut bytes = framed(&request.encode(*xid));
                if !may_close(&request) {
                    bytes.extend(self.own_fence(slot));
                }
                self.send(slot, &bytes);
            }
            Action::Burst(requests) => {
                self.ensure_connected(slot);
                let mut bytes = Vec::new();
                for (at, request) in requests.iter().enumerate() {
                    let xid = BURST_XID + at as i32;
                    let request = self.rebased(request);
                    self.step.awaited.push((xid, request.opcode()));
                    bytes.extend(framed(&request.encode(xid)));
                }
                self.step.awaited.reverse();
                bytes.extend(self.own_fence(slot));
                self.send(slot, &bytes);
            }
            Action::Garbage(bytes) => {
                self.ensure_connected(slot);
                self.send(slot, bytes);
            }
            Action::Connect(request) => self.dial(slot, request),
            Action::Attach { of, password, request } => {
                let request = self.attach_request(*of, *password, request);
                self.dial(slot, &request);
                self.slots[slot].session = self.slots[*of].session;
            }
            Action::Drop => self.hang_up(slot),
        }
    }

    /// Reads until the step is answered.
    pub(crate) fn finish(&mut self, step: &Step) {
        if self.step.handshake {
            self.finish_handshake(step.slot);
            return;
        }
        if let Action::Garbage(_) = step.action {
            self.await_close(step.slot);
            return;
        }
        while let Some((xid, opcode)) = self.step.awaited.pop() {
            let Some(reply) = self.await_reply(step.slot, opcode) else { return };
            if closes(&reply, opcode) {
                self.note_session_closed(step.slot, opcode);
                self.await_close(step.slot);
                return;
            }
            if reply.xid != xid {
                return; // The transcript shows the xid that came.
            }
        }
    }

    /// Sends a request whose reply shows that all events of the step have come: on the step's own
    /// connection, unless it went with the step, and on all others that the step may concern.
    ///
    /// It is a sync and not a ping: the only promise that the protocol gives about what another
    /// connection's commit has done is that of sync.
    pub(crate) fn start_fence(&mut self, step: &Step) {
        for slot in 0..SLOTS {
            let wanted = slot == step.slot || self.step.concerns_others;
            if wanted && self.slots[slot].wire.is_some() && !self.slots[slot].fenced {
                let fence = self.own_fence(slot);
                self.send(slot, &fence);
            }
        }
        if self.step.concerns_others {
            let _ = self.control.send(&Request::sync("/"));
        }
    }

    /// Reads until the fence on every connection, and tells what the step did.
    pub(crate) fn finish_fence(&mut self) -> io::Result<Transcript> {
        for slot in 0..SLOTS {
            if self.slots[slot].fenced {
                self.read_to_fence(slot);
                self.slots[slot].fenced = false;
            }
        }
        let last = if self.step.concerns_others { Some(self.control.next_reply()?.zxid) } else { None };
        if let Some(zxid) = last {
            self.names.ledger.record(zxid, self.step.started_ms, now_ms());
        }
        Ok(self.transcript(last))
    }

    /// Ends all sessions that the run has left, in the order of their grant.
    pub(crate) fn end_sessions(&mut self) -> io::Result<Vec<String>> {
        let started_ms = now_ms();
        (0..SLOTS).for_each(|slot| self.hang_up(slot));
        self.slots = Default::default();
        let mut lines = Vec::new();
        for at in 0..self.sessions.len() {
            let session = self.sessions[at].clone();
            if session.closed {
                continue;
            }
            let request = ConnectRequest {
                session: session.id,
                password: session.password,
                timeout_ms: session.timeout_ms,
                ..ConnectRequest::default()
            };
            let outcome = Client::connect_as(self.server, &request).and_then(Client::close);
            lines.push(match outcome {
                Ok(reply) => self.names.render(&Observed::Message(Message::Reply(reply))),
                Err(error) => format!("session #{at} cannot be closed: {error}"),
            });
        }
        self.sessions.clear();
        self.record_span(started_ms)?;
        Ok(lines)
    }

    /// One request with super rights, rendered.
    pub(crate) fn ask(&mut self, request: &Request) -> io::Result<(Reply, String)> {
        let started_ms = now_ms();
        let reply = self.control.call(request)?;
        self.names.ledger.record(reply.zxid, started_ms, now_ms());
        let line = self.names.render(&Observed::Message(Message::Reply(Reply { xid: 0, ..reply.clone() })));
        Ok((reply, line))
    }

    fn record_span(&mut self, started_ms: i64) -> io::Result<()> {
        let zxid = self.control.call(&Request::sync("/"))?.zxid;
        self.names.ledger.record(zxid, started_ms, now_ms());
        Ok(())
    }

    fn ensure_connected(&mut self, slot: usize) {
        if self.slots[slot].wire.is_none() {
            let request = ConnectRequest { timeout_ms: i32::MAX, ..ConnectRequest::default() };
            self.dial(slot, &request);
            self.finish_handshake(slot);
        }
    }

    /// Opens a new connection in place of the one there may be, and sends the ConnectRequest.
    fn dial(&mut self, slot: usize, request: &ConnectRequest) {
        self.hang_up(slot);
        self.step.handshake = true;
        let dialled =
            Wire::dial(self.server).and_then(|mut wire| wire.send_frame(&request.encode()).map(|()| wire));
        match dialled {
            Ok(wire) => self.slots[slot].wire = Some(wire),
            Err(error) => self.see(slot, Observed::Broken(error.to_string())),
        }
    }

    /// Ends the connection, and waits until the server has ended it, too: Java takes note of it by and by,
    /// and forgets then which connection the session has, even if that is a newer one.
    fn hang_up(&mut self, slot: usize) {
        if let Some(wire) = &mut self.slots[slot].wire {
            let _ = wire.end_sending(); // The server may have been first.
            self.await_close(slot);
            self.slots[slot].wire = None;
        }
    }

    fn finish_handshake(&mut self, slot: usize) {
        self.step.handshake = false;
        let Some(payload) = self.await_frame(slot) else { return };
        match ConnectResponse::decode(&payload) {
            Err(malformed) => self.see(slot, Observed::Broken(malformed.to_string())),
            Ok(response) => {
                if response.granted() {
                    self.note_session(slot, &response);
                }
                let granted = response.granted();
                self.see(slot, Observed::Connected(response));
                if !granted {
                    self.await_close(slot);
                }
            }
        }
    }

    fn note_session(&mut self, slot: usize, granted: &ConnectResponse) {
        self.names.name_session(granted.session);
        let known = self.sessions.iter().position(|session| session.id == granted.session);
        let at = known.unwrap_or_else(|| {
            self.sessions.push(Session {
                id: granted.session,
                password: granted.password.clone(),
                timeout_ms: granted.timeout_ms,
                closed: false,
            });
            self.sessions.len() - 1
        });
        self.slots[slot].session = Some(at);
    }

    fn note_session_closed(&mut self, slot: usize, opcode: i32) {
        if let (op::CLOSE_SESSION, Some(session)) = (opcode, self.slots[slot].session) {
            self.sessions[session].closed = true;
        }
    }

    fn attach_request(&self, of: usize, password: Password, request: &ConnectRequest) -> ConnectRequest {
        let session = self.slots[of].session.map(|at| &self.sessions[at]);
        let right = session.and_then(|session| session.password.clone()).unwrap_or_default();
        ConnectRequest {
            session: session.map_or(UNKNOWN_SESSION, |session| session.id),
            password: match password {
                Password::Right => Some(right),
                Password::Wrong => Some(right.iter().map(|byte| byte ^ 1).collect()),
                Password::Empty => Some(Vec::new()),
                Password::Null => None,
            },
            last_zxid_seen: match request.last_zxid_seen {
                0 => 0,
                relative => self.names.base.saturating_add(relative),
            },
            ..request.clone()
        }
    }

    /// The request with its zxid counted from the run's start.
    fn rebased(&self, request: &Request) -> Request {
        let mut request = request.clone();
        if let Request::SetWatches { relative_zxid, .. } | Request::SetWatches2 { relative_zxid, .. } =
            &mut request
        {
            *relative_zxid = relative_zxid.saturating_add(self.names.base);
        }
        request
    }

    fn send(&mut self, slot: usize, bytes: &[u8]) {
        if let Some(wire) = &mut self.slots[slot].wire {
            let _ = wire.send_bytes(bytes); // Reading tells that it is closed.
        }
    }

    fn await_reply(&mut self, slot: usize, opcode: i32) -> Option<Reply> {
        loop {
            let payload = self.await_frame(slot)?;
            let message = Message::decode(&payload, opcode);
            if self.see_fence(slot, &message) {
                return None; // The request in front of it was not answered.
            }
            self.see(slot, Observed::Message(message.clone()));
            if let Message::Reply(reply) = message {
                return Some(reply);
            }
        }
    }

    fn await_frame(&mut self, slot: usize) -> Option<Vec<u8>> {
        match self.receive(slot, REPLY_DEADLINE)? {
            Received::Frame(payload) => return Some(payload),
            Received::Closed => self.see_closed(slot),
            Received::Silence => self.see(slot, Observed::Silence),
        }
        None
    }

    fn await_close(&mut self, slot: usize) {
        while let Some(received) = self.receive(slot, CLOSE_DEADLINE) {
            match received {
                Received::Frame(payload) => self.see(slot, Observed::Message(Message::decode(&payload, 0))),
                Received::Closed => self.see_closed(slot),
                Received::Silence => return self.see(slot, Observed::StayedOpen),
            }
        }
    }

    fn read_to_fence(&mut self, slot: usize) {
        loop {
            let Some(payload) = self.await_frame(slot) else { return };
            let message = Message::decode(&payload, op::SYNC);
            if self.see_fence(slot, &message) {
                return;
            }
            self.see(slot, Observed::Message(message));
        }
    }

    fn see_fence(&mut self, slot: usize, message: &Message) -> bool {
        let fence = match message {
            Message::Reply(Reply { xid: FENCE_XID, zxid, err, .. }) => {
                Observed::Fence { zxid: *zxid, err: *err }
            }
            _ => return false,
        };
        self.slots[slot].fenced = false;
        self.see(slot, fence);
        true
    }

    /// The bytes of a fence; its reply will be waited for.
    fn own_fence(&mut self, slot: usize) -> Vec<u8> {
        self.slots[slot].fenced = true;
        framed(&Request::sync("/").encode(FENCE_XID))
    }

    fn receive(&mut self, slot: usize, deadline: Duration) -> Option<Received> {
        let received = self.slots[slot].wire.as_mut()?.receive(deadline);
        Some(received.unwrap_or_else(|error| {
            self.see(slot, Observed::Broken(error.to_string()));
            Received::Closed
        }))
    }

    fn see_closed(&mut self, slot: usize) {
        self.slots[slot].wire = None;
        self.see(slot, Observed::Closed);
    }

    fn see(&mut self, slot: usize, observed: Observed) {
        self.slots[slot].seen.push(observed);
    }

    fn transcript(&mut self, last_zxid: Option<i64>) -> Transcript {
        let mut transcript = Vec::new();
        for (at, slot) in self.slots.iter_mut().enumerate() {
            let mut lines: Vec<String> =
                slot.seen.drain(..).map(|observed| self.names.render(&observed)).collect();
            if self.step.closes_session {
                sort_events(&mut lines);
            }
            if !lines.is_empty() {
                transcript.push((at, lines));
            }
        }
        if let Some(zxid) = last_zxid {
            transcript.push((SLOTS, vec![self.names.render(&Observed::Fence { zxid, err: 0 })]));
        }
        transcript
    }
}

/// Whether a server must close the connection behind this reply.
fn closes(reply: &Reply, opcode: i32) -> bool {
    let unknown_opcode = reply.err == UNIMPLEMENTED && reply.zxid == -1;
    unknown_opcode || reply.err == AUTH_FAILED || (opcode == op::CLOSE_SESSION && reply.err == 0)
}

/// Whether what comes behind the request may not be answered. Such a request goes alone.
fn may_close(request: &Request) -> bool {
    matches!(
        request,
        Request::Raw { .. } | Request::Auth { .. } | Request::Sasl { .. } | Request::CloseSession
    )
}

fn framed(payload: &[u8]) -> Vec<u8> {
    [&(payload.len() as u32).to_be_bytes(), payload].concat()
}

fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64)
}

/// Whom both servers are told to take for super.
pub(crate) const SUPER: &str = "super:differential";
/// `SUPER` as it stands in `DigestAuthenticationProvider.superDigest`.
pub(crate) const SUPER_DIGEST: &str = "super:HdDzQ+9LJmjeZta3MbXZ2oSZCBU=";

const PING_XID: i32 = -2;
const FENCE_XID: i32 = 0x7FFF_0001;
const BURST_XID: i32 = 0x0100_0000;
const UNIMPLEMENTED: i32 = -6;
const AUTH_FAILED: i32 = -115;
const UNKNOWN_SESSION: i64 = 0x0123_4567_89AB_CDEF;

/// Long enough for a loaded machine: what takes longer counts as no answer.
const REPLY_DEADLINE: Duration = Duration::from_secs(30);
const CLOSE_DEADLINE: Duration = Duration::from_secs(30);
