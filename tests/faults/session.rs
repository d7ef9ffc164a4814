use std::net::SocketAddr;
use std::time::{Duration, Instant};

use ringkeeper_kit::wire::{ConnectRequest, ConnectResponse, Message, Received, Reply, Request, Wire};

/// A session that moves between servers as a client's does, one request at a time.
pub(crate) struct Session {
    wire: Option<Wire>,
    granted: Option<ConnectResponse>,
    last_zxid: i64,
    next_xid: i32,
    heard: Instant,
}

/// How an attempt to connect ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Connected {
    /// The session is connected.
    Yes,
    /// No server was there, or it did not serve.
    No,
    /// The session has expired.
    Expired,
}

impl Session {
    pub(crate) fn new() -> Session {
        Session { wire: None, granted: None, last_zxid: 0, next_xid: 1, heard: Instant::now() }
    }

    /// Connects, with the session there is or a new one.
    pub(crate) fn connect(&mut self, server: SocketAddr) -> Connected {
        self.wire = None;
        let fresh = ConnectRequest { timeout_ms: TIMEOUT.as_millis() as i32, ..ConnectRequest::default() };
        let request = self.granted.as_ref().map_or(fresh, |granted| ConnectRequest {
            last_zxid_seen: self.last_zxid,
            ..ConnectRequest::again(granted)
        });
        let Ok(mut wire) = Wire::dial(server) else { return Connected::No };
        let sent = Instant::now();
        match wire.handshake(&request, HANDSHAKE_WAIT) {
            Ok(Some(response)) if response.granted() => {
                self.heard = sent;
                (self.wire, self.granted) = (Some(wire), Some(response));
                Connected::Yes
            }
            Ok(Some(_)) => Connected::Expired,
            Ok(None) | Err(_) => Connected::No,
        }
    }

    pub(crate) fn is_connected(&self) -> bool {
        self.wire.is_some()
    }

    /// Its id, 0 before it was ever connected.
    pub(crate) fn id(&self) -> i64 {
        self.granted.as_ref().map_or(0, |granted| granted.session)
    }

    /// How long it lives without a connection.
    pub(crate) fn timeout(&self) -> Duration {
        Duration::from_millis(self.granted.as_ref().map_or(0, |granted| granted.timeout_ms) as u64)
    }

    /// A server has heard of it at this time or later: what was answered last was sent then.
    pub(crate) fn heard(&self) -> Instant {
        self.heard
    }

    /// The reply to a request. If none comes, the connection is given up, and what became of the request is
    /// unknown.
    pub(crate) fn call(&mut self, request: &Request) -> Option<Reply> {
        let sent = Instant::now();
        let reply = self.try_call(request);
        match &reply {
            Some(reply) => {
                self.heard = sent;
                self.last_zxid = self.last_zxid.max(reply.zxid);
            }
            None => self.wire = None,
        }
        reply
    }

    /// Drops the connection.
    pub(crate) fn hang_up(&mut self) {
        self.wire = None;
    }

    fn try_call(&mut self, request: &Request) -> Option<Reply> {
        let wire = self.wire.as_mut()?;
        let xid = self.next_xid;
        self.next_xid += 1;
        wire.send_frame(&request.encode(xid)).ok()?;
        match wire.receive(REPLY_WAIT).ok()? {
            Received::Frame(payload) => match Message::decode(&payload, request.opcode()) {
                Message::Reply(reply) => {
                    assert_eq!(reply.xid, xid, "a reply to another request came");
                    Some(reply)
                }
                other => panic!("nothing is watched, and this came: {other:?}"),
            },
            Received::Closed | Received::Silence => None,
        }
    }
}

/// What clients ask for: long enough to outlive a change of leader.
const TIMEOUT: Duration = Duration::from_secs(10);
const HANDSHAKE_WAIT: Duration = Duration::from_secs(1);
const REPLY_WAIT: Duration = Duration::from_secs(4);
