//! How requests come into the line and out of it.

use super::conn::{Pending, Stage};
use super::input::{Request, takes_long};
use super::line::{Asked, Line, Next, Ready, Waiting};
use super::stats::Sent;
use super::{CloseReason, Shard, large_len, reply};
use crate::error::Code;
use crate::flow::{ConnId, Origin, Submission, Submitted};
use crate::id::SessionId;
use crate::proto::OpCode;
use crate::time::Instant;

impl Shard {
    /// How many requests have no reply and are not in line.
    pub(super) fn in_process(&self) -> usize {
        self.outstanding - self.line.as_ref().map_or(0, Line::len)
    }

    /// Whether a request that comes now must wait in line.
    pub(super) fn must_line_up(&mut self) -> bool {
        let Some(line) = &self.line else { return false };
        let is_open = line.is_open(self.in_process());
        if is_open {
            self.stats.line_time.record(0);
        }
        !is_open
    }

    /// Puts a request at the line's end.
    pub(super) fn line_up(&mut self, id: ConnId, what: Asked, now: Instant) {
        let (Some(conn), Some(line)) = (self.conns.get_mut(id), &mut self.line) else { return };
        let len = what.len();
        let large_len = large_len(&self.options, len);
        conn.in_line += 1;
        conn.pending_len += len;
        conn.has_long_waiting |= is_long(&what);
        self.outstanding += 1;
        self.large_len += large_len;
        line.push(Waiting {
            conn: id,
            session: conn.session,
            timeout_ms: conn.timeout_ms,
            since: now,
            what,
            large_len,
            is_orphan: false,
        });
        self.advance_line(now);
    }

    /// Lets those in line go on for whom there is room.
    pub(super) fn advance_line(&mut self, now: Instant) {
        let mut in_process = self.in_process();
        while let Some(line) = &mut self.line {
            match line.next(in_process, now, &mut self.stats) {
                Some(Next::Proceed(ready)) => self.leave_line(ready, now),
                Some(Next::Drop(request)) => self.drop_stale(request, now),
                None => return,
            }
            in_process = self.in_process();
        }
    }

    fn leave_line(&mut self, ready: Ready, now: Instant) {
        let Ready { request, is_late } = ready;
        self.count_out(&request);
        let Waiting { conn: id, session, timeout_ms, since, what, is_orphan, .. } = request;
        if is_orphan {
            return self.submit_orphan(id, session, timeout_ms, what, is_late);
        }
        match what {
            Asked::Session => self.connect(id, None, timeout_ms, since),
            Asked::Operation { xid, op, .. } if is_late => self.fail_late(id, xid, op, since, now),
            Asked::Operation { xid, op, record, identities } => {
                let identities = Some(identities);
                self.proceed(id, Request { xid, op, record: &record, identities, received: since }, now);
            }
        }
        self.resume_if_free(id);
    }

    /// Nobody waits for it, so its connection is closed: what comes after it must not overtake it.
    fn drop_stale(&mut self, request: Waiting, now: Instant) {
        self.count_out(&request);
        if !request.is_orphan {
            let waited_ms = now.since(request.since).as_millis() as u64;
            self.close(request.conn, CloseReason::StaleRequest { waited_ms });
        }
    }

    fn count_out(&mut self, request: &Waiting) {
        if request.is_orphan {
            return; // It went with its connection.
        }
        self.outstanding -= 1;
        self.large_len -= request.large_len;
        if let Some(conn) = self.conns.get_mut(request.conn) {
            conn.in_line -= 1;
            conn.pending_len -= request.what.len();
            conn.has_long_waiting &= !is_long(&request.what);
        }
    }

    /// Hands what changes state to the commit role, though its connection is closed.
    fn submit_orphan(
        &mut self,
        conn: ConnId,
        session: SessionId,
        timeout_ms: i32,
        what: Asked,
        is_late: bool,
    ) {
        let what = match what {
            Asked::Session => Submission::Connect { password: None, timeout_ms },
            Asked::Operation { xid, op, record, identities } => match OpCode::from_number(op) {
                Some(op) if op.is_ordered() && op != OpCode::CreateSession && !is_late => {
                    Submission::Request { xid, op, record: self.records.push(&record), identities }
                }
                _ => {
                    self.stats.stale_replies += u64::from(self.options.stale.closed_connection);
                    return;
                }
            },
        };
        self.submitted.push(Submitted { origin: Origin { shard: self.id, conn }, session, what });
    }

    /// Has a request fail that was in line for too long, in its place among the connection's.
    fn fail_late(&mut self, id: ConnId, xid: i32, op: i32, received: Instant, now: Instant) {
        let Some(conn) = self.conns.get_mut(id) else { return };
        if conn.pending.is_empty() {
            return self.answer_late(id, xid, op, received, now);
        }
        conn.push_pending(Pending { xid, op, received, len: 0, stage: Stage::Late });
        self.outstanding += 1;
    }

    /// Answers a request that was in line for too long.
    pub(super) fn answer_late(&mut self, id: ConnId, xid: i32, op: i32, received: Instant, now: Instant) {
        let zxid = self.tree.last_zxid();
        let Some(conn) = self.conns.get_mut(id) else { return };
        let len = reply::header(&mut conn.out, xid, zxid, Code::ThrottledOp);
        let sent = Sent { xid, op: OpCode::from_number(op), zxid, len, received, now };
        sent.count(&mut conn.stats, &mut self.stats);
        sent.count_if_stale(self.options.stale, conn.timeout_ms, &mut self.stats);
        conn.flush(&mut self.effects);
    }
}

fn is_long(what: &Asked) -> bool {
    matches!(what, Asked::Operation { op, .. } if OpCode::from_number(*op).is_some_and(takes_long))
}
