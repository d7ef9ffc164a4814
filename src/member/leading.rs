use std::collections::{BTreeMap, VecDeque};

use ringkeeper_core::durable::Durable;
use ringkeeper_core::flow::{Origin, ShardTurn, Submission};
use ringkeeper_core::id::{SessionId, Zxid};
use ringkeeper_core::prep::Pipeline;
use ringkeeper_core::proto::OpCode;
use ringkeeper_core::time::Instant;
use ringkeeper_core::tree::Frozen;
use ringkeeper_core::zab::packet::FromLeader;
use ringkeeper_core::zab::{DownReason, History, Leader, LeaderAction, LinkId, Tail};
use tracing::{info, warn};

use super::proposals::Proposals;
use super::{Ground, Idle, State};
use crate::quorum_port::{FromPeers, Learners};
use crate::wiring::{Mode, ToCommit};

/// A server that leads, or was elected to.
pub(super) struct Leading {
    leader: Leader,
    pipeline: Pipeline,
    /// The log beyond the database when this server was elected.
    tail: Tail,
    history: History,
    learners: Learners,
    /// Trees for learners that are to be told of them.
    trees: BTreeMap<LinkId, Frozen>,
    down: Option<DownReason>,
}

impl Leading {
    pub(super) fn begin(idle: Idle, ground: &mut Ground) -> State {
        let last = idle.last();
        let Idle { pipeline, history, tail } = idle;
        let mut whole = history.clone();
        tail.entries().for_each(|logged| whole.push(logged.clone()));
        let mut actions = Vec::new();
        let zab = ground.options.zab.clone();
        let leader = Leader::new(zab, ground.epochs, whole, (last, ground.durable), ground.now, &mut actions);
        let learners = Learners::new(ground.to_self.clone(), ground.options.value_len_max);
        let leading =
            Leading { leader, pipeline, tail, history, learners, trees: BTreeMap::new(), down: None };
        Box::new(leading).perform(actions, ground)
    }

    pub(super) fn on_message(mut self: Box<Self>, message: ToCommit, ground: &mut Ground) -> State {
        let (mut actions, now) = (Vec::new(), ground.now);
        match message {
            ToCommit::Turn(turn) => self.on_turn(turn, ground, &mut actions),
            ToCommit::Tick => {
                self.leader.on_tick(now, &mut actions);
                self.order(ground, &mut actions, |pipeline, now, wall, sink| pipeline.on_tick(now, wall, sink));
            }
            ToCommit::LogRoom(room) => self.pipeline.on_log_room(room),
            ToCommit::EpochSaved(file, epoch) => {
                ground.epochs_saved(file, epoch);
                self.leader.on_epoch_saved(file, now, &mut actions);
            }
            ToCommit::TreeTaken(link, tree) => {
                let zxid = tree.zxid();
                self.trees.insert(link, tree);
                self.leader.on_tree_taken(link, zxid, now, &mut actions);
            }
            ToCommit::LogRead(link, excerpt) => self.leader.on_log_read(link, excerpt, now, &mut actions),
            ToCommit::Peers(event) => self.on_peer(event, now, &mut actions),
            // The rest is of an earlier time.
            _ => {}
        }
        self.perform(actions, ground)
    }

    pub(super) fn on_durable(mut self: Box<Self>, durable: Durable, ground: &mut Ground) -> State {
        let mut actions = Vec::new();
        self.leader.on_durable(durable, ground.now, &mut actions);
        self.perform(actions, ground)
    }

    /// Sends what was proposed and committed, and publishes.
    pub(super) fn flush(&mut self, ground: &Ground) {
        self.learners.flush();
        if ground.followers.are_ready()
            && let Some(batch) = self.pipeline.publish()
        {
            ground.followers.publish(batch);
        }
    }

    pub(super) fn into_idle(mut self, ground: &mut Ground) -> Idle {
        // What is committed is published, whoever waits for it.
        if let Some(batch) = self.pipeline.publish() {
            ground.followers.publish(batch);
        }
        self.learners.close_all();
        self.pipeline.roll_back();
        let applied = self.pipeline.published();
        let (mut history, outstanding) = self.leader.into_parts();
        let beyond: VecDeque<_> = history.since(applied).cloned().chain(outstanding).collect();
        history.truncate(applied);
        Idle { pipeline: self.pipeline, history, tail: Tail::of(applied, beyond) }
    }

    pub(super) fn session_deadlines(&self) -> Vec<(SessionId, Instant)> {
        self.pipeline.session_deadlines()
    }

