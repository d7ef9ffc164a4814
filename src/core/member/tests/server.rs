use crate::config::SyncLimits;
use crate::id::{ServerId, Zxid};
use crate::member::{Action, Member, MemberOptions, Moment};
use crate::ops::Settings;
use crate::prep::{Pipeline, PipelineOptions, ReaperOptions};
use crate::session::NewSessions;
use crate::testing::configurations;
use crate::tree::{DataTree, TreeOptions};
use crate::zab::{Epochs, History, HistoryBounds, Logged, Timing, ZabOptions};

/// A server by itself: what its log has, and while it runs its process.
pub(super) struct Server {
    pub(super) options: MemberOptions,
    pub(super) log: Vec<Logged>,
    pub(super) process: Option<Process>,
}

pub(super) struct Process {
    pub(super) member: Member,
}

impl Server {
    /// One of so many voters, or an observer with a later id.
    pub(super) fn new(id: usize, voters: usize) -> Server {
        let voters: Vec<i64> = (0..voters as i64).collect();
        let observers: Vec<i64> = (voters.len() as i64..=id as i64).collect();
        let options = MemberOptions {
            zab: ZabOptions {
                id: ServerId(id as i64),
                configurations: configurations(&voters, &observers, 0),
                reconfig: None,
                timing: Timing { tick_ms: 100, init_limit: 10, sync_limit: 5 },
                force_snapshot_sync: false,
                confirm_syncs: true,
                sync_limits: SyncLimits::default(),
                has_oracle: false,
            },
            pipeline: PipelineOptions {
                server: ServerId(id as i64),
                shards: 1,
                tick_ms: 100,
                new_sessions: NewSessions::Global,
                settings: Settings::default(),
                reaper: ReaperOptions::default(),
            },
            rollover_at: u32::MAX,
            read_only_after: None,
            has_observers: false,
        };
        Server { options, log: Vec::new(), process: None }
    }

    /// Starts the server on what its log has.
    pub(super) fn start(&mut self) {
        let tree = DataTree::new(TreeOptions::default());
        let mut pipeline = Pipeline::new(self.options.pipeline.clone(), tree);
        for logged in &self.log {
            pipeline.recover(&logged.payload).expect("our own record");
        }
        let history = History::new(Zxid::ZERO, HistoryBounds::default());
        let member = Member::new(self.options.clone(), pipeline, Epochs::default(), history);
        self.process = Some(Process { member });
    }
}

impl Process {
    pub(super) fn tell(
        &mut self,
        at: Moment,
        tell: impl FnOnce(&mut Member, Moment, &mut Vec<Action>),
    ) -> Vec<Action> {
        let mut out = Vec::new();
        tell(&mut self.member, at, &mut out);
        out
    }
}
