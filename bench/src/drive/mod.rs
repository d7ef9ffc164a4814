//! `load`: a load of one's choice on any ensemble that speaks ZooKeeper's protocol, or on etcd.
//!
//! | module     | what it is about                                                       |
//! |------------|------------------------------------------------------------------------|
//! | `workload` | operations and mixes, and the workloads that others published          |
//! | `plan`     | which operation comes next; `work` asks ZooKeeper for it, `keys` etcd  |
//! | `scenario` | many clients at once: herds, storms of sessions, locks, barriers       |
//! | `tree`     | the znodes of a load: made before, removed behind                      |
//! | `target`   | the servers: named, or started here; what they use; what befalls them  |
//! | `outcome`  | what is kept as JSON and .hgrm; `page` shows it, `compare` compares it |

pub(crate) mod compare;
mod keys;
mod outcome;
mod page;
mod plan;
mod progress;
mod scenario;
mod svg;
mod target;
mod tree;
mod work;
mod workload;

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use clap::Args;
use serde::Serialize;
use tracing::info;

use crate::affinity::Cpus;
use crate::engine::{AHEAD, Engine, Errors, Pacing, Work, generator_cpu, now};
use crate::ground::{self, Ground};
use crate::side_by_side::seconds;

use keys::{EtcdWork, Keys};
use outcome::{OperationFound, Outcome, Round};
use progress::Progress;
use target::{Fault, Protocol, Start, Target};
use tree::Tree;
use work::MixedWork;
use workload::{Choice, Scenario, Workload};

/// What the operator can choose.
#[derive(Args, Clone, Debug, Serialize)]
pub(crate) struct Settings {
    /// Servers to ask, as host:port; connections are dealt out to them in turn
    #[arg(long, value_delimiter = ',', required_unless_present = "start", conflicts_with = "start")]
    pub(crate) servers: Vec<String>,
    /// Starts servers here instead, and ends them behind the load
    #[arg(long)]
    pub(crate) start: Option<Start>,
    /// What the servers speak [default: zookeeper, but of an etcd that is started its own]
    #[arg(long)]
    pub(crate) protocol: Option<Protocol>,
    /// How many to start, as one ensemble
    #[arg(long, default_value_t = 1, value_parser = count_of_servers)]
    pub(crate) count: u32,
    #[command(flatten)]
    #[serde(flatten)]
    pub(crate) choice: Choice,
    /// Seconds that are measured
    #[arg(long, default_value_t = 10.0, value_parser = seconds)]
    pub(crate) seconds: f64,
    /// Seconds that the load runs before it is measured
    #[arg(long, default_value_t = 2.0, value_parser = seconds)]
    pub(crate) warmup: f64,
    /// How often it is measured, one time after the other, on the same servers
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub(crate) rounds: u32,
    /// What befalls the servers that were started while the load is measured: kill, pause or slow-disk, a
    /// server, when and for how many seconds, such as kill-leader@3:2, pause-follower@5:1.5, slow-disk@4:3
    #[arg(long, value_delimiter = ',', requires = "start")]
    pub(crate) faults: Vec<Fault>,
    /// Further lines for the zoo.cfg of servers that are started, such as snapCount=3000, which has them write
    /// snapshots during the run
    #[arg(long, requires = "start")]
    pub(crate) zoo_cfg: Vec<String>,
    /// CPUs of the servers that are started
    #[arg(long, default_value = "0")]
    pub(crate) server_cpus: Cpus,
    /// CPUs of the load generator; by default, any
    #[arg(long)]
    pub(crate) load_cpus: Option<Cpus>,
    /// Name of the result's files, and their title
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// Java's heap, in MB; the default is zkServer.sh's
    #[arg(long, default_value_t = 1000)]
    pub(crate) java_heap_mb: u32,
    #[command(flatten)]
    #[serde(flatten)]
    pub(crate) ground: Ground,
}

/// Runs the load, and keeps what it found.
pub(crate) fn run(settings: &Settings) -> Result<()> {
    let workload = settings.choice.resolve()?;
    let protocol = settings.protocol()?;
    let mapping = match protocol {
        Protocol::ZooKeeper => Vec::new(),
        Protocol::Etcd => keys::mapping(&workload)?,
    };
    if let Some(cpus) = &settings.load_cpus {
        cpus.pin_this_thread()?;
    }
    if cfg!(debug_assertions) {
        tracing::warn!("this is a debug build, whose load generator is slow");
    }
    let target = Target::reach(settings, protocol)?;
    mapping.iter().for_each(|line| info!("as etcd has it, {line}"));
    let mut rounds = Vec::new();
    let result = (1..=settings.rounds).try_for_each(|round| {
        info!("round {round} of {}: {workload}", settings.rounds);
        let found = match workload.scenario {
            None if protocol == Protocol::Etcd => on_etcd(settings, &workload, &target)?,
            None => on_zookeeper(settings, &workload, &target)?,
            Some(scenario) => many(settings, scenario, &workload, &target)?,
        };
        found.say();
        rounds.push(found);
        anyhow::Ok(())
    });
    let servers = target.description();
    // Whatever became of the load: no server stays behind.
    target.end()?;
    result?;
    let outcome = Outcome::new(settings, &workload, (protocol, mapping), servers, rounds)?;
    fs::create_dir_all(&settings.ground.out)
        .with_context(|| format!("cannot make {}", settings.ground.out.display()))?;
    outcome.keep(&settings.ground.out)
}

