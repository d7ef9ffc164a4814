//! A simulated server: its disks and clocks, and while it runs its process, made of the real machines.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use ringkeeper_core::acl::Policy;
use ringkeeper_core::config::{
    Configurations, ElectionTiming, HostPort, Membership, ReconfigRules, SyncLimits,
};
use ringkeeper_core::election::{self, ElectionPeer, Electorate, LastLogged};
use ringkeeper_core::flow::{CommitBatch, ConnId as ClientConnId, ShardId};
use ringkeeper_core::format::wal::RecordBatch;
use ringkeeper_core::id::{ServerId, Zxid};
use ringkeeper_core::log_room::LogRoom;
use ringkeeper_core::member::{Attempt, Member, MemberOptions, Moment, Seat};
use ringkeeper_core::ops::Settings;
use ringkeeper_core::prep::{PipelineOptions, ReaperOptions};
use ringkeeper_core::shard::{Behind, Service, Shard, ShardOptions};
use ringkeeper_core::time::{Instant, WallTime};
use ringkeeper_core::tree::{DataTree, Frozen};
use ringkeeper_core::zab::packet::Payload;
use ringkeeper_core::zab::{History, HistoryBounds, LeaderStream, LinkId, LogExcerpt, Timing, ZabOptions};

use crate::deliver::Socket;
use crate::disk::{Disk, InFlight, Writer};
use crate::mischief::Mischief;
use crate::network::{ConnId, Port};
use crate::setup::Setup;

/// A server, whether it runs or not.
pub(crate) struct Server {
    pub(crate) id: usize,
    pub(crate) options: MemberOptions,
    pub(crate) clock: Clock,
    pub(crate) disk: Disk,
    /// How long a write of the log takes at most, in microseconds.
    pub(crate) write_us_max: u64,
    /// Whether nothing more can be written.
    pub(crate) is_full: bool,
    pub(crate) process: Option<Process>,
    /// How often the server was started.
    pub(crate) life: u32,
    /// How far a disk had come that was lost.
    pub(crate) lost: Zxid,
    /// Until when the process is stopped, as by SIGSTOP.
    pub(crate) stopped_until: u64,
    /// How many learners were sent away at once, while all are.
    pub(crate) sent_away: Option<usize>,
}

/// How a server sees time.
#[derive(Clone, Copy)]
pub(crate) struct Clock {
    /// What its clock showed at the beginning, in nanoseconds.
    pub(crate) start: u64,
    /// Its nanoseconds in a thousand of true ones, in millionths.
    pub(crate) rate_ppm: u64,
    /// What people set its wall clock to, in milliseconds from the true time.
    pub(crate) wall_offset_ms: i64,
}

/// What runs.
pub(crate) struct Process {
    pub(crate) life: u32,
    pub(crate) election: ElectionPeer,
    /// When the election was told to be woken.
    pub(crate) wake_at: Option<Instant>,
    /// The configurations that the election goes by.
    pub(crate) electorate: Configurations,
    pub(crate) election_links: BTreeMap<election::LinkId, (ConnId, usize)>,
    pub(crate) seat: Seat<Socket>,
    /// Whether the commit role is within a turn, to which what comes belongs.
    pub(crate) is_in_turn: bool,
    /// What came on connections that nobody reads yet, and whether they have ended.
    pub(crate) early: BTreeMap<ConnId, (Vec<u8>, bool)>,
    pub(crate) learners: BTreeMap<LinkId, Input>,
    pub(crate) leader: Option<LeaderLink>,
    /// How long the next leader may take to answer at all.
    pub(crate) patience: u64,
    /// Trees for learners that are to be sent them.
    pub(crate) trees: BTreeMap<LinkId, Frozen>,
    pub(crate) log: Log,
    pub(crate) shards: Vec<ShardRole>,
    pub(crate) snapshotter: Snapshotter,
    /// Whether it was told of another leader than was elected.
    pub(crate) is_misled: bool,
    /// When the last of the configurations that are to be written is on disk.
    pub(crate) configured_at: u64,
    /// How many cuts the log was asked for.
    pub(crate) cuts_asked: u64,
    /// How many batches were published.
    pub(crate) published: u64,
    /// What each connection is for.
    pub(crate) uses: BTreeMap<ConnId, Use>,
    /// When the last message to each role arrives.
    pub(crate) last_post: BTreeMap<Role, u64>,
    /// The transactions that this server has in its log, on disk or on the way there.
    pub(crate) logged: BTreeMap<Zxid, Payload>,
    /// Where its log ends.
    pub(crate) end: Zxid,
    /// The last transaction that its shards have been given.
    pub(crate) shown: Zxid,
}

