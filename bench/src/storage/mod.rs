//! `storage`: what data costs, server beside server: bytes on the disk for each write, memory for each
//! znode, the time that a restart takes, and what snapshots do to everybody else.
//!
//! | module      | what it is about                                             |
//! |-------------|--------------------------------------------------------------|
//! | `images`    | data folders to restart from: after a stop, after a kill     |
//! | `restarts`  | how long restarts take, and how much memory the servers hold |
//! | `footprint` | what reaches the disk for each write                         |
//! | `mixed`     | a mix at a fixed rate, with and without snapshots            |
//! | `goals`     | judges it; `report` shows it                                 |

mod footprint;
mod goals;
mod images;
mod mixed;
mod report;
mod restarts;

use std::fmt;
use std::time::Duration;

use anyhow::{Result, ensure};
use clap::{Args, ValueEnum};
use serde::Serialize;
use tracing::info;

use crate::affinity::Cpus;
use crate::device::Device;
use crate::goals::Goal;
use crate::ground::{self, About, Ground, Needs, Pinning, Site};
use crate::server::{Folder, Programs, Server, Subject};
use crate::side_by_side::seconds;

use footprint::Footprint;
use images::{Images, Occupied};
use mixed::Mixed;
use restarts::{Cache, Restart};

/// What the operator can choose.
#[derive(Args, Clone, Debug, Serialize)]
pub(crate) struct Settings {
    /// Small and short, to try the command itself, even as a debug build: its figures mean nothing
    #[arg(long)]
    pub(crate) quick: bool,
    /// What to measure; memory comes with the restarts
    #[arg(long, value_delimiter = ',', default_values_t = [Part::Bytes, Part::Restart, Part::Mixed])]
    pub(crate) parts: Vec<Part>,
    /// Servers to measure
    #[arg(long, value_delimiter = ',', default_values_t = [Subject::Java, Subject::Ringkeeper])]
    pub(crate) subjects: Vec<Subject>,
    /// Znodes in the trees that are restarted; the mix runs on the first of them
    #[arg(long, value_delimiter = ',', value_parser = clap::value_parser!(u32).range(1..=ZNODES_MAX),
          default_values = ["1000000", "5000000"],
          default_values_if("quick", "true", ["100000"]))]
    pub(crate) znodes: Vec<u32>,
    /// Bytes of data in each znode
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u16).range(..=1024))]
    pub(crate) data_len: u16,
    /// Times that each server is restarted from each state of its folder with a million znodes; with more
    /// of them, fewer times in proportion
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..), default_value = "3",
          default_value_if("quick", "true", "1"))]
    pub(crate) restarts: u32,
    /// What a server that restarts finds in the page cache; emptying it takes root, and slows the machine
    #[arg(long, value_delimiter = ',', default_values_t = [Cache::Cold, Cache::Warm])]
    pub(crate) caches: Vec<Cache>,
    /// Writes since the last snapshot when a server is killed
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..), default_value = "100000",
          default_value_if("quick", "true", "10000"))]
    pub(crate) tail: u32,
    /// How many times bytes and the mix are measured, each time with servers started afresh
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..), default_value = "2",
          default_value_if("quick", "true", "1"))]
    pub(crate) rounds: u32,
    /// Seconds that the mix is measured for
    #[arg(long, value_parser = seconds, default_value = "15",
          default_value_if("quick", "true", "3"))]
    pub(crate) seconds: f64,
    /// Seconds that the mix runs before it is measured
    #[arg(long, value_parser = seconds, default_value = "10",
          default_value_if("quick", "true", "1"))]
    pub(crate) warmup: f64,
    /// Operations that the mix asks for in each second
    #[arg(long, default_value_t = 6000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) rate: u32,
    /// Connections that the mix takes in turn
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) connections: u16,
    /// snapCount, in writes, that makes servers write one snapshot after the other under the mix
    #[arg(long, default_value_t = 3000, value_parser = clap::value_parser!(u32).range(2..))]
    pub(crate) snap_count: u32,
    /// CPUs of a server that restarts, while no load generator needs any
    #[arg(long, default_value = "0,1")]
    pub(crate) restart_cpus: Cpus,
    /// Java's heap for each million znodes, in MB; zkServer.sh's for the first
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) java_heap_mb: u32,
    #[command(flatten)]
    #[serde(flatten)]
    pub(crate) pinning: Pinning,
    #[command(flatten)]
    #[serde(flatten)]
    pub(crate) ground: Ground,
}

