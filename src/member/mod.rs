//! The commit role of an ensemble's member, on its executor: hands what comes to the [`Member`] machine, and
//! carries out what that decides: to the log, to other servers, to the shards, to the snapshotter and to
//! the disk.
//!
//! ```text
//!   election --Elected-->  [ Member ]  --ToElection::Look--> election
//!   quorum port <--------> [        ]  --CommitBatch-------> shards, snapshotter
//!   shards --ShardTurn-->  [        ]  --ToLog-------------> log
//! ```
//!
//! [`Member`]: ringkeeper_core::member::Member

mod config_files;
mod disk;

use std::collections::{BTreeMap, VecDeque};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use ringkeeper_core::config::{Configurations, HostPort};
use ringkeeper_core::election::{LastLogged, Outcome, PeerState};
use ringkeeper_core::flow::ShardTurn;
use ringkeeper_core::id::ServerId;
use ringkeeper_core::member::{Action, Member, Moment};
use ringkeeper_core::time::Instant;
use ringkeeper_core::tree::{Frozen, TreeOptions};
use ringkeeper_core::zab::packet::LearnerKind;
use ringkeeper_core::zab::{DownReason, LinkId};
use tracing::{info, warn};

pub use config_files::ConfigFiles;
pub use disk::{Disk, EpochError, read_epochs};

use crate::admin::Desk;
use crate::commit::Followers;
use crate::election::ToElection;
use crate::net::ClientDoor;
use crate::quorum_port::{Attempt, FromLeaderPort, FromPeers, LeaderConnection, Learners, QuorumPort};
use crate::runtime::{Clock, Inbox, Sender, TICK, sleep, spawn};
use crate::wiring::{Mode, ToCommit, ToLog};

/// A member's commit role, ready to run.
pub struct MemberRole {
    /// What decides.
    pub member: Member,
    /// What it must know of the other servers.
    pub options: MemberRoleOptions,
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
    /// The files that say who the servers are, if a reconfig is to change them.
    pub config_files: Option<ConfigFiles>,
    /// The port where this server's learners come.
    pub quorum_port: QuorumPort,
    /// The port where its clients come.
    pub client_door: Arc<ClientDoor>,
    /// The time.
    pub clock: Clock,
}

/// What a member's commit role must know.
#[derive(Clone, Debug)]
pub struct MemberRoleOptions {
    /// This server.
    pub id: ServerId,
    /// How long a leader may take to answer at all.
    pub connect_patience: Duration,
    /// What trees that a leader sends get.
    pub tree: TreeOptions,
    /// How long a value from another server may be, in bytes.
    pub value_len_max: usize,
}

/// The driver while it runs.
struct Driver {
    member: Member,
    options: MemberRoleOptions,
    to_self: Sender<ToCommit>,
    log: Option<Sender<ToLog>>,
    election: Sender<ToElection>,
    followers: Followers,
    disk: Disk,
    config_files: Option<ConfigFiles>,
    quorum_port: Option<QuorumPort>,
    client_door: Arc<ClientDoor>,
    /// Where the configuration says that clients connect.
    client_address: Option<HostPort>,
    learners: Learners,
    /// Trees for learners that are to be sent them.
    trees: BTreeMap<LinkId, Frozen>,
    leader: Option<(ServerId, LeaderConnection)>,
    attempts: u64,
    /// Learners that came before this server knew that it leads.
    early: VecDeque<(Instant, TcpStream)>,
    /// Turns that wait until the snapshotter has caught up.
    held: VecDeque<ShardTurn>,
    at: Moment,
}

