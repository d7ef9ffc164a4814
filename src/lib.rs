//! ringkeeper, a drop-in replacement for an Apache ZooKeeper server.

pub mod admin;
pub mod cli;
pub mod commit;
pub mod net;
pub mod preflight;
pub mod runtime;
pub mod server;
pub mod shard;
pub mod storage;
pub mod topology;
pub mod version;
pub mod wiring;
