//! The packets of the quorum port, to the byte (zab §§1–3, 8).

mod from_leader;
mod from_learner;
mod raw;
#[cfg(test)]
mod tests;

use std::sync::Arc;

pub use from_leader::FromLeader;
pub use from_learner::{FromLearner, LearnerInfo, LearnerInput, LearnerKind};
pub use raw::{Identities, PacketError, QuorumPacket, Split};

/// A transaction as proposals and log records carry it: header, record, perhaps a digest.
pub type Payload = Arc<[u8]>;

/// The protocol that is spoken here: that of 3.4 and all later versions.
pub const PROTOCOL_VERSION: i32 = 0x10000;

/// What kinds of packets there are.
#[allow(missing_docs, reason = "the names are ZooKeeper's own; zab §2 describes each")]
pub mod kind {
    pub const REQUEST: i32 = 1;
    pub const PROPOSAL: i32 = 2;
    pub const ACK: i32 = 3;
    pub const COMMIT: i32 = 4;
    pub const PING: i32 = 5;
    pub const REVALIDATE: i32 = 6;
    pub const SYNC: i32 = 7;
    pub const INFORM: i32 = 8;
    pub const COMMITANDACTIVATE: i32 = 9;
    pub const NEWLEADER: i32 = 10;
    pub const FOLLOWERINFO: i32 = 11;
    pub const UPTODATE: i32 = 12;
    pub const DIFF: i32 = 13;
    pub const TRUNC: i32 = 14;
    pub const SNAP: i32 = 15;
    pub const OBSERVERINFO: i32 = 16;
    pub const LEADERINFO: i32 = 17;
    pub const ACKEPOCH: i32 = 18;
    pub const INFORMANDACTIVATE: i32 = 19;
}
