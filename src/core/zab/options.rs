use std::time::Duration;

use super::reason::CloseReason;
use crate::config::{Configurations, ReconfigRules, SyncLimits};
use crate::id::{ServerId, Zxid};

/// How long things may take (zab §10).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// `tickTime` in milliseconds.
    pub tick_ms: u32,
    /// `initLimit`, in ticks: for a leader to find its quorum, for a learner to be brought up to date.
    pub init_limit: u32,
    /// `syncLimit`, in ticks: for the two ends of a connection to hear of each other.
    pub sync_limit: u32,
}

impl Timing {
    /// `tickTime`.
    pub fn tick(&self) -> Duration {
        Duration::from_millis(self.tick_ms.max(1).into())
    }

    pub(super) fn init(&self) -> Duration {
        self.tick() * self.init_limit.max(1)
    }

    pub(super) fn sync(&self) -> Duration {
        self.tick() * self.sync_limit.max(1)
    }
}

/// What a leader or learner must know of its server and ensemble.
#[derive(Clone, Debug)]
pub struct ZabOptions {
    /// This server.
    pub id: ServerId,
    /// Who the servers are, and so whose acknowledgements count.
    pub configurations: Configurations,
    /// By which rules the ensemble may be reconfigured; `None` if it is not, whatever others say.
    pub reconfig: Option<ReconfigRules>,
    /// How long things may take.
    pub timing: Timing,
    /// `forceSnapshotSync`: whether every learner gets the whole tree.
    pub force_snapshot_sync: bool,
    /// Whether a sync waits until a quorum has confirmed that this server still leads. Java does not ask,
    /// so that a deposed leader can let a client read old data after a sync.
    pub confirm_syncs: bool,
    /// How many observers may be brought up to date at once.
    pub sync_limits: SyncLimits,
    /// `oraclePath`: whether there is somebody to ask if one of two voters may go on alone.
    pub has_oracle: bool,
}

/// How a learner is being brought up to date.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SyncBy {
    Tree,
    Diff,
}

impl SyncBy {
    /// Whether an observer may be brought up to date so, while `others` are.
    pub(super) fn admit(
        self,
        limits: SyncLimits,
        others: impl Iterator<Item = Option<SyncBy>>,
    ) -> Result<(), CloseReason> {
        let most = match self {
            SyncBy::Tree => limits.trees_max,
            SyncBy::Diff => limits.diffs_max,
        };
        match others.filter(|other| *other == Some(self)).count() < most {
            true => Ok(()),
            false => Err(CloseReason::TooManySyncs { most }),
        }
    }
}

/// The epochs that a server has on disk (zab §3.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Epochs {
    /// The newest epoch that the server has promised to follow: it follows no older leader.
    pub accepted: u32,
    /// The epoch whose leader last brought the server to its state.
    pub current: u32,
}

impl Epochs {
    /// The epochs of a server whose state is `last`, by what its files say. A missing one comes from the state, as
    /// in Java; `currentEpoch` is raised to the state's epoch, which was entered by whoever logged it.
    ///
    /// # Errors
    ///
    /// With both numbers, if a promise is missing that was kept.
    pub fn recovered(accepted: Option<u32>, current: Option<u32>, last: Zxid) -> Result<Epochs, Epochs> {
        let of_state = last.epoch();
        let epochs = Epochs {
            current: current.unwrap_or(of_state).max(of_state),
            accepted: accepted.unwrap_or(of_state),
        };
        match current {
            Some(current) if epochs.accepted < current => Err(epochs),
            _ => Ok(Epochs { accepted: epochs.accepted.max(epochs.current), ..epochs }),
        }
    }
}

/// One of the two files that hold an epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EpochFile {
    /// `acceptedEpoch`.
    Accepted,
    /// `currentEpoch`.
    Current,
}
