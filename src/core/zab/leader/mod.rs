//! The leader of an epoch, decided without I/O (zab §§3–10).
//!
//! ```text
//!                 quorum of infos          quorum of promises         quorum of NEWLEADER acks
//!   AwaitInfos ------------------> saving -------------------> saving ------------------> Established
//!                              acceptedEpoch             currentEpoch        |
//!                               LEADERINFO                DIFF, TRUNC, SNAP  UPTODATE, proposals, commits
//! ```
//!
//! Each learner goes the same way on its own ([`link::Stage`]), at its own pace once there is a quorum; those that
//! may not lead are a step behind (`precedence`). A transaction is committed when a quorum has it on disk, this
//! server's own disk counting as one. Acks are cumulative: a log that has a transaction has all before it. What a
//! learner acknowledged on an earlier connection does not count any more, because it may have been told to cut it off.

mod broadcast;
mod confirm;
mod discovery;
mod figures;
mod link;
mod liveness;
mod oracle;
mod precedence;
mod reconfig;
mod syncing;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

pub use figures::{LeaderFigures, ProposalSizes};
pub use link::LinkId;
use link::{Link, Stage};

use super::history::{History, Logged};
use super::options::{EpochFile, Epochs, ZabOptions};
use super::packet::{FromLeader, FromLearner};
use super::reason::{CloseReason, DownReason};
use crate::config::Configurations;
use crate::durable::Durable;
use crate::flow::ForwardedRequest;
use crate::id::{ServerId, SessionId, Zxid};
use crate::quorum::JointQuorum;
use crate::time::Instant;

/// What must be done for a leader, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LeaderAction {
    /// Send a packet.
    Send(LinkId, FromLeader),
    /// Send the tree that was taken for this learner: it was just told so.
    SendTree(LinkId),
    /// Take the tree as it is published, and say [`Leader::on_tree_taken`].
    TakeTree(LinkId),
    /// Read the log from the last record that is not after `from` on, up to `upto` at least, and say
    /// [`Leader::on_log_read`].
    ReadLog {
        /// For whom.
        link: LinkId,
        /// Where the learner's log ends.
        from: Zxid,
        /// What is in memory follows this.
        upto: Zxid,
    },
    /// Close the connection. [`Leader::on_closed`] is not needed for it.
    Close(LinkId, CloseReason),
    /// Make the epoch durable and say [`Leader::on_epoch_saved`].
    SaveEpoch(EpochFile, u32),
    /// These are the configurations that this server goes by from now on. Once they are on disk, say
    /// [`Leader::on_configurations_saved`].
    Configure(Configurations),
    /// This server leads: requests may be ordered from the epoch's zxid on, and clients served.
    Established,
    /// Everything up to this is committed.
    Committed(Zxid),
    /// Order a learner's request now, before anything else is given to the leader.
    Order(LinkId, ForwardedRequest),
    /// Sessions that a learner heard, and their timeouts in milliseconds.
    Touch(Vec<(SessionId, i32)>),
    /// A session's client came to a learner: say [`Leader::revalidated`].
    Revalidate {
        /// The learner.
        link: LinkId,
        /// The session.
        session: SessionId,
        /// Its timeout in milliseconds.
        timeout_ms: i32,
    },
    /// Ask the oracle whether this server may go on alone, and say [`Leader::on_oracle`].
    AskOracle,
    /// This round of [`Leader::confirm`] is over: this server led when it was asked for.
    Confirmed(u64),
    /// This server leads no more. Every connection is to be closed.
    Down(DownReason),
}

