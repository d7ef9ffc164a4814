//! The quorum port: moves packets and trees between a leader and its learners.
//!
//! Both ends live on the commit role's executor. What arrives is posted to the commit role as [`FromPeers`];
//! what is sent is collected until [`Learners::flush`] or [`LeaderConnection::flush`], so that all of a turn
//! leaves in one system call for each connection.

mod dial;
mod leader_connection;
mod learners;
mod link;
mod own;

use std::net::TcpStream;

pub use leader_connection::LeaderConnection;
pub use learners::Learners;
pub use own::QuorumPort;
use ringkeeper_core::tree::DataTree;
use ringkeeper_core::zab::packet::{FromLeader, FromLearner, PacketError};
use ringkeeper_core::zab::{DownReason, LinkId};

/// What other servers did on the quorum port.
pub enum FromPeers {
    /// Somebody connected to this server's quorum port.
    Accepted(TcpStream),
    /// A learner sent a packet.
    Packet(LinkId, FromLearner),
    /// A learner sent what is none.
    Malformed(LinkId, PacketError),
    /// The whole tree has left that a learner was to be sent.
    TreeSent(LinkId),
    /// A learner's connection is gone.
    Closed(LinkId),
    /// What the connection to this server's leader brought. Older attempts' are to be left out.
    Leader(Attempt, FromLeaderPort),
}

/// A connection to a leader, or what was to become one. Never used again for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attempt(pub u64);

/// What a connection to a leader brings.
pub enum FromLeaderPort {
    /// It is there.
    Connected(TcpStream),
    /// It could not be made in time.
    Unreachable,
    /// The leader sent a packet.
    Packet(FromLeader),
    /// Some of the tree that the leader announced has come.
    TreeBytes,
    /// The whole of it has.
    Tree(Box<DataTree>),
    /// The leader sent what cannot be read.
    Malformed(DownReason),
    /// The connection is gone.
    Closed,
}
