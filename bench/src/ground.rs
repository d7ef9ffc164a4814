//! Where a command measures, with which programs, and where its report goes: the same for all commands.

use std::fmt::{self, Write};
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
use crate::host::{self, Host};
use crate::report;
use crate::server::{Folder, Programs, Subject};

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

/// What every run tells of itself.
#[derive(Debug, Serialize)]
pub(crate) struct About {
    pub(crate) date: String,
    /// What repeats the run.
    pub(crate) command: String,
    pub(crate) host: Host,
    pub(crate) optimised: bool,
    /// Before the run.
    pub(crate) load_average: f64,
    /// Whether it was a try of the command.
    #[serde(skip)]
    quick: bool,
}

/// What a command begins to measure with.
pub(crate) struct Site {
    pub(crate) about: About,
    pub(crate) programs: Programs,
    /// Holds all folders of the run.
    pub(crate) root: Folder,
}

/// What is started, and what runs beside it.
pub(crate) struct Needs<'a> {
    /// Without it, a debug build is refused.
    pub(crate) quick: bool,
    pub(crate) subjects: &'a [Subject],
    pub(crate) java_heap_mb: u32,
    /// Of the znodes that the echo floor makes believe to have.
    pub(crate) data_len: usize,
    pub(crate) load_cpus: &'a Cpus,
}

impl About {
    /// The name of the run's files; `command` is a part of it, if there is one.
    pub(crate) fn name(&self, command: Option<&str>) -> String {
        let commit = self.host.commit.trim_end_matches('+');
        let command = command.map_or(String::new(), |command| format!("-{command}"));
        format!("{}-{commit}{command}", self.date)
    }

    /// What each report begins with.
    pub(crate) fn write(&self, title: &str, out: &mut String) -> fmt::Result {
        writeln!(out, "# {title}, {}, commit {}\n", self.date, self.host.commit)?;
        if self.quick || !self.optimised {
            writeln!(out, "**A try of the command: these figures mean nothing.**\n")?;
        }
        writeln!(out, "Repeat it with\n\n    {}\n", self.command)?;
        report::write_host(&self.host, out)
    }
}

impl Ground {
    /// Prepares a run of `command`: finds its programs, makes its folder, looks at the machine, and keeps the
    /// calling thread, which is to be the load generator, on its CPUs from now on.
    pub(crate) fn prepare(&self, command: &str, needs: &Needs<'_>) -> Result<Site> {
        ensure!(
            needs.quick || !cfg!(debug_assertions),
            "this is a debug build, whose load generator is slow: use cargo run --release"
        );
        let host = self.look()?;
        let programs = self.programs(needs.subjects, needs.java_heap_mb, needs.data_len)?;
        let root = Folder::fresh(self.dir.join(command))?;
        let about = About {
            date: today(),
            command: self::command(),
            host,
            optimised: !cfg!(debug_assertions),
            load_average: host::load_average()?,
            quick: needs.quick,
        };
        needs.load_cpus.pin_this_thread()?;
        Ok(Site { about, programs, root })
    }

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

/// Refuses the echo floor where a server is needed that keeps what it is given.
pub(crate) fn ensure_servers(subjects: &[Subject]) -> Result<()> {
    ensure!(!subjects.contains(&Subject::Echo), "an echo holds nothing: name java, ringkeeper");
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