/// The leader's machine. See the module's documentation.
pub struct Leader {
    options: ZabOptions,
    phase: Phase,
    /// When the phase must be over; in [`Phase::Established`], when the quorum is looked at next.
    deadline: Instant,
    next_ping: Instant,
    /// What this server had promised and followed before.
    before: Epochs,
    epoch: u32,
    history: History,
    /// Where this server was when it began to lead, and the last record that its log had then.
    initial: Zxid,
    logged: Zxid,
    /// Where this server's own disk is.
    durable: Zxid,
    proposed: Zxid,
    committed: Zxid,
    outstanding: VecDeque<Logged>,
    /// Who decides, by the options' configurations.
    quorum: JointQuorum,
    reconfigs: reconfig::Reconfigs,
    links: BTreeMap<LinkId, Link>,
    /// Voters that have come, and that have promised the epoch.
    came: BTreeSet<ServerId>,
    promised: BTreeSet<ServerId>,
    rounds: confirm::Rounds,
    oracle: oracle::Oracle,
    /// Ids for learners that do not say theirs.
    next_nameless: i64,
    /// Since when a quorum follows.
    established: Option<Instant>,
    proposal_sizes: ProposalSizes,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    AwaitInfos,
    SavingAccepted,
    AwaitPromises,
    SavingCurrent,
    AwaitAcks,
    Established,
    /// Another server is to lead: the learners are waited for to go.
    HandedOver,
    Down,
}

impl Leader {
    /// A server that was elected. Its log ends where `history` does, of which `durable` is on disk; its state
    /// is `last`, which is later only if it opened an epoch that has no transactions.
    pub fn new(
        options: ZabOptions,
        before: Epochs,
        history: History,
        (last, durable): (Zxid, Zxid),
        now: Instant,
        out: &mut Vec<LeaderAction>,
    ) -> Leader {
        let logged = history.last();
        let initial = last.max(logged);
        let mut leader = Leader {
            deadline: now + options.timing.init(),
            next_ping: now,
            phase: Phase::AwaitInfos,
            before,
            epoch: before.accepted.saturating_add(1),
            initial,
            logged,
            durable,
            proposed: initial,
            committed: initial,
            outstanding: VecDeque::new(),
            quorum: options.configurations.quorum(),
            reconfigs: reconfig::Reconfigs::default(),
            links: BTreeMap::new(),
            came: BTreeSet::from([options.id]),
            promised: BTreeSet::from([options.id]),
            rounds: confirm::Rounds::default(),
            oracle: oracle::Oracle::default(),
            next_nameless: -1,
            established: None,
            proposal_sizes: ProposalSizes::default(),
            history,
            options,
        };
        leader.fix_epoch_if_quorum(now, out);
        leader
    }

    /// A learner has connected.
    pub fn on_accepted(&mut self, id: LinkId, now: Instant) {
        self.links.insert(id, Link::new(now, now + self.options.timing.init()));
    }

    /// A learner's connection is gone.
    pub fn on_closed(&mut self, id: LinkId, now: Instant, out: &mut Vec<LeaderAction>) {
        if self.links.remove(&id).is_some() {
            self.on_left(now, out);
        }
    }

    /// A learner sent a packet. One from a connection that is closed is left out.
    pub fn on_packet(&mut self, id: LinkId, packet: FromLearner, now: Instant, out: &mut Vec<LeaderAction>) {
        let sync = self.options.timing.sync();
        let Some(link) = self.links.get_mut(&id) else { return };
        link.last_heard = now;
        if link.stage == Stage::Serving {
            link.deadline = now + sync;
        }
        match (link.stage, packet) {
            (_, FromLearner::Unknown(_)) => {}
            (Stage::AwaitInfo, FromLearner::Info(info)) => self.on_info(id, info, now, out),
            (Stage::AwaitAckEpoch, FromLearner::AckEpoch { zxid, current_epoch }) => {
                self.on_ack_epoch(id, zxid, current_epoch, now, out);
            }
            (Stage::AwaitAck | Stage::AwaitStart | Stage::Serving, FromLearner::Ack(zxid)) => {
                self.on_ack(id, zxid, now, out);
            }
            (Stage::Serving, FromLearner::Ping { touched, .. }) => {
                if !touched.is_empty() {
                    out.push(LeaderAction::Touch(touched));
                }
                self.on_pong(id, now, out);
            }
            (Stage::Serving, FromLearner::Revalidate { session, timeout_ms }) => {
                out.push(LeaderAction::Revalidate { link: id, session, timeout_ms });
            }
            (Stage::Serving, FromLearner::Request(request)) => self.on_request(id, request, now, out),
            (stage, packet) => {
                let (packet, awaited) = (packet.name(), stage.name());
                self.close(id, CloseReason::Unexpected { packet, awaited }, now, out);
            }
        }
    }

