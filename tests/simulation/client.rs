//! Clients: what they ask for, and what they do about what they get. They speak the client protocol through the
//! kit's codec, which shares no code with the server.

use std::collections::VecDeque;

use ringkeeper_core::error::Code;
use ringkeeper_core::id::{SessionId, Zxid};
use ringkeeper_kit::wire::{
    Body, ConnectRequest, ConnectResponse, Message, Reply, Request, Text, create_mode, op, open_acl,
    watch_mode,
};

use crate::checks::session_order::{Answered, is_ephemeral, is_write};
use crate::checks::watches::Watches;
use crate::network::{ConnId, Port};
use crate::server::line;
use crate::world::{Event, MS, World};

/// A client with a session, or on its way to one. It asks for several things at a time, on one connection.
pub(crate) struct Client {
    number: usize,
    rng: fastrand::Rng,
    session: i64,
    password: Vec<u8>,
    timeout_ms: u64,
    conn: Option<ConnId>,
    state: State,
    input: Vec<u8>,
    asked: VecDeque<Asked>,
    xid: i32,
    /// The last zxid that a reply had.
    seen: Zxid,
    watches: Watches,
    is_renewing: bool,
    last_sent: u64,
    last_heard: u64,
    created: u64,
    /// Whether it will do with reads where there is no leader, and whether its server has said that it must.
    takes_read_only: bool,
    is_read_only: bool,
    habit: Habit,
    /// The only server that it goes to, if there is one.
    home: Option<usize>,
}

/// What a client asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Habit {
    Everything,
    /// Syncs, each with a read behind it.
    Syncs,
    /// Nothing new.
    Nothing,
    /// It is not there.
    Gone,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Away,
    Dialling,
    Handshake,
    Open,
}

struct Asked {
    xid: i32,
    request: Request,
    sent: u64,
    /// How much of the history anybody had been shown.
    frontier: usize,
}

impl Client {
    pub(crate) fn new(number: usize, seed: u64) -> Client {
        let mut rng = fastrand::Rng::with_seed(seed);
        Client {
            number,
            timeout_ms: rng.u64(1000..4000),
            takes_read_only: rng.bool(),
            is_read_only: false,
            rng,
            session: 0,
            password: vec![0; 16],
            conn: None,
            state: State::Away,
            input: Vec::new(),
            asked: VecDeque::new(),
            xid: 0,
            seen: Zxid::ZERO,
            watches: Watches::default(),
            is_renewing: false,
            last_sent: 0,
            last_heard: 0,
            created: 0,
            habit: Habit::Everything,
            home: None,
        }
    }

    pub(crate) fn name(&self) -> String {
        format!("client {}", self.number)
    }

    pub(crate) fn session(&self) -> i64 {
        self.session
    }

    /// Whether it has an open session.
    pub(crate) fn has_session(&self) -> bool {
        self.state == State::Open
    }

    /// Whether it has an open session and an answer to everything.
    pub(crate) fn is_content(&self) -> bool {
        self.state == State::Open && self.asked.is_empty()
    }

    /// How long its session lasts without it, in nanoseconds.
    pub(crate) fn timeout(&self) -> u64 {
        self.timeout_ms * MS
    }

    /// From the next connection on it will do with reads where there is no leader.
    pub(crate) fn take_read_only(&mut self) {
        self.takes_read_only = true;
    }

    pub(crate) fn take_up(&mut self, habit: Habit) {
        self.habit = habit;
    }

    /// The connection is of no use any more: what was asked for may have happened or not.
    fn leave(&mut self) {
        self.conn = None;
        self.state = State::Away;
        self.input.clear();
        self.asked.clear();
        self.is_renewing = false;
        self.watches.on_disconnected();
    }

    fn lose_session(&mut self) {
        (self.session, self.password) = (0, vec![0; 16]);
        self.watches = Watches::default();
    }

    fn ask(&mut self, request: Request, now: u64, frontier: usize) -> Vec<u8> {
        let xid = match &request {
            Request::Ping => PING_XID,
            Request::SetWatches2 { .. } => SET_WATCHES_XID,
            _ => {
                self.xid += 1;
                self.xid
            }
        };
        let bytes = framed(&request.encode(xid));
        self.asked.push_back(Asked { xid, request, sent: now, frontier });
        self.last_sent = now;
        bytes
    }

