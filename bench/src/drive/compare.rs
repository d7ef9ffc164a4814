//! `compare`: two results of loads side by side, as ratios with the spread of their rounds.

use std::io::{Write, stdout};
use std::path::PathBuf;

use anyhow::{Result, ensure};
use clap::Args;
use comfy_table::Table;

use super::outcome::{OperationFound, Outcome};
use crate::latency::Latency;
use crate::report::{NONE, numbers_right, table, with_range};
use crate::summary::Spread;

/// What to compare.
#[derive(Args, Clone, Debug)]
pub(crate) struct Settings {
    /// The JSON of the run that ratios are relative to
    base: PathBuf,
    /// The JSON of the other run
    other: PathBuf,
}

/// Prints the comparison.
pub(crate) fn run(settings: &Settings) -> Result<()> {
    let (base, other) = (Outcome::read(&settings.base)?, Outcome::read(&settings.other)?);
    let table = compare(&base, &other)?;
    let mut out = stdout().lock();
    for (name, outcome) in [("A", &base), ("B", &other)] {
        writeln!(
            out,
            "{name}: {}, {} rounds: {}; {}",
            outcome.stem,
            outcome.rounds.len(),
            outcome.workload,
            outcome.servers
        )?;
        for line in &outcome.mapping {
            writeln!(out, "   {line}")?;
        }
    }
    writeln!(out, "\n{table}\n\n{READS_AS}")?;
    Ok(())
}

fn compare(base: &Outcome, other: &Outcome) -> Result<Table> {
    let mut rows = table(&["operation", "figure", "A", "B", "B / A", "from", "to"]);
    let mut any = false;
    for operation in base.rounds.first().map_or(&[][..], |round| &round.operations) {
        for (figure, of) in FIGURES {
            let spread = |outcome: &Outcome| spread(outcome, &operation.name, of);
            let (Some(a), Some(b)) = (spread(base), spread(other)) else { continue };
            any = true;
            let ratio = |above: f64, below: f64| {
                if below == 0.0 { NONE.to_owned() } else { format!("{:.2}", above / below) }
            };
            rows.add_row([
                operation.name.clone(),
                figure.to_owned(),
                with_range(a),
                with_range(b),
                ratio(b.median, a.median),
                ratio(b.min, a.max),
                ratio(b.max, a.min),
            ]);
        }
    }
    ensure!(any, "the two runs have no operation in common");
    Ok(numbers_right(rows, 2..=6))
}

type Figure = fn(&OperationFound) -> Option<f64>;

const FIGURES: [(&str, Figure); 7] = [
    ("rate, /s", |operation| Some(operation.per_second)),
    ("p50, µs", |operation| latency(operation, |latency| latency.p50_us)),
    ("p99, µs", |operation| latency(operation, |latency| latency.p99_us)),
    ("p99.9, µs", |operation| latency(operation, |latency| latency.p999_us)),
    ("p99.99, µs", |operation| latency(operation, |latency| latency.p9999_us)),
    ("max, µs", |operation| latency(operation, |latency| latency.max_us)),
    ("errors", |operation| Some(operation.errors.values().sum::<u64>() as f64)),
];

fn latency(operation: &OperationFound, figure: fn(&Latency) -> f64) -> Option<f64> {
    operation.latency.as_ref().map(figure)
}

fn spread(outcome: &Outcome, name: &str, figure: Figure) -> Option<Spread> {
    let operations = outcome.rounds.iter().flat_map(|round| &round.operations);
    Spread::of_any(operations.filter(|operation| operation.name == name).filter_map(figure))
}

const READS_AS: &str = "\
A and B are medians over the rounds, in brackets their range. B / A is of the medians; *from* and *to* are the
least and the most that any two rounds could make of it. Where 1 lies between them, the runs do not tell the
two apart.";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drive::outcome::tests::{operation, outcome};

    #[test]
    fn ratios_are_of_medians_with_the_least_and_the_most_that_rounds_allow() {
        let of = |latencies: [u64; 3]| {
            outcome(latencies.map(|us| vec![operation("get", std::iter::repeat_n(us, 10))]).to_vec())
        };
        let table = compare(&of([100, 110, 120]), &of([220, 200, 260])).unwrap().to_string();
        let row = table.lines().find(|line| line.contains("p50")).unwrap();
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        assert_eq!(cells[5..8], ["2.00", "1.67", "2.60"], "{table}");
        let other = outcome(vec![vec![operation("set", 1..=3)]]);
        assert!(compare(&of([1, 2, 3]), &other).is_err());
    }
}
