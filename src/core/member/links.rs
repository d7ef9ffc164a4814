//! What a member hears of other servers, and of what it asked the driver for on their account.

use super::{Action, Member, Moment, Role, Start};
use crate::id::Zxid;
use crate::tree::DataTree;
use crate::zab::packet::{FromLeader, FromLearner};
use crate::zab::{
    DownReason, Known, Leader, LeaderAction, Learner, LearnerAction, LinkId, LogExcerpt, MasterAction,
    ObserverMaster,
};

impl Member {
    /// A learner has connected to a server that leads, or an observer to one that [takes
    /// some](Member::takes_observers).
    pub fn on_accepted(&mut self, link: LinkId, at: Moment, out: &mut Vec<Action>) {
        self.tell_leader(at, out, |leader, _| leader.on_accepted(link, at.now));
        self.tell_observers(out, |observers, _, _| observers.on_accepted(link, at.now));
        self.finish(at, out);
    }

    /// A learner sent a packet.
    pub fn on_learner(&mut self, link: LinkId, packet: FromLearner, at: Moment, out: &mut Vec<Action>) {
        match &self.role {
            Role::Learning(_) => self.tell_observers(out, |observers, known, done| {
                observers.on_packet(link, packet, known, at.now, done);
            }),
            _ => self.tell_leader(at, out, |leader, done| leader.on_packet(link, packet, at.now, done)),
        }
        self.finish(at, out);
    }

    /// A learner's connection is gone.
    pub fn on_learner_closed(&mut self, link: LinkId, at: Moment, out: &mut Vec<Action>) {
        self.tell_leader(at, out, |leader, done| leader.on_closed(link, at.now, done));
        self.tell_observers(out, |observers, _, _| observers.on_closed(link));
        self.finish(at, out);
    }

    /// [`Action::ReadLog`] is done. `None` if the log does not reach back so far, or if the tree takes less than
    /// what would have to be read.
    pub fn on_log_read(
        &mut self,
        link: LinkId,
        excerpt: Option<LogExcerpt>,
        at: Moment,
        out: &mut Vec<Action>,
    ) {
        match &self.role {
            Role::Learning(_) => self.tell_observers(out, |observers, known, done| {
                observers.on_log_read(link, excerpt, known, at.now, done);
            }),
            _ => self.tell_leader(at, out, |leader, done| leader.on_log_read(link, excerpt, at.now, done)),
        }
        self.finish(at, out);
    }

    /// [`Action::TakeTree`] is done: the driver has the tree as of this zxid, which was published.
    pub fn on_tree_taken(&mut self, link: LinkId, zxid: Zxid, at: Moment, out: &mut Vec<Action>) {
        self.tell_leader(at, out, |leader, done| leader.on_tree_taken(link, zxid, at.now, done));
        self.tell_observers(out, |observers, known, done| {
            observers.on_tree_taken(link, zxid, known, at.now, done);
        });
        self.finish(at, out);
    }

    /// [`Action::SendTree`] is done.
    pub fn on_tree_sent(&mut self, link: LinkId, at: Moment, out: &mut Vec<Action>) {
        self.tell_leader(at, out, |leader, _| leader.on_tree_sent(link, at.now));
        self.tell_observers(out, |observers, _, _| observers.on_tree_sent(link, at.now));
        self.finish(at, out);
    }

    /// The leader sent a packet.
    pub fn on_leader(&mut self, packet: FromLeader, at: Moment, out: &mut Vec<Action>) {
        self.tell_learner(out, |learner, done| learner.on_packet(packet, at.now, done));
        self.finish(at, out);
    }

    /// Part of the leader's tree has come.
    pub fn on_leader_tree_bytes(&mut self, at: Moment) {
        if let Role::Learning(learning) = &mut self.role {
            learning.on_tree_bytes(at);
        }
    }

    /// The tree that the leader announced has come.
    pub fn on_leader_tree(&mut self, tree: DataTree, at: Moment, out: &mut Vec<Action>) {
        if let Role::Learning(learning) = &mut self.role {
            learning.on_tree(tree, at, &mut self.storage, &mut self.history, out);
        }
        self.finish(at, out);
    }

    /// The connection to the leader is gone.
    pub fn on_leader_closed(&mut self, at: Moment, out: &mut Vec<Action>) {
        self.on_leader_failed(DownReason::LeaderLost, at, out);
    }

    /// The leader cannot be followed: what it sends is wrong, or cannot be done here.
    pub fn on_leader_failed(&mut self, reason: DownReason, at: Moment, out: &mut Vec<Action>) {
        if let Some(Start::Follow(_)) = self.next {
            self.next = None;
            out.push(Action::Down(reason));
        } else {
            self.tell_learner(out, |learner, done| learner.on_failed(reason, done));
        }
        self.finish(at, out);
    }

    pub(super) fn tell_leader(
        &mut self,
        at: Moment,
        out: &mut Vec<Action>,
        tell: impl FnOnce(&mut Leader, &mut Vec<LeaderAction>),
    ) {
        if let Role::Leading(leading) = &mut self.role {
            leading.tell(at, &mut self.storage, out, tell);
        }
    }

    fn tell_observers(
        &mut self,
        out: &mut Vec<Action>,
        tell: impl FnOnce(&mut ObserverMaster, Known<'_>, &mut Vec<MasterAction>),
    ) {
        if let Role::Learning(learning) = &mut self.role {
            learning.tell_observers(&mut self.storage, &mut self.history, out, tell);
        }
    }

    pub(super) fn tell_learner(
        &mut self,
        out: &mut Vec<Action>,
        tell: impl FnOnce(&mut Learner, &mut Vec<LearnerAction>),
    ) {
        if let Role::Learning(learning) = &mut self.role {
            learning.tell(&mut self.storage, &mut self.history, out, tell);
        }
    }
}
