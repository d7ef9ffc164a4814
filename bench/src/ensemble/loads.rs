//! Closed loops on ensembles, whose servers are measured as one.

use std::time::Duration;

use anyhow::{Context, Result};
use tracing::info;

use super::{Bench, Found};
use crate::ground;
use crate::load::{self, Load, Measured, Operation, Shape, Span};
use crate::members::Members;
use crate::paths::Paths;
use crate::server::Subject;
use crate::summary::{At, Case};

/// What is asked of every ensemble, in this order.
pub(super) const LOADS: [(Operation, Shape, At); 7] = [
    (Operation::Set, ALONE, At::Leader),
    (Operation::Set, ALONE, At::Follower),
    (Operation::Set, WIDE, At::All),
    (Operation::Set, DEEP, At::All),
    (Operation::Create, DEEP, At::All),
    (Operation::Mixed, WIDE, At::All),
    (Operation::Mixed, DEEP, At::All),
];

pub(super) const ALONE: Shape = Shape { connections: 1, outstanding: 1 };
pub(super) const WIDE: Shape = Shape { connections: 24, outstanding: 1 };
pub(super) const DEEP: Shape = Shape { connections: 24, outstanding: 32 };

/// Runs all loads on an ensemble of each kind, in turn, round by round.
pub(super) fn measure(bench: &Bench, found: &mut Found) {
    for round in 1..=bench.settings.rounds {
        for &subject in &bench.settings.subjects {
            let what = format!("loads, round {round} of {}: three of {subject}", bench.settings.rounds);
            info!("{what}");
            let result = once(bench, subject, &mut found.loads)
                .and_then(|()| ground::settle(&bench.settings.ground.dir));
            ground::or_note(&mut found.failures, &what, result);
        }
    }
}

fn once(bench: &Bench, subject: Subject, found: &mut Vec<(Case, Measured)>) -> Result<()> {
    let settings = &bench.settings;
    let members = Members::start(subject, &bench.programs, &settings.server_cpus, bench.root.path(), None)?;
    let addrs = members.addrs();
    load::populate(addrs[0], ZNODES, settings.znodes, settings.data_len.into())?;
    for parent in [HOT, CREATED] {
        load::create_parent(addrs[0], parent)?;
    }
    let probe = members.probe()?;
    let load = |operation, shape, parent: &str| Load {
        operation,
        shape,
        paths: Paths::flat(parent),
        children: settings.znodes,
        data_len: settings.data_len.into(),
    };
    if subject == Subject::Java {
        // For its compiler.
        let measure = Duration::from_secs_f64(settings.java_warmup / 2.0);
        for (operation, parent) in [(Operation::Mixed, ZNODES), (Operation::Create, HOT)] {
            let span = Span { warmup: Duration::ZERO, measure, requests_max: HOT_MAX };
            load::run(&addrs, &load(operation, DEEP, parent), &span, &probe).context("running hot")?;
        }
    }
    for (operation, shape, at) in LOADS {
        let (parent, requests_max) = match operation {
            Operation::Create => (CREATED, settings.creates_max.into()),
            Operation::Read | Operation::Set | Operation::Mixed => (ZNODES, u64::MAX),
        };
        let leader = members.leader()?;
        let addrs = match at {
            At::Leader => &addrs[leader..=leader],
            At::Follower => std::slice::from_ref(&addrs[(leader + 1) % addrs.len()]),
            At::All | At::Only => &addrs[..],
        };
        let measure = Duration::from_secs_f64(settings.seconds);
        let span = Span { warmup: bench.warmup(), measure, requests_max };
        let case = Case { subject, operation, shape, at };
        let measured =
            load::run(addrs, &load(operation, shape, parent), &span, &probe).with_context(|| case.load())?;
        info!(
            "{}: {:.0}/s, p50 {:.0} µs, CPU of all three {:.2} µs each",
            case.load(),
            measured.requests as f64 / measured.seconds,
            measured.latency.p50_us,
            measured.server.cpu_ns as f64 / 1e3 / measured.requests as f64
        );
        found.push((case, measured));
    }
    members.stop()
}

/// The parent of the znodes that are read and set.
const ZNODES: &str = "/znodes";
const CREATED: &str = "/created";
const HOT: &str = "/hot";

/// Enough for the compiler.
const HOT_MAX: u64 = 400_000;
