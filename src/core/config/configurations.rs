use std::sync::Arc;

use super::membership::Membership;
use crate::id::{ServerId, Zxid};
use crate::quorum::JointQuorum;

/// The configurations that a server goes by: the one activated last and, while a reconfig is under way, the
/// one proposed last (zab §12.1).
///
/// What decides needs a quorum of both: otherwise a reconfig that was committed, of which some server does not
/// know yet, and what was committed without it could both be true.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Configurations {
    committed: Arc<Membership>,
    last_seen: Arc<Membership>,
}

impl Configurations {
    /// No reconfig is under way.
    pub fn of(committed: Arc<Membership>) -> Configurations {
        Configurations { last_seen: committed.clone(), committed }
    }

    /// The configuration that was activated last.
    pub fn committed(&self) -> &Arc<Membership> {
        &self.committed
    }

    /// The one that was proposed last: the committed one, unless a reconfig is under way.
    pub fn last_seen(&self) -> &Arc<Membership> {
        &self.last_seen
    }

    /// Whether a reconfig is under way.
    pub fn is_pending(&self) -> bool {
        self.last_seen.version() != self.committed.version()
    }

    /// Who decides.
    pub fn quorum(&self) -> JointQuorum {
        JointQuorum::of(self.committed.verifier().clone()).with_proposed(self.last_seen.verifier().clone())
    }

    /// A configuration was proposed, by a leader whose history this server shares so far. Whether that
    /// changes anything: one that is not newer than the committed one means that no reconfig is under way.
    pub fn see(&mut self, proposed: &Arc<Membership>) -> bool {
        let is_newer = proposed.version() > self.committed.version();
        let last_seen = if is_newer { proposed } else { &self.committed };
        let changes = self.last_seen.version() != last_seen.version();
        self.last_seen = last_seen.clone();
        changes
    }

    /// A configuration is activated. Whether that changes anything: an older one does not.
    pub fn commit(&mut self, membership: &Arc<Membership>) -> bool {
        if membership.version() <= self.committed.version() {
            return false;
        }
        self.committed = membership.clone();
        if self.last_seen.version() < membership.version() {
            self.last_seen = membership.clone();
        }
        true
    }

    /// What the log had after this zxid is not part of the history, and so no proposal that was made there.
    /// Whether that changes anything.
    pub fn truncate(&mut self, zxid: Zxid) -> bool {
        let is_gone = self.is_pending() && self.last_seen.version() > zxid.0;
        if is_gone {
            self.last_seen = self.committed.clone();
        }
        is_gone
    }

    /// The line that holds for reaching a server: that of the committed configuration, or else of the other.
    pub fn knowing(&self, id: ServerId) -> &Membership {
        if self.committed.line(id).is_some() { &self.committed } else { &self.last_seen }
    }

    /// All servers of both.
    pub fn servers(&self) -> impl Iterator<Item = ServerId> {
        let new = self.last_seen.servers().keys().filter(|id| self.committed.line(**id).is_none());
        self.committed.servers().keys().chain(new).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(ids: &[i64], version: i64) -> Arc<Membership> {
        let lines: String = ids.iter().map(|id| format!("server.{id}=h{id}:1:2\n")).collect();
        Arc::new(Membership::parse(&format!("{lines}version={version:x}"), false).expect("good"))
    }

    #[test]
    fn a_proposal_needs_both_quorums_until_it_is_activated() {
        let mut configurations = Configurations::of(of(&[1, 2, 3], 5));
        assert!(configurations.see(&of(&[3, 4, 5], 7)) && configurations.is_pending());
        let quorum = |configurations: &Configurations, ids: &[i64]| {
            configurations.quorum().contains_quorum(|id| ids.contains(&id.0))
        };
        assert!(quorum(&configurations, &[2, 3, 4]) && !quorum(&configurations, &[3, 4]));
        assert!(configurations.servers().map(|id| id.0).eq([1, 2, 3, 4, 5]));
        assert!(configurations.commit(&of(&[3, 4, 5], 7)) && !configurations.is_pending());
        assert!(quorum(&configurations, &[3, 4]));
        assert!(!configurations.commit(&of(&[1, 2, 3], 5)), "an older one");
    }

    #[test]
    fn a_proposal_goes_with_its_transaction_or_when_a_leader_does_not_know_it() {
        let mut configurations = Configurations::of(of(&[1, 2, 3], 5));
        configurations.see(&of(&[1], 7));
        assert!(!configurations.truncate(Zxid(7)) && configurations.truncate(Zxid(6)));
        assert!(!configurations.is_pending());
        configurations.see(&of(&[1], 7));
        assert!(configurations.see(&of(&[1, 2, 3], 5)) && !configurations.is_pending());
    }
}
