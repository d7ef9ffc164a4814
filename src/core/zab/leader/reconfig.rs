//! Reconfiguration: who decides, from when on, and who leads then (zab §12).
//!
//! ```text
//!   proposed: quorums of both      committed: COMMITANDACTIVATE, the new configuration decides
//!   -------R--------------------------------|--------->
//!                                           '-- this server is not to lead it: HandedOver, until
//!                                               a quorum of learners has left or time is up
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{Leader, LeaderAction, Phase};
use crate::config::{Membership, Part};
use crate::id::{ServerId, Zxid};
use crate::quorum::JointQuorum;
use crate::time::Instant;
use crate::zab::packet::{FromLeader, Payload};
use crate::zab::reason::DownReason;
use crate::zab::reconfig;

/// The reconfigs of an epoch.
#[derive(Default)]
pub(super) struct Reconfigs {
    /// The one that is proposed and not committed.
    pending: Option<Zxid>,
    /// Those that are committed, each with who leads from there on.
    activated: BTreeMap<Zxid, ServerId>,
    /// How many changes of the configurations are not on disk yet.
    unsaved: usize,
    /// What to say when this server leads no more because of one.
    handed_over: Option<DownReason>,
}

impl Reconfigs {
    pub(super) fn pending(&self) -> Option<Zxid> {
        self.pending
    }

    pub(super) fn are_saved(&self) -> bool {
        self.unsaved == 0
    }

    /// What tells a follower that a transaction is committed.
    pub(super) fn commit(&self, zxid: Zxid) -> FromLeader {
        match self.activated.get(&zxid) {
            None => FromLeader::Commit(zxid),
            Some(designated) => FromLeader::CommitAndActivate { zxid, designated: *designated },
        }
    }

    /// What tells an observer.
    pub(super) fn inform(&self, zxid: Zxid, payload: Payload) -> FromLeader {
        match self.activated.get(&zxid) {
            None => FromLeader::Inform { zxid, payload },
            Some(designated) => FromLeader::InformAndActivate { zxid, payload, designated: *designated },
        }
    }
}

impl Leader {
    /// A change of the configurations is on disk.
    pub fn on_configurations_saved(&mut self, now: Instant, out: &mut Vec<LeaderAction>) {
        self.reconfigs.unsaved = self.reconfigs.unsaved.saturating_sub(1);
        if self.phase == Phase::AwaitAcks {
            self.establish_if_quorum(now, out);
        }
    }

    /// The servers that have all of this leader's history, itself among them: what a new configuration needs a
    /// quorum of.
    pub fn synced_servers(&self) -> BTreeSet<ServerId> {
        let followers = self.links.values().filter(|link| link.is_follower() && link.stage.is_synced());
        followers.map(|link| link.learner).chain([self.options.id]).collect()
    }

    /// A configuration that no leader has established yet gets the zxid of the epoch as its version, so that it
    /// holds against those that servers bring which are to join.
    pub(super) fn name_first_configuration(&mut self, out: &mut Vec<LeaderAction>) {
        let configurations = &self.options.configurations;
        let is_unnamed = configurations.committed().version() == 0 && !configurations.is_pending();
        if self.options.reconfig.is_some() && is_unnamed {
            let named = configurations.committed().with_version(self.epoch_zxid().0);
            if self.options.configurations.see(&Arc::new(named)) {
                self.on_configured(out);
            }
        }
    }

    /// What was proposed last is activated now that a quorum of both configurations follows: a reconfig that an
    /// earlier leader did not complete, or the first configuration. Whether this server is to lead it.
    pub(super) fn complete_reconfig(
        &mut self,
        synced: &[ServerId],
        now: Instant,
        out: &mut Vec<LeaderAction>,
    ) -> bool {
        if !self.options.configurations.is_pending() {
            return true;
        }
        let last_seen = self.options.configurations.last_seen().clone();
        let designated = self.designated(&last_seen, synced.iter().map(|id| (*id, Zxid::ZERO)));
        self.options.configurations.commit(&last_seen);
        self.on_configured(out);
        if designated != self.options.id {
            // Whom the others follow, they find out by an election.
            self.hand_over(DownReason::Reconfigured { leader: None, zxid: Zxid(last_seen.version()) }, now);
        }
        designated == self.options.id
    }

