//! The servers under a load: named ones, or some that are started here. Those are watched while the load is
//! measured, and what is to befall them does.
//!
//! They belong to a thread of their own: servers end with the thread that started them, whatever ends that.

use std::fmt;
use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail, ensure};
use clap::ValueEnum;
use nix::sys::signal::Signal;
use serde::{Deserialize, Serialize, Serializer};
use tracing::{info, warn};

use super::Settings;
use crate::device::{Device, DeviceUse};
use crate::engine::{ANSWER_TIMEOUT, now};
use crate::etcd;
use crate::members::Members;
use crate::process::{Probe, Sample, Usage};
use crate::server::{Folder, Subject};

/// Servers to start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ValueEnum)]
pub(crate) enum Start {
    Ringkeeper,
    /// The release whose jars are in --java-libs
    Java,
    /// The program that --etcd names
    Etcd,
}

/// What servers speak.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
#[value(rename_all = "lowercase")]
pub(crate) enum Protocol {
    #[default]
    ZooKeeper,
    /// etcd's gRPC, with its operations in place of ZooKeeper's
    Etcd,
}

/// The servers under a load.
pub(super) struct Target {
    addrs: Vec<SocketAddr>,
    description: String,
    /// Of servers that were started.
    keeper: Option<Keeper>,
}

struct Keeper {
    orders: Sender<Order>,
    thread: JoinHandle<Result<()>>,
}

/// What the servers' thread is to do.
enum Order {
    /// Begin to watch: the measurement begins at this time.
    Watch {
        from: u64,
        faults: Vec<Fault>,
    },
    /// Repair all, and tell what was seen.
    Report(Sender<Result<Seen>>),
    End,
}

/// What servers used, and what befell them.
type Seen = (Vec<ServerSample>, Vec<(f64, String)>);

/// A measurement during which the servers are watched.
pub(super) struct Watch<'a> {
    keeper: Option<&'a Keeper>,
}

/// What one server, or the disk, did during the second before.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct ServerSample {
    pub(crate) server: String,
    /// Since the measurement began.
    pub(crate) second: f64,
    /// CPU time by wall-clock time.
    pub(crate) cpu: f64,
    pub(crate) resident_mib: f64,
    pub(crate) switches_per_second: f64,
    /// Handed to the storage layer, MiB in a second.
    pub(crate) written_mib: f64,
    /// Flushes of the whole disk's write cache in a second, whoever asked for them: what fsync comes to.
    pub(crate) disk_flushes_per_second: Option<f64>,
}

/// What is to befall a server.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Fault {
    what: Harm,
    /// Seconds since the measurement began.
    at: f64,
    /// Seconds that it lasts.
    lasts: f64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Harm {
    /// kill -9; it is started again at the end.
    Kill(Whom),
    /// SIGSTOP, and SIGCONT at the end.
    Pause(Whom),
    /// Somebody else writes and syncs beside the servers' data, as fast as the disk can.
    SlowDisk,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Whom {
    Leader,
    Follower,
}

impl Target {
    /// Finds the servers that the operator named, or starts those that he asked for.
    pub(super) fn reach(settings: &Settings, protocol: Protocol) -> Result<Target> {
        let Some(start) = settings.start else {
            let mut addrs = Vec::new();
            for name in &settings.servers {
                let found = name.to_socket_addrs().with_context(|| format!("{name:?} is not host:port"))?;
                addrs.extend(found.take(1));
            }
            ensure!(!addrs.is_empty(), "no server is named");
            let mut description = format!("Servers: {}", settings.servers.join(", "));
            if protocol == Protocol::Etcd {
                let session = etcd::Session::open(addrs[0], ANSWER_TIMEOUT)?;
                description += &format!(", etcd {}", session.version());
            }
            return Ok(Target { addrs, description, keeper: None });
        };
        let subject = match start {
            Start::Ringkeeper => Subject::Ringkeeper,
            Start::Java => Subject::Java,
            Start::Etcd => Subject::Etcd,
        };
        let host = settings.ground.look()?;
        let programs = settings.ground.programs(&[subject], settings.java_heap_mb, 0)?;
        let name = match start {
            Start::Ringkeeper => "ringkeeper".to_owned(),
            Start::Java => format!("Java {}", programs.java_release()?),
            Start::Etcd => format!("etcd {}", etcd::start::release(&programs.etcd)?),
        };
        let description = format!(
            "Servers: {} × {name}, started on CPUs {}; load generator on {}",
            settings.count,
            settings.server_cpus,
            settings.load_cpus.as_ref().map_or("any".to_owned(), |cpus| format!("CPUs {cpus}"))
        );
        let (orders, received) = channel();
        let (started, start) = channel();
        let settings = settings.clone();
        let device = Device::find(&host.disk.device_number);
        let thread = thread::spawn(move || {
            let root = Folder::fresh(settings.ground.dir.join("load"))?;
            let more: String = settings.zoo_cfg.iter().map(|line| format!("{line}\n")).collect();
            let cpus = &settings.server_cpus;
            let members =
                match Members::start_some(settings.count, subject, &programs, cpus, root.path(), None, &more)
                {
                    Ok(members) => members,
                    Err(error) => {
                        // Whoever waits for the start gets the error from there.
                        let _ = started.send(Err(error));
                        return Ok(());
                    }
                };
            if started.send(Ok(members.addrs())).is_err() {
                return Ok(());
            }
            Keeping { members, device, root }.obey(&received)
        });
        let addrs = start.recv().context("the servers' thread ended")??;
        Ok(Target { addrs, description, keeper: Some(Keeper { orders, thread }) })
    }

    /// Where clients connect.
    pub(super) fn addrs(&self) -> &[SocketAddr] {
        &self.addrs
    }

    /// Which servers they are, in words.
    pub(super) fn description(&self) -> String {
        self.description.clone()
    }

    /// Watches the servers from now on; the measurement begins at `from`, in ns of [`now`].
    pub(super) fn watch(&self, from: u64, faults: &[Fault]) -> Result<Watch<'_>> {
        if let Some(keeper) = &self.keeper {
            keeper.order(Order::Watch { from, faults: faults.to_vec() })?;
        }
        Ok(Watch { keeper: self.keeper.as_ref() })
    }

    /// Ends the servers that were started.
    pub(super) fn end(self) -> Result<()> {
        let Some(Keeper { orders, thread }) = self.keeper else { return Ok(()) };
        // A thread that is gone has said why.
        let _ = orders.send(Order::End);
        thread.join().map_err(|_| anyhow!("the servers' thread panicked"))?
    }
}

