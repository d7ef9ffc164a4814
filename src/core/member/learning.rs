use std::iter::once;
use std::sync::Arc;

use super::storage::Storage;
use super::{Action, MemberOptions, Moment, unshown};
use crate::flow::ShardTurn;
use crate::id::{ServerId, Zxid};
use crate::prep::{Forward, Pipeline, RecoverError, Replica};
use crate::time::WallTime;
use crate::tree::{DataTree, LOOK_AHEAD};
use crate::zab::packet::{FromLearner, LearnerKind};
use crate::zab::{
    DownReason, Epochs, History, Known, Learner, LearnerAction, MasterAction, ObserverMaster, Tail,
    ZabOptions,
};

/// A server that follows, or tries to.
pub(super) struct Learning {
    replica: Replica,
    learner: Learner,
    options: ZabOptions,
    /// The observers that this server brings up to date, while it serves and if it is to.
    observers: Option<ObserverMaster>,
    has_observers: bool,
    /// The leader's tree, until it is handed to the disk.
    received: Option<Arc<DataTree>>,
    /// Whether the servers are others only by restarts, so that the node of the configuration is this server's.
    is_static: bool,
    wall: WallTime,
    end: Option<DownReason>,
    /// What the learner asks for, until it is performed. Empty between calls, and kept for its memory.
    done: Vec<LearnerAction>,
}

impl Learning {
    pub(super) fn new(
        options: &MemberOptions,
        pipeline: Pipeline,
        leader: ServerId,
        epochs: Epochs,
        tail: Tail,
        log: (Zxid, Zxid),
        at: Moment,
    ) -> Learning {
        let mut done = Vec::new();
        let zab = options.zab.clone();
        let is_static = zab.reconfig.is_none();
        let learner = Learner::new(zab.clone(), leader, epochs, tail, log, at.now, &mut done);
        let is_follower = learner.kind() == LearnerKind::Follower;
        Learning {
            replica: pipeline.into_replica(),
            learner,
            options: zab,
            observers: None,
            has_observers: options.has_observers && is_follower,
            received: None,
            is_static,
            wall: at.wall,
            end: None,
            done,
        }
    }

    pub(super) fn begin(&mut self, storage: &mut Storage, history: &mut History, out: &mut Vec<Action>) {
        self.perform(storage, history, out);
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
        tell(&mut self.learner, &mut self.done);
        self.perform(storage, history, out);
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
        self.forward(forwards, storage, history, out);
    }

    /// Lets time pass for clients and observers; the learner's own is to be [told](Learning::tell).
    pub(super) fn on_tick(
        &mut self,
        at: Moment,
        storage: &mut Storage,
        history: &mut History,
        out: &mut Vec<Action>,
    ) {
        self.wall = at.wall;
        self.replica.on_tick(at.now);
        if self.learner.is_serving() && self.has_observers && self.observers.is_none() {
            self.observers = Some(ObserverMaster::new(self.options.clone(), self.learner.epoch(), at.now));
        }
        self.tell_observers(storage, history, out, |observers, known, done| {
            observers.on_tick(known.last, at.now, done);
        });
    }

    /// The observers' machine, if this server brings any up to date.
    pub(super) fn observers(&self) -> Option<&ObserverMaster> {
        self.observers.as_ref()
    }

