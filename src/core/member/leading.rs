use std::collections::VecDeque;

use super::storage::Storage;
use super::{Action, MemberOptions, Moment, unshown};
use crate::config::ReconfigRules;
use crate::flow::{Origin, ShardTurn, Step, Submission};
use crate::id::Zxid;
use crate::log_room::LogRoom;
use crate::ops::ReconfigContext;
use crate::prep::{LogSink, Pipeline};
use crate::proto::{OpCode, Txn, TxnDigest, TxnHeader};
use crate::zab::{DownReason, Epochs, History, Leader, LeaderAction, Logged, Tail};

/// A server that leads, or tries to.
pub(super) struct Leading {
    pipeline: Pipeline,
    leader: Leader,
    /// What is in the log and not applied before the leader is established.
    tail: Tail,
    confirm_syncs: bool,
    rollover_at: u32,
    reconfig: Option<ReconfigRules>,
    begun: Vec<LeaderAction>,
    end: Option<DownReason>,
    was_established: bool,
}

/// Gathers what the pipeline orders.
#[derive(Default)]
struct Ordered(Vec<Logged>);

impl LogSink for Ordered {
    fn append(&mut self, header: &TxnHeader, txn: &Txn<'_>, digest: Option<TxnDigest>) {
        let mut payload = Vec::new();
        header.encode(txn, &mut payload);
        digest.inspect(|digest| digest.encode(&mut payload));
        self.0.push(Logged { zxid: header.zxid, payload: payload.into() });
    }
}

impl Leading {
    pub(super) fn new(
        options: &MemberOptions,
        pipeline: Pipeline,
        tail: Tail,
        epochs: Epochs,
        history: &History,
        durable: Zxid,
        at: Moment,
    ) -> Leading {
        let mut history = history.clone();
        // All of it, however long: a learner gets the tree as it is published, and then this.
        history.push_all(tail.entries().cloned());
        let mut begun = Vec::new();
        let last = tail.last();
        let leader = Leader::new(options.zab.clone(), epochs, history, (last, durable), at.now, &mut begun);
        Leading {
            pipeline,
            leader,
            tail,
            confirm_syncs: options.zab.confirm_syncs,
            rollover_at: options.rollover_at,
            reconfig: options.zab.reconfig,
            begun,
            end: None,
            was_established: false,
        }
    }

    pub(super) fn begin(&mut self, at: Moment, storage: &mut Storage, out: &mut Vec<Action>) {
        let begun = std::mem::take(&mut self.begun);
        self.perform(begun, at, storage, out);
    }

    pub(super) fn on_log_room(&mut self, room: LogRoom) {
        self.pipeline.on_log_room(room);
    }

    pub(super) fn pipeline(&self) -> &Pipeline {
        &self.pipeline
    }

    pub(super) fn leader(&self) -> &Leader {
        &self.leader
    }

    pub(super) fn reset_figures(&mut self) {
        self.leader.reset_figures();
    }

    pub(super) fn last_zxid(&self) -> Zxid {
        self.pipeline.last_zxid().max(self.tail.last())
    }

    pub(super) fn tell(
        &mut self,
        at: Moment,
        storage: &mut Storage,
        out: &mut Vec<Action>,
        tell: impl FnOnce(&mut Leader, &mut Vec<LeaderAction>),
    ) {
        let mut done = Vec::new();
        tell(&mut self.leader, &mut done);
        self.perform(done, at, storage, out);
    }

    pub(super) fn on_turn(
        &mut self,
        turn: ShardTurn,
        at: Moment,
        storage: &mut Storage,
        out: &mut Vec<Action>,
    ) {
        if !self.is_ready_to_order() {
            return;
        }
        let mut done = Vec::new();
        let is_sync = |what: &Submission| matches!(what, Submission::Request { op: OpCode::Sync, .. });
        if self.confirm_syncs && turn.submitted.iter().any(|submitted| is_sync(&submitted.what)) {
            let round = self.leader.confirm(at.now, &mut done);
            self.pipeline.await_round(Some(round));
        }
        let is_reconfig =
            |what: &Submission| matches!(what, Submission::Request { op: OpCode::Reconfig, .. });
        if turn.submitted.iter().any(|submitted| is_reconfig(&submitted.what)) {
            self.prepare_reconfig();
        }
        let mut ordered = Ordered::default();
        self.pipeline.on_turn(turn, at.now, at.wall, &mut ordered);
        self.propose(ordered, at, storage, &mut done);
        self.perform(done, at, storage, out);
    }

    pub(super) fn on_tick(&mut self, at: Moment, storage: &mut Storage, out: &mut Vec<Action>) {
        let mut done = Vec::new();
        self.leader.on_tick(at.now, &mut done);
        if self.is_ready_to_order() {
            let mut ordered = Ordered::default();
            self.pipeline.on_tick(at.now, at.wall, &mut ordered);
            self.propose(ordered, at, storage, &mut done);
        }
        self.perform(done, at, storage, out);
        // What is on its way goes first.
        let is_over = self.leader.is_established() && self.is_numbered_out();
        if is_over && self.leader.outstanding() == 0 && self.end.is_none() {
            self.end = Some(DownReason::Rollover { epoch: self.leader.epoch() });
        }
    }

    pub(super) fn take_end(&mut self) -> Option<DownReason> {
        self.end.take()
    }