impl Watch<'_> {
    /// Repairs what was harmed, waits until all serve, and returns what was seen.
    pub(super) fn end(self) -> Result<Seen> {
        let Some(keeper) = self.keeper else { return Ok(Seen::default()) };
        let (reply, answer) = channel();
        keeper.order(Order::Report(reply))?;
        answer.recv().context("the servers' thread ended")?
    }
}

impl Keeper {
    fn order(&self, order: Order) -> Result<()> {
        self.orders.send(order).map_err(|_| anyhow!("the servers' thread ended early"))
    }
}

/// The state of the servers' thread.
struct Keeping {
    members: Members,
    device: Option<Device>,
    /// Holds the servers' folders; removed behind them.
    root: Folder,
}

impl Keeping {
    fn obey(mut self, orders: &Receiver<Order>) -> Result<()> {
        // A sender that is gone wants no servers any more.
        while let Ok(order) = orders.recv() {
            match order {
                Order::Watch { from, faults } => {
                    let (seen, reply) = self.watch(from, faults, orders);
                    let repaired = self.members.until_all_serve().context("after the faults");
                    if let Some(reply) = reply {
                        let _ = reply.send(seen.and_then(|seen| repaired.map(|()| seen)));
                    }
                }
                Order::Report(reply) => drop(reply.send(Ok(Seen::default()))),
                Order::End => break,
            }
        }
        self.members.stop()
    }

    /// Samples each second and harms when it is time, until a report is asked for.
    fn watch(
        &mut self,
        from: u64,
        faults: Vec<Fault>,
        orders: &Receiver<Order>,
    ) -> (Result<Seen>, Option<Sender<Result<Seen>>>) {
        let mut watching = Watching::new(from, faults, self.members.pids().len());
        loop {
            let patience = Duration::from_nanos(watching.next_at().saturating_sub(now()));
            match orders.recv_timeout(patience) {
                Err(RecvTimeoutError::Timeout) => {
                    if let Err(error) = watching.go_on(self) {
                        warn!("while watching the servers: {error:#}");
                        watching.error.get_or_insert(error);
                    }
                }
                order => {
                    let repaired = watching.repair(self);
                    let seen = match (watching.error, repaired) {
                        (Some(error), _) | (None, Err(error)) => Err(error),
                        (None, Ok(())) => Ok((watching.samples, watching.befell)),
                    };
                    let reply = if let Ok(Order::Report(reply)) = order { Some(reply) } else { None };
                    return (seen, reply);
                }
            }
        }
    }
}

/// One measurement, as the servers' thread sees it.
struct Watching {
    from: u64,
    next_sample: u64,
    /// What is still to come, the next one last.
    faults: Vec<Fault>,
    /// What has to be undone, and when.
    undo: Vec<(u64, Undo)>,
    before: Vec<Option<Before>>,
    disk_before: Option<DeviceUse>,
    sampled_at: u64,
    samples: Vec<ServerSample>,
    befell: Vec<(f64, String)>,
    error: Option<anyhow::Error>,
}