    /// The answer to [`LeaderAction::Revalidate`].
    pub fn revalidated(&mut self, id: LinkId, session: SessionId, valid: bool, out: &mut Vec<LeaderAction>) {
        if self.links.contains_key(&id) {
            out.push(LeaderAction::Send(id, FromLeader::Revalidated { session, valid }));
        }
    }

    /// The epoch is durable that [`LeaderAction::SaveEpoch`] named.
    pub fn on_epoch_saved(&mut self, file: EpochFile, now: Instant, out: &mut Vec<LeaderAction>) {
        match (self.phase, file) {
            (Phase::SavingAccepted, EpochFile::Accepted) => self.announce_epoch(now, out),
            (Phase::SavingCurrent, EpochFile::Current) => self.start_syncing(now, out),
            _ => {}
        }
    }

    /// This server's own log has come so far.
    pub fn on_durable(&mut self, durable: Durable, now: Instant, out: &mut Vec<LeaderAction>) {
        self.durable = self.durable.max(durable.upto());
        match self.phase {
            Phase::AwaitPromises => self.enter_epoch_if_quorum(out),
            Phase::Established => self.commit_if_quorum(now, out),
            _ => {}
        }
    }

    /// The epoch that this server leads or tries to lead.
    pub fn epoch(&self) -> u32 {
        self.epoch
    }

    /// The configurations that it goes by.
    pub fn configurations(&self) -> &Configurations {
        &self.options.configurations
    }

    /// Whether a quorum follows.
    pub fn is_established(&self) -> bool {
        self.phase == Phase::Established
    }

    /// How many proposals are not committed.
    pub fn outstanding(&self) -> usize {
        self.outstanding.len()
    }

    /// The learners that are connected and have said who they are: id, whether it is a follower, and whether
    /// it takes part already.
    pub fn learners(&self) -> impl Iterator<Item = (ServerId, bool, bool)> {
        let known = self.links.values().filter(|link| link.stage != Stage::AwaitInfo);
        known.map(|link| (link.learner, link.is_follower(), link.stage == Stage::Serving))
    }

    /// Whether one of them is of 3.4. What it could not read must not be proposed.
    pub fn has_old_learners(&self) -> bool {
        self.links.values().any(|link| link.is_old)
    }

    /// What is left when the leader is down: the history that is committed, and what this server has in its
    /// log beyond it.
    pub fn into_parts(self) -> (History, VecDeque<Logged>) {
        (self.history, self.outstanding)
    }

    /// The zxid that opens the epoch. No transaction has it.
    fn epoch_zxid(&self) -> Zxid {
        Zxid::new(self.epoch, 0)
    }

    fn close(&mut self, id: LinkId, reason: CloseReason, now: Instant, out: &mut Vec<LeaderAction>) {
        if self.links.remove(&id).is_some() {
            out.push(LeaderAction::Close(id, reason));
            self.on_left(now, out);
        }
    }

    fn on_left(&mut self, now: Instant, out: &mut Vec<LeaderAction>) {
        self.check_round(now, out);
        self.commit_if_quorum(now, out); // It may be up to the oracle now.
        self.check_handed_over(out);
    }

    fn down(&mut self, reason: DownReason, out: &mut Vec<LeaderAction>) {
        self.phase = Phase::Down;
        self.links.clear();
        out.push(LeaderAction::Down(reason));
    }
}
