use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// What the log has done so far: written by the log, read by any thread at any time.
#[derive(Debug)]
pub struct WalStats {
    writes: AtomicU64,
    records: AtomicU64,
    bytes: AtomicU64,
    sync_us_last: AtomicU64,
    sync_us_sum: AtomicU64,
    sync_us_min: AtomicU64,
    sync_us_max: AtomicU64,
    slow_syncs: AtomicU64,
    room_active: AtomicU64,
    room_next: AtomicU64,
}

/// [`WalStats`] at some moment. Figures of a write that returns meanwhile may be in part of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WalFigures {
    /// Writes that returned; each is one sync, as `fsynctime` counts them (admin, list B).
    pub writes: u64,
    /// Records that these carried.
    pub records: u64,
    /// Bytes that these took on the disk, fill included.
    pub bytes: u64,
    /// How long the last write took until it was durable, in microseconds.
    pub sync_us_last: u64,
    /// How long all writes took together.
    pub sync_us_sum: u64,
    /// How long the shortest took; 0 if there was none.
    pub sync_us_min: u64,
    /// How long the longest took.
    pub sync_us_max: u64,
    /// How many took longer than the warning threshold (`fsync_threshold_exceed_count`).
    pub slow_syncs: u64,
}

impl WalStats {
    pub(super) fn on_write(&self, records: u32, bytes: usize, took: Duration, is_slow: bool) {
        let us = took.as_micros() as u64;
        self.writes.fetch_add(1, Relaxed);
        self.records.fetch_add(records.into(), Relaxed);
        self.bytes.fetch_add(bytes as u64, Relaxed);
        self.sync_us_last.store(us, Relaxed);
        self.sync_us_sum.fetch_add(us, Relaxed);
        self.sync_us_min.fetch_min(us, Relaxed);
        self.sync_us_max.fetch_max(us, Relaxed);
        self.slow_syncs.fetch_add(is_slow.into(), Relaxed);
    }

    /// The segment that is written has this much room left, in bytes.
    pub(super) fn on_room(&self, active: u64) {
        self.room_active.store(active, Relaxed);
    }

    /// The segment behind it is made and has this much room; 0 if there is none yet.
    pub(super) fn on_next(&self, next: u64) {
        self.room_next.store(next, Relaxed);
    }

    /// How many bytes the log can take in segments that exist.
    pub fn room(&self) -> u64 {
        self.room_active.load(Relaxed) + self.room_next.load(Relaxed)
    }

    /// The figures now.
    pub fn figures(&self) -> WalFigures {
        let min = self.sync_us_min.load(Relaxed);
        WalFigures {
            writes: self.writes.load(Relaxed),
            records: self.records.load(Relaxed),
            bytes: self.bytes.load(Relaxed),
            sync_us_last: self.sync_us_last.load(Relaxed),
            sync_us_sum: self.sync_us_sum.load(Relaxed),
            sync_us_min: if min == u64::MAX { 0 } else { min },
            sync_us_max: self.sync_us_max.load(Relaxed),
            slow_syncs: self.slow_syncs.load(Relaxed),
        }
    }
}

impl Default for WalStats {
    fn default() -> WalStats {
        WalStats {
            writes: AtomicU64::new(0),
            records: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            sync_us_last: AtomicU64::new(0),
            sync_us_sum: AtomicU64::new(0),
            sync_us_min: AtomicU64::new(u64::MAX),
            sync_us_max: AtomicU64::new(0),
            slow_syncs: AtomicU64::new(0),
            room_active: AtomicU64::new(0),
            room_next: AtomicU64::new(0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_zero_before_the_first_write_and_follow_each() {
        let stats = WalStats::default();
        assert_eq!(stats.figures(), WalFigures::default());
        stats.on_write(3, 4096, Duration::from_micros(120), false);
        stats.on_write(1, 8192, Duration::from_micros(80), true);
        let expected = WalFigures {
            writes: 2,
            records: 4,
            bytes: 12288,
            sync_us_last: 80,
            sync_us_sum: 200,
            sync_us_min: 80,
            sync_us_max: 120,
            slow_syncs: 1,
        };
        assert_eq!(stats.figures(), expected);
    }
}
