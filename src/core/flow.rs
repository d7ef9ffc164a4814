//! The types a request passes through, from a client's socket back to it.
//!
//! ```text
//!   shard ----ShardTurn----> commit ----RecordBatch----> wal
//!     ^                        |  ^                       |
//!     '------CommitBatch-------'  '--------Durable--------'
//! ```
//!
//! Data flows one way: a shard never waits for an answer to one request, it goes on and learns what
//! became of it from the next [`CommitBatch`].

mod records;

use std::sync::Arc;

use crate::error::Code;
use crate::id::{SessionId, Zxid};
use crate::proto::{Identity, OpCode, Password, Stat};
use crate::time::Instant;
use crate::tree::{Delta, LOOK_AHEAD, Node, Place, Slot};
pub use records::{RecordAt, Records};

/// A shard of this server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ShardId(pub u16);

/// A client connection of one shard. Never used again for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnId(pub u64);

/// Where a request came from and its reply goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Origin {
    /// The shard that owns the connection.
    pub shard: ShardId,
    /// The connection.
    pub conn: ConnId,
}

impl ShardId {
    /// No shard: an [`Origin`] of this one is another server of the ensemble, whose requests are forwarded
    /// here, and its connection is that server's.
    pub const PEERS: ShardId = ShardId(u16::MAX);
}

impl Origin {
    /// Another server of the ensemble, by the number of its connection.
    pub fn peer(link: u64) -> Origin {
        Origin { shard: ShardId::PEERS, conn: ConnId(link) }
    }
}

/// What one shard hands to the commit role after one turn.
#[derive(Debug)]
pub struct ShardTurn {
    /// The shard.
    pub shard: ShardId,
    /// The requests to order, in the order in which they arrived.
    pub submitted: Vec<Submitted>,
    /// Their records.
    pub records: Records,
    /// When each of these sessions was last heard.
    pub heard: Vec<(SessionId, Instant)>,
    /// Everything that the shard heard until this instant is in this turn or an earlier one. The commit
    /// role expires no session before each shard has said so for the session's deadline.
    pub as_of: Instant,
}

/// A request that the commit role must order.
#[derive(Debug)]
pub struct Submitted {
    /// The connection that sent it.
    pub origin: Origin,
    /// The connection's session; [`SessionId::NONE`] with a [`Submission::Connect`] for a new one.
    pub session: SessionId,
    /// What is asked.
    pub what: Submission,
}

/// What is asked of the commit role.
#[derive(Debug)]
pub enum Submission {
    /// A new session, or with [`Submitted::session`] the re-attachment of one.
    Connect {
        /// What the client believes the session's password to be; `None` if its length is wrong.
        password: Option<Password>,
        /// The timeout, clamped already.
        timeout_ms: i32,
    },
    /// A request for which [`OpCode::is_ordered`] holds.
    Request {
        /// The client's number for it.
        xid: i32,
        /// The operation.
        op: OpCode,
        /// Where among [`ShardTurn::records`] the operation's record is, as it came, not decoded: what follows the request's
        /// header.
        record: RecordAt,
        /// Who the connection is.
        identities: Arc<[Identity]>,
    },
}

/// A client's request on its way from the server that has the client to the leader.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForwardedRequest {
    /// The client's session.
    pub session: SessionId,
    /// The client's number for the request; 0 for sessions that open and expire.
    pub cxid: i32,
    /// The operation's number.
    pub op: i32,
    /// The operation's record as the client sent it.
    pub record: Box<[u8]>,
    /// Who the client is; `None` where a server asks.
    pub identities: Option<Arc<[Identity]>>,
}

/// What has become durable and is published: every role applies it whole, in order.
#[derive(Debug)]
pub struct CommitBatch {
    /// The steps, in order.
    pub steps: Vec<Step>,
    /// The digest of the tree after them, where it is kept; none if they leave the tree as it is.
    pub digest: Option<u64>,
}

/// One step of a [`CommitBatch`].
#[derive(Debug)]
pub enum Step {
    /// What follows, until the next of these, belongs to this transaction.
    Zxid(Zxid),
    /// A change, and where. Watches fire while it is applied, before any later reply.
    Delta(Delta, Place),
    /// What became of a request. Only the origin's shard looks at it.
    Reply(Reply),
    /// The session of this connection has gone, or gone to another connection: it is closed without a
    /// word, after what was queued for it.
    Close(Origin),
}

impl Step {
    /// The change, and where, if this is one.
    pub fn delta(&self) -> Option<(&Delta, Place)> {
        match self {
            Step::Delta(delta, place) => Some((delta, *place)),
            _ => None,
        }
    }
}

/// How many steps are taken together by those who [look ahead](crate::tree::DataTree::look_ahead_to_steps): most
/// requests are three, of which one is a change.
pub const STEPS_AHEAD: usize = 3 * LOOK_AHEAD;

/// What became of a request.
#[derive(Debug)]
pub struct Reply {
    /// Who asked.
    pub to: Origin,
    /// The client's number for the request; 0 for a connect request, which has none.
    pub xid: i32,
    /// The answer.
    pub outcome: Outcome,
}

/// The answer to an ordered request, as the shard reads it from its own tree: the steps that the request made come just
/// before it, so the tree is as of that request.
#[derive(Debug)]
pub enum Outcome {
    /// The session is open, or the connection's again.
    Connected {
        /// The session.
        session: SessionId,
        /// Its password.
        password: Password,
        /// Its timeout from now on.
        timeout_ms: i32,
    },
    /// There is no such session, or the password is not its own.
    Refused,
    /// The request failed; nothing changed.
    Failed(Code),
    /// Done, and there is nothing more to say: delete.
    Done,
    /// The session is closed: the reply is the connection's last.
    Closed,
    /// create: the reply is the node's path.
    Created(Node),
    /// create2, createContainer, createTTL: path and stat of the node as it was created.
    CreatedWithStat(Node),
    /// setData, setACL: the stat of the node in this slot.
    Changed(Slot),
    /// reconfig: the data of the configuration's node, which is in this slot, and its stat.
    Reconfigured(Slot),
    /// sync: everything ordered before it is in this or an earlier batch. The reply is the path.
    Synced(Option<Box<str>>),
    /// multi: the parts' results. A failed multi has nothing but [`PartOutcome::Failed`].
    Multi(Vec<PartOutcome>),
}

/// The result of one part of a multi. Stats are as of that part, whatever later parts change.
#[derive(Debug)]
pub enum PartOutcome {
    /// create.
    Created(Node),
    /// create2, createContainer, createTTL.
    CreatedWithStat(Node, Stat),
    /// delete.
    Deleted,
    /// setData.
    Changed(Stat),
    /// check.
    Checked,
    /// [`Code::Ok`] before the part that failed, [`Code::RuntimeInconsistency`] after it.
    Failed(Code),
}

// A request's steps are written, copied and read once by each role: at full load they go through the cache.
const _: () = assert!(size_of::<Step>() <= 56);
