//! What machines do with what arrives on connections: the kernels' part, and who hears of it.

use std::cell::RefCell;
use std::rc::Rc;

use ringkeeper_core::member::{Attempt, LeaderEvent, LearnerEvent};
use ringkeeper_core::zab::packet::{FromLearner, LearnerInput};
use ringkeeper_core::zab::{Item, LinkId};

use crate::network::{ConnId, Port, Segment};
use crate::server::{INIT_LIMIT, Message, Role, TICK_MS, Use, VALUE_LEN_MAX};
use crate::world::{Event, MS, World};

/// A connection of which nothing was read yet. Dropping it closes it.
pub(crate) struct Socket {
    conn: Option<ConnId>,
    dropped: Rc<RefCell<Vec<ConnId>>>,
}

impl Socket {
    /// Takes the connection out, to be read.
    pub(crate) fn take(mut self) -> Option<ConnId> {
        self.conn.take()
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        self.dropped.borrow_mut().extend(self.conn);
    }
}

impl World {
    pub(crate) fn socket(&self, conn: ConnId) -> Socket {
        Socket { conn: Some(conn), dropped: self.dropped.clone() }
    }

    pub(crate) fn on_segment(&mut self, conn: ConnId, to: usize, segment: Segment) {
        let Some(link) = self.network.conns.get_mut(&conn) else { return };
        let (end, port) = (link.ends[to], link.port);
        let servers = self.servers.len();
        if let Segment::Syn = segment {
            let life = self.servers[end.host].process.as_ref().map(|process| process.life);
            let Some(life) = life else { return self.send(conn, 1 - to, Segment::Refused) };
            (link.ends[to].life, link.ends[to].is_open) = (life, true);
            self.send(conn, 1 - to, Segment::SynAck);
            return self.after(0, Event::Accepted { server: end.host, life, conn });
        }
        let is_there = end.is_open
            && (end.host >= servers
                || self.servers[end.host].process.as_ref().is_some_and(|process| process.life == end.life));
        if !is_there {
            // Nobody is there any more: the machine answers with a reset.
            if let Segment::Data(_) | Segment::SynAck = segment {
                self.send(conn, 1 - to, Segment::End);
            }
            return;
        }
        match segment {
            Segment::Syn => {}
            Segment::SynAck if port == Port::Client => self.on_client_connected(end.host - servers, conn),
            Segment::SynAck => self.on_dialled(end.host, end.life, conn),
            Segment::Data(bytes) if end.host >= servers => {
                self.on_client_bytes(end.host - servers, conn, &bytes);
            }
            Segment::Data(bytes) => self.on_bytes(end.host, end.life, conn, bytes),
            Segment::Refused | Segment::End => self.on_end(conn, to),
        }
    }

    /// The kernel has sent something that was never acknowledged.
    pub(crate) fn on_give_up(&mut self, conn: ConnId, side: usize) {
        if self.network.is_stalled(conn, 1 - side) {
            self.on_end(conn, side);
        }
    }

    /// One side learns that a connection is over.
    pub(crate) fn on_end(&mut self, conn: ConnId, side: usize) {
        let Some(end) = self.network.end(conn, side) else { return };
        let servers = self.servers.len();
        self.network.shut(conn, side);
        if end.host >= servers {
            return self.on_client_closed(end.host - servers, conn);
        }
        let (server, life) = (end.host, end.life);
        let Some(process) = self.servers[server].process(life) else { return };
        match process.uses.remove(&conn) {
            Some(Use::Election(link)) => {
                process.election_links.remove(&link);
                self.tell_election(server, life, |peer, now, out| peer.on_closed(link, now, out));
            }
            Some(Use::Early) => {
                process.early.entry(conn).or_default().1 = true;
            }
            Some(Use::Learner(link)) => self.on_learner(server, life, link, LearnerEvent::Closed),
            Some(Use::Leader(attempt, leader, until)) => {
                let is_connected = process.leader.as_ref().is_some_and(|leader| leader.conn == Some(conn));
                if is_connected {
                    self.on_leader(server, life, attempt, LeaderEvent::Closed);
                } else if self.now + REDIAL_AFTER < until {
                    let event = Event::Redial { server, life, attempt, leader, until };
                    self.after(REDIAL_AFTER, event);
                } else {
                    self.post(server, life, Role::Commit, Message::Unreachable(attempt));
                }
            }
            Some(Use::Client(shard, id)) => {
                process.shards[shard].clients.remove(&id);
                process.shards[shard].shard.on_closed(id);
                self.perform_shard(server, life, shard);
            }
            None => {}
        }
    }

    /// The process learns that somebody has connected.
    pub(crate) fn on_accepted(&mut self, server: usize, life: u32, conn: ConnId) {
        let now = self.at(server).now;
        let Some(port) = self.network.conns.get(&conn).map(|link| link.port) else { return };
        let Some(process) = self.servers[server].process(life) else { return };
        match port {
            Port::Election => {
                let mut link = ringkeeper_core::election::LinkId(0);
                self.tell_election(server, life, |peer, now, out| link = peer.on_accepted(now, out));
                let Some(process) = self.servers[server].process(life) else { return };
                process.uses.insert(conn, Use::Election(link));
                process.election_links.insert(link, (conn, 1));
            }
            Port::Quorum | Port::Observers => {
                process.uses.insert(conn, Use::Early);
                let socket = self.socket(conn);
                self.tell_seat(server, life, |seat, at, out| match port {
                    Port::Observers => seat.on_accepted_observer(socket, at, out),
                    _ => seat.on_accepted(socket, at, out),
                });
            }
            Port::Client => {
                let shard = conn.0 as usize % process.shards.len();
                let id = process.shards[shard].shard.on_accept(([127, 0, 0, 1], 4000).into(), now);
                let client = crate::server::ClientLink { conn, kept: Vec::new(), is_held: false };
                process.shards[shard].clients.insert(id, client);
                process.uses.insert(conn, Use::Client(shard, id));
            }
        }
    }