    pub(super) fn tell_observers(
        &mut self,
        storage: &mut Storage,
        history: &mut History,
        out: &mut Vec<Action>,
        tell: impl FnOnce(&mut ObserverMaster, Known<'_>, &mut Vec<MasterAction>),
    ) {
        let Some(observers) = &mut self.observers else { return };
        let mut done = Vec::new();
        tell(observers, Known { last: self.replica.last_zxid(), history }, &mut done);
        let mut forwards = Vec::new();
        for action in done {
            match action {
                MasterAction::Send(link, packet) => out.push(Action::ToLearner(link, packet)),
                MasterAction::SendTree(link) => out.push(Action::SendTree(link)),
                MasterAction::TakeTree(link) => {
                    self.publish(storage, out);
                    out.push(Action::TakeTree(link));
                }
                MasterAction::ReadLog { link, from, upto } => out.push(Action::ReadLog { link, from, upto }),
                MasterAction::Close(link, reason) => out.push(Action::CloseLearner(link, reason)),
                MasterAction::Forward(link, request) => {
                    forwards.push(self.replica.forward_for(link, request));
                }
                MasterAction::Touch(sessions) => self.replica.touch(sessions),
                MasterAction::Revalidate { link, session, timeout_ms } => {
                    forwards.push(self.replica.revalidate_for(link, session, timeout_ms));
                }
            }
        }
        self.forward(forwards, storage, history, out);
    }

    fn forward(
        &mut self,
        forwards: Vec<Forward>,
        storage: &mut Storage,
        history: &mut History,
        out: &mut Vec<Action>,
    ) {
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
    pub(super) fn end(mut self, storage: &mut Storage, out: &mut Vec<Action>) -> (Pipeline, Tail) {
        self.publish(storage, out);
        (self.replica.into_pipeline(), self.learner.into_tail())
    }

    fn perform(&mut self, storage: &mut Storage, history: &mut History, out: &mut Vec<Action>) {
        let mut told = Vec::new();
        let mut done = std::mem::take(&mut self.done);
        let mut actions = done.drain(..);
        let mut looked_ahead = 0;
        while let Some(action) = actions.next() {
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
                LearnerAction::Deliver(logged) => {
                    if looked_ahead == 0 {
                        looked_ahead = LOOK_AHEAD;
                        let next = actions.as_slice().iter().filter_map(LearnerAction::delivered);
                        self.replica.look_ahead(once(&logged).chain(next).map(|logged| &logged.payload[..]));
                    }
                    looked_ahead -= 1;
                    match self.replica.on_txn(&logged.payload) {
                        Ok(()) => {
                            self.tell_of(|observers, told| observers.on_delivered(&logged, told), &mut told);
                            history.push(logged);
                        }
                        Err(RecoverError::Undecodable(error)) => {
                            let zxid = logged.zxid;
                            self.end = self.end.take().or(Some(DownReason::Undecodable { zxid, error }));
                        }
                    }
                }
                LearnerAction::Serve => {
                    let committed = self.learner.configurations().committed();
                    if let Some(text) = unshown(committed, self.is_static, self.replica.tree()) {
                        let version = Zxid(committed.version());
                        self.replica.show_configuration(text.as_bytes(), version, self.wall);
                    }
                    self.publish(storage, out);
                    out.push(Action::Serve);
                }
                LearnerAction::Pong(zxid) => {
                    let touched = self.replica.take_touched();
                    out.push(Action::ToLeader(FromLearner::Ping { zxid, touched }));
                }
                LearnerAction::Revalidated { session, valid } => {
                    if let Some(link) = self.replica.on_revalidated(session, valid) {
                        let tell = |observers: &mut ObserverMaster, told: &mut _| {
                            observers.on_revalidated(link, session, valid, told);
                        };
                        self.tell_of(tell, &mut told);
                    }
                }
                LearnerAction::Synced => {
                    if let Some(link) = self.replica.on_synced() {
                        self.tell_of(|observers, told| observers.on_synced(link, told), &mut told);
                    }
                }
                LearnerAction::Down(reason) => self.end = self.end.take().or(Some(reason)),
            }
        }
        drop(actions);
        self.done = done;
        out.extend(told.into_iter().filter_map(|action| match action {
            MasterAction::Send(link, packet) => Some(Action::ToLearner(link, packet)),
            _ => None,
        }));
    }

    /// Has observers told of what came from the leader, which takes no more than packets.
    fn tell_of(
        &mut self,
        tell: impl FnOnce(&mut ObserverMaster, &mut Vec<MasterAction>),
        told: &mut Vec<MasterAction>,
    ) {
        if let Some(observers) = &mut self.observers {
            tell(observers, told);
        }
    }

    /// Publishes all that was applied and answered, once the log has been handed what there is: no server shows
    /// what its log lacks.
    pub(super) fn publish(&mut self, storage: &mut Storage, out: &mut Vec<Action>) {
        storage.flush(out);
        if let Some(batch) = self.replica.publish() {
            out.push(Action::Publish(batch));
        }
    }
}