    /// What it would like to know or to have done next.
    fn wish(&mut self) -> Vec<Request> {
        let register = format!("/r{}", self.rng.u32(0..3));
        let synced =
            |register: String| vec![Request::sync(register.clone()), Request::get_data(register, false)];
        if self.habit == Habit::Syncs {
            return synced(register);
        }
        let child = format!("/d/x{}", self.rng.u32(0..5));
        let parent = ["/d", "/e", "/q"][self.rng.usize(0..3)].to_owned();
        let watch = self.rng.u8(0..3) == 0;
        self.created += 1;
        let value = format!("{}-{}", self.number, self.created).into_bytes();
        let version = if self.rng.bool() { -1 } else { self.rng.i32(0..8) };
        let own = format!("/e/{}-{}", self.number, self.rng.u32(0..4));
        let create2 = |path: String, data: &[u8], flags| Request::Create {
            op: op::CREATE2,
            path: path.into(),
            data: data.into(),
            acl: open_acl(),
            flags,
        };
        let one = match self.rng.u8(0..100) {
            0..4 => Request::create(parent, &value, create_mode::PERSISTENT),
            4..9 => Request::create(register, &value, create_mode::PERSISTENT),
            9..25 => Request::set_data(register, &value, version),
            25..33 => create2(child, &value, create_mode::PERSISTENT),
            33..40 => Request::delete(child, -1),
            40..44 => Request::create("/q/n-", &value, create_mode::PERSISTENT_SEQUENTIAL),
            44..47 => create2("/e/s-".into(), &value, create_mode::EPHEMERAL_SEQUENTIAL),
            47..54 => Request::create(own, &value, create_mode::EPHEMERAL),
            54..57 => Request::delete(own, -1),
            57..62 => Request::Multi(vec![
                Request::Check { path: register.clone().into(), version },
                Request::set_data(register, &value, -1),
                create2(child, &value, create_mode::PERSISTENT),
            ]),
            62..72 => Request::get_data(register, watch),
            72..76 => Request::exists(child, watch),
            76..80 => Request::GetChildren { path: parent.into(), watch },
            80..84 => Request::GetChildren2 { path: parent.into(), watch },
            84..86 => Request::MultiRead(vec![
                Request::get_data(register, false),
                Request::GetChildren { path: parent.into(), watch: false },
            ]),
            86..88 => {
                let mode = [watch_mode::PERSISTENT, watch_mode::PERSISTENT_RECURSIVE][self.rng.usize(0..2)];
                Request::AddWatch { path: parent.into(), mode }
            }
            _ => return synced(register),
        };
        vec![one]
    }

    /// One server joins, or becomes something else, or leaves; or one joins while another leaves; or all are listed anew.
    fn reconfig(&mut self, servers: usize) -> Request {
        let (one, other, what) = (self.rng.usize(0..servers), self.rng.usize(0..servers), self.rng.u8(0..4));
        let nobody = || Text::from_bytes(None);
        if what == 3 {
            let roles = [Some("participant"), Some("participant"), Some("observer"), None];
            let others = (0..servers).filter(|server| *server != one);
            let others = others.filter_map(|server| Some(line(server, (*self.rng.choice(&roles)?)?)));
            let lines: Vec<String> = others.chain([line(one, "participant")]).collect();
            let members = lines.join(",").as_str().into();
            return Request::Reconfig { joining: nobody(), leaving: nobody(), members, config: -1 };
        }
        let role = if self.rng.u8(0..3) == 0 { "observer" } else { "participant" };
        let (joins, leaves) = (what != 0, what != 1);
        let joining = if joins { line(one, role).as_str().into() } else { nobody() };
        let leaving = if leaves { other.to_string().as_str().into() } else { nobody() };
        Request::Reconfig { joining, leaving, members: nobody(), config: -1 }
    }
}

