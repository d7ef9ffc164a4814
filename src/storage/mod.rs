//! What is kept on disk.

pub(crate) mod mapped;

pub mod cut;
pub mod disk;
pub mod hand_over;
pub mod history;
pub mod java_log;
pub mod purge;
pub mod recovery;
pub mod snapshot;
pub mod wal;
