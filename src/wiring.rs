//! What roles say to each other. Roles know these messages and not one another; `server` decides which
//! of them share an executor.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ringkeeper_core::config::Membership;
use ringkeeper_core::durable::Durable;
use ringkeeper_core::election::Outcome;
use ringkeeper_core::flow::{CommitBatch, ConnId, ShardTurn};
use ringkeeper_core::format::wal::RecordBatch;
use ringkeeper_core::id::Zxid;
use ringkeeper_core::log_room::LogRoom;
use ringkeeper_core::shard::Service;
use ringkeeper_core::tree::{DataTree, Frozen};
use ringkeeper_core::zab::{EpochFile, LinkId, LogExcerpt};

use crate::admin::Question;
use crate::net::Accepted;
use crate::quorum_port::FromPeers;

/// What the commit role is told.
pub enum ToCommit {
    /// What a shard's clients want.
    Turn(ShardTurn),
    /// What the log made durable, and how often it was cut before.
    Durable(Durable, u64),
    /// How much the log can still take.
    LogRoom(LogRoom),
    /// What other servers of the ensemble did on the quorum port.
    Peers(FromPeers),
    /// What the oracle says: whether this server may go on alone.
    Oracle(bool),
    /// How an election ended.
    Elected(Outcome),
    /// Another server goes by a newer configuration, and this one from now on too.
    ConfigurationHeard(Membership),
    /// A change of the configurations is on disk.
    ConfigurationsSaved,
    /// This epoch is on disk.
    EpochSaved(EpochFile, u32),
    /// The log was cut off as [`ToLog::Cut`] asked. With a tree: what the disk has now is this state.
    LogCut(Option<Box<DataTree>>),
    /// The tree that [`ToLog::Restart`] brought is on disk, and the log goes on from it.
    TreeSaved,
    /// The state as it was published when a learner needed it.
    TreeTaken(LinkId, Frozen),
    /// What the log on disk has for a learner, if it has enough.
    LogRead(LinkId, Option<LogExcerpt>),
    /// Time has passed.
    Tick,
    /// Somebody asked a four-letter word; the commit role adds what it knows.
    Ask(Arc<Question>),
    /// Order nothing more; end when everything ordered is durable and published.
    Stop,
    /// The log has written everything it was given and ended.
    LogEnded,
}

/// What the log is told.
pub enum ToLog {
    /// Write these.
    Records(RecordBatch),
    /// Drop what was written after this zxid, see [`ToCommit::LogCut`].
    Cut {
        /// The last transaction that stays.
        zxid: Zxid,
        /// Whether the database has more than that, and must be built anew.
        rebuild: bool,
    },
    /// This state, which came from a leader, takes the place of all that was written: see
    /// [`ToCommit::TreeSaved`].
    Restart(Frozen),
}

/// What a server is to its clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// The only one.
    Standalone,
    /// The leader of an ensemble.
    Leader,
    /// A follower.
    Follower,
    /// An observer.
    Observer,
    /// A server without a leader, for clients that will do with reads.
    ReadOnly,
}

impl Mode {
    /// Whom a server serves that is this.
    pub fn service(mode: Option<Mode>) -> Service {
        match mode {
            None => Service::Nobody,
            Some(Mode::ReadOnly) => Service::ReadOnly,
            Some(_) => Service::Everybody,
        }
    }
}

impl fmt::Display for Mode {
    /// As `srvr` says it (admin §1).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Mode::Standalone => "standalone",
            Mode::Leader => "leader",
            Mode::Follower => "follower",
            Mode::Observer => "observer",
            Mode::ReadOnly => "read-only",
        })
    }
}

/// How far the commit role has published, for the shards to know whether they are behind.
///
/// A client that was answered by one shard may tell another client, which asks another shard. As long as
/// that shard has not applied what the first one had, the second client would read the past, which it
/// never does with one Java server. So a shard that is behind applies what is published before it takes
/// more input. One load per read from a socket is what that costs.
#[derive(Clone, Debug, Default)]
pub struct Published(Arc<AtomicU64>);

impl Published {
    /// One more batch is about to be posted to the shards.
    pub fn advance(&self) {
        self.0.fetch_add(1, Ordering::Release);
    }

    /// How many batches have been published.
    pub fn batches(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }
}

/// What a shard is told.
pub enum ToShard {
    /// A client has connected.
    Accepted(Accepted),
    /// What is durable.
    Commit(Arc<CommitBatch>),
    /// Serve clients from now on, or, with `None`, close every connection and serve nobody.
    Serve(Option<Mode>),
    /// Another state takes the place of the tree. Nobody is served meanwhile.
    Replace(Box<DataTree>),
    /// Somebody asked a four-letter word; this shard adds what it knows.
    Ask(Arc<Question>),
    /// The answer to a four-letter word that came to this shard.
    Answer(ConnId, Vec<u8>),
    /// Send what is due, close all connections and end.
    Stop,
}
