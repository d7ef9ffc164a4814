//! The write-ahead log on a real disk. Its bytes, and what a crash makes of them, are described in
//! [`ringkeeper_core::format::wal`].
//!
//! ```text
//!   recover()  --Recovered-->  Wal::open()  -->  Wal::run()
//!   any thread,                on the log's executor
//!   before serving
//! ```
//!
//! [`Wal::run`] has one write in flight at a time, which carries everything that was queued during the
//! write before it: group commit without a timer. Segments are prepared ahead by a thread of their own, so
//! the write path does nothing but write whole blocks into zeroed space. The same thread retires segments
//! that are not needed any more ([`WalHandle::release`]) and prepares the next ones from them.

mod device;
mod preparer;
mod probe;
mod read;
mod recover;
mod role;
mod segment;
mod stats;
mod truncate;

use std::time::Duration;

use ringkeeper_core::format::wal::BLOCK_LEN;

pub use preparer::WalHandle;
pub use read::{BoxError, ReadLog, RecoverError, read};
pub use recover::{Recovered, recover};
pub use role::{Batches, Rest, Wal, WriteFailure};
pub use segment::Name as SegmentName;
pub use segment::{SPARES_MAX, Segments};
pub use stats::{WalFigures, WalStats};
pub use truncate::cut_off;

/// How the log is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// The length of new segments in bytes (`preAllocSize`). A server has at least [`SEGMENT_LEN_MIN`]; tests
    /// have shorter ones, of two blocks or more.
    pub segment_len: u64,
    /// `forceSync`: if false, a transaction counts as durable when the operating system has it.
    pub force_sync: bool,
    /// A sync that takes longer is warned of (`fsync.warningthresholdms`).
    pub slow_sync: Duration,
}

impl Options {
    /// The length of new segments: whole blocks.
    fn segment_len(&self) -> u64 {
        self.segment_len.max(2 * BLOCK_LEN as u64).next_multiple_of(BLOCK_LEN as u64)
    }
}

impl Default for Options {
    fn default() -> Options {
        Options { segment_len: 64 << 20, force_sync: true, slow_sync: Duration::from_millis(1000) }
    }
}

/// Shorter segments would be changed too often to be prepared ahead.
pub const SEGMENT_LEN_MIN: u64 = 1 << 20;
