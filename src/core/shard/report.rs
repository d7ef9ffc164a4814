//! What the administrator's commands show, as plain data (admin §1).

use std::net::SocketAddr;

use super::conn::{Conn, State};
use super::stats::{ConnStats, Latency, ShardStats};
use super::{Shard, handshake_deadline};
use crate::id::{SessionId, Zxid};
use crate::proto::OpCode;
use crate::time::Instant;
use crate::watch::WatchSummary;

/// What a report lists beside its figures. Each list takes time and memory in proportion to its length.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lists {
    /// The connections.
    pub connections: bool,
    /// The data table of the watches.
    pub watches: bool,
    /// The ephemeral nodes.
    pub ephemerals: bool,
}

/// One shard's part of what four-letter words show. Figures of the tree, and its ephemerals, are the same for
/// all shards, the others add up. The lists are in no particular order, and empty where they were not asked
/// for.
#[derive(Clone, Debug)]
pub struct ShardReport {
    /// The connections.
    pub connections: Vec<ConnReport>,
    /// The paths in the data table of the watches, each with the session of a connection that watches it.
    pub watches: Vec<(SessionId, Box<str>)>,
    /// The paths of the ephemeral nodes, each with its session.
    pub ephemerals: Vec<(SessionId, Box<str>)>,
    /// How many connections there are.
    pub connection_count: usize,
    /// What was counted since the last reset.
    pub stats: ShardStats,
    /// Requests in process: those without a reply, but for those in line (`request_throttle_max_requests`).
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
    /// Requests without a reply, with those in line.
    pub queued: usize,
    /// Frames received.
    pub received: u64,
    /// Replies and events sent.
    pub sent: u64,
    /// When the connection was accepted.
    pub established: Instant,
    /// When it is closed if it has no session by then.
    pub handshake_until: Instant,
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
    /// The state of everything, for four-letter words.
    pub fn report(&self, lists: Lists) -> ShardReport {
        ShardReport {
            connections: listed(lists.connections, self.conns.iter().map(|conn| self.report_of(conn))),
            watches: listed(lists.watches, self.watched_paths()),
            ephemerals: listed(lists.ephemerals, self.ephemerals()),
            connection_count: self.conns.len(),
            stats: self.stats,
            outstanding: self.in_process(),
            watch_summary: self.watches.summary(),
            watch_count: self.watches.watch_count(),
            node_count: self.tree.node_count(),
            approximate_data_size: self.tree.approximate_data_size(),
            ephemerals_count: self.tree.ephemerals_count(),
            global_sessions: self.tree.sessions().len(),
            last_zxid: self.tree.last_zxid(),
        }
    }

    /// Forgets what was counted over all connections, as srst asks.
    pub fn reset_stats(&mut self) {
        self.stats = ShardStats::default();
    }

    /// Forgets what was counted for each connection, as crst asks.
    pub fn reset_connection_stats(&mut self) {
        self.conns.iter_mut().for_each(|conn| conn.stats = ConnStats::default());
    }

    fn watched_paths(&self) -> impl Iterator<Item = (SessionId, Box<str>)> {
        let paths = |conn: &Conn| (conn.session, self.watches.data_paths(conn.watcher()));
        self.conns
            .iter()
            .filter(|conn| conn.state != State::Closed)
            .map(paths)
            .flat_map(|(session, paths)| paths.map(move |path| (session, path.into())))
    }

    fn ephemerals(&self) -> impl Iterator<Item = (SessionId, Box<str>)> {
        let nodes = |session| (session, self.tree.ephemerals(session));
        let all = self.tree.ephemeral_owners().map(nodes);
        all.flat_map(|(session, nodes)| nodes.map(move |node| (session, node.path().into())))
    }

    fn report_of(&self, conn: &Conn) -> ConnReport {
        let has_session = matches!(conn.state, State::Open | State::Ending);
        ConnReport {
            peer: conn.peer,
            interest: !conn.is_paused as u8 * READ_INTEREST + !conn.out.is_empty() as u8 * WRITE_INTEREST,
            queued: conn.outstanding(),
            received: conn.stats.received,
            sent: conn.stats.sent,
            established: conn.established,
            handshake_until: handshake_deadline(conn.established, self.options.sessionless_timeout),
            session: has_session.then(|| SessionReport {
                id: conn.session,
                timeout_ms: conn.timeout_ms,
                last_op: conn.stats.last_op.map_or("NA", abbreviation),
                last_xid: conn.stats.last_xid,
                last_zxid: conn.stats.last_zxid,
                last_reply: conn.stats.last_reply,
                latency: conn.stats.latency,
            }),
        }
    }
}

fn listed<T>(is_wanted: bool, items: impl Iterator<Item = T>) -> Vec<T> {
    if is_wanted { items.collect() } else { Vec::new() }
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
