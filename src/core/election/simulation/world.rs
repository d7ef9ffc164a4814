use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use super::network::{Network, Process, Segment};
use super::witness::Witness;
use crate::config::{ElectionTiming, HostPort};
use crate::election::{Action, ElectionPeer, Electorate, LastLogged, LinkId, Outcome, PeerState};
use crate::id::{ServerId, Zxid};
use crate::quorum::{JointQuorum, QuorumVerifier};
use crate::time::Instant;

/// Election ports of a whole ensemble on a simulated network, all from one seed. The servers are
/// numbered from 0, and those are their ids.
///
/// What follows an election is played by a simple stand-in for Zab: followers attach to a leader that
/// leads and can be reached, a leader with a quorum begins a new epoch, and who is left alone for a
/// while looks again.
pub(super) struct World {
    pub(super) now: Instant,
    pub(super) rng: fastrand::Rng,
    pub(super) servers: Vec<Server>,
    pub(super) network: Network,
    pub(super) latency_ms: std::ops::Range<u64>,
    pub(super) witness: Witness,
    quorum: Arc<QuorumVerifier>,
    events: BinaryHeap<Reverse<(Instant, u64, usize)>>,
    pending: BTreeMap<usize, Event>,
    next_event: usize,
}

pub(super) struct Server {
    pub(super) peer: Option<ElectionPeer>,
    pub(super) process: Process,
    pub(super) last_logged: LastLogged,
    pub(super) is_stopped: bool,
    /// The machine is off: nothing answers, not even a refusal.
    pub(super) is_dark: bool,
    pub(super) advertises: HostPort,
    pub(super) outcome: Option<Outcome>,
    /// The leader's epoch, once it and this server are in it.
    pub(super) epoch: Option<i64>,
    attached: BTreeSet<usize>,
    is_attached: bool,
    alone_since: Instant,
    held: VecDeque<Event>,
    wake_at: Option<Instant>,
}

#[derive(Debug)]
enum Event {
    Wake(Process),
    Segment {
        conn: u64,
        to: usize,
        segment: Segment,
    },
    Written(Process, LinkId),
    /// The kernel gives up sending to the other side.
    GiveUp {
        conn: u64,
        side: usize,
    },
    Zab,
}

impl World {
    /// An ensemble of `voters` and, with the ids after them, `observers`; none is running yet.
    pub(super) fn new(seed: u64, voters: usize, observers: usize) -> World {
        let ids = |range: std::ops::Range<usize>| range.map(|id| ServerId(id as i64));
        let count = voters + observers;
        let server = |server: usize| Server {
            peer: None,
            process: Process { server, start: 0 },
            last_logged: LastLogged { epoch: 0, zxid: Zxid::ZERO },
            is_stopped: false,
            is_dark: false,
            advertises: address(server),
            outcome: None,
            epoch: None,
            attached: BTreeSet::new(),
            is_attached: false,
            alone_since: Instant::default(),
            held: VecDeque::new(),
            wake_at: None,
        };
        let mut world = World {
            now: Instant::default(),
            rng: fastrand::Rng::with_seed(seed),
            servers: (0..count).map(server).collect(),
            network: Network::default(),
            latency_ms: 1..10,
            witness: Witness::default(),
            quorum: Arc::new(QuorumVerifier::majority(ids(0..voters), ids(voters..count))),
            events: BinaryHeap::new(),
            pending: BTreeMap::new(),
            next_event: 0,
        };
        world.schedule(ZAB_TURN, Event::Zab);
        world
    }

    pub(super) fn start(&mut self, server: usize) {
        assert!(self.servers[server].peer.is_none(), "server {server} is running already");
        self.witness.note(self.now, format_args!("start {server}"));
        let electorate = Electorate {
            me: ServerId(server as i64),
            quorum: JointQuorum::of(self.quorum.clone()),
            config: b"version=0".to_vec(),
            observes: !self.quorum.is_voter(ServerId(server as i64)),
            adopts: false,
        };
        let peers = (0..self.servers.len()).map(|id| (ServerId(id as i64), vec![address(id)]));
        let target = &mut self.servers[server];
        target.process.start += 1;
        (target.is_dark, target.is_stopped, target.outcome, target.epoch) = (false, false, None, None);
        (target.is_attached, target.wake_at) = (false, None);
        target.attached.clear();
        target.held.clear();
        self.witness.on_look(target.process, target.last_logged);
        let (advertised, last_logged) = (vec![target.advertises.clone()], target.last_logged);
        let mut out = Vec::new();
        let timing = ElectionTiming::default();
        let peer =
            ElectionPeer::start(electorate, advertised, peers, timing, last_logged, self.now, &mut out);
        self.servers[server].peer = Some(peer);
        self.perform(server, out);
    }

