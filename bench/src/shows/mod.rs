//! `shows`: what large numbers do to a single server, one after the other on each kind.
//!
//! | module     | what it is about                                                    |
//! |------------|---------------------------------------------------------------------|
//! | `sessions` | idle ones, and all of them coming back after a restart              |
//! | `watches`  | memory for each, and a herd                                         |
//! | `children` | creating, listing and deleting them, and what others notice         |
//! | `scale`    | throughput by layout and shards, and as the tree grows              |
//! | `bystander`| a client whose latencies tell what others notice                    |

mod bystander;
mod children;
mod scale;
mod sessions;
mod watches;

use std::fmt::{self, Write};
use std::time::Duration;

use anyhow::{Result, ensure};
use clap::{Args, ValueEnum};
use serde::Serialize;
use tracing::info;

use crate::ground::{self, About, Ground, Needs, Pinning, Site};
use crate::process::Probe;
use crate::report::{numbers_right, table};
use crate::server::{Folder, Programs, Server, Subject};

/// What the operator can choose.
#[derive(Args, Clone, Debug, Serialize)]
pub(crate) struct Settings {
    /// Small and short, to try the command itself, even as a debug build: its figures mean nothing
    #[arg(long)]
    pub(crate) quick: bool,
    /// What to show
    #[arg(long, value_delimiter = ',',
          default_values_t = [Part::Sessions, Part::Watches, Part::Children, Part::Shards, Part::Growth])]
    pub(crate) parts: Vec<Part>,
    /// Servers to show
    #[arg(long, value_delimiter = ',', default_values_t = [Subject::Java, Subject::Ringkeeper])]
    pub(crate) subjects: Vec<Subject>,
    /// Sessions that are idle, come back, and watch as one herd
    #[arg(long, value_parser = clap::value_parser!(u32).range(10..=15_000), default_value = "10000",
          default_value_if("quick", "true", "300"))]
    pub(crate) sessions: u32,
    /// Watches, a thousand by each of their sessions
    #[arg(long, value_parser = clap::value_parser!(u32).range(1000..=20_000_000), default_value = "1000000",
          default_value_if("quick", "true", "5000"))]
    pub(crate) watches: u32,
    /// Children of one znode
    #[arg(long, value_parser = clap::value_parser!(u32).range(10..=5_000_000), default_value = "1000000",
          default_value_if("quick", "true", "5000"))]
    pub(crate) children: u32,
    /// Znodes in the trees that are compared
    #[arg(long, value_delimiter = ',', value_parser = clap::value_parser!(u32).range(1..=100_000_000),
          default_values = ["1000", "100000", "1000000", "5000000"],
          default_values_if("quick", "true", ["1000", "5000"]))]
    pub(crate) growth: Vec<u32>,
    /// Seconds that each load is measured for
    #[arg(long, value_parser = crate::side_by_side::seconds, default_value = "5",
          default_value_if("quick", "true", "0.5"))]
    pub(crate) seconds: f64,
    /// Java's heap for each million znodes or watches, in MB; zkServer.sh's for the first
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) java_heap_mb: u32,
    #[command(flatten)]
    #[serde(flatten)]
    pub(crate) pinning: Pinning,
    #[command(flatten)]
    #[serde(flatten)]
    pub(crate) ground: Ground,
}

/// One of the things to show.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Part {
    /// Idle sessions, and their coming back after a restart.
    Sessions,
    /// Memory for each watch, and a herd.
    Watches,
    /// Children of one znode, and what others notice.
    Children,
    /// Ringkeeper's layouts.
    Shards,
    /// Trees of different sizes.
    Growth,
}

/// All that a run found.
#[derive(Debug, Serialize)]
struct Run {
    #[serde(flatten)]
    about: About,
    settings: Settings,
    figures: Vec<Figure>,
    failures: Vec<String>,
}

/// One figure.
#[derive(Debug, Serialize)]
struct Figure {
    part: Part,
    subject: Subject,
    what: String,
    unit: &'static str,
    value: f64,
}