/// A role of a process, which is told things in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Role {
    Commit,
    Election,
    Log,
    Shard(usize),
    Snapshotter,
}

/// What a connection is for.
#[derive(Clone, Copy)]
pub(crate) enum Use {
    Election(election::LinkId),
    /// A learner's, not let in yet or let in.
    Early,
    Learner(LinkId),
    /// The connection to this leader, or the attempt to make one, until so long.
    Leader(Attempt, usize, u64),
    Client(usize, ClientConnId),
}

/// What came on a connection and is no whole packet yet.
pub(crate) struct Input {
    pub(crate) conn: ConnId,
    pub(crate) bytes: Vec<u8>,
}

pub(crate) struct LeaderLink {
    pub(crate) attempt: Attempt,
    pub(crate) port: Port,
    pub(crate) conn: Option<ConnId>,
    pub(crate) stream: LeaderStream,
    pub(crate) bytes: Vec<u8>,
}

/// The log's role: one write in flight, which carries all that came during the one before.
pub(crate) struct Log {
    pub(crate) writer: Writer,
    pub(crate) queue: VecDeque<ToLog>,
    pub(crate) busy: Option<Busy>,
    pub(crate) cuts: u64,
}

pub(crate) enum ToLog {
    Records(RecordBatch),
    Cut { zxid: Zxid, rebuild: bool },
    Restart(Arc<DataTree>),
}

pub(crate) enum Busy {
    Write(InFlight),
    Cut { zxid: Zxid, rebuild: bool },
    Restart(Arc<DataTree>),
}

pub(crate) struct ShardRole {
    pub(crate) shard: Shard,
    pub(crate) behind: Behind<ClientConnId>,
    pub(crate) clients: BTreeMap<ClientConnId, ClientLink>,
    pub(crate) is_turn_due: bool,
}

/// A client's connection.
pub(crate) struct ClientLink {
    pub(crate) conn: ConnId,
    pub(crate) kept: Vec<u8>,
    /// Whether the shard, or what is published, holds its input back.
    pub(crate) is_held: bool,
}

/// Follows what is published, and writes snapshots of it.
pub(crate) struct Snapshotter {
    pub(crate) tree: DataTree,
    pub(crate) is_settled: bool,
    /// What is being written.
    pub(crate) writing: Option<DataTree>,
}

/// What one role is told by another, or by the world.
pub(crate) enum Message {
    Turn(ringkeeper_core::flow::ShardTurn),
    Durable(Zxid, u64),
    LogRoom(LogRoom),
    Elected(election::Outcome),
    ConfigurationHeard(Arc<Membership>),
    ConfigurationsSaved,
    EpochSaved(ringkeeper_core::zab::EpochFile, u32),
    LogCut(Option<Box<DataTree>>),
    TreeSaved,
    TreeTaken(LinkId, Zxid),
    LogRead(LinkId, Option<LogExcerpt>),
    TreeSent(LinkId),
    Unreachable(Attempt),
    Look(LastLogged),
    Configure(Configurations),
    Designated(ServerId, Zxid),
    Avoid(Duration),
    Epoch(i64),
    ToLog(ToLog),
    Commit(Arc<CommitBatch>),
    Serve(Service),
    Replace(Arc<DataTree>),
    Settle,
    Freeze(LinkId),
}

impl Server {
    pub(crate) fn new(id: usize, setup: &Setup, rng: &mut fastrand::Rng) -> Server {
        let options = MemberOptions {
            zab: ZabOptions {
                id: ServerId(id as i64),
                configurations: Configurations::of(Arc::new(first_servers(setup))),
                reconfig: setup.reconfigs.then_some(RULES),
                timing: Timing { tick_ms: TICK_MS, init_limit: INIT_LIMIT, sync_limit: SYNC_LIMIT },
                force_snapshot_sync: false,
                confirm_syncs: setup.confirm_syncs,
                sync_limits: SyncLimits::default(),
                has_oracle: false,
            },
            pipeline: PipelineOptions {
                server: ServerId(id as i64),
                shards: setup.shards,
                tick_ms: TICK_MS,
                new_sessions: setup.new_sessions,
                settings: Settings {
                    reconfig_enabled: setup.reconfigs,
                    policy: Policy { skip_acl: setup.reconfigs, ..Policy::default() },
                    ..Settings::default()
                },
                reaper: ReaperOptions::default(),
            },
            rollover_at: setup.rollover_at,
            read_only_after: setup.read_only.then_some(2 * Duration::from_millis(TICK_MS.into())),
            has_observers: setup.has_masters && id < setup.voters,
        };
        let drift = setup.drift_ppm_max;
        Server {
            id,
            options,
            clock: Clock {
                start: rng.u64(0..1 << 40),
                rate_ppm: 1_000_000 - drift + rng.u64(0..=2 * drift),
                wall_offset_ms: rng.i64(-1000..1000),
            },
            disk: Disk::marked(),
            write_us_max: setup.write_us_max,
            is_full: false,
            process: None,
            life: 0,
            lost: Zxid::ZERO,
            stopped_until: 0,
            sent_away: None,
        }
    }

