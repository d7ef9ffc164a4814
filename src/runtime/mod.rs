//! What every role stands on.

mod fatal;

pub use fatal::{Reason, fatal};
