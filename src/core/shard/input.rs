//! From bytes to requests, and from requests to where they are answered.

use std::sync::Arc;

use super::conn::{Pending, Stage, State};
use super::effect::{CloseReason, Effect, Intake, Next};
use super::framing::{LENGTH_LEN, Split, split};
use super::line::Asked;
use super::{Shard, large_len, reply};
use crate::acl::authenticate;
use crate::config::LargeRequests;
use crate::error::Code;
use crate::flow::{ConnId, Origin, Submission, Submitted};
use crate::id::Zxid;
use crate::jute::{DecodeError, Reader};
use crate::ops;
use crate::proto::{AuthPacket, Identity, OpCode, RequestHeader};
use crate::time::Instant;
use crate::tree::LOOK_AHEAD;

impl Shard {
    /// Takes a connection's input: the rest of the last call's bytes, and what came since. Handles as many
    /// whole frames as it may.
    pub fn on_input(&mut self, id: ConnId, bytes: &[u8], now: Instant) -> Intake {
        let mut consumed = 0;
        self.is_turn_spent = false;
        for number in 0..FRAMES_PER_TURN_MAX {
            let state = self.conns.get(id).map_or(State::Closed, |conn| conn.state);
            if matches!(state, State::AwaitAnswer | State::Ending | State::Closed) {
                return Intake { consumed: bytes.len(), next: Next::Nothing };
            }
            if self.must_wait(id) {
                return self.pause(id, consumed);
            }
            if self.is_turn_spent {
                break;
            }
            let is_first = state == State::AwaitConnect;
            if number % LOOK_AHEAD == 0 && !is_first {
                self.look_ahead(&bytes[consumed..]);
            }
            match split(&bytes[consumed..], is_first, self.options.jute_max_buffer) {
                Split::Partial(wanted) => {
                    if self.exceeds_large(wanted.saturating_sub(LENGTH_LEN)) {
                        self.refuse_large(id, wanted - LENGTH_LEN);
                        continue;
                    }
                    return Intake { consumed, next: Next::Bytes(wanted) };
                }
                Split::Frame(payload) if self.exceeds_large(payload.len()) => {
                    self.refuse_large(id, payload.len());
                }
                Split::Frame(payload) => {
                    consumed += LENGTH_LEN + payload.len();
                    self.on_frame(id, payload, now);
                }
                Split::BadLength(len) => {
                    let max = self.options.jute_max_buffer;
                    self.close(id, CloseReason::BadLength { len, max });
                }
                Split::Word(word) => self.on_word(id, word),
                Split::Telnet => self.close(id, CloseReason::TelnetInterrupt),
            }
        }
        let intake = self.pause(id, consumed);
        self.resume_if_free(id);
        intake
    }

    /// Looks ahead to what the next frames read, if there are several.
    fn look_ahead(&self, bytes: &[u8]) {
        let mut rest = bytes;
        let frames = std::iter::from_fn(|| match split(rest, false, self.options.jute_max_buffer) {
            Split::Frame(payload) => {
                rest = &rest[LENGTH_LEN + payload.len()..];
                Some(payload)
            }
            _ => None,
        });
        let mut frames = frames.take(LOOK_AHEAD).peekable();
        if frames.next_if(|payload| LENGTH_LEN + payload.len() == bytes.len()).is_none() {
            self.tree.look_ahead(frames.filter_map(path_ahead));
        }
    }

    /// Whether a frame of this length is a large one too many.
    fn exceeds_large(&self, len: usize) -> bool {
        let exceeds = |large: LargeRequests| {
            len > large.threshold && self.large_len.saturating_add(len) > large.bytes_max
        };
        self.options.large_requests.is_some_and(exceeds)
    }

    fn refuse_large(&mut self, id: ConnId, len: usize) {
        self.stats.large_requests_rejected += 1;
        self.close(id, CloseReason::LargeRequest { len, others: self.large_len });
    }

    fn pause(&mut self, id: ConnId, consumed: usize) -> Intake {
        if let Some(conn) = self.conns.get_mut(id) {
            conn.is_paused = true;
        }
        Intake { consumed, next: Next::Resume }
    }

