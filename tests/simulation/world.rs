//! An ensemble, its network, its clients, and what comes when.

use std::cell::RefCell;
use std::cmp::{Ordering, Reverse};
use std::collections::{BTreeMap, BinaryHeap, VecDeque};
use std::fmt;
use std::rc::Rc;

use ringkeeper_core::config::{Configurations, Membership, Part};
use ringkeeper_core::election;
use ringkeeper_core::id::{ServerId, Zxid};
use ringkeeper_core::member::{Attempt, LearnerEvent, Member, Moment};
use ringkeeper_core::zab::{EpochFile, LinkId};

use crate::checks::Checks;
use crate::client::Client;
use crate::deliver::GIVE_UP_AFTER;
use crate::network::{ConnId, Host, Network, Port, Segment};
use crate::server::{Message, Role, Server};
use crate::setup::Setup;
use crate::trace::Trace;

pub(crate) struct World {
    pub(crate) setup: Setup,
    pub(crate) rng: fastrand::Rng,
    /// The true time, in nanoseconds.
    pub(crate) now: u64,
    pub(crate) servers: Vec<Server>,
    pub(crate) clients: Vec<Client>,
    pub(crate) network: Network,
    pub(crate) checks: Checks,
    pub(crate) trace: Trace,
    /// The first promise that was broken.
    pub(crate) failure: Option<Failure>,
    /// Whether things go wrong.
    pub(crate) is_troubled: bool,
    /// Connections that a seat has dropped.
    pub(crate) dropped: Rc<RefCell<Vec<ConnId>>>,
    /// What is to be sent at the end of the turn.
    outbox: BTreeMap<(ConnId, usize), Vec<u8>>,
    /// What waits for a stopped process, by server.
    held: Vec<VecDeque<Event>>,
    events: BinaryHeap<Reverse<Timed>>,
    sequence: u64,
}

/// A promise that was broken, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) promise: &'static str,
    pub(crate) text: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.promise, self.text)
    }
}

pub(crate) enum Event {
    Segment {
        conn: ConnId,
        to: usize,
        segment: Segment,
    },
    /// The kernel gives up sending to the other side.
    GiveUp {
        conn: ConnId,
        side: usize,
    },
    /// One side learns that a connection is over of which the other has not.
    Severed {
        conn: ConnId,
        side: usize,
    },
    Accepted {
        server: usize,
        life: u32,
        conn: ConnId,
    },
    /// What a learner sent before it was let in.
    LetIn {
        server: usize,
        life: u32,
        link: LinkId,
        has_ended: bool,
    },
    Tick(usize, u32),
    Wake(usize, u32),
    Written(usize, u32, election::LinkId),
    Post(usize, u32, Role, Message),
    LogDone(usize, u32),
    EpochWritten(usize, u32, EpochFile, u32),
    ConfigurationsWritten(usize, u32, Configurations),
    SnapshotWritten(usize, u32),
    TurnDue(usize, u32, usize),
    TurnEnds(usize, u32),
    Redial {
        server: usize,
        life: u32,
        attempt: Attempt,
        leader: usize,
        until: u64,
    },
    /// A connection to a leader must be made by now.
    DialOver(usize, u32, ConnId),
    Client(usize),
    Fault,
    Restart(usize),
    /// A stopped process goes on.
    Resume(usize),
    /// A disk is as fast as it was.
    DiskRecovers(usize, u64),
    /// A disk has room again.
    Room(usize),
}

struct Timed {
    at: u64,
    sequence: u64,
    event: Event,
}

impl PartialEq for Timed {
    fn eq(&self, other: &Timed) -> bool {
        self.sequence == other.sequence
    }
}

impl Eq for Timed {}

