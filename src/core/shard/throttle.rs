use crate::config::{ConnectionThrottle, ThrottleWeights};
use crate::time::Instant;

/// How many clients may connect (`connection_throttle_*`): a bucket of tokens, of which each connect request takes
/// some, and, if asked for, a share of the requests that is turned away whatever there is in it. The share grows while the
/// bucket is found empty and falls while it is full enough, so that under a steady load all have the same chance, and not
/// those alone who come right after a refill.
#[derive(Clone, Debug)]
pub(super) struct Throttle {
    options: ConnectionThrottle,
    tokens: u64,
    refilled: Instant,
    /// The share, in millionths.
    drop_share: u32,
    adapted: Instant,
    random: fastrand::Rng,
}

impl Throttle {
    /// With a full bucket. `seed` is for chance.
    pub(super) fn new(options: ConnectionThrottle, seed: u64) -> Throttle {
        Throttle {
            tokens: options.tokens_max,
            options,
            refilled: Instant::default(),
            drop_share: 0,
            adapted: Instant::default(),
            random: fastrand::Rng::with_seed(seed),
        }
    }

    /// Whether a client may connect that wants a new session, or one that it has.
    pub(super) fn admit(&mut self, is_new: bool, now: Instant) -> bool {
        self.refill(now);
        if let Some(freeze_time_ms) = self.options.freeze_time_ms {
            self.adapt(freeze_time_ms, now);
            if self.random.u32(..MILLION) < self.drop_share {
                return false;
            }
        }
        let ThrottleWeights { new, renewed, .. } = self.options.weights;
        let need = if is_new { new } else { renewed };
        let is_enough = self.tokens >= need;
        if is_enough {
            self.tokens -= need;
        }
        is_enough
    }

    fn refill(&mut self, now: Instant) {
        let ConnectionThrottle { tokens_max, fill_count, fill_time_ms, .. } = self.options;
        let passed_ms = now.since(self.refilled).as_millis() as u64;
        if passed_ms > fill_time_ms {
            let refill = (u128::from(passed_ms) * u128::from(fill_count) / u128::from(fill_time_ms)) as u64;
            self.tokens = self.tokens.saturating_add(refill).min(tokens_max);
            self.refilled = now;
        }
    }

    fn adapt(&mut self, freeze_time_ms: u64, now: Instant) {
        if now.since(self.adapted).as_millis() as u64 <= freeze_time_ms {
            return;
        }
        self.adapted = now;
        let ConnectionThrottle { tokens_max, drop_increase, drop_decrease, decrease_ratio, .. } =
            self.options;
        let gone = u128::from(tokens_max - self.tokens) * u128::from(MILLION);
        if self.tokens == 0 {
            self.drop_share = self.drop_share.saturating_add(drop_increase).min(MILLION);
        } else if gone <= u128::from(tokens_max) * u128::from(decrease_ratio) {
            self.drop_share = self.drop_share.saturating_sub(drop_decrease);
        }
    }
}

const MILLION: u32 = 1_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    const EVEN: ConnectionThrottle = ConnectionThrottle {
        tokens_max: 10,
        fill_count: 2,
        fill_time_ms: 100,
        freeze_time_ms: None,
        drop_increase: 250_000,
        drop_decrease: 100_000,
        decrease_ratio: 500_000,
        weights: ThrottleWeights { new: 1, local: 1, renewed: 1 },
    };

    fn admitted(throttle: &mut Throttle, requests: usize, ms: u64) -> usize {
        (0..requests).filter(|_| throttle.admit(true, Instant::from_ms(ms))).count()
    }

    #[test]
    fn a_burst_may_take_what_there_is_and_then_as_much_as_comes_in() {
        let mut throttle = Throttle::new(EVEN, 7);
        assert_eq!(admitted(&mut throttle, 100, 0), 10);
        assert_eq!(admitted(&mut throttle, 100, 100), 0, "a refill takes longer than its time, as in Java");
        assert_eq!(admitted(&mut throttle, 100, 150), 3);
        assert_eq!(admitted(&mut throttle, 100, 10_000), 10, "no more than the bucket holds");
    }

    #[test]
    fn kinds_of_sessions_may_weigh_differently() {
        let weights = ThrottleWeights { new: 3, local: 1, renewed: 2 };
        let mut throttle = Throttle::new(ConnectionThrottle { weights, ..EVEN }, 7);
        assert_eq!(admitted(&mut throttle, 10, 0), 3);
        assert!(!throttle.admit(false, Instant(0)), "one is left");
        assert!(throttle.admit(false, Instant::from_ms(101)));
    }

    #[test]
    fn a_share_is_turned_away_that_grows_while_the_bucket_is_empty_and_falls_while_it_is_full() {
        let options = ConnectionThrottle { freeze_time_ms: Some(1000), fill_count: 0, ..EVEN };
        let mut throttle = Throttle::new(options, 7);
        let mut shares = Vec::new();
        for second in 1..=6 {
            admitted(&mut throttle, 100, second * 1001);
            shares.push(throttle.drop_share);
        }
        assert_eq!(shares, [0, 250_000, 500_000, 750_000, MILLION, MILLION]);
        throttle.options.fill_count = 1000;
        assert_eq!(admitted(&mut throttle, 1, 20_000), 0, "all are turned away still");
        let mut share = throttle.drop_share;
        for second in 30..50 {
            admitted(&mut throttle, 1, second * 1001);
            assert!(throttle.drop_share < share || share == 0);
            share = throttle.drop_share;
        }
        assert_eq!(share, 0);
    }
}
