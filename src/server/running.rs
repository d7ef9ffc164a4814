use std::future::Future;
use std::io;
use std::net::TcpListener;
use std::path::Path;
use std::pin::Pin;
use std::sync::atomic::AtomicU16;
use std::sync::{Arc, Mutex, PoisonError};

use futures_lite::future;
use ringkeeper_core::config::{Config, Configurations, Ensemble};
use ringkeeper_core::election::LastLogged;
use ringkeeper_core::flow::ShardId;
use ringkeeper_core::id::Zxid;
use ringkeeper_core::member::Member;
use ringkeeper_core::sasl::QuorumAuth;
use ringkeeper_core::shard::Shard;
use ringkeeper_core::tree::{DataTree, SnapshotTree};
use ringkeeper_core::zab::{History, HistoryBounds};

use super::log::LogKeeper;
use super::{StartError, backlog, login, plan, trust};
use crate::admin::{Desk, DeskOptions};
use crate::commit::{Commit, Followers};
use crate::election::{ElectionRole, ToElection};
use crate::member::{ConfigFiles, Disk, MemberRole, read_epochs};
use crate::net::peers::PeerPort;
use crate::net::{Acceptor, Admission, ClientDoor, Limits, Protection};
use crate::oracle::Oracle;
use crate::preflight;
use crate::quorum_port::{FromPeers, QuorumPort};
use crate::runtime::{Clock, Executor, Running, Sender, inbox};
use crate::shard::ShardRole;
use crate::snapshotter::{self, SpaceWatch};
use crate::storage::disk::Os;
use crate::storage::history;
use crate::storage::purge::Purge;
use crate::storage::recovery::{Folders, Recovery};
use crate::storage::wal::{Recovered, WalHandle};
use crate::topology::{Role, Topology};
use crate::wiring::{Mode, Published, ToCommit, ToLog, ToShard};

/// A server that serves.
pub(super) struct Server {
    door: Arc<ClientDoor>,
    commit: Sender<ToCommit>,
    executors: Vec<Running<()>>,
    observer_port: Option<PeerPort>,
    snapshotter: snapshotter::Running,
}

/// A role that runs when it is polled on its executor; made there, since what it holds stays there.
type Start = Box<dyn FnOnce() -> Pin<Box<dyn Future<Output = ()>>> + Send>;