impl MemberRole {
    /// Runs until [`ToCommit::Stop`] and the log's end.
    pub async fn run(self) {
        let MemberRole { member, options, mut inbox, to_self, desk, clock, .. } = self;
        spawn(tick(to_self.clone()));
        let own = member.configurations().committed().line(options.id);
        let client_address = own.and_then(|line| line.client.clone());
        let moment = || Moment { now: clock.now(), wall: clock.wall() };
        let mut driver = Driver {
            member,
            learners: Learners::new(to_self.clone(), options.value_len_max),
            options,
            to_self,
            log: Some(self.log),
            election: self.election,
            followers: self.followers,
            disk: self.disk,
            config_files: self.config_files,
            quorum_port: Some(self.quorum_port),
            client_door: self.client_door,
            client_address,
            trees: BTreeMap::new(),
            leader: None,
            attempts: 0,
            early: VecDeque::new(),
            held: VecDeque::new(),
            at: moment(),
        };
        let mut messages = Vec::with_capacity(MESSAGES_PER_TURN_MAX);
        let mut ended = false;
        while !ended && inbox.take(&mut messages, MESSAGES_PER_TURN_MAX).await {
            driver.at = moment();
            for message in messages.drain(..) {
                match message {
                    ToCommit::LogEnded => ended = true,
                    ToCommit::Ask(question) => {
                        desk.add_sessions(&question, driver.member.session_deadlines().into_iter());
                    }
                    message => driver.on_message(message),
                }
            }
            driver.flush();
        }
    }
}

impl Driver {
    fn on_message(&mut self, message: ToCommit) {
        let (mut actions, at) = (Vec::new(), self.at);
        match message {
            ToCommit::Turn(turn) if self.held.is_empty() && self.followers.are_ready() => {
                self.member.on_turn(turn, at, &mut actions);
            }
            ToCommit::Turn(turn) => self.held.push_back(turn),
            ToCommit::Tick => {
                self.accept_early(&mut actions);
                self.member.on_tick(at, &mut actions);
            }
            ToCommit::Durable(durable, cuts) => self.member.on_durable(durable, cuts, at, &mut actions),
            ToCommit::LogRoom(room) => self.member.on_log_room(room),
            ToCommit::Elected(outcome) => self.on_elected(outcome, &mut actions),
            ToCommit::ConfigurationHeard(membership) => {
                self.member.on_configuration_heard(&Arc::new(membership), at, &mut actions);
            }
            ToCommit::ConfigurationsSaved => self.member.on_configurations_saved(at, &mut actions),
            ToCommit::EpochSaved(file, epoch) => self.member.on_epoch_saved(file, epoch, at, &mut actions),
            ToCommit::LogCut(tree) => self.member.on_truncated(tree.map(|tree| *tree), at, &mut actions),
            ToCommit::TreeSaved => self.member.on_tree_saved(at, &mut actions),
            ToCommit::TreeTaken(link, tree) => {
                let zxid = tree.zxid();
                self.trees.insert(link, tree);
                self.member.on_tree_taken(link, zxid, at, &mut actions);
            }
            ToCommit::LogRead(link, excerpt) => self.member.on_log_read(link, excerpt, at, &mut actions),
            ToCommit::Peers(event) => self.on_peers(event, &mut actions),
            ToCommit::Stop => self.stop(),
            ToCommit::Ask(_) | ToCommit::LogEnded => {}
        }
        self.perform(actions);
    }

    fn on_elected(&mut self, outcome: Outcome, actions: &mut Vec<Action>) {
        if self.log.is_none() {
            return;
        }
        match outcome.state {
            PeerState::Looking => {}
            PeerState::Leading => {
                info!("LEADING, from {}", self.member.position().zxid);
                self.member.lead(self.at, actions);
                self.accept_early(actions);
            }
            PeerState::Following | PeerState::Observing => {
                let leader = outcome.vote.leader;
                info!("FOLLOWING server {leader}, from {}", self.member.position().zxid);
                self.attempts += 1;
                let addresses = self.member.configurations().knowing(leader).quorum_addresses(leader);
                let is_designated = outcome.vote.epoch < 0;
                let patience = self.options.connect_patience;
                let patience = if is_designated { patience.min(DESIGNATED_PATIENCE) } else { patience };
                let attempt = Attempt(self.attempts);
                let connection =
                    LeaderConnection::open(attempt, addresses, patience, self.to_self.clone());
                self.leader = Some((leader, connection));
            }
        }
    }

