//! Leader election on the election port: Java's messages, and machines that decide (election.md).
//!
//! ```text
//!   sockets <--> ElectionPeer = Connections  who connects to whom, what is said in which bytes
//!                             + Election     whose vote counts, who leads
//! ```
//!
//! The machines have no socket, no clock and no randomness: what happens comes in by `on_*` calls with
//! the time, and what is to be done goes into a vector.

mod connections;
mod fast_leader;
mod frames;
mod initial_message;
mod notification;
mod peer;
mod vote;

pub use connections::{ConnectionAction, Connections, LinkId, Note, STRANGERS_MAX, UNNAMED_MAX};
pub use fast_leader::{Election, ElectionAction, Electorate, LastLogged, Outcome};
pub use frames::BadFrameLen;
pub use initial_message::{InitialMessage, InitialMessageError};
pub use notification::{FRAME_LEN_MAX, Notification, NotificationError, VERSION};
pub use peer::{Action, ElectionPeer};
pub use vote::{PeerState, Vote};