/// A server's counters at the last sample.
struct Before {
    pid: u32,
    sample: Sample,
    cpu: Duration,
}

enum Undo {
    Start(usize),
    Continue(usize),
    StopWriting(Arc<AtomicBool>),
}

impl Watching {
    fn new(from: u64, mut faults: Vec<Fault>, servers: usize) -> Watching {
        faults.sort_by(|a, b| b.at.total_cmp(&a.at));
        Watching {
            from,
            next_sample: from,
            faults,
            undo: Vec::new(),
            before: (0..servers).map(|_| None).collect(),
            disk_before: None,
            sampled_at: from,
            samples: Vec::new(),
            befell: Vec::new(),
            error: None,
        }
    }

    fn next_at(&self) -> u64 {
        let fault = self.faults.last().map(|fault| self.from + nanos(fault.at));
        let undo = self.undo.iter().map(|(at, _)| *at).min();
        [Some(self.next_sample), fault, undo].into_iter().flatten().min().unwrap_or(self.next_sample)
    }

    fn go_on(&mut self, keeping: &mut Keeping) -> Result<()> {
        let at = now();
        if at >= self.next_sample {
            self.sample(keeping, at);
            self.next_sample += NS_PER_SECOND;
        }
        while let Some(index) = self.undo.iter().position(|(when, _)| *when <= at) {
            let (_, undo) = self.undo.swap_remove(index);
            self.undo(keeping, undo)?;
        }
        if let Some(fault) = self.faults.pop_if(|fault| self.from + nanos(fault.at) <= at) {
            self.harm(keeping, &fault)?;
        }
        Ok(())
    }

    fn harm(&mut self, keeping: &mut Keeping, fault: &Fault) -> Result<()> {
        let until = now() + nanos(fault.lasts);
        let (index, undo) = match fault.what {
            Harm::Kill(whom) => {
                let index = whom.find(&keeping.members)?;
                keeping.members.kill(index)?;
                (Some(index), Undo::Start(index))
            }
            Harm::Pause(whom) => {
                let index = whom.find(&keeping.members)?;
                keeping.members.signal(index, Signal::SIGSTOP)?;
                (Some(index), Undo::Continue(index))
            }
            Harm::SlowDisk => {
                let stop = Arc::new(AtomicBool::new(false));
                let (path, flag) = (keeping.root.path().join("other-writer"), stop.clone());
                thread::spawn(move || {
                    if let Err(error) = write_until(&path, &flag) {
                        warn!("the other writer: {error:#}");
                    }
                });
                (None, Undo::StopWriting(stop))
            }
        };
        let whom = index.map_or(String::new(), |index| format!(" (server {})", index + 1));
        self.note(format!("{fault}{whom}"));
        self.undo.push((until, undo));
        Ok(())
    }

    fn undo(&mut self, keeping: &mut Keeping, undo: Undo) -> Result<()> {
        match undo {
            Undo::Start(index) => {
                self.note(format!("server {} started", index + 1));
                keeping.members.restart(index)
            }
            Undo::Continue(index) => {
                self.note(format!("server {} goes on", index + 1));
                keeping.members.signal(index, Signal::SIGCONT)
            }
            Undo::StopWriting(stop) => {
                stop.store(true, Ordering::Relaxed);
                self.note("the disk is the servers' own again".to_owned());
                Ok(())
            }
        }
    }

    /// Undoes everything at the end.
    fn repair(&mut self, keeping: &mut Keeping) -> Result<()> {
        for fault in std::mem::take(&mut self.faults) {
            warn!("{fault} did not happen: the measurement was over");
        }
        for (_, undo) in std::mem::take(&mut self.undo) {
            self.undo(keeping, undo)?;
        }
        Ok(())
    }

    fn note(&mut self, what: String) {
        let second = now().saturating_sub(self.from) as f64 / 1e9;
        info!("at {second:.1} s: {what}");
        self.befell.push((second, what));
    }

    fn sample(&mut self, keeping: &Keeping, at: u64) {
        let seconds = at.saturating_sub(self.sampled_at) as f64 / 1e9;
        self.sampled_at = at;
        let disk = keeping.device.as_ref().and_then(|device| device.now().ok());
        let flushes = disk.zip(self.disk_before).and_then(|(now, before)| now.since(before).flushes);
        self.disk_before = disk;
        for (index, pid) in keeping.members.pids().into_iter().enumerate() {
            // A server that is down, or goes down right now, has no figures.
            let now = pid.and_then(|pid| Before::look(pid).ok());
            if let (Some(now), Some(before)) = (&now, &self.before[index])
                && now.pid == before.pid
            {
                let used = Usage::between(&before.sample, &now.sample, now.cpu - before.cpu);
                self.samples.push(ServerSample {
                    server: format!("server {}", index + 1),
                    second: at.saturating_sub(self.from) as f64 / 1e9,
                    cpu: used.cpu_ns as f64 / 1e9 / seconds,
                    resident_mib: used.resident_bytes as f64 / MIB,
                    switches_per_second: used.context_switches as f64 / seconds,
                    written_mib: used.written_bytes as f64 / MIB / seconds,
                    disk_flushes_per_second: flushes.map(|flushes| flushes as f64 / seconds),
                });
            }
            self.before[index] = now;
        }
    }
}

