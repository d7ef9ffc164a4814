use std::collections::VecDeque;
use std::time::Duration;

use super::{Action, Member, Moment};
use crate::election::{LastLogged, Outcome, PeerState};
use crate::flow::ShardTurn;
use crate::id::{ServerId, Zxid};
use crate::time::Instant;
use crate::tree::DataTree;
use crate::zab::packet::{FromLeader, FromLearner, LearnerKind, PacketError};
use crate::zab::{DownReason, LinkId};

/// A member's seat in its ensemble: which connections with other servers it takes up, keeps and gives up, and
/// when it looks for a leader. `S` is a connection that nothing was read from yet.
///
/// ```text
///   Look ----> election ----> on_elected --leading---> learners are let in, those that came early first
///     ^                                  --following-> Dial --> on_leader(Connected) --> Begin
///     '---- whatever ends that, unless a reconfig determines who leads: Designated
/// ```
pub struct Seat<S> {
    member: Member,
    /// The connection to the leader, or the attempt to make one, and who that is.
    leader: Option<(Attempt, ServerId)>,
    attempts: u64,
    next_link: u64,
    /// For an observer that others than the leader bring up to date: who does that if it follows.
    masters: Vec<ServerId>,
    /// Learners that came before this server knew that it leads, and observers before it followed.
    early: VecDeque<Early<S>>,
    /// Since when it follows, or tries to, unless it has come to serve since.
    tries_since: Option<Instant>,
    /// How often in a row it tried to follow and did not come to serve.
    failures: u32,
    /// Turns that wait until those who apply what is published have caught up.
    held: VecDeque<ShardTurn>,
    is_stopped: bool,
    /// Empty between calls, and kept for its memory.
    actions: Vec<Action>,
}

/// A connection that this server may come to want.
struct Early<S> {
    since: Instant,
    connection: S,
    is_observer: bool,
}

/// A connection to a leader, or what was to become one. Never used again for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Attempt(pub u64);

/// What a driver must do for a seat, in order.
#[derive(Debug)]
pub enum Duty<S> {
    /// What the member asks for. After [`Action::Down`], every connection to learners and to the leader is of no
    /// use any more.
    Act(Action),
    /// Connect to the quorum port of this server, for as long as a leader may take to answer at all:
    /// [`Seat::on_leader`] with [`LeaderEvent::Connected`] or [`LeaderEvent::Unreachable`].
    Dial(Attempt, ServerId),
    /// The same, to the port for observers of this server, which follows.
    DialMaster(Attempt, ServerId),
    /// Read the connection to the leader, and use it for [`Action::ToLeader`].
    Begin(S),
    /// The connection to the leader is over.
    HangUp,
    /// Read a learner's connection from now on.
    LetIn(LinkId, S),
    /// A learner's connection is over.
    LetGo(LinkId),
    /// The leader that was elected last does not take this server: it is not to be tried again for so long, unless
    /// it is elected anew. An election is asked for next.
    Avoid(Duration),
    /// Have a leader elected: this is how far the server is, and why.
    Look(LastLogged, DownReason),
    /// No election is needed: a reconfig, which is this transaction, has determined that this server leads.
    Designated(ServerId, Zxid),
}

/// What became of a connection to a leader.
#[derive(Debug)]
pub enum LeaderEvent<S> {
    /// It is there.
    Connected(S),
    /// It could not be made in time.
    Unreachable,
    /// The leader sent packets, in this order.
    Packets(Vec<FromLeader>),
    /// Some of the tree that the leader announced has come.
    TreeBytes,
    /// The whole of it has.
    Tree(Box<DataTree>),
    /// The leader sent what cannot be read.
    Malformed(DownReason),
    /// The connection is gone.
    Closed,
}

/// What became of a learner's connection.
#[derive(Debug)]
pub enum LearnerEvent {
    /// It sent packets, in this order.
    Packets(Vec<FromLearner>),
    /// It sent what is none.
    Malformed(PacketError),
    /// The whole tree has left that it was to be sent.
    TreeSent,
    /// The connection is gone.
    Closed,
}

impl<S> Seat<S> {
    /// The seat of a member that looks for a leader.
    pub fn new(member: Member) -> Seat<S> {
        Seat {
            member,
            leader: None,
            attempts: 0,
            next_link: 0,
            masters: Vec::new(),
            early: VecDeque::new(),
            tries_since: None,
            failures: 0,
            held: VecDeque::new(),
            is_stopped: false,
            actions: Vec::new(),
        }
    }

    /// The seat of an observer that one of these servers is to bring up to date, if it follows
    /// (`observerMasterPort`).
    pub fn with_masters(self, masters: Vec<ServerId>) -> Seat<S> {
        Seat { masters, ..self }
    }

    /// Who sits there.
    pub fn member(&self) -> &Member {
        &self.member
    }