impl PartialOrd for Timed {
    fn partial_cmp(&self, other: &Timed) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Timed {
    fn cmp(&self, other: &Timed) -> Ordering {
        (self.at, self.sequence).cmp(&(other.at, other.sequence))
    }
}

impl World {
    /// An ensemble whose servers all start soon.
    pub(crate) fn new(setup: Setup, mut rng: fastrand::Rng, is_loud: bool) -> World {
        let (count, are_asleep) = (setup.servers(), setup.are_asleep);
        let servers = (0..count).map(|id| Server::new(id, &setup, &mut rng)).collect();
        let clients = (0..setup.clients).map(|number| Client::new(number, rng.u64(..))).collect();
        let mut world = World {
            checks: Checks::new(&setup),
            setup,
            rng,
            now: 0,
            servers,
            clients,
            network: Network::default(),
            trace: Trace::new(is_loud),
            failure: None,
            is_troubled: true,
            dropped: Rc::default(),
            outbox: BTreeMap::new(),
            held: (0..count).map(|_| VecDeque::new()).collect(),
            events: BinaryHeap::new(),
            sequence: 0,
        };
        for server in (0..world.servers.len()).filter(|_| !are_asleep) {
            let delay = world.rng.u64(0..100 * MS);
            world.after(delay, Event::Restart(server));
        }
        for client in 0..world.clients.len() {
            let delay = world.rng.u64(0..300 * MS);
            world.after(delay, Event::Client(client));
        }
        world.after(200 * MS, Event::Fault);
        world
    }

    /// Lets so much time pass, or until a promise is broken.
    pub(crate) fn run(&mut self, time: u64) {
        self.run_until(time, |_| false);
    }

    /// Lets time pass until `done` holds, for at most so long. Says whether it came to hold.
    pub(crate) fn run_until(&mut self, limit: u64, mut done: impl FnMut(&World) -> bool) -> bool {
        let until = self.now + limit;
        while self.failure.is_none() {
            if done(self) {
                return true;
            }
            match self.events.pop() {
                Some(Reverse(timed)) if timed.at <= until => {
                    self.now = self.now.max(timed.at);
                    self.handle(timed.event);
                }
                later => {
                    self.events.extend(later);
                    self.now = until;
                    return done(self);
                }
            }
        }
        false
    }

    pub(crate) fn handle(&mut self, event: Event) {
        // What the network holds back has not come to the machine, whose process may be stopped.
        if let Event::Segment { conn, to, segment } = &event
            && self.network.stall(*conn, *to, segment)
        {
            return self.after(GIVE_UP_AFTER, Event::GiveUp { conn: *conn, side: 1 - to });
        }
        if let Some(server) = self.process_of(&event)
            && (self.servers[server].stopped_until > self.now || !self.held[server].is_empty())
        {
            return self.held[server].push_back(event);
        }
        self.dispatch(event);
    }

    /// Something has come to the one it is for.
    fn dispatch(&mut self, event: Event) {
        match event {
            Event::Segment { conn, to, segment } => self.on_segment(conn, to, segment),
            Event::GiveUp { conn, side } => self.on_give_up(conn, side),
            Event::Severed { conn, side } => self.on_end(conn, side),
            Event::Accepted { server, life, conn } => self.on_accepted(server, life, conn),
            Event::LetIn { server, life, link, has_ended } => {
                self.on_learner_bytes(server, life, link, &[]);
                if has_ended {
                    self.on_learner(server, life, link, LearnerEvent::Closed);
                }
            }
            Event::Tick(server, life) => self.on_tick(server, life),
            Event::Wake(server, life) => self.on_wake(server, life),
            Event::Written(server, life, link) => {
                self.tell_election(server, life, |peer, now, out| peer.on_written(link, now, out));
            }
            Event::Post(server, life, role, message) => self.on_message(server, life, role, message),
            Event::LogDone(server, life) => self.on_log_done(server, life),
            Event::EpochWritten(server, life, file, epoch) => {
                self.on_epoch_written(server, life, file, epoch);
            }
            Event::ConfigurationsWritten(server, life, configurations) => {
                self.on_configurations_written(server, life, configurations);
            }
            Event::SnapshotWritten(server, life) => self.on_snapshot_written(server, life),
            Event::TurnDue(server, life, shard) => self.on_turn_due(server, life, shard),
            Event::TurnEnds(server, life) => self.on_turn_ends(server, life),
            Event::Redial { server, life, attempt, leader, until } => {
                self.dial_leader(server, life, attempt, leader, until);
            }
            Event::DialOver(server, life, conn) => self.on_dial_over(server, life, conn),
            Event::Client(client) => self.on_client(client),
            Event::Fault => self.on_fault(),
            Event::Restart(server) => self.start(server),
            Event::Resume(server) => {
                if self.servers[server].stopped_until <= self.now {
                    for event in std::mem::take(&mut self.held[server]) {
                        self.dispatch(event);
                    }
                }
            }
            Event::DiskRecovers(server, usual) => self.servers[server].write_us_max = usual,
            Event::Room(server) => self.make_room(server),
        }
        self.flush();
    }