impl World {
    /// A client does the next thing.
    pub(crate) fn on_client(&mut self, number: usize) {
        let (now, host, servers) = (self.now, self.servers.len() + number, self.servers.len());
        let frontier = self.checks.sync.frontier();
        let is_restless = self.is_troubled && self.setup.are_restless;
        let reconfigures = self.is_troubled && self.setup.reconfigs;
        let client = &mut self.clients[number];
        let mut delay = client.rng.u64(5..60) * MS;
        match client.state {
            State::Away if client.habit == Habit::Gone => {}
            State::Away => {
                let anywhere = client.rng.usize(0..servers);
                let server = client.home.unwrap_or(anywhere);
                client.state = State::Dialling;
                (client.last_sent, client.last_heard) = (now, now);
                let conn = self.dial(Port::Client, (host, 0), server);
                self.clients[number].conn = Some(conn);
            }
            State::Dialling | State::Handshake => {
                if now - client.last_heard > HANDSHAKE_MS_MAX * MS {
                    self.leave_server(number);
                }
            }
            State::Open => {
                let silent_ms = (now - client.last_heard) / MS;
                if silent_ms > client.timeout_ms * 2 / 3 {
                    self.leave_server(number);
                } else if is_restless && client.rng.u32(0..250) == 0 {
                    self.trace.note(now, format_args!("client {number} moves"));
                    self.checks.counts.moves += 1;
                    self.leave_server(number);
                } else if is_restless && client.rng.u32(0..400) == 0 {
                    self.trace.note(now, format_args!("client {number} is away for long"));
                    delay = client.timeout_ms * 3 / 2 * MS;
                    self.leave_server(number);
                } else if client.habit != Habit::Nothing && client.asked.len() < ASKED_MAX {
                    let wishes = if is_restless && client.rng.u32(0..300) == 0 {
                        vec![Request::CloseSession]
                    } else if reconfigures && client.rng.u32(0..25) == 0 {
                        vec![client.reconfig(servers)]
                    } else {
                        client.wish()
                    };
                    self.send_wishes(number, wishes, frontier);
                } else if now - client.last_sent > client.timeout_ms / 4 * MS {
                    self.send_wishes(number, vec![Request::Ping], frontier);
                }
            }
        }
        self.after(delay, Event::Client(number));
    }

    fn send_wishes(&mut self, number: usize, wishes: Vec<Request>, frontier: usize) {
        let now = self.now;
        let client = &mut self.clients[number];
        let Some(conn) = client.conn else { return };
        let is_end = wishes.contains(&Request::CloseSession);
        let session = SessionId(client.session);
        if wishes.iter().any(is_ephemeral) {
            self.checks.sessions.on_ephemeral_asked(session);
        }
        let bytes: Vec<u8> =
            wishes.into_iter().flat_map(|request| client.ask(request, now, frontier)).collect();
        if is_end {
            self.checks.ephemerals.on_close_asked(session);
        }
        self.send_bytes(conn, 1, &bytes);
    }

    /// A client's process ends.
    pub(crate) fn end_client(&mut self, number: usize) {
        self.clients[number].take_up(Habit::Gone);
        self.leave_server(number);
    }

    /// Has a client with a session ask for something.
    pub(crate) fn ask(&mut self, number: usize, request: Request) {
        let frontier = self.checks.sync.frontier();
        self.send_wishes(number, vec![request], frontier);
    }

    /// Has a client go to this server, and to no other.
    pub(crate) fn settle_at(&mut self, number: usize, server: usize) {
        self.clients[number].home = Some(server);
        self.leave_server(number);
    }

    fn leave_server(&mut self, number: usize) {
        if let Some(conn) = self.clients[number].conn {
            self.hang_up(conn, 0);
        }
        self.clients[number].leave();
    }

    pub(crate) fn on_client_connected(&mut self, number: usize, conn: ConnId) {
        let client = &mut self.clients[number];
        if client.conn != Some(conn) {
            return self.hang_up(conn, 0);
        }
        client.state = State::Handshake;
        let request = ConnectRequest {
            last_zxid_seen: client.seen.0,
            timeout_ms: client.timeout_ms as i32,
            session: client.session,
            password: Some(client.password.clone()),
            read_only: Some(client.takes_read_only),
            ..ConnectRequest::default()
        };
        self.send_bytes(conn, 1, &framed(&request.encode()));
    }