    fn on_peers(&mut self, event: FromPeers, actions: &mut Vec<Action>) {
        let at = self.at;
        match event {
            FromPeers::Accepted(stream) => {
                self.early.push_back((at.now, stream));
                self.early.truncate(EARLY_MAX);
                self.accept_early(actions);
            }
            FromPeers::Packet(link, packet) => self.member.on_learner(link, packet, at, actions),
            FromPeers::TreeSent(link) => self.member.on_tree_sent(link, at, actions),
            FromPeers::Malformed(link, error) => {
                warn!("{}: {error}: its connection is closed", self.learners.remote(link));
                self.learners.close(link);
                self.member.on_learner_closed(link, at, actions);
            }
            FromPeers::Closed(link) => {
                self.learners.close(link);
                self.trees.remove(&link);
                self.member.on_learner_closed(link, at, actions);
            }
            FromPeers::Leader(attempt, event) => {
                if self.leader.as_ref().is_some_and(|(_, connection)| connection.attempt() == attempt) {
                    self.on_leader(event, actions);
                }
            }
        }
    }

    /// Takes learners on if this server leads, or tries to; lets those go that have waited in vain.
    fn accept_early(&mut self, actions: &mut Vec<Action>) {
        if self.member.leader().is_some() {
            while let Some((_, stream)) = self.early.pop_front() {
                if let Some(link) = self.learners.accept(stream) {
                    self.member.on_accepted(link, self.at, actions);
                }
            }
        }
        let now = self.at.now;
        self.early.retain(|(since, _)| now.since(*since) < EARLY_WAIT_MAX);
    }

    fn on_leader(&mut self, event: FromLeaderPort, actions: &mut Vec<Action>) {
        let at = self.at;
        match event {
            FromLeaderPort::Connected(stream) => {
                if let Some((leader, connection)) = &mut self.leader {
                    connection.begin(stream, self.options.tree, self.options.value_len_max);
                    self.member.follow(*leader, at, actions);
                }
            }
            FromLeaderPort::Unreachable => {
                self.leader = None;
                self.look(&DownReason::LeaderLost);
            }
            FromLeaderPort::Packet(packet) => self.member.on_leader(packet, at, actions),
            FromLeaderPort::TreeBytes => self.member.on_leader_tree_bytes(at),
            FromLeaderPort::Tree(tree) => self.member.on_leader_tree(*tree, at, actions),
            FromLeaderPort::Malformed(reason) => self.member.on_leader_failed(reason, at, actions),
            FromLeaderPort::Closed => {
                // If the machine has not begun to follow yet, it won't hear of it otherwise.
                if self.member.is_looking() {
                    self.leader = None;
                    self.look(&DownReason::LeaderLost);
                }
                self.member.on_leader_closed(at, actions);
            }
        }
    }

    fn perform(&mut self, actions: Vec<Action>) {
        for action in actions {
            self.perform_one(action);
        }
    }

    fn perform_one(&mut self, action: Action) {
        match action {
            Action::ToLearner(link, packet) => self.learners.push(link, |out| packet.encode(out)),
            Action::SendTree(link) => {
                if let Some(tree) = self.trees.remove(&link) {
                    self.learners.push_tree(link, tree);
                }
            }
            Action::TakeTree(link) => self.followers.take_tree(link, self.to_self.clone()),
            Action::ReadLog { link, from, upto } => self.disk.read_log(link, from, upto, &self.to_self),
            Action::CloseLearner(link, reason) => {
                warn!("{}: {reason}: its connection is closed", self.learners.remote(link));
                self.trees.remove(&link);
                self.learners.close(link);
            }
            Action::ToLeader(packet) => {
                if let Some((_, connection)) = &self.leader {
                    connection.push(&packet);
                }
            }
            Action::Configure(configurations) => self.configure(configurations),
            Action::SaveEpoch(file, epoch) => self.disk.save_epoch(file, epoch, &self.to_self),
            Action::Append(records) => self.log(ToLog::Records(records)),
            Action::Truncate { zxid, rebuild } => {
                warn!("the leader has nothing after {zxid}: what the log has beyond it is dropped");
                self.log(ToLog::Cut { zxid, rebuild });
            }
            Action::SaveTree(tree) => {
                let (zxid, count) = (tree.last_zxid(), tree.node_count());
                info!("the leader has sent its whole tree, {count} znodes as of {zxid}");
                self.log(ToLog::Restart(tree.freeze()));
                self.followers.replace(&tree);
            }
            Action::Replace(tree) => self.followers.replace(&tree),
            Action::Publish(batch) => self.followers.publish(batch),
            Action::Serve => self.serve(),
            Action::Down(reason) => {
                self.followers.stop_serving();
                self.held.clear();
                self.learners.close_all();
                self.trees.clear();
                self.leader = None;
                match reason {
                    DownReason::Reconfigured { leader: Some(leader), zxid } if self.log.is_some() => {
                        info!("{reason}");
                        self.election.post(ToElection::Designated(leader, zxid));
                    }
                    reason => self.look(&reason),
                }
            }
        }
    }