/// One of the things to measure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Part {
    /// What reaches the disk for each write.
    Bytes,
    /// How long restarts take, and how much memory the servers hold.
    Restart,
    /// A mix at a fixed rate, with and without snapshots.
    Mixed,
}

/// All that a run found.
#[derive(Debug, Serialize)]
pub(crate) struct Run {
    #[serde(flatten)]
    pub(crate) about: About,
    pub(crate) settings: Settings,
    /// Whether restarts with a cold page cache were asked for, but could not be had.
    pub(crate) cold_missing: bool,
    pub(crate) goals: Vec<Goal>,
    pub(crate) found: Found,
}

/// What the parts found, in the order of measuring.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Found {
    pub(crate) footprints: Vec<Footprint>,
    pub(crate) memory: Vec<Occupied>,
    pub(crate) restarts: Vec<Restart>,
    pub(crate) mixed: Vec<Mixed>,
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
        load_cpus: &settings.pinning.load_cpus,
    };
    let Site { about, programs, root } = settings.ground.prepare(NAME, &needs)?;
    let bench = Bench { root, device: Device::find(&about.host.disk.device_number), programs, settings };
    let found = bench.measure()?;

    let Bench { settings, .. } = bench;
    let run = Run {
        about,
        goals: goals::goals(&found, settings.rate),
        cold_missing: settings.caches.contains(&Cache::Cold) && !restarts::cold_possible(),
        settings,
        found,
    };
    run.settings.ground.keep(&run.about.name(Some(NAME)), report::render(&run), &run)?;
    ensure!(run.found.failures.is_empty(), "not everything could be measured: see the report");
    Ok(())
}

/// All that the parts need.
struct Bench {
    settings: Settings,
    programs: Programs,
    device: Option<Device>,
    /// Holds all folders of the run.
    root: Folder,
}

impl Found {
    /// Notes a failure, so that it does not take with it what else is found.
    fn or_note<T>(&mut self, what: &str, result: Result<T>) -> Option<T> {
        ground::or_note(&mut self.failures, what, result)
    }
}

impl Bench {
    fn measure(&self) -> Result<Found> {
        let mut found = Found::default();
        if self.wants(Part::Bytes) {
            footprint::measure(self, &mut found.footprints)?;
        }
        for (index, &znodes) in self.settings.znodes.iter().enumerate() {
            let mixed = self.wants(Part::Mixed) && index == 0;
            if !mixed && !self.wants(Part::Restart) {
                continue;
            }
            let mut images: Vec<Images> = Vec::new();
            for &subject in &self.settings.subjects {
                info!("{subject}: loading {znodes} znodes");
                images.push(Images::make(self, subject, znodes, &mut found.memory)?);
            }
            if self.wants(Part::Restart) {
                restarts::measure(self, &images, &mut found);
            }
            if mixed {
                mixed::measure(self, &images, &mut found);
            }
        }
        Ok(found)
    }

    fn wants(&self, part: Part) -> bool {
        self.settings.parts.contains(&part)
    }

    /// Starts a server on the folder's data, where it stays under load.
    fn open(&self, subject: Subject, znodes: u32, folder: &Folder, more: &str) -> Result<Server> {
        Server::open(subject, &self.programs_for(znodes), &self.settings.pinning.server_cpus, folder, more)
    }

    /// The programs with the heap that Java needs for so many znodes.
    fn programs_for(&self, znodes: u32) -> Programs {
        let java_heap_mb = self.settings.java_heap_mb * znodes.div_ceil(MILLION);
        Programs { java_heap_mb, ..self.programs.clone() }
    }

    fn data(&self) -> Vec<u8> {
        vec![b'd'; self.settings.data_len.into()]
    }

    fn warmup(&self) -> Duration {
        Duration::from_secs_f64(self.settings.warmup)
    }

    /// For one server at a time.
    fn work_folder(&self) -> std::path::PathBuf {
        self.root.path().join("work")
    }
}

impl fmt::Display for Part {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(match self {
            Part::Bytes => "bytes",
            Part::Restart => "restart",
            Part::Mixed => "mixed",
        })
    }
}

const MILLION: u32 = 1_000_000;

/// What group numbers have digits for, and a disk of an ordinary size room.
const ZNODES_MAX: i64 = 100_000_000;

/// Of the command, its folder and its report.
const NAME: &str = "storage";
