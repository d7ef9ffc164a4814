//! Time as an argument: the core never reads a clock.

use std::ops::{Add, Sub};
use std::time::Duration;

/// A point on a clock that only goes forward, in nanoseconds since an arbitrary start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(pub u64);

impl Instant {
    /// The instant `ms` milliseconds after the clock's start.
    pub fn from_ms(ms: u64) -> Instant {
        Instant(ms * 1_000_000)
    }

    /// Whole milliseconds since the clock's start.
    pub fn ms(self) -> u64 {
        self.0 / 1_000_000
    }

    /// How long after `earlier` this is; zero if it is not after it.
    pub fn since(self, earlier: Instant) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Instant {
    type Output = Instant;

    fn add(self, by: Duration) -> Instant {
        Instant(self.0 + by.as_nanos() as u64)
    }
}

impl Sub<Duration> for Instant {
    type Output = Instant;

    fn sub(self, by: Duration) -> Instant {
        Instant(self.0.saturating_sub(by.as_nanos() as u64))
    }
}

/// Wall-clock time in milliseconds since 1970, as znodes' `ctime` and `mtime` carry it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WallTime(pub i64);