impl Server {
    /// Starts every role where the topology wants it, and then accepts clients.
    pub(super) fn start(
        config: Config,
        file: Option<&Path>,
        topology: &Topology,
        clock: Clock,
        recovery: Recovery,
        listener: TcpListener,
        protection: Protection,
    ) -> Result<Server, StartError> {
        let Recovery { mut pipeline, wal, snapshot } = recovery;
        // While nobody removes what snapshots have: the snapshotter begins with that.
        let history = recent_history(&config, pipeline.last_zxid())?;
        let (to_commit, commit_inbox) = inbox::<ToCommit>();
        let followed = (pipeline.tree(), snapshot);
        let handle = Arc::new(Mutex::new(wal.handle()));
        let snapshotter = start_snapshotter(&config, followed, (&wal, handle.clone()), to_commit.clone())?;
        let config = Arc::new(config);
        let is_member = config.ensemble.is_some();
        let (to_log, log_inbox) = inbox::<ToLog>();
        let (to_shards, shard_inboxes): (Vec<_>, Vec<_>) =
            (0..topology.shards).map(|_| inbox::<ToShard>()).unzip();
        let client_port = Arc::new(AtomicU16::new(listener.local_addr()?.port()));
        let door = open_door(&config, topology, listener, client_port.clone(), to_shards.clone())?;
        let desk = Arc::new(Desk::new(DeskOptions {
            config: config.clone(),
            client_port,
            shards: to_shards.clone(),
            commit: to_commit.clone(),
            wal: wal.stats(),
            mode: (!is_member).then_some(Mode::Standalone),
            clock,
        }));

        let published = Published::default();
        let mut shards = Vec::new();
        for (number, inbox) in shard_inboxes.into_iter().enumerate() {
            let options = plan::shard(&config, topology);
            let tree = match topology.is_single() {
                true => pipeline.share_tree(),
                false => pipeline.tree().follower(),
            };
            let mut shard = Shard::new(ShardId(number as u16), tree, options);
            shard.serve(Mode::service((!is_member).then_some(Mode::Standalone)));
            let (commit, desk, published) = (to_commit.clone(), desk.clone(), published.clone());
            let role = ShardRole { shard, inbox, commit, desk, published, clock };
            shards.push(Some(start(move || role.run())));
        }
        let followers = Followers { published, shards: to_shards.clone(), snapshotter: snapshotter.feed() };
        let stop_shards = to_shards.clone();
        let ended = move || stop_shards.iter().for_each(|shard| shard.post(ToShard::Stop));
        let keeper = log_keeper(&config, topology, handle);
        let from_log = to_commit.clone();
        let mut log = Some(start(move || keeper.run(wal, log_inbox, from_log)));
        let (mut election, mut observer_port) = (None, None);
        let mut commit = match config.ensemble.as_ref().zip(history) {
            None => {
                let (inbox, ticks) = (commit_inbox, to_commit.clone());
                let commit = Commit { pipeline, inbox, ticks, log: to_log, followers, desk, clock };
                Some(start(move || async move {
                    commit.run().await;
                    ended();
                }))
            }
            Some((ensemble, history)) => {
                let epochs = read_epochs(&config.storage.snap_dir(), pipeline.last_zxid())?;
                let (snapshots, logs) = (config.storage.snap_dir(), config.storage.log_dir());
                let may_vote = trust::may_vote(&config.storage, pipeline.tree(), snapshot)?;
                let mut member =
                    Member::new(plan::member(&config, ensemble, topology), pipeline, epochs, history);
                if !may_vote {
                    member.distrust();
                }
                let mut auth = quorum_auth(ensemble)?;
                let (to_election, inbox) = inbox::<ToElection>();
                let (position, decided, adopted) = (member.position(), to_commit.clone(), to_commit.clone());
                // The log may know of a reconfig that no file does, or of none that a file names.
                let configurations = member.configurations().clone();
                let oracle = ensemble.oracle.clone().map(Oracle::start);
                let config_files = config_files(ensemble, &configurations, file, to_commit.clone());
                let role = ElectionRole {
                    ensemble: Ensemble { configurations, ..ensemble.clone() },
                    last_logged: LastLogged { epoch: position.epoch.into(), zxid: position.zxid },
                    inbox,
                    protection: protection.clone(),
                    sender: to_election.clone(),
                    decided: Box::new(move |outcome| decided.post(ToCommit::Elected(outcome))),
                    adopted: Box::new(move |heard| adopted.post(ToCommit::ConfigurationHeard(heard))),
                    auth: auth.as_mut().map(QuorumAuth::apart),
                    oracle: oracle.clone(),
                    clock,
                };
                election = Some(start(move || role.run()));
                observer_port = listen_for_observers(ensemble, protection.clone(), to_commit.clone());
                let role = MemberRole {
                    member,
                    options: plan::member_role(&config, ensemble),
                    inbox: commit_inbox,
                    to_self: to_commit.clone(),
                    log: to_log,
                    election: to_election,
                    followers,
                    desk,
                    disk: Disk {
                        epochs: snapshots,
                        logs,
                        snapshot_size_factor: ensemble.snapshot_size_factor,
                    },
                    config_files,
                    quorum_port: QuorumPort::listen(ensemble, protection.clone(), to_commit.clone()),
                    protection,
                    client_door: door.clone(),
                    auth,
                    oracle,
                    clock,
                };
                Some(start(move || async move {
                    role.run().await;
                    ended();
                }))
            }
        };

        let mut executors = Vec::new();
        for place in &topology.executors {
            let roles: Vec<Start> = place
                .roles
                .iter()
                .flat_map(|role| match role {
                    Role::Shard(number) => [shards[*number].take(), None],
                    // Elections are rare, and short.
                    Role::Commit => [commit.take(), election.take()],
                    Role::Wal => [log.take(), None],
                })
                .flatten()
                .collect();
            let executor = Executor::new(place.options.clone());
            executors.push(executor.start(move || run_all(roles))?);
        }

        Ok(Server { door, commit: to_commit, executors, observer_port, snapshotter })
    }

    /// Stops: nobody new is accepted, what was ordered becomes durable and is answered, then everything
    /// ends, and there is a snapshot of the final state.
    pub(super) fn stop(self) {
        let Server { door, commit, executors, observer_port, snapshotter } = self;
        door.stop();
        observer_port.into_iter().for_each(PeerPort::stop);
        commit.post(ToCommit::Stop);
        for executor in executors {
            executor.join();
        }
        snapshotter.stop();
    }
}

