//! When requests of an open loop are to be sent: at even intervals, whatever became of those before.

/// Numbers requests and tells when each is due, in ns of any clock that only the caller knows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Schedule {
    start: u64,
    per_second: u32,
    sent: u64,
}

impl Schedule {
    /// `per_second` requests a second, the first of them at `start`.
    pub(crate) fn new(start: u64, per_second: u32) -> Schedule {
        Schedule { start, per_second, sent: 0 }
    }

    /// When the next request is due.
    pub(crate) fn next_due(&self) -> u64 {
        let since = u128::from(self.sent) * u128::from(NS_PER_SECOND) / u128::from(self.per_second);
        self.start + since as u64
    }

    /// Takes a request that is due at `now` and before `end`: when it was to be sent.
    pub(crate) fn take_due(&mut self, now: u64, end: u64) -> Option<u64> {
        let due = self.next_due();
        (due <= now && due < end).then(|| {
            self.sent += 1;
            due
        })
    }

    /// How many were taken.
    #[cfg(test)]
    pub(crate) fn sent(&self) -> u64 {
        self.sent
    }

    /// How often one must look so that no request is late by more than it takes to wake up.
    pub(crate) fn look_every(&self) -> u64 {
        (NS_PER_SECOND / u64::from(self.per_second)).max(LOOK_EVERY_MIN)
    }
}

const NS_PER_SECOND: u64 = 1_000_000_000;

/// At high rates several requests are due each time: so many microseconds are nobody's latency.
const LOOK_EVERY_MIN: u64 = 20_000;

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    #[test]
    fn the_rate_is_kept_exactly_over_a_long_time() {
        for per_second in [1, 3, 6000, 299_993] {
            let mut schedule = Schedule::new(500, per_second);
            let end = 500 + 100 * NS_PER_SECOND;
            while schedule.take_due(u64::MAX, end).is_some() {}
            assert_eq!(schedule.sent(), 100 * u64::from(per_second));
        }
    }

    #[test]
    fn after_a_pause_all_that_was_due_meanwhile_comes_with_its_own_time() {
        let mut schedule = Schedule::new(0, 1000);
        assert_eq!(schedule.take_due(0, u64::MAX), Some(0));
        assert_eq!(schedule.take_due(MS - 1, u64::MAX), None);
        // Nobody looks until 5.5 ms have gone.
        let late: Vec<u64> = std::iter::from_fn(|| schedule.take_due(5 * MS + MS / 2, u64::MAX)).collect();
        assert_eq!(late, [MS, 2 * MS, 3 * MS, 4 * MS, 5 * MS]);
        assert_eq!(schedule.next_due(), 6 * MS);
    }

    #[test]
    fn a_server_that_stands_still_for_a_second_is_charged_as_arithmetic_says() {
        // A simulated clock: 1 000 requests a second for 10 s, a server that answers at once, except that it
        // stands still from 4 s to 5 s and then answers all it was asked.
        let stall = 4 * NS_PER_SECOND..5 * NS_PER_SECOND;
        let answered = |asked: u64| if stall.contains(&asked) { stall.end } else { asked };
        let mut recorder = crate::latency::Recorder::new();
        let mut schedule = Schedule::new(0, 1000);
        while let Some(due) = schedule.take_due(u64::MAX, 10 * NS_PER_SECOND) {
            recorder.record(answered(due) - due);
        }
        let open = recorder.summary().unwrap();
        assert_eq!(open.count, 10_000);
        // A tenth of them waited, evenly from 1 s down to 1 ms.
        assert!((open.p99_us / 900_000.0 - 1.0).abs() < 0.01, "{open:?}");
        assert!((open.mean_us / 50_050.0 - 1.0).abs() < 0.01, "{open:?}");
        assert!(open.max_us >= 999_000.0);

        // The closed loop asks again when it has its answer, which takes a millisecond here.
        let mut recorder = crate::latency::Recorder::new();
        let mut now = 0;
        while now < 10 * NS_PER_SECOND {
            let answer = answered(now) + MS;
            recorder.record(answer - now);
            now = answer;
        }
        let closed = recorder.summary().unwrap();
        assert!(closed.p99_us < 1_100.0, "one request in 9 000 hides the stall: {closed:?}");
        assert!(closed.max_us >= 1_000_000.0);
    }
}
