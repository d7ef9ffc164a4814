//! The operations that write, one file each: what is checked in which order (server-semantics §3), which
//! transaction comes of it, and what the transaction changes.
//!
//! ```text
//!   request --decode--> Write --decide--> Txn --apply--> deltas and what the reply says
//!                                          ^
//!                    log records, a leader's proposals
//! ```
//!
//! Deciding reads the database and changes nothing. Applying is the same for a transaction just decided,
//! one recovered from the log and one that a leader proposed. It cannot fail: what the transaction asks
//! of nodes that are not there, because a log is replayed over a later state, is left out.

mod changes;
mod check;
mod create;
mod database;
mod delete;
mod digests;
mod multi;
mod quota;
mod reconfig;
mod sessions;
mod set_acl;
mod set_data;
mod write;

pub use changes::Changes;
pub use database::{Database, Trail, share_lists};
pub use digests::{Digests, Mismatch};
pub use quota::QuotaLimits;
pub use reconfig::{CONFIG_NODE, ReconfigContext};
pub use sessions::{close_txn, ephemerals_of};
pub use write::{
    Asker, AskingSession, Ordered, Settings, Undecodable, is_well_formed, needs_global_session, order,
    path_ahead,
};

#[cfg(test)]
mod replay_tests;
#[cfg(test)]
mod tests;
