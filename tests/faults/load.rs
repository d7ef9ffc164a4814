use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use ringkeeper_kit::server::until;
use ringkeeper_kit::wire::{Body, Reply, Request, create_mode};

use crate::register::{Histories, Op, Outcome};
use crate::session::{Connected, Session};

/// Clients that read and write the same znodes, move between servers, and come and go with their ephemerals.
pub(crate) struct Load {
    shared: Arc<Shared>,
    clients: Vec<JoinHandle<()>>,
}

/// What the clients did and saw.
struct Shared {
    servers: Vec<SocketAddr>,
    histories: Histories,
    stop: AtomicBool,
    values: AtomicU64,
    /// Acknowledged ephemerals of sessions that were left alone.
    abandoned: Mutex<BTreeSet<String>>,
    sessions_expired: AtomicUsize,
    moves: AtomicUsize,
}

impl Load {
    /// Starts so many clients.
    pub(crate) fn start(servers: Vec<SocketAddr>, clients: usize, seed: u64) -> Load {
        let shared = Arc::new(Shared {
            servers,
            histories: Histories::default(),
            stop: AtomicBool::new(false),
            values: AtomicU64::new(1),
            abandoned: Mutex::default(),
            sessions_expired: AtomicUsize::new(0),
            moves: AtomicUsize::new(0),
        });
        let start = |number: u64| {
            let mut client = Client::new(shared.clone(), seed.wrapping_mul(1000).wrapping_add(number));
            let named = thread::Builder::new().name(format!("client {number}"));
            named.spawn(move || client.run()).expect("a thread is left")
        };
        let clients = (0..clients as u64).map(start).collect();
        Load { shared, clients }
    }

    /// # Panics
    /// When a client saw something that must not be.
    pub(crate) fn assert_well(&mut self) {
        while let Some(at) = self.clients.iter().position(JoinHandle::is_finished) {
            self.clients.remove(at).join().expect("a client saw nothing wrong");
        }
    }

    /// How many operations were begun.
    pub(crate) fn operations(&self) -> usize {
        self.shared.histories.counts().0
    }

    /// Stops the clients, reads every znode on every server, and checks all that was promised. Says what was
    /// checked.
    ///
    /// # Panics
    /// When a promise was broken.
    pub(crate) fn finish(self) -> String {
        self.shared.stop.store(true, Ordering::Relaxed);
        for client in self.clients {
            client.join().expect("a client saw nothing wrong");
        }
        let shared = &self.shared;
        let paths = shared.histories.paths();
        let mut finals = BTreeSet::new();
        for server in &shared.servers {
            // A disk that hangs for longer than syncLimit takes a server out for a moment, with its clients.
            let mut client = Client::new(shared.clone(), 0);
            let mut read = |path: &str| {
                let mut found = Outcome::Unknown;
                until("the server answers", || {
                    found = client.operate_at(*server, path, Op::Get);
                    found != Outcome::Unknown
                });
                found
            };
            finals.insert(paths.iter().map(|path| read(path)).collect::<Vec<_>>());
            let abandoned = shared.abandoned.lock().expect("nobody panics with it");
            for path in &*abandoned {
                until(&format!("{path} is gone with its session"), || {
                    client.is_at(*server) && client.owner(path) == Some(None)
                });
            }
        }
        assert_eq!(finals.len(), 1, "servers have different data");
        shared.histories.assert_linearizable();
        let (begun, unknown) = shared.histories.counts();
        format!(
            "{begun} operations on {} znodes, {unknown} of unknown outcome; {} moves of sessions, {} expired, \
             {} left alone",
            paths.len(),
            shared.moves.load(Ordering::Relaxed),
            shared.sessions_expired.load(Ordering::Relaxed),
            shared.abandoned.lock().expect("nobody panics with it").len()
        )
    }
}

struct Client {
    shared: Arc<Shared>,
    random: fastrand::Rng,
    session: Session,
    /// Whether the session's ephemeral was acknowledged.
    has_ephemeral: bool,
    /// What was last read, and where.
    known: (String, i32),
}

impl Client {
    fn new(shared: Arc<Shared>, seed: u64) -> Client {
        let random = fastrand::Rng::with_seed(seed);
        Client { shared, random, session: Session::new(), has_ephemeral: false, known: (String::new(), -1) }
    }

    fn run(&mut self) {
        while !self.shared.stop.load(Ordering::Relaxed) {
            if self.session.is_connected() || self.connect() {
                self.step();
            }
        }
        self.abandon();
    }

    fn step(&mut self) {
        if !self.has_ephemeral {
            let create = Request::create(ephemeral(self.session.id()), b"", create_mode::EPHEMERAL);
            self.has_ephemeral =
                self.session.call(&create).is_some_and(|reply| matches!(reply.err, 0 | -110));
            return;
        }
        match self.random.u32(..1000) {
            0..4 => self.close(),
            4..6 => self.abandon(),
            6..16 => self.session.hang_up(),
            16..30 => self.assert_ephemeral(),
            choice => {
                let path = self.path();
                let value = self.shared.values.fetch_add(1, Ordering::Relaxed);
                let op = match choice {
                    30..500 => Op::Get,
                    500..800 => Op::Set { value, expected: -1 },
                    _ if self.known.0 == path => Op::Set { value, expected: self.known.1 },
                    _ => Op::Get,
                };
                if self.operate(&path, op) == Outcome::NoNode {
                    self.operate(&path, Op::Create { value });
                }
            }
        }
    }

