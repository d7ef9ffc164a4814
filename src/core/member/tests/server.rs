use std::collections::BTreeMap;

use super::disk::Disk;
use super::world::Faults;
use crate::acl::Policy;
use crate::config::ReconfigRules;
use crate::id::{ServerId, Zxid};
use crate::member::{Action, Member, MemberOptions, Moment};
use crate::ops::Settings;
use crate::prep::{Pipeline, PipelineOptions, ReaperOptions};
use crate::testing::configurations;
use crate::tree::{DataTree, TreeOptions};
use crate::zab::{History, HistoryBounds, LeaderStream, LinkId, Timing, ZabOptions};

/// A server of the simulated ensemble: its disk, and while it runs its process.
pub(super) struct Server {
    pub(super) options: MemberOptions,
    pub(super) disk: Disk,
    pub(super) process: Option<Process>,
    /// How often the server was started.
    pub(super) lives: u64,
}

pub(super) struct Process {
    pub(super) member: Member,
    /// What a shard has.
    pub(super) shard: DataTree,
    /// The last transaction in it.
    pub(super) last: Zxid,
    /// Bytes from learners that are no whole packet yet.
    pub(super) inputs: BTreeMap<LinkId, Vec<u8>>,
    /// The connection to the leader, and its bytes.
    pub(super) leader: Option<(LinkId, LeaderStream, Vec<u8>)>,
    pub(super) leader_link: LinkId,
    /// Trees that were taken for learners.
    pub(super) taken: BTreeMap<LinkId, DataTree>,
}

impl Server {
    pub(super) fn new(id: usize, voters: usize, observers: usize, faults: Faults) -> Server {
        let ids = |range: std::ops::Range<usize>| range.map(|id| id as i64).collect::<Vec<_>>();
        let (voters, observers) = (ids(0..voters), ids(voters..voters + observers));
        let options = MemberOptions {
            zab: ZabOptions {
                id: ServerId(id as i64),
                configurations: configurations(&voters, &observers, 0),
                reconfig: faults.reconfigs.then_some(RULES),
                timing: Timing { tick_ms: 100, init_limit: 10, sync_limit: 5 },
                force_snapshot_sync: false,
                confirm_syncs: true,
            },
            pipeline: PipelineOptions {
                server: ServerId(id as i64),
                shards: 1,
                tick_ms: 100,
                new_sessions: crate::session::NewSessions::Global,
                settings: Settings {
                    reconfig_enabled: faults.reconfigs,
                    policy: Policy { skip_acl: true, ..Policy::default() },
                    ..Settings::default()
                },
                reaper: ReaperOptions::default(),
            },
            rollover_at: faults.rollover_at,
            read_only_after: None,
            has_observers: false,
        };
        Server { options, disk: Disk::default(), process: None, lives: 0 }
    }

    /// Starts the server on what its disk has.
    pub(super) fn start(&mut self) {
        self.lives += 1;
        let tree = self.disk.snapshot.clone().unwrap_or_else(|| DataTree::new(TreeOptions::default()));
        let pipeline = self.recovered(tree);
        let bounds = HistoryBounds { count_max: 20, len_max: 1 << 20 };
        let snapshot = self.disk.snapshot.as_ref().map_or(Zxid::ZERO, DataTree::last_zxid);
        let mut history = History::new(snapshot, bounds);
        self.disk.log.iter().cloned().for_each(|logged| history.push(logged));
        let shard = pipeline.tree().clone();
        let member = Member::new(self.options.clone(), pipeline, self.disk.epochs, history);
        let last = shard.last_zxid();
        let (inputs, taken) = (BTreeMap::new(), BTreeMap::new());
        self.process =
            Some(Process { member, shard, last, inputs, leader: None, leader_link: LinkId(0), taken });
    }

    /// What the disk has, after a truncation to `zxid`.
    pub(super) fn rebuilt(&self, zxid: Zxid) -> DataTree {
        let tree = self.disk.snapshot.clone().unwrap_or_else(|| DataTree::new(TreeOptions::default()));
        assert!(tree.last_zxid() <= zxid, "a snapshot at {} is not committed: {zxid}", tree.last_zxid());
        self.recovered(tree).tree().clone()
    }

    fn recovered(&self, tree: DataTree) -> Pipeline {
        let mut pipeline = Pipeline::new(self.options.pipeline.clone(), tree);
        for logged in &self.disk.log {
            pipeline.recover(&logged.payload).expect("our own record");
        }
        pipeline
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

const RULES: ReconfigRules = ReconfigRules { standalone_enabled: false, several_addresses: false };
