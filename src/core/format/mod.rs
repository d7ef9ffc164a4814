//! Bytes on disk.

pub mod wal;