    /// Connects to any server. A session that has expired was left alone for its timeout at least, and its
    /// ephemeral is gone; one that has not still has it.
    fn connect(&mut self) -> bool {
        let server = self.shared.servers[self.random.usize(..self.shared.servers.len())];
        let (old, heard, timeout) = (self.session.id(), self.session.heard(), self.session.timeout());
        match self.session.connect(server) {
            Connected::Yes => {
                if old != 0 {
                    self.shared.moves.fetch_add(1, Ordering::Relaxed);
                    self.assert_ephemeral();
                }
                true
            }
            Connected::Expired => {
                let alone = heard.elapsed();
                assert!(alone >= timeout, "session 0x{old:x} of {timeout:?} expired after {alone:?}");
                self.shared.sessions_expired.fetch_add(1, Ordering::Relaxed);
                self.renew(old);
                false
            }
            Connected::No => {
                // Whoever finds a server that does not serve tries another one a little later.
                thread::sleep(RECONNECT_WAIT);
                false
            }
        }
    }

    /// Ends the session, whose ephemeral is gone then. If no reply comes, it may have ended, or is left to
    /// expire.
    fn close(&mut self) {
        let old = self.session.id();
        match self.session.call(&Request::CloseSession) {
            Some(_) => self.renew(old),
            None => self.abandon(),
        }
    }

    /// Lets the session expire.
    fn abandon(&mut self) {
        if self.has_ephemeral {
            let mut abandoned = self.shared.abandoned.lock().expect("nobody panics with it");
            abandoned.insert(ephemeral(self.session.id()));
        }
        (self.session, self.has_ephemeral) = (Session::new(), false);
    }

    /// Begins a new session, and sees that the ephemeral of the old one is gone.
    fn renew(&mut self, old: i64) {
        (self.session, self.has_ephemeral) = (Session::new(), false);
        let server = self.shared.servers[self.random.usize(..self.shared.servers.len())];
        if self.session.connect(server) == Connected::Yes
            && let Some(owner) = self.owner(&ephemeral(old))
        {
            assert_eq!(owner, None, "session 0x{old:x} has ended, and its ephemeral is there");
        }
    }

    fn assert_ephemeral(&mut self) {
        let id = self.session.id();
        if self.has_ephemeral
            && let Some(owner) = self.owner(&ephemeral(id))
        {
            assert_eq!(owner, Some(id), "session 0x{id:x} lives, and its ephemeral is not there");
        }
    }

    /// Whose ephemeral a znode is, if it is there; none if no server says.
    fn owner(&mut self, path: &str) -> Option<Option<i64>> {
        self.sync(path)?;
        let reply = self.session.call(&Request::exists(path, false))?;
        match (reply.err, reply.body) {
            (0, Body::Stat(stat)) => Some(Some(stat.ephemeral_owner)),
            (NO_NODE, _) => Some(None),
            _ => None,
        }
    }

    /// Whether there is a connection to this server, or can be one.
    fn is_at(&mut self, server: SocketAddr) -> bool {
        self.session.is_connected() || self.session.connect(server) == Connected::Yes
    }

    fn operate_at(&mut self, server: SocketAddr, path: &str, op: Op) -> Outcome {
        match self.is_at(server) {
            true => self.operate(path, op),
            false => Outcome::Unknown,
        }
    }

    fn operate(&mut self, path: &str, op: Op) -> Outcome {
        let shared = self.shared.clone();
        let outcome =
            shared.histories.record(path, op, || self.perform(path, op).unwrap_or(Outcome::Unknown));
        if let Outcome::Found { version, .. } | Outcome::Written { version } = outcome {
            self.known = (path.to_owned(), version);
        }
        outcome
    }

    fn perform(&mut self, path: &str, op: Op) -> Option<Outcome> {
        let request = match op {
            Op::Create { value } => Request::create(path, &value.to_be_bytes(), create_mode::PERSISTENT),
            Op::Set { value, expected } => Request::set_data(path, &value.to_be_bytes(), expected),
            Op::Get => {
                self.sync(path)?;
                Request::get_data(path, false)
            }
        };
        let Reply { err, body, .. } = self.session.call(&request)?;
        Some(match (err, body) {
            (0, Body::Path(_)) => Outcome::Written { version: 0 },
            (0, Body::Stat(stat)) => Outcome::Written { version: stat.version },
            (0, Body::Data(data, stat)) => {
                let value = data.and_then(|data| data.try_into().ok()).expect("what a client wrote");
                Outcome::Found { version: stat.version, value: u64::from_be_bytes(value) }
            }
            (NO_NODE, _) => Outcome::NoNode,
            (NODE_EXISTS, _) => Outcome::NodeExists,
            (BAD_VERSION, _) => Outcome::BadVersion,
            _ => Outcome::Unknown,
        })
    }

    fn sync(&mut self, path: &str) -> Option<()> {
        self.session.call(&Request::sync(path)).filter(|reply| reply.err == 0).map(drop)
    }

    /// One of a few znodes, which are others after a while: a history that is too long can't be checked.
    fn path(&mut self) -> String {
        let generation = self.shared.values.load(Ordering::Relaxed) / VALUES_PER_GENERATION;
        format!("/register-{generation}-{}", self.random.u32(..REGISTERS))
    }
}

fn ephemeral(session: i64) -> String {
    format!("/ephemeral-{session:x}")
}

const NO_NODE: i32 = -101;
const BAD_VERSION: i32 = -103;
const NODE_EXISTS: i32 = -110;

const REGISTERS: u32 = 4;
const VALUES_PER_GENERATION: u64 = 1500;
const RECONNECT_WAIT: Duration = Duration::from_millis(20);