    pub(crate) fn on_client_closed(&mut self, number: usize, conn: ConnId) {
        if self.clients[number].conn == Some(conn) {
            self.clients[number].leave();
        }
    }

    pub(crate) fn on_client_bytes(&mut self, number: usize, conn: ConnId, bytes: &[u8]) {
        let now = self.now;
        let client = &mut self.clients[number];
        if client.conn != Some(conn) {
            return;
        }
        client.input.extend_from_slice(bytes);
        client.last_heard = now;
        while let Some(payload) = take_frame(&mut self.clients[number].input) {
            match self.clients[number].state {
                State::Handshake => self.on_handshake(number, &payload),
                State::Open => self.on_frame(number, &payload),
                State::Away | State::Dialling => return,
            }
        }
    }

    fn on_handshake(&mut self, number: usize, payload: &[u8]) {
        let frontier = self.checks.sync.frontier();
        let Ok(response) = ConnectResponse::decode(payload) else {
            return self.blame(crate::deliver::PROTOCOL, format!("client {number} gets no connect response"));
        };
        let client = &mut self.clients[number];
        if !response.granted() {
            self.trace
                .note(self.now, format_args!("client {number} has lost its session {:x}", client.session));
            client.lose_session();
            self.checks.counts.sessions_lost += 1;
            return self.leave_server(number);
        }
        client.is_read_only = response.read_only == Some(true);
        if client.is_read_only && !client.takes_read_only {
            let text = format!("client {number} must do with reads, and has not said that it will");
            return self.blame(crate::checks::read_only::PROMISE, text);
        }
        let is_new = client.session == 0;
        client.session = response.session;
        client.password = response.password.unwrap_or_default();
        client.state = State::Open;
        self.checks.counts.sessions += u64::from(is_new);
        let (session, conn) = (client.session, client.conn);
        self.trace.note(self.now, format_args!("client {number} has session {session:x} on {conn:?}"));
        if is_new {
            let verdict = self.checks.sessions.on_given(SessionId(session), number);
            self.check(verdict);
        }
        let client = &mut self.clients[number];
        if !client.watches.is_empty() {
            client.is_renewing = true;
            let request = self.renewal(number);
            self.send_wishes(number, vec![request], frontier);
        }
    }

    /// The request that tells a server of a client's watches.
    fn renewal(&self, number: usize) -> Request {
        let Client { watches, seen, .. } = &self.clients[number];
        let list = |paths: &mut dyn Iterator<Item = &String>| Some(paths.map(Text::from).collect());
        let is_there = |path: &&String| self.checks.history.node(path, watches.checked()).is_some();
        Request::SetWatches2 {
            relative_zxid: seen.0,
            data: list(&mut watches.data.iter().filter(is_there)),
            exist: list(&mut watches.data.iter().filter(|path| !is_there(path))),
            child: list(&mut watches.child.iter()),
            persistent: list(&mut watches.persistent.iter()),
            recursive: list(&mut watches.recursive.iter()),
        }
    }

    fn on_frame(&mut self, number: usize, payload: &[u8]) {
        let client = &mut self.clients[number];
        let opcode = client.asked.front().map_or(op::PING, |asked| asked.request.opcode());
        match Message::decode(payload, opcode) {
            Message::Event(event) => {
                self.checks.counts.events += 1;
                client.watches.on_event(&event, client.is_renewing);
            }
            Message::Reply(reply) => self.on_reply(number, &reply),
            Message::Junk(bytes) => self.blame(
                crate::deliver::PROTOCOL,
                format!("client {number} gets {} bytes of junk", bytes.len()),
            ),
        }
    }

