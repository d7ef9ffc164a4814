//! What a load found, as it is kept: JSON for programs, .hgrm for HdrHistogram's plotter, a page for people.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use tracing::info;

use super::target::{Protocol, ServerSample};
use super::workload::Workload;
use super::{Files, Settings, file_stem, page};
use crate::ground;
use crate::latency::{Latency, Recorder};
use crate::recording::Second;
use crate::report::number;

/// All of a run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Outcome {
    /// Names the run's files.
    pub(crate) stem: String,
    pub(crate) date: String,
    /// What repeats the run.
    pub(crate) command: String,
    /// The workload in words.
    pub(crate) workload: String,
    /// Which servers were asked.
    pub(crate) servers: String,
    #[serde(default)]
    pub(crate) protocol: Protocol,
    /// What stood for ZooKeeper's operations where the servers have others.
    #[serde(default)]
    pub(crate) mapping: Vec<String>,
    /// The machine of the load generator, as [`crate::host::Host`] has it; absent if it can't be told.
    pub(crate) host: Option<serde_json::Value>,
    pub(crate) optimised: bool,
    pub(crate) rounds: Vec<Round>,
}

/// One measurement.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Round {
    /// How long it was to last, in seconds.
    pub(crate) planned: f64,
    /// From its beginning to its last reply.
    pub(crate) seconds: f64,
    pub(crate) operations: Vec<OperationFound>,
    /// How much later than intended an open loop sent its requests.
    pub(crate) lateness: Option<Latency>,
    pub(crate) timeline: Vec<Second>,
    /// Of servers that were started, at each second.
    pub(crate) servers: Vec<ServerSample>,
    /// What befell the servers, and when, in seconds since the measurement began.
    pub(crate) faults: Vec<(f64, String)>,
    /// CPU time of the load generator by wall-clock time: at 1 it could not do more.
    pub(crate) generator_busy: f64,
}

/// What became of one operation.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct OperationFound {
    pub(crate) name: String,
    /// Successful ones.
    pub(crate) count: u64,
    pub(crate) per_second: f64,
    /// By ZooKeeper's code, or gRPC's, which is positive; -4 are lost connections.
    pub(crate) errors: BTreeMap<i32, u64>,
    /// `None` if nothing succeeded.
    pub(crate) latency: Option<Latency>,
    /// Part of all, latency in µs up to which it goes, number.
    pub(crate) curve: Vec<(f64, f64, u64)>,
}

impl OperationFound {
    pub(super) fn new(
        name: String,
        recorder: &Recorder,
        errors: BTreeMap<i32, u64>,
        seconds: f64,
    ) -> OperationFound {
        let latency = recorder.summary();
        let count = latency.map_or(0, |latency| latency.count);
        let curve = if count > 0 { recorder.curve() } else { Vec::new() };
        OperationFound { name, count, per_second: count as f64 / seconds, errors, latency, curve }
    }
}

impl Round {
    /// Tells the log what was found.
    pub(super) fn say(&self) {
        for OperationFound { name, per_second, latency, errors, .. } in &self.operations {
            let Some(latency) = latency else {
                info!("{name}: none succeeded, errors {errors:?}");
                continue;
            };
            info!(
                "{name}: {}/s, p50 {} µs, p99 {}, p99.9 {}, p99.99 {}, max {}{}",
                number(*per_second),
                number(latency.p50_us),
                number(latency.p99_us),
                number(latency.p999_us),
                number(latency.p9999_us),
                number(latency.max_us),
                if errors.is_empty() { String::new() } else { format!(", errors {errors:?}") }
            );
        }
    }
}

impl Outcome {
    pub(super) fn new(
        settings: &Settings,
        workload: &Workload,
        (protocol, mapping): (Protocol, Vec<String>),
        servers: String,
        rounds: Vec<Round>,
    ) -> Result<Outcome> {
        // Servers elsewhere have a disk of their own: what is not found here is no reason to fail.
        let host = settings.ground.look().ok().map(serde_json::to_value).transpose()?;
        Ok(Outcome {
            stem: file_stem(settings, workload),
            date: ground::today(),
            command: ground::command(),
            workload: workload.to_string(),
            servers,
            protocol,
            mapping,
            host,
            optimised: !cfg!(debug_assertions),
            rounds,
        })
    }

    /// Reads a result.
    pub(crate) fn read(path: &Path) -> Result<Outcome> {
        let text = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        serde_json::from_slice(&text)
            .with_context(|| format!("{} is not the result of a load", path.display()))
    }

