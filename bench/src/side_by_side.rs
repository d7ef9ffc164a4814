//! `side-by-side`: the same loads on each server, one after the other on the same CPU, round by round.

use std::env;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::Args;
use serde::Serialize;
use tracing::info;

use crate::goals::{Goal, goals};
use crate::ground::{self, About, Ground, Needs, Pinning, Site};
use crate::host;
use crate::latency::Latency;
use crate::load::{self, Load, Measured, Operation, Shape, Span};
use crate::paths::Paths;
use crate::report;
use crate::server::{Server, Subject};
use crate::summary::{At, Case, Summary};

/// What the operator can choose.
#[derive(Args, Clone, Debug, Serialize)]
pub(crate) struct Settings {
    /// Seconds that each load is measured for
    #[arg(long, default_value_t = 5.0, value_parser = seconds)]
    pub(crate) seconds: f64,
    /// Seconds that each load runs before it is measured
    #[arg(long, default_value_t = 2.0, value_parser = seconds)]
    pub(crate) warmup: f64,
    /// Seconds that Java gets in addition after its start, for its compiler
    #[arg(long, default_value_t = 20.0, value_parser = seconds)]
    pub(crate) java_warmup: f64,
    /// How many times each server is started and measured
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) rounds: u32,
    /// Servers to measure
    #[arg(long, value_delimiter = ',', default_values_t = [Subject::Java, Subject::Ringkeeper, Subject::Echo])]
    pub(crate) subjects: Vec<Subject>,
    /// What to ask for
    #[arg(long, value_delimiter = ',', default_values_t = [Operation::Read, Operation::Set, Operation::Create])]
    pub(crate) operations: Vec<Operation>,
    /// Connections x requests in flight on each
    #[arg(long, value_delimiter = ',', default_values_t = [ALONE, WIDE, DEEP])]
    pub(crate) shapes: Vec<Shape>,
    /// Znodes that are read and set
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) znodes: u32,
    /// Bytes of data in each znode
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u16).range(..=16_384))]
    pub(crate) data_len: u16,
    /// Znodes that one load of creates makes at most
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u32).range(100..))]
    pub(crate) creates_max: u32,
    /// Java's heap, in MB; the default is zkServer.sh's
    #[arg(long, default_value_t = 1000)]
    pub(crate) java_heap_mb: u32,
    #[command(flatten)]
    #[serde(flatten)]
    pub(crate) pinning: Pinning,
    #[command(flatten)]
    #[serde(flatten)]
    pub(crate) ground: Ground,
}

/// All that a run found: the evidence, and what it comes to.
#[derive(Debug, Serialize)]
pub(crate) struct Run {
    #[serde(flatten)]
    pub(crate) about: About,
    pub(crate) settings: Settings,
    /// Before each round.
    pub(crate) load_averages: Vec<f64>,
    pub(crate) summary: Summary,
    pub(crate) goals: Vec<Goal>,
    /// What the summary was made of, in the order of measuring.
    pub(crate) measured: Vec<(Case, Measured)>,
    pub(crate) disk_floor: Vec<Latency>,
}

/// Measures, prints the report, and keeps it with the raw figures.
pub(crate) fn run(settings: Settings) -> Result<()> {
    let needs = Needs {
        quick: false,
        subjects: &settings.subjects,
        java_heap_mb: settings.java_heap_mb,
        data_len: settings.data_len.into(),
        load_cpus: &settings.pinning.load_cpus,
    };
    let site = settings.ground.prepare("side-by-side", &needs)?;

    let (mut measured, mut disk_floor, mut load_averages) = (Vec::new(), Vec::new(), Vec::new());
    for round in 1..=settings.rounds {
        load_averages.push(host::load_average()?);
        for &subject in &settings.subjects {
            info!("round {round} of {}: {subject}", settings.rounds);
            measure(subject, &site, &settings, &mut measured)
                .with_context(|| format!("round {round}, {subject}"))?;
            ground::settle(&settings.ground.dir)?;
        }
        disk_floor.push(settings.disk_floor()?);
    }

    let summary = Summary::of(&measured, &disk_floor);
    let goals = goals(&summary);
    let run = Run { about: site.about, settings, load_averages, summary, goals, measured, disk_floor };
    let name = run.about.name(None);
    run.settings.ground.keep(&name, report::render(&run), &run)
}

