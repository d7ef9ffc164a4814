//! The quorum port: moves packets and trees between a leader and its learners.
//!
//! Both ends live on the commit role's executor. What arrives is posted to the commit role as [`FromPeers`];
//! what is sent is collected until [`Learners::flush`] or [`LeaderConnection::flush`], so that all of a turn
//! leaves in one system call for each connection.

mod dial;
mod gate;
mod leader_connection;
mod learners;
mod link;
mod own;

pub use leader_connection::LeaderConnection;
pub use learners::Learners;
pub use own::QuorumPort;
use ringkeeper_core::member::{Attempt, LeaderEvent, LearnerEvent};
use ringkeeper_core::zab::LinkId;

use crate::net::PeerStream;

/// What other servers did on the quorum port.
pub enum FromPeers {
    /// Somebody connected to this server's quorum port.
    Accepted(PeerStream),
    /// Somebody connected to this server's port for observers.
    AcceptedObserver(PeerStream),
    /// What a learner's connection brought.
    Learner(LinkId, LearnerEvent),
    /// What a connection to a leader brought.
    Leader(Attempt, LeaderEvent<PeerStream>),
}