    /// Other servers decide, or are elsewhere.
    fn configure(&mut self, configurations: Configurations) {
        let own = configurations.committed().line(self.options.id);
        if let Some(port) = &mut self.quorum_port {
            port.follow(configurations.committed().quorum_addresses(self.options.id));
        }
        if let Some(address) = own.and_then(|line| line.client.clone())
            && self.client_address.as_ref() != Some(&address)
        {
            self.client_address = Some(address.clone());
            self.client_door.move_to(address);
        }
        self.election.post(ToElection::Configure(configurations.clone()));
        match &self.config_files {
            Some(files) => files.save(configurations),
            None => self.to_self.post(ToCommit::ConfigurationsSaved),
        }
    }

    fn serve(&mut self) {
        self.followers.settle();
        let (mode, epoch) = match (self.member.leader(), self.member.learner()) {
            (Some(leader), _) => (Mode::Leader, leader.epoch()),
            (None, Some(learner)) if learner.kind() == LearnerKind::Observer => {
                (Mode::Observer, learner.epoch())
            }
            (None, Some(learner)) => (Mode::Follower, learner.epoch()),
            (None, None) => return,
        };
        info!("serving clients as {mode}, in epoch {epoch}");
        self.election.post(ToElection::Epoch(epoch.into()));
        self.followers.serve(mode);
    }

    fn look(&mut self, reason: &DownReason) {
        if self.log.is_some() {
            warn!("{reason}: looking for a leader");
            let position = self.member.position();
            let last_logged = LastLogged { epoch: position.epoch.into(), zxid: position.zxid };
            self.election.post(ToElection::Look(last_logged));
        }
    }

    /// Sends what the turn has made, and takes turns that were held back.
    fn flush(&mut self) {
        while self.followers.are_ready()
            && let Some(turn) = self.held.pop_front()
        {
            let mut actions = Vec::new();
            self.member.on_turn(turn, self.at, &mut actions);
            self.perform(actions);
        }
        self.learners.flush();
        if let Some((_, connection)) = &self.leader {
            connection.flush();
        }
    }

    fn stop(&mut self) {
        self.followers.stop_serving();
        self.election.post(ToElection::Stop);
        self.learners.close_all();
        self.quorum_port.take().into_iter().for_each(QuorumPort::stop);
        self.leader = None;
        self.log = None;
    }

    fn log(&self, message: ToLog) {
        if let Some(log) = &self.log {
            log.post(message);
        }
    }
}

async fn tick(ticks: Sender<ToCommit>) {
    loop {
        sleep(TICK).await;
        ticks.post(ToCommit::Tick);
    }
}

/// How long a learner is kept that came to a server that does not lead: it may have heard of the election a
/// little earlier, and otherwise finds out sooner if it is let go.
const EARLY_WAIT_MAX: Duration = Duration::from_millis(500);
const EARLY_MAX: usize = 64;
/// How long a leader is tried to be reached that a reconfig has designated: it starts to lead when others start
/// to follow it, and if it is gone there must be an election.
const DESIGNATED_PATIENCE: Duration = Duration::from_secs(2);
/// A turn takes no more than this, so that what is durable is not published late.
const MESSAGES_PER_TURN_MAX: usize = 64;
