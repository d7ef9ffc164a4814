//! **Nobody promises what the disk does not hold**: what is published is on the disks of a quorum, and what a
//! learner acknowledges or promises to its leader is on its own.

use ringkeeper_core::id::{ServerId, Zxid};
use ringkeeper_core::quorum::QuorumVerifier;
use ringkeeper_core::zab::packet::FromLearner;

use super::{Verdict, must};
use crate::server::Server;
use crate::setup::Setup;

pub(crate) const PROMISE: &str = "nobody promises what the disk does not hold";

pub(crate) struct Durability {
    quorum: QuorumVerifier,
}

impl Durability {
    pub(crate) fn new(setup: &Setup) -> Durability {
        Durability { quorum: setup.verifier() }
    }

    /// A transaction is published for the first time, or about to be served.
    pub(crate) fn on_committed(&self, zxid: Zxid, servers: &[Server]) -> Verdict {
        // Who has lost its disk has kept its word until then.
        let has = |id: ServerId| {
            let server = &servers[id.0 as usize];
            server.disk.durable().max(server.lost) >= zxid
        };
        let disks: Vec<_> = servers.iter().map(|server| server.disk.durable()).collect();
        must!(PROMISE, self.quorum.contains_quorum(has), "{zxid} is published, the disks have {disks:?}");
        Ok(())
    }

    /// A learner tells its leader something.
    pub(crate) fn on_to_leader(&self, server: &Server, packet: &FromLearner) -> Verdict {
        let (id, disk, epochs) = (server.id, &server.disk, server.disk.epochs());
        match packet {
            FromLearner::Ack(zxid) if zxid.counter() != 0 => {
                let durable = disk.durable();
                must!(PROMISE, *zxid <= durable, "server {id} acknowledges {zxid}, its disk has {durable}");
            }
            FromLearner::Ack(zxid) => {
                let (current, epoch) = (epochs.current, zxid.epoch());
                must!(PROMISE, current == epoch, "server {id} enters epoch {epoch}, its disk says {current}");
                let logged = server.process.as_ref().and_then(|process| process.logged.range(..zxid).last());
                let behind = logged.is_some_and(|(logged, _)| *logged > disk.durable());
                let durable = disk.durable();
                must!(PROMISE, !behind, "server {id} has come to epoch {epoch}, its disk only to {durable}");
            }
            FromLearner::AckEpoch { .. } => {
                let accepted = epochs.accepted;
                let epoch =
                    server.member().and_then(|member| member.learner()).map(|learner| learner.epoch());
                must!(
                    PROMISE,
                    epoch == Some(accepted),
                    "server {id} promises {epoch:?}, on disk is {accepted}"
                );
            }
            _ => {}
        }
        Ok(())
    }
}
