//! What ringkeeper decides, as pure state machines: no I/O, no clock, no threads, no randomness.
//!
//! A machine takes an input, the time and a buffer for its answers. The server crate moves bytes for
//! these machines on glommio; tests and the simulator move them in memory, from a seed.
//!
//! A request passes through the types of `flow`:
//! `socket → ShardTurn → RecordBatch → Durable → CommitBatch → applied by each core → reply`.

mod chunks;
mod queue;
mod workers;

pub mod acl;
pub mod config;
pub mod durable;
pub mod election;
pub mod error;
pub mod flow;
pub mod format;
pub mod id;
pub mod jute;
pub mod log_room;
pub mod member;
pub mod ops;
pub mod prep;
pub mod proto;
pub mod purge;
pub mod quorum;
pub mod sasl;
pub mod session;
pub mod shard;
pub mod snap_trigger;
pub mod time;
pub mod tree;
pub mod watch;
pub mod zab;

pub use workers::{Alone, Workers};

#[cfg(test)]
mod testing;