    /// Starts the server on what its disk has. Returns what it votes with, and what its election wants done first.
    pub(crate) fn start(
        &mut self,
        setup: &Setup,
        now: u64,
        rng: &mut fastrand::Rng,
    ) -> Result<(LastLogged, Vec<election::Action>), String> {
        self.life += 1;
        self.stopped_until = 0;
        let mut found = self.disk.open(&self.options.pipeline, rng.u64(..))?;
        let last = found.pipeline.last_zxid();
        let epochs = self.disk.recover_epochs(last)?;
        let bounds = HistoryBounds { count_max: setup.history_count, len_max: 1 << 20 };
        let tree = found.pipeline.tree().clone();
        // One shard has its paths from the member, as on one executor.
        let mut shared = Some(found.pipeline.share_tree());
        if let Some(saved) = self.disk.configurations() {
            self.options.zab.configurations = saved.clone();
        }
        let may_vote = setup.autocreate || self.disk.is_sound();
        self.disk.take_mark(setup.autocreate);
        let mut member =
            Member::new(self.options.clone(), found.pipeline, epochs, History::new(last, bounds));
        if !may_vote && setup.mischief != Mischief::TrustNothing {
            member.distrust();
        }
        let configurations = member.configurations().clone();
        if configurations.last_seen().version() != self.options.zab.configurations.last_seen().version() {
            self.disk.save_configurations(configurations.clone());
        }
        let masters = (0..setup.voters).filter(|_| setup.has_masters && self.id >= setup.voters);
        let masters = masters.map(|id| ServerId(id as i64)).collect();
        let seat = Seat::new(member).with_masters(masters);
        let (mut first, now) = (Vec::new(), self.clock.at(now).now);
        let me = ServerId(self.id as i64);
        let electorate = Electorate::of(me, &configurations, setup.reconfigs);
        let last_logged = setup.mischief.vote(seat.last_logged());
        let mut own = configurations.knowing(me).election_addresses(me);
        // A wildcard is only in a server's own file, and so is where a server is that was removed.
        if own.is_empty() || configurations.committed().version() == 0 {
            own = first_servers(setup).election_addresses(me);
            if setup.have_wildcards {
                own.iter_mut().for_each(|address| address.host = "0.0.0.0".to_owned());
            }
        }
        let peers = addresses(&configurations);
        let election = ElectionPeer::start(electorate, own, peers, ELECTION, last_logged, now, &mut first);
        let shards = (0..setup.shards).map(|number| {
            let options = ShardOptions {
                session_timeout_ms_min: 2 * TICK_MS as i32,
                session_timeout_ms_max: 20 * TICK_MS as i32,
                seed: rng.u64(..),
                ..ShardOptions::default()
            };
            let tree = shared.take().unwrap_or_else(|| tree.clone());
            let mut shard = Shard::new(ShardId(number as u16), tree, options);
            shard.serve(Service::Nobody);
            ShardRole { shard, behind: Behind::default(), clients: BTreeMap::new(), is_turn_due: false }
        });
        self.process = Some(Process {
            life: self.life,
            election,
            wake_at: None,
            electorate: configurations,
            election_links: BTreeMap::new(),
            seat,
            is_in_turn: false,
            early: BTreeMap::new(),
            learners: BTreeMap::new(),
            leader: None,
            patience: crate::deliver::CONNECT_PATIENCE,
            trees: BTreeMap::new(),
            log: Log { writer: found.writer, queue: VecDeque::new(), busy: None, cuts: 0 },
            shards: shards.collect(),
            snapshotter: Snapshotter { tree, is_settled: false, writing: None },
            is_misled: false,
            configured_at: 0,
            cuts_asked: 0,
            published: 0,
            uses: BTreeMap::new(),
            last_post: BTreeMap::new(),
            logged: found.records.into_iter().map(|logged| (logged.zxid, logged.payload)).collect(),
            end: last,
            shown: last,
        });
        Ok((last_logged, first))
    }

