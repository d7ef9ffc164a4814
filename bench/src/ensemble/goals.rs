//! What three ringkeepers are to reach together, and where they stand.

use super::Found;
use super::loads::{ALONE, DEEP};
use crate::goals::{CPU, Figure, Goal, P50, RATE};
use crate::load::{Operation, Shape};
use crate::server::Subject;
use crate::summary::{At, Case, Spread, Summary};

/// The goals that this run can tell something about.
pub(super) fn goals(summary: &Summary, found: &Found) -> Vec<Goal> {
    let of = |subject, (_, figure): Figure, operation: Operation, shape: Shape, at: At| {
        summary.of_case(Case { subject, operation, shape, at }).map(figure)
    };
    let work = |operation: Operation, shape: Shape, what: &str| format!("{operation} {shape}: {what}");
    let mut goals = Vec::new();
    for write in [Operation::Set, Operation::Create] {
        goals.push(Goal::at_least(work(write, DEEP, RATE.0), "≥ 170 000/s", 170_000.0, |subject| {
            of(subject, RATE, write, DEEP, At::All)
        }));
        let what = work(write, DEEP, "CPU of all three, µs each");
        goals.push(Goal::at_most(what, "≤ 10 µs", Some(10.0), |subject| {
            of(subject, CPU, write, DEEP, At::All)
        }));
    }
    for (at, name) in [(At::Leader, "at the leader"), (At::Follower, "at a follower")] {
        let what = work(Operation::Set, ALONE, &format!("{name}, {}", P50.0));
        goals.push(Goal::at_most(what, "≤ 330 µs", Some(330.0), |subject| {
            of(subject, P50, Operation::Set, ALONE, at)
        }));
    }
    for znodes in GOAL_ZNODES {
        let what = format!("leader killed, {znodes} znodes: until a write is acknowledged, ms");
        goals.push(Goal::at_most(what, "≤ 150 ms", Some(150.0), |subject| {
            found.failover_ms(subject, znodes).map(|ms| ms.median)
        }));
    }
    goals
}

impl Found {
    /// How long leaders were missed, in ms.
    pub(super) fn failover_ms(&self, subject: Subject, znodes: u32) -> Option<Spread> {
        let wanted = self.failovers.iter().filter(|found| (found.subject, found.znodes) == (subject, znodes));
        Spread::of_any(wanted.map(|found| found.milliseconds))
    }
}

/// A small tree and a large one.
const GOAL_ZNODES: [u32; 2] = [1000, 1_000_000];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ensemble::failover::Failover;
    use crate::goals::Standing;
    use crate::summary::tests::{case, measured};

    #[test]
    fn loads_on_all_servers_are_judged_and_not_those_on_one() {
        let deep = case(Subject::Ringkeeper, Operation::Set, "24x32");
        let standing = |at| {
            let summary = Summary::of(&[(Case { at, ..deep }, measured(85_000, 1.0, 20.0))], &[]);
            let goals = goals(&summary, &Found::default());
            (goals[0].standing, goals[1].standing)
        };
        assert_eq!(standing(At::All), (Standing::ShortBy(2.0), Standing::ShortBy(2.0)));
        assert_eq!(standing(At::Only), (Standing::NotMeasured, Standing::NotMeasured));
    }

    #[test]
    fn failovers_are_judged_by_the_median_of_their_own_tree() {
        let failovers = [(1000, 90.0), (1000, 100.0), (1000, 900.0), (1_000_000, 300.0)];
        let found = Found {
            failovers: failovers
                .map(|(znodes, milliseconds)| Failover {
                    subject: Subject::Ringkeeper,
                    znodes,
                    milliseconds,
                    tries: 1,
                })
                .to_vec(),
            ..Found::default()
        };
        let goals = goals(&Summary::of(&[], &[]), &found);
        let standings: Vec<Standing> = goals.iter().rev().take(2).map(|goal| goal.standing).collect();
        assert_eq!(standings, [Standing::ShortBy(2.0), Standing::Met]);
    }
}
