//! The thin layer over glommio and the process: executors and where they run, inboxes between roles, the
//! clock, sockets and the one wait for all of them, signals, threads for a while, and the end. Nothing outside
//! this module and `storage` names the runtime.

mod bell;
mod bus_errors;
mod clock;
mod executor;
mod fatal;
mod inbox;
mod readiness;
mod signals;
mod socket;
mod threads;

pub use bell::Bell;
pub use bus_errors::Watch;
pub use clock::Clock;
pub use executor::{Executor, ExecutorOptions, Running, sleep, spawn};
pub use fatal::{Reason, fatal, make_panics_fatal};
pub use inbox::{Inbox, Sender, inbox};
pub use signals::StopRequests;
pub use socket::Socket;
pub use threads::Threads;

/// How often a role looks at the time when nothing else happens: sessions' and reapers' grain, and the
/// longest that a wake-up lost in the runtime can delay anybody.
pub const TICK: std::time::Duration = std::time::Duration::from_millis(50);
