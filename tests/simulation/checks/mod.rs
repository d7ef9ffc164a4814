//! What an ensemble promises, one checker per promise.
//!
//! [`history`] knows the one sequence of transactions, as servers publish them; the others hold what servers and
//! clients see against it.

pub(crate) mod acknowledged;
pub(crate) mod durability;
pub(crate) mod elections;
pub(crate) mod ephemerals;
pub(crate) mod history;
pub(crate) mod leaders;
pub(crate) mod memberships;
pub(crate) mod progress;
pub(crate) mod read_only;
pub(crate) mod session_order;
pub(crate) mod sessions;
pub(crate) mod sync;
pub(crate) mod watches;

use ringkeeper_core::flow::CommitBatch;

use crate::server::Server;
use crate::setup::Setup;
use crate::world::Failure;

pub(crate) type Verdict = Result<(), Failure>;

/// All checkers that look at the whole ensemble.
pub(crate) struct Checks {
    pub(crate) history: history::History,
    pub(crate) durability: durability::Durability,
    pub(crate) elections: elections::Elections,
    pub(crate) leaders: leaders::Leaders,
    pub(crate) memberships: memberships::Memberships,
    pub(crate) acknowledged: acknowledged::Acknowledged,
    pub(crate) sync: sync::Syncs,
    pub(crate) read_only: read_only::ReadOnly,
    pub(crate) sessions: sessions::Sessions,
    pub(crate) ephemerals: ephemerals::Ephemerals,
    pub(crate) counts: Counts,
}

/// How much of each thing was checked, so that a test can see that there was enough to check.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) writes: u64,
    pub(crate) reads: u64,
    pub(crate) syncs: u64,
    pub(crate) events: u64,
    pub(crate) sessions: u64,
    pub(crate) sessions_lost: u64,
    pub(crate) moves: u64,
    /// Answers of servers without a leader.
    pub(crate) read_only: u64,
    /// Sessions that were their server's own and have become the ensemble's.
    pub(crate) upgrades: u64,
    /// Disks that were lost.
    pub(crate) disks: u64,
}

impl Counts {
    pub(crate) fn add(&mut self, other: &Counts) {
        let Counts {
            writes,
            reads,
            syncs,
            events,
            sessions,
            sessions_lost,
            moves,
            read_only,
            upgrades,
            disks,
        } = self;
        for (sum, more) in [
            (writes, other.writes),
            (reads, other.reads),
            (syncs, other.syncs),
            (events, other.events),
            (sessions, other.sessions),
            (sessions_lost, other.sessions_lost),
            (moves, other.moves),
            (read_only, other.read_only),
            (upgrades, other.upgrades),
            (disks, other.disks),
        ] {
            *sum += more;
        }
    }
}

impl Checks {
    pub(crate) fn new(setup: &Setup) -> Checks {
        Checks {
            history: history::History::new(),
            durability: durability::Durability::new(setup),
            elections: elections::Elections::default(),
            leaders: leaders::Leaders::default(),
            memberships: memberships::Memberships::default(),
            acknowledged: acknowledged::Acknowledged::default(),
            sync: sync::Syncs::default(),
            read_only: read_only::ReadOnly::default(),
            sessions: sessions::Sessions::new(setup.new_sessions),
            ephemerals: ephemerals::Ephemerals::default(),
            counts: Counts::default(),
        }
    }

    /// A server publishes.
    pub(crate) fn on_publish(
        &mut self,
        servers: &mut [Server],
        server: usize,
        batch: &CommitBatch,
    ) -> Verdict {
        let before = self.history.len();
        self.history.on_publish(&mut servers[server], batch)?;
        self.on_growth(before, servers)
    }

    /// A server is about to serve clients.
    pub(crate) fn on_serve(&mut self, servers: &[Server], server: usize) -> Verdict {
        let before = self.history.len();
        self.history.on_serve(&servers[server])?;
        self.on_growth(before, servers)?;
        self.acknowledged.on_serve(&servers[server])
    }

    fn on_growth(&mut self, before: usize, servers: &[Server]) -> Verdict {
        for index in before..self.history.len() {
            let txn = self.history.txn(index);
            self.durability.on_committed(txn, servers)?;
            self.sessions.on_committed(txn, &mut self.counts)?;
            self.ephemerals.on_committed(txn)?;
        }
        Ok(())
    }
}

/// A promise that is not kept.
pub(crate) fn broken(promise: &'static str, text: String) -> Failure {
    Failure { promise, text }
}

/// Fails unless it is so.
macro_rules! must {
    ($promise:expr, $holds:expr, $($text:tt)*) => {
        if !$holds {
            return Err($crate::checks::broken($promise, format!($($text)*)));
        }
    };
}
pub(crate) use must;
