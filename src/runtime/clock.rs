use std::time::{SystemTime, UNIX_EPOCH};

use ringkeeper_core::time::{Instant, WallTime};

/// The one place where the server reads the time. Copies agree with each other.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    start: std::time::Instant,
}

impl Clock {
    /// A clock that starts now.
    pub fn start() -> Clock {
        Clock { start: std::time::Instant::now() }
    }

    /// The time since the start.
    pub fn now(&self) -> Instant {
        Instant(self.start.elapsed().as_nanos() as u64)
    }

    /// The time of day.
    pub fn wall(&self) -> WallTime {
        // A clock set before 1970 reads as 1970: no znode is the worse for it.
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        WallTime(since.as_millis() as i64)
    }
}
