//! The commit role of an ensemble's member, on its executor: hands what comes to the [`Seat`] of the member, and
//! carries out what that decides: to the log, to other servers, to the shards, to the snapshotter and to
//! the disk.
//!
//! ```text
//!   election --Elected-->  [  Seat  ]  --ToElection::Look--> election
//!   quorum port <--------> [        ]  --CommitBatch-------> shards, snapshotter
//!   shards --ShardTurn-->  [        ]  --ToLog-------------> log
//! ```
//!
//! [`Seat`]: ringkeeper_core::member::Seat

mod config_files;
mod disk;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use ringkeeper_core::config::{Configurations, HostPort};
use ringkeeper_core::election::{Outcome, PeerState};
use ringkeeper_core::id::ServerId;
use ringkeeper_core::member::{Action, Attempt, Duty, LearnerEvent, Member, Moment, Seat};
use ringkeeper_core::sasl::QuorumAuth;
use ringkeeper_core::tree::{Frozen, TreeOptions};
use ringkeeper_core::zab::LinkId;
use tracing::{info, warn};

pub use config_files::ConfigFiles;
pub use disk::{Disk, EpochError, read_epochs};

use crate::admin::{CommitReport, Desk, DigestReport, Question, Reset};
use crate::commit::{DigestWatch, Followers};
use crate::election::ToElection;
use crate::net::peers::Patience;
use crate::net::{ClientDoor, PeerStream, Protection};
use crate::oracle::Oracle;
use crate::quorum_port::{FromPeers, LeaderConnection, Learners, QuorumPort};
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
    /// How what it says to others is protected.
    pub protection: Protection,
    /// The port where its clients come.
    pub client_door: Arc<ClientDoor>,
    /// How servers prove to each other who they are, if they do.
    pub auth: Option<QuorumAuth>,
    /// Who says whether one of two servers may go on alone.
    pub oracle: Option<Oracle>,
    /// The time.
    pub clock: Clock,
}

/// What a member's commit role must know.
#[derive(Clone, Debug)]
pub struct MemberRoleOptions {
    /// This server.
    pub id: ServerId,
    /// Whether this server serves clients while it leads.
    pub leader_serves: bool,
    /// For an observer that others than the leader bring up to date: where they do.
    pub observer_masters: BTreeMap<ServerId, Vec<HostPort>>,
    /// How long a leader may take to answer at all.
    pub connect_patience: Duration,
    /// What trees that a leader sends get.
    pub tree: TreeOptions,
    /// How long a value from another server may be, in bytes.
    pub value_len_max: usize,
}

/// The driver while it runs.
struct Driver {
    seat: Seat<PeerStream>,
    options: MemberRoleOptions,
    to_self: Sender<ToCommit>,
    log: Option<Sender<ToLog>>,
    election: Sender<ToElection>,
    followers: Followers,
    disk: Disk,
    oracle: Option<Oracle>,
    auth: Option<QuorumAuth>,
    config_files: Option<ConfigFiles>,
    quorum_port: Option<QuorumPort>,
    protection: Protection,
    client_door: Arc<ClientDoor>,
    /// Where the configuration says that clients connect.
    client_address: Option<HostPort>,
    learners: Learners,
    /// Trees for learners that are to be sent them.
    trees: BTreeMap<LinkId, Frozen>,
    leader: Option<LeaderConnection>,
    /// How long the next leader is tried to be reached.
    patience: Duration,
    digests: DigestWatch,
    at: Moment,
    /// Empty between calls, and kept for its memory.
    duties: Vec<Duty<PeerStream>>,
}

impl MemberRole {
    /// Runs until [`ToCommit::Stop`] and the log's end.
    pub async fn run(self) {
        let MemberRole { member, options, mut inbox, to_self, desk, clock, mut auth, .. } = self;
        let apart = auth.as_mut().map(QuorumAuth::apart);
        spawn(tick(to_self.clone()));
        let own = member.configurations().committed().line(options.id);
        let client_address = own.and_then(|line| line.client.clone());
        let moment = || Moment { now: clock.now(), wall: clock.wall() };
        let mut driver = Driver {
            seat: Seat::new(member).with_masters(options.observer_masters.keys().copied().collect()),
            learners: Learners::new(to_self.clone(), options.value_len_max, apart),
            patience: options.connect_patience,
            options,
            to_self,
            log: Some(self.log),
            election: self.election,
            followers: self.followers,
            disk: self.disk,
            oracle: self.oracle,
            auth,
            config_files: self.config_files,
            quorum_port: Some(self.quorum_port),
            protection: self.protection,
            client_door: self.client_door,
            client_address,
            trees: BTreeMap::new(),
            leader: None,
            digests: DigestWatch::default(),
            at: moment(),
            duties: Vec::new(),
        };
        let mut messages = Vec::with_capacity(MESSAGES_PER_TURN_MAX);
        let mut ended = false;
        while !ended && inbox.take(&mut messages, MESSAGES_PER_TURN_MAX).await {
            driver.at = moment();
            for message in messages.drain(..) {
                match message {
                    ToCommit::LogEnded => ended = true,
                    ToCommit::Ask(question) => {
                        desk.add_commit(&question, driver.report(&question));
                    }
                    message => driver.on_message(message),
                }
            }
            driver.digests.look(driver.seat.member().digests(), driver.at.now);
            driver.end_turn();
        }
    }
}

