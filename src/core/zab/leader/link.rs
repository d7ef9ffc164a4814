use std::collections::VecDeque;

use crate::id::{ServerId, Zxid};
use crate::time::Instant;
use crate::zab::history::Logged;
use crate::zab::options::SyncBy;
use crate::zab::packet::LearnerKind;

/// A connection to a learner or to a leader. Never used again for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkId(pub u64);

/// A learner, as its leader knows it.
pub(super) struct Link {
    pub(super) stage: Stage,
    /// How it is being brought up to date, until it has acknowledged that.
    pub(super) syncing: Option<SyncBy>,
    pub(super) learner: ServerId,
    pub(super) kind: LearnerKind,
    /// Whether it is of 3.4, and knows no transactions that came later.
    pub(super) is_old: bool,
    /// When the learner is given up unless it is heard.
    pub(super) deadline: Instant,
    pub(super) last_heard: Instant,
    /// The last transaction that was proposed to it.
    pub(super) proposed: Zxid,
    /// The last transaction whose commit it was told.
    pub(super) committed: Zxid,
    /// The last transaction that is on its disk, as far as it said so on this connection.
    pub(super) acked: Zxid,
    pub(super) unacked: Unacked,
    /// Its syncs, oldest first: later commits wait for them, so that its answers keep their order.
    pub(super) syncs: VecDeque<PendingSync>,
    /// What an observer is told once its syncs are done.
    pub(super) informs: VecDeque<Logged>,
    /// How many pings that it answers were sent, and how many it answered.
    pub(super) pings: u64,
    pub(super) pongs: u64,
    /// The ping whose answer confirms the round under way.
    pub(super) round_ping: u64,
}

/// What a learner's connection awaits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// The learner's first packet.
    AwaitInfo,
    /// The quorum that fixes the epoch.
    AwaitEpoch,
    /// ACKEPOCH.
    AwaitAckEpoch,
    /// The quorum that promises the epoch. The learner's log ends at this zxid.
    AwaitEpochQuorum(Zxid),
    /// The driver's reading of the log, for a learner whose log ends there.
    AwaitLog(Zxid),
    /// The driver's tree; how often it was asked for one.
    AwaitTree(u32),
    /// The learner's acknowledgement of NEWLEADER.
    AwaitAck,
    /// The quorum that establishes the leader.
    AwaitStart,
    /// Nothing: it takes part.
    Serving,
}

impl Stage {
    /// Whether the learner is told what happens from now on.
    pub(super) fn is_forwarding(self) -> bool {
        matches!(self, Stage::AwaitAck | Stage::AwaitStart | Stage::Serving)
    }

    /// Whether the learner has all that there was before the epoch, on its disk.
    pub(super) fn is_synced(self) -> bool {
        matches!(self, Stage::AwaitStart | Stage::Serving)
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Stage::AwaitInfo => "FOLLOWERINFO or OBSERVERINFO",
            Stage::AwaitEpoch => "a quorum of servers",
            Stage::AwaitAckEpoch => "ACKEPOCH",
            Stage::AwaitEpochQuorum(_) => "a quorum of promises",
            Stage::AwaitLog(_) | Stage::AwaitTree(_) => "its own disk",
            Stage::AwaitAck => "the ACK of NEWLEADER",
            Stage::AwaitStart => "a quorum of synced servers",
            Stage::Serving => "requests, acknowledgements and pings",
        }
    }
}

/// A sync that a learner's client asked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct PendingSync {
    /// What was proposed before it.
    pub(super) zxid: Zxid,
    /// The round of pings that confirms that this server led when the sync came.
    pub(super) round: u64,
}

/// Since when a learner owes an acknowledgement: for one proposal, and for the newest.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Unacked {
    watched: Option<(Zxid, Instant)>,
    newest: Option<(Zxid, Instant)>,
}

impl Unacked {
    pub(super) fn on_proposal(&mut self, zxid: Zxid, now: Instant) {
        match self.watched {
            None => self.watched = Some((zxid, now)),
            Some(_) => self.newest = Some((zxid, now)),
        }
    }

    pub(super) fn on_ack(&mut self, zxid: Zxid) {
        if self.watched.is_some_and(|(watched, _)| watched <= zxid) {
            self.watched = self.newest.take().filter(|(newest, _)| *newest > zxid);
        }
    }

    /// The proposal that the learner owes longest, as far as is known, and since when.
    pub(super) fn oldest(&self) -> Option<(Zxid, Instant)> {
        self.watched
    }
}

impl Link {
    pub(super) fn new(now: Instant, deadline: Instant) -> Link {
        Link {
            stage: Stage::AwaitInfo,
            syncing: None,
            learner: ServerId(-1),
            kind: LearnerKind::Observer,
            is_old: false,
            deadline,
            last_heard: now,
            proposed: Zxid::ZERO,
            committed: Zxid::ZERO,
            acked: Zxid::ZERO,
            unacked: Unacked::default(),
            syncs: VecDeque::new(),
            informs: VecDeque::new(),
            pings: 0,
            pongs: 0,
            round_ping: 1,
        }
    }

    pub(super) fn is_follower(&self) -> bool {
        self.stage != Stage::AwaitInfo && self.kind == LearnerKind::Follower
    }
}
