//! Ensembles of servers, each ringkeeper or the real ZooKeeper of some release.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::PathBuf;

use crate::java::{self, Release};
use crate::ports::Port;
use crate::ringkeeper;
use crate::server::{Server, Settings, until};

/// Servers that know each other: in processes, folders and on ports of their own, none of them started yet.
///
/// Dropping it kills them all; in a test that fails, the ends of their logs are printed first.
pub struct Ensemble {
    binary: PathBuf,
    /// Lines of every server's zoo.cfg, whatever it is.
    config: BTreeMap<String, String>,
    members: BTreeMap<u8, Member>,
    /// How many of them vote.
    voters: usize,
}

struct Member {
    server: Server,
    kind: Kind,
    /// The quorum port and the election port, held as long as the ensemble lives.
    ports: [Port; 2],
    /// Where they are.
    host: Ipv4Addr,
}

/// What a server of an ensemble is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The program under test.
    Ringkeeper,
    /// The real thing.
    Java(Release),
}

impl Ensemble {
    /// Servers with ids from 1 on, in this order; those of `observers` follow behind, and have no vote.
    /// `binary` is `env!("CARGO_BIN_EXE_ringkeeper")` in a test of the root package.
    pub fn new(binary: impl Into<PathBuf>, voters: &[Kind], observers: &[Kind]) -> Self {
        let binary = binary.into();
        let kinds: Vec<(u8, Kind)> = (1..).zip(voters.iter().chain(observers).copied()).collect();
        let mut config: BTreeMap<String, String> =
            SETTINGS.map(|(key, value)| (key.into(), value.into())).into();
        let ports: Vec<[Port; 2]> = kinds.iter().map(|_| [Port::claim(), Port::claim()]).collect();
        for ((id, _), [quorum, election]) in kinds.iter().zip(&ports) {
            let role = if usize::from(*id) > voters.len() { ":observer" } else { "" };
            let line = format!("{}:{}:{}{role}", Ipv4Addr::LOCALHOST, quorum.number(), election.number());
            config.insert(format!("server.{id}"), line);
        }
        let members = kinds.into_iter().zip(ports).map(|((id, kind), ports)| {
            let server = settings(kind, &binary, &config).prepare();
            fs::create_dir_all(server.data_dir()).expect("a folder of the server's own");
            fs::write(server.data_dir().join("myid"), id.to_string()).expect("its folder can be written");
            (id, Member { server, kind, ports, host: Ipv4Addr::LOCALHOST })
        });
        let mut ensemble = Self { members: members.collect(), voters: voters.len(), binary, config };
        for id in (1..).skip(voters.len()).take(observers.len()) {
            ensemble.change(id, |settings| settings.config("peerType", "observer"));
        }
        ensemble
    }

    /// A system property of every server.
    #[must_use]
    pub fn property(mut self, name: &str, value: impl Display + Copy) -> Self {
        for id in self.ids() {
            self.change(id, |settings| settings.property(name, value));
        }
        self
    }

    /// A line of every server's zoo.cfg.
    #[must_use]
    pub fn config(mut self, key: &str, value: impl Display + Copy) -> Self {
        self.config.insert(key.into(), value.to_string());
        for id in self.ids() {
            self.change(id, |settings| settings.config(key, value));
        }
        self
    }

    /// Gives each server an address of its own on the loopback network, for its ports towards other servers: those
    /// that have the same number on all of them don't collide.
    #[must_use]
    pub fn hosts_apart(mut self) -> Self {
        for id in self.ids() {
            let host = Ipv4Addr::new(127, 0, 1, id);
            let key = format!("server.{id}");
            let line = self.config[&key].replacen(&Ipv4Addr::LOCALHOST.to_string(), &host.to_string(), 1);
            self = self.config(&key, line.as_str());
            self.members.get_mut(&id).expect("a server of the ensemble").host = host;
        }
        self
    }

    /// The servers' ids, ascending.
    pub fn ids(&self) -> Vec<u8> {
        self.members.keys().copied().collect()
    }

    /// What a server is.
    pub fn kind(&self, id: u8) -> Kind {
        self.members[&id].kind
    }

    /// A server.
    pub fn server(&mut self, id: u8) -> &mut Server {
        &mut self.members.get_mut(&id).expect("a server of the ensemble").server
    }

    /// Where clients connect to a server.
    pub fn addr(&self, id: u8) -> SocketAddr {
        self.members[&id].server.addr()
    }

