//! The figures that ringkeeper is to reach, and where it stands.

use std::fmt;

use serde::{Serialize, Serializer};

use crate::load::{Operation, Shape};
use crate::server::Subject;
use crate::summary::{Figures, Summary};

/// One figure to reach.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Goal {
    /// Which work, and which figure of it.
    pub(crate) work: String,
    /// The goal in words.
    pub(crate) goal: String,
    /// The limit that it comes to in this run; `None` if what it depends on was not measured.
    pub(crate) limit: Option<f64>,
    /// What ringkeeper's median came to.
    pub(crate) measured: Option<f64>,
    /// What the Java server's came to.
    pub(crate) java: Option<f64>,
    pub(crate) standing: Standing,
}

/// Whether a goal is reached.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Standing {
    Met,
    /// Off the limit by this factor, more than 1.
    ShortBy(f64),
    NotMeasured,
}

/// All goals that the side-by-side run can tell something about.
pub(crate) fn goals(summary: &Summary) -> Vec<Goal> {
    let disk_us = summary.disk.map(|disk| disk.p50_us.median);
    let of =
        |subject, (_, figure): Figure, operation, shape| summary.get(subject, operation, shape).map(figure);
    let echo = |figure, operation, shape| of(Subject::Echo, figure, operation, shape);
    let at_most = |figure: Figure, operation: Operation, shape: Shape, goal: &str, limit| {
        let work = format!("{operation} {shape}: {}", figure.0);
        Goal::at_most(work, goal, limit, |subject| of(subject, figure, operation, shape))
    };
    let floor = echo(CPU, Operation::Read, WIDE).map(|floor| 1.15 * floor);
    let mut goals = vec![
        at_most(CPU, Operation::Read, DEEP, "≤ 0.6 µs", Some(0.6)),
        at_most(CPU, Operation::Read, WIDE, "≤ 1.15 × the echo floor", floor),
    ];
    for write in [Operation::Set, Operation::Create] {
        goals.push(at_most(CPU, write, DEEP, "≤ 2 µs", Some(2.0)));
        let work = format!("{write} {DEEP}: {}", RATE.0);
        goals
            .push(Goal::at_least(work, "≥ 400 000/s", 400_000.0, |subject| of(subject, RATE, write, DEEP)));
    }
    for write in [Operation::Set, Operation::Create] {
        let floors = echo(P50, write, ALONE).zip(disk_us).map(|(echo, disk)| 1.15 * (echo + disk));
        goals.push(at_most(P50, write, ALONE, "≤ 1.15 × (echo + disk floors)", floors));
    }
    goals
}

/// A figure of a load, and its name.
pub(crate) type Figure = (&'static str, fn(&Figures) -> f64);

pub(crate) const CPU: Figure = ("server CPU, µs each", |figures| figures.cpu_us.median);
pub(crate) const RATE: Figure = ("rate, each second", |figures| figures.per_second.median);
pub(crate) const P50: Figure = ("p50, µs", |figures| figures.latency.p50_us.median);

const ALONE: Shape = Shape { connections: 1, outstanding: 1 };
const WIDE: Shape = Shape { connections: 16, outstanding: 1 };
const DEEP: Shape = Shape { connections: 16, outstanding: 32 };

impl Goal {
    /// A figure that is to be small. `of` tells what it came to on a server.
    pub(crate) fn at_most(
        work: String,
        goal: &str,
        limit: Option<f64>,
        of: impl Fn(Subject) -> Option<f64>,
    ) -> Goal {
        Goal::new(work, goal, limit, of, |measured, limit| measured / limit)
    }

    /// A figure that is to be great.
    pub(crate) fn at_least(
        work: String,
        goal: &str,
        limit: f64,
        of: impl Fn(Subject) -> Option<f64>,
    ) -> Goal {
        Goal::new(work, goal, Some(limit), of, |measured, limit| limit / measured)
    }

    fn new(
        work: String,
        goal: &str,
        limit: Option<f64>,
        of: impl Fn(Subject) -> Option<f64>,
        excess: fn(f64, f64) -> f64,
    ) -> Goal {
        let (measured, java) = (of(Subject::Ringkeeper), of(Subject::Java));
        let standing = Standing::of(measured.zip(limit).map(|(measured, limit)| excess(measured, limit)));
        Goal { work, goal: goal.to_owned(), limit, measured, java, standing }
    }
}

impl Standing {
    /// Where one stands that is off the limit by this factor, at most 1 within it; `None` if that is unknown.
    fn of(excess: Option<f64>) -> Standing {
        match excess {
            None => Standing::NotMeasured,
            Some(factor) if factor <= 1.0 => Standing::Met,
            Some(factor) => Standing::ShortBy(factor),
        }
    }
}

impl fmt::Display for Standing {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Standing::Met => out.write_str("met"),
            Standing::ShortBy(factor) => write!(out, "NOT met: short by a factor of {factor:.2}"),
            Standing::NotMeasured => out.write_str("not measured"),
        }
    }
}

impl Serialize for Standing {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::summary::tests::{case, latency, measured};

    #[test]
    fn a_goal_is_met_at_its_limit_and_short_beyond_it() {
        let of = |us| {
            let read = case(Subject::Ringkeeper, Operation::Read, "16x32");
            goals(&Summary::of(&[(read, measured(1000, 1.0, us))], &[]))[0].standing
        };
        assert_eq!(of(0.6), Standing::Met);
        assert_eq!(of(1.2), Standing::ShortBy(2.0));
    }

    #[test]
    fn a_rate_is_short_when_it_is_low() {
        let set = case(Subject::Ringkeeper, Operation::Set, "16x32");
        let goals = goals(&Summary::of(&[(set, measured(100_000, 1.0, 1.0))], &[]));
        let rate = goals.iter().find(|goal| goal.work.starts_with("set 16x32: rate")).unwrap();
        assert_eq!(rate.standing, Standing::ShortBy(4.0));
    }

    #[test]
    fn a_limit_made_of_floors_needs_them_measured() {
        let ringkeeper = (case(Subject::Ringkeeper, Operation::Set, "1x1"), measured(1, 1.0, 220.0));
        let echo = (case(Subject::Echo, Operation::Set, "1x1"), measured(1, 1.0, 80.0));
        let standing = |summary| {
            let all = goals(&summary);
            let goal = all.iter().find(|goal| goal.work.starts_with("set 1x1"));
            goal.map(|goal| (goal.limit.map(f64::round), goal.standing)).unwrap()
        };
        let with_both = Summary::of(&[ringkeeper.clone(), echo], &[latency(120.0)]);
        assert_eq!(standing(with_both), (Some(230.0), Standing::Met));
        let without_echo = Summary::of(&[ringkeeper], &[latency(120.0)]);
        assert_eq!(standing(without_echo), (None, Standing::NotMeasured));
    }
}
