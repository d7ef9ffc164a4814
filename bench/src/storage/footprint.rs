//! What reaches the disk for each write, counted at the process and at the device.

use std::time::Duration;

use anyhow::{Context, Result};
use serde::Serialize;
use tracing::info;

use super::Bench;
use crate::large_tree::{TREE, WITHOUT_SNAPSHOTS};
use crate::load::{self, Load, Measured, Operation, Shape, Span};
use crate::paths::Paths;
use crate::server::{Folder, Subject};
use crate::summary::{At, Case};

/// One load of writes.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Footprint {
    pub(crate) case: Case,
    pub(crate) measured: Measured,
}

/// Measures sets and creates, alone and many at a time, on all servers in turn.
pub(super) fn measure(bench: &Bench, found: &mut Vec<Footprint>) -> Result<()> {
    for round in 1..=bench.settings.rounds {
        for &subject in &bench.settings.subjects {
            info!("bytes, round {round} of {}: {subject}", bench.settings.rounds);
            once(bench, subject, found).with_context(|| format!("bytes, {subject}"))?;
        }
    }
    Ok(())
}

fn once(bench: &Bench, subject: Subject, found: &mut Vec<Footprint>) -> Result<()> {
    let folder = Folder::fresh(bench.work_folder())?;
    let server = bench.open(subject, 1, &folder, WITHOUT_SNAPSHOTS)?;
    let probe = server.probe()?.with_device(bench.device.clone());
    load::populate(server.addr(), TREE, ZNODES, bench.settings.data_len.into())?;
    let load = |operation, shape, parent: &str| Load {
        operation,
        shape,
        paths: Paths::flat(parent),
        children: ZNODES,
        data_len: bench.settings.data_len.into(),
    };
    // A server that is still slow batches more than it will.
    let hot = Span { warmup: Duration::ZERO, measure: bench.warmup() / 2, requests_max: u64::MAX };
    load::run(&[server.addr()], &load(Operation::Set, DEEP, TREE), &hot, &probe)?;
    for operation in [Operation::Set, Operation::Create] {
        for shape in [ALONE, DEEP] {
            let parent = match operation {
                Operation::Create => {
                    let parent = format!("/{operation}-{shape}");
                    load::create_parent(server.addr(), &parent)?;
                    parent
                }
                Operation::Read | Operation::Set | Operation::Mixed => TREE.to_owned(),
            };
            let measured =
                load::run(&[server.addr()], &load(operation, shape, &parent), &span(bench), &probe)?;
            found.push(Footprint { case: Case { subject, operation, shape, at: At::Only }, measured });
        }
    }
    Ok(())
}

/// A write takes the same bytes however long one looks.
fn span(bench: &Bench) -> Span {
    let seconds = if bench.settings.quick { 0.5 } else { 2.0 };
    let measure = Duration::from_secs_f64(seconds);
    Span { warmup: measure / 2, measure, requests_max: 1_000_000 }
}

const ZNODES: u32 = 1000;

const ALONE: Shape = Shape { connections: 1, outstanding: 1 };
const DEEP: Shape = Shape { connections: 16, outstanding: 32 };
