use std::net::TcpStream;

use ringkeeper_core::durable::Durable;
use ringkeeper_core::flow::ShardTurn;
use ringkeeper_core::id::{ServerId, Zxid};
use ringkeeper_core::prep::{Forward, Replica};
use ringkeeper_core::tree::DataTree;
use ringkeeper_core::zab::packet::{FromLearner, LearnerKind};
use ringkeeper_core::zab::{DownReason, History, Learner, LearnerAction};
use tracing::{info, warn};

use super::{Ground, Idle, State};
use crate::quorum_port::{Attempt, FromLeaderPort, FromPeers, LeaderConnection};
use crate::wiring::{Mode, ToCommit, ToLog};

/// A server that follows a leader, or tries to.
pub(super) struct Following {
    connection: LeaderConnection,
    stage: Stage,
    history: History,
    down: Option<DownReason>,
}

enum Stage {
    /// The leader has not answered yet.
    Connecting(Idle),
    Connected {
        learner: Learner,
        replica: Replica,
        /// The tree that the leader has sent, until it is to be used.
        received: Option<Box<DataTree>>,
    },
    /// Between two others.
    Nothing,
}

impl Following {
    pub(super) fn begin(idle: Idle, leader: ServerId, ground: &mut Ground) -> State {
        let addresses = ground.options.quorum_addresses.get(&leader).cloned().unwrap_or_default();
        ground.last_attempt += 1;
        let timing = ground.options.zab.timing;
        let patience = timing.tick() * timing.init_limit.max(1);
        let attempt = Attempt(ground.last_attempt);
        let connection = LeaderConnection::open(attempt, addresses, patience, ground.to_self.clone());
        let history = idle.history.clone();
        let following = Following { connection, stage: Stage::Connecting(idle), history, down: None };
        State::Following(Box::new(following))
    }

    pub(super) fn on_message(mut self: Box<Self>, message: ToCommit, ground: &mut Ground) -> State {
        let mut actions = Vec::new();
        match message {
            ToCommit::Turn(turn) => self.on_turn(turn, ground, &mut actions),
            ToCommit::Peers(FromPeers::Leader(attempt, event)) if attempt == self.connection.attempt() => {
                self.on_leader(event, ground, &mut actions);
            }
            message => {
                if let Stage::Connected { learner, .. } = &mut self.stage {
                    match message {
                        ToCommit::Tick => learner.on_tick(ground.now, &mut actions),
                        ToCommit::EpochSaved(file, epoch) => {
                            ground.epochs_saved(file, epoch);
                            learner.on_epoch_saved(file, &mut actions);
                        }
                        ToCommit::LogCut(tree) => self.on_log_cut(tree, ground, &mut actions),
                        ToCommit::TreeSaved => learner.on_tree_saved(&mut actions),
                        // The rest is of an earlier time, or meant for leaders.
                        _ => {}
                    }
                }
            }
        }
        self.perform(actions, ground)
    }

    pub(super) fn on_durable(mut self: Box<Self>, durable: Durable, ground: &mut Ground) -> State {
        let mut actions = Vec::new();
        if let Stage::Connected { learner, .. } = &mut self.stage {
            learner.on_durable(durable, &mut actions);
        }
        self.perform(actions, ground)
    }

    /// Sends what the turn has made, and publishes.
    pub(super) fn flush(&mut self, ground: &Ground) {
        self.connection.flush();
        if let Stage::Connected { replica, .. } = &mut self.stage
            && ground.followers.are_ready()
            && let Some(batch) = replica.publish()
        {
            ground.followers.publish(batch);
        }
    }

    pub(super) fn into_idle(self, ground: &mut Ground) -> Idle {
        match self.stage {
            Stage::Connecting(idle) => idle,
            Stage::Connected { learner, mut replica, .. } => {
                if let Some(batch) = replica.publish() {
                    ground.followers.publish(batch);
                }
                Idle { pipeline: replica.into_pipeline(), history: self.history, tail: learner.into_tail() }
            }
            Stage::Nothing => unreachable!("a stage is put back before anybody can ask"),
        }
    }

    fn on_turn(&mut self, turn: ShardTurn, ground: &mut Ground, actions: &mut Vec<LearnerAction>) {
        let Stage::Connected { learner, replica, .. } = &mut self.stage else { return };
        if !learner.is_serving() {
            return;
        }
        let mut forwards = Vec::new();
        replica.on_turn(turn, ground.wall, &mut forwards);
        for forward in forwards {
            match forward {
                Forward::Request(request) => learner.forward(request, actions),
                Forward::Revalidate { session, timeout_ms } => {
                    learner.revalidate(session, timeout_ms, actions);
                }
            }
        }
    }