    /// How far the server is, for its vote.
    pub fn last_logged(&self) -> LastLogged {
        let position = self.member.position();
        LastLogged { epoch: position.epoch.into(), zxid: position.zxid }
    }

    /// What the server is to its clients and in which epoch, if it leads or follows.
    pub fn standing(&self) -> Option<(PeerState, u32)> {
        match (self.member.leader(), self.member.learner()) {
            (Some(leader), _) => Some((PeerState::Leading, leader.epoch())),
            (None, Some(learner)) => {
                let is_observer = learner.kind() == LearnerKind::Observer;
                let state = if is_observer { PeerState::Observing } else { PeerState::Following };
                Some((state, learner.epoch()))
            }
            (None, None) => None,
        }
    }

    /// Has the member hear of something that is its own business: its disk, its log, time.
    pub fn tell(
        &mut self,
        at: Moment,
        out: &mut Vec<Duty<S>>,
        tell: impl FnOnce(&mut Member, Moment, &mut Vec<Action>),
    ) {
        let mut actions = std::mem::take(&mut self.actions);
        tell(&mut self.member, at, &mut actions);
        for action in actions.drain(..) {
            let down = match &action {
                Action::Down(reason) => Some(reason.clone()),
                Action::Serve => {
                    (self.tries_since, self.failures) = (None, 0);
                    None
                }
                _ => None,
            };
            out.push(Duty::Act(action));
            if let Some(reason) = down {
                self.held.clear();
                self.leader = None;
                match reason {
                    DownReason::Reconfigured { leader: Some(leader), zxid } if !self.is_stopped => {
                        out.push(Duty::Designated(leader, zxid));
                    }
                    reason => self.look(reason, at, out),
                }
            }
        }
        self.actions = actions;
    }

    /// A shard's turn. It waits unless those who apply what is published are ready for more.
    pub fn on_turn(&mut self, turn: ShardTurn, is_ready: bool, at: Moment, out: &mut Vec<Duty<S>>) {
        if is_ready && self.held.is_empty() {
            self.tell(at, out, |member, at, actions| member.on_turn(turn, at, actions));
        } else {
            self.held.push_back(turn);
        }
    }

    /// Takes the oldest turn that waits, now that more may be published. False if there is none.
    pub fn on_ready(&mut self, at: Moment, out: &mut Vec<Duty<S>>) -> bool {
        let Some(turn) = self.held.pop_front() else { return false };
        self.tell(at, out, |member, at, actions| member.on_turn(turn, at, actions));
        true
    }

    /// Lets time pass. To be called several times in a `tickTime`.
    pub fn on_tick(&mut self, at: Moment, out: &mut Vec<Duty<S>>) {
        self.let_in(at, out);
        self.tell(at, out, |member, at, actions| member.on_tick(at, actions));
    }

    /// See [`Member::end_turn`].
    pub fn end_turn(&mut self, at: Moment, out: &mut Vec<Duty<S>>) {
        self.tell(at, out, |member, _, actions| member.end_turn(actions));
    }

    /// An election has ended.
    pub fn on_elected(&mut self, outcome: Outcome, at: Moment, out: &mut Vec<Duty<S>>) {
        if self.is_stopped {
            return;
        }
        match outcome.state {
            PeerState::Looking => {}
            PeerState::Leading => {
                self.tell(at, out, |member, at, actions| member.lead(at, actions));
                self.let_in(at, out);
            }
            PeerState::Following | PeerState::Observing => {
                self.attempts += 1;
                let (attempt, leader) = (Attempt(self.attempts), outcome.vote.leader);
                self.leader = Some((attempt, leader));
                self.tries_since = Some(at.now);
                out.push(match self.master(leader) {
                    Some(master) => Duty::DialMaster(attempt, master),
                    None => Duty::Dial(attempt, leader),
                });
            }
        }
    }

    /// Somebody connected to the quorum port.
    pub fn on_accepted(&mut self, connection: S, at: Moment, out: &mut Vec<Duty<S>>) {
        self.await_role(Early { since: at.now, connection, is_observer: false }, at, out);
    }

    /// Somebody connected to the port for observers.
    pub fn on_accepted_observer(&mut self, connection: S, at: Moment, out: &mut Vec<Duty<S>>) {
        self.await_role(Early { since: at.now, connection, is_observer: true }, at, out);
    }

    /// Something happened on a learner's connection.
    pub fn on_learner(&mut self, link: LinkId, event: LearnerEvent, at: Moment, out: &mut Vec<Duty<S>>) {
        match event {
            LearnerEvent::Packets(packets) => self.tell(at, out, |member, at, actions| {
                packets.into_iter().for_each(|packet| member.on_learner(link, packet, at, actions));
            }),
            LearnerEvent::TreeSent => {
                self.tell(at, out, |member, at, actions| member.on_tree_sent(link, at, actions));
            }
            LearnerEvent::Malformed(_) | LearnerEvent::Closed => {
                out.push(Duty::LetGo(link));
                self.tell(at, out, |member, at, actions| member.on_learner_closed(link, at, actions));
            }
        }
    }

