use super::pipeline::{Pipeline, next_session_id};
use crate::error::Code;
use crate::flow::{CommitBatch, Origin, Outcome, Reply, ShardTurn, Step, Submission, Submitted};
use crate::id::SessionId;
use crate::proto::{OpCode, Password};
use crate::session::{LocalSessions, Standing, password_of};
use crate::time::{Instant, WallTime};

/// The commit role of a server that has no leader and serves reads all the same (`readonlymode.enabled`,
/// server-semantics §13).
///
/// It orders nothing: shards answer reads from what was published last, and whatever would need a leader is
/// refused here, in its place among the session's requests. The ensemble's sessions wait for a leader, so
/// clients get sessions that only this server knows, if it may have such, and none otherwise.
pub struct ReadOnly {
    local: Option<LocalSessions>,
    steps: Vec<Step>,
}

impl ReadOnly {
    /// Begins to serve. The database is the pipeline's, as it was published.
    pub fn new(pipeline: &Pipeline) -> ReadOnly {
        ReadOnly { local: pipeline.options.local_sessions(), steps: Vec::new() }
    }

    /// Answers what a shard hands over.
    pub fn on_turn(&mut self, turn: ShardTurn, pipeline: &mut Pipeline, now: Instant, wall: WallTime) {
        if let Some(local) = &mut self.local {
            local.on_heard(&turn);
        }
        for Submitted { origin, session, what } in turn.submitted {
            match what {
                Submission::Connect { timeout_ms, .. } if session == SessionId::NONE => {
                    let outcome = self.open_session(origin, timeout_ms, pipeline, now, wall);
                    self.reply(origin, 0, outcome);
                }
                Submission::Connect { password, timeout_ms } => {
                    let outcome = self.reattach(origin, session, password, timeout_ms, pipeline, now);
                    self.reply(origin, 0, outcome);
                }
                Submission::Request { xid, op, .. } => self.request(origin, session, xid, op),
            }
        }
    }

    /// Ends sessions that nobody was heard of for too long.
    pub fn on_tick(&mut self, now: Instant) {
        let expired = self.local.as_mut().map(|local| local.expire(now)).unwrap_or_default();
        self.steps.extend(expired.into_iter().filter_map(|expired| expired.owner).map(Step::Close));
    }

    /// Takes the answers.
    pub fn publish(&mut self) -> Option<CommitBatch> {
        (!self.steps.is_empty()).then(|| CommitBatch { steps: std::mem::take(&mut self.steps), digest: None })
    }

    /// The sessions that only this server knows, if it may have such.
    pub fn local_sessions(&self) -> Option<&LocalSessions> {
        self.local.as_ref()
    }

    fn open_session(
        &mut self,
        origin: Origin,
        timeout_ms: i32,
        pipeline: &mut Pipeline,
        now: Instant,
        wall: WallTime,
    ) -> Outcome {
        let Some(local) = &mut self.local else { return Outcome::Failed(Code::NotReadOnly) };
        if pipeline.next_session == SessionId::NONE {
            pipeline.next_session = SessionId::first(pipeline.options.server, wall.0);
        }
        let session = next_session_id(&mut pipeline.next_session, pipeline.db.tree());
        local.open(session, timeout_ms, origin, now);
        Outcome::Connected { session, password: password_of(session), timeout_ms }
    }

    /// A session of the ensemble's is not this server's to give, nor to declare over: without a look at the
    /// password its client is sent to look for another server.
    fn reattach(
        &mut self,
        origin: Origin,
        session: SessionId,
        password: Option<Password>,
        timeout_ms: i32,
        pipeline: &Pipeline,
        now: Instant,
    ) -> Outcome {
        let is_global = pipeline.tree().sessions().contains_key(&session);
        let Some(local) = self.local.as_mut().filter(|_| !is_global) else {
            return Outcome::Failed(Code::NotReadOnly);
        };
        // The owner goes before the password is looked at (client-protocol §3).
        if let Some(owner) = local.detach(session).filter(|owner| *owner != origin) {
            self.steps.push(Step::Close(owner));
        }
        let expected = password_of(session);
        match password == Some(expected) && local.attach(session, timeout_ms, origin, now) {
            true => Outcome::Connected { session, password: expected, timeout_ms },
            false => Outcome::Refused,
        }
    }

    fn request(&mut self, origin: Origin, session: SessionId, xid: i32, op: OpCode) {
        let standing = self.local.as_ref().map(|local| local.standing(session, origin));
        match (standing, &mut self.local) {
            (Some(Standing::Owner), Some(local)) if op == OpCode::CloseSession => {
                local.close(session);
                self.reply(origin, xid, Outcome::Closed);
            }
            (Some(Standing::Owner), _) => self.reply(origin, xid, Outcome::Failed(Code::NotReadOnly)),
            // It came before this server began to serve so, or its session has ended since.
            _ => self.steps.push(Step::Close(origin)),
        }
    }

    fn reply(&mut self, to: Origin, xid: i32, outcome: Outcome) {
        self.steps.push(Step::Reply(Reply { to, xid, outcome }));
    }
}
