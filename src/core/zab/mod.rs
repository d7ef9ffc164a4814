//! Zab: how a leader and its learners come to one history and stay there, decided without I/O (zab §§1–10),
//! so that ZooKeeper's own servers from 3.4 to 3.9 can be either side.
//!
//! ```text
//!   FOLLOWERINFO ---------------------------------->   the epoch: newer than what a quorum has promised
//!               <---------------------------------- LEADERINFO
//!   ACKEPOCH ---------------------------------->       a quorum promises it
//!               <------- DIFF | TRUNC | SNAP + tree, PROPOSAL + COMMIT ..., NEWLEADER
//!   ACK ---------------------------------->            a quorum has the leader's history on disk
//!               <---------------------------------- UPTODATE, then PROPOSALs
//!   ACKs ---------------------------------->           a quorum has a transaction on disk
//!               <---------------------------------- COMMIT
//! ```
//!
//! [`Leader`] and [`Learner`] know transactions as bytes; what these change is the business of
//! [`crate::prep`], and [`crate::member`] joins the two. [`packet`] is what they say to each other, and
//! [`LeaderStream`] takes a leader's bytes apart. [`ObserverMaster`] is what a follower is to observers that come to
//! it and not to the leader.
//!
//! # Why nothing committed is lost
//!
//! 1. A quorum has a committed transaction on disk, and each server of it had entered the leader's epoch
//!    before it acknowledged: its `currentEpoch` says so on disk.
//! 2. A new leader needs promises from a quorum, none of which is of a server that is further than itself by
//!    `currentEpoch` and then by its log's end. One of them is of the first quorum: so the new leader has the
//!    transaction.
//! 3. Whoever has promised a newer epoch has left the older leader, which gets no quorum any more.
//! 4. A learner cuts off only what its leader's history lacks, and a leader counts no acknowledgement that
//!    was given on an earlier connection.
//!
//! Who the servers are may change by a transaction, a reconfig. "A quorum" above then is one of the old servers and
//! one of the new: from the proposal on for what is acknowledged, and for whoever has the proposal in its log, for
//! what is promised. A server that lacks the proposal may ask the old servers alone, but some of them have it, if it
//! was committed, and are further. Once it is committed the new servers decide; who has not heard of that finds no
//! quorum of the old ones that has not.

mod history;
mod leader;
mod learner;
mod log_walk;
mod observer_master;
mod options;
pub mod packet;
mod reason;
mod reconfig;
mod stream;
mod sync;

pub use history::{History, HistoryBounds, LogExcerpt, Logged};
pub use leader::{Leader, LeaderAction, LeaderFigures, LinkId, ProposalSizes};
pub use learner::{Learner, LearnerAction, Tail};
pub use log_walk::LogWalk;
pub use observer_master::{Known, MasterAction, ObserverMaster};
pub use options::{EpochFile, Epochs, Timing, ZabOptions};
pub use reason::{CloseReason, DownReason};
pub use stream::{Item, LeaderStream};