    fn on_reply(&mut self, number: usize, reply: &Reply) {
        let client = &mut self.clients[number];
        let whose = client.name();
        let Some(asked) = client.asked.pop_front().filter(|asked| asked.xid == reply.xid) else {
            let text = format!("{whose} gets {reply:?}, which is not what it asked for next");
            return self.blame(crate::checks::session_order::PROMISE, text);
        };
        // A ping's answer says how far the server is, and no more.
        let zxid = Zxid(reply.zxid);
        let history = &self.checks.history;
        let (len, seen) = (history.len_at(zxid), history.len_at(client.seen));
        client.watches.catch_up(seen);
        let is_in_history = match client.is_read_only {
            true => self.checks.read_only.check(&asked.request, reply, history, &whose),
            false => self.checks.read_only.check_other(reply, &whose).map(|()| true),
        };
        let is_in_history = match is_in_history {
            Ok(is_in_history) => is_in_history,
            Err(failure) => return self.check(Err(failure)),
        };
        if client.is_read_only {
            self.checks.counts.read_only += 1;
        }
        let answered = Answered {
            whose: &whose,
            session: client.session,
            request: &asked.request,
            reply,
            seen,
            has_only_local: self.checks.sessions.are_only_local(),
        };
        let verdict = match is_in_history {
            true => answered.check(&self.checks.history),
            false => answered.check_age(&self.checks.history),
        };
        if verdict.is_err() {
            return self.check(verdict);
        }
        let is_renewal = matches!(asked.request, Request::SetWatches2 { .. });
        let watches = &mut client.watches;
        let verdict = match is_renewal {
            true => watches.on_renewed(&self.checks.history, len, &whose),
            false => watches.on_shown(&self.checks.history, len, &whose),
        };
        if verdict.is_err() {
            return self.check(verdict);
        }
        client.is_renewing &= !is_renewal;
        client.seen = client.seen.max(zxid);
        watch(&mut client.watches, &asked.request, reply);
        let checks = &mut self.checks;
        checks.sync.on_shown(len);
        match &asked.request {
            Request::Sync { .. } if reply.err == 0 => {
                checks.counts.syncs += 1;
                let verdict = checks.sync.on_answer(&checks.history, asked.frontier, zxid, &whose);
                self.check(verdict);
            }
            Request::CloseSession if reply.err == 0 => {
                client.lose_session();
                self.leave_server(number);
            }
            request if is_write(request) => {
                // For want of room a server refuses before it asks others, who may follow another leader by now. Seed
                // 1023596 of `reconfigured_forever` at 9defafd took that for a session that had been heard of.
                if reply.err != Code::SystemError.number() {
                    checks.ephemerals.on_heard(SessionId(client.session), asked.sent);
                }
                if reply.err == 0 {
                    checks.counts.writes += 1;
                    checks.acknowledged.on_reply(zxid);
                }
            }
            _ => checks.counts.reads += 1,
        }
    }
}

/// The watch that a request has set if it was answered so.
fn watch(watches: &mut Watches, request: &Request, reply: &Reply) {
    let is_there = reply.err == 0;
    match (request, &reply.body) {
        (Request::GetData { path, watch: true }, _) if is_there => {
            watches.data.insert(path.lossy());
        }
        (Request::Exists { path, watch: true }, _) => {
            watches.data.insert(path.lossy());
        }
        (
            Request::GetChildren { path, watch: true } | Request::GetChildren2 { path, watch: true },
            Body::Children(_) | Body::ChildrenStat(..),
        ) => {
            watches.child.insert(path.lossy());
        }
        (Request::AddWatch { path, mode }, _) if is_there => {
            match *mode {
                watch_mode::PERSISTENT => watches.persistent.insert(path.lossy()),
                _ => watches.recursive.insert(path.lossy()),
            };
        }
        _ => {}
    }
}

fn framed(payload: &[u8]) -> Vec<u8> {
    [&(payload.len() as u32).to_be_bytes(), payload].concat()
}

fn take_frame(input: &mut Vec<u8>) -> Option<Vec<u8>> {
    let len = u32::from_be_bytes(*input.first_chunk::<4>()?) as usize;
    let payload = input.get(4..4 + len)?.to_vec();
    input.drain(..4 + len);
    Some(payload)
}

const PING_XID: i32 = -2;
const SET_WATCHES_XID: i32 = -8;
const ASKED_MAX: usize = 6;
const HANDSHAKE_MS_MAX: u64 = 1200;