    /// Ends a process; its machine tells everybody who is connected.
    pub(super) fn kill(&mut self, server: usize) {
        self.witness.note(self.now, format_args!("kill {server}"));
        for (conn, side) in self.take_down(server) {
            self.send(conn, 1 - side, Segment::End);
        }
    }

    /// Turns a machine off; nobody is told.
    pub(super) fn turn_off(&mut self, server: usize) {
        self.witness.note(self.now, format_args!("turn off {server}"));
        self.take_down(server);
        self.servers[server].is_dark = true;
    }

    fn take_down(&mut self, server: usize) -> Vec<(u64, usize)> {
        self.servers[server].peer = None;
        let ends = self.network.ends_of(self.servers[server].process);
        let open = |(conn, side): &(u64, usize)| self.network.conns[conn].ends[*side].open;
        let open_ends: Vec<_> = ends.into_iter().filter(open).collect();
        for (conn, side) in &open_ends {
            self.network.conns.get_mut(conn).expect("found above").ends[*side].open = false;
        }
        open_ends
    }

    /// As SIGSTOP: the process does nothing, its machine goes on.
    pub(super) fn stop(&mut self, server: usize) {
        self.witness.note(self.now, format_args!("stop {server}"));
        self.servers[server].is_stopped = true;
    }

    pub(super) fn resume(&mut self, server: usize) {
        self.witness.note(self.now, format_args!("resume {server}"));
        self.servers[server].is_stopped = false;
        for event in std::mem::take(&mut self.servers[server].held) {
            self.handle(event);
        }
    }

    /// Breaks a connection for both sides.
    pub(super) fn break_conn(&mut self, conn: u64) {
        self.send(conn, 0, Segment::End);
        self.send(conn, 1, Segment::End);
    }

    pub(super) fn heal(&mut self) {
        self.witness.note(self.now, format_args!("heal"));
        for (conn, to, segment) in self.network.heal() {
            self.send(conn, to, segment);
        }
    }

    /// Lets time pass until `done` holds, for at most so long. Says whether it came to hold.
    pub(super) fn run_until(&mut self, limit: Duration, mut done: impl FnMut(&World) -> bool) -> bool {
        let until = self.now + limit;
        while !done(self) {
            let Some(Reverse((at, _, key))) = self.events.peek().copied() else { return false };
            if at > until {
                self.now = until;
                return false;
            }
            self.events.pop();
            self.now = self.now.max(at);
            let event = self.pending.remove(&key).expect("scheduled once");
            self.handle(event);
        }
        true
    }

    pub(super) fn run(&mut self, time: Duration) {
        self.run_until(time, |_| false);
    }

    /// Whether all servers that run follow one leader, which leads them in one epoch.
    pub(super) fn is_settled(&self) -> bool {
        let running = || self.servers.iter().filter(|server| server.peer.is_some());
        let leaders = running().filter(|server| server.state() == Some(PeerState::Leading));
        let [leader] = leaders.collect::<Vec<_>>()[..] else { return false };
        leader.epoch.is_some()
            && running().all(|server| {
                server.epoch == leader.epoch
                    && (server.process == leader.process
                        || server.follows(leader.process.server) && server.is_attached)
            })
    }

    /// Whether this server leads or follows the leader of the others.
    pub(super) fn is_in(&self, server: usize) -> bool {
        self.servers[server].epoch.is_some() && self.is_settled()
    }

    pub(super) fn leader(&self) -> Option<usize> {
        self.servers
            .iter()
            .position(|server| server.epoch.is_some() && server.state() == Some(PeerState::Leading))
    }

    fn handle(&mut self, event: Event) {
        let server = match &event {
            Event::Wake(process) | Event::Written(process, _) => Some(process.server),
            // The kernel of a stopped process still accepts connections.
            Event::Segment { segment: Segment::Syn, .. } | Event::GiveUp { .. } | Event::Zab => None,
            Event::Segment { conn, to, .. } => {
                self.network.conns.get(conn).map(|conn| conn.ends[*to].process.server)
            }
        };
        if let Some(server) = server.filter(|server| self.servers[*server].is_stopped) {
            self.servers[server].held.push_back(event);
            return;
        }
        match event {
            Event::Wake(process) => self.with(process, |peer, now, out| peer.on_timeout(now, out)),
            Event::Written(process, link) => {
                self.with(process, |peer, now, out| peer.on_written(link, now, out));
            }
            Event::Segment { conn, to, segment } => self.arrive(conn, to, segment),
            Event::GiveUp { conn, side } => {
                let is_dark = |server: usize| self.servers[server].is_dark;
                let target = self.network.conns.get(&conn).map(|conn| conn.ends[1 - side].process.server);
                if self.network.is_stalled(conn, 1 - side) || target.is_some_and(is_dark) {
                    self.end(conn, side);
                }
            }
            Event::Zab => {
                self.zab();
                self.network.sweep();
                self.schedule(ZAB_TURN, Event::Zab);
            }
        }
    }

