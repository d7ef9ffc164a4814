//! Bytes on disk: our own log, and the files that Java ZooKeeper reads and writes.

pub mod java_log;
mod name;
pub mod snapshot;
pub mod wal;
