//! Sessions: their ids, passwords and owners, and when they expire (server-semantics §9).

mod local;
mod password;
mod report;
mod tracker;

pub use local::{LocalSessions, NewSessions};
pub use password::password_of;
pub use report::{GlobalSessions, SessionsReport};
pub use tracker::{Expired, SessionTracker, Standing};