    /// The process, if it is this one.
    pub(crate) fn process(&mut self, life: u32) -> Option<&mut Process> {
        self.process.as_mut().filter(|process| process.life == life)
    }

    pub(crate) fn member(&self) -> Option<&Member> {
        self.process.as_ref().map(|process| process.seat.member())
    }

    /// The configurations that it goes by, or would if it were started.
    pub(crate) fn configurations(&self) -> &Configurations {
        let saved = self.disk.configurations().unwrap_or(&self.options.zab.configurations);
        self.member().map_or(saved, Member::configurations)
    }

    pub(crate) fn is_serving(&self) -> bool {
        self.member().is_some_and(Member::is_serving)
    }

    /// The epoch in which it leads or follows.
    pub(crate) fn epoch(&self) -> Option<u32> {
        self.process.as_ref().and_then(|process| process.seat.standing()).map(|(_, epoch)| epoch)
    }

    /// Whether it leads an established epoch.
    pub(crate) fn leads(&self) -> bool {
        self.member().and_then(Member::leader).is_some_and(|leader| leader.is_established())
    }
}

impl Clock {
    /// What the server's clocks show.
    pub(crate) fn at(&self, now: u64) -> Moment {
        let passed = (u128::from(now) * u128::from(self.rate_ppm) / 1_000_000) as u64;
        let wall = WALL_START_MS + (now / 1_000_000) as i64 + self.wall_offset_ms;
        Moment { now: Instant(self.start + passed), wall: WallTime(wall) }
    }

    /// How long it truly takes until the clock shows `at`.
    pub(crate) fn until(&self, at: Instant, now: u64) -> u64 {
        let wait = at.since(self.at(now).now).as_nanos();
        (wait * 1_000_000 / u128::from(self.rate_ppm)) as u64 + 1000
    }
}

/// A connection to a leader of which nothing is read yet.
pub(crate) fn leader_stream() -> LeaderStream {
    LeaderStream::new(crate::disk::TREE, VALUE_LEN_MAX)
}

/// The line of a server, as voters or observers have it.
pub(crate) fn line(server: usize, role: &str) -> String {
    format!("server.{server}=zk{server}:2888:3888:{role};2181")
}

/// The servers as all of them know them at the beginning.
pub(crate) fn first_servers(setup: &Setup) -> Membership {
    let role = |id| if id < setup.voters { "participant" } else { "observer" };
    let mut lines: Vec<String> = (0..setup.servers()).map(|id| line(id, role(id))).collect();
    for (number, group) in setup.groups.iter().enumerate() {
        let voters: Vec<String> = group.iter().map(|(voter, _)| voter.to_string()).collect();
        lines.push(format!("group.{number}={}", voters.join(":")));
        lines.extend(group.iter().map(|(voter, weight)| format!("weight.{voter}={weight}")));
    }
    Membership::parse(&lines.join("\n"), false).expect("good lines")
}

/// Where each server listens for elections.
pub(crate) fn addresses(configurations: &Configurations) -> Vec<(ServerId, Vec<HostPort>)> {
    configurations.servers().map(|id| (id, configurations.knowing(id).election_addresses(id))).collect()
}

/// Which server has one of these addresses.
pub(crate) fn server_at(addresses: &[HostPort]) -> Option<usize> {
    addresses.iter().find_map(|address| address.host.strip_prefix("zk")?.parse().ok())
}

pub(crate) const VALUE_LEN_MAX: usize = 4 << 20;
/// Everything is ten times as fast as by default.
pub(crate) const TICK_MS: u32 = 200;
pub(crate) const INIT_LIMIT: u32 = 10;
pub(crate) const SYNC_LIMIT: u32 = 5;
const WALL_START_MS: i64 = 1_700_000_000_000;
const RULES: ReconfigRules = ReconfigRules { standalone_enabled: false, several_addresses: false };
const ELECTION: ElectionTiming = ElectionTiming {
    min_notification: Duration::from_millis(50),
    max_notification: Duration::from_millis(800),
    finalize_wait: Duration::from_millis(50),
    connect: Duration::from_millis(800),
    greeting: Duration::from_millis(800),
    write: Duration::from_millis(800),
};
