//! What goes wrong, chosen by chance among what may.

use ringkeeper_core::id::ServerId;
use ringkeeper_core::log_room::LogRoom;

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
                self.isolate(leader);
            }
            Fault::Depose => {
                let leader = self.leader().unwrap_or(server);
                self.depose(leader);
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
                match self.rng.choice([Some(LogRoom::Low), Some(LogRoom::Spent), None]).flatten() {
                    Some(room) => self.set_room(server, room),
                    // It filled up faster than anybody looked.
                    None => self.fill_disk(server, true),
                }
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

    /// Cuts a server off from all others, in both directions.
    pub(crate) fn isolate(&mut self, server: usize) {
        for other in (0..self.servers.len()).filter(|other| *other != server) {
            self.block(server, other, None);
            self.block(other, server, None);
        }
    }

    /// As [`World::isolate`], and those who follow the server learn that at once, so that they can have another leader
    /// long before it knows.
    pub(crate) fn depose(&mut self, server: usize) {
        self.isolate(server);
        let is_learner =
            |conn: &crate::network::Conn| conn.port == Port::Quorum && conn.ends[1].host == server;
        let conns = self.network.conns.iter().filter(|(_, conn)| is_learner(conn)).map(|(id, _)| *id);
        for conn in conns.collect::<Vec<_>>() {
            self.after(0, Event::Severed { conn, side: 0 });
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

    /// A disk has room again, and who has ended for lack of it is started.
    pub(crate) fn make_room(&mut self, server: usize) {
        self.set_room(server, LogRoom::Ample);
        if self.servers[server].is_full {
            self.fill_disk(server, false);
            self.start_later(server);
        }
    }

    /// The disk of a server goes, if no election and no leader could miss it.
    fn wipe(&mut self, server: usize) {
        let (zxid, epochs) = (self.servers[server].disk.durable(), self.servers[server].disk.epochs());
        let covers = |id: ServerId| {
            let disk = &self.servers[id.0 as usize].disk;
            // Either others have all that it had and have promised as much, or they alone decide without it.
            let has_all = disk.durable() >= zxid
                && disk.epochs().accepted >= epochs.accepted
                && disk.epochs().current >= epochs.current;
            id.0 as usize != server && if self.setup.autocreate { has_all } else { disk.is_sound() }
        };
        if self.setup.verifier().contains_quorum(covers) {
            self.lose_disk(server);
            self.start_later(server);
        }
    }

    /// A server ends, and its disk is empty.
    pub(crate) fn lose_disk(&mut self, server: usize) {
        self.trace.note(self.now, format_args!("the disk of server {server} is lost"));
        self.kill(server, false);
        self.checks.counts.disks += 1;
        let lost = &mut self.servers[server];
        lost.lost = lost.lost.max(lost.disk.durable());
        lost.disk = Default::default();
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
            self.make_room(server);
            self.after(MS, Event::Restart(server));
        }
    }
}
