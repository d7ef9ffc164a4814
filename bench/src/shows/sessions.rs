//! Many idle sessions: what each one holds, what their pings cost, and how all of them come back at once
//! after the server was killed and started again.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::bystander::Bystander;
use super::{OPEN_WITHIN, Part, Show, resident};
use crate::fleet::Fleet;
use crate::load;
use crate::server::Subject;

pub(super) fn show(show: &mut Show, subject: Subject) -> Result<()> {
    let count = show.settings.sessions as usize;
    let quiet = QUIET_MAX.min(show.seconds());
    let (server, folder) = show.start(subject, 1, "")?;
    load::populate(server.addr(), OTHERS, 1, DATA_LEN)?;
    let probe = server.probe()?;
    let before = resident(&probe)?;
    let begun = Instant::now();
    let (mut fleet, handshakes) = Fleet::open(&[server.addr()], count, OPEN_WITHIN)?;
    let took = begun.elapsed();
    let each = (resident(&probe)? - before) / count as f64;
    let p99 = handshakes.took.quantile_us(0.99) / 1e3;
    let mut found = |what: &str, value: f64, unit| {
        show.found(PART, subject, format!("{count} sessions: {what}"), value, unit)
    };
    found("all opened at once, until the last is", took.as_secs_f64() * 1e3, "ms");
    found("p99 of their handshakes", p99, "ms");
    found("refused or reset when opened", handshakes.turned_away as f64, "times");
    found("memory each", each, "bytes");

    let idle = probe.cpu()?;
    thread::sleep(quiet);
    let idle = probe.cpu()? - idle;
    let pinging = probe.cpu()?;
    for _ in 0..PINGS {
        fleet.ping_all()?;
        let begun = Instant::now();
        // The answers come meanwhile.
        while begun.elapsed() < quiet / PINGS {
            fleet.listen(quiet / PINGS / 10)?;
        }
    }
    let pinging = (probe.cpu()? - pinging).saturating_sub(idle);
    found("server CPU for each ping", pinging.as_secs_f64() * 1e6 / f64::from(PINGS) / count as f64, "µs");
    found("server CPU when idle", 100.0 * idle.as_secs_f64() / quiet.as_secs_f64(), "% of a CPU");

    let identities = fleet.identities().to_vec();
    drop((server, fleet));
    let server = show.open(subject, 1, &folder, "")?;
    let bystander = Bystander::start(server.addr(), OTHERS, DATA_LEN)?;
    let begun = Instant::now();
    let back = Fleet::open_as(&[server.addr()], &identities, OPEN_WITHIN).context("coming back");
    let took = begun.elapsed();
    let noticed = bystander.end()?;
    let (_fleet, handshakes) = back?;
    let mut found = |what: &str, value: f64, unit| {
        show.found(PART, subject, format!("{count} sessions: {what}"), value, unit)
    };
    found("back after a restart, until the last is", took.as_secs_f64() * 1e3, "ms");
    found("refused or reset when coming back", handshakes.turned_away as f64, "times");
    found("others' p99 meanwhile", noticed.p99_us / 1e3, "ms");
    found("others' longest meanwhile", noticed.max_us / 1e3, "ms");
    server.stop()
}

const PART: Part = Part::Sessions;
const OTHERS: &str = "/others";
const DATA_LEN: usize = 100;
const QUIET_MAX: Duration = Duration::from_secs(2);
const PINGS: u32 = 4;
