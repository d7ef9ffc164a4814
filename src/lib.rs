//! ringkeeper, a drop-in replacement for an Apache ZooKeeper server.

pub mod net;
pub mod runtime;