impl Driver {
    fn on_message(&mut self, message: ToCommit) {
        let (mut duties, at) = (std::mem::take(&mut self.duties), self.at);
        let (seat, out) = (&mut self.seat, &mut duties);
        match message {
            ToCommit::Turn(turn) => seat.on_turn(turn, self.followers.are_ready(), at, out),
            ToCommit::Tick => seat.on_tick(at, out),
            ToCommit::Durable(durable, cuts) => {
                seat.tell(at, out, |member, at, actions| member.on_durable(durable, cuts, at, actions));
            }
            ToCommit::LogRoom(room) => seat.tell(at, out, |member, _, _| member.on_log_room(room)),
            ToCommit::Oracle(grants) => {
                seat.tell(at, out, |member, at, actions| member.on_oracle(grants, at, actions));
            }
            ToCommit::Elected(outcome) => self.on_elected(outcome, out),
            ToCommit::ConfigurationHeard(heard) => {
                let heard = Arc::new(heard);
                seat.tell(at, out, |member, at, actions| {
                    member.on_configuration_heard(&heard, at, actions);
                });
            }
            ToCommit::ConfigurationsSaved => {
                seat.tell(at, out, |member, at, actions| member.on_configurations_saved(at, actions));
            }
            ToCommit::EpochSaved(file, epoch) => {
                seat.tell(at, out, |member, at, actions| member.on_epoch_saved(file, epoch, at, actions));
            }
            ToCommit::LogCut(tree) => {
                let tree = tree.map(|tree| *tree);
                seat.tell(at, out, |member, at, actions| member.on_truncated(tree, at, actions));
            }
            ToCommit::TreeSaved => {
                seat.tell(at, out, |member, at, actions| member.on_tree_saved(at, actions));
            }
            ToCommit::TreeTaken(link, tree) => {
                let zxid = tree.zxid();
                self.trees.insert(link, tree);
                seat.tell(at, out, |member, at, actions| member.on_tree_taken(link, zxid, at, actions));
            }
            ToCommit::LogRead(link, excerpt) => {
                seat.tell(at, out, |member, at, actions| member.on_log_read(link, excerpt, at, actions));
            }
            ToCommit::Peers(FromPeers::Accepted(stream)) => seat.on_accepted(stream, at, out),
            ToCommit::Peers(FromPeers::AcceptedObserver(stream)) => {
                seat.on_accepted_observer(stream, at, out);
            }
            ToCommit::Peers(FromPeers::Learner(link, event)) => {
                if let LearnerEvent::Malformed(error) = &event {
                    warn!("{}: {error}: its connection is closed", self.learners.remote(link));
                }
                seat.on_learner(link, event, at, out);
            }
            ToCommit::Peers(FromPeers::Leader(attempt, event)) => seat.on_leader(attempt, event, at, out),
            ToCommit::Stop => self.stop(),
            ToCommit::Ask(_) | ToCommit::LogEnded => {}
        }
        self.perform(&mut duties);
        self.duties = duties;
    }

    fn report(&mut self, question: &Question) -> CommitReport {
        let member = self.seat.member();
        let report = CommitReport {
            sessions: question.lists_sessions().then(|| member.sessions()),
            member: Some(member.figures(self.at.now)),
            membership: Some(member.configurations().committed().clone()),
            digests: DigestReport::new(member.digests(), member.published()),
        };
        if question.resets() == Some(Reset::Server) {
            self.seat.tell(self.at, &mut Vec::new(), |member, _, _| member.reset_figures());
        }
        report
    }

    fn on_elected(&mut self, outcome: Outcome, out: &mut Vec<Duty<PeerStream>>) {
        let (leader, position) = (outcome.vote.leader, self.seat.member().position());
        match outcome.state {
            PeerState::Looking => {}
            PeerState::Leading => info!("LEADING, from {}", position.zxid),
            PeerState::Following | PeerState::Observing => {
                info!("FOLLOWING server {leader}, from {}", position.zxid);
            }
        }
        self.seat.on_elected(outcome, self.at, out);
    }

