//! The report of a run, as markdown that also reads well in a terminal.

use std::fmt::{self, Write};

use comfy_table::Table;

use super::loads::LOADS;
use super::{Found, Run};
use crate::report::{NONE, figures_table, goals_table, number, numbers_right, table, with_range};
use crate::server::Subject;
use crate::summary::{Case, Figures, Spread, Summary};

/// The whole report.
pub(super) fn render(run: &Run) -> String {
    let mut text = String::new();
    write_report(run, &mut text).expect("a string takes all that is written");
    text
}

fn write_report(run: &Run, out: &mut String) -> fmt::Result {
    run.about.write("Ensembles of three", out)?;
    write_ground(run, out)?;
    for failure in &run.found.failures {
        writeln!(out, "- **not measured**: {failure}")?;
    }
    writeln!(out, "\n## Goals\n\n{}", goals_table(&run.goals))?;
    if !run.summary.cases.is_empty() {
        writeln!(out, "\n## Loads\n\n{LOADS_READ_AS}\n\n{}", ratios_table(&run.summary))?;
        writeln!(out, "\n{}", figures_table(&run.summary))?;
    }
    if !run.found.failovers.is_empty() {
        writeln!(out, "\n## A leader is killed\n\n{FAILOVER_READS_AS}\n\n{}", failover_table(&run.found))?;
    }
    Ok(())
}

fn write_ground(run: &Run, out: &mut String) -> fmt::Result {
    let settings = &run.settings;
    writeln!(
        out,
        "- three servers on CPUs {}, the load generator on CPUs {}: where these are the same, all of them \
         compete; folders on one disk, peers over loopback; Java's heap {} MB each",
        settings.server_cpus, settings.load_cpus, settings.java_heap_mb
    )?;
    writeln!(
        out,
        "- loads: {} rounds, each with servers started afresh, the kinds in turn; {} s measured behind {} s \
         of warm-up, Java running hot for {} s before",
        settings.rounds, settings.seconds, settings.warmup, settings.java_warmup
    )?;
    let others = run.summary.cases.iter().map(|figures| figures.others_busy.max).fold(0.0, f64::max);
    writeln!(
        out,
        "- how quiet the machine was: load average {:.2} before the run; other processes took at most {:.0} % \
         of its CPU time during a load",
        run.about.load_average,
        100.0 * others
    )
}

fn ratios_table(summary: &Summary) -> Table {
    let mut table =
        table(&["load", "rate / Java's", "Java's p50 / p50", "Java's p99 / p99", "Java's CPU / CPU"]);
    for (operation, shape, at) in LOADS {
        let of = |subject, figure: fn(&Figures) -> Spread| {
            summary.of_case(Case { subject, operation, shape, at }).map(|figures| figure(figures).median)
        };
        let java_by = |figure| ratio(of(Subject::Java, figure), of(Subject::Ringkeeper, figure));
        let rate: fn(&Figures) -> Spread = |figures| figures.per_second;
        table.add_row([
            Case { subject: Subject::Ringkeeper, operation, shape, at }.load(),
            ratio(of(Subject::Ringkeeper, rate), of(Subject::Java, rate)),
            java_by(|figures| figures.latency.p50_us),
            java_by(|figures| figures.latency.p99_us),
            java_by(|figures| figures.cpu_us),
        ]);
    }
    numbers_right(table, 1..=4)
}

fn failover_table(found: &Found) -> Table {
    let mut table = table(&["znodes", "server", "ms, median (range)", "Java's / this", "tries", "each, ms"]);
    let mut cases: Vec<(u32, Subject)> = Vec::new();
    for failover in &found.failovers {
        if !cases.contains(&(failover.znodes, failover.subject)) {
            cases.push((failover.znodes, failover.subject));
        }
    }
    for (znodes, subject) in cases {
        let of = |subject| found.failover_ms(subject, znodes);
        let rounds =
            found.failovers.iter().filter(|found| (found.znodes, found.subject) == (znodes, subject));
        let each: Vec<String> = rounds.clone().map(|found| number(found.milliseconds)).collect();
        let tries = Spread::of_any(rounds.map(|found| found.tries.into()));
        let median = |subject| of(subject).map(|ms| ms.median);
        table.add_row([
            number(znodes.into()),
            subject.to_string(),
            of(subject).map_or(NONE.to_owned(), with_range),
            ratio(median(Subject::Java), median(subject)),
            tries.map_or(NONE.to_owned(), with_range),
            each.join(", "),
        ]);
    }
    numbers_right(table, 2..=4)
}

fn ratio(above: Option<f64>, below: Option<f64>) -> String {
    above.zip(below).map_or(NONE.to_owned(), |(above, below)| format!("{:.2}", above / below))
}

const LOADS_READ_AS: &str = "\
Connections x requests in flight on each. Connections are dealt out to the servers in turn, the leader
included; where there is one connection only, the load says where it goes. *Mixed* is nine reads to one set.
The first table is of medians, and more than 1 is better than Java by that factor. In the second, latencies
are in µs; all that is said of the server is of the three together: CPU in µs for each request, the kernel's
part of it, context switches and bytes given to the disk for each request, resident memory in MiB, *busy* CPU
time by wall-clock time.";

const FAILOVER_READS_AS: &str = "\
From just before `kill -9` of the leader to the reply to a write. The client has its session on the leader,
writes there, and knows at once that the leader is gone: it takes the session to the two servers that are
left, in turn, until one of them takes it and acknowledges a write. *Tries* counts how often it knocked. Then
the killed server is started again, and the next leader is killed when all three serve.";