    /// Something happened on a connection to a leader. It is left out if it is not on the present one.
    pub fn on_leader(&mut self, attempt: Attempt, event: LeaderEvent<S>, at: Moment, out: &mut Vec<Duty<S>>) {
        let Some((_, leader)) = self.leader.filter(|(current, _)| *current == attempt) else { return };
        match event {
            LeaderEvent::Connected(connection) => {
                out.push(Duty::Begin(connection));
                self.tell(at, out, |member, at, actions| member.follow(leader, at, actions));
            }
            LeaderEvent::Unreachable => self.hang_up(at, out),
            LeaderEvent::Packets(packets) => self.tell(at, out, |member, at, actions| {
                packets.into_iter().for_each(|packet| member.on_leader(packet, at, actions));
            }),
            LeaderEvent::TreeBytes => self.member.on_leader_tree_bytes(at),
            LeaderEvent::Tree(tree) => {
                self.tell(at, out, |member, at, actions| member.on_leader_tree(*tree, at, actions));
            }
            LeaderEvent::Malformed(reason) => {
                self.tell(at, out, |member, at, actions| member.on_leader_failed(reason, at, actions));
            }
            LeaderEvent::Closed => {
                // If the member has not begun to follow yet, it won't hear of it otherwise.
                if self.member.is_looking() {
                    self.hang_up(at, out);
                }
                self.tell(at, out, |member, at, actions| member.on_leader_closed(at, actions));
            }
        }
    }

    /// The server stops: no election counts any more, and none is asked for.
    pub fn stop(&mut self) {
        self.is_stopped = true;
        self.leader = None;
    }

    fn await_role(&mut self, early: Early<S>, at: Moment, out: &mut Vec<Duty<S>>) {
        self.early.push_back(early);
        self.early.truncate(EARLY_MAX);
        self.let_in(at, out);
    }

    /// Takes learners on if this server leads, or tries to, and observers if it follows and is to have some; lets
    /// those go that have waited in vain.
    fn let_in(&mut self, at: Moment, out: &mut Vec<Duty<S>>) {
        for early in std::mem::take(&mut self.early) {
            let is_wanted = match early.is_observer {
                true => self.member.takes_observers(),
                false => self.member.leader().is_some(),
            };
            if is_wanted {
                let link = LinkId(self.next_link);
                self.next_link += 1;
                out.push(Duty::LetIn(link, early.connection));
                self.tell(at, out, |member, at, actions| member.on_accepted(link, at, actions));
            } else if at.now.since(early.since) < EARLY_WAIT_MAX {
                self.early.push_back(early);
            }
        }
    }

    /// Where an observer goes instead of to the leader: to the followers in turn, each observer to another one
    /// first.
    fn master(&self, leader: ServerId) -> Option<ServerId> {
        let masters: Vec<ServerId> = self.masters.iter().copied().filter(|id| *id != leader).collect();
        let turn = self.member.id().0.unsigned_abs().wrapping_add(self.attempts);
        masters.get(turn.checked_rem(masters.len() as u64)? as usize).copied()
    }

    fn hang_up(&mut self, at: Moment, out: &mut Vec<Duty<S>>) {
        self.leader = None;
        out.push(Duty::HangUp);
        self.look(DownReason::LeaderLost, at, out);
    }

    fn look(&mut self, reason: DownReason, at: Moment, out: &mut Vec<Duty<S>>) {
        if self.is_stopped {
            return;
        }
        let is_reconfigured = matches!(reason, DownReason::Reconfigured { .. });
        if let Some(since) = self.tries_since.take().filter(|_| !is_reconfigured) {
            self.failures = self.failures.saturating_add(1);
            let apart = self.time_between_tries().saturating_sub(at.now.since(since));
            if !apart.is_zero() {
                out.push(Duty::Avoid(apart));
            }
        }
        out.push(Duty::Look(self.last_logged(), reason));
    }

    /// From one try to follow to the next: twice as long after each that came to nothing, but no more than half a
    /// `tickTime`, for a leader that takes this server at last should not wait for it.
    fn time_between_tries(&self) -> Duration {
        let most = self.member.options.zab.timing.tick() / 2;
        (TRY_AGAIN_MIN * 2u32.saturating_pow(self.failures.saturating_sub(1))).min(most)
    }
}

/// Java's pause between tries to connect to a leader (`leaderConnectDelayDuringRetryMs`).
const TRY_AGAIN_MIN: Duration = Duration::from_millis(100);

/// How long a learner is kept that came to a server that does not lead: it may have heard of the election a
/// little earlier, and otherwise finds out sooner if it is let go.
const EARLY_WAIT_MAX: Duration = Duration::from_millis(500);
const EARLY_MAX: usize = 64;
