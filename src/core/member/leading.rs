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
    end: Option<DownReason>,
    was_established: bool,
    /// What the leader asks for, until it is performed. Empty between calls, as what follows, which is kept for
    /// its memory.
    done: Vec<LeaderAction>,
    ordered: Ordered,
}

/// Gathers what the pipeline orders.
#[derive(Default)]
struct Ordered {
    logged: Vec<Logged>,
    /// For one payload after the other, before its length is known.
    encoded: Vec<u8>,
}

impl LogSink for Ordered {
    fn append(&mut self, header: &TxnHeader, txn: &Txn<'_>, digest: Option<TxnDigest>) {
        self.encoded.clear();
        header.encode(txn, &mut self.encoded);
        digest.inspect(|digest| digest.encode(&mut self.encoded));
        self.logged.push(Logged { zxid: header.zxid, payload: self.encoded[..].into() });
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
        let mut done = Vec::new();
        let last = tail.last();
        let leader = Leader::new(options.zab.clone(), epochs, history, (last, durable), at.now, &mut done);
        Leading {
            pipeline,
            leader,
            tail,
            confirm_syncs: options.zab.confirm_syncs,
            rollover_at: options.rollover_at,
            reconfig: options.zab.reconfig,
            end: None,
            was_established: false,
            done,
            ordered: Ordered::default(),
        }
    }

    pub(super) fn begin(&mut self, at: Moment, storage: &mut Storage, out: &mut Vec<Action>) {
        self.perform(at, storage, out);
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
        tell(&mut self.leader, &mut self.done);
        self.perform(at, storage, out);
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
        let is_sync = |what: &Submission| matches!(what, Submission::Request { op: OpCode::Sync, .. });
        if self.confirm_syncs && turn.submitted.iter().any(|submitted| is_sync(&submitted.what)) {
            let round = self.leader.confirm(at.now, &mut self.done);
            self.pipeline.await_round(Some(round));
        }
        let is_reconfig =
            |what: &Submission| matches!(what, Submission::Request { op: OpCode::Reconfig, .. });
        if turn.submitted.iter().any(|submitted| is_reconfig(&submitted.what)) {
            self.prepare_reconfig();
        }
        self.pipeline.on_turn(turn, at.now, at.wall, &mut self.ordered);
        self.propose(at, storage);
        self.perform(at, storage, out);
    }

    pub(super) fn on_tick(&mut self, at: Moment, storage: &mut Storage, out: &mut Vec<Action>) {
        self.leader.on_tick(at.now, &mut self.done);
        if self.is_ready_to_order() {
            self.pipeline.on_tick(at.now, at.wall, &mut self.ordered);
            self.propose(at, storage);
        }
        self.perform(at, storage, out);
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

    /// Performs what the leader asks for, and then what it asks for on account of that.
    fn perform(&mut self, at: Moment, storage: &mut Storage, out: &mut Vec<Action>) {
        let mut serves = false;
        while !self.done.is_empty() {
            let mut done = std::mem::take(&mut self.done);
            for action in done.drain(..) {
                serves |= self.perform_one(action, at, storage, out);
            }
            if self.done.is_empty() {
                self.done = done;
                break;
            }
        }
        if serves {
            self.publish(storage, out);
            out.push(Action::Serve);
        }
    }

    /// Performs one thing, and says whether clients are to be served from now on.
    fn perform_one(
        &mut self,
        action: LeaderAction,
        at: Moment,
        storage: &mut Storage,
        out: &mut Vec<Action>,
    ) -> bool {
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
                self.establish(at, storage);
                return true;
            }
            LeaderAction::Committed(zxid) => self.pipeline.on_durable(zxid),
            LeaderAction::Order(link, request) => {
                if self.is_ready_to_order() {
                    if request.op == OpCode::Reconfig.number() {
                        self.prepare_reconfig();
                    }
                    let from = Origin::peer(link.0);
                    // The learner may be gone before it tells that it heard the client.
                    self.pipeline.touch([request.session], at.now);
                    self.pipeline.order_forwarded(from, request, at.now, at.wall, &mut self.ordered);
                    self.propose(at, storage);
                }
            }
            LeaderAction::Touch(sessions) => {
                self.pipeline.touch(sessions.into_iter().map(|(session, _)| session), at.now);
            }
            LeaderAction::Revalidate { link, session, timeout_ms } => {
                let from = Origin::peer(link.0);
                let valid = self.pipeline.revalidate(session, timeout_ms, from, at.now);
                self.leader.revalidated(link, session, valid, &mut self.done);
            }
            LeaderAction::AskOracle => out.push(Action::AskOracle),
            LeaderAction::Confirmed(round) => self.pipeline.on_confirmed(round),
            LeaderAction::Down(reason) => self.end = self.end.take().or(Some(reason)),
        }
        false
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

    fn establish(&mut self, at: Moment, storage: &mut Storage) {
        self.was_established = true;
        let tail = std::mem::take(&mut self.tail);
        let payloads = tail.entries().map(|logged| &*logged.payload);
        self.pipeline.lead(self.leader.epoch(), payloads, at.now, at.wall, &mut self.ordered);
        let committed = self.leader.configurations().committed();
        if let Some(text) = unshown(committed, self.reconfig.is_none(), self.pipeline.tree()) {
            let version = Zxid(committed.version());
            self.pipeline.show_configuration(text.as_bytes(), version, at.wall);
        }
        self.propose(at, storage);
    }

    /// Proposes what was ordered, which goes to this server's log at the same time.
    fn propose(&mut self, at: Moment, storage: &mut Storage) {
        for logged in self.ordered.logged.drain(..) {
            storage.append(&logged);
            self.leader.propose(logged.zxid, logged.payload, at.now, &mut self.done);
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