    fn on_word(&mut self, id: ConnId, word: [u8; 4]) {
        let Some(conn) = self.conns.get_mut(id) else { return };
        conn.state = State::AwaitAnswer;
        conn.stats.received += 1;
        self.stats.received += 1;
        self.effects.push(Effect::Word(id, word));
    }

    fn on_frame(&mut self, id: ConnId, payload: &[u8], now: Instant) {
        let Some(conn) = self.conns.get_mut(id) else { return };
        conn.stats.received += 1;
        self.stats.received += 1;
        self.stats.received_bytes += (LENGTH_LEN + payload.len()) as u64;
        if conn.state == State::AwaitConnect {
            return self.on_connect(id, payload, now);
        }
        conn.last_heard = now;
        if !conn.is_heard {
            conn.is_heard = true;
            self.heard.push(conn.index());
        }
        let mut reader = Reader::new(payload);
        match RequestHeader::decode(&mut reader) {
            Ok(header) => self.on_request(id, header, reader.rest(), now),
            Err(_) => self.close(id, CloseReason::ShortFrame { len: payload.len() }),
        }
    }

    fn on_request(&mut self, id: ConnId, header: RequestHeader, record: &[u8], now: Instant) {
        let Some(conn) = self.conns.get_mut(id) else { return };
        let RequestHeader { xid, op: number } = header;
        let op = OpCode::from_number(number);
        match op {
            Some(OpCode::Auth) => return self.on_auth(id, xid, record),
            Some(OpCode::Sasl) => return self.on_sasl(id, xid, record),
            _ if !self.options.policy.admits(&conn.identities) => {
                reply::header(&mut conn.out, xid, Zxid::ZERO, Code::SessionClosedRequireSaslAuth);
                self.count_unordered(id);
                return self.close(id, CloseReason::AuthRequired);
            }
            _ => {}
        }
        if is_last(number) {
            conn.state = State::Ending;
        }
        if self.line.is_some() {
            let identities = Arc::clone(&conn.identities);
            if self.must_line_up() {
                let what = Asked::Operation { xid, op: number, record: record.into(), identities };
                return self.line_up(id, what, now);
            }
        }
        self.proceed(id, Request { xid, op: number, record, identities: None, received: now }, now);
    }

    /// Takes a request into process: hands it to the commit role, answers it, or has it wait for those before it.
    pub(super) fn proceed(&mut self, id: ConnId, request: Request<'_>, now: Instant) {
        let Some(conn) = self.conns.get_mut(id) else { return };
        let Request { xid, op: number, record, identities, received } = request;
        let op = OpCode::from_number(number);
        let len = RequestHeader::LEN + record.len();
        match op {
            Some(op) if op.is_ordered() && op != OpCode::CreateSession => {
                let identities = identities.unwrap_or_else(|| Arc::clone(&conn.identities));
                let what = Submission::Request { xid, op, record: self.records.push(record), identities };
                let pending = Pending { xid, op: number, received, len, stage: Stage::Ordered };
                self.submit_pending(id, pending, what);
            }
            _ if conn.pending.is_empty() => self.answer(id, xid, number, record, received, now),
            _ => {
                conn.has_long_waiting |= op.is_some_and(takes_long);
                let stage = Stage::Waiting(record.into());
                conn.push_pending(Pending { xid, op: number, received, len, stage });
                self.outstanding += 1;
                self.large_len += large_len(&self.options, len);
            }
        }
    }

    /// Hands `what` to the commit role; `pending` waits for what becomes of it.
    pub(super) fn submit_pending(&mut self, id: ConnId, pending: Pending, what: Submission) {
        let Some(conn) = self.conns.get_mut(id) else { return };
        let session = conn.session;
        self.large_len += large_len(&self.options, pending.len);
        conn.push_pending(pending);
        self.outstanding += 1;
        self.submitted.push(Submitted { origin: Origin { shard: self.id, conn: id }, session, what });
    }