impl Before {
    fn look(pid: u32) -> Result<Before> {
        let probe = Probe::new(pid)?;
        Ok(Before { pid, sample: probe.sample()?, cpu: probe.cpu()? })
    }
}

impl Whom {
    fn find(self, members: &Members) -> Result<usize> {
        let leader = members.leader()?;
        match self {
            Whom::Leader => Ok(leader),
            Whom::Follower => {
                let count = members.pids().len();
                ensure!(count > 1, "a single server has no follower");
                Ok((leader + 1) % count)
            }
        }
    }
}

/// Writes blocks and syncs each of them, until it is told to stop.
fn write_until(path: &Path, stop: &AtomicBool) -> Result<()> {
    let mut file = File::create(path).with_context(|| format!("cannot make {}", path.display()))?;
    let block = vec![0x5a; 1 << 20];
    let mut written = 0;
    while !stop.load(Ordering::Relaxed) {
        if written == OTHER_WRITER_MIB {
            file.seek(SeekFrom::Start(0))?;
            written = 0;
        }
        file.write_all(&block)?;
        file.sync_data()?;
        written += 1;
    }
    Ok(std::fs::remove_file(PathBuf::from(path))?)
}

impl FromStr for Fault {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Fault> {
        let (what, when) = text.split_once('@').context("a fault is like kill-leader@3:2")?;
        let what = match what {
            "kill-leader" => Harm::Kill(Whom::Leader),
            "kill-follower" => Harm::Kill(Whom::Follower),
            "pause-leader" => Harm::Pause(Whom::Leader),
            "pause-follower" => Harm::Pause(Whom::Follower),
            "slow-disk" => Harm::SlowDisk,
            _ => bail!("{what:?} is none of kill-, pause- leader or follower, slow-disk"),
        };
        let (at, lasts) = when.split_once(':').unwrap_or((when, LASTS));
        let seconds = |text: &str| {
            let seconds: f64 = text.parse().with_context(|| format!("{text:?} is not a time in seconds"))?;
            ensure!((0.0..=3600.0).contains(&seconds), "a time is from 0 to 3600 seconds");
            anyhow::Ok(seconds)
        };
        Ok(Fault { what, at: seconds(at)?, lasts: seconds(lasts)? })
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Fault { what, lasts, .. } = self;
        let whom = |whom: &Whom| if *whom == Whom::Leader { "leader" } else { "follower" };
        match what {
            Harm::Kill(of) => write!(out, "{} killed", whom(of)),
            Harm::Pause(of) => write!(out, "{} paused for {lasts} s", whom(of)),
            Harm::SlowDisk => write!(out, "another writer on the disk for {lasts} s"),
        }
    }
}

impl Serialize for Fault {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&format!("{self} at {}", self.at))
    }
}

fn nanos(seconds: f64) -> u64 {
    (seconds * 1e9) as u64
}

/// How long a fault lasts if nobody says, in seconds.
const LASTS: &str = "2";
const OTHER_WRITER_MIB: u32 = 256;
const NS_PER_SECOND: u64 = 1_000_000_000;
const MIB: f64 = (1 << 20) as f64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_is_what_when_and_for_how_long() {
        let fault: Fault = "pause-follower@5:1.5".parse().unwrap();
        assert_eq!(fault, Fault { what: Harm::Pause(Whom::Follower), at: 5.0, lasts: 1.5 });
        assert_eq!("slow-disk@0".parse::<Fault>().unwrap().lasts, 2.0);
        for bad in ["kill-leader", "kill@3", "kill-leader@", "kill-leader@-1", "kill-leader@1:x"] {
            assert!(bad.parse::<Fault>().is_err(), "{bad}");
        }
    }

    #[test]
    fn samples_faults_and_their_ends_come_in_the_order_of_their_times() {
        let faults = vec!["kill-leader@5".parse().unwrap(), "pause-follower@0.5".parse().unwrap()];
        let mut watching = Watching::new(1000, faults, 3);
        assert_eq!(watching.next_at(), 1000, "the first sample");
        watching.next_sample += NS_PER_SECOND;
        assert_eq!(watching.next_at(), 1000 + NS_PER_SECOND / 2, "the earlier fault");
        watching.faults.pop();
        watching.undo.push((1000 + 7, Undo::Start(0)));
        assert_eq!(watching.next_at(), 1007, "the end of a fault");
    }
}
