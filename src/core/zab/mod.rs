mod history;
mod leader;
mod options;
pub mod packet;
mod reason;
mod sync;

pub use history::{History, HistoryBounds, LogExcerpt, Logged};
pub use leader::{Leader, LeaderAction, LinkId};
pub use options::{EpochFile, Epochs, Timing, ZabOptions};
pub use reason::{CloseReason, DownReason};