    /// A transaction that is proposed may be a reconfig: from there on, both configurations must agree.
    pub(super) fn note_reconfig(&mut self, zxid: Zxid, payload: &[u8], out: &mut Vec<LeaderAction>) {
        if self.options.reconfig.is_none() {
            return;
        }
        // What cannot be read was not ordered.
        let Ok(Some(proposed)) = reconfig::proposed(zxid, payload) else { return };
        if self.options.configurations.see(&proposed) {
            self.reconfigs.pending = Some(zxid);
            self.on_configured(out);
        }
    }

    /// The quorums of the configuration that is still the activated one.
    pub(super) fn old_quorum(&self) -> JointQuorum {
        JointQuorum::of(self.options.configurations.committed().verifier().clone())
    }

    /// Whether these servers are a quorum of the activated configuration, as far as it goes by the oracle.
    pub(super) fn is_old_quorum(&self, agrees: impl FnMut(ServerId) -> bool) -> bool {
        match self.is_granted() {
            true => self.old_quorum().contains_quorum_by_oracle(agrees),
            false => self.old_quorum().contains_quorum(agrees),
        }
    }

    /// The configuration that is activated by committing a transaction. Who leads it is determined here, before
    /// anybody is told.
    pub(super) fn activated_by(&mut self, zxid: Zxid) -> Option<Arc<Membership>> {
        self.reconfigs.pending.take_if(|pending| *pending == zxid)?;
        let activated = self.options.configurations.last_seen().clone();
        let acks = self.acks().into_iter().filter(|(_, acked)| *acked >= zxid);
        let designated = self.designated(&activated, acks);
        self.reconfigs.activated.insert(zxid, designated);
        Some(activated)
    }

    pub(super) fn activate(&mut self, activated: Arc<Membership>, now: Instant, out: &mut Vec<LeaderAction>) {
        let zxid = Zxid(activated.version());
        self.options.configurations.commit(&activated);
        self.on_configured(out);
        let designated = self.reconfigs.activated.get(&zxid).copied();
        if designated != Some(self.options.id) {
            self.hand_over(DownReason::Reconfigured { leader: designated, zxid }, now);
        }
    }

    /// This server, if it votes in the new configuration and is where it was; otherwise the one of its voters
    /// that has acknowledged most.
    fn designated(
        &self,
        membership: &Membership,
        acks: impl IntoIterator<Item = (ServerId, Zxid)>,
    ) -> ServerId {
        let (me, committed) = (self.options.id, self.options.configurations.committed());
        let stays = membership.quorum_addresses(me) == committed.quorum_addresses(me);
        if membership.part(me) == Part::Voter && stays {
            return me;
        }
        let voters = acks.into_iter().filter(|(id, _)| *id != me && membership.part(*id) == Part::Voter);
        let furthest = voters.max_by_key(|(id, acked)| (*acked, std::cmp::Reverse(*id)));
        furthest.map_or(me, |(id, _)| id)
    }

    /// Nothing is committed here any more. The learners leave by themselves, so that it is certain that they
    /// have heard why.
    fn hand_over(&mut self, reason: DownReason, now: Instant) {
        self.phase = Phase::HandedOver;
        self.deadline = now + self.options.timing.sync();
        self.reconfigs.handed_over = Some(reason);
    }

    pub(super) fn check_handed_over(&mut self, out: &mut Vec<LeaderAction>) {
        let is_left = |id| !self.links.values().any(|link| link.is_follower() && link.learner == id);
        if self.phase == Phase::HandedOver && self.quorum.contains_quorum(is_left) {
            self.leave(out);
        }
    }

    /// Ends what was handed over.
    pub(super) fn leave(&mut self, out: &mut Vec<LeaderAction>) {
        if let Some(reason) = self.reconfigs.handed_over.take() {
            self.down(reason, out);
        }
    }

    fn on_configured(&mut self, out: &mut Vec<LeaderAction>) {
        self.quorum = self.options.configurations.quorum();
        self.reconfigs.unsaved += 1;
        out.push(LeaderAction::Configure(self.options.configurations.clone()));
    }
}