    /// What the server is left with: a database as it was published, and what its log has beyond it. What was
    /// committed is published, with no answer to anybody.
    pub(super) fn end(
        mut self,
        storage: &mut Storage,
        history: &mut History,
        out: &mut Vec<Action>,
    ) -> (Pipeline, Tail) {
        if !self.was_established {
            return (self.pipeline, self.tail);
        }
        self.publish(storage, out);
        self.pipeline.on_confirmed(u64::MAX);
        if let Some(mut batch) = self.pipeline.publish() {
            batch.steps.retain(|step| !matches!(step, Step::Reply(_)));
            out.push(Action::Publish(batch));
        }
        self.pipeline.roll_back();
        let (committed, outstanding) = self.leader.into_parts();
        *history = committed;
        let tail = Tail::of(self.pipeline.published(), outstanding);
        (self.pipeline, tail)
    }

    fn perform(&mut self, done: Vec<LeaderAction>, at: Moment, storage: &mut Storage, out: &mut Vec<Action>) {
        let mut queue = VecDeque::from(done);
        let mut serves = false;
        while let Some(action) = queue.pop_front() {
            let mut more = Vec::new();
            match action {
                LeaderAction::Send(link, packet) => out.push(Action::ToLearner(link, packet)),
                LeaderAction::SendTree(link) => out.push(Action::SendTree(link)),
                LeaderAction::TakeTree(link) => {
                    self.publish(storage, out);
                    out.push(Action::TakeTree(link));
                }
                LeaderAction::ReadLog { link, from, upto } => {
                    out.push(Action::ReadLog { link, from, upto });
                }
                LeaderAction::Close(link, reason) => out.push(Action::CloseLearner(link, reason)),
                LeaderAction::SaveEpoch(file, epoch) => storage.save_epoch(file, epoch, out),
                LeaderAction::Configure(configurations) => storage.save_configurations(configurations, out),
                LeaderAction::Established => {
                    self.establish(at, storage, &mut more);
                    serves = true;
                }
                LeaderAction::Committed(zxid) => self.pipeline.on_durable(zxid),
                LeaderAction::Order(link, request) => {
                    if self.is_ready_to_order() {
                        if request.op == OpCode::Reconfig.number() {
                            self.prepare_reconfig();
                        }
                        let mut ordered = Ordered::default();
                        let from = Origin::peer(link.0);
                        // The learner may be gone before it tells that it heard the client.
                        self.pipeline.touch([request.session], at.now);
                        self.pipeline.order_forwarded(from, request, at.now, at.wall, &mut ordered);
                        self.propose(ordered, at, storage, &mut more);
                    }
                }
                LeaderAction::Touch(sessions) => {
                    self.pipeline.touch(sessions.into_iter().map(|(session, _)| session), at.now);
                }
                LeaderAction::Revalidate { link, session, timeout_ms } => {
                    let from = Origin::peer(link.0);
                    let valid = self.pipeline.revalidate(session, timeout_ms, from, at.now);
                    self.leader.revalidated(link, session, valid, &mut more);
                }
                LeaderAction::AskOracle => out.push(Action::AskOracle),
                LeaderAction::Confirmed(round) => self.pipeline.on_confirmed(round),
                LeaderAction::Down(reason) => self.end = self.end.take().or(Some(reason)),
            }
            queue.extend(more);
        }
        if serves {
            self.publish(storage, out);
            out.push(Action::Serve);
        }
    }

    /// Publishes all that may be, once the log has been handed what there is.
    pub(super) fn publish(&mut self, storage: &mut Storage, out: &mut Vec<Action>) {
        storage.flush(out);
        if self.was_established
            && let Some(batch) = self.pipeline.publish()
        {
            out.push(Action::Publish(batch));
        }
    }

    fn establish(&mut self, at: Moment, storage: &mut Storage, done: &mut Vec<LeaderAction>) {
        self.was_established = true;
        let tail = std::mem::take(&mut self.tail);
        let payloads = tail.entries().map(|logged| &*logged.payload);
        let mut ordered = Ordered::default();
        self.pipeline.lead(self.leader.epoch(), payloads, at.now, at.wall, &mut ordered);
        let committed = self.leader.configurations().committed();
        if let Some(text) = unshown(committed, self.reconfig.is_none(), self.pipeline.tree()) {
            let version = Zxid(committed.version());
            self.pipeline.show_configuration(text.as_bytes(), version, at.wall);
        }
        self.propose(ordered, at, storage, done);
    }

    fn propose(&mut self, ordered: Ordered, at: Moment, storage: &mut Storage, done: &mut Vec<LeaderAction>) {
        for logged in ordered.0 {
            storage.append(&logged);
            self.leader.propose(logged.zxid, logged.payload, at.now, done);
        }
    }

    /// Tells the pipeline by what reconfigs are judged now.
    fn prepare_reconfig(&mut self) {
        if let Some(rules) = self.reconfig {
            let configurations = self.leader.configurations().clone();
            let synced = self.leader.synced_servers();
            self.pipeline.judge_reconfigs_by(ReconfigContext { configurations, rules, synced });
        }
    }

    /// Whether something may be ordered now, by what is true of the others now.
    fn is_ready_to_order(&mut self) -> bool {
        self.pipeline.spare_old_peers(self.leader.has_old_learners());
        self.was_established && self.leader.is_established() && self.end.is_none() && !self.is_numbered_out()
    }

    fn is_numbered_out(&self) -> bool {
        self.pipeline.last_zxid().counter() >= self.rollover_at
    }
}
