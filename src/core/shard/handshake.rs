//! The start of a connection (client-protocol §3).

use super::conn::{Pending, Stage, State};
use super::effect::CloseReason;
use super::line::Asked;
use super::reply;
use super::stats::Sent;
use super::{Service, Shard};
use crate::flow::{ConnId, Submission};
use crate::id::SessionId;
use crate::proto::{ConnectRequest, ConnectResponse, OpCode, Password};
use crate::time::Instant;

impl Shard {
    /// Looks at a connect request, and asks the commit role for the session.
    pub(super) fn on_connect(&mut self, id: ConnId, payload: &[u8], now: Instant) {
        if self.service == Service::Nobody {
            return self.close(id, CloseReason::NotServing);
        }
        let request = match ConnectRequest::decode(payload) {
            Ok(request) => request,
            Err(error) => return self.close(id, CloseReason::BadConnectRequest(error)),
        };
        let is_new = request.session == SessionId::NONE;
        if self.throttle.as_mut().is_some_and(|throttle| !throttle.admit(is_new, now)) {
            return self.close(id, CloseReason::Throttled);
        }
        if self.service == Service::ReadOnly && request.read_only != Some(true) {
            return self.close(id, CloseReason::NotReadOnlyClient);
        }
        let (seen, ours) = (request.last_zxid_seen, self.tree.last_zxid());
        if seen > ours {
            return self.close(id, CloseReason::ZxidAhead { seen, ours });
        }
        let Some(conn) = self.conns.get_mut(id) else { return };
        conn.state = State::AwaitSession { read_only: request.read_only };
        conn.session = request.session;
        conn.asks_for_new = is_new;
        let timeout_ms = request
            .timeout_ms
            .min(self.options.session_timeout_ms_max)
            .max(self.options.session_timeout_ms_min);
        conn.timeout_ms = timeout_ms;
        if is_new && self.must_line_up() {
            return self.line_up(id, Asked::Session, now);
        }
        let password = request.password.and_then(|password| password.try_into().ok());
        self.connect(id, password, timeout_ms, now);
    }

    /// Asks the commit role for a session.
    pub(super) fn connect(
        &mut self,
        id: ConnId,
        password: Option<Password>,
        timeout_ms: i32,
        received: Instant,
    ) {
        let (xid, op) = (CONNECT_XID, OpCode::CreateSession.number());
        let pending = Pending { xid, op, received, len: 0, stage: Stage::Ordered };
        self.submit_pending(id, pending, Submission::Connect { password, timeout_ms });
    }

    /// Answers the connect request that `pending` stands for.
    pub(super) fn respond(
        &mut self,
        id: ConnId,
        pending: &Pending,
        response: &ConnectResponse,
        now: Instant,
    ) {
        let zxid = self.tree.last_zxid();
        let Some(conn) = self.conns.get_mut(id) else { return };
        let len = reply::framed(&mut conn.out, |out| response.encode(out));
        let sent = Sent {
            xid: pending.xid,
            op: Some(OpCode::CreateSession),
            zxid,
            len,
            received: pending.received,
            now,
        };
        sent.count(&mut conn.stats, &mut self.stats);
        // That a client comes back to a session is no request to Java.
        if conn.asks_for_new {
            sent.count_if_stale(self.options.stale, conn.timeout_ms, &mut self.stats);
        }
        conn.flush(&mut self.effects);
    }
}

/// What stands for the xid of a connect request, which has none.
const CONNECT_XID: i32 = 0;
