//! The report of a storage run, as markdown.

use std::fmt::{self, Write};

use comfy_table::Table;

use super::images::{Ended, Moment, Occupied};
use super::mixed::{Mixed, Snapshots};
use super::{Found, Run, Settings};
use crate::load::Measured;
use crate::report::{NONE, goals_table, number, numbers_right, table, with_range};
use crate::server::Subject;
use crate::summary::{Case, Spread};

/// The whole report.
pub(super) fn render(run: &Run) -> String {
    let mut text = String::new();
    write_report(run, &mut text).expect("a string takes all that is written");
    text
}

fn write_report(run: &Run, out: &mut String) -> fmt::Result {
    run.about.write("Storage", out)?;
    write_settings(run, out)?;
    let found = &run.found;
    for failure in &found.failures {
        writeln!(out, "- **not measured**: {failure}")?;
    }
    writeln!(out, "\n## Goals\n\n{}", goals_table(&run.goals))?;
    if !found.restarts.is_empty() {
        writeln!(out, "\n## Restart\n\n{RESTART_READS_AS}\n\n{}", restart_table(found))?;
    }
    if !found.memory.is_empty() {
        writeln!(out, "\n## Memory\n\n{MEMORY_READS_AS}\n\n{}", memory_table(found))?;
    }
    if !found.footprints.is_empty() {
        writeln!(out, "\n## Bytes\n\n{BYTES_READ_AS}\n\n{}", bytes_table(found))?;
    }
    if !found.mixed.is_empty() {
        let Settings { rate, connections, .. } = run.settings;
        writeln!(out, "\n## {rate} mixed operations per second, {connections} connections\n")?;
        writeln!(out, "{MIX_READS_AS}\n\n{}", mixed_table(found))?;
    }
    Ok(())
}

fn write_settings(run: &Run, out: &mut String) -> fmt::Result {
    let settings = &run.settings;
    writeln!(
        out,
        "- server on CPU {}, load generator on CPU {}, a server that restarts on CPU {}; Java with -Xmx{}m for \
         each million znodes",
        settings.pinning.server_cpus,
        settings.pinning.load_cpus,
        settings.restart_cpus,
        settings.java_heap_mb
    )?;
    writeln!(
        out,
        "- {} rounds of bytes and of the mix, the latter measured for {} s behind {} s of warm-up; servers in turn",
        settings.rounds, settings.seconds, settings.warmup
    )?;
    let found = &run.found;
    let others = (found.mixed.iter().map(|mixed| mixed.paced.others_busy))
        .chain(found.footprints.iter().map(|footprint| footprint.measured.others_busy))
        .fold(0.0, f64::max);
    writeln!(
        out,
        "- how quiet the machine was: load average {:.2} before; other processes took at most {:.0} % of its CPU \
         time during a measurement of bytes or the mix",
        run.about.load_average,
        100.0 * others
    )?;
    if run.cold_missing && !found.restarts.is_empty() {
        writeln!(out, "- no restarts with a cold page cache: this process may not empty it (root may)")?;
    }
    Ok(())
}

fn restart_table(found: &Found) -> Table {
    let mut table =
        table(&["znodes", "ended by", "page cache", "Java, s", "ringkeeper, s", "Java / ringkeeper"]);
    let cases = found.restarts.iter().map(|restart| (restart.znodes, restart.ended, restart.cache));
    for (znodes, ended, cache) in distinct(cases) {
        let of = |subject| found.restart_seconds(subject, znodes, ended, cache);
        let (java, ringkeeper) = (of(Subject::Java), of(Subject::Ringkeeper));
        table.add_row([
            number(znodes.into()),
            match ended {
                Ended::Stopped => "a stop",
                Ended::Killed => "a kill",
            }
            .to_owned(),
            cache.to_string(),
            shown(java),
            shown(ringkeeper),
            ratio(java, ringkeeper),
        ]);
    }
    numbers_right(table, 3..=5)
}

fn memory_table(found: &Found) -> Table {
    let mut table = table(&[
        "znodes",
        "when",
        "server",
        "resident, MB",
        "bytes per znode",
        "peak, MB",
        "without files, MB",
        "Java's live heap, MB",
    ]);
    let cases = found.memory.iter().map(|found| (found.znodes, found.moment, found.subject));
    for (znodes, moment, subject) in distinct(cases) {
        let of = |figure: &dyn Fn(&Occupied) -> Option<u64>| {
            let wanted =
                |found: &&Occupied| (found.znodes, found.moment, found.subject) == (znodes, moment, subject);
            let values = found.memory.iter().filter(wanted).filter_map(figure);
            Spread::of_any(values.map(|bytes| bytes as f64 / 1e6))
        };
        let resident = of(&|found| Some(found.memory.resident_bytes));
        let each = resident.filter(|_| moment != Moment::Empty);
        table.add_row([
            number(znodes.into()),
            match moment {
                Moment::Empty => "empty",
                Moment::Loaded => "after the load",
                Moment::Restarted => "after a restart",
            }
            .to_owned(),
            subject.to_string(),
            shown(resident),
            each.map_or(NONE.to_owned(), |mb| number(mb.median * 1e6 / f64::from(znodes))),
            shown(of(&|found| Some(found.memory.peak_bytes))),
            shown(of(&|found| Some(found.memory.anonymous_bytes))),
            shown(of(&|found| found.live_heap_bytes)),
        ]);
    }
    numbers_right(table, 3..=7)
}

