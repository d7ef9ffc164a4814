//! A server in a process of its own, on ports and in a folder of its own.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt::{self, Write as _};
use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpStream};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::ports::Port;

/// A standalone server, real ZooKeeper or ringkeeper, listening on a port of the loopback address.
///
/// Dropping it kills the process and removes its folder; in a test that fails, the end of the server's log
/// is printed first.
pub struct Server {
    settings: Settings,
    port: Port,
    dir: TempDir,
    child: Option<Child>,
}

/// How a [`Server`] is to be started: its program, zoo.cfg and system properties.
#[derive(Clone, Debug)]
pub struct Settings {
    program: PathBuf,
    /// A command that runs the program, in its own process.
    through: Vec<OsString>,
    /// What stands before the properties, and what between them and the path of zoo.cfg.
    arguments: [Vec<OsString>; 2],
    config: BTreeMap<String, String>,
    properties: BTreeMap<String, String>,
    /// Whether zoo.cfg is the server's own once it is there.
    keeps_config: bool,
}

/// A server that ended, or did not answer, instead of serving.
#[derive(Debug)]
pub struct NotServing {
    /// How it ended; none when it was still running at the deadline (and was then killed).
    pub status: Option<ExitStatus>,
    /// All that it printed.
    pub log: String,
}

impl Settings {
    pub(crate) fn new(program: PathBuf, arguments: [Vec<OsString>; 2]) -> Self {
        let (through, config, properties) = (Vec::new(), BTreeMap::new(), BTreeMap::new());
        let settings = Self { program, through, arguments, config, properties, keeps_config: false };
        settings
            .config("tickTime", "2000")
            .config("clientPortAddress", Ipv4Addr::LOCALHOST)
            .config("4lw.commands.whitelist", "*")
            .config("admin.enableServer", "false")
    }

    /// What is run.
    pub fn program(&self) -> &Path {
        &self.program
    }

    /// A line of zoo.cfg, in place of the one with the same key. `dataDir` and `clientPort` are set at the
    /// start, unless given here.
    #[must_use]
    pub fn config(mut self, key: &str, value: impl fmt::Display) -> Self {
        self.config.insert(key.into(), value.to_string());
        self
    }

    /// Without the line of zoo.cfg that has this key.
    #[must_use]
    pub fn without(mut self, key: &str) -> Self {
        self.config.remove(key);
        self
    }

    /// zoo.cfg is written at the first start only: a server that can be reconfigured changes it itself.
    #[must_use]
    pub fn keep_config(mut self) -> Self {
        self.keeps_config = true;
        self
    }

    /// A system property, handed over as `-Dname=value`.
    #[must_use]
    pub fn property(mut self, name: &str, value: impl fmt::Display) -> Self {
        self.properties.insert(name.into(), value.to_string());
        self
    }

    /// The program is run by this command, which becomes it: `ip netns exec`, say.
    #[must_use]
    pub fn through(mut self, command: &[&str]) -> Self {
        self.through = command.iter().map(OsString::from).collect();
        self
    }

    /// Starts the server and waits until it serves.
    ///
    /// # Panics
    /// When it does not come to serve; the message has its log.
    pub fn start(self) -> Server {
        self.try_start().unwrap_or_else(|failure| panic!("{failure}"))
    }

    /// Starts the server and waits until it serves.
    ///
    /// # Errors
    /// When it ends instead, or does not serve within [`START_TIMEOUT`].
    pub fn try_start(self) -> Result<Server, NotServing> {
        let mut server = self.prepare();
        server.try_start()?;
        Ok(server)
    }

    /// The server with its port and folder, not started yet.
    pub fn prepare(self) -> Server {
        let dir = tempfile::Builder::new().prefix("ringkeeper-test-").tempdir().expect("a temporary folder");
        Server { settings: self, port: Port::claim(), dir, child: None }
    }
}

impl Server {
    /// Where clients connect.
    pub fn addr(&self) -> SocketAddr {
        let setting = |key| self.settings.config.get(key);
        let host = setting("clientPortAddress").and_then(|host| host.parse().ok());
        let host = host.filter(|host: &Ipv4Addr| !host.is_unspecified()).unwrap_or(Ipv4Addr::LOCALHOST);
        let port = setting("clientPort").map(|port| port.parse().expect("a port number"));
        (host, port.unwrap_or(self.port.number())).into()
    }

    /// Clients connect to this port from now on, which the server was told otherwise than by its settings.
    pub fn move_clients(&mut self, port: u16) {
        self.settings.config.insert("clientPort".into(), port.to_string());
    }

    /// The server's own folder: zoo.cfg, its data and its log.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// `dataDir`.
    pub fn data_dir(&self) -> PathBuf {
        self.settings.config.get("dataDir").map_or_else(|| self.dir().join("data"), PathBuf::from)
    }

