//! The report of a run, as markdown that also reads well in a terminal.

use std::fmt::{self, Write};

use comfy_table::{CellAlignment, Table, presets::ASCII_MARKDOWN};

use crate::goals::Goal;
use crate::host::Host;
use crate::load::Operation;
use crate::server::Subject;
use crate::side_by_side::Run;
use crate::summary::{Case, Figures, Spread, Summary};

/// The whole report.
pub(crate) fn render(run: &Run) -> String {
    let mut text = String::new();
    write_report(run, &mut text).expect("a string takes all that is written");
    text
}

fn write_report(run: &Run, out: &mut String) -> fmt::Result {
    run.about.write("Side by side", out)?;
    write_ground(run, out)?;
    writeln!(out, "\n## Goals\n\n{}", goals_table(&run.goals))?;
    writeln!(out, "\n## Ratios\n\n{RATIOS_READ_AS}\n\n{}", ratios_table(&run.summary))?;
    writeln!(out, "\n## Figures\n\n{FIGURES_READ_AS}\n\n{}", figures_table(&run.summary))?;
    if let Some(disk) = &run.summary.disk {
        writeln!(
            out,
            "\nDisk floor, one 4 KiB `O_DIRECT|O_DSYNC` write after the other: p50 {} µs, p99 {} µs, max {} µs.",
            with_range(disk.p50_us),
            number(disk.p99_us.median),
            number(disk.max_us.median)
        )?;
    }
    Ok(())
}

/// The machine, its disk and the programs' versions, as items of a list.
pub(crate) fn write_host(host: &Host, out: &mut String) -> fmt::Result {
    let Host { cpu, cpus, virtual_machine, memory_mib, kernel, disk, rustc, java, .. } = host;
    let kind = if *virtual_machine { "virtual machine" } else { "bare metal" };
    writeln!(out, "- {kind}, {cpus} CPUs ({cpu}), {memory_mib} MiB, Linux {kernel}")?;
    let cache = disk.write_cache.as_deref().unwrap_or("unknown");
    writeln!(out, "- data on {} ({}), write cache: {cache}", disk.file_system, disk.device)?;
    writeln!(out, "- {rustc}; {}", java.as_deref().unwrap_or("no Java"))
}

fn write_ground(run: &Run, out: &mut String) -> fmt::Result {
    let settings = &run.settings;
    writeln!(
        out,
        "- server on CPU {}, load generator on CPU {}; {} rounds, each with servers started afresh one \
         after the other; {} s measured behind {} s of warm-up, Java running hot for {} s before",
        settings.pinning.server_cpus,
        settings.pinning.load_cpus,
        settings.rounds,
        settings.seconds,
        settings.warmup,
        settings.java_warmup
    )?;
    let loads: Vec<String> = run.load_averages.iter().map(|load| format!("{load:.2}")).collect();
    let others = run.summary.cases.iter().map(|figures| figures.others_busy.max).fold(0.0, f64::max);
    writeln!(
        out,
        "- how quiet the machine was: load average {} before the rounds; other processes took at most \
         {:.0} % of its CPU time during a measurement",
        loads.join(", "),
        100.0 * others
    )
}

/// The goals, and where ringkeeper stands.
pub(crate) fn goals_table(goals: &[Goal]) -> Table {
    let mut table = table(&["work", "goal", "limit here", "ringkeeper", "Java", "standing"]);
    for goal in goals {
        let figure = |value: Option<f64>| value.map_or(NONE.to_owned(), number);
        table.add_row([
            goal.work.clone(),
            goal.goal.clone(),
            figure(goal.limit),
            figure(goal.measured),
            figure(goal.java),
            goal.standing.to_string(),
        ]);
    }
    numbers_right(table, 2..=4)
}

fn ratios_table(summary: &Summary) -> Table {
    let mut table = table(&[
        "load",
        "rate / Java's",
        "Java's p50 / p50",
        "Java's p99 / p99",
        "Java's CPU / CPU",
        "CPU / echo's",
        "p50 / floors'",
    ]);
    for ringkeeper in summary.cases.iter().filter(|figures| figures.case.subject == Subject::Ringkeeper) {
        let Case { operation, shape, .. } = ringkeeper.case;
        let java = summary.get(Subject::Java, operation, shape);
        let echo = summary.get(Subject::Echo, operation, shape);
        let times = |ratio: Option<f64>| ratio.map_or(NONE.to_owned(), |ratio| format!("{ratio:.2}"));
        let p50 = |figures: &Figures| figures.latency.p50_us.median;
        let p99 = |figures: &Figures| figures.latency.p99_us.median;
        let cpu = |figures: &Figures| figures.cpu_us.median;
        table.add_row([
            format!("{operation} {shape}"),
            times(java.map(|java| ringkeeper.per_second.median / java.per_second.median)),
            times(java.map(|java| p50(java) / p50(ringkeeper))),
            times(java.map(|java| p99(java) / p99(ringkeeper))),
            times(java.map(|java| cpu(java) / cpu(ringkeeper))),
            times(echo.map(|echo| cpu(ringkeeper) / cpu(echo))),
            times(p50_floor(summary, ringkeeper.case).map(|floor| p50(ringkeeper) / floor)),
        ]);
    }
    numbers_right(table, 1..=6)
}

