//! What goes wrong, chosen by chance among what may.

use ringkeeper_core::id::ServerId;
use ringkeeper_core::log_room::LogRoom;
use ringkeeper_core::quorum::QuorumVerifier;

use crate::network::{Host, Port};
use crate::setup::Fault;
use crate::world::{Event, MS, World};

impl World {
    pub(crate) fn on_fault(&mut self) {
        if !self.is_troubled {
            return;
        }
        let pause = self.rng.u64(10..=self.setup.pause_ms_max);
        self.after(pause * MS, Event::Fault);
        let count = self.setup.faults.len();
        if count > 0 {
            let fault = self.setup.faults[self.rng.usize(0..count)];
            self.cause(fault);
        }
    }

    fn cause(&mut self, fault: Fault) {
        let server = self.rng.usize(0..self.servers.len());
        self.trace.note(self.now, format_args!("fault {fault:?}, server {server}"));
        match fault {
            Fault::Kill | Fault::PowerLoss => {
                self.kill(server, fault == Fault::PowerLoss);
                self.start_later(server);
            }
            Fault::KillAll if self.rng.u8(0..4) == 0 => {
                for server in 0..self.servers.len() {
                    let loses_power = self.rng.bool();
                    self.kill(server, loses_power);
                    self.start_later(server);
                }
            }
            Fault::KillAll => {}
            Fault::Stop => {
                let longest = if self.rng.u8(0..4) == 0 { 3000 } else { 300 };
                let time = self.rng.u64(1..longest) * MS;
                self.stop(server, time);
            }
            Fault::Break => {
                let conns: Vec<_> = self.network.conns.keys().copied().collect();
                for conn in conns {
                    if self.rng.u8(0..6) == 0 {
                        // One side may take the other to be there for long.
                        let sides = self.rng.u8(1..4);
                        for side in (0..2).filter(|side| sides & (1 << side) != 0) {
                            self.send(conn, side, crate::network::Segment::End);
                        }
                    }
                }
            }
            Fault::OneWay => {
                let other = self.rng.usize(0..self.servers.len());
                let port = self.rng.choice([Some(Port::Election), Some(Port::Quorum), None]).flatten();
                self.block(server, other, port);
            }
            Fault::Partition => {
                let side: Vec<bool> = (0..self.servers.len()).map(|_| self.rng.bool()).collect();
                let both_ways = self.rng.u8(0..4) != 0;
                for one in 0..side.len() {
                    for other in (0..side.len()).filter(|other| side[one] && !side[*other]) {
                        self.block(one, other, None);
                        if both_ways {
                            self.block(other, one, None);
                        }
                    }
                }
            }
            Fault::Isolate => {
                let leader = self.leader().unwrap_or(server);
                for other in (0..self.servers.len()).filter(|other| *other != leader) {
                    self.block(leader, other, None);
                    self.block(other, leader, None);
                }
            }
            Fault::CutOff => {
                let client = self.servers.len() + self.rng.usize(0..self.clients.len());
                self.block(client, server, None);
                self.block(server, client, None);
            }
            Fault::Heal => self.heal_network(),
            Fault::SlowDisk => {
                let usual = self.setup.write_us_max;
                self.servers[server].write_us_max = self.rng.u64(usual..=1_500_000);
                let long = self.rng.u64(100..2500) * MS;
                self.after(long, Event::DiskRecovers(server, usual));
            }
            Fault::FullDisk => {
                let room = if self.rng.bool() { LogRoom::Low } else { LogRoom::Spent };
                self.set_room(server, room);
                let long = self.rng.u64(100..2500) * MS;
                self.after(long, Event::Room(server));
            }
            Fault::Wipe => self.wipe(server),
            Fault::WallJump => {
                self.servers[server].clock.wall_offset_ms = self.rng.i64(-3_600_000..3_600_000)
            }
            Fault::Snapshot => self.begin_snapshot(server),
        }
    }

    fn start_later(&mut self, server: usize) {
        let delay = if self.rng.bool() { self.rng.u64(1..50) } else { self.rng.u64(50..2000) };
        self.after(delay * MS, Event::Restart(server));
    }

    /// Lets nothing through from one machine to another, on one port or on all.
    pub(crate) fn block(&mut self, from: Host, to: Host, port: Option<Port>) {
        for each in [Port::Election, Port::Quorum, Port::Observers, Port::Client] {
            if from != to && port.is_none_or(|port| port == each) {
                self.network.blocked.insert((from, to, each));
            }
        }
    }

    pub(crate) fn heal_network(&mut self) {
        self.network.blocked.clear();
        self.release();
    }

    /// Delivers what was held back and is not to be any more.
    pub(crate) fn release(&mut self) {
        // At once: what was sent later and not held back must not come before.
        for (conn, to, segment) in self.network.released() {
            self.handle(Event::Segment { conn, to, segment });
        }
    }

    /// The disk of a server goes, if no election and no leader could miss it: a quorum of others has all that it had,
    /// and has promised as much.
    fn wipe(&mut self, server: usize) {
        let (zxid, epochs) = (self.servers[server].disk.durable(), self.servers[server].disk.epochs());
        let voters = (0..self.setup.voters).map(|id| ServerId(id as i64));
        let quorum = QuorumVerifier::majority(voters, []);
        let covers = |id: ServerId| {
            let other = &self.servers[id.0 as usize];
            other.id != server
                && other.disk.durable() >= zxid
                && other.disk.epochs().accepted >= epochs.accepted
                && other.disk.epochs().current >= epochs.current
        };
        if quorum.contains_quorum(covers) {
            self.trace.note(self.now, format_args!("the disk of server {server} is lost"));
            self.kill(server, false);
            self.servers[server].disk = Default::default();
            self.start_later(server);
        }
    }

    /// Nothing goes wrong any more: everything that is off is on again.
    pub(crate) fn end_trouble(&mut self) {
        self.trace.note(self.now, format_args!("nothing goes wrong any more"));
        self.is_troubled = false;
        self.heal_network();
        for server in 0..self.servers.len() {
            // What its election tells others is not what it does.
            if self.servers[server].process.as_ref().is_some_and(|process| process.is_misled) {
                self.kill(server, false);
            }
            self.servers[server].write_us_max = self.setup.write_us_max;
            self.set_room(server, LogRoom::Ample);
            self.after(MS, Event::Restart(server));
        }
    }
}
