//! **Nobody promises what the disk does not hold**: what is published is on the disks of a quorum, and what a
//! learner acknowledges or promises to its leader is on its own.

use std::sync::Arc;

use ringkeeper_core::config::Membership;
use ringkeeper_core::id::{ServerId, Zxid};
use ringkeeper_core::quorum::QuorumVerifier;
use ringkeeper_core::zab::packet::FromLearner;

use super::history::Txn;
use super::{Verdict, memberships, must};
use crate::server::{Server, first_servers};
use crate::setup::Setup;

pub(crate) const PROMISE: &str = "nobody promises what the disk does not hold";

pub(crate) struct Durability {
    /// Who decides, after what is published so far.
    quorum: Arc<QuorumVerifier>,
}

impl Durability {
    pub(crate) fn new(setup: &Setup) -> Durability {
        Durability { quorum: first_servers(setup).verifier().clone() }
    }

    /// A transaction is published for the first time, or about to be served. A reconfig needs a quorum of the servers
    /// before it and one of those after it.
    pub(crate) fn on_committed(&mut self, txn: &Txn, servers: &[Server]) -> Verdict {
        let zxid = txn.zxid;
        // Who has lost its disk has kept its word until then.
        let has = |id: ServerId| {
            let server = &servers[id.0 as usize];
            server.disk.durable().max(server.lost) >= zxid
        };
        let disks: Vec<_> = servers.iter().map(|server| server.disk.durable()).collect();
        must!(PROMISE, self.quorum.contains_quorum(has), "{zxid} is published, the disks have {disks:?}");
        if let Some(made) = memberships::made_by(&txn.deltas) {
            self.quorum = made.verifier().clone();
            must!(PROMISE, self.quorum.contains_quorum(has), "{zxid} is published, the disks have {disks:?}");
        }
        Ok(())
    }

    /// A leader is established, by this configuration, and everything was checked that it found. It may have completed a
    /// reconfig of which its file knew, and whose transaction no log that is left has.
    pub(crate) fn on_established(&mut self, committed: &Membership) {
        if committed.version() > self.quorum.version() {
            self.quorum = committed.verifier().clone();
        }
    }

    /// A server is about to be in this epoch even after a crash: its log must not be behind.
    pub(crate) fn on_entered(&self, server: &Server, epoch: u32) -> Verdict {
        let (id, durable, opening) = (server.id, server.disk.durable(), Zxid::new(epoch, 0));
        let logged = server.process.as_ref().and_then(|process| process.logged.range(..opening).last());
        let behind = logged.is_some_and(|(logged, _)| *logged > durable);
        must!(PROMISE, !behind, "server {id} enters epoch {epoch}, its disk has come only to {durable}");
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
                self.on_entered(server, epoch)?;
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