/// Reads stand on the echo floor, writes on both. With several writes at once, how many of them one disk
/// write carries is the server's doing, so there is no such floor.
fn p50_floor(summary: &Summary, case: Case) -> Option<f64> {
    let echo = summary.get(Subject::Echo, case.operation, case.shape)?.latency.p50_us.median;
    match case.operation {
        Operation::Read => Some(echo),
        Operation::Set | Operation::Create if case.shape.in_flight() == 1 => {
            Some(echo + summary.disk?.p50_us.median)
        }
        Operation::Set | Operation::Create | Operation::Mixed => None,
    }
}

/// All figures, the servers' of a load side by side.
pub(crate) fn figures_table(summary: &Summary) -> Table {
    let mut table = table(&[
        "load",
        "server",
        "rate /s",
        "p50",
        "p90",
        "p99",
        "p99.9",
        "max",
        "CPU each",
        "kernel",
        "switches",
        "bytes",
        "MiB",
        "busy",
        "generator",
    ]);
    let mut cases: Vec<&Figures> = summary.cases.iter().collect();
    // Side by side: the servers' rows of a load together. The sort keeps the order of the rest.
    cases.sort_by_key(|figures| {
        summary.cases.iter().position(|first| {
            let Case { operation, shape, at, .. } = first.case;
            (operation, shape, at) == (figures.case.operation, figures.case.shape, figures.case.at)
        })
    });
    for figures in cases {
        let percent = |spread: Spread| format!("{:.0} %", 100.0 * spread.median);
        let latency = &figures.latency;
        table.add_row([
            figures.case.load(),
            figures.case.subject.to_string(),
            with_range(figures.per_second),
            with_range(latency.p50_us),
            number(latency.p90_us.median),
            number(latency.p99_us.median),
            number(latency.p999_us.median),
            number(latency.max_us.median),
            with_range(figures.cpu_us),
            figures.kernel_share.map_or(NONE.to_owned(), percent),
            number(figures.context_switches.median),
            number(figures.written_bytes.median),
            number(figures.resident_mib.median),
            percent(figures.server_busy),
            percent(figures.generator_busy),
        ]);
    }
    numbers_right(table, 2..=14)
}

/// An empty table in markdown.
pub(crate) fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_preset(ASCII_MARKDOWN).set_header(header);
    table
}

/// The table with these columns aligned as numbers are.
pub(crate) fn numbers_right(mut table: Table, columns: std::ops::RangeInclusive<usize>) -> Table {
    for index in columns {
        if let Some(column) = table.column_mut(index) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
}

/// The median, and the range where there is one.
pub(crate) fn with_range(spread: Spread) -> String {
    if spread.min == spread.max {
        return number(spread.median);
    }
    format!("{} ({} to {})", number(spread.median), number(spread.min), number(spread.max))
}

/// Three digits that count, or all in front of the point; thousands apart.
pub(crate) fn number(value: f64) -> String {
    let decimals = match value.abs() {
        0.0 => 0,
        large if large >= 99.95 => 0,
        medium if medium >= 9.995 => 1,
        _ => 2,
    };
    let plain = format!("{value:.decimals$}");
    let (whole, fraction) =
        plain.split_once('.').map_or((plain.as_str(), ""), |(whole, _)| (whole, &plain[whole.len()..]));
    let mut spaced = String::new();
    for (index, digit) in whole.chars().enumerate() {
        if index > 0 && (whole.len() - index).is_multiple_of(3) {
            spaced.push(' ');
        }
        spaced.push(digit);
    }
    spaced + fraction
}

/// What stands where nothing was measured.
pub(crate) const NONE: &str = "–";

const RATIOS_READ_AS: &str = "\
Of medians. In the columns with Java, more than 1 is better than Java by that factor. In the last two, 1 is
the floor: the CPU of a bare glommio server that answers frames of the same lengths, and its p50, to which a
single write adds the p50 of the disk floor.";

const FIGURES_READ_AS: &str = "\
Medians over the rounds, in brackets the range of the rounds. Latencies in µs; *CPU each* is the server's CPU
time in µs for each request, *kernel* the part of it in the kernel, *switches* and *bytes* its context
switches and the bytes that it gave to the disk for each request; *busy* and *generator* are the CPU time of
server and load generator by wall-clock time. Where the generator is at 100 % and the server is not, the
server could do more.";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::summary::tests::{case, latency, measured};

    #[test]
    fn numbers_keep_three_digits_and_set_thousands_apart() {
        for (value, text) in [
            (0.0, "0"),
            (0.284, "0.28"),
            (9.996, "10.0"),
            (10.64, "10.6"),
            (99.96, "100"),
            (267.4, "267"),
            (999.6, "1 000"),
            (1_234_567.0, "1 234 567"),
        ] {
            assert_eq!(number(value), text);
        }
    }

    #[test]
    fn ratios_are_of_the_same_load_and_tell_who_is_better() {
        let found = [
            (case(Subject::Java, Operation::Set, "1x1"), measured(4000, 1.0, 240.0)),
            (case(Subject::Ringkeeper, Operation::Set, "1x1"), measured(5000, 1.0, 200.0)),
            (case(Subject::Echo, Operation::Set, "1x1"), measured(10_000, 1.0, 50.0)),
            (case(Subject::Java, Operation::Read, "1x1"), measured(1, 1.0, 1.0)),
        ];
        let table = ratios_table(&Summary::of(&found, &[latency(110.0)])).to_string();
        let row: Vec<&str> = table.lines().nth(2).unwrap().split('|').map(str::trim).collect();
        assert_eq!(row[1..8], ["set 1x1", "1.25", "1.20", "1.20", "1.20", "4.00", "1.25"], "{table}");
        assert_eq!(table.lines().count(), 3, "{table}");
    }
}