    /// Whose process must run for the event to be of effect.
    fn process_of(&self, event: &Event) -> Option<usize> {
        match event {
            Event::Accepted { server, .. }
            | Event::LetIn { server, .. }
            | Event::Tick(server, _)
            | Event::Wake(server, _)
            | Event::Written(server, ..)
            | Event::Post(server, ..)
            | Event::TurnDue(server, ..)
            | Event::TurnEnds(server, _)
            | Event::DialOver(server, ..)
            | Event::Redial { server, .. } => Some(*server),
            // The kernel of a stopped process still accepts connections, and writes what it was given.
            Event::Segment { segment: Segment::Syn, .. } => None,
            Event::Segment { conn, to: side, .. } | Event::Severed { conn, side } => {
                let host = self.network.conns.get(conn).map(|conn| conn.ends[*side].host);
                host.filter(|host| *host < self.servers.len())
            }
            _ => None,
        }
    }

    pub(crate) fn start(&mut self, server: usize) {
        if self.servers[server].process.is_some() || self.failure.is_some() {
            return;
        }
        let World { setup, servers, rng, now, .. } = self;
        let (last_logged, first) = match servers[server].start(setup, *now, rng) {
            Ok(started) => started,
            Err(text) => return self.blame("a server starts on what its disk has", text),
        };
        self.checks.elections.on_look(server, last_logged);
        let life = self.servers[server].life;
        let found = self.servers[server].member().map_or(Zxid::ZERO, Member::published);
        self.checks.read_only.on_found(found);
        self.trace.note(self.now, format_args!("server {server} starts, life {life}, from {found}"));
        self.after(TICK, Event::Tick(server, life));
        self.perform_election(server, life, first);
        self.flush();
        self.network.dark.remove(&server);
        self.release();
    }

    /// Ends a process. Its machine tells everybody who is connected, unless the power is lost.
    pub(crate) fn kill(&mut self, server: usize, loses_power: bool) {
        let Some(mut process) = self.servers[server].process.take() else { return };
        self.trace.note(self.now, format_args!("server {server} dies, silently: {loses_power}"));
        if loses_power {
            self.network.dark.insert(server);
        }
        if let Some(crate::server::Busy::Write(write)) = process.log.busy.take() {
            let (share, rng) = (self.rng.u32(0..=4), &mut self.rng);
            self.servers[server].disk.tear(&write, || rng.u32(0..4) < share);
        }
        for (conn, side) in self.network.ends_of(server, process.life) {
            self.network.shut(conn, side);
            if !loses_power {
                self.send(conn, 1 - side, Segment::End);
            }
        }
        // Its sockets are closed above, and the other ends are not to be taken for them.
        drop(process);
        self.dropped.take();
    }

