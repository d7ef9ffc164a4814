//! Throughput by the server's layout, and as the tree grows.

use std::time::Duration;

use anyhow::Result;

use super::{Part, Show};
use crate::large_tree::{self, WITHOUT_SNAPSHOTS, tree};
use crate::load::{self, Load, Operation, Shape, Span};
use crate::server::{Server, Subject};

/// Reads and sets with ringkeeper's layouts. Java has none to choose.
pub(super) fn layouts(show: &mut Show, subject: Subject) -> Result<()> {
    let layouts: &[(&str, &str)] = match subject {
        Subject::Ringkeeper => &[
            ("one executor", "ringkeeper.layout=single\n"),
            ("split, 1 shard", "ringkeeper.layout=split\nringkeeper.shards=1\n"),
            ("split, 2 shards", "ringkeeper.layout=split\nringkeeper.shards=2\n"),
        ],
        Subject::Java | Subject::Echo | Subject::Etcd => &[("one executor", "")],
    };
    for (name, more) in layouts {
        let (server, _folder) = show.start(subject, 1, more)?;
        large_tree::load(&server, ZNODES, &[b'd'; DATA_LEN])?;
        run_loads(show, subject, &server, ZNODES, (Part::Shards, name))?;
        server.stop()?;
    }
    Ok(())
}

/// Reads and sets on trees of different sizes.
pub(super) fn growth(show: &mut Show, subject: Subject) -> Result<()> {
    for znodes in show.settings.growth.clone() {
        let (server, _folder) = show.start(subject, znodes.div_ceil(1_000_000), WITHOUT_SNAPSHOTS)?;
        large_tree::load(&server, znodes, &[b'd'; DATA_LEN])?;
        run_loads(show, subject, &server, znodes, (Part::Growth, &format!("{znodes} znodes")))?;
        server.stop()?;
    }
    Ok(())
}

fn run_loads(
    show: &mut Show,
    subject: Subject,
    server: &Server,
    znodes: u32,
    (part, name): (Part, &str),
) -> Result<()> {
    let probe = server.probe()?;
    // A server that is still slow, or compiles, is not what is to be shown.
    let warmup = show.seconds().max(Duration::from_millis(500));
    for operation in [Operation::Read, Operation::Set] {
        let shape = Shape { connections: 16, outstanding: 32 };
        let load = Load { operation, shape, paths: tree(), children: znodes, data_len: DATA_LEN };
        let span = Span { warmup, measure: show.seconds(), requests_max: u64::MAX };
        let measured = load::run(&[server.addr()], &load, &span, &probe)?;
        let requests = measured.requests as f64;
        let mut found = |what: &str, value: f64, unit| {
            show.found(part, subject, format!("{name}, {operation} {shape}: {what}"), value, unit);
        };
        found("rate", requests / measured.seconds, "/s");
        found("server CPU each", measured.server.cpu_ns as f64 / 1e3 / requests, "µs");
    }
    Ok(())
}

const ZNODES: u32 = 1000;
const DATA_LEN: usize = 100;
