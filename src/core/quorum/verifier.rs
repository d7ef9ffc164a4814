use std::collections::BTreeSet;

use thiserror::Error;

use super::groups::{Groups, Hierarchy};
use crate::id::ServerId;

/// Tells which sets of servers are quorums of one configuration of the ensemble (config §3, zab §12.3).
///
/// Any two quorums of one verifier have a server in common. Observers are members that never count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuorumVerifier {
    version: i64,
    voters: BTreeSet<ServerId>,
    observers: BTreeSet<ServerId>,
    rule: Rule,
}

/// Why groups and weights do not make a quorum system. The texts are ZooKeeper's where it has one (config §2).
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[allow(missing_docs, reason = "the text of each says what it is")]
pub enum QuorumError {
    #[error("Server {id}is not in a group")]
    NotInAGroup { id: ServerId },
    #[error("Server {id}is in multiple groups")]
    InMultipleGroups { id: ServerId },
    #[error("group {group} names server {id}, which does not vote and has no weight: remove it there")]
    NoVoter { group: i64, id: ServerId },
    #[error("weight.{id}={weight} is not allowed, it must be at least 0")]
    NegativeWeight { id: ServerId, weight: i64 },
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Rule {
    Majority,
    Hierarchical(Hierarchy),
}

impl QuorumVerifier {
    /// More than half of the voters are a quorum.
    pub fn majority(
        voters: impl IntoIterator<Item = ServerId>,
        observers: impl IntoIterator<Item = ServerId>,
    ) -> QuorumVerifier {
        let (voters, observers) = (voters.into_iter().collect(), observers.into_iter().collect());
        QuorumVerifier { version: 0, voters, observers, rule: Rule::Majority }
    }

    /// A quorum has more than half of the weight in each of more than half of the groups; groups without
    /// weight don't count.
    pub fn hierarchical(
        voters: impl IntoIterator<Item = ServerId>,
        observers: impl IntoIterator<Item = ServerId>,
        groups: &Groups,
    ) -> Result<QuorumVerifier, QuorumError> {
        let verifier = QuorumVerifier::majority(voters, observers);
        let rule = Rule::Hierarchical(groups.hierarchy(&verifier.voters)?);
        Ok(QuorumVerifier { rule, ..verifier })
    }

    /// The same quorums under the version of a configuration, which is the zxid of its reconfig or 0.
    pub fn with_version(self, version: i64) -> QuorumVerifier {
        QuorumVerifier { version, ..self }
    }

    /// Whether the same voters decide in the same way.
    pub(super) fn decides_like(&self, other: &QuorumVerifier) -> bool {
        self.voters == other.voters && self.rule == other.rule
    }

    /// The version of the configuration.
    pub fn version(&self) -> i64 {
        self.version
    }

    /// The servers that vote, in ascending order.
    pub fn voters(&self) -> impl ExactSizeIterator<Item = ServerId> {
        self.voters.iter().copied()
    }

    /// The servers that only follow, in ascending order.
    pub fn observers(&self) -> impl ExactSizeIterator<Item = ServerId> {
        self.observers.iter().copied()
    }

    /// Whether the server votes.
    pub fn is_voter(&self, id: ServerId) -> bool {
        self.voters.contains(&id)
    }

    /// Whether the server belongs to the ensemble, as voter or as observer.
    pub fn is_member(&self, id: ServerId) -> bool {
        self.is_voter(id) || self.observers.contains(&id)
    }

    /// What the server's vote weighs. A server of weight 0 is never elected.
    pub fn weight(&self, id: ServerId) -> i64 {
        match &self.rule {
            Rule::Majority => 1,
            Rule::Hierarchical(hierarchy) => hierarchy.weight(id),
        }
    }

    /// What the server's vote weighs if it votes at all: more than 0 if it may be elected.
    pub fn weight_of_voter(&self, id: ServerId) -> i64 {
        if self.is_voter(id) { self.weight(id) } else { 0 }
    }

    /// Whether the voters for which `agrees` holds are a quorum. It is asked once for each voter at most,
    /// so that strangers, observers and repetitions can't count.
    pub fn contains_quorum(&self, mut agrees: impl FnMut(ServerId) -> bool) -> bool {
        match &self.rule {
            Rule::Majority => self.voters().filter(|id| agrees(*id)).count() > self.voters.len() / 2,
            Rule::Hierarchical(hierarchy) => hierarchy.contains_quorum(|id| self.is_voter(id) && agrees(id)),
        }
    }

