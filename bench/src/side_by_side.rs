//! `side-by-side`: the same loads on each server, one after the other on the same CPU, round by round.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;
use std::{env, io};

use anyhow::{Context, Result, ensure};
use clap::Args;
use serde::Serialize;
use time::OffsetDateTime;
use tracing::info;

use crate::affinity::Cpus;
use crate::goals::{Goal, goals};
use crate::host::{self, Host};
use crate::latency::Latency;
use crate::load::{self, Load, Measured, Shape, Span};
use crate::report;
use crate::server::{Programs, Server, Subject};
use crate::summary::{Case, Summary};
use crate::wire::Operation;

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
    /// Folder that the report goes to
    #[arg(long, default_value = "bench/results")]
    pub(crate) out: PathBuf,
    /// Folder on the disk to measure; the servers keep their data below it while they run
    #[arg(long, default_value = "data/bench")]
    pub(crate) dir: PathBuf,
    /// CPUs of the server, such as 0 or 0,2-3
    #[arg(long, default_value = "0")]
    pub(crate) server_cpus: Cpus,
    /// CPUs of the load generator; it has one thread
    #[arg(long, default_value = "1")]
    pub(crate) load_cpus: Cpus,
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
    /// The program that runs ZooKeeper
    #[arg(long, default_value = "java")]
    pub(crate) java: PathBuf,
    /// Folder of ZooKeeper's jars
    #[arg(long, default_value = "tests/.deps/java")]
    pub(crate) java_libs: PathBuf,
    /// Java's heap, in MB; the default is zkServer.sh's
    #[arg(long, default_value_t = 1000)]
    pub(crate) java_heap_mb: u32,
    /// The ringkeeper to measure [default: the one that cargo makes of this source tree]
    #[arg(long)]
    pub(crate) ringkeeper: Option<PathBuf>,
}

/// All that a run found: the evidence, and what it comes to.
#[derive(Debug, Serialize)]
pub(crate) struct Run {
    pub(crate) date: String,
    /// What repeats the run.
    pub(crate) command: String,
    pub(crate) host: Host,
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
    ensure!(
        !cfg!(debug_assertions),
        "this is a debug build, whose load generator is slow: use cargo run --release"
    );
    fs::create_dir_all(&settings.dir).with_context(|| format!("cannot make {}", settings.dir.display()))?;
    let host = Host::look(&settings.dir, &settings.java)?;
    let programs = settings.programs()?;
    settings.load_cpus.pin_this_thread()?;

    let (mut measured, mut disk_floor, mut load_averages) = (Vec::new(), Vec::new(), Vec::new());
    for round in 1..=settings.rounds {
        load_averages.push(host::load_average()?);
        for &subject in &settings.subjects {
            info!("round {round} of {}: {subject}", settings.rounds);
            measure(subject, &programs, &settings, &mut measured)
                .with_context(|| format!("round {round}, {subject}"))?;
            settle(&settings.dir)?;
        }
        disk_floor.push(settings.disk_floor()?);
    }

    let summary = Summary::of(&measured, &disk_floor);
    let goals = goals(&summary);
    let date = OffsetDateTime::now_utc().date().to_string();
    let command = format!("cargo run --release -p ringkeeper-bench -- {}", arguments());
    let run = Run { date, command, host, settings, load_averages, summary, goals, measured, disk_floor };
    keep(&run)
}

