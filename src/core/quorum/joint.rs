use std::collections::BTreeSet;
use std::sync::Arc;

use super::verifier::QuorumVerifier;
use crate::id::ServerId;

/// The quorums that count at the moment: those of the committed configuration and, while a reconfig is
/// under way, of the proposed one as well. Only what is a quorum of each decides (election §4.5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JointQuorum {
    committed: Arc<QuorumVerifier>,
    proposed: Option<Arc<QuorumVerifier>>,
}

impl JointQuorum {
    /// The quorums of one configuration.
    pub fn of(committed: Arc<QuorumVerifier>) -> JointQuorum {
        JointQuorum { committed, proposed: None }
    }

    /// The quorums of two configurations. A proposed one that is not newer than the committed one is
    /// left out.
    pub fn with_proposed(self, proposed: Arc<QuorumVerifier>) -> JointQuorum {
        let is_newer = proposed.version() > self.committed.version();
        JointQuorum { proposed: is_newer.then_some(proposed), ..self }
    }

    /// The configuration that was activated last.
    pub fn committed(&self) -> &Arc<QuorumVerifier> {
        &self.committed
    }

    /// Whether the same voters decide in the same way, of as many configurations.
    pub fn decides_like(&self, other: &JointQuorum) -> bool {
        let (ours, theirs) = (self.verifiers(), other.verifiers());
        let is_like = |(one, other): (&QuorumVerifier, &QuorumVerifier)| one.decides_like(other);
        ours.zip(theirs).all(is_like) && self.proposed.is_some() == other.proposed.is_some()
    }

    /// Whether the server votes in either configuration.
    pub fn is_voter(&self, id: ServerId) -> bool {
        self.verifiers().any(|verifier| verifier.is_voter(id))
    }

    /// The voters of both configurations.
    pub fn voters(&self) -> BTreeSet<ServerId> {
        self.verifiers().flat_map(|verifier| verifier.voters()).collect()
    }

    /// Whether the servers for which `agrees` holds are a quorum of each configuration.
    pub fn contains_quorum(&self, mut agrees: impl FnMut(ServerId) -> bool) -> bool {
        self.verifiers().all(|verifier| verifier.contains_quorum(&mut agrees))
    }

    /// The same where an oracle has granted that one of two voters decides alone: in each configuration that has just
    /// two ([`QuorumVerifier::contains_quorum_by_oracle`]).
    pub fn contains_quorum_by_oracle(&self, mut agrees: impl FnMut(ServerId) -> bool) -> bool {
        self.verifiers().all(|verifier| verifier.contains_quorum_by_oracle(&mut agrees))
    }

    fn verifiers(&self) -> impl Iterator<Item = &QuorumVerifier> {
        [Some(&self.committed), self.proposed.as_ref()].into_iter().flatten().map(|verifier| &**verifier)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn majority(voters: &[i64], version: i64) -> Arc<QuorumVerifier> {
        let voters = voters.iter().copied().map(ServerId);
        Arc::new(QuorumVerifier::majority(voters, []).with_version(version))
    }

    #[test]
    fn a_reconfig_needs_a_quorum_of_both_configurations() {
        let joint = JointQuorum::of(majority(&[1, 2, 3], 1)).with_proposed(majority(&[3, 4, 5], 2));
        let quorum = |ids: &[i64]| joint.contains_quorum(|id| ids.contains(&id.0));
        assert!(quorum(&[2, 3, 4]));
        assert!(!quorum(&[1, 2, 3]) && !quorum(&[3, 4, 5]) && !quorum(&[1, 2, 4]));
        assert_eq!(joint.voters(), (1..=5).map(ServerId).collect());
        assert!(joint.is_voter(ServerId(1)) && joint.is_voter(ServerId(5)) && !joint.is_voter(ServerId(6)));
    }

    #[test]
    fn an_old_proposal_does_not_count() {
        let joint = JointQuorum::of(majority(&[1, 2, 3], 2)).with_proposed(majority(&[4], 2));
        assert!(joint.contains_quorum(|id| id.0 <= 2));
        assert!(!joint.is_voter(ServerId(4)));
    }
}
