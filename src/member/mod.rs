//! The commit role of an ensemble's member: looks for a leader, leads or follows, and begins anew when that
//! ends.
//!
//! ```text
//!             elected: me            Established                     UPTODATE
//!   Looking ------------> Leading ----------------> (serves)    .-----------------> (serves)
//!      ^  \ elected: other                 | Down               |                       |
//!      |   '----------------------> Following ------------------'                       | Down
//!      '--------------------------------------------------------------------------------'
//! ```
//!
//! What is decided is decided by machines: [`ElectionPeer`], [`Leader`] and [`Pipeline`], [`Learner`] and
//! [`Replica`]. This module carries their actions out: to the log, to other servers, to the shards, to the
//! snapshotter and to the disk.
//!
//! [`ElectionPeer`]: ringkeeper_core::election::ElectionPeer
//! [`Leader`]: ringkeeper_core::zab::Leader
//! [`Learner`]: ringkeeper_core::zab::Learner
//! [`Replica`]: ringkeeper_core::prep::Replica

mod disk;
mod following;
mod leading;
mod proposals;

use std::collections::BTreeMap;
use std::sync::Arc;

use ringkeeper_core::config::HostPort;
use ringkeeper_core::election::{LastLogged, Outcome, PeerState};
use ringkeeper_core::flow::ShardTurn;
use ringkeeper_core::format::wal::RecordBatch;
use ringkeeper_core::id::{ServerId, Zxid};
use ringkeeper_core::prep::Pipeline;
use ringkeeper_core::time::{Instant, WallTime};
use ringkeeper_core::tree::TreeOptions;
use ringkeeper_core::zab::{EpochFile, Epochs, History, Tail, ZabOptions};
use tracing::{info, warn};

use crate::admin::Desk;
use crate::commit::Followers;
use crate::election::ToElection;
use crate::quorum_port::{Attempt, FromPeers};
use crate::runtime::{Clock, Inbox, Sender, TICK, sleep, spawn};
use crate::wiring::{Mode, ToCommit, ToLog};
pub use disk::{Disk, EpochError, read_epochs};
use following::Following;
use leading::Leading;

/// A member's commit role, ready to run.
pub struct Member {
    /// What it must know.
    pub options: MemberOptions,
    /// The database, with everything that the log has.
    pub pipeline: Pipeline,
    /// Up to where the log is on disk.
    pub durable: Zxid,
    /// What it has promised and followed.
    pub epochs: Epochs,
    /// Where it is told.
    pub inbox: Inbox<ToCommit>,
    /// For its own helpers.
    pub to_self: Sender<ToCommit>,
    /// The log. Dropped at the end, so that the log ends too.
    pub log: Sender<ToLog>,
    /// Who is told to look for a leader.
    pub election: Sender<ToElection>,
    /// Who applies what is published.
    pub followers: Followers,
    /// Who answers four-letter words.
    pub desk: Arc<Desk>,
    /// What is on disk besides the log.
    pub disk: Disk,
    /// The time.
    pub clock: Clock,
}

/// What a member must know.
#[derive(Clone, Debug)]
pub struct MemberOptions {
    /// What leaders and learners must know.
    pub zab: ZabOptions,
    /// Whether this server only watches.
    pub is_observer: bool,
    /// Where each server's quorum port is.
    pub quorum_addresses: BTreeMap<ServerId, Vec<HostPort>>,
    /// What trees that a leader sends get.
    pub tree: TreeOptions,
    /// How long a value from another server may be, in bytes.
    pub value_len_max: usize,
}

/// What all states share.
struct Ground {
    options: MemberOptions,
    durable: Zxid,
    epochs: Epochs,
    to_self: Sender<ToCommit>,
    log: Option<Sender<ToLog>>,
    election: Sender<ToElection>,
    followers: Followers,
    disk: Disk,
    /// What goes to the log at the end of the turn.
    records: RecordBatch,
    last_attempt: u64,
    now: Instant,
    wall: WallTime,
}

enum State {
    Looking(Idle),
    Leading(Box<Leading>),
    Following(Box<Following>),
}

/// What outlives a time of leading or following: the database, and the log beyond it.
struct Idle {
    pipeline: Pipeline,
    history: History,
    tail: Tail,
}

impl Idle {
    /// The state that this server's vote names.
    fn last(&self) -> Zxid {
        self.tail.last().max(self.pipeline.last_zxid())
    }
}

