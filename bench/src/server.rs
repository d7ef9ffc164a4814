//! Servers under measurement: started on their CPUs, with the same configuration and fresh data.

use std::convert::Infallible;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};
use std::{env, fmt, thread};

use anyhow::{Context, Result, bail, ensure};
use clap::ValueEnum;
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use ringkeeper_kit::ports::Port;
use serde::Serialize;

use crate::affinity::Cpus;
use crate::etcd;
use crate::process::Probe;
use crate::session::Session;

/// What can stand under a load.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Subject {
    /// Apache ZooKeeper.
    Java,
    Ringkeeper,
    /// The echo floor.
    Echo,
    /// etcd, which only the command `load` speaks to: of all others each asks for what it does not have.
    #[value(skip)]
    Etcd,
}

/// How to start each subject.
#[derive(Clone, Debug)]
pub(crate) struct Programs {
    pub(crate) java: PathBuf,
    /// The folder of ZooKeeper's jars.
    pub(crate) java_libs: PathBuf,
    pub(crate) java_heap_mb: u32,
    pub(crate) ringkeeper: PathBuf,
    pub(crate) etcd: PathBuf,
    pub(crate) data_len: usize,
}

/// A running server. Dropping it kills it.
#[derive(Debug)]
pub(crate) struct Server {
    subject: Subject,
    child: Child,
    port: Arc<Port>,
    log: PathBuf,
    /// Dropped behind the server's end.
    fresh: Option<Folder>,
}

/// A folder of the bench's own. Dropping it removes it with all that is in it.
#[derive(Debug)]
pub(crate) struct Folder(PathBuf);

impl Server {
    /// Starts `subject` on `cpus`, with its data in a fresh folder below `dir`, and waits until it gives
    /// sessions.
    pub(crate) fn start(subject: Subject, programs: &Programs, cpus: &Cpus, dir: &Path) -> Result<Server> {
        let folder = Folder::fresh(dir.join(subject.to_string()))?;
        let mut server = Server::open(subject, programs, cpus, &folder, "")?;
        server.fresh = Some(folder);
        Ok(server)
    }

    /// Starts `subject` on `cpus` with the data that is in `folder`, and waits until it gives sessions.
    /// `more` are further lines of its configuration.
    pub(crate) fn open(
        subject: Subject,
        programs: &Programs,
        cpus: &Cpus,
        folder: &Folder,
        more: &str,
    ) -> Result<Server> {
        let mut server = Server::spawn(subject, programs, cpus, folder, more)?;
        server.wait_for(|session| session.close()).with_context(|| format!("{subject} does not serve"))?;
        Ok(server)
    }

    /// As [`Server::open`], but waits until a client has read `data_len` bytes at `path`. Returns also how
    /// long that took from just before the process was started.
    pub(crate) fn restart(
        subject: Subject,
        programs: &Programs,
        cpus: &Cpus,
        folder: &Folder,
        more: &str,
        (path, data_len): (&str, usize),
    ) -> Result<(Server, Duration)> {
        let started = Instant::now();
        let mut server = Server::spawn(subject, programs, cpus, folder, more)?;
        let took = server
            .wait_for(|mut session| {
                session.get(path, data_len)?;
                Ok(started.elapsed())
            })
            .with_context(|| format!("{subject} does not serve {path} after a restart"))?;
        Ok((server, took))
    }

    fn spawn(
        subject: Subject,
        programs: &Programs,
        cpus: &Cpus,
        folder: &Folder,
        more: &str,
    ) -> Result<Server> {
        Server::spawn_at(Arc::new(Port::claim()), subject, programs, cpus, folder, more)
    }

    /// Starts `subject` on the data that is in `folder`, with clients at `port`, and waits for nothing.
    pub(crate) fn spawn_at(
        port: Arc<Port>,
        subject: Subject,
        programs: &Programs,
        cpus: &Cpus,
        folder: &Folder,
        more: &str,
    ) -> Result<Server> {
        let dir = folder.path();
        fs::create_dir_all(dir.join(DATA))?;
        let addr = loopback(&port);
        let config = dir.join(if subject == Subject::Etcd { "etcd.yaml" } else { "zoo.cfg" });
        fs::write(&config, configuration(subject, dir, addr)? + more)?;
        let log = dir.join("server.log");
        let output = File::create(&log)?;
        let mut command = launched(&programs.command(subject, &config, addr)?)?;
        command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
        // The end of the log says why it ended: a backtrace would push that out.
        command.env("RUST_LIB_BACKTRACE", "0");
        Ok(Server { subject, child: cpus.spawn(&mut command)?, port, log, fresh: None })
    }

