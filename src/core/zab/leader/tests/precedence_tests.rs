//! Servers that may not lead have nothing that a quorum of those that may does not have.

use super::reconfig_tests::{committed, established, reconfigurable, reconfigured_to};
use super::*;
use crate::testing::membership;

/// How far a learner was proposed something.
fn proposed_to(link: LinkId, actions: &[LeaderAction]) -> Vec<Zxid> {
    let proposed = |action: &LeaderAction| match action {
        Send(to, FromLeader::Proposal { zxid, .. }) if *to == link => Some(*zxid),
        _ => None,
    };
    actions.iter().filter_map(proposed).collect()
}

/// Whether a learner is brought up to date.
fn is_synced(link: LinkId, actions: &[LeaderAction]) -> bool {
    actions.iter().any(|action| matches!(action, Send(to, FromLeader::NewLeader { .. }) if *to == link))
}

#[test]
fn who_may_not_lead_is_proposed_what_a_quorum_of_those_has_that_may() {
    let mut script = established();
    script.join(C, 5, at(1, 3));
    let (before, change, behind) = (at(2, 1), at(2, 2), at(2, 3));
    let told = script.propose(before);
    assert_eq!((proposed_to(A, &told), proposed_to(C, &told)), (vec![before], vec![]));
    assert_eq!(proposed_to(C, &script.durable(before)), [], "one of three has it");
    let done = script.says(A, FromLearner::Ack(before));
    let to_c = done.iter().filter(|action| matches!(action, Send(C, _))).cloned().collect::<Vec<_>>();
    assert_eq!(to_c, to(C, [proposal(before), FromLeader::Commit(before)]), "and in this order");

    script.says(C, FromLearner::Ack(before));
    assert_eq!(proposed_to(C, &reconfigured_to(&mut script, change, &[3, 5])), []);
    script.propose(behind);
    script.durable(behind);
    let old = script.says(A, FromLearner::Ack(change));
    assert_eq!((proposed_to(C, &old), committed(&old)), (vec![change], vec![]));
    let both = script.says(C, FromLearner::Ack(change));
    assert_eq!(committed(&both), [change]);
    assert_eq!(proposed_to(C, &both), [behind], "it may lead now, and gets all");
    assert_eq!(proposed_to(A, &script.propose(at(2, 4))), [], "it may not any more");
}

#[test]
fn who_comes_later_and_may_not_lead_gets_no_more_either() {
    let mut script = established();
    let (first, second) = (at(2, 1), at(2, 2));
    script.propose(first);
    script.propose(second);
    script.durable(second);
    script.join(B, 2, at(1, 3));
    script.says(A, FromLearner::Ack(first));
    let joined = script.join(C, 5, at(1, 3));
    assert_eq!(proposed_to(C, &joined), [first], "{joined:?}");
    assert_eq!(proposed_to(C, &script.says(B, FromLearner::Ack(second))), [second]);
}

#[test]
fn who_may_not_lead_enters_an_epoch_behind_a_quorum_of_those_that_may() {
    let mut options = reconfigurable(5);
    options.configurations.see(&membership(&[3, 5], &[], 7));
    let init = options.timing.init().as_millis() as u64;
    let mut script = Script::with(options);
    for (link, id) in [(A, 1), (C, 5)] {
        script.accept(link);
        script.says(link, info(id, LearnerKind::Follower, 1));
    }
    script.saved(EpochFile::Accepted);
    for link in [A, C] {
        script.says(link, promise(at(1, 3)));
    }
    let entered = script.saved(EpochFile::Current);
    assert!(is_synced(A, &entered) && !is_synced(C, &entered), "{entered:?}");
    script.pass(init - 1);
    script.accept(D);
    script.says(D, info(6, LearnerKind::Follower, 1));
    assert!(!is_synced(D, &script.says(D, promise(at(1, 3)))), "nor does one that comes later");
    let half = script.says(A, FromLearner::Ack(at(2, 0)));
    assert!(is_synced(C, &half) && is_synced(D, &half) && !half.contains(&Established), "{half:?}");
    assert!(!script.pass(init - 1).iter().any(|action| matches!(action, Down(_))), "it has its time, too");
    assert!(script.says(C, FromLearner::Ack(at(2, 0))).contains(&Established));
}