/// All loads on one fresh server.
fn measure(
    subject: Subject,
    programs: &Programs,
    settings: &Settings,
    measured: &mut Vec<(Case, Measured)>,
) -> Result<()> {
    let server = Server::start(subject, programs, &settings.server_cpus, &settings.dir)?;
    load::populate(server.addr(), ZNODES, settings.znodes, settings.data_len.into())?;
    if subject == Subject::Java {
        run_hot(&server, settings)?;
    }
    for &operation in &settings.operations {
        for &shape in &settings.shapes {
            let load = settings.load(&server, operation, shape, &format!("/{operation}-{shape}"))?;
            let span = settings.span(operation);
            let found = load::run(server.addr(), &load, &span, &server.probe()?)
                .with_context(|| format!("{operation} {shape}"))?;
            info!(
                "{operation} {shape}: {:.0}/s, p50 {:.0} µs, server CPU {:.2} µs each",
                found.requests as f64 / found.seconds,
                found.latency.p50_us,
                found.server.cpu_ns as f64 / 1e3 / found.requests as f64
            );
            measured.push((Case { subject, operation, shape }, found));
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
        load::run(server.addr(), &load, &span, &server.probe()?).context("running hot")?;
    }
    Ok(())
}

impl Settings {
    fn programs(&self) -> Result<Programs> {
        let wanted = |subject| self.subjects.contains(&subject);
        let ringkeeper = match &self.ringkeeper {
            Some(path) => path.clone(),
            None if wanted(Subject::Ringkeeper) => build_ringkeeper()?,
            None => PathBuf::new(),
        };
        let programs = Programs {
            java: self.java.clone(),
            java_libs: self.java_libs.clone(),
            java_heap_mb: self.java_heap_mb,
            ringkeeper,
            data_len: self.data_len.into(),
        };
        self.subjects.iter().try_for_each(|&subject| programs.check(subject))?;
        Ok(programs)
    }

    /// The load on `server`; creates get `parent` made for them.
    fn load(&self, server: &Server, operation: Operation, shape: Shape, parent: &str) -> Result<Load> {
        let parent = match operation {
            Operation::Read | Operation::Set => ZNODES,
            Operation::Create => {
                load::create_parent(server.addr(), parent)?;
                parent
            }
        };
        let (children, data_len) = (self.znodes, self.data_len.into());
        Ok(Load { operation, shape, parent: parent.to_owned(), children, data_len })
    }

    fn span(&self, operation: Operation) -> Span {
        let requests_max = match operation {
            Operation::Read | Operation::Set => u64::MAX,
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
        command.arg("disk-floor").arg(&self.dir).arg(self.seconds.to_string()).stdout(Stdio::piped());
        let output = self.server_cpus.spawn(&mut command)?.wait_with_output()?;
        ensure!(output.status.success(), "the disk floor could not be measured: {}", output.status);
        let latency: Latency = serde_json::from_slice(&output.stdout)?;
        info!("disk floor: p50 {:.0} µs", latency.p50_us);
        Ok(latency)
    }
}

/// Makes sure that what is measured is what the sources say.
fn build_ringkeeper() -> Result<PathBuf> {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo)
        .args(["build", "--release", "--package", "ringkeeper", "--bin", "ringkeeper"])
        .status()
        .context("cannot run cargo to build ringkeeper: name a built one with --ringkeeper")?;
    ensure!(status.success(), "ringkeeper does not build: {status}");
    Ok(env::current_exe()?.with_file_name("ringkeeper"))
}

/// Has the disk finish with what one server left, lest the next one pay for it.
fn settle(dir: &Path) -> Result<()> {
    nix::unistd::syncfs(File::open(dir)?).with_context(|| format!("cannot sync {}", dir.display()))
}

fn keep(run: &Run) -> Result<()> {
    let text = report::render(run);
    io::Write::write_all(&mut io::stdout(), text.as_bytes())?;
    let out = &run.settings.out;
    let name = format!("{}-{}", run.date, run.host.commit.trim_end_matches('+'));
    fs::create_dir_all(out).with_context(|| format!("cannot make {}", out.display()))?;
    for (extension, content) in [("md", text), ("json", serde_json::to_string_pretty(run)? + "\n")] {
        let path = out.join(format!("{name}.{extension}"));
        fs::write(&path, content).with_context(|| format!("cannot write {}", path.display()))?;
        info!("wrote {}", path.display());
    }
    Ok(())
}

fn arguments() -> String {
    env::args().skip(1).collect::<Vec<_>>().join(" ")
}

fn seconds(text: &str) -> Result<f64> {
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