    fn on_turn(&mut self, turn: ShardTurn, ground: &mut Ground, actions: &mut Vec<LeaderAction>) {
        if !self.leader.is_established() {
            return;
        }
        let is_sync = |what: &Submission| matches!(what, Submission::Request { op: OpCode::Sync, .. });
        if ground.options.zab.confirm_syncs && turn.submitted.iter().any(|submitted| is_sync(&submitted.what)) {
            let round = self.leader.confirm(ground.now, actions);
            self.pipeline.await_round(Some(round));
        }
        self.order(ground, actions, |pipeline, now, wall, sink| pipeline.on_turn(turn, now, wall, sink));
    }

    /// Orders, and proposes what that makes.
    fn order(
        &mut self,
        ground: &mut Ground,
        actions: &mut Vec<LeaderAction>,
        order: impl FnOnce(&mut Pipeline, Instant, ringkeeper_core::time::WallTime, &mut Proposals<'_>),
    ) {
        if !self.leader.is_established() || self.down.is_some() {
            return;
        }
        let mut sink = Proposals { records: &mut ground.records, proposed: Vec::new() };
        order(&mut self.pipeline, ground.now, ground.wall, &mut sink);
        for logged in sink.proposed {
            self.leader.propose(logged.zxid, logged.payload, ground.now, actions);
        }
    }

    fn on_peer(&mut self, event: FromPeers, now: Instant, actions: &mut Vec<LeaderAction>) {
        match event {
            FromPeers::Accepted(stream) => {
                if let Some(link) = self.learners.accept(stream) {
                    self.leader.on_accepted(link, now);
                }
            }
            FromPeers::Packet(link, packet) => self.leader.on_packet(link, packet, now, actions),
            FromPeers::Malformed(link, error) => {
                warn!("{}: {error}: its connection is closed", self.learners.remote(link));
                self.learners.close(link);
                self.leader.on_closed(link, now, actions);
            }
            FromPeers::Closed(link) => {
                self.learners.close(link);
                self.leader.on_closed(link, now, actions);
            }
            FromPeers::Leader(..) => {}
        }
    }

    fn perform(mut self: Box<Self>, actions: Vec<LeaderAction>, ground: &mut Ground) -> State {
        let mut actions = VecDeque::from(actions);
        while let Some(action) = actions.pop_front() {
            let mut more = Vec::new();
            self.perform_one(action, ground, &mut more);
            // What an action leads to comes before what was decided to follow it.
            more.into_iter().rev().for_each(|action| actions.push_front(action));
        }
        match self.down.take() {
            Some(reason) => State::Leading(self).look_again(&reason, ground),
            None => State::Leading(self),
        }
    }

    fn perform_one(&mut self, action: LeaderAction, ground: &mut Ground, more: &mut Vec<LeaderAction>) {
        match action {
            LeaderAction::Send(link, packet) => self.learners.push(link, |out| packet.encode(out)),
            LeaderAction::SendTree(link) => {
                if let Some(tree) = self.trees.remove(&link) {
                    self.learners.push_tree(link, tree);
                }
            }
            LeaderAction::TakeTree(link) => ground.followers.take_tree(link, ground.to_self.clone()),
            LeaderAction::ReadLog { link, from, upto } => ground.disk.read_log(link, from, upto, &ground.to_self),
            LeaderAction::Close(link, reason) => {
                warn!("{}: {reason}: its connection is closed", self.learners.remote(link));
                self.trees.remove(&link);
                self.learners.close(link);
            }
            LeaderAction::SaveEpoch(file, epoch) => ground.disk.save_epoch(file, epoch, &ground.to_self),
            LeaderAction::Established => self.establish(ground, more),
            LeaderAction::Committed(zxid) => self.pipeline.on_durable(zxid),
            LeaderAction::Order(link, request) => {
                let from = Origin::peer(link.0);
                self.order(ground, more, |pipeline, now, wall, sink| {
                    pipeline.order_forwarded(from, request, now, wall, sink);
                });
            }
            LeaderAction::Touch(sessions) => {
                self.pipeline.touch(sessions.into_iter().map(|(session, _)| session), ground.now);
            }
            LeaderAction::Revalidate { link, session, timeout_ms } => {
                let valid = self.pipeline.revalidate(session, timeout_ms, Origin::peer(link.0), ground.now);
                self.leader.revalidated(link, session, valid, more);
            }
            LeaderAction::Confirmed(round) => self.pipeline.on_confirmed(round),
            LeaderAction::Down(reason) => self.down = Some(reason),
        }
    }

    fn establish(&mut self, ground: &mut Ground, more: &mut Vec<LeaderAction>) {
        let epoch = self.leader.epoch();
        info!("a quorum follows: LEADING epoch {epoch}");
        let tail: Vec<_> = self.tail.entries().map(|logged| logged.payload.clone()).collect();
        self.order(ground, more, |pipeline, now, wall, sink| {
            pipeline.lead(epoch, tail.iter().map(|payload| &payload[..]), now, wall, sink);
        });
        ground.election.post(crate::election::ToElection::Epoch(epoch.into()));
        ground.followers.serve(Mode::Leader);
    }
}