/// Shows, prints the report, and keeps it with the figures.
pub(crate) fn run(settings: Settings) -> Result<()> {
    ground::ensure_servers(&settings.subjects)?;
    // Servers inherit the limit.
    crate::fleet::allow_descriptors(settings.sessions as usize + 1000)?;
    let needs = Needs {
        quick: settings.quick,
        subjects: &settings.subjects,
        java_heap_mb: settings.java_heap_mb,
        data_len: 100,
        load_cpus: &settings.pinning.load_cpus,
    };
    let Site { about, programs, root } = settings.ground.prepare(NAME, &needs)?;
    let mut show = Show { settings, programs, root, figures: Vec::new() };
    let mut failures = Vec::new();
    for part in show.settings.parts.clone() {
        for subject in show.settings.subjects.clone() {
            info!("{part}: {subject}");
            let result = match part {
                Part::Sessions => sessions::show(&mut show, subject),
                Part::Watches => watches::show(&mut show, subject),
                Part::Children => children::show(&mut show, subject),
                Part::Shards => scale::layouts(&mut show, subject),
                Part::Growth => scale::growth(&mut show, subject),
            };
            ground::or_note(&mut failures, &format!("{part}, {subject}"), result);
        }
    }
    let Show { settings, figures, .. } = show;
    let run = Run { about, settings, figures, failures };
    let name = run.about.name(Some(NAME));
    let mut report = String::new();
    write_report(&run, &mut report).expect("a string takes all that is written");
    run.settings.ground.keep(&name, report, &run)?;
    ensure!(run.failures.is_empty(), "not everything could be shown: see the report");
    Ok(())
}

/// What the parts need, and what they found.
struct Show {
    settings: Settings,
    programs: Programs,
    /// Holds all folders of the run.
    root: Folder,
    figures: Vec<Figure>,
}

impl Show {
    /// Starts a server on an empty folder, with more lines in its configuration.
    fn start(&self, subject: Subject, millions: u32, more: &str) -> Result<(Server, Folder)> {
        let folder = Folder::fresh(self.root.path().join("server"))?;
        let server = self.open(subject, millions, &folder, more)?;
        Ok((server, folder))
    }

    fn open(&self, subject: Subject, millions: u32, folder: &Folder, more: &str) -> Result<Server> {
        let java_heap_mb = self.settings.java_heap_mb * millions.max(1);
        let programs = Programs { java_heap_mb, ..self.programs.clone() };
        Server::open(subject, &programs, &self.settings.pinning.server_cpus, folder, more)
    }

    fn found(
        &mut self,
        part: Part,
        subject: Subject,
        what: impl Into<String>,
        value: f64,
        unit: &'static str,
    ) {
        let what = what.into();
        info!("{what}: {} {unit}", crate::report::number(value));
        self.figures.push(Figure { part, subject, what, unit, value });
    }

    fn seconds(&self) -> Duration {
        Duration::from_secs_f64(self.settings.seconds)
    }
}

/// Resident memory of a server.
fn resident(probe: &Probe) -> Result<f64> {
    Ok(probe.memory()?.resident_bytes as f64)
}

fn write_report(run: &Run, out: &mut String) -> fmt::Result {
    run.about.write("Large numbers", out)?;
    let pinning = &run.settings.pinning;
    writeln!(
        out,
        "- server on CPU {}, load generator on CPU {}; load average {:.2} before the run",
        pinning.server_cpus, pinning.load_cpus, run.about.load_average
    )?;
    for failure in &run.failures {
        writeln!(out, "- **not shown**: {failure}")?;
    }
    for part in &run.settings.parts {
        let mut rows = table(&["what", "java", "ringkeeper", "unit", "java / ringkeeper"]);
        let mut named: Vec<&str> = Vec::new();
        for figure in run.figures.iter().filter(|figure| figure.part == *part) {
            if named.contains(&figure.what.as_str()) {
                continue;
            }
            named.push(&figure.what);
            let of = |subject| {
                let mut all = run.figures.iter();
                all.find(|other| (other.part, other.subject) == (*part, subject) && other.what == figure.what)
                    .map(|other| other.value)
            };
            let (java, ringkeeper) = (of(Subject::Java), of(Subject::Ringkeeper));
            let shown = |value: Option<f64>| value.map_or(crate::report::NONE.into(), crate::report::number);
            let ratio = java.zip(ringkeeper).filter(|(_, ringkeeper)| *ringkeeper > 0.0);
            rows.add_row([
                figure.what.clone(),
                shown(java),
                shown(ringkeeper),
                figure.unit.to_owned(),
                shown(ratio.map(|(java, ringkeeper)| java / ringkeeper)),
            ]);
        }
        writeln!(out, "\n## {part}\n\n{}", numbers_right(rows, 1..=4))?;
    }
    Ok(())
}

impl fmt::Display for Part {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(match self {
            Part::Sessions => "sessions",
            Part::Watches => "watches",
            Part::Children => "children",
            Part::Shards => "shards",
            Part::Growth => "growth",
        })
    }
}

/// How long thousands of sessions may take to open: Java's backlog lets hardly any in at once, and the kernel tries for
/// the others after 1, 3, 7, 15, 31 and 63 s.
const OPEN_WITHIN: Duration = Duration::from_secs(300);
/// Of the command, its folder and its report.
const NAME: &str = "shows";