    /// Where clients connect.
    pub(crate) fn addr(&self) -> SocketAddr {
        loopback(&self.port)
    }

    /// What an ensemble's server that serves says that it is: `leader` or `follower`.
    pub(crate) fn mode(&self) -> Option<String> {
        if self.subject == Subject::Etcd {
            let session = etcd::Session::open(self.addr(), WORD_TIMEOUT).ok()?;
            return Some(if session.leads() { "leader" } else { "follower" }.to_owned());
        }
        let answer = self.word("srvr").ok()?;
        answer.lines().find_map(|line| line.strip_prefix("Mode: ").map(str::to_owned))
    }

    /// The answer to a four-letter word.
    fn word(&self, word: &str) -> Result<String> {
        let mut stream = TcpStream::connect_timeout(&self.addr(), WORD_TIMEOUT)?;
        stream.set_read_timeout(Some(WORD_TIMEOUT))?;
        stream.write_all(word.as_bytes())?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    }

    /// Whether the process still runs.
    ///
    /// # Errors
    /// When it has ended: with what it wrote.
    pub(crate) fn check_runs(&mut self) -> Result<()> {
        if let Some(status) = self.child.try_wait()? {
            bail!("it ended with {status}, and wrote:\n{}", self.log_tail());
        }
        Ok(())
    }

    /// Sends SIGKILL, and waits for nothing.
    pub(crate) fn kill(&mut self) -> Result<()> {
        Ok(self.child.kill()?)
    }

    /// Reads the figures of the server's process.
    pub(crate) fn probe(&self) -> Result<Probe> {
        Probe::new(self.child.id())
    }

    /// The server's process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Asks the server to end, and waits until it has.
    ///
    /// # Errors
    /// When it has not after [`STOP_TIMEOUT`]; it is killed then.
    pub(crate) fn stop(mut self) -> Result<()> {
        kill(Pid::from_raw(self.child.id() as i32), Signal::SIGTERM)?;
        let deadline = Instant::now() + STOP_TIMEOUT;
        while self.child.try_wait()?.is_none() {
            ensure!(Instant::now() < deadline, "the server has not stopped within {STOP_TIMEOUT:?}");
            thread::sleep(POLL_INTERVAL);
        }
        Ok(())
    }

    /// Opens sessions until `done` succeeds on one.
    fn wait_for<T>(&mut self, done: impl Fn(Session) -> Result<T>) -> Result<T> {
        let begun = Instant::now();
        loop {
            // Java never answers a connection that it gets in a certain moment of its start. So patience is
            // short, but grows with the time that was waited: what it adds to a restart is 5 % at most.
            let patience = PATIENCE_MIN.max(begun.elapsed() / 20);
            let refusal = match Session::open_within(self.addr(), patience).and_then(&done) {
                Ok(answer) => return Ok(answer),
                Err(refusal) => refusal,
            };
            self.check_runs()?;
            if begun.elapsed() > START_TIMEOUT {
                return Err(refusal).with_context(|| format!("it wrote:\n{}", self.log_tail()));
            }
            thread::sleep(POLL_INTERVAL);
        }
    }

