//! What a load shows while it runs: a line that changes in a terminal, a plain line each second elsewhere.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use tracing::info;

use crate::recording::Second;
use crate::report::number;

pub(super) struct Progress {
    bar: ProgressBar,
    rate: Option<u32>,
}

impl Progress {
    pub(super) fn new(seconds: f64, rate: Option<u32>) -> Progress {
        let bar = ProgressBar::new(seconds.ceil() as u64);
        if let Ok(style) = ProgressStyle::with_template("{bar:20} {pos}/{len} s  {msg}") {
            bar.set_style(style);
        }
        Progress { bar, rate }
    }

    /// Shows a second that is over.
    pub(super) fn show(&mut self, second: &Second) {
        let line = line(second, self.rate);
        if self.bar.is_hidden() {
            info!("{:>4} s  {line}", second.second + 1);
        } else {
            self.bar.set_position(second.second + 1);
            self.bar.set_message(line);
            self.bar.tick();
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

fn line(second: &Second, rate: Option<u32>) -> String {
    let done: u64 = second.counts.iter().sum();
    let asked = rate.map_or(String::new(), |rate| format!(" of {}", number(rate.into())));
    let latency = second.latency.map_or("no reply".to_owned(), |latency| {
        format!(
            "p50 {}  p99 {}  p99.9 {}  max {}",
            ms(latency.p50_us),
            ms(latency.p99_us),
            ms(latency.p999_us),
            ms(latency.max_us)
        )
    });
    let errors = if second.errors == 0 { String::new() } else { format!("  {} errors", second.errors) };
    format!("{}{asked} /s  {latency}{errors}", number(done as f64))
}

/// A latency in µs as people read it.
fn ms(us: f64) -> String {
    let span = Duration::from_secs_f64(us / 1e6);
    format!("{span:.1?}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_tells_rate_latencies_and_errors() {
        let latency = crate::summary::tests::latency(1500.0);
        let second = Second { second: 3, counts: vec![900, 100], errors: 2, latency: Some(latency) };
        let told = line(&second, Some(2000));
        assert_eq!(told, "1 000 of 2 000 /s  p50 1.5ms  p99 1.5ms  p99.9 1.5ms  max 1.5ms  2 errors");
        assert_eq!(line(&Second { latency: None, errors: 0, ..second }, None), "1 000 /s  no reply");
    }
}