    fn perform(&mut self, duties: &mut Vec<Duty<PeerStream>>) {
        for duty in duties.drain(..) {
            match duty {
                Duty::Act(action) => self.act(action),
                Duty::Dial(attempt, leader) => {
                    let known = self.seat.member().configurations().knowing(leader);
                    let addresses = known.quorum_addresses(leader);
                    self.dial(attempt, Some(addresses), Patience::of(self.patience));
                }
                Duty::DialMaster(attempt, master) => {
                    info!("server {master} is to bring this observer up to date, in the leader's place");
                    let addresses = self.options.observer_masters.get(&master).cloned();
                    let handshake_min = self.options.connect_patience;
                    self.dial(attempt, addresses, Patience { all: MASTER_PATIENCE, handshake_min });
                }
                Duty::Begin(stream) => {
                    if let Some(leader) = &mut self.leader {
                        let MemberRoleOptions { tree, value_len_max, .. } = self.options;
                        leader.begin(stream, tree, value_len_max, self.auth.as_mut());
                    }
                }
                Duty::HangUp => self.leader = None,
                Duty::LetIn(link, stream) => self.learners.let_in(link, stream),
                Duty::LetGo(link) => {
                    self.learners.close(link);
                    self.trees.remove(&link);
                }
                Duty::Avoid(pause) => {
                    info!("the leader does not take this server: it comes back in {} ms", pause.as_millis());
                    self.election.post(ToElection::Avoid(pause));
                }
                Duty::Look(last_logged, reason) => {
                    warn!("{reason}: looking for a leader");
                    self.patience = self.options.connect_patience;
                    self.election.post(ToElection::Look(last_logged));
                }
                Duty::Designated(leader, zxid) => {
                    info!("the ensemble was reconfigured, and server {leader} is to lead it");
                    self.patience = self.options.connect_patience.min(DESIGNATED_PATIENCE);
                    self.election.post(ToElection::Designated(leader, zxid));
                }
            }
        }
    }

    fn dial(&mut self, attempt: Attempt, addresses: Option<Vec<HostPort>>, patience: Patience) {
        let (addresses, post) = (addresses.unwrap_or_default(), self.to_self.clone());
        self.leader =
            Some(LeaderConnection::open(attempt, addresses, patience, self.protection.clone(), post));
    }

    fn act(&mut self, action: Action) {
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
                if let Some(leader) = &self.leader {
                    leader.push(&packet);
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
                self.log(ToLog::Restart(tree.freeze().with_digest(tree.digest())));
                self.followers.replace(&tree);
            }
            Action::Replace(tree) => self.followers.replace(&tree),
            Action::AskOracle => {
                let answer = self.to_self.clone();
                if let Some(oracle) = &self.oracle {
                    oracle.ask(move |grants| answer.post(ToCommit::Oracle(grants)));
                }
            }
            Action::Publish(batch) => self.followers.publish(batch),
            Action::Serve => self.serve(),
            // A server that stops begins nothing.
            Action::ServeReadOnly if self.log.is_none() => {}
            Action::ServeReadOnly => {
                warn!("no leader is in sight: serving read-only clients");
                self.followers.serve(Mode::ReadOnly);
            }
            Action::EndReadOnly => {
                info!("there is a leader: read-only clients are sent away, to come back as others");
                self.followers.stop_serving();
            }
            Action::Down(_) => {
                self.followers.stop_serving();
                self.learners.close_all();
                self.trees.clear();
                self.leader = None;
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
        let Some((state, epoch)) = self.seat.standing() else { return };
        let mode = match state {
            PeerState::Leading => Mode::Leader,
            PeerState::Following => Mode::Follower,
            PeerState::Observing => Mode::Observer,
            PeerState::Looking => return,
        };
        self.election.post(ToElection::Epoch(epoch.into()));
        if mode == Mode::Leader && !self.options.leader_serves {
            info!("leading epoch {epoch}, and serving no clients (leaderServes=no)");
            return;
        }
        info!("serving clients as {mode}, in epoch {epoch}");
        self.followers.serve(mode);
    }

    /// Takes turns that were held back, and sends what this turn has made.
    fn end_turn(&mut self) {
        let mut duties = std::mem::take(&mut self.duties);
        while self.followers.are_ready() && self.seat.on_ready(self.at, &mut duties) {
            self.perform(&mut duties);
        }
        self.seat.end_turn(self.at, &mut duties);
        self.perform(&mut duties);
        self.duties = duties;
        self.learners.flush();
        if let Some(leader) = &self.leader {
            leader.flush();
        }
    }

    fn stop(&mut self) {
        self.seat.stop();
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

/// How long an observer tries to connect to one of several servers before it goes on to the next. One that is there has
/// longer for its handshake: as long as a leader, as with Java.
const MASTER_PATIENCE: Duration = Duration::from_millis(500);
/// A turn takes no more than this, so that what is durable is not published late.
const MESSAGES_PER_TURN_MAX: usize = 64;
/// How long a leader is tried to be reached that a reconfig has designated: it starts to lead when others start
/// to follow it, and if it is gone there must be an election.
const DESIGNATED_PATIENCE: Duration = Duration::from_secs(2);