    fn on_leader(&mut self, event: FromLeaderPort, ground: &mut Ground, actions: &mut Vec<LearnerAction>) {
        match (event, &mut self.stage) {
            (FromLeaderPort::Connected(stream), Stage::Connecting(_)) => {
                self.on_connected(stream, ground, actions);
            }
            (FromLeaderPort::Unreachable, Stage::Connecting(_)) => self.down = Some(DownReason::LeaderLost),
            (event, Stage::Connected { learner, received, .. }) => match event {
                FromLeaderPort::Packet(packet) => learner.on_packet(packet, ground.now, actions),
                FromLeaderPort::TreeBytes => learner.on_tree_bytes(ground.now),
                FromLeaderPort::Tree(tree) => {
                    *received = Some(tree);
                    learner.on_tree(ground.now, actions);
                }
                FromLeaderPort::Malformed(reason) => learner.on_failed(reason, actions),
                FromLeaderPort::Closed => learner.on_closed(actions),
                FromLeaderPort::Connected(_) | FromLeaderPort::Unreachable => {}
            },
            _ => {}
        }
    }

    fn on_connected(&mut self, stream: TcpStream, ground: &mut Ground, actions: &mut Vec<LearnerAction>) {
        let Stage::Connecting(idle) = std::mem::replace(&mut self.stage, Stage::Nothing) else { return };
        let options = &ground.options;
        self.connection.begin(stream, options.tree, options.value_len_max);
        let logged = last_record(&idle);
        let kind = if options.is_observer { LearnerKind::Observer } else { LearnerKind::Follower };
        let learner = Learner::new(
            options.zab.clone(),
            kind,
            ground.epochs,
            idle.tail,
            (logged, ground.durable),
            ground.now,
            actions,
        );
        let replica = idle.pipeline.into_replica();
        self.stage = Stage::Connected { learner, replica, received: None };
    }

    fn on_log_cut(
        &mut self,
        tree: Option<Box<DataTree>>,
        ground: &mut Ground,
        actions: &mut Vec<LearnerAction>,
    ) {
        let Stage::Connected { learner, replica, .. } = &mut self.stage else { return };
        let rebuilt = tree.as_ref().map(|tree| tree.last_zxid());
        if let Some(tree) = tree {
            self.history.truncate(tree.last_zxid());
            ground.followers.replace(&tree);
            replica.replace(*tree);
        }
        learner.on_truncated(rebuilt, actions);
    }

    fn perform(mut self: Box<Self>, actions: Vec<LearnerAction>, ground: &mut Ground) -> State {
        for action in actions {
            self.perform_one(action, ground);
        }
        match self.down.take() {
            Some(reason) => State::Following(self).look_again(&reason, ground),
            None => State::Following(self),
        }
    }

    fn perform_one(&mut self, action: LearnerAction, ground: &mut Ground) {
        let Stage::Connected { learner, replica, received } = &mut self.stage else { return };
        match action {
            LearnerAction::Send(packet) => self.connection.push(&packet),
            LearnerAction::SaveEpoch(file, epoch) => ground.disk.save_epoch(file, epoch, &ground.to_self),
            LearnerAction::Append(logged) => {
                ground.records.push(logged.zxid, |record| record.extend_from_slice(&logged.payload));
            }
            LearnerAction::Truncate { zxid, rebuild } => {
                warn!("the leader has nothing after {zxid}: what is in the log beyond it is dropped");
                ground.submit();
                self.history.truncate(zxid);
                ground.log_post(ToLog::Cut { zxid, rebuild });
            }
            LearnerAction::SaveTree => {
                let Some(tree) = received.take() else { return };
                info!("the leader has sent its whole tree, as of {}: {} znodes", tree.last_zxid(), tree.node_count());
                ground.submit();
                self.history.restart(tree.last_zxid());
                ground.log_post(ToLog::Restart(tree.freeze()));
                ground.followers.replace(&tree);
                replica.replace(*tree);
            }
            LearnerAction::Deliver(logged) => {
                match replica.on_txn(&logged.payload) {
                    Ok(()) => self.history.push(logged),
                    // It was read when it was logged.
                    Err(error) => {
                        let _ = error;
                        self.down = Some(DownReason::LeaderLost);
                    }
                }
            }
            LearnerAction::Serve => {
                let epoch = learner.epoch();
                info!("up to date with the leader of epoch {epoch}: serving clients");
                ground.election.post(crate::election::ToElection::Epoch(epoch.into()));
                let mode = if ground.options.is_observer { Mode::Observer } else { Mode::Follower };
                ground.followers.serve(mode);
            }
            LearnerAction::Pong(zxid) => {
                let touched = replica.take_touched();
                self.connection.push(&FromLearner::Ping { zxid, touched });
            }
            LearnerAction::Revalidated { session, valid } => replica.on_revalidated(session, valid),
            LearnerAction::Synced => replica.on_synced(),
            LearnerAction::Down(reason) => self.down = Some(reason),
        }
    }
}

/// The last record of the log: the tail's, or the database's, which an opened epoch may be beyond.
fn last_record(idle: &Idle) -> Zxid {
    idle.tail.last().max(idle.history.last())
}
