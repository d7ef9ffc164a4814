//! Sessions: their ids, passwords and owners, and when they expire (server-semantics §9).

mod password;
mod tracker;

pub use password::password_of;
pub use tracker::{Expired, SessionTracker, Standing};
