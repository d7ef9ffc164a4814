//! What a load found while it ran: latencies and errors for each operation, over all and second by second.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::latency::{Latency, Recorder};

/// Collects what became of the requests of a load. All times are in ns of one clock.
#[derive(Debug)]
pub(crate) struct Recording {
    operations: Vec<Operation>,
    /// How much later than intended requests were handed to their socket.
    lateness: Recorder,
    /// Nothing that was to be sent before is recorded.
    from: u64,
    second: Current,
    seconds: Vec<Second>,
    recorded: u64,
}

#[derive(Debug)]
struct Operation {
    latency: Recorder,
    errors: BTreeMap<i32, u64>,
}

/// The second that is going on.
#[derive(Debug)]
struct Current {
    number: u64,
    latency: Recorder,
    counts: Vec<u64>,
    errors: u64,
}

/// What the replies of one second came to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Second {
    /// Since the measurement began, from 0.
    pub(crate) second: u64,
    /// Successful replies, operation by operation.
    pub(crate) counts: Vec<u64>,
    pub(crate) errors: u64,
    /// Of all operations together; `None` if nothing succeeded.
    pub(crate) latency: Option<Latency>,
}

impl Recording {
    /// For so many operations. Nothing is recorded until [`Recording::open`].
    pub(crate) fn new(operations: usize) -> Recording {
        let operation = || Operation { latency: Recorder::new(), errors: BTreeMap::new() };
        Recording {
            operations: (0..operations).map(|_| operation()).collect(),
            lateness: Recorder::new(),
            from: u64::MAX,
            second: Current { number: 0, latency: Recorder::new(), counts: vec![0; operations], errors: 0 },
            seconds: Vec::new(),
            recorded: 0,
        }
    }

    /// Records what is to be sent from now on.
    pub(crate) fn open(&mut self, from: u64) {
        self.from = from;
    }

    /// When that was.
    pub(crate) fn from(&self) -> u64 {
        self.from
    }

    /// A request was handed to its socket.
    pub(crate) fn sent(&mut self, intended: u64, now: u64) {
        if intended >= self.from {
            self.lateness.record(now - intended);
        }
    }

    /// A request succeeded. Returns the second that ended with it, if one did.
    pub(crate) fn succeeded(&mut self, operation: usize, intended: u64, now: u64) -> Option<&Second> {
        if intended < self.from {
            return None;
        }
        let ended = self.roll(now);
        let latency = now - intended;
        self.operations[operation].latency.record(latency);
        self.second.latency.record(latency);
        self.second.counts[operation] += 1;
        self.recorded += 1;
        self.seconds.last().filter(|_| ended)
    }

    /// A request failed, with ZooKeeper's code.
    pub(crate) fn failed(&mut self, operation: usize, code: i32, intended: u64, now: u64) {
        if intended < self.from {
            return;
        }
        self.roll(now);
        *self.operations[operation].errors.entry(code).or_default() += 1;
        self.second.errors += 1;
    }

    /// Successful requests that were recorded.
    pub(crate) fn count(&self) -> u64 {
        self.recorded
    }

    /// What was recorded of an operation.
    pub(crate) fn operation(&self, operation: usize) -> (&Recorder, &BTreeMap<i32, u64>) {
        let Operation { latency, errors } = &self.operations[operation];
        (latency, errors)
    }

    /// How late requests were sent.
    pub(crate) fn lateness(&self) -> &Recorder {
        &self.lateness
    }

    /// Everything recorded, whatever the operation.
    pub(crate) fn all(&self) -> Recorder {
        self.operations.iter().fold(Recorder::new(), |mut all, operation| {
            all.add(&operation.latency);
            all
        })
    }

    /// All seconds, the one that is going on included.
    pub(crate) fn into_seconds(mut self) -> Vec<Second> {
        self.close_second();
        self.seconds
    }

    /// Closes seconds that are over at `now`; those in which nothing came are there too.
    fn roll(&mut self, now: u64) -> bool {
        let number = (now - self.from) / NS_PER_SECOND;
        let ended = self.second.number < number;
        while self.second.number < number {
            self.close_second();
        }
        ended
    }

    fn close_second(&mut self) {
        let operations = self.second.counts.len();
        self.seconds.push(Second {
            second: self.second.number,
            counts: std::mem::replace(&mut self.second.counts, vec![0; operations]),
            errors: std::mem::take(&mut self.second.errors),
            latency: self.second.latency.summary(),
        });
        self.second.latency.reset();
        self.second.number += 1;
    }
}

const NS_PER_SECOND: u64 = 1_000_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    #[test]
    fn each_reply_counts_in_its_second_and_silent_seconds_are_shown() {
        let mut recording = Recording::new(2);
        assert_eq!(recording.succeeded(0, 5, 9), None, "not open yet");
        recording.open(1000);
        assert_eq!(recording.succeeded(0, 999, 2000), None, "intended before");
        recording.succeeded(0, 1000, 1000 + 10 * MS);
        recording.failed(1, -101, 1000, 1000 + 20 * MS);
        let ended = recording.succeeded(1, 1000 + 10 * MS, 1000 + 3100 * MS).cloned();
        assert_eq!(ended.map(|second| second.second), Some(2));
        assert_eq!(recording.count(), 2);
        assert_eq!(recording.operation(1).1, &BTreeMap::from([(-101, 1)]));
        assert!(recording.all().summary().unwrap().max_us > 3_000_000.0);

        let seconds = recording.into_seconds();
        let counts: Vec<_> =
            seconds.iter().map(|second| (second.counts[0], second.counts[1], second.errors)).collect();
        assert_eq!(counts, [(1, 0, 1), (0, 0, 0), (0, 0, 0), (0, 1, 0)]);
        assert_eq!(seconds[1].latency, None);
        assert!((seconds[0].latency.unwrap().max_us / 10_000.0 - 1.0).abs() < 0.01);
    }
}
