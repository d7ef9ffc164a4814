use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Counts what strangers can cause as often as they like, so that a flood of it is told of now and then, and in full.
#[derive(Debug, Default)]
pub(super) struct Tally(Mutex<Counted>);

/// How many were not told of, and when that was done last.
#[derive(Debug, Default)]
struct Counted {
    untold: u64,
    told_at: Option<Instant>,
}

impl Tally {
    /// Counts one more, and returns how many there are to tell of, this one among them, if it is time to.
    pub(super) fn add(&self, now: Instant) -> Option<u64> {
        let mut counted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        counted.untold += 1;
        if counted.told_at.is_some_and(|told_at| now < told_at + BETWEEN_WARNINGS) {
            return None;
        }
        counted.told_at = Some(now);
        Some(std::mem::take(&mut counted.untold))
    }
}

const BETWEEN_WARNINGS: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_told_of_now_and_then_and_in_full() {
        let (tally, start) = (Tally::default(), Instant::now());
        assert_eq!(tally.add(start), Some(1));
        let untold = (0..1000).filter_map(|ms| tally.add(start + Duration::from_millis(ms))).count();
        assert_eq!(untold, 0);
        assert_eq!(tally.add(start + BETWEEN_WARNINGS), Some(1001));
        assert_eq!(tally.add(start + BETWEEN_WARNINGS), None);
    }
}