    fn on_dialled(&mut self, server: usize, life: u32, conn: ConnId) {
        let Some(process) = self.servers[server].process(life) else { return };
        match process.uses.get(&conn).copied() {
            Some(Use::Election(link)) => {
                self.tell_election(server, life, |peer, now, out| peer.on_dialled(link, now, out));
            }
            Some(Use::Leader(attempt, ..)) => {
                let socket = self.socket(conn);
                self.on_leader(server, life, attempt, LeaderEvent::Connected(socket));
            }
            _ => {}
        }
    }

    fn on_bytes(&mut self, server: usize, life: u32, conn: ConnId, bytes: Vec<u8>) {
        let Some(process) = self.servers[server].process(life) else { return };
        match process.uses.get(&conn).copied() {
            Some(Use::Election(link)) => {
                self.tell_election(server, life, |peer, now, out| peer.on_received(link, &bytes, now, out));
            }
            Some(Use::Early) => process.early.entry(conn).or_default().0.extend(bytes),
            Some(Use::Learner(link)) => self.on_learner_bytes(server, life, link, &bytes),
            Some(Use::Leader(attempt, ..)) => self.on_leader_bytes(server, life, attempt, conn, &bytes),
            Some(Use::Client(shard, id)) => self.on_input(server, life, (shard, id), &bytes),
            None => {}
        }
    }

    pub(crate) fn on_learner_bytes(&mut self, server: usize, life: u32, link: LinkId, bytes: &[u8]) {
        let Some(process) = self.servers[server].process(life) else { return };
        let Some(learner) = process.learners.get_mut(&link) else { return };
        learner.bytes.extend_from_slice(bytes);
        let LearnerInput { packets, consumed, rest } = FromLearner::split_all(&learner.bytes, VALUE_LEN_MAX);
        learner.bytes.drain(..consumed);
        if !packets.is_empty() {
            self.on_learner(server, life, link, LearnerEvent::Packets(packets));
        }
        if let Err(error) = rest {
            self.blame(PROTOCOL, format!("a learner of {server} sends: {error}"));
        }
    }

    fn on_leader_bytes(&mut self, server: usize, life: u32, attempt: Attempt, conn: ConnId, bytes: &[u8]) {
        let Some(process) = self.servers[server].process(life) else { return };
        let Some(mut leader) = process.leader.take_if(|leader| leader.conn == Some(conn)) else { return };
        leader.bytes.extend_from_slice(bytes);
        let mut done = 0;
        let mut events = Vec::new();
        loop {
            match leader.stream.next(&leader.bytes[done..]) {
                Ok(Item::Part { consumed, .. }) => {
                    done += consumed;
                    if consumed > 0 {
                        events.push(LeaderEvent::TreeBytes);
                    }
                    break;
                }
                Ok(Item::Packets(packets, len)) => {
                    done += len;
                    events.push(LeaderEvent::Packets(packets));
                }
                Ok(Item::Tree(tree, len)) => {
                    done += len;
                    events.push(LeaderEvent::Tree(tree));
                }
                Err(reason) => {
                    return self.blame(PROTOCOL, format!("the leader of {server} sends: {reason}"));
                }
            }
        }
        leader.bytes.drain(..done);
        process.leader = Some(leader);
        for event in events {
            self.on_leader(server, life, attempt, event);
        }
    }

    /// Connects to a leader's quorum port, again and again until it answers or it is too late.
    pub(crate) fn dial_leader(
        &mut self,
        server: usize,
        life: u32,
        attempt: Attempt,
        leader: usize,
        until: u64,
    ) {
        let Some(process) = self.servers[server].process(life) else { return };
        let Some(link) = process.leader.as_ref().filter(|leader| leader.attempt == attempt) else { return };
        let port = link.port;
        let conn = self.dial(port, (server, life), leader);
        let wait = until.saturating_sub(self.now).max(REDIAL_AFTER);
        self.after(wait, Event::DialOver(server, life, conn));
        if let Some(process) = self.servers[server].process(life) {
            process.uses.insert(conn, Use::Leader(attempt, leader, until));
        }
    }

    /// A connection to a leader is not made in time, unless it is.
    pub(crate) fn on_dial_over(&mut self, server: usize, life: u32, conn: ConnId) {
        let Some(process) = self.servers[server].process(life) else { return };
        let is_made = process.leader.as_ref().is_some_and(|leader| leader.conn == Some(conn));
        if let Some(Use::Leader(attempt, ..)) = process.uses.get(&conn).copied()
            && !is_made
        {
            process.uses.remove(&conn);
            self.hang_up(conn, 0);
            self.post(server, life, Role::Commit, Message::Unreachable(attempt));
        }
    }
}

pub(crate) const PROTOCOL: &str = "servers send each other what the protocol says";
/// How long a leader may take to answer at all.
pub(crate) const CONNECT_PATIENCE: u64 = INIT_LIMIT as u64 * TICK_MS as u64 * MS;
/// How long one may take whom a reconfig has determined.
pub(crate) const DESIGNATED_PATIENCE: u64 = 200 * MS;
/// How long a follower may take that is to bring an observer up to date.
pub(crate) const MASTER_PATIENCE: u64 = 100 * MS;
const REDIAL_AFTER: u64 = 50 * MS;
/// TCP's limit for data that nobody acknowledges.
pub(crate) const GIVE_UP_AFTER: u64 = 3000 * MS;