    /// The same where an oracle has granted that one of exactly two voters decides alone (`oraclePath`, zab §12.3).
    /// Two such quorums need have no server in common: that the oracle grants it to one only, is its own promise.
    pub fn contains_quorum_by_oracle(&self, mut agrees: impl FnMut(ServerId) -> bool) -> bool {
        let are_two = self.rule == Rule::Majority && self.voters.len() == 2;
        match are_two {
            true => self.voters().any(agrees),
            false => self.contains_quorum(&mut agrees),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn majority_of(count: i64) -> QuorumVerifier {
        QuorumVerifier::majority((0..count).map(ServerId), [])
    }

    #[test]
    fn a_majority_is_more_than_half_of_the_voters() {
        for (voters, quorum) in [(1, 1), (2, 2), (3, 2), (4, 3), (5, 3), (11, 6)] {
            let verifier = majority_of(voters);
            assert!(verifier.contains_quorum(|id| id.0 < quorum), "{quorum} of {voters}");
            assert!(!verifier.contains_quorum(|id| id.0 < quorum - 1), "{} of {voters}", quorum - 1);
        }
        assert!(!majority_of(0).contains_quorum(|_| true), "nobody decides nothing");
    }

    #[test]
    fn an_oracle_grants_the_decision_to_one_of_two_voters_only() {
        for (voters, quorum) in [(1, 1), (2, 1), (3, 2), (4, 3)] {
            let verifier = majority_of(voters);
            assert!(verifier.contains_quorum_by_oracle(|id| id.0 < quorum), "{quorum} of {voters}");
            assert!(
                !verifier.contains_quorum_by_oracle(|id| id.0 < quorum - 1),
                "{} of {voters}",
                quorum - 1
            );
        }
        let with_observers = QuorumVerifier::majority([ServerId(1), ServerId(2)], [ServerId(3)]);
        assert!(!with_observers.contains_quorum_by_oracle(|id| id.0 == 3), "an observer decides nothing");
    }

    #[test]
    fn observers_belong_and_never_count() {
        let verifier = QuorumVerifier::majority([ServerId(1), ServerId(2)], [ServerId(3), ServerId(4)]);
        assert!(!verifier.contains_quorum(|id| id.0 != 2), "one voter and two observers");
        assert!(verifier.is_member(ServerId(3)) && !verifier.is_voter(ServerId(3)));
        assert!(!verifier.is_member(ServerId(5)));
    }

    fn three_by_three(weights: &[(i64, i64)]) -> QuorumVerifier {
        let mut groups = Groups::default();
        for id in 1..=9 {
            groups.add(ServerId(id), (id - 1) / 3).expect("each once");
        }
        for (id, weight) in weights {
            groups.weigh(ServerId(*id), *weight);
        }
        QuorumVerifier::hierarchical((1..=9).map(ServerId), [], &groups).expect("a hierarchy")
    }

    #[test]
    fn a_hierarchy_asks_for_most_groups_and_most_of_their_weight() {
        let verifier = three_by_three(&[]);
        let quorum = |ids: &[i64]| verifier.contains_quorum(|id| ids.contains(&id.0));
        assert!(quorum(&[1, 2, 4, 5]), "two majorities");
        assert!(quorum(&[1, 2, 3, 7, 8, 9]), "two whole groups");
        assert!(!quorum(&[1, 2, 3, 4]), "one group and a third");
        assert!(!quorum(&[1, 4, 7, 2]), "one majority only, though four servers");
        assert!(!quorum(&[]));
    }

    #[test]
    fn groups_without_weight_and_servers_without_weight_do_not_count() {
        let verifier = three_by_three(&[(7, 0), (8, 0), (9, 0), (1, 5)]);
        let quorum = |ids: &[i64]| verifier.contains_quorum(|id| ids.contains(&id.0));
        assert!(!quorum(&[1, 7, 8, 9]), "of two groups with weight both are needed");
        assert!(quorum(&[1, 4, 5]), "server 1 outweighs its group");
        assert!(!quorum(&[2, 3, 4, 5]), "the others do not");
        assert_eq!((verifier.weight(ServerId(1)), verifier.weight(ServerId(7))), (5, 0));
        assert_eq!(verifier.weight(ServerId(2)), 1, "the default");
        assert_eq!(verifier.weight(ServerId(99)), 0, "a stranger");
    }

    #[test]
    fn wrong_groups_are_told_in_zookeepers_words() {
        let mut groups = Groups::default();
        groups.add(ServerId(1), 1).expect("new");
        let twice = groups.add(ServerId(1), 2).expect_err("twice");
        assert_eq!(twice.to_string(), "Server 1is in multiple groups");
        let build = |voters: &[i64], groups: &Groups| {
            let voters = voters.iter().copied().map(ServerId);
            QuorumVerifier::hierarchical(voters, [], groups).map(|_| ()).map_err(|e| e.to_string())
        };
        assert_eq!(build(&[1, 2], &groups), Err("Server 2is not in a group".to_owned()));
        groups.add(ServerId(3), 1).expect("new");
        assert!(build(&[1], &groups).unwrap_err().starts_with("group 1 names server 3"));
        groups.weigh(ServerId(3), 2);
        assert_eq!(build(&[1], &groups), Ok(()), "Java takes the weight of a server that is not there");
        groups.weigh(ServerId(1), -1);
        assert!(build(&[1], &groups).unwrap_err().starts_with("weight.1=-1"));
    }

    #[test]
    fn the_weight_of_an_absent_server_counts_against_its_group() {
        let mut groups = Groups::default();
        groups.add(ServerId(1), 1).expect("new");
        groups.add(ServerId(3), 1).expect("new");
        groups.weigh(ServerId(3), 1);
        let verifier = QuorumVerifier::hierarchical([ServerId(1)], [], &groups).expect("a hierarchy");
        assert!(!verifier.contains_quorum(|_| true), "one of two, whoever else agrees");
    }
}
