//! What the commit role publishes.

use super::conn::{Pending, Stage, State};
use super::input::takes_long;
use super::stats::Sent;
use super::{CloseReason, Service, Shard, large_len, reply};
use crate::error::Code;
use crate::flow::{CommitBatch, ConnId, Outcome, Reply, STEPS_AHEAD, Step};
use crate::proto::{ConnectResponse, OpCode};
use crate::time::Instant;

impl Shard {
    /// Applies a batch whole: changes the tree, sends events, and replies to this shard's requests. Each
    /// reply is followed at once by the answers to the reads that waited behind its request.
    pub fn on_commit(&mut self, batch: &CommitBatch, now: Instant) {
        for steps in batch.steps.chunks(STEPS_AHEAD) {
            self.tree.look_ahead_to_steps(steps.iter().filter_map(Step::delta));
            steps.iter().for_each(|step| self.on_step(step, now));
        }
        self.advance_line(now);
    }

    fn on_step(&mut self, step: &Step, now: Instant) {
        match step {
            Step::Zxid(zxid) => self.tree.advance(*zxid),
            Step::Delta(delta, place) => {
                let zxid = self.tree.last_zxid();
                self.tree.apply_at(zxid, delta, *place);
                self.tell_of(delta, zxid);
            }
            Step::Reply(reply) if reply.to.shard == self.id => self.on_reply(reply, now),
            Step::Close(origin) if origin.shard == self.id => self.on_session_gone(origin.conn),
            Step::Reply(_) | Step::Close(_) => {}
        }
    }

    fn on_reply(&mut self, reply: &Reply, now: Instant) {
        let id = reply.to.conn;
        let Some(conn) = self.conns.get_mut(id).filter(|conn| conn.state != State::Closed) else {
            let is_request =
                !matches!(reply.outcome, Outcome::Connected { .. } | Outcome::Refused | Outcome::Closed);
            self.stats.stale_replies += u64::from(is_request && self.options.stale.closed_connection);
            return; // The client did not wait.
        };
        if conn.out.len() > self.options.output_len_max {
            return self.close_slow_reader(id);
        }
        let Some(pending) = conn.pop_pending() else { return };
        debug_assert!(
            matches!(pending.stage, Stage::Ordered) && pending.xid == reply.xid,
            "replies come in order"
        );
        self.outstanding -= 1;
        self.large_len -= large_len(&self.options, pending.len);
        self.finish(id, &pending, &reply.outcome, now);
        self.answer_waiting(id, now);
        self.resume_if_free(id);
    }

    /// Gives the client the outcome of a request that the commit role had.
    fn finish(&mut self, id: ConnId, pending: &Pending, outcome: &Outcome, now: Instant) {
        let zxid = self.tree.last_zxid();
        let Some(conn) = self.conns.get_mut(id) else { return };
        if let State::AwaitSession { read_only } = conn.state {
            return self.finish_connect(id, read_only, pending, outcome, now);
        }
        let session = conn.session;
        if matches!(outcome, Outcome::Failed(Code::SessionMoved)) {
            return self.close(id, CloseReason::SessionMoved(session));
        }
        let len =
            reply::whole(&mut conn.out, pending.xid, zxid, |out| reply::outcome(outcome, &self.tree, out));
        let op = OpCode::from_number(pending.op);
        let sent = Sent { xid: pending.xid, op, zxid, len, received: pending.received, now };
        sent.count(&mut conn.stats, &mut self.stats);
        sent.count_if_stale(self.options.stale, conn.timeout_ms, &mut self.stats);
        conn.flush(&mut self.effects);
        if matches!(outcome, Outcome::Closed) {
            self.close(id, CloseReason::SessionClosed(session));
        }
    }

    fn finish_connect(
        &mut self,
        id: ConnId,
        read_only: Option<bool>,
        pending: &Pending,
        outcome: &Outcome,
        now: Instant,
    ) {
        let Some(conn) = self.conns.get_mut(id) else { return };
        let read_only = read_only.map(|_| self.service == Service::ReadOnly);
        match outcome {
            Outcome::Connected { session, password, timeout_ms } => {
                conn.state = State::Open;
                conn.session = *session;
                conn.timeout_ms = *timeout_ms;
                let (session, password, timeout_ms) = (*session, *password, *timeout_ms);
                let response = ConnectResponse { timeout_ms, session, password, read_only };
                self.respond(id, pending, &response, now);
            }
            Outcome::Failed(code) => self.close(id, CloseReason::SessionNotOpened(*code)),
            _ => {
                let session = conn.session;
                let response = ConnectResponse::refused(read_only);
                self.respond(id, pending, &response, now);
                self.close(id, CloseReason::SessionRefused(session));
            }
        }
    }

    /// Answers the requests that are now first in their queue, up to the next that commit has.
    fn answer_waiting(&mut self, id: ConnId, now: Instant) {
        while let Some(conn) = self.conns.get_mut(id)
            && conn.pending.front().is_some_and(|first| !matches!(first.stage, Stage::Ordered))
        {
            if conn.out.len() > self.options.output_len_max {
                return self.close_slow_reader(id);
            }
            let Some(Pending { xid, op, received, len, stage }) = conn.pop_pending() else { return };
            self.outstanding -= 1;
            self.large_len -= large_len(&self.options, len);
            conn.has_long_waiting &= !OpCode::from_number(op).is_some_and(takes_long);
            match stage {
                Stage::Waiting(record) => self.answer(id, xid, op, &record, received, now),
                _ => self.answer_late(id, xid, op, received, now),
            }
        }
    }

    fn on_session_gone(&mut self, id: ConnId) {
        if let Some(session) = self.conns.get(id).map(|conn| conn.session) {
            self.close(id, CloseReason::SessionGone(session));
        }
    }
}