    /// Writes all files below `out`.
    pub(super) fn keep(&self, out: &Path) -> Result<()> {
        let mut files: Files = Vec::new();
        let mut write = |name: String, content: String| {
            let path = out.join(name);
            fs::write(&path, content).with_context(|| format!("cannot write {}", path.display()))?;
            files.push(path);
            anyhow::Ok(())
        };
        write(format!("{}.json", self.stem), serde_json::to_string(self)? + "\n")?;
        write(format!("{}.html", self.stem), page::render(self))?;
        for (index, round) in (1..).zip(&self.rounds) {
            for operation in round.operations.iter().filter(|operation| operation.count > 0) {
                let part = operation.name.replace(' ', "-");
                write(format!("{}-{index}-{part}.hgrm", self.stem), hgrm(operation))?;
            }
        }
        for file in files {
            info!("wrote {}", file.display());
        }
        Ok(())
    }
}

/// The text format of HdrHistogram's own tools, in µs.
fn hgrm(operation: &OperationFound) -> String {
    let mut text =
        format!("{:>12} {:>14} {:>10} {:>14}\n\n", "Value", "Percentile", "TotalCount", "1/(1-Percentile)");
    for (quantile, us, count) in &operation.curve {
        let rest = 1.0 / (1.0 - quantile);
        let rest = if rest.is_finite() { format!("{rest:14.2}") } else { format!("{:>14}", "inf") };
        writeln!(text, "{us:12.3} {quantile:2.12} {count:10} {rest}")
            .expect("a string takes all that is written");
    }
    if let Some(latency) = operation.latency {
        writeln!(text, "#[Mean    = {:12.3}, Max           = {:12.3}]", latency.mean_us, latency.max_us)
            .and_then(|()| writeln!(text, "#[Total count    = {:12}]", latency.count))
            .expect("a string takes all that is written");
    }
    text
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn operation(name: &str, latencies_us: impl Iterator<Item = u64>) -> OperationFound {
        let mut recorder = Recorder::new();
        latencies_us.for_each(|us| recorder.record(us * 1000));
        OperationFound::new(name.to_owned(), &recorder, BTreeMap::new(), 1.0)
    }

    pub(crate) fn outcome(rounds: Vec<Vec<OperationFound>>) -> Outcome {
        let round = |operations| Round {
            planned: 1.0,
            seconds: 1.0,
            operations,
            lateness: None,
            timeline: Vec::new(),
            servers: Vec::new(),
            faults: Vec::new(),
            generator_busy: 0.5,
        };
        Outcome {
            stem: "stem".into(),
            date: "2026-01-01".into(),
            command: "load <all>".into(),
            workload: "w".into(),
            servers: "s".into(),
            protocol: Protocol::Etcd,
            mapping: vec!["get: <Range>".into()],
            host: None,
            optimised: true,
            rounds: rounds.into_iter().map(round).collect(),
        }
    }

    #[test]
    fn hgrm_has_the_columns_and_the_end_that_its_plotter_reads() {
        let text = hgrm(&operation("get", 1..=1000));
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[0].trim_start().starts_with("Value"));
        let median: Vec<f64> = lines
            .iter()
            .filter_map(|line| {
                line.split_whitespace().map(|word| word.parse().ok()).collect::<Option<Vec<f64>>>()
            })
            .find(|columns| columns.get(1) == Some(&0.5))
            .unwrap();
        assert!((median[0] - 500.0).abs() < 1.0 && (median[2] - 500.0).abs() < 1.0 && median[3] == 2.0);
        assert!(lines[lines.len() - 3].ends_with("inf"), "{text}");
        assert!(lines[lines.len() - 1].contains("Total count    =         1000"));
    }

    #[test]
    fn what_is_kept_reads_back() {
        let dir = tempfile::tempdir().unwrap();
        outcome(vec![vec![operation("get", 1..=10)]]).keep(dir.path()).unwrap();
        let read = Outcome::read(&dir.path().join("stem.json")).unwrap();
        assert_eq!(read.rounds[0].operations[0].count, 10);
        assert_eq!((read.protocol, &read.mapping[0][..]), (Protocol::Etcd, "get: <Range>"));
        assert!(dir.path().join("stem-1-get.hgrm").exists());
        let page = fs::read_to_string(dir.path().join("stem.html")).unwrap();
        assert!(page.contains("get: &lt;Range&gt;"), "what stands for what");
        assert!(page.contains("load &lt;all&gt;") && !page.contains("http://"), "self-contained and escaped");
        assert!(Outcome::read(&dir.path().join("stem.html")).is_err());
    }
}
