//! Zab, the protocol by which servers agree on one history: leader and learner as machines, and the packets
//! of the quorum port (zab.md).

mod history;
mod leader;
mod learner;
mod options;
pub mod packet;
mod reason;
mod stream;
mod sync;

pub use history::{History, HistoryBounds, LogExcerpt, Logged};
pub use leader::{Leader, LeaderAction, LinkId};
pub use learner::{Learner, LearnerAction, Tail};
pub use options::{EpochFile, Epochs, Timing, ZabOptions};
pub use reason::{CloseReason, DownReason};
pub use stream::{Item, LeaderStream};
