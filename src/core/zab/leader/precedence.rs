//! Who may lead comes first.
//!
//! Followers that do not vote in the activated configuration may not be elected: servers that are to join, or that were
//! removed. Where a reconfig is under way, the votes of some of them are needed all the same. If they had more of the
//! history than those that may lead, these could not lead them, and nobody could lead any more. So what is on the disk
//! of a server that may not lead is on those of a quorum of servers that may, one of which is in every other quorum:
//!
//! ```text
//!   the epoch's beginning: synced --> a quorum of the activated configuration --> synced, too
//!   a transaction:       proposed --> a quorum of the activated configuration --> proposed, too
//! ```

use super::link::{Link, Stage};
use super::{Leader, LeaderAction, LinkId, Phase};
use crate::id::{ServerId, Zxid};
use crate::time::Instant;
use crate::zab::packet::FromLeader;

impl Leader {
    /// Whether the server may be elected.
    pub(super) fn may_lead(&self, id: ServerId) -> bool {
        self.options.configurations.committed().verifier().weight_of_voter(id) > 0
    }

    /// Whether servers must be synced one after the other, as some are needed that may not lead.
    pub(super) fn needs_others(&self) -> bool {
        self.quorum.voters().into_iter().any(|id| !self.may_lead(id))
    }

    /// Brings those up to date that have waited for it: who may not lead, once a quorum is up to date that may.
    pub(super) fn sync_waiting(&mut self, now: Instant, out: &mut Vec<LeaderAction>) {
        let are_all_due = self.is_epoch_safe();
        let waiting = self.links.iter().filter_map(|(id, link)| match link.stage {
            Stage::AwaitEpochQuorum(zxid) if are_all_due || self.may_lead(link.learner) => Some((*id, zxid)),
            _ => None,
        });
        for (id, zxid) in waiting.collect::<Vec<_>>() {
            self.sync(id, zxid, now, out);
        }
    }

    /// Whether this learner may be brought up to date, now that the epoch is entered.
    pub(super) fn may_sync(&self, id: ServerId) -> bool {
        self.phase > Phase::AwaitAcks || self.may_lead(id) || self.is_epoch_safe()
    }

    /// Whether all that there was before the epoch, and the epoch itself, is with a quorum that may lead.
    fn is_epoch_safe(&self) -> bool {
        let synced = self.synced();
        self.is_old_quorum(|id| synced.contains(&id))
    }

    /// Proposes to those that may not lead what a quorum that may has on disk by now.
    pub(super) fn propose_held(&mut self, now: Instant, out: &mut Vec<LeaderAction>) {
        if self.phase != Phase::Established {
            return;
        }
        let is_behind =
            |link: &Link| link.is_follower() && link.stage.is_forwarding() && link.proposed < self.proposed;
        let behind: Vec<(LinkId, ServerId)> = self
            .links
            .iter()
            .filter(|(_, link)| is_behind(link))
            .map(|(id, link)| (*id, link.learner))
            .collect();
        for (id, learner) in behind {
            let upto = self.proposable_to(learner);
            let Some(link) = self.links.get_mut(&id) else { continue };
            let from = self.outstanding.partition_point(|logged| logged.zxid <= link.proposed);
            for logged in self.outstanding.range(from..).take_while(|logged| logged.zxid <= upto) {
                let (zxid, payload) = (logged.zxid, logged.payload.clone());
                link.proposed = zxid;
                if link.stage == Stage::Serving {
                    link.unacked.on_proposal(zxid, now);
                }
                out.push(LeaderAction::Send(id, FromLeader::Proposal { zxid, payload }));
            }
        }
    }

    /// The last transaction that this server may be proposed.
    pub(super) fn proposable_to(&self, id: ServerId) -> Zxid {
        match self.may_lead(id) {
            true => self.proposed,
            false => {
                let acks = self.acks();
                let has = |id, zxid| acks.iter().any(|(of, acked)| *of == id && *acked >= zxid);
                let kept = acks.iter().map(|(_, acked)| *acked);
                let kept = kept.filter(|zxid| self.is_old_quorum(|id| has(id, *zxid))).max();
                kept.map_or(self.committed, |kept| kept.max(self.committed))
            }
        }
    }
}
