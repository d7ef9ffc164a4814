//! What a learner hears of configurations (zab §12).
//!
//! A proposed one counts from its proposal on, for elections; it is activated when the leader says that its
//! transaction is committed, or, where it came with NEWLEADER, that a quorum follows. A server then may have to
//! follow another leader, or in another role: it starts anew, and tells with whom.

use std::sync::Arc;

use super::{Learner, LearnerAction, kind_of};
use crate::config::Membership;
use crate::id::{ServerId, Zxid};
use crate::zab::history::Logged;
use crate::zab::reason::DownReason;
use crate::zab::reconfig;

impl Learner {
    /// A change of the configurations is on disk.
    pub fn on_configurations_saved(&mut self, out: &mut Vec<LearnerAction>) {
        let unsaved = &mut self.storage.unsaved_configurations;
        *unsaved = unsaved.saturating_sub(1);
        self.stabilize(out);
    }

    /// A transaction that the leader proposes may be a reconfig.
    pub(super) fn note_reconfig(
        &mut self,
        logged: &Logged,
        out: &mut Vec<LearnerAction>,
    ) -> Result<(), DownReason> {
        if self.options.reconfig.is_some()
            && let Some(proposed) = reconfig::proposed(logged.zxid, &logged.payload)?
            && self.options.configurations.see(&proposed)
        {
            self.configure(out);
        }
        Ok(())
    }

    /// What was proposed after this is not part of the history.
    pub(super) fn forget_reconfigs_after(&mut self, zxid: Zxid, out: &mut Vec<LearnerAction>) {
        if self.options.configurations.truncate(zxid) {
            self.configure(out);
        }
    }

    /// NEWLEADER tells what the leader has seen last: no other proposal is left.
    pub(super) fn note_offer(
        &mut self,
        zxid: Zxid,
        config: Option<&[u8]>,
        out: &mut Vec<LearnerAction>,
    ) -> Result<(), DownReason> {
        let Some(config) = config.filter(|config| self.options.reconfig.is_some() && config.len() > 1) else {
            return Ok(());
        };
        let offered = Membership::of_peer(config);
        let offered = Arc::new(offered.map_err(|error| DownReason::BadConfiguration { zxid, error })?);
        if self.options.configurations.see(&offered) {
            self.configure(out);
        }
        self.offered = Some(offered);
        Ok(())
    }

    /// UPTODATE: what came with NEWLEADER holds, unless it is a proposal that is still under way. A Java leader tells
    /// that too, and an observer does not even hear of it otherwise before the commit.
    pub(super) fn take_offer(&mut self, out: &mut Vec<LearnerAction>) -> Result<(), DownReason> {
        let Some(offered) = self.offered.take() else { return Ok(()) };
        let version = offered.version();
        let is_under_way = version > self.tail.last_committed().max(Zxid::new(self.epoch, 0)).0;
        let configurations = &mut self.options.configurations;
        let before = configurations.committed().clone();
        if is_under_way || !configurations.commit(&offered) {
            return Ok(());
        }
        self.configure(out);
        let address = |membership: &Membership| match membership.verifier().is_voter(self.leader) {
            true => membership.quorum_addresses(self.leader),
            false => Vec::new(),
        };
        let (old, new) = (address(&before), address(&offered));
        let keeps_leader = !old.is_empty() && old == new;
        match keeps_leader && kind_of(offered.part(self.options.id)) == self.kind {
            true => Ok(()),
            false => Err(DownReason::Reconfigured { leader: None, zxid: Zxid(version) }),
        }
    }

    /// The transaction `zxid`, a reconfig, is committed.
    pub(super) fn activate(
        &mut self,
        zxid: Zxid,
        designated: ServerId,
        out: &mut Vec<LearnerAction>,
    ) -> Result<(), DownReason> {
        let last_seen = self.options.configurations.last_seen().clone();
        if last_seen.version() != zxid.0 || !self.options.configurations.commit(&last_seen) {
            // It is known already, from an election or NEWLEADER; or nothing of the kind is wanted here.
            return Ok(());
        }
        self.configure(out);
        let keeps_role = kind_of(last_seen.part(self.options.id)) == self.kind;
        match keeps_role && designated == self.leader {
            true => Ok(()),
            false => Err(DownReason::Reconfigured { leader: Some(designated), zxid }),
        }
    }

    fn configure(&mut self, out: &mut Vec<LearnerAction>) {
        self.storage.unsaved_configurations += 1;
        out.push(LearnerAction::Configure(self.options.configurations.clone()));
    }
}