    /// Starts servers that are stopped, together, and waits until each serves.
    pub fn start(&mut self, ids: &[u8]) {
        for id in ids {
            self.server(*id).launch();
        }
        self.until_serving(ids);
    }

    /// Starts a server that is stopped, and waits until others can reach it for an election.
    pub fn start_alone(&mut self, id: u8) {
        self.server(id).launch();
        let Member { ports: [_, election], host, .. } = &self.members[&id];
        let addr = (*host, election.number());
        until(&format!("server {id} is there"), || TcpStream::connect(addr).is_ok());
    }

    /// Starts all servers, so that `leader` leads, the voter with the largest id: first with no more others than make a
    /// majority with it, who can elect nobody without it then, however long it takes to start.
    ///
    /// # Panics
    /// When another server leads, or not all of them serve in time.
    pub fn start_led_by(&mut self, leader: u8) {
        let others: Vec<u8> = self.ids().into_iter().filter(|id| *id != leader).collect();
        let (first, rest) = others.split_at(self.voters / 2);
        self.start(&[&[leader], first].concat());
        self.start(rest);
        assert_eq!(self.leader_among(&self.ids()), leader);
    }

    /// Waits until each of these servers serves clients.
    pub fn until_serving(&self, ids: &[u8]) {
        for id in ids {
            until(&format!("server {id} serves"), || self.polled_mode(*id).is_some());
        }
    }

    /// What a server that serves says that it is: `leader`, `follower` or `observer`.
    pub fn mode(&self, id: u8) -> Option<String> {
        mode_in(&self.members[&id].server.word("srvr").ok()?)
    }

    fn polled_mode(&self, id: u8) -> Option<String> {
        mode_in(&self.members[&id].server.polled_word("srvr").ok()?)
    }

    /// The server that leads, as soon as one of these does, and the others serve.
    ///
    /// # Panics
    /// When that is not so in time.
    pub fn leader_among(&self, ids: &[u8]) -> u8 {
        let mut leader = None;
        until(&format!("servers {ids:?} serve, led by one of them"), || {
            let modes: Option<Vec<String>> = ids.iter().map(|id| self.polled_mode(*id)).collect();
            let leads = |modes: Vec<String>| ids.iter().zip(modes).find(|(_, mode)| mode == "leader");
            leader = modes.and_then(leads).map(|(id, _)| *id);
            leader.is_some()
        });
        leader.expect("until returns when it is so")
    }

    /// Makes another program of a server that is stopped, with the same id, ports and folder.
    pub fn replace(&mut self, id: u8, kind: Kind) {
        let new = settings(kind, &self.binary, &self.config);
        let member = self.members.get_mut(&id).expect("a server of the ensemble");
        member.kind = kind;
        member.server.change(|_| new);
    }

    /// Where a server's ports towards other servers are.
    pub fn host(&self, id: u8) -> Ipv4Addr {
        self.members[&id].host
    }

    /// The quorum port and the election port of a server.
    pub fn peer_ports(&self, id: u8) -> [u16; 2] {
        let [quorum, election] = &self.members[&id].ports;
        [quorum.number(), election.number()]
    }

    /// Clients of a server that runs connect to this port from now on.
    pub fn move_clients(&mut self, id: u8, port: u16) {
        self.server(id).move_clients(port);
    }

    /// Changes how a server that is stopped is to be started.
    pub fn change(&mut self, id: u8, change: impl FnOnce(Settings) -> Settings) {
        self.server(id).change(change);
    }
}

fn mode_in(srvr: &str) -> Option<String> {
    srvr.lines().find_map(|line| line.strip_prefix("Mode: ").map(str::to_owned))
}

fn settings(kind: Kind, binary: &PathBuf, config: &BTreeMap<String, String>) -> Settings {
    let settings = match kind {
        Kind::Ringkeeper => ringkeeper::server(binary),
        Kind::Java(release) => java::server_of(release),
    };
    config.iter().fold(settings, |settings, (key, value)| settings.config(key, value))
}

/// Sessions may be short; a busy machine may be slow, and sessions long. Logs are read through again and again for what is
/// in them, and mostly hold little.
const SETTINGS: [(&str, &str); 5] = [
    ("tickTime", "500"),
    ("initLimit", "60"),
    ("syncLimit", "30"),
    ("maxSessionTimeout", "60000"),
    ("preAllocSize", "4096"),
];
