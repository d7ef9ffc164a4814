//! When a snapshot is due (storage-formats §5).

/// What makes a snapshot due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TriggerOptions {
    /// `snapCount`: transactions, at least 2.
    pub transactions: u64,
    /// `snapSizeLimitInKb`, in bytes of the log; `None` is no limit.
    pub log_bytes: Option<u64>,
}

/// Counts what was logged since the last snapshot.
///
/// A snapshot is due after a number of transactions, or of bytes, that is drawn anew for each one between
/// half of what was configured and all of it. So the servers of an ensemble, which all see the same
/// transactions, don't write their snapshots at the same time.
#[derive(Clone, Debug)]
pub struct SnapshotTrigger {
    options: TriggerOptions,
    random: u64,
    transactions: u64,
    log_bytes: u64,
    /// At how many of each the next is due.
    due: TriggerOptions,
}

impl SnapshotTrigger {
    /// A trigger that has counted nothing. Servers need different seeds.
    pub fn new(options: TriggerOptions, seed: u64) -> SnapshotTrigger {
        let mut trigger =
            SnapshotTrigger { options, random: seed, transactions: 0, log_bytes: 0, due: options };
        trigger.reset();
        trigger
    }

    /// So much was logged.
    pub fn on_logged(&mut self, transactions: u64, log_bytes: u64) {
        self.transactions += transactions;
        self.log_bytes += log_bytes;
    }

    /// Whether a snapshot should begin.
    pub fn is_due(&self) -> bool {
        let has_bytes = self.due.log_bytes.is_some_and(|due| self.log_bytes > due);
        self.transactions > self.due.transactions || has_bytes
    }

    /// A snapshot begins: what was logged until now will be in it.
    pub fn reset(&mut self) {
        (self.transactions, self.log_bytes) = (0, 0);
        self.due = TriggerOptions {
            transactions: self.draw(self.options.transactions),
            log_bytes: self.options.log_bytes.map(|bytes| self.draw(bytes)),
        };
    }

    /// A number from half of `most` on and below it.
    fn draw(&mut self, most: u64) -> u64 {
        let half = most / 2;
        half + self.next_random() % half.max(1)
    }

    /// SplitMix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, 2014).
    fn next_random(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.random;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many transactions of so many bytes it takes, for each of several snapshots.
    fn counts(options: TriggerOptions, bytes_each: u64, seed: u64) -> Vec<u64> {
        let mut trigger = SnapshotTrigger::new(options, seed);
        let mut count_until_due = || {
            let count = (0..).take_while(|_| {
                trigger.on_logged(1, bytes_each);
                !trigger.is_due()
            });
            let count = count.count() as u64 + 1;
            trigger.reset();
            count
        };
        (0..200).map(|_| count_until_due()).collect()
    }

    #[test]
    fn a_snapshot_is_due_between_half_of_the_transactions_and_all_of_them() {
        let counts = counts(TriggerOptions { transactions: 1000, log_bytes: None }, 1 << 40, 7);
        assert!(counts.iter().all(|count| (501..=1000).contains(count)), "{counts:?}");
        let (least, most) = (counts.iter().min(), counts.iter().max());
        assert!(least < Some(&550) && most > Some(&950), "all of the range is used: {least:?} to {most:?}");
    }

    #[test]
    fn the_bytes_of_the_log_count_alike() {
        let options = TriggerOptions { transactions: u64::MAX, log_bytes: Some(100_000) };
        let counts = counts(options, 100, 7);
        assert!(counts.iter().all(|count| (501..=1000).contains(count)), "{counts:?}");
    }

    #[test]
    fn the_smallest_count_has_a_snapshot_after_every_other_transaction() {
        let options = TriggerOptions { transactions: 2, log_bytes: None };
        assert!(counts(options, 1, 1).iter().all(|count| *count == 2));
    }

    #[test]
    fn servers_that_see_the_same_do_not_snapshot_at_the_same_time() {
        let options = TriggerOptions { transactions: 100_000, log_bytes: None };
        assert_ne!(counts(options, 1, 1)[..3], counts(options, 1, 2)[..3]);
    }
}