    /// All that the server printed since it was first started.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(self.log_path()).unwrap_or_default()).into_owned()
    }

    /// Waits until the server has printed `text` at least `count` times.
    ///
    /// # Panics
    /// When it has not within [`START_TIMEOUT`].
    pub fn until_logged(&self, text: &str, count: usize) {
        until(&format!("{text:?} is {count} times in the log"), || self.log().matches(text).count() >= count);
    }

    /// Changes how a stopped server is to be started.
    ///
    /// # Panics
    /// When the server is running.
    pub fn change(&mut self, change: impl FnOnce(Settings) -> Settings) {
        assert!(self.child.is_none(), "the server is running");
        self.settings = change(self.settings.clone());
    }

    /// The running process.
    ///
    /// # Panics
    /// When the server is stopped.
    pub fn pid(&self) -> u32 {
        self.child.as_ref().expect("the server is running").id()
    }

    /// Starts a stopped server again, on the same port and folder.
    ///
    /// # Panics
    /// When it does not come to serve; the message has its log.
    pub fn start(&mut self) {
        self.try_start().unwrap_or_else(|failure| panic!("{failure}"));
    }

    /// Starts a stopped server again, on the same port and folder.
    ///
    /// # Errors
    /// When it ends instead, or does not serve within [`START_TIMEOUT`].
    ///
    /// # Panics
    /// When the server is running.
    pub fn try_start(&mut self) -> Result<(), NotServing> {
        self.launch();
        self.until_serving()
    }

    /// Starts a stopped server again and does not wait until it serves: for a test that kills it first.
    ///
    /// # Panics
    /// When the server is running.
    pub fn launch(&mut self) {
        assert!(self.child.is_none(), "the server is running already");
        let config = self.write_config();
        let [before, behind] = &self.settings.arguments;
        let properties = self.settings.properties.iter().map(|(name, value)| format!("-D{name}={value}"));
        let log = File::options().create(true).append(true).open(self.log_path()).expect("the server's log");
        let program = self.settings.program.as_os_str();
        let mut words = self.settings.through.iter().map(OsString::as_os_str).chain([program]);
        let child = Command::new(words.next().expect("at least the program"))
            .args(words)
            .args(before)
            .args(properties)
            .args(behind)
            .arg(config)
            .current_dir(self.dir())
            // Properties that the operator of this machine set are not for servers under test.
            .env_remove("SERVER_JVMFLAGS")
            .env_remove("JVMFLAGS")
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("the server's log"))
            .stderr(log)
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}", self.settings.program.display()));
        self.child = Some(child);
    }

    /// Asks the server to stop (SIGTERM) and waits until it has ended.
    ///
    /// # Panics
    /// When it is not running, or has not ended within [`STOP_TIMEOUT`].
    pub fn stop(&mut self) -> ExitStatus {
        self.signal(Signal::TERM);
        self.await_end()
    }

    /// Sends the server a signal.
    ///
    /// # Panics
    /// When it is not running.
    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_child(self.child.as_ref().expect("the server is running"));
        kill_process(pid, signal).expect("a child that was not waited for can be signalled");
    }

    /// Halts the server (SIGSTOP) and waits until none of its threads runs any more: they go on for a moment
    /// after the signal.
    ///
    /// # Panics
    /// When it is not running, or is not halted within [`START_TIMEOUT`].
    pub fn freeze(&self) {
        self.signal(Signal::STOP);
        let tasks = PathBuf::from(format!("/proc/{}/task", self.pid()));
        until("every thread is halted", || {
            let tasks = fs::read_dir(&tasks).expect("a process has threads").filter_map(Result::ok);
            // The state follows the name, which is in parentheses. A thread that has ended runs no more.
            tasks.filter_map(|task| fs::read_to_string(task.path().join("stat")).ok()).all(|stat| {
                stat.rsplit_once(") ").is_some_and(|(_, behind)| behind.starts_with(['T', 'Z', 'X']))
            })
        });
    }

    /// Waits until the server has ended.
    ///
    /// # Panics
    /// When it is not running, or has not ended within [`STOP_TIMEOUT`].
    pub fn await_end(&mut self) -> ExitStatus {
        let mut child = self.child.take().expect("the server is running");
        let deadline = Instant::now() + STOP_TIMEOUT;
        loop {
            if let Some(status) = child.try_wait().expect("a child can be waited for") {
                return status;
            }
            if Instant::now() > deadline {
                self.child = Some(child);
                panic!("still running after {STOP_TIMEOUT:?}");
            }
            thread::sleep(POLL_INTERVAL);
        }
    }

    /// Kills the server (SIGKILL) and waits until it is gone. Does nothing to a stopped one.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill(); // It may have ended by itself.
            let _ = child.wait();
        }
    }

    /// Stops the server and starts it again.
    ///
    /// # Panics
    /// As [`Server::stop`] and [`Server::start`].
    pub fn restart(&mut self) -> ExitStatus {
        let status = self.stop();
        self.start();
        status
    }

    /// The answer to a four-letter word.
    ///
    /// # Errors
    /// When the connection fails, or the server does not answer and close within [`WORD_TIMEOUT`].
    pub fn word(&self, word: &str) -> io::Result<String> {
        four_letter_word(self.addr(), word)
    }

    /// The answer to a four-letter word that is asked for again and again: a JVM that is not ready yet may leave one
    /// unanswered for good.
    pub(crate) fn polled_word(&self, word: &str) -> io::Result<String> {
        word_within(self.addr(), word, POLL_TIMEOUT)
    }

    fn write_config(&self) -> PathBuf {
        let mut config = self.settings.config.clone();
        config.entry("clientPort".into()).or_insert_with(|| self.port.number().to_string());
        config.entry("dataDir".into()).or_insert_with(|| self.data_dir().display().to_string());
        let text = config.iter().fold(String::new(), |mut text, (key, value)| {
            writeln!(text, "{key}={value}").expect("a string takes all that is written");
            text
        });
        let path = self.dir().join("zoo.cfg");
        if self.settings.keeps_config && path.exists() {
            return path;
        }
        fs::write(&path, text).expect("the server's folder can be written");
        path
    }

    fn until_serving(&mut self) -> Result<(), NotServing> {
        let deadline = Instant::now() + START_TIMEOUT;
        loop {
            let child = self.child.as_mut().expect("it was just started");
            if let Some(status) = child.try_wait().expect("a child can be waited for") {
                self.child = None;
                return Err(NotServing { status: Some(status), log: self.log() });
            }
            if self.polled_word("srvr").is_ok_and(|answer| answer.contains("\nMode: ")) {
                return Ok(());
            }
            if Instant::now() > deadline {
                self.kill();
                return Err(NotServing { status: None, log: self.log() });
            }
            thread::sleep(POLL_INTERVAL);
        }
    }

    fn log_path(&self) -> PathBuf {
        self.dir().join("server.log")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
        if thread::panicking() {
            let log = self.log();
            let start = log.len().saturating_sub(LOG_SHOWN_MAX);
            let start = (start..=log.len()).find(|at| log.is_char_boundary(*at)).unwrap_or(log.len());
            #[expect(clippy::print_stderr, reason = "the test's own output shows why it failed")]
            {
                eprintln!("--- end of the log of the server on {}\n{}", self.addr(), &log[start..]);
            }
        }
    }
}

