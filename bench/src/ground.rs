//! Where a command measures, with which programs, and where its report goes: the same for all commands.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, io};

use anyhow::{Context, Result, ensure};
use clap::Args;
use serde::Serialize;
use time::OffsetDateTime;
use tracing::{info, warn};

use crate::affinity::Cpus;
use crate::etcd;
use crate::host::Host;
use crate::server::{Programs, Subject};

/// What the operator can choose of it.
#[derive(Args, Clone, Debug, Serialize)]
pub(crate) struct Ground {
    /// Folder that the report goes to
    #[arg(long, default_value = "bench/results")]
    pub(crate) out: PathBuf,
    /// Folder on the disk to measure; the servers keep their data below it while they run
    #[arg(long, default_value = "data/bench")]
    pub(crate) dir: PathBuf,
    /// The program that runs ZooKeeper
    #[arg(long, default_value = "java")]
    pub(crate) java: PathBuf,
    /// Folder of ZooKeeper's jars
    #[arg(long, default_value = "tests/.deps/java")]
    pub(crate) java_libs: PathBuf,
    /// The ringkeeper to measure [default: the one that cargo makes of this source tree]
    #[arg(long)]
    pub(crate) ringkeeper: Option<PathBuf>,
    /// The etcd that `load` starts [default: the one on the PATH, or else the one that tests/setup fetches]
    #[arg(long)]
    pub(crate) etcd: Option<PathBuf>,
}

/// Where a single server and the load generator run, each on a CPU of its own.
#[derive(Args, Clone, Debug, Serialize)]
pub(crate) struct Pinning {
    /// CPUs of the server, such as 0 or 0,2-3
    #[arg(long, default_value = "0")]
    pub(crate) server_cpus: Cpus,
    /// CPUs of the load generator; it has one thread
    #[arg(long, default_value = "1")]
    pub(crate) load_cpus: Cpus,
}

/// Notes a failure, so that it does not take with it what else is found.
pub(crate) fn or_note<T>(failures: &mut Vec<String>, what: &str, result: Result<T>) -> Option<T> {
    result
        .inspect_err(|error| {
            warn!("{what}: {error:#}");
            failures.push(format!("{what}: {error:#}"));
        })
        .ok()
}

impl Ground {
    /// Makes the folder of the servers' data, and looks at the machine.
    pub(crate) fn look(&self) -> Result<Host> {
        fs::create_dir_all(&self.dir).with_context(|| format!("cannot make {}", self.dir.display()))?;
        Host::look(&self.dir, &self.java)
    }

    /// The programs of `subjects`, which are there; ringkeeper's is built if none was named.
    pub(crate) fn programs(
        &self,
        subjects: &[Subject],
        java_heap_mb: u32,
        data_len: usize,
    ) -> Result<Programs> {
        let ringkeeper = match &self.ringkeeper {
            Some(path) => path.clone(),
            None if subjects.contains(&Subject::Ringkeeper) => build_ringkeeper()?,
            None => PathBuf::new(),
        };
        let (java, java_libs) = (self.java.clone(), self.java_libs.clone());
        let etcd = etcd::start::program(self.etcd.as_deref());
        let programs = Programs { java, java_libs, java_heap_mb, ringkeeper, etcd, data_len };
        subjects.iter().try_for_each(|&subject| programs.check(subject))?;
        Ok(programs)
    }

    /// Prints a report, and keeps it as `<name>.md` with the raw figures, `run`, in `<name>.json`.
    pub(crate) fn keep(&self, name: &str, report: String, run: &impl Serialize) -> Result<()> {
        io::Write::write_all(&mut io::stdout(), report.as_bytes())?;
        fs::create_dir_all(&self.out).with_context(|| format!("cannot make {}", self.out.display()))?;
        for (extension, content) in [("md", report), ("json", serde_json::to_string_pretty(run)? + "\n")] {
            let path = self.out.join(format!("{name}.{extension}"));
            fs::write(&path, content).with_context(|| format!("cannot write {}", path.display()))?;
            info!("wrote {}", path.display());
        }
        Ok(())
    }
}

/// Refuses to measure with a load generator that was not optimised.
pub(crate) fn ensure_optimised() -> Result<()> {
    ensure!(
        !cfg!(debug_assertions),
        "this is a debug build, whose load generator is slow: use cargo run --release"
    );
    Ok(())
}

/// Has the disk finish with what one server left, lest the next one pay for it.
pub(crate) fn settle(dir: &Path) -> Result<()> {
    nix::unistd::syncfs(File::open(dir)?).with_context(|| format!("cannot sync {}", dir.display()))
}

/// Today, as reports are named.
pub(crate) fn today() -> String {
    OffsetDateTime::now_utc().date().to_string()
}

/// What repeats this run.
pub(crate) fn command() -> String {
    let arguments: Vec<String> = env::args().skip(1).collect();
    format!("cargo run --release -p ringkeeper-bench -- {}", arguments.join(" "))
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
