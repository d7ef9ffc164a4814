//! `ensemble`: three servers of a kind on one machine, ringkeepers beside ZooKeepers: what writes and a mix
//! cost all three together, and how long a leader that was killed is missed.
//!
//! | module     | what it is about                                    |
//! |------------|-----------------------------------------------------|
//! | `loads`    | closed loops on all servers                         |
//! | `failover` | from kill -9 of the leader to the next acknowledged write |
//! | `goals`    | judges it; `report` shows it                        |

mod failover;
mod goals;
mod loads;
mod report;

use std::fmt;
use std::time::Duration;

use anyhow::{Result, ensure};
use clap::{Args, ValueEnum};
use serde::Serialize;

use crate::affinity::Cpus;
use crate::goals::Goal;
use crate::ground::{self, About, Ground, Needs, Site};
use crate::load::Measured;
use crate::server::{Folder, Programs, Subject};
use crate::side_by_side::seconds;
use crate::summary::{Case, Summary};

use failover::Failover;

/// What the operator can choose.
#[derive(Args, Clone, Debug, Serialize)]
pub(crate) struct Settings {
    /// Small and short, to try the command itself, even as a debug build: its figures mean nothing
    #[arg(long)]
    pub(crate) quick: bool,
    /// What to measure
    #[arg(long, value_delimiter = ',', default_values_t = [Part::Loads, Part::Failover])]
    pub(crate) parts: Vec<Part>,
    /// Servers to measure, three of each
    #[arg(long, value_delimiter = ',', default_values_t = [Subject::Java, Subject::Ringkeeper])]
    pub(crate) subjects: Vec<Subject>,
    /// How many times the loads are measured, each time with servers started afresh
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..), default_value = "3",
          default_value_if("quick", "true", "1"))]
    pub(crate) rounds: u32,
    /// Seconds that each load is measured for
    #[arg(long, value_parser = seconds, default_value = "4", default_value_if("quick", "true", "0.5"))]
    pub(crate) seconds: f64,
    /// Seconds that each load runs before it is measured
    #[arg(long, value_parser = seconds, default_value = "1", default_value_if("quick", "true", "0.2"))]
    pub(crate) warmup: f64,
    /// Seconds that Java gets in addition after its start, for its compiler
    #[arg(long, value_parser = seconds, default_value = "15", default_value_if("quick", "true", "1"))]
    pub(crate) java_warmup: f64,
    /// Znodes that are read and set
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) znodes: u32,
    /// Bytes of data in each znode
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u16).range(..=1024))]
    pub(crate) data_len: u16,
    /// Znodes that the load of creates makes at most
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u32).range(100..))]
    pub(crate) creates_max: u32,
    /// Znodes in the trees under which leaders are killed
    #[arg(long, value_delimiter = ',', value_parser = clap::value_parser!(u32).range(1..=10_000_000),
          default_values = ["1000", "1000000"],
          default_values_if("quick", "true", ["1000", "20000"]))]
    pub(crate) failover_znodes: Vec<u32>,
    /// How many times each ensemble is started to have its leaders killed
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..), default_value = "2",
          default_value_if("quick", "true", "1"))]
    pub(crate) failover_rounds: u32,
    /// How many leaders of it are killed each time, one after the other
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..), default_value = "5",
          default_value_if("quick", "true", "2"))]
    pub(crate) kills: u32,
    /// CPUs that all three servers share
    #[arg(long, default_value = "0,1")]
    pub(crate) server_cpus: Cpus,
    /// CPUs of the load generator, which has one thread and may have to share them with the servers
    #[arg(long, default_value = "0,1")]
    pub(crate) load_cpus: Cpus,
    /// Each Java server's heap, in MB; the default is zkServer.sh's
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) java_heap_mb: u32,
    #[command(flatten)]
    #[serde(flatten)]
    pub(crate) ground: Ground,
}

/// One of the things to measure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Part {
    /// Writes and a mix, in closed loops.
    Loads,
    /// How long a leader that was killed is missed.
    Failover,
}

/// All that a run found.
#[derive(Debug, Serialize)]
pub(crate) struct Run {
    #[serde(flatten)]
    pub(crate) about: About,
    pub(crate) settings: Settings,
    pub(crate) goals: Vec<Goal>,
    /// Of the loads.
    pub(crate) summary: Summary,
    pub(crate) found: Found,
}

/// What was found, in the order of measuring.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Found {
    pub(crate) loads: Vec<(Case, Measured)>,
    pub(crate) failovers: Vec<Failover>,
    /// What could not be measured, and why.
    pub(crate) failures: Vec<String>,
}

/// Measures, prints the report, and keeps it with the raw figures.
pub(crate) fn run(settings: Settings) -> Result<()> {
    ground::ensure_servers(&settings.subjects)?;
    let needs = Needs {
        quick: settings.quick,
        subjects: &settings.subjects,
        java_heap_mb: settings.java_heap_mb,
        data_len: settings.data_len.into(),
        load_cpus: &settings.load_cpus,
    };
    let Site { about, programs, root } = settings.ground.prepare(NAME, &needs)?;
    let bench = Bench { root, programs, settings };
    let mut found = Found::default();
    if bench.settings.parts.contains(&Part::Loads) {
        loads::measure(&bench, &mut found);
    }
    if bench.settings.parts.contains(&Part::Failover) {
        failover::measure(&bench, &mut found);
    }

    let Bench { settings, .. } = bench;
    let summary = Summary::of(&found.loads, &[]);
    let goals = goals::goals(&summary, &found);
    let run = Run { about, settings, goals, summary, found };
    run.settings.ground.keep(&run.about.name(Some(NAME)), report::render(&run), &run)?;
    ensure!(run.found.failures.is_empty(), "not everything could be measured: see the report");
    Ok(())
}

/// All that the parts need.
struct Bench {
    settings: Settings,
    programs: Programs,
    /// Holds all folders of the run.
    root: Folder,
}

impl Bench {
    fn data(&self) -> Vec<u8> {
        vec![b'd'; self.settings.data_len.into()]
    }

    fn warmup(&self) -> Duration {
        Duration::from_secs_f64(self.settings.warmup)
    }
}

impl fmt::Display for Part {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(match self {
            Part::Loads => "loads",
            Part::Failover => "failover",
        })
    }
}

/// Of the command, its folder and its report.
const NAME: &str = "ensemble";
