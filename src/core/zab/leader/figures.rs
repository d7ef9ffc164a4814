use super::Leader;
use crate::time::Instant;
use crate::zab::packet::LearnerKind;

/// What a leader shows to operators (admin §1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LeaderFigures {
    /// Learners that are connected.
    pub learners: usize,
    /// Followers that are told of what happens.
    pub synced_followers: usize,
    /// Those of them that have no vote.
    pub synced_non_voting_followers: usize,
    /// Observers that are told of what happens.
    pub synced_observers: usize,
    /// Learners' syncs that wait for commits.
    pub pending_syncs: usize,
    /// Milliseconds since a quorum followed.
    pub uptime_ms: u64,
    /// What was proposed.
    pub proposal_sizes: ProposalSizes,
}

/// Lengths of proposals in bytes; -1 before the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProposalSizes {
    /// Of the last proposal.
    pub last: i64,
    /// The least.
    pub min: i64,
    /// The greatest.
    pub max: i64,
}

impl Default for ProposalSizes {
    fn default() -> ProposalSizes {
        ProposalSizes { last: -1, min: -1, max: -1 }
    }
}

impl ProposalSizes {
    pub(super) fn count(&mut self, len: usize) {
        let len = len as i64;
        self.last = len;
        self.min = if self.min < 0 { len } else { self.min.min(len) };
        self.max = self.max.max(len);
    }
}

impl Leader {
    /// How this leader does.
    pub fn figures(&self, now: Instant) -> LeaderFigures {
        let synced = |kind| {
            let links = self.links.values();
            links.filter(move |link| link.kind == kind && link.stage.is_forwarding())
        };
        let votes = |id| self.quorum.committed().is_voter(id);
        LeaderFigures {
            learners: self.links.len(),
            synced_followers: synced(LearnerKind::Follower).count(),
            synced_non_voting_followers: synced(LearnerKind::Follower)
                .filter(|link| !votes(link.learner))
                .count(),
            synced_observers: synced(LearnerKind::Observer).count(),
            pending_syncs: self.links.values().map(|link| link.syncs.len()).sum(),
            uptime_ms: self.established.map_or(0, |since| now.since(since).as_millis() as u64),
            proposal_sizes: self.proposal_sizes,
        }
    }

    /// Forgets the sizes of proposals, as srst asks.
    pub fn reset_figures(&mut self) {
        self.proposal_sizes = ProposalSizes::default();
    }
}
