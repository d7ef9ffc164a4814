//! Servers of a kind on one machine: three that form an ensemble, or a single one.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use ringkeeper_kit::ports::Port;

use crate::affinity::Cpus;
use crate::etcd;
use crate::process::Probe;
use crate::server::{Folder, POLL_INTERVAL, Programs, START_TIMEOUT, Server, Subject};

/// The servers of an ensemble. Dropping it kills them, and removes their data.
#[derive(Debug)]
pub(crate) struct Members {
    subject: Subject,
    programs: Programs,
    cpus: Cpus,
    /// The lines of the configuration that all have in common.
    config: String,
    members: Vec<Member>,
}

#[derive(Debug)]
struct Member {
    /// `None` while it is down.
    server: Option<Server>,
    folder: Folder,
    client_port: Arc<Port>,
    /// The lines of the configuration that are its own.
    own: String,
    /// The quorum port and the election port, held as long as the ensemble is there.
    peer_ports: [Port; 2],
}

impl Members {
    /// Starts three of `subject`, all on `cpus`, with folders of their own below `dir`, and waits until they
    /// serve, one of them as the leader. Each begins with a copy of the data in `image`, if there is one.
    pub(crate) fn start(
        subject: Subject,
        programs: &Programs,
        cpus: &Cpus,
        dir: &Path,
        image: Option<&Folder>,
    ) -> Result<Members> {
        Members::start_some(3, subject, programs, cpus, dir, image, "")
    }

    /// Starts so many, a single one as a standalone server. `more` are further lines of their configuration.
    pub(crate) fn start_some(
        count: u32,
        subject: Subject,
        programs: &Programs,
        cpus: &Cpus,
        dir: &Path,
        image: Option<&Folder>,
        more: &str,
    ) -> Result<Members> {
        let mut members = Vec::new();
        for id in 1..=count {
            let path = dir.join(format!("{subject}-{id}"));
            let folder = match image {
                Some(image) => image.copy_data(path)?,
                None => Folder::fresh(path)?,
            };
            fs::create_dir_all(folder.data())?;
            let (client_port, peer_ports) = (Arc::new(Port::claim()), [Port::claim(), Port::claim()]);
            members.push(Member { server: None, folder, client_port, own: String::new(), peer_ports });
        }
        let config = match subject {
            Subject::Etcd => of_etcd(&mut members),
            Subject::Java | Subject::Ringkeeper | Subject::Echo => of_zookeeper(&members)?,
        };
        let config = config + more;
        let (programs, cpus) = (programs.clone(), cpus.clone());
        let mut members = Members { subject, programs, cpus, config, members };
        for index in 0..members.members.len() {
            members.launch(index)?;
        }
        members.until_all_serve()?;
        Ok(members)
    }

    /// Where clients connect, server by server.
    pub(crate) fn addrs(&self) -> Vec<SocketAddr> {
        self.members.iter().map(|member| (Ipv4Addr::LOCALHOST, member.client_port.number()).into()).collect()
    }

    /// Reads the figures of all servers together.
    pub(crate) fn probe(&self) -> Result<Probe> {
        Probe::of_all(self.members.iter().filter_map(|member| Some(member.server.as_ref()?.pid())))
    }

    /// The processes of the servers, server by server; `None` where one is down.
    pub(crate) fn pids(&self) -> Vec<Option<u32>> {
        self.members.iter().map(|member| Some(member.server.as_ref()?.pid())).collect()
    }

    /// The number of the server that leads, or is the only one.
    pub(crate) fn leader(&self) -> Result<usize> {
        let leads = |member: &Member| Some(LEADS.contains(&member.server.as_ref()?.mode()?.as_str()));
        self.members
            .iter()
            .position(|member| leads(member).unwrap_or(false))
            .context("no server of the ensemble leads")
    }

    /// Sends SIGKILL to a server, and waits for nothing.
    pub(crate) fn kill(&mut self, index: usize) -> Result<()> {
        self.members[index].server.as_mut().context("that server is down already")?.kill()
    }