impl fmt::Display for NotServing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.status {
            None => write!(f, "the server was running, yet not serving after {START_TIMEOUT:?}")?,
            Some(status) => match (status.code(), status.signal()) {
                (Some(code), _) => write!(f, "the server ended with exit status {code}")?,
                (None, signal) => write!(f, "the server was ended by signal {signal:?}")?,
            },
        }
        write!(f, "; its log:\n{}", self.log)
    }
}

impl std::error::Error for NotServing {}

/// Waits until something is so.
///
/// # Panics
/// When it is not within [`START_TIMEOUT`].
pub fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + START_TIMEOUT;
    while !is_so() {
        assert!(Instant::now() < deadline, "not so after {START_TIMEOUT:?}: {what}");
        thread::sleep(POLL_INTERVAL);
    }
}

/// The answer to a four-letter word of whatever listens on `addr`.
///
/// # Errors
/// When the connection fails, or the server does not answer and close within [`WORD_TIMEOUT`].
pub fn four_letter_word(addr: SocketAddr, word: &str) -> io::Result<String> {
    word_within(addr, word, WORD_TIMEOUT)
}

fn word_within(addr: SocketAddr, word: &str, timeout: Duration) -> io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&addr, timeout)?;
    stream.set_read_timeout(Some(timeout))?;
    stream.write_all(word.as_bytes())?;
    stream.shutdown(Shutdown::Write)?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

/// How long a server may take to serve. A JVM on a busy machine needs several seconds.
pub const START_TIMEOUT: Duration = Duration::from_secs(60);

/// How long a server may take to end after SIGTERM.
pub const STOP_TIMEOUT: Duration = Duration::from_secs(30);

/// How long a four-letter word may take, on a machine that stops for a moment too.
pub const WORD_TIMEOUT: Duration = Duration::from_secs(20);

const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// How long a word of [`POLL_INTERVAL`]'s rounds may take.
const POLL_TIMEOUT: Duration = Duration::from_millis(500);

/// Bytes of a log that a failing test prints.
const LOG_SHOWN_MAX: usize = 4096;
