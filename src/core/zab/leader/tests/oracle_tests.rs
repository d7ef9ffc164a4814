//! A leader of two servers whose other one is away, and an oracle.

use super::*;

/// Server 3 leads; server 1 is the other one that votes.
fn of_two() -> Script {
    let configurations = configurations(&[1, 3], &[4], 0);
    Script::with(ZabOptions { configurations, has_oracle: true, ..options() })
}

impl Script {
    fn oracle(&mut self, grants: bool) -> Vec<LeaderAction> {
        self.leader.on_oracle(grants, self.now, &mut self.out);
        self.take()
    }

    /// Established by the oracle's grants alone.
    fn alone() -> Script {
        let mut script = of_two();
        script.oracle(true);
        script.saved(EpochFile::Accepted);
        script.oracle(true);
        script.saved(EpochFile::Current);
        let done = script.oracle(true);
        assert!(done.contains(&Established), "{done:?}");
        script
    }
}

#[test]
fn one_of_two_asks_for_each_step_and_goes_it_when_the_oracle_grants_it() {
    let mut script = of_two();
    assert_eq!(script.take(), [AskOracle]);
    assert_eq!(script.oracle(true), [SaveEpoch(EpochFile::Accepted, 2)]);
    assert_eq!(script.saved(EpochFile::Accepted), [AskOracle]);
    assert_eq!(script.oracle(true), [SaveEpoch(EpochFile::Current, 2)]);
    assert_eq!(script.saved(EpochFile::Current), [AskOracle]);
    assert_eq!(script.oracle(true), [Established, Committed(at(2, 0))]);
    assert_eq!(script.propose(at(2, 1)), []);
    assert_eq!(script.durable(at(2, 1)), [AskOracle], "not before it is on disk");
    assert_eq!(script.oracle(true), [Committed(at(2, 1))]);
    script.leader.confirm(script.now, &mut script.out);
    assert_eq!(script.take(), [AskOracle], "a sync asks whether this server still leads");
    assert_eq!(script.oracle(true), [Confirmed(1)]);
}

#[test]
fn what_the_oracle_denies_waits_until_it_grants_it_or_the_leader_gives_up() {
    let mut script = of_two();
    script.take();
    assert_eq!(script.oracle(false), []);
    assert_eq!(script.pass(TICK_MS / 2), [AskOracle], "it is asked again");
    assert_eq!(script.oracle(true), [SaveEpoch(EpochFile::Accepted, 2)]);

    let mut script = Script::alone();
    script.propose(at(2, 1));
    script.durable(at(2, 1));
    assert_eq!(script.oracle(false), [], "a follower that comes back at once finds its leader");
    assert_eq!(script.pass(TICK_MS), [AskOracle]);
    assert_eq!(script.oracle(true), [Committed(at(2, 1))]);
    assert_eq!(script.pass(TICK_MS), [AskOracle]);
    assert_eq!(script.oracle(false), [Down(DownReason::OracleDenied)]);
}

#[test]
fn an_oracle_that_does_not_answer_for_a_tick_grants_nothing() {
    let mut script = Script::alone();
    assert_eq!(script.pass(TICK_MS), [AskOracle]);
    let connected = vec![ServerId(3)];
    assert_eq!(script.pass(TICK_MS), [Down(DownReason::QuorumLost { connected })]);
}

#[test]
fn once_the_other_is_told_what_is_proposed_nothing_is_decided_without_it() {
    let mut script = Script::alone();
    script.accept(A);
    script.says(A, info(1, LearnerKind::Follower, 1));
    script.propose(at(2, 1));
    assert_eq!(script.durable(at(2, 1)), [AskOracle]);
    script.says(A, promise(at(1, 3)));
    assert_eq!(script.oracle(true), [], "the answer comes too late");
    script.says(A, FromLearner::Ack(at(2, 0)));
    let done = script.says(A, FromLearner::Ack(at(2, 1)));
    assert!(done.contains(&Committed(at(2, 1))), "{done:?}");

    script.propose(at(2, 2));
    assert_eq!(script.durable(at(2, 2)), []);
    script.leader.on_closed(A, script.now, &mut script.out);
    assert_eq!(script.take(), [AskOracle], "it is away again");
    assert_eq!(script.oracle(true), [Committed(at(2, 2))]);
}

#[test]
fn an_observer_takes_nothing_from_the_oracle() {
    let mut script = Script::alone();
    script.accept(A);
    script.says(A, info(4, LearnerKind::Observer, 1));
    script.says(A, promise(at(1, 3)));
    script.propose(at(2, 1));
    assert!(script.durable(at(2, 1)).contains(&AskOracle));
    assert!(script.oracle(true).contains(&Committed(at(2, 1))));
}

#[test]
fn of_three_voters_no_one_decides_alone_whatever_an_oracle_says() {
    let mut script = Script::with(ZabOptions { has_oracle: true, ..options() });
    assert_eq!(script.take(), []);
    assert_eq!(script.oracle(true), []);
    let mut without =
        Script::with(ZabOptions { configurations: configurations(&[1, 3], &[], 0), ..options() });
    assert_eq!(without.take(), [], "there is none to ask");
}