fn bytes_table(found: &Found) -> Table {
    let mut table = table(&[
        "load",
        "server",
        "rate /s",
        "bytes, process",
        "bytes, device",
        "writes, device",
        "flushes, device",
    ]);
    let mut cases: Vec<Case> = distinct(found.footprints.iter().map(|footprint| footprint.case));
    cases.sort_by_key(|case| (case.operation.to_string(), case.shape.in_flight()));
    for case in cases {
        let of = |figure: &dyn Fn(&Measured) -> Option<f64>| {
            let rounds = found.footprints.iter().filter(|footprint| footprint.case == case);
            Spread::of_any(rounds.filter_map(|footprint| figure(&footprint.measured)))
        };
        let each = |total: u64, measured: &Measured| total as f64 / measured.requests as f64;
        let device = |measured: &Measured| measured.server.device;
        table.add_row([
            format!("{} {}", case.operation, case.shape),
            case.subject.to_string(),
            shown(of(&|measured| Some(measured.requests as f64 / measured.seconds))),
            shown(of(&|measured| Some(each(measured.server.written_bytes, measured)))),
            shown(of(&|measured| Some(each(device(measured)?.written_bytes, measured)))),
            shown(of(&|measured| Some(each(device(measured)?.writes, measured)))),
            shown(of(&|measured| Some(each(device(measured)?.flushes?, measured)))),
        ]);
    }
    numbers_right(table, 2..=6)
}

fn mixed_table(found: &Found) -> Table {
    let mut table = table(&[
        "snapshots",
        "server",
        "reads p50",
        "p99",
        "p99.9",
        "max",
        "writes p50",
        "p99",
        "p99.9",
        "max",
        "late p99.9",
        "generator",
        "server",
        "written",
    ]);
    let cases = found.mixed.iter().map(|mixed| (mixed.znodes, mixed.snapshots, mixed.subject));
    for (znodes, snapshots, subject) in distinct(cases) {
        let of = |figure: &dyn Fn(&Mixed) -> f64| found.mixed(subject, znodes, snapshots, figure);
        let ms = |us: &dyn Fn(&Mixed) -> f64| shown(of(&|mixed| us(mixed) / 1e3));
        let percent = |cpu_ns: &dyn Fn(&Mixed) -> u64| {
            let busy = of(&|mixed| cpu_ns(mixed) as f64 / 1e9 / mixed.paced.seconds);
            busy.map_or(NONE.to_owned(), |busy| format!("{:.0} %", 100.0 * busy.median))
        };
        table.add_row([
            match snapshots {
                Snapshots::Without => "without",
                Snapshots::Continuous => "one after the other",
            }
            .to_owned(),
            subject.to_string(),
            ms(&|mixed| mixed.paced.reads.p50_us),
            ms(&|mixed| mixed.paced.reads.p99_us),
            ms(&|mixed| mixed.paced.reads.p999_us),
            ms(&|mixed| mixed.paced.reads.max_us),
            ms(&|mixed| mixed.paced.writes.p50_us),
            ms(&|mixed| mixed.paced.writes.p99_us),
            ms(&|mixed| mixed.paced.writes.p999_us),
            ms(&|mixed| mixed.paced.writes.max_us),
            ms(&|mixed| mixed.paced.lateness.p999_us),
            percent(&|mixed| mixed.paced.generator_cpu_ns),
            percent(&|mixed| mixed.paced.server.cpu_ns),
            shown(of(&|mixed| mixed.snapshots_written as f64)),
        ]);
    }
    numbers_right(table, 2..=13)
}

/// Each once, in the order in which they first came.
fn distinct<T: PartialEq>(cases: impl Iterator<Item = T>) -> Vec<T> {
    let mut distinct = Vec::new();
    for case in cases {
        if !distinct.contains(&case) {
            distinct.push(case);
        }
    }
    distinct
}

fn shown(spread: Option<Spread>) -> String {
    spread.map_or(NONE.to_owned(), with_range)
}

fn ratio(java: Option<Spread>, ringkeeper: Option<Spread>) -> String {
    java.zip(ringkeeper)
        .map_or(NONE.to_owned(), |(java, ringkeeper)| format!("{:.2}", java.median / ringkeeper.median))
}

const RESTART_READS_AS: &str = "\
From just before the process is started until a client's first read is answered; medians, in brackets the
range. A folder that a stop left holds a snapshot of everything, one that a kill left has writes in the log
behind it. With a cold page cache neither data nor programs are in memory. Java writes a snapshot before it
serves.";

const MEMORY_READS_AS: &str = "\
MB are millions of bytes. The load goes through the wire; the restart is from a clean stop, and memory is
looked at when the first read is answered. *Peak* is since the process started, *without files* leaves out
what of the resident memory is mapped files. Java keeps what its collector has not needed to return yet: what
it holds alive is the last column, of a collection run for that purpose.";

const BYTES_READ_AS: &str = "\
For each write of 100 bytes of data, unless another length was asked for. *Process* is what the server handed
to the storage layer; *device* is what reached the disk meanwhile, from whomever, the file system's journal
included, and how often its write cache was flushed.";

const MIX_READS_AS: &str = "\
Of a hundred operations 50 are getData and 40 setData of a random znode, 5 create and 5 delete, at even
intervals over the connections in turn. Latencies in ms, from the moment when the request was to be sent,
whether or not the server kept up. *Late* is how much later than that the generator handed requests to their
socket: so much of the latency is its own. *Generator* and *server* are their CPU time by wall-clock time,
*written* the snapshots that appeared meanwhile. Medians over the rounds, in brackets their range.";
