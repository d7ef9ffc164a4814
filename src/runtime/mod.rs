//! The thin layer over glommio and the process: executors and where they run, inboxes between roles, the
//! clock, sockets, signals and the end. Nothing outside this module and `storage` names the runtime.

mod bell;
mod clock;
mod executor;
mod fatal;
mod inbox;
mod signals;
mod socket;

pub use bell::Bell;
pub use clock::Clock;
pub use executor::{Executor, ExecutorOptions, Running, sleep, spawn};
pub use fatal::{Reason, fatal, make_panics_fatal};
pub use inbox::{Inbox, Sender, inbox};
pub use signals::StopRequests;
pub use socket::Socket;

/// How often a role looks at the time when nothing else happens: sessions' and reapers' grain, and the
/// longest that a wake-up lost in the runtime can delay anybody.
pub const TICK: std::time::Duration = std::time::Duration::from_millis(50);