    /// Has a process do nothing for so long.
    pub(crate) fn stop(&mut self, server: usize, time: u64) {
        let stopped_until = &mut self.servers[server].stopped_until;
        *stopped_until = (self.now + time).max(*stopped_until);
        let wait = *stopped_until - self.now;
        self.after(wait, Event::Resume(server));
    }

    pub(crate) fn at(&self, server: usize) -> Moment {
        self.servers[server].clock.at(self.now)
    }

    /// Remembers the first promise that was broken.
    pub(crate) fn blame(&mut self, promise: &'static str, text: String) {
        self.trace.note(self.now, format_args!("BROKEN: {promise}: {text}"));
        self.failure.get_or_insert(Failure { promise, text });
    }

    /// As [`World::blame`], if a checker says so.
    pub(crate) fn check(&mut self, verdict: Result<(), Failure>) {
        if let Err(Failure { promise, text }) = verdict {
            self.blame(promise, text);
        }
    }

    pub(crate) fn after(&mut self, delay: u64, event: Event) {
        self.sequence += 1;
        self.events.push(Reverse(Timed { at: self.now + delay, sequence: self.sequence, event }));
    }

    pub(crate) fn dial(&mut self, port: Port, from: (Host, u32), to: Host) -> ConnId {
        let conn = self.network.dial(port, from, to);
        self.send(conn, 1, Segment::Syn);
        conn
    }

    /// Adds to what is sent to a side of a connection at the end of this turn.
    pub(crate) fn send_bytes(&mut self, conn: ConnId, to: usize, bytes: &[u8]) {
        self.outbox.entry((conn, to)).or_default().extend_from_slice(bytes);
    }

    /// Closes an end, after what is to be sent from it.
    pub(crate) fn hang_up(&mut self, conn: ConnId, side: usize) {
        if self.network.end(conn, side).is_some() {
            self.send(conn, 1 - side, Segment::End);
            self.network.shut(conn, side);
        }
    }

    pub(crate) fn send(&mut self, conn: ConnId, to: usize, segment: Segment) {
        if let Some(bytes) = self.outbox.remove(&(conn, to)) {
            self.transmit(conn, to, Segment::Data(bytes));
        }
        self.transmit(conn, to, segment);
    }

    fn flush(&mut self) {
        while let Some(((conn, to), bytes)) = self.outbox.pop_first() {
            self.transmit(conn, to, Segment::Data(bytes));
        }
    }

    fn transmit(&mut self, conn: ConnId, to: usize, segment: Segment) {
        let (least, most) = self.setup.latency_us;
        let mut latency = self.rng.u64(least..=most);
        if self.is_troubled && self.rng.u64(0..self.setup.laggards) == 0 {
            latency *= 20;
        }
        let at = self.network.arrival(conn, to, self.now + latency * US);
        self.after(at - self.now, Event::Segment { conn, to, segment });
    }

    /// The newest configuration that a server has activated.
    pub(crate) fn membership(&self) -> &Membership {
        let committed = |server: &Server| server.configurations().committed().version();
        let newest = self.servers.iter().max_by_key(|server| committed(server)).expect("there are servers");
        newest.configurations().committed()
    }

    /// The servers that are to serve when nothing goes wrong: one that was removed may follow or not.
    pub(crate) fn members(&self) -> impl Iterator<Item = &Server> {
        let membership = self.membership();
        self.servers.iter().filter(|server| membership.part(ServerId(server.id as i64)) != Part::None)
    }

    /// The server that leads an established epoch, the newest if there are several.
    pub(crate) fn leader(&self) -> Option<usize> {
        let leads = self.servers.iter().filter(|server| server.leads());
        leads
            .max_by_key(|server| server.member().map(|member| member.epochs().current))
            .map(|server| server.id)
    }
}

pub(crate) const US: u64 = 1000;
pub(crate) const MS: u64 = 1000 * US;
/// How often roles are told the time.
pub(crate) const TICK: u64 = 25 * MS;