    /// Starts a server that was killed, and waits until all serve.
    pub(crate) fn revive(&mut self, index: usize) -> Result<()> {
        self.restart(index)?;
        self.until_all_serve()
    }

    /// Kills a server, and waits for its end.
    pub(crate) fn end(&mut self, index: usize) {
        self.members[index].server = None;
    }

    /// Starts a server, which is killed if it still runs, and waits for nothing.
    pub(crate) fn restart(&mut self, index: usize) -> Result<()> {
        self.end(index);
        self.launch(index)
    }

    /// Sends a signal to a server that runs.
    pub(crate) fn signal(&self, index: usize, signal: Signal) -> Result<()> {
        let server = self.members[index].server.as_ref().context("that server is down already")?;
        Ok(kill(Pid::from_raw(server.pid() as i32), signal)?)
    }

    /// Asks all servers to end, and waits until they have.
    pub(crate) fn stop(mut self) -> Result<()> {
        self.members.iter_mut().filter_map(|member| member.server.take()).try_for_each(Server::stop)
    }

    fn launch(&mut self, index: usize) -> Result<()> {
        let Members { subject, programs, cpus, config, members } = self;
        let member = &mut members[index];
        let (port, more) = (member.client_port.clone(), format!("{}{config}", member.own));
        let server = Server::spawn_at(port, *subject, programs, cpus, &member.folder, &more)?;
        member.server = Some(server);
        Ok(())
    }

    /// Waits until each says that it leads or follows, and one that it leads.
    pub(crate) fn until_all_serve(&mut self) -> Result<()> {
        let begun = Instant::now();
        loop {
            let mut modes = Vec::new();
            for (id, member) in (1..).zip(&mut self.members) {
                let server = member.server.as_mut().with_context(|| format!("server {id} is down"))?;
                server.check_runs().with_context(|| format!("{}, server {id}", self.subject))?;
                modes.extend(server.mode());
            }
            let leaders = modes.iter().filter(|mode| LEADS.contains(&mode.as_str())).count();
            ensure!(leaders <= 1 || begun.elapsed() < START_TIMEOUT, "{leaders} servers lead");
            if modes.len() == self.members.len() && leaders == 1 {
                return Ok(());
            }
            if begun.elapsed() > START_TIMEOUT {
                let logs: Vec<String> = self
                    .members
                    .iter()
                    .filter_map(|member| Some(member.server.as_ref()?.log_tail()))
                    .collect();
                bail!(
                    "after {START_TIMEOUT:?} the servers of {} are {modes:?}, and wrote:\n{}",
                    self.subject,
                    logs.join("\n--\n")
                );
            }
            thread::sleep(POLL_INTERVAL);
        }
    }
}

/// The lines of zoo.cfg by which servers know each other; who is who stands beside their data.
fn of_zookeeper(members: &[Member]) -> Result<String> {
    let mut config = TIMES.to_owned();
    for (id, member) in (1..).zip(members) {
        fs::write(member.folder.data().join("myid"), format!("{id}"))?;
        if members.len() > 1 {
            let [quorum, election] = member.peer_ports.each_ref().map(Port::number);
            config += &format!("server.{id}={}:{quorum}:{election}\n", Ipv4Addr::LOCALHOST);
        }
    }
    Ok(config)
}

/// The same for etcd, whose members have one port for their peers.
fn of_etcd(members: &mut [Member]) -> String {
    let peers: Vec<u16> = members.iter().map(|member| member.peer_ports[0].number()).collect();
    for (id, (member, peer)) in (1..).zip(members.iter_mut().zip(&peers)) {
        member.own = etcd::start::member(id, *peer);
    }
    etcd::start::cluster(&peers)
}

/// What a server says that has nobody above it.
const LEADS: [&str; 2] = ["leader", "standalone"];

/// Those of ZooKeeper's own sample; tickTime is in every configuration of the bench.
const TIMES: &str = "initLimit=10\nsyncLimit=5\n";