    fn arrive(&mut self, id: u64, to: usize, segment: Segment) {
        if self.network.stall(id, to, &segment) {
            return self.schedule(GIVE_UP_AFTER, Event::GiveUp { conn: id, side: 1 - to });
        }
        let Some(conn) = self.network.conns.get_mut(&id) else { return };
        let (process, link) = (conn.ends[to].process, conn.ends[to].link);
        let target = &self.servers[process.server];
        if target.is_dark {
            return self.schedule(GIVE_UP_AFTER, Event::GiveUp { conn: id, side: 1 - to });
        }
        if matches!(segment, Segment::Syn) {
            let is_up = target.peer.is_some();
            // It may have been started anew since it was dialled.
            conn.ends[to].process = target.process;
            conn.ends[to].open = is_up;
            self.send(id, 1 - to, if is_up { Segment::SynAck } else { Segment::Refused });
            return;
        }
        if target.process != process || !conn.ends[to].open {
            // Nobody is there any more: the machine answers with a reset.
            if matches!(segment, Segment::Data(_)) {
                self.send(id, 1 - to, Segment::End);
            }
            return;
        }
        match (segment, link) {
            (Segment::Syn, _) => {}
            (Segment::SynAck, Some(link)) => {
                self.with(process, |peer, now, out| peer.on_dialled(link, now, out));
            }
            (Segment::Data(bytes), link) => {
                let link = link.unwrap_or_else(|| self.accept(id, to, process));
                self.with(process, |peer, now, out| peer.on_received(link, &bytes, now, out));
            }
            (Segment::Refused | Segment::End, _) | (Segment::SynAck, None) => self.end(id, to),
        }
    }

    /// One side of a connection learns that it is over.
    fn end(&mut self, conn: u64, side: usize) {
        let Some(conn) = self.network.conns.get_mut(&conn) else { return };
        let end = &mut conn.ends[side];
        let was_open = std::mem::replace(&mut end.open, false);
        if let (true, Some(link), process) = (was_open, end.link, end.process) {
            self.with(process, |peer, now, out| peer.on_closed(link, now, out));
        }
    }

    /// The process learns of a connection when it brings something.
    fn accept(&mut self, conn: u64, side: usize, process: Process) -> LinkId {
        let mut link = LinkId(0);
        self.with(process, |peer, now, out| link = peer.on_accepted(now, out));
        if let Some(conn) = self.network.conns.get_mut(&conn) {
            conn.ends[side].link = Some(link);
        }
        link
    }

    fn with(&mut self, process: Process, input: impl FnOnce(&mut ElectionPeer, Instant, &mut Vec<Action>)) {
        let server = &mut self.servers[process.server];
        if server.process != process {
            return;
        }
        let Some(peer) = &mut server.peer else { return };
        let mut out = Vec::new();
        input(peer, self.now, &mut out);
        self.perform(process.server, out);
    }

    fn perform(&mut self, server: usize, actions: Vec<Action>) {
        let process = self.servers[server].process;
        for action in actions {
            self.witness.on_action(self.now, process, &action);
            match action {
                Action::Dial { link, addresses, .. } => {
                    let found = (0..self.servers.len()).find(|id| addresses.contains(&address(*id)));
                    let to = self.servers[found.expect("the configured address is among them")].process;
                    let conn = self.network.dial(process, link, to);
                    self.send(conn, 1, Segment::Syn);
                }
                Action::Write { link, bytes } => {
                    self.schedule(Duration::ZERO, Event::Written(process, link));
                    let Some((conn, side)) = self.network.find(process, link) else { continue };
                    // In pieces, as TCP may.
                    let cut = self.rng.usize(0..=bytes.len());
                    let (head, tail) = bytes.split_at(cut);
                    for piece in [head, tail].into_iter().filter(|piece| !piece.is_empty()) {
                        self.send(conn, 1 - side, Segment::Data(piece.to_vec()));
                    }
                }
                Action::Close { link } => {
                    let Some((conn, side)) = self.network.find(process, link) else { continue };
                    self.network.conns.get_mut(&conn).expect("found").ends[side].open = false;
                    self.send(conn, 1 - side, Segment::End);
                }
                Action::Note { .. } => {}
                Action::Adopt(_) => unreachable!("nobody adopts configurations here"),
                Action::Decided(outcome) => {
                    let server = &mut self.servers[server];
                    (server.outcome, server.alone_since) = (Some(outcome), self.now);
                }
            }
        }
        let next = self.servers[server].peer.as_ref().and_then(ElectionPeer::next_timeout);
        if let Some(at) = next.filter(|_| next != self.servers[server].wake_at) {
            self.servers[server].wake_at = next;
            self.schedule(at.since(self.now), Event::Wake(process));
        }
    }

