//! What ringkeeper's storage is to reach, and where it stands.

use super::Found;
use super::images::{Ended, Moment, Occupied};
use super::mixed::{Mixed, Snapshots};
use super::restarts::{Cache, Restart};
use crate::goals::Goal;
use crate::latency::Latency;
use crate::server::Subject;
use crate::summary::Spread;

/// The goals that this run can tell something about.
pub(super) fn goals(found: &Found, rate: u32) -> Vec<Goal> {
    let mut goals = Vec::new();
    for (moment, when) in [(Moment::Loaded, "the load"), (Moment::Restarted, "a restart")] {
        let of = |subject| found.memory_mb(subject, GOAL_ZNODES, moment).map(|memory| memory.median);
        let work = format!("resident after {when}, {GOAL_ZNODES} znodes, MB");
        goals.push(Goal::at_most(work, "≤ 300 MB", Some(300.0), of));
    }
    for (ended, how) in [(Ended::Stopped, "a stop"), (Ended::Killed, "a kill")] {
        for cache in [Cache::Cold, Cache::Warm] {
            let of = |subject| {
                found.restart_seconds(subject, GOAL_ZNODES, ended, cache).map(|seconds| seconds.median)
            };
            let work = format!("restart after {how}, {GOAL_ZNODES} znodes, {cache} cache, s");
            goals.push(Goal::at_most(work, "≤ 1 s", Some(1.0), of));
        }
    }
    if rate == GOAL_RATE {
        goals.extend(mixed_goals(found));
    }
    goals
}

fn mixed_goals(found: &Found) -> Vec<Goal> {
    let mut goals = Vec::new();
    let p99: fn(&Latency) -> f64 = |latency| latency.p99_us;
    for (name, limit, figure) in [("p99", 1.0, p99), ("p99.9", 2.0, |latency| latency.p999_us)] {
        let writes = |subject, snapshots| {
            let of = |mixed: &Mixed| figure(&mixed.paced.writes);
            found.mixed(subject, GOAL_ZNODES, snapshots, &of).map(|us| us.median / 1e3)
        };
        let work = |how: &str| format!("{GOAL_RATE}/s mixed, {how} snapshots: write {name}, ms");
        let goal = format!("≤ {limit} ms");
        let without = |subject| writes(subject, Snapshots::Without);
        goals.push(Goal::at_most(work("without"), &goal, Some(limit), without));
        // Where none was written, nothing was shown.
        let with = |subject| {
            let written = |mixed: &Mixed| mixed.snapshots_written as f64;
            let written = found.mixed(subject, GOAL_ZNODES, Snapshots::Continuous, &written)?;
            writes(subject, Snapshots::Continuous).filter(|_| written.min > 0.0)
        };
        goals.push(Goal::at_most(work("with"), &goal, Some(limit), with));
        let limit = without(Subject::Ringkeeper).map(|without| 1.2 * without);
        goals.push(Goal::at_most(work("with"), "≤ 1.2 × without", limit, with));
    }
    goals
}

impl Found {
    /// Resident memory, in MB.
    pub(super) fn memory_mb(&self, subject: Subject, znodes: u32, moment: Moment) -> Option<Spread> {
        let wanted =
            |found: &&Occupied| (found.subject, found.znodes, found.moment) == (subject, znodes, moment);
        Spread::of_any(
            self.memory.iter().filter(wanted).map(|found| found.memory.resident_bytes as f64 / 1e6),
        )
    }

    /// How long restarts took.
    pub(super) fn restart_seconds(
        &self,
        subject: Subject,
        znodes: u32,
        ended: Ended,
        cache: Cache,
    ) -> Option<Spread> {
        let wanted = |found: &&Restart| {
            (found.subject, found.znodes, found.ended, found.cache) == (subject, znodes, ended, cache)
        };
        Spread::of_any(self.restarts.iter().filter(wanted).map(|found| found.seconds))
    }

    /// A figure of the mix.
    pub(super) fn mixed(
        &self,
        subject: Subject,
        znodes: u32,
        snapshots: Snapshots,
        figure: &dyn Fn(&Mixed) -> f64,
    ) -> Option<Spread> {
        let wanted =
            |found: &&Mixed| (found.subject, found.znodes, found.snapshots) == (subject, znodes, snapshots);
        Spread::of_any(self.mixed.iter().filter(wanted).map(figure))
    }
}

/// The size and the rate that the goals are for.
const GOAL_ZNODES: u32 = 1_000_000;
const GOAL_RATE: u32 = 6000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::goals::Standing;
    use crate::open_loop::Paced;
    use crate::process::Memory;
    use crate::summary::tests::{latency, measured};

    #[test]
    fn restarts_and_memory_are_judged_by_their_medians() {
        let mut found = Found::default();
        for seconds in [0.5, 0.9, 4.0] {
            found.restarts.push(Restart {
                subject: Subject::Ringkeeper,
                znodes: GOAL_ZNODES,
                ended: Ended::Killed,
                cache: Cache::Warm,
                seconds,
            });
        }
        let resident_bytes = 600_000_000;
        found.memory.push(Occupied {
            subject: Subject::Ringkeeper,
            znodes: GOAL_ZNODES,
            moment: Moment::Restarted,
            memory: Memory { resident_bytes, peak_bytes: 0, anonymous_bytes: 0 },
            live_heap_bytes: None,
        });
        let goals = goals(&found, GOAL_RATE);
        let standing = |work: &str| goals.iter().find(|goal| goal.work.starts_with(work)).unwrap().standing;
        assert_eq!(standing("restart after a kill, 1000000 znodes, warm cache"), Standing::Met);
        assert_eq!(standing("restart after a kill, 1000000 znodes, cold cache"), Standing::NotMeasured);
        assert_eq!(standing("resident after a restart"), Standing::ShortBy(2.0));
        assert_eq!(standing("resident after the load"), Standing::NotMeasured);
    }

    #[test]
    fn a_mix_with_snapshots_counts_only_if_some_were_written() {
        let standing = |snapshots_written| {
            let mut found = Found::default();
            found.mixed.push(mixed(Snapshots::Without, 0, 500.0));
            found.mixed.push(mixed(Snapshots::Continuous, snapshots_written, 900.0));
            let goals = goals(&found, GOAL_RATE);
            let mut of = goals.into_iter().filter(|goal| goal.work.contains("with snapshots: write p99,"));
            (of.next().unwrap().standing, of.next().unwrap().standing)
        };
        assert_eq!(standing(3), (Standing::Met, Standing::ShortBy(1.5)));
        assert_eq!(standing(0), (Standing::NotMeasured, Standing::NotMeasured));
        assert!(goals(&Found::default(), 1000).iter().all(|goal| !goal.work.contains("mixed")));
    }

    fn mixed(snapshots: Snapshots, snapshots_written: usize, us: f64) -> Mixed {
        let server = measured(1, 1.0, us).server;
        let paced = Paced {
            reads: latency(us),
            writes: latency(us),
            lateness: latency(us),
            seconds: 1.0,
            server,
            generator_cpu_ns: 0,
            others_busy: 0.0,
        };
        let subject = Subject::Ringkeeper;
        Mixed { subject, znodes: GOAL_ZNODES, snapshots, paced, snapshots_written }
    }
}
