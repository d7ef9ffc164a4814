//! What the administrator's commands show, as plain data (admin §1).

use std::net::SocketAddr;

use super::Shard;
use super::conn::{Conn, State};
use super::stats::{ConnStats, Latency, ShardStats};
use crate::id::{SessionId, Zxid};
use crate::proto::OpCode;
use crate::time::Instant;
use crate::watch::WatchSummary;

/// One shard's part of what srvr, stat, cons, wchs and mntr show. Figures of the tree are the same for all
/// shards, the others add up.
#[derive(Clone, Debug)]
pub struct ShardReport {
    /// The connections, in no particular order.
    pub connections: Vec<ConnReport>,
    /// What was counted since the last reset.
    pub stats: ShardStats,
    /// Requests without a reply.
    pub outstanding: usize,
    /// The data table of the watches, as wchs counts it.
    pub watch_summary: WatchSummary,
    /// The watches of both tables, as mntr counts them.
    pub watch_count: usize,
    /// Nodes, as ZooKeeper counts them.
    pub node_count: usize,
    /// The lengths of all paths and data.
    pub approximate_data_size: u64,
    /// Ephemeral nodes.
    pub ephemerals_count: usize,
    /// Open sessions of the whole ensemble.
    pub global_sessions: usize,
    /// The last transaction applied.
    pub last_zxid: Zxid,
}

/// A connection, as cons shows it.
#[derive(Clone, Debug)]
pub struct ConnReport {
    /// The client's address.
    pub peer: SocketAddr,
    /// The interest set: 1 while the connection is read from, and 4 while output waits for it.
    pub interest: u8,
    /// Requests without a reply.
    pub queued: usize,
    /// Frames received.
    pub received: u64,
    /// Replies and events sent.
    pub sent: u64,
    /// When the connection was accepted.
    pub established: Instant,
    /// The rest, if it has a session.
    pub session: Option<SessionReport>,
}

/// The session of a connection, as cons shows it.
#[derive(Clone, Debug)]
pub struct SessionReport {
    /// The session.
    pub id: SessionId,
    /// Its negotiated timeout.
    pub timeout_ms: i32,
    /// The operation answered last, as ZooKeeper abbreviates it.
    pub last_op: &'static str,
    /// The last xid answered that was not negative.
    pub last_xid: Option<i32>,
    /// The zxid of the last reply; `None` after a reset.
    pub last_zxid: Option<Zxid>,
    /// When the last reply was made.
    pub last_reply: Instant,
    /// Latencies of the connection's requests.
    pub latency: Latency,
}

impl Shard {
    /// The state of everything, for four-letter words. Takes time in proportion to the connections.
    pub fn report(&self) -> ShardReport {
        ShardReport {
            connections: self.conns.iter().map(Conn::report).collect(),
            stats: self.stats,
            outstanding: self.outstanding,
            watch_summary: self.watches.summary(),
            watch_count: self.watches.watch_count(),
            node_count: self.tree.node_count(),
            approximate_data_size: self.tree.approximate_data_size(),
            ephemerals_count: self.tree.ephemerals_count(),
            global_sessions: self.tree.sessions().len(),
            last_zxid: self.tree.last_zxid(),
        }
    }

    /// The data table's watches, each with its connection's session, grouped by connection, as wchc shows
    /// them.
    pub fn watched_paths(&self) -> impl Iterator<Item = (SessionId, &str)> {
        self.conns
            .iter()
            .flat_map(|conn| self.watches.data_paths(conn.watcher()).map(move |path| (conn.session, path)))
    }

    /// Forgets what was counted over all connections, as srst asks.
    pub fn reset_stats(&mut self) {
        self.stats = ShardStats::default();
    }

    /// Forgets what was counted for each connection, as crst asks.
    pub fn reset_connection_stats(&mut self) {
        self.conns.iter_mut().for_each(|conn| conn.stats = ConnStats::default());
    }
}

impl Conn {
    fn report(&self) -> ConnReport {
        let has_session = matches!(self.state, State::Open | State::Ending);
        ConnReport {
            peer: self.peer,
            interest: !self.is_paused as u8 * READ_INTEREST + !self.out.is_empty() as u8 * WRITE_INTEREST,
            queued: self.pending.len(),
            received: self.stats.received,
            sent: self.stats.sent,
            established: self.established,
            session: has_session.then(|| SessionReport {
                id: self.session,
                timeout_ms: self.timeout_ms,
                last_op: self.stats.last_op.map_or("NA", abbreviation),
                last_xid: self.stats.last_xid,
                last_zxid: self.stats.last_zxid,
                last_reply: self.stats.last_reply,
                latency: self.stats.latency,
            }),
        }
    }
}

/// The operation as cons abbreviates it.
fn abbreviation(op: OpCode) -> &'static str {
    use OpCode::*;
    match op {
        CreateSession => "SESS",
        Ping => "PING",
        Create | Create2 | CreateContainer | CreateTtl => "CREA",
        Delete | DeleteContainer => "DELE",
        SetData => "SETD",
        SetAcl => "SETA",
        GetData => "GETD",
        Exists => "EXIS",
        GetChildren | GetChildren2 => "GETC",
        GetAllChildrenNumber => "GETACN",
        GetAcl => "GETA",
        Sync => "SYNC",
        Multi => "MULT",
        MultiRead => "MLTR",
        SetWatches => "SETW",
        SetWatches2 => "STW2",
        AddWatch => "ADDW",
        CheckWatches => "CHKW",
        RemoveWatches => "REMW",
        WhoAmI => "HOMI",
        GetEphemerals => "GETE",
        CloseSession => "CLOS",
        Reconfig => "RECO",
        Check => "CHEC",
        Auth | Sasl => "NA",
    }
}

const READ_INTEREST: u8 = 1;
const WRITE_INTEREST: u8 = 4;
