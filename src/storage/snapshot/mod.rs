//! Snapshots on disk: finding the one to start from, and writing one.
//!
//! A snapshot is in ZooKeeper's format, which [`ringkeeper_core::format::snapshot`] describes, in
//! `<dataDir>/version-2`. So one that Java wrote is as good to start from as one of ours, and Java can start
//! from ours.

mod bound;
mod load;
mod save;

pub use load::{LoadError, Loaded, load_newest, names, newest_zxid};
pub use save::{Draft, Pace, SharedPace, save, set_aside_after};