    /// The end of what the server wrote.
    pub(crate) fn log_tail(&self) -> String {
        let log = fs::read(&self.log).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(LOG_TAIL_LINES)..].join("\n")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Errors mean that it is gone already, which is what is wanted here.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Folder {
    /// An empty folder at `path`; what was there is removed.
    pub(crate) fn fresh(path: PathBuf) -> Result<Folder> {
        if path.exists() {
            fs::remove_dir_all(&path).with_context(|| format!("cannot remove {}", path.display()))?;
        }
        fs::create_dir_all(&path).with_context(|| format!("cannot make {}", path.display()))?;
        Ok(Folder(path))
    }

    /// A fresh folder at `path` with a copy of the server's data in this one.
    pub(crate) fn copy_data(&self, path: PathBuf) -> Result<Folder> {
        let copy = Folder::fresh(path)?;
        copy_tree(&self.data(), &copy.data()).context("cannot copy a server's data")?;
        Ok(copy)
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Where a server that is started on it has its data.
    pub(crate) fn data(&self) -> PathBuf {
        self.0.join(DATA)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What cannot be removed now is when the next run makes its own.
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn copy_tree(from: &Path, to: &Path) -> std::io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let (entry, target) = entry.map(|entry| (entry.path(), to.join(entry.file_name())))?;
        if entry.is_dir() {
            copy_tree(&entry, &target)?;
        } else {
            fs::copy(&entry, &target)?;
        }
    }
    Ok(())
}

/// Becomes the program that `words` name, and dies when its parent does, however that ends: a server that
/// stayed behind would disturb all later measurements. Returns only if that fails.
pub(crate) fn launch(words: &[OsString]) -> Result<Infallible> {
    let (program, arguments) = words.split_first().context("there is nothing to launch")?;
    set_pdeathsig(Signal::SIGKILL)?;
    let error = Command::new(program).args(arguments).exec();
    Err(error).with_context(|| format!("cannot run {}", program.display()))
}

fn launched(command: &Command) -> Result<Command> {
    let mut launcher = Command::new(env::current_exe()?);
    launcher.arg("launch").arg("--").arg(command.get_program()).args(command.get_args());
    Ok(launcher)
}

impl Programs {
    /// Whether what `subject` needs is there.
    pub(crate) fn check(&self, subject: Subject) -> Result<()> {
        match subject {
            Subject::Java => {
                self.java_release()?;
            }
            Subject::Ringkeeper => {
                ensure!(self.ringkeeper.exists(), "there is no {}", self.ringkeeper.display());
            }
            Subject::Etcd => {
                etcd::start::release(&self.etcd)?;
            }
            Subject::Echo => {}
        }
        Ok(())
    }

    /// The release of ZooKeeper in the folder of jars.
    pub(crate) fn java_release(&self) -> Result<String> {
        let entries = fs::read_dir(&self.java_libs).into_iter().flatten().flatten();
        let release = |name: OsString| {
            let name = name.into_string().ok()?;
            let release = name.strip_prefix("zookeeper-")?.strip_suffix(".jar")?;
            release.starts_with(|first: char| first.is_ascii_digit()).then(|| release.to_owned())
        };
        entries.map(|entry| entry.file_name()).find_map(release).with_context(|| {
            format!(
                "{} does not hold ZooKeeper: run tests/setup, which fetches it, or name another folder with \
                 --java-libs",
                self.java_libs.display()
            )
        })
    }

    fn command(&self, subject: Subject, config: &Path, addr: SocketAddr) -> Result<Command> {
        Ok(match subject {
            Subject::Java => {
                // As zkServer.sh starts it, apart from the admin server, which needs more jars.
                let mut command = Command::new(&self.java);
                command
                    .arg(format!("-Xmx{}m", self.java_heap_mb))
                    .arg("-Dzookeeper.admin.enableServer=false")
                    .arg("-cp")
                    .arg(self.java_libs.join("*"))
                    .arg("org.apache.zookeeper.server.quorum.QuorumPeerMain")
                    .arg(config);
                command
            }
            Subject::Ringkeeper => {
                let mut command = Command::new(&self.ringkeeper);
                command.arg("start-foreground").arg(config);
                command
            }
            Subject::Etcd => {
                let mut command = Command::new(&self.etcd);
                command.arg("--config-file").arg(config);
                command
            }
            Subject::Echo => {
                let mut command = Command::new(env::current_exe()?);
                command.arg("echo-floor").arg(addr.to_string()).arg(self.data_len.to_string());
                command
            }
        })
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(match self {
            Subject::Java => "java",
            Subject::Ringkeeper => "ringkeeper",
            Subject::Echo => "echo",
            Subject::Etcd => "etcd",
        })
    }
}

fn configuration(subject: Subject, dir: &Path, addr: SocketAddr) -> Result<String> {
    let data = dir.join(DATA).canonicalize()?;
    if subject == Subject::Etcd {
        return Ok(etcd::start::server(&data, addr.port()));
    }
    Ok(format!(
        "tickTime=2000\ndataDir={}\nclientPort={}\nclientPortAddress={}\nmaxClientCnxns=0\n",
        data.display(),
        addr.port(),
        addr.ip(),
    ))
}

fn loopback(port: &Port) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port.number()).into()
}

const DATA: &str = "data";
const LOG_TAIL_LINES: usize = 20;

/// How long a server may take to serve.
pub(crate) const START_TIMEOUT: Duration = Duration::from_secs(180);
const PATIENCE_MIN: Duration = Duration::from_millis(100);
const WORD_TIMEOUT: Duration = Duration::from_secs(2);
const STOP_TIMEOUT: Duration = Duration::from_secs(120);
/// How often one looks whether a server has come so far.
pub(crate) const POLL_INTERVAL: Duration = Duration::from_millis(10);
