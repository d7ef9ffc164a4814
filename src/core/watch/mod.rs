//! Who hears of a change: one-shot, persistent and recursive watches (server-semantics §8).
//!
//! ZooKeeper has two tables, *data* and *child*. Here they are two views of one: for each path the
//! watchers and their [`Modes`], of which `DATA`, `PERSISTENT` and `RECURSIVE` belong to the data table,
//! `CHILD` and `PERSISTENT` to the child table. So a path is stored once, and a watcher that hears of a
//! deletion from both tables is one entry and gets one event.
//!
//! ```text
//!   index: hash of path -> id      paths[id]                         watchers[n]
//!   +----------+           +----------------------------+     +--------------------+
//!   | "/a" -> 0|---------->| "/a", {n: DATA|RECURSIVE}  |<----| ids of its paths   |
//!   +----------+           +----------------------------+     +--------------------+
//! ```

mod index;
mod manager;
mod modes;

pub use manager::{WatchManager, WatchSummary, Watcher};
pub use modes::Modes;