/// The last transactions of a server of an ensemble, for learners that are a little behind.
fn recent_history(config: &Config, last: Zxid) -> Result<Option<History>, StartError> {
    let Some(ensemble) = &config.ensemble else { return Ok(None) };
    let bounds = HistoryBounds { count_max: ensemble.history_count, ..HistoryBounds::default() };
    let (snapshots, logs) = (config.storage.snap_dir(), config.storage.log_dir());
    Ok(Some(history::recent(Folders { snapshots: &snapshots, logs: &logs }, last, bounds)?))
}

/// Starts with a tree of its own of the state that this tree has, and the state of which there is a snapshot already.
fn start_snapshotter(
    config: &Config,
    (tree, saved): (&DataTree, Option<Zxid>),
    (log, handle): (&Recovered, Arc<Mutex<WalHandle>>),
    to_commit: Sender<ToCommit>,
) -> io::Result<snapshotter::Running> {
    let storage = &config.storage;
    let space = SpaceWatch::new(storage.log_dir(), storage.segment_bytes, log.stats(), move |room| {
        to_commit.post(ToCommit::LogRoom(room));
    });
    let release = move |upto| handle.lock().unwrap_or_else(PoisonError::into_inner).release(upto);
    let purge = Purge::new(plan::purge(config), Arc::new(Os), release);
    let state = (SnapshotTree::of(tree), tree.digest());
    snapshotter::Running::start(plan::snapshotter(config), state, saved, log.stats(), space, purge)
}

fn start<F>(make: impl FnOnce() -> F + Send + 'static) -> Start
where
    F: Future<Output = ()> + 'static,
{
    Box::new(move || Box::pin(make()))
}

/// Runs the roles of one executor until all have ended.
async fn run_all(roles: Vec<Start>) {
    let running = roles.into_iter().map(|role| role());
    let all = running.fold(Box::pin(future::ready(())) as Pin<Box<dyn Future<Output = ()>>>, |all, role| {
        Box::pin(async move {
            future::zip(all, role).await;
        })
    });
    all.await;
}

fn log_keeper(config: &Config, topology: &Topology, handle: Arc<Mutex<WalHandle>>) -> LogKeeper {
    let storage = &config.storage;
    LogKeeper {
        snapshots: storage.snap_dir(),
        logs: storage.log_dir(),
        wal: plan::wal(config),
        tree: plan::tree(config),
        pipeline: plan::pipeline(config, topology),
        trust_empty: storage.trust_empty,
        has_last_zxid: storage.serialize_last_zxid,
        handle,
    }
}

/// Accepts clients, and deals them to the shards. They wait there until somebody serves them.
fn open_door(
    config: &Config,
    topology: &Topology,
    listener: TcpListener,
    port: Arc<AtomicU16>,
    shards: Vec<Sender<ToShard>>,
) -> io::Result<Arc<ClientDoor>> {
    let limits = Limits {
        per_client: config.limits.connections_per_client,
        total: config.limits.connections,
        descriptors: preflight::reserved_descriptors().map(|reserved| reserved.start),
    };
    let (admission, keep_alive) = (Admission::new(limits, topology.shards), config.client_port.keep_alive);
    ClientDoor::open(listener, backlog(&config.client_port), port, move |listener| {
        let deal_to = shards.clone();
        Acceptor::start(listener, admission.clone(), keep_alive, move |accepted| {
            let shard = accepted.admitted.shard();
            deal_to[shard].post(ToShard::Accepted(accepted));
        })
    })
}

/// The files that a reconfig changes, if there are any, of a server that goes by these configurations now.
fn config_files(
    ensemble: &Ensemble,
    now: &Configurations,
    file: Option<&Path>,
    to_commit: Sender<ToCommit>,
) -> Option<ConfigFiles> {
    let file = file.filter(|_| ensemble.reconfig.is_some())?;
    Some(ConfigFiles::start(file, ensemble.my_id, &ensemble.configurations, now, to_commit))
}

/// How this server proves to others who it is, by the log-in file.
fn quorum_auth(ensemble: &Ensemble) -> Result<Option<QuorumAuth>, StartError> {
    ensemble.sasl.as_ref().map(login::quorum_auth).transpose().map_err(StartError::from)
}

/// Listens for observers that a follower is to bring up to date, if followers do that, on every server that may
/// come to follow.
fn listen_for_observers(
    ensemble: &Ensemble,
    protection: Protection,
    to_commit: Sender<ToCommit>,
) -> Option<PeerPort> {
    let own = ensemble.observer_master_addresses().remove(&ensemble.my_id)?;
    Some(PeerPort::listen(
        "observer master port",
        own,
        ensemble.listens_on_all,
        None,
        protection,
        move |stream| {
            to_commit.post(ToCommit::Peers(FromPeers::AcceptedObserver(stream)));
        },
    ))
}
