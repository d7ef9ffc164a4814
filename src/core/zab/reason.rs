use thiserror::Error;

use super::packet::PacketError;
use crate::id::{ServerId, Zxid};

/// Why a leader closes a learner's connection. The learner may come again.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[allow(missing_docs, reason = "the texts say it")]
pub enum CloseReason {
    #[error("the learner speaks a protocol older than ZooKeeper 3.4's: {version:#x}")]
    OldProtocol { version: i32 },
    #[error("the learner knows a later activated configuration ({theirs:x}) than this leader's ({ours:x})")]
    LaterConfig { theirs: i64, ours: i64 },
    #[error(
        "the learner claims to have promised epoch {epoch}, which no ensemble reaches: its acceptedEpoch file is damaged"
    )]
    AbsurdEpoch { epoch: u32 },
    #[error(
        "the learner has followed epoch {epoch} up to {zxid}, further than this leader, which must not lead it"
    )]
    Ahead { epoch: u32, zxid: Zxid },
    #[error("another connection says that it is server {id}: it was restarted, or two servers have one id")]
    Replaced { id: ServerId },
    #[error("the learner sent {packet} while this leader awaited {awaited}")]
    Unexpected { packet: &'static str, awaited: &'static str },
    #[error("{0}")]
    Malformed(#[from] PacketError),
    #[error("the learner sent nothing for {ms} ms")]
    Silent { ms: u64 },
    #[error(
        "transaction timeout: the learner has not acknowledged {zxid} for {ms} ms, its disk or its network is too slow"
    )]
    SlowAck { zxid: Zxid, ms: u64 },
    #[error("the learner is no observer: only a leader has followers")]
    NotAnObserver,
    #[error("{most} learners are being brought up to date at once already: it may come again")]
    TooManySyncs { most: usize },
    #[error("the learner fell behind what this leader keeps while it was sent the tree")]
    FellBehind,
}

/// Why a server stops to lead or to follow, and looks for a leader.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[allow(missing_docs, reason = "the texts say it")]
pub enum DownReason {
    #[error("no quorum of servers came to this leader within {ms} ms")]
    NoQuorumCame { ms: u64 },
    #[error("no quorum of servers promised epoch {epoch} within {ms} ms")]
    NoQuorumPromised { epoch: u32, ms: u64 },
    #[error("no quorum of servers was brought to this leader's state within {ms} ms; {acked:?} were")]
    NoQuorumSynced { ms: u64, acked: Vec<ServerId> },
    #[error("no quorum of servers is connected any more, only {connected:?}")]
    QuorumLost { connected: Vec<ServerId> },
    #[error("no other server is connected any more, and the oracle does not let this one go on alone")]
    OracleDenied,
    #[error("the transactions of epoch {epoch} are numbered out: a new epoch begins")]
    Rollover { epoch: u32 },
    #[error("the ensemble was reconfigured{}", .leader.map(|id| format!(", and server {id} is to lead")).unwrap_or_default())]
    Reconfigured {
        /// Who leads from here on, as the leader that was has determined.
        leader: Option<ServerId>,
        /// The configuration's transaction.
        zxid: Zxid,
    },
    #[error("the leader proposed a configuration that cannot be read ({error}), in transaction {zxid}")]
    BadConfiguration { zxid: Zxid, error: crate::config::MembershipError },
    #[error(
        "server {id} has promised epoch {theirs}, later than this leader's {ours}, and cannot follow it: a new epoch begins"
    )]
    Outpromised { id: ServerId, theirs: u32, ours: u32 },
    #[error("the connection to the leader was lost")]
    LeaderLost,
    #[error("the leader sent nothing for {ms} ms")]
    LeaderSilent { ms: u64 },
    #[error("the leader's epoch {theirs} is less than the accepted epoch {ours}")]
    OldEpoch { theirs: u32, ours: u32 },
    #[error("the leader sent {packet} while this server awaited {awaited}")]
    Unexpected { packet: &'static str, awaited: &'static str },
    #[error("the leader sent transaction {found} where {expected} comes next")]
    OutOfOrder { expected: Zxid, found: Zxid },
    #[error("the leader sent transaction {zxid}, which cannot be read: {error}")]
    Undecodable { zxid: Zxid, error: crate::jute::DecodeError },
    #[error(
        "the leader asks to truncate the log to {zxid}, which is not in it: this server does not vote until it has got the leader's whole tree"
    )]
    CannotTruncate { zxid: Zxid },
    #[error("{0}")]
    Malformed(#[from] PacketError),
    #[error("the leader sent a tree that cannot be read: {0}")]
    BadTree(#[from] crate::format::snapshot::SnapshotError),
}
