use std::sync::Arc;

use super::storage::Storage;
use super::{Action, Moment, unshown};
use crate::flow::ShardTurn;
use crate::id::{ServerId, Zxid};
use crate::prep::{Forward, Pipeline, RecoverError, Replica};
use crate::time::WallTime;
use crate::tree::DataTree;
use crate::zab::packet::FromLearner;
use crate::zab::{DownReason, Epochs, History, Learner, LearnerAction, Tail, ZabOptions};

/// A server that follows, or tries to.
pub(super) struct Learning {
    replica: Replica,
    learner: Learner,
    /// The leader's tree, until it is handed to the disk.
    received: Option<Arc<DataTree>>,
    /// Whether the servers are others only by restarts, so that the node of the configuration is this server's.
    is_static: bool,
    wall: WallTime,
    begun: Vec<LearnerAction>,
    end: Option<DownReason>,
}

impl Learning {
    pub(super) fn new(
        options: ZabOptions,
        pipeline: Pipeline,
        leader: ServerId,
        epochs: Epochs,
        tail: Tail,
        log: (Zxid, Zxid),
        at: Moment,
    ) -> Learning {
        let mut begun = Vec::new();
        let is_static = options.reconfig.is_none();
        let learner = Learner::new(options, leader, epochs, tail, log, at.now, &mut begun);
        let (replica, wall) = (pipeline.into_replica(), at.wall);
        Learning { replica, learner, received: None, is_static, wall, begun, end: None }
    }

    pub(super) fn begin(&mut self, storage: &mut Storage, history: &mut History, out: &mut Vec<Action>) {
        let begun = std::mem::take(&mut self.begun);
        self.perform(begun, storage, history, out);
    }

    pub(super) fn replica(&self) -> &Replica {
        &self.replica
    }

    pub(super) fn learner(&self) -> &Learner {
        &self.learner
    }

    pub(super) fn tell(
        &mut self,
        storage: &mut Storage,
        history: &mut History,
        out: &mut Vec<Action>,
        tell: impl FnOnce(&mut Learner, &mut Vec<LearnerAction>),
    ) {
        let mut done = Vec::new();
        tell(&mut self.learner, &mut done);
        self.perform(done, storage, history, out);
    }

    pub(super) fn on_turn(
        &mut self,
        turn: ShardTurn,
        at: Moment,
        storage: &mut Storage,
        history: &mut History,
        out: &mut Vec<Action>,
    ) {
        if !self.learner.is_serving() {
            return;
        }
        let mut forwards = Vec::new();
        self.replica.on_turn(turn, at.now, at.wall, &mut forwards);
        self.tell(storage, history, out, |learner, done| {
            for forward in forwards {
                match forward {
                    Forward::Request(request) => learner.forward(request, done),
                    Forward::Revalidate { session, timeout_ms } => {
                        learner.revalidate(session, timeout_ms, done);
                    }
                }
            }
        });
    }

    /// Lets time pass for clients; the learner's own is to be [told](Learning::tell).
    pub(super) fn on_tick(&mut self, at: Moment, out: &mut Vec<Action>) {
        self.wall = at.wall;
        self.replica.on_tick(at.now);
        self.publish(out);
    }

    pub(super) fn on_tree_bytes(&mut self, at: Moment) {
        self.learner.on_tree_bytes(at.now);
    }

    /// The leader's tree is whole.
    pub(super) fn on_tree(
        &mut self,
        tree: DataTree,
        at: Moment,
        storage: &mut Storage,
        history: &mut History,
        out: &mut Vec<Action>,
    ) {
        self.received = Some(Arc::new(tree));
        self.tell(storage, history, out, |learner, done| learner.on_tree(at.now, done));
        self.received = None;
    }

    pub(super) fn replace(&mut self, tree: DataTree) {
        self.replica.replace(tree);
    }

    pub(super) fn take_end(&mut self) -> Option<DownReason> {
        self.end.take()
    }

    /// What the server is left with: a database as it was published, and what its log has beyond it.
    pub(super) fn end(self) -> (Pipeline, Tail) {
        (self.replica.into_pipeline(), self.learner.into_tail())
    }

    fn perform(
        &mut self,
        done: Vec<LearnerAction>,
        storage: &mut Storage,
        history: &mut History,
        out: &mut Vec<Action>,
    ) {
        for action in done {
            match action {
                LearnerAction::Send(packet) => out.push(Action::ToLeader(packet)),
                LearnerAction::SaveEpoch(file, epoch) => storage.save_epoch(file, epoch, out),
                LearnerAction::Configure(configurations) => {
                    storage.save_configurations(configurations, out);
                }
                LearnerAction::Append(logged) => storage.append(&logged),
                LearnerAction::Truncate { zxid, rebuild } => {
                    history.truncate(zxid);
                    storage.truncate(zxid, rebuild, out);
                }
                LearnerAction::SaveTree => {
                    let Some(tree) = self.received.take() else { continue };
                    self.replica.replace(DataTree::clone(&tree));
                    history.restart(tree.last_zxid());
                    storage.start_from(tree.last_zxid(), out);
                    out.push(Action::SaveTree(tree));
                }
                LearnerAction::Deliver(logged) => match self.replica.on_txn(&logged.payload) {
                    Ok(()) => history.push(logged),
                    Err(RecoverError::Undecodable(error)) => {
                        let zxid = logged.zxid;
                        self.end = self.end.take().or(Some(DownReason::Undecodable { zxid, error }));
                    }
                },
                LearnerAction::Serve => {
                    let committed = self.learner.configurations().committed();
                    if let Some(text) = unshown(committed, self.is_static, self.replica.tree()) {
                        let version = Zxid(committed.version());
                        self.replica.show_configuration(text.as_bytes(), version, self.wall);
                    }
                    self.publish(out);
                    out.push(Action::Serve);
                }
                LearnerAction::Pong(zxid) => {
                    let touched = self.replica.take_touched();
                    out.push(Action::ToLeader(FromLearner::Ping { zxid, touched }));
                }
                LearnerAction::Revalidated { session, valid } => {
                    self.replica.on_revalidated(session, valid);
                }
                LearnerAction::Synced => self.replica.on_synced(),
                LearnerAction::Down(reason) => self.end = self.end.take().or(Some(reason)),
            }
        }
        self.publish(out);
    }

    fn publish(&mut self, out: &mut Vec<Action>) {
        if let Some(batch) = self.replica.publish() {
            out.push(Action::Publish(batch));
        }
    }
}