    fn send(&mut self, conn: u64, to: usize, segment: Segment) {
        let latency =
            Duration::from_micros(self.rng.u64(self.latency_ms.start * 1000..self.latency_ms.end * 1000));
        let at = self.network.arrival(conn, to, self.now + latency);
        self.schedule(at.since(self.now), Event::Segment { conn, to, segment });
    }

    fn schedule(&mut self, after: Duration, event: Event) {
        let key = self.next_event;
        self.next_event += 1;
        self.pending.insert(key, event);
        self.events.push(Reverse((self.now + after, key as u64, key)));
    }

    /// The stand-in for Zab: a turn of all servers that are not looking.
    fn zab(&mut self) {
        for id in 0..self.servers.len() {
            let server = &self.servers[id];
            if server.peer.is_none() || server.is_stopped {
                continue;
            }
            let is_served = match server.state() {
                Some(PeerState::Leading) => self.lead(id),
                Some(PeerState::Following | PeerState::Observing) => self.follow(id),
                _ => continue,
            };
            let server = &mut self.servers[id];
            if is_served {
                server.alone_since = self.now;
            } else if self.now.since(server.alone_since) >= ALONE_MAX {
                self.witness.note(self.now, format_args!("{id} looks again"));
                (server.outcome, server.epoch, server.is_attached) = (None, None, false);
                server.attached.clear();
                let (process, last_logged) = (server.process, server.last_logged);
                self.witness.on_look(process, last_logged);
                self.with(process, |peer, now, out| peer.look(last_logged, now, out));
            }
        }
    }

    fn lead(&mut self, id: usize) -> bool {
        let loyal = |other: &usize| {
            let server = &self.servers[*other];
            server.follows(id) && server.is_attached && self.reaches(id, *other)
        };
        let attached: BTreeSet<usize> = (0..self.servers.len()).filter(loyal).collect();
        let agrees = |server: ServerId| server.0 as usize == id || attached.contains(&(server.0 as usize));
        if !self.quorum.contains_quorum(agrees) {
            return false;
        }
        let newest = attached.iter().chain([&id]).map(|other| self.servers[*other].last_logged.epoch).max();
        let epoch = self.servers[id].epoch.unwrap_or_else(|| newest.expect("itself at least") + 1);
        self.witness.on_established(self.now, epoch, id);
        for server in attached.iter().chain([&id]) {
            let server = &mut self.servers[*server];
            server.epoch = Some(epoch);
            server.last_logged = LastLogged { epoch, zxid: Zxid::new(epoch as u32, 0) };
            if let Some(peer) = &mut server.peer {
                peer.on_epoch(epoch);
            }
        }
        self.servers[id].attached = attached;
        true
    }

    fn follow(&mut self, id: usize) -> bool {
        let leader = self.servers[id].outcome.map(|outcome| outcome.vote.leader.0 as usize);
        let Some(leader) = leader.filter(|leader| *leader < self.servers.len()) else { return false };
        let leads = self.servers[leader].state() == Some(PeerState::Leading);
        self.servers[id].is_attached = leads && self.reaches(leader, id);
        self.servers[id].is_attached
    }

    fn reaches(&self, one: usize, other: usize) -> bool {
        let is_cut =
            self.network.blocked.contains(&(one, other)) || self.network.blocked.contains(&(other, one));
        let is_up = |id: usize| self.servers[id].peer.is_some() && !self.servers[id].is_stopped;
        !is_cut && is_up(one) && is_up(other)
    }
}

impl Server {
    pub(super) fn state(&self) -> Option<PeerState> {
        self.peer.as_ref().map(|peer| peer.election().state())
    }

    fn follows(&self, leader: usize) -> bool {
        let outcome = self.outcome.filter(|outcome| outcome.state != PeerState::Leading);
        outcome.is_some_and(|outcome| outcome.vote.leader.0 == leader as i64)
    }
}

pub(super) fn address(server: usize) -> HostPort {
    HostPort { host: format!("zk{server}"), port: 3888 }
}

const ZAB_TURN: Duration = Duration::from_millis(50);
/// How long a follower without leader, or a leader without quorum, goes on.
const ALONE_MAX: Duration = Duration::from_millis(600);
/// TCP's limit for data that nobody acknowledges.
const GIVE_UP_AFTER: Duration = Duration::from_secs(5);
