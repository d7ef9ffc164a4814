//! ringkeeper, a drop-in replacement for an Apache ZooKeeper server.

pub mod runtime;
pub mod storage;