    /// Auth packets are answered at once, ahead of what is pending (client-protocol §9).
    fn on_auth(&mut self, id: ConnId, xid: i32, record: &[u8]) {
        let Some(conn) = self.conns.get_mut(id) else { return };
        let packet = match AuthPacket::decode(&mut Reader::new(record)) {
            Ok(packet) => packet,
            Err(error) => return self.close(id, CloseReason::BadAuthPacket { op: "auth", error }),
        };
        match authenticate(packet.scheme.as_deref(), packet.auth, &self.options.policy) {
            Ok(proven) => {
                let new = proven.into_iter().filter(|identity| !conn.identities.contains(identity));
                let identities: Arc<[_]> = conn.identities.iter().cloned().chain(new).collect();
                let len = identities.iter().map(|identity| identity.id.len()).sum::<usize>();
                if identities.len() > IDENTITIES_MAX || len > IDENTITIES_LEN_MAX {
                    let (max, len_max) = (IDENTITIES_MAX, IDENTITIES_LEN_MAX);
                    return self.close(id, CloseReason::TooManyIdentities { max, len_max });
                }
                conn.identities = identities;
                reply::header(&mut conn.out, xid, Zxid::ZERO, Code::Ok);
                self.count_unordered(id);
            }
            Err(code) => {
                reply::header(&mut conn.out, xid, Zxid::ZERO, code);
                self.count_unordered(id);
                let scheme = packet.scheme.unwrap_or_default().into();
                self.close(id, CloseReason::AuthFailed { scheme });
            }
        }
    }

    /// Without a login section for servers a SASL token is answered with a null one and proves nothing
    /// (client-protocol §10).
    fn on_sasl(&mut self, id: ConnId, xid: i32, record: &[u8]) {
        let Some(conn) = self.conns.get_mut(id) else { return };
        let token = Reader::new(record).buffer();
        match token.and_then(|token| token.ok_or(DecodeError::UnexpectedNull { offset: 0 })) {
            Ok(_) => {}
            Err(error) => return self.close(id, CloseReason::BadAuthPacket { op: "sasl", error }),
        }
        reply::whole(&mut conn.out, xid, Zxid::ZERO, |out| {
            out.buffer(None);
            Ok(())
        });
        self.count_unordered(id);
    }

    /// Counts a reply that has no place in the order of requests, as ZooKeeper does: without a latency.
    fn count_unordered(&mut self, id: ConnId) {
        let Some(conn) = self.conns.get_mut(id) else { return };
        conn.stats.sent += 1;
        self.stats.sent += 1;
        conn.flush(&mut self.effects);
    }
}

/// A request that is taken into process.
pub(super) struct Request<'a> {
    pub(super) xid: i32,
    /// The operation's number, which need not be a known one.
    pub(super) op: i32,
    pub(super) record: &'a [u8],
    /// Who the connection was when it came, if it waited since.
    pub(super) identities: Option<Arc<[Identity]>>,
    pub(super) received: Instant,
}

/// What a request will look up, if that is a path that it begins with, and nobody else looks it up.
fn path_ahead(payload: &[u8]) -> Option<&[u8]> {
    let mut reader = Reader::new(payload);
    let op = OpCode::from_number(RequestHeader::decode(&mut reader).ok()?.op)?;
    let is_looked_up_here = matches!(
        op,
        OpCode::GetData | OpCode::Exists | OpCode::GetChildren | OpCode::GetChildren2 | OpCode::GetAcl
    );
    is_looked_up_here.then(|| ops::path_ahead(op, reader.rest()))?
}

/// Whether a connection takes no request after this one: it closes the session, or is none that clients
/// may send, which closes the connection (client-protocol §5).
fn is_last(number: i32) -> bool {
    number == OpCode::CloseSession.number() || !is_known(number)
}

/// Whether this is the number of an operation that clients may ask for.
pub(super) fn is_known(number: i32) -> bool {
    OpCode::from_number(number)
        .is_some_and(|op| !matches!(op, OpCode::Check | OpCode::DeleteContainer | OpCode::CreateSession))
}

/// Whether an answer takes time in proportion to the tree, or to large parts of it, however short it is.
pub(super) fn takes_long(op: OpCode) -> bool {
    matches!(op, OpCode::GetAllChildrenNumber | OpCode::GetEphemerals | OpCode::MultiRead)
}

/// How many frames one call handles before other connections get their turn.
const FRAMES_PER_TURN_MAX: usize = 128;

/// How many identities one connection may gather. Each is compared with each entry of an ACL.
const IDENTITIES_MAX: usize = 100;
/// The length of them all: requests on their way hold on to what the connection had when it sent them.
const IDENTITIES_LEN_MAX: usize = 64 << 10;
