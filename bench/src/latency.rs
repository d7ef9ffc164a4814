//! Latencies of one measurement, in the figures that are reported.

use std::time::Duration;

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

/// How long requests took, in µs. Percentiles are exact to three digits.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Latency {
    /// How many requests these figures stand on.
    pub(crate) count: u64,
    pub(crate) min_us: f64,
    pub(crate) mean_us: f64,
    pub(crate) p50_us: f64,
    pub(crate) p90_us: f64,
    pub(crate) p99_us: f64,
    pub(crate) p999_us: f64,
    pub(crate) p9999_us: f64,
    pub(crate) max_us: f64,
}

/// Collects single latencies without allocating.
#[derive(Debug)]
pub(crate) struct Recorder {
    ns: Histogram<u64>,
}

impl Recorder {
    /// An empty recorder.
    pub(crate) fn new() -> Recorder {
        let ns = Histogram::new_with_bounds(1, RANGE_MAX.as_nanos() as u64, SIGNIFICANT_DIGITS)
            .expect("the bounds are constants and in order");
        Recorder { ns }
    }

    /// Adds one latency; more than a minute counts as a minute.
    pub(crate) fn record(&mut self, ns: u64) {
        self.ns.saturating_record(ns);
    }

    /// Adds all that another recorder holds.
    pub(crate) fn add(&mut self, other: &Recorder) {
        self.ns.add(&other.ns).expect("all recorders have the same bounds");
    }

    /// Forgets everything.
    pub(crate) fn reset(&mut self) {
        self.ns.reset();
    }

    /// The latency, in µs, below which this part of all requests stayed.
    pub(crate) fn quantile_us(&self, quantile: f64) -> f64 {
        self.ns.value_at_quantile(quantile) as f64 / 1e3
    }

    /// The curve of percentiles as HdrHistogram's own tools draw it: finer the nearer it comes to the
    /// longest. Of each point the part of requests up to it, its latency in µs, and their number.
    pub(crate) fn curve(&self) -> Vec<(f64, f64, u64)> {
        let mut curve = Vec::new();
        for point in self.ns.iter_quantiles(CURVE_STEPS) {
            let us = point.value_iterated_to() as f64 / 1e3;
            let below = self.ns.count_between(0, point.value_iterated_to());
            curve.push((point.quantile_iterated_to(), us, below));
        }
        curve
    }

    /// What was recorded so far; `None` if nothing was.
    pub(crate) fn summary(&self) -> Option<Latency> {
        let at = |quantile| self.ns.value_at_quantile(quantile) as f64 / 1e3;
        (!self.ns.is_empty()).then(|| Latency {
            count: self.ns.len(),
            min_us: self.ns.min() as f64 / 1e3,
            mean_us: self.ns.mean() / 1e3,
            p50_us: at(0.5),
            p90_us: at(0.9),
            p99_us: at(0.99),
            p999_us: at(0.999),
            p9999_us: at(0.9999),
            max_us: self.ns.max() as f64 / 1e3,
        })
    }
}

const RANGE_MAX: Duration = Duration::from_secs(60);
const SIGNIFICANT_DIGITS: u8 = 3;

/// Points of a curve from each half of what is left to the next.
const CURVE_STEPS: u32 = 5;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_those_of_what_was_recorded() {
        let mut recorder = Recorder::new();
        assert_eq!(recorder.summary(), None);
        for us in 1..=1000u64 {
            recorder.record(us * 1000);
        }
        let latency = recorder.summary().unwrap();
        assert_eq!(latency.count, 1000);
        for (found, expected) in [
            (latency.min_us, 1.0),
            (latency.mean_us, 500.5),
            (latency.p50_us, 500.0),
            (latency.p90_us, 900.0),
            (latency.p99_us, 990.0),
            (latency.p999_us, 999.0),
            (latency.max_us, 1000.0),
        ] {
            assert!((found / expected - 1.0).abs() < 2e-3, "{found} instead of {expected}");
        }
    }
}
