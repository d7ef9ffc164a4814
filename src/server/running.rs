use std::future::Future;
use std::io;
use std::net::TcpListener;
use std::pin::Pin;
use std::sync::Arc;

use futures_lite::future;
use ringkeeper_core::config::Config;
use ringkeeper_core::flow::ShardId;
use ringkeeper_core::format::wal::RecordBatch;
use ringkeeper_core::id::Zxid;
use ringkeeper_core::shard::Shard;
use ringkeeper_core::tree::DataTree;

use super::{StartError, plan};
use crate::admin::{Desk, DeskOptions};
use crate::commit::{Commit, Followers};
use crate::net::{Acceptor, Admission, Limits};
use crate::runtime::{Clock, Executor, Inbox, Reason, Running, Sender, fatal, inbox};
use crate::shard::ShardRole;
use crate::snapshotter::{self, SpaceWatch};
use crate::storage::disk::Os;
use crate::storage::purge::Purge;
use crate::storage::recovery::Recovery;
use crate::storage::wal::{Batches, Recovered, Wal};
use crate::topology::{Role, Topology};
use crate::wiring::{Published, ToCommit, ToShard};

/// A server that serves.
pub(super) struct Server {
    acceptor: Acceptor,
    commit: Sender<ToCommit>,
    executors: Vec<Running<()>>,
    snapshotter: snapshotter::Running,
}

/// A role that runs when it is polled on its executor; made there, since what it holds stays there.
type Start = Box<dyn FnOnce() -> Pin<Box<dyn Future<Output = ()>>> + Send>;

impl Server {
    /// Starts every role where the topology wants it, and then accepts clients.
    pub(super) fn start(
        config: Config,
        topology: &Topology,
        clock: Clock,
        recovery: Recovery,
        listener: TcpListener,
    ) -> Result<Server, StartError> {
        let Recovery { pipeline, wal, snapshot } = recovery;
        let (to_commit, commit_inbox) = inbox::<ToCommit>();
        let followed = (pipeline.tree().clone(), snapshot);
        let snapshotter = start_snapshotter(&config, followed, &wal, to_commit.clone())?;
        let config = Arc::new(config);
        let (to_log, log_inbox) = inbox::<RecordBatch>();
        let (to_shards, shard_inboxes): (Vec<_>, Vec<_>) =
            (0..topology.shards).map(|_| inbox::<ToShard>()).unzip();
        let desk = Arc::new(Desk::new(DeskOptions {
            config: config.clone(),
            client_port: listener.local_addr()?.port(),
            shards: to_shards.clone(),
            commit: to_commit.clone(),
            wal: wal.stats(),
            clock,
        }));

        let published = Published::default();
        let mut shards = Vec::new();
        for (number, inbox) in shard_inboxes.into_iter().enumerate() {
            let options = plan::shard(&config, topology);
            let shard = Shard::new(ShardId(number as u16), pipeline.tree().clone(), options);
            let (commit, desk, published) = (to_commit.clone(), desk.clone(), published.clone());
            let role = ShardRole { shard, inbox, commit, desk, published, clock };
            shards.push(Some(start(move || role.run())));
        }
        let followers = Followers { published, shards: to_shards.clone(), snapshotter: snapshotter.feed() };
        let (inbox, ticks, log) = (commit_inbox, to_commit.clone(), to_log);
        let commit = Commit { pipeline, inbox, ticks, log, followers, desk, clock };
        let stop_shards = to_shards.clone();
        let mut commit = Some(start(move || async move {
            commit.run().await;
            stop_shards.iter().for_each(|shard| shard.post(ToShard::Stop));
        }));
        let from_log = to_commit.clone();
        let mut log = Some(start(move || keep_log(wal, log_inbox, from_log)));

        let mut executors = Vec::new();
        for place in &topology.executors {
            let roles: Vec<Start> = place
                .roles
                .iter()
                .filter_map(|role| match role {
                    Role::Shard(number) => shards[*number].take(),
                    Role::Commit => commit.take(),
                    Role::Wal => log.take(),
                })
                .collect();
            let executor = Executor::new(place.options.clone());
            executors.push(executor.start(move || run_all(roles))?);
        }

        let limits =
            Limits { per_client: config.limits.connections_per_client, total: config.limits.connections };
        let deal_to = to_shards;
        let acceptor = Acceptor::start(
            listener,
            Admission::new(limits, topology.shards),
            config.client_port.keep_alive,
            move |accepted| {
                let shard = accepted.admitted.shard();
                deal_to[shard].post(ToShard::Accepted(accepted));
            },
        )?;
        Ok(Server { acceptor, commit: to_commit, executors, snapshotter })
    }

    /// Stops: nobody new is accepted, what was ordered becomes durable and is answered, then everything
    /// ends, and there is a snapshot of the final state.
    pub(super) fn stop(self) {
        let Server { acceptor, commit, executors, snapshotter } = self;
        acceptor.stop();
        commit.post(ToCommit::Stop);
        for executor in executors {
            executor.join();
        }
        snapshotter.stop();
    }
}

/// Starts with a tree of its own, and the state of which there is a snapshot already.
fn start_snapshotter(
    config: &Config,
    (tree, saved): (DataTree, Option<Zxid>),
    log: &Recovered,
    to_commit: Sender<ToCommit>,
) -> io::Result<snapshotter::Running> {
    let storage = &config.storage;
    let space = SpaceWatch::new(storage.log_dir(), storage.segment_bytes, log.stats(), move |room| {
        to_commit.post(ToCommit::LogRoom(room));
    });
    let handle = log.handle();
    let purge = Purge::new(plan::purge(config), Arc::new(Os), move |upto| handle.release(upto));
    snapshotter::Running::start(plan::snapshotter(config), tree, saved, log.stats(), space, purge)
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

/// The log's role, from its opening on.
async fn keep_log(recovered: Recovered, inbox: Inbox<RecordBatch>, commit: Sender<ToCommit>) {
    match Wal::open(recovered).await {
        Ok(wal) => wal.run(LogInbox(inbox), |durable| commit.post(ToCommit::Durable(durable))).await,
        Err(error) => fatal(Reason::LogWrite, format_args!("cannot open the log for writing: {error}")),
    }
    commit.post(ToCommit::LogEnded);
}

struct LogInbox(Inbox<RecordBatch>);

impl Batches for LogInbox {
    async fn next(&mut self) -> Option<RecordBatch> {
        self.0.take_one().await
    }

    fn try_next(&mut self) -> Option<RecordBatch> {
        self.0.try_take()
    }
}