/// All loads on one fresh server.
fn measure(
    subject: Subject,
    Site { programs, root, .. }: &Site,
    settings: &Settings,
    measured: &mut Vec<(Case, Measured)>,
) -> Result<()> {
    let server = Server::start(subject, programs, &settings.pinning.server_cpus, root.path())?;
    load::populate(server.addr(), ZNODES, settings.znodes, settings.data_len.into())?;
    if subject == Subject::Java {
        run_hot(&server, settings)?;
    }
    for &operation in &settings.operations {
        for &shape in &settings.shapes {
            let load = settings.load(&server, operation, shape, &format!("/{operation}-{shape}"))?;
            let span = settings.span(operation);
            let found = load::run(&[server.addr()], &load, &span, &server.probe()?)
                .with_context(|| format!("{operation} {shape}"))?;
            info!(
                "{operation} {shape}: {:.0}/s, p50 {:.0} µs, server CPU {:.2} µs each",
                found.requests as f64 / found.seconds,
                found.latency.p50_us,
                found.server.cpu_ns as f64 / 1e3 / found.requests as f64
            );
            measured.push((Case { subject, operation, shape, at: At::Only }, found));
        }
    }
    server.stop()
}

/// Lets Java compile what is about to be measured.
fn run_hot(server: &Server, settings: &Settings) -> Result<()> {
    let each = Duration::from_secs_f64(settings.java_warmup / settings.operations.len() as f64);
    for &operation in &settings.operations {
        let load = settings.load(server, operation, DEEP, &format!("/{operation}-hot"))?;
        let requests_max = if operation == Operation::Create { HOT_CREATES_MAX } else { u64::MAX };
        let span = Span { warmup: Duration::ZERO, measure: each, requests_max };
        load::run(&[server.addr()], &load, &span, &server.probe()?).context("running hot")?;
    }
    Ok(())
}

impl Settings {
    /// The load on `server`; creates get `parent` made for them.
    fn load(&self, server: &Server, operation: Operation, shape: Shape, parent: &str) -> Result<Load> {
        let parent = match operation {
            Operation::Read | Operation::Set | Operation::Mixed => ZNODES,
            Operation::Create => {
                load::create_parent(server.addr(), parent)?;
                parent
            }
        };
        let (children, data_len) = (self.znodes, self.data_len.into());
        Ok(Load { operation, shape, paths: Paths::flat(parent), children, data_len })
    }

    fn span(&self, operation: Operation) -> Span {
        let requests_max = match operation {
            Operation::Read | Operation::Set | Operation::Mixed => u64::MAX,
            Operation::Create => self.creates_max.into(),
        };
        Span {
            warmup: Duration::from_secs_f64(self.warmup),
            measure: Duration::from_secs_f64(self.seconds),
            requests_max,
        }
    }

    /// Measured by a process of its own, so that it is pinned like a server.
    fn disk_floor(&self) -> Result<Latency> {
        let mut command = Command::new(env::current_exe()?);
        command.arg("disk-floor").arg(&self.ground.dir).arg(self.seconds.to_string()).stdout(Stdio::piped());
        let output = self.pinning.server_cpus.spawn(&mut command)?.wait_with_output()?;
        ensure!(output.status.success(), "the disk floor could not be measured: {}", output.status);
        let latency: Latency = serde_json::from_slice(&output.stdout)?;
        info!("disk floor: p50 {:.0} µs", latency.p50_us);
        Ok(latency)
    }
}

/// Reads a span in seconds.
pub(crate) fn seconds(text: &str) -> Result<f64> {
    let seconds: f64 = text.parse()?;
    ensure!((0.0..=SECONDS_MAX).contains(&seconds), "between 0 and {SECONDS_MAX} seconds");
    Ok(seconds)
}

const ALONE: Shape = Shape { connections: 1, outstanding: 1 };
const WIDE: Shape = Shape { connections: 16, outstanding: 1 };
const DEEP: Shape = Shape { connections: 16, outstanding: 32 };

/// The parent of the znodes that are read and set.
const ZNODES: &str = "/znodes";

/// Enough for the compiler, and few beside the znodes that are measured.
const HOT_CREATES_MAX: u64 = 200_000;

const SECONDS_MAX: f64 = 3600.0;