impl Member {
    /// Runs until [`ToCommit::Stop`] and the log's end.
    pub async fn run(self) {
        let Member { options, pipeline, durable, epochs, mut inbox, to_self, desk, clock, .. } = self;
        let last = pipeline.last_zxid();
        spawn(tick(to_self.clone()));
        let mut ground = Ground {
            options,
            durable,
            epochs,
            to_self,
            log: Some(self.log),
            election: self.election,
            followers: self.followers,
            disk: self.disk,
            records: RecordBatch::new(),
            last_attempt: 0,
            now: clock.now(),
            wall: clock.wall(),
        };
        let history = History::new(last, Default::default());
        let mut state = Some(State::Looking(Idle { pipeline, history, tail: Tail::new(last) }));
        let mut messages = Vec::with_capacity(MESSAGES_PER_TURN_MAX);
        let mut ended = false;
        while !ended && inbox.take(&mut messages, MESSAGES_PER_TURN_MAX).await {
            (ground.now, ground.wall) = (clock.now(), clock.wall());
            for message in messages.drain(..) {
                match message {
                    ToCommit::LogEnded => ended = true,
                    ToCommit::Ask(question) => desk.add_sessions(&question, sessions(&state)),
                    ToCommit::Stop => {
                        state = state.take().map(|state| State::Looking(state.into_idle(&mut ground)));
                        ground.submit();
                        ground.election.post(ToElection::Stop);
                        ground.log = None;
                    }
                    message => state = state.take().map(|state| state.on_message(message, &mut ground)),
                }
            }
            // The log first: what goes to other servers and to the shards can go while the device works.
            ground.submit();
            if let Some(state) = &mut state {
                state.flush(&ground);
            }
        }
    }
}

fn sessions(state: &Option<State>) -> Vec<(ringkeeper_core::id::SessionId, Instant)> {
    match state {
        Some(State::Leading(leading)) => leading.session_deadlines(),
        _ => Vec::new(),
    }
}

impl Ground {
    /// Hands over what is to be logged.
    fn submit(&mut self) {
        if let Some(log) = self.log.as_ref().filter(|_| !self.records.is_empty()) {
            log.post(ToLog::Records(std::mem::take(&mut self.records)));
        }
    }

    fn log_post(&self, message: ToLog) {
        if let Some(log) = &self.log {
            log.post(message);
        }
    }

    fn epochs_saved(&mut self, file: EpochFile, epoch: u32) {
        match file {
            EpochFile::Accepted => self.epochs.accepted = epoch,
            EpochFile::Current => self.epochs.current = epoch,
        }
    }

    fn is_stopping(&self) -> bool {
        self.log.is_none()
    }

    fn look(&self, idle: &Idle) {
        let last_logged = LastLogged { epoch: self.epochs.current.into(), zxid: idle.last() };
        self.election.post(ToElection::Look(last_logged));
    }
}

impl State {
    fn on_message(self, message: ToCommit, ground: &mut Ground) -> State {
        match (self, message) {
            (state, ToCommit::Durable(durable)) => {
                ground.durable = durable.upto();
                state.on_durable(durable, ground)
            }
            (State::Looking(idle), ToCommit::Elected(outcome)) => State::of_outcome(idle, outcome, ground),
            (State::Leading(leading), message) => leading.on_message(message, ground),
            (State::Following(following), message) => following.on_message(message, ground),
            // A learner that came too early comes again.
            (State::Looking(idle), _) => State::Looking(idle),
        }
    }

    fn on_durable(self, durable: ringkeeper_core::durable::Durable, ground: &mut Ground) -> State {
        match self {
            State::Looking(idle) => State::Looking(idle),
            State::Leading(leading) => leading.on_durable(durable, ground),
            State::Following(following) => following.on_durable(durable, ground),
        }
    }

    fn of_outcome(idle: Idle, outcome: Outcome, ground: &mut Ground) -> State {
        if ground.is_stopping() {
            return State::Looking(idle);
        }
        match outcome.state {
            PeerState::Leading => {
                info!("LEADING, from {}", idle.last());
                Leading::begin(idle, ground)
            }
            PeerState::Looking => State::Looking(idle),
            PeerState::Following | PeerState::Observing => {
                info!("FOLLOWING server {}, from {}", outcome.vote.leader, idle.last());
                Following::begin(idle, outcome.vote.leader, ground)
            }
        }
    }

    /// Ends leading or following. What was not published is taken back; it stays in the log.
    fn into_idle(self, ground: &mut Ground) -> Idle {
        ground.followers.stop_serving();
        match self {
            State::Looking(idle) => idle,
            State::Leading(leading) => leading.into_idle(ground),
            State::Following(following) => following.into_idle(ground),
        }
    }

    /// Goes back to looking for a leader.
    fn look_again(self, reason: &dyn std::fmt::Display, ground: &mut Ground) -> State {
        warn!("{reason}: looking for a leader");
        let idle = self.into_idle(ground);
        ground.look(&idle);
        State::Looking(idle)
    }

    /// Sends what the turn has made.
    fn flush(&mut self, ground: &Ground) {
        match self {
            State::Looking(_) => {}
            State::Leading(leading) => leading.flush(ground),
            State::Following(following) => following.flush(ground),
        }
    }
}

async fn tick(ticks: Sender<ToCommit>) {
    loop {
        sleep(TICK).await;
        ticks.post(ToCommit::Tick);
    }
}

/// A turn takes no more than this, so that what is durable is not published late.
const MESSAGES_PER_TURN_MAX: usize = 64;