impl Settings {
    /// What the servers speak.
    fn protocol(&self) -> Result<Protocol> {
        let speaks = match self.start {
            Some(Start::Etcd) => Some(Protocol::Etcd),
            Some(Start::Ringkeeper | Start::Java) => Some(Protocol::ZooKeeper),
            None => None,
        };
        let protocol = self.protocol.or(speaks).unwrap_or(Protocol::ZooKeeper);
        ensure!(
            speaks.is_none_or(|speaks| speaks == protocol),
            "the servers that are to be started speak another --protocol"
        );
        let lines = self.zoo_cfg.len();
        ensure!(protocol == Protocol::ZooKeeper || lines == 0, "etcd reads no zoo.cfg: leave --zoo-cfg out");
        Ok(protocol)
    }
}

/// A mix on a tree of ZooKeeper's.
fn on_zookeeper(settings: &Settings, workload: &Workload, target: &Target) -> Result<Round> {
    let tree = Tree::make(target.addrs(), workload, &unique_root())?;
    let round = mixed(settings, workload, target, MixedWork::new(workload, &tree))?;
    if settings.start.is_none() {
        tree.remove(target.addrs())?;
    }
    Ok(round)
}

/// A mix on keys of etcd's.
fn on_etcd(settings: &Settings, workload: &Workload, target: &Target) -> Result<Round> {
    let keys = Keys::make(target.addrs(), workload, &unique_root())?;
    let round = mixed(settings, workload, target, EtcdWork::new(workload, &keys))?;
    if settings.start.is_none() {
        keys.remove(target.addrs())?;
    }
    Ok(round)
}

/// A mix of operations, at a fixed depth or rate.
fn mixed(settings: &Settings, workload: &Workload, target: &Target, work: impl Work) -> Result<Round> {
    let addrs = target.addrs().to_vec();
    let names: Vec<String> = workload.mix.iter().map(|(kind, _)| kind.to_string()).collect();
    let pacing = match workload.rate {
        Some(per_second) => Pacing::Open { per_second },
        None => Pacing::Closed { outstanding: workload.outstanding },
    };
    let connections = workload.connections;
    let mut engine =
        Engine::start(&addrs, connections, pacing, work, names.len(), (Errors::Count, u64::MAX))?;
    let window_at = engine.begins_at() + nanos(settings.warmup) + AHEAD.as_nanos() as u64;
    engine.go_on_until(window_at - AHEAD.as_nanos() as u64, u64::MAX)?;
    let mut progress = Progress::new(settings.seconds, workload.rate);
    engine.set_on_second(move |second| progress.show(second));
    let watch = target.watch(window_at, &settings.faults)?;
    let own_cpu = generator_cpu()?;
    engine.record_from(window_at);
    engine.go_on_until(window_at + nanos(settings.seconds), u64::MAX)?;
    let own_cpu = generator_cpu()? - own_cpu;
    engine.drain()?;
    let seconds = settings.seconds.max((now() - window_at) as f64 / 1e9);
    let recording = engine.finish()?;
    let (servers, faults) = watch.end()?;
    let operations = names
        .into_iter()
        .enumerate()
        .map(|(index, name)| {
            let (latency, errors) = recording.operation(index);
            OperationFound::new(name, latency, errors.clone(), seconds)
        })
        .collect();
    Ok(Round {
        planned: settings.seconds,
        seconds,
        operations,
        lateness: recording.lateness().summary(),
        timeline: recording.into_seconds(),
        servers,
        faults,
        generator_busy: own_cpu.as_secs_f64() / seconds,
    })
}

/// Many clients that act at once.
fn many(settings: &Settings, scenario: Scenario, workload: &Workload, target: &Target) -> Result<Round> {
    let addrs = target.addrs().to_vec();
    let begun = now();
    let watch = target.watch(begun, &settings.faults)?;
    let own_cpu = generator_cpu()?;
    let limit = Duration::from_secs_f64(settings.seconds);
    let found = scenario::run(scenario, &addrs, workload.connections, limit, &unique_root())?;
    let own_cpu = generator_cpu()? - own_cpu;
    let seconds = (now() - begun) as f64 / 1e9;
    let (servers, faults) = watch.end()?;
    let operations = found
        .into_iter()
        .map(|(name, latency)| OperationFound::new(name, &latency, Default::default(), seconds))
        .collect();
    Ok(Round {
        planned: settings.seconds,
        seconds,
        operations,
        lateness: None,
        timeline: Vec::new(),
        servers,
        faults,
        generator_busy: own_cpu.as_secs_f64() / seconds,
    })
}

/// A parent that no other run uses.
fn unique_root() -> String {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    format!("/ringkeeper-bench-{}-{}", std::process::id(), since.as_millis())
}

fn nanos(seconds: f64) -> u64 {
    Duration::from_secs_f64(seconds).as_nanos() as u64
}

fn count_of_servers(text: &str) -> Result<u32> {
    let count: u32 = text.parse()?;
    ensure!(count == 1 || count == 3, "1 or 3 servers");
    Ok(count)
}

/// Files of a result, without their extension.
fn file_stem(settings: &Settings, workload: &Workload) -> String {
    let name = settings.name.clone().unwrap_or_else(|| workload.name.clone());
    format!("{}-load-{name}", ground::today())
}

/// Where the load's files are to be found.
type Files = Vec<PathBuf>;
