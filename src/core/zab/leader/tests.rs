use super::*;
use crate::config::SyncLimits;
use crate::proto::{OpCode, Txn};
use crate::testing::configurations;
use crate::time::WallTime;
use crate::zab::history::HistoryBounds;
use crate::zab::options::Timing;
use crate::zab::packet::{LearnerInfo, LearnerKind, PROTOCOL_VERSION, Payload};
use LeaderAction::*;

/// Server 3 of voters 1, 2, 3 leads. Its history is 1:1, 1:2, 1:3.
struct Script {
    leader: Leader,
    now: Instant,
    out: Vec<LeaderAction>,
}

const A: LinkId = LinkId(1);
const B: LinkId = LinkId(2);
const C: LinkId = LinkId(3);
const D: LinkId = LinkId(4);
const TICK_MS: u64 = 2000;

fn at(epoch: u32, counter: u32) -> Zxid {
    Zxid::new(epoch, counter)
}

fn payload(zxid: Zxid) -> Payload {
    let header = crate::proto::TxnHeader { client_id: SessionId(1), cxid: 1, zxid, time: WallTime(0) };
    let mut payload = Vec::new();
    header.encode(&Txn::Error { err: -101 }, &mut payload);
    payload.into()
}

fn proposal(zxid: Zxid) -> FromLeader {
    FromLeader::Proposal { zxid, payload: payload(zxid) }
}

fn info(id: i64, kind: LearnerKind, accepted_epoch: u32) -> FromLearner {
    FromLearner::Info(LearnerInfo {
        kind,
        accepted_epoch,
        id: Some(ServerId(id)),
        protocol_version: PROTOCOL_VERSION,
        config_version: Some(0),
    })
}

fn promise(zxid: Zxid) -> FromLearner {
    FromLearner::AckEpoch { zxid, current_epoch: Some(1) }
}

fn pong() -> FromLearner {
    FromLearner::Ping { zxid: Zxid::ZERO, touched: vec![] }
}

fn options() -> ZabOptions {
    ZabOptions {
        id: ServerId(3),
        configurations: configurations(&[1, 2, 3], &[4], 0),
        reconfig: None,
        timing: Timing { tick_ms: TICK_MS as u32, init_limit: 10, sync_limit: 5 },
        force_snapshot_sync: false,
        confirm_syncs: true,
        sync_limits: SyncLimits::default(),
        has_oracle: false,
    }
}

impl Script {
    fn new() -> Script {
        Script::with(options())
    }

    fn with(options: ZabOptions) -> Script {
        Script::with_durable(options, at(1, 3))
    }

    /// With a log that is on disk only so far.
    fn with_durable(options: ZabOptions, durable: Zxid) -> Script {
        let mut history = History::new(Zxid::ZERO, HistoryBounds::default());
        for zxid in [at(1, 1), at(1, 2), at(1, 3)] {
            history.push(Logged { zxid, payload: payload(zxid) });
        }
        let before = Epochs { accepted: 1, current: 1 };
        let (now, mut out) = (Instant::from_ms(1000), Vec::new());
        let leader = Leader::new(options, before, history, (at(1, 3), durable), now, &mut out);
        Script { leader, now, out }
    }

    /// With server 1 as a synced follower on link A.
    fn established() -> Script {
        let mut script = Script::new();
        script.join(A, 1, at(1, 3));
        script.take();
        script
    }

    fn says(&mut self, link: LinkId, packet: FromLearner) -> Vec<LeaderAction> {
        self.leader.on_packet(link, packet, self.now, &mut self.out);
        self.take()
    }

    fn saved(&mut self, file: EpochFile) -> Vec<LeaderAction> {
        self.leader.on_epoch_saved(file, self.now, &mut self.out);
        self.take()
    }

    fn durable(&mut self, zxid: Zxid) -> Vec<LeaderAction> {
        self.leader.on_durable(Durable::in_a_test(zxid), self.now, &mut self.out);
        self.take()
    }

    fn propose(&mut self, zxid: Zxid) -> Vec<LeaderAction> {
        self.leader.propose(zxid, payload(zxid), self.now, &mut self.out);
        self.take()
    }

    fn pass(&mut self, ms: u64) -> Vec<LeaderAction> {
        self.now = self.now + std::time::Duration::from_millis(ms);
        self.leader.on_tick(self.now, &mut self.out);
        self.take()
    }

    fn accept(&mut self, link: LinkId) {
        self.leader.on_accepted(link, self.now);
    }

    /// A follower up to its ACK of NEWLEADER; all that was done on the way.
    fn join(&mut self, link: LinkId, id: i64, zxid: Zxid) -> Vec<LeaderAction> {
        self.accept(link);
        let mut done = self.says(link, info(id, LearnerKind::Follower, 1));
        done.extend(self.saved(EpochFile::Accepted));
        done.extend(self.says(link, promise(zxid)));
        done.extend(self.saved(EpochFile::Current));
        let epoch = self.leader.epoch();
        done.extend(self.says(link, FromLearner::Ack(at(epoch, 0))));
        done
    }

    fn take(&mut self) -> Vec<LeaderAction> {
        std::mem::take(&mut self.out)
    }
}

fn to(link: LinkId, packets: impl IntoIterator<Item = FromLeader>) -> Vec<LeaderAction> {
    packets.into_iter().map(|packet| Send(link, packet)).collect()
}

fn new_leader(epoch: u32) -> FromLeader {
    let config = options().configurations.committed().text().into_bytes();
    FromLeader::NewLeader { zxid: at(epoch, 0), config: Some(config.into()) }
}

fn closed(actions: &[LeaderAction]) -> Vec<&CloseReason> {
    actions
        .iter()
        .filter_map(|action| if let Close(_, reason) = action { Some(reason) } else { None })
        .collect()
}

/// ZooKeeper 3.4 breaks off the connection when it gets them, and comes again for more of them.
#[test]
fn a_server_of_3_4_is_not_told_of_transactions_that_came_later() {
    let mut script = Script::established();
    let txn = Txn::Multi(vec![Txn::DeleteContainer { path: "/c".into() }]);
    let (zxid, mut payload) = (at(2, 1), Vec::new());
    let header = crate::proto::TxnHeader { client_id: SessionId(1), cxid: 1, zxid, time: WallTime(0) };
    header.encode(&txn, &mut payload);
    script.leader.propose(zxid, payload.into(), script.now, &mut script.out);
    assert!(!script.leader.has_old_learners());

    let joins = |script: &mut Script, link: LinkId, zxid: Zxid| {
        script.accept(link);
        script.says(link, FromLearner::Info(plain_info()));
        script.says(link, promise(zxid))
    };
    assert_eq!(joins(&mut script, B, at(1, 3)), [TakeTree(B)]);
    assert!(script.leader.has_old_learners());
    script.leader.on_tree_taken(B, at(1, 3), script.now, &mut script.out);
    assert_eq!(script.take(), [TakeTree(B)], "it is not in it yet");
    script.durable(zxid);
    script.says(A, FromLearner::Ack(zxid));
    script.leader.on_tree_taken(B, zxid, script.now, &mut script.out);
    assert!(matches!(script.take()[..2], [Send(B, FromLeader::Snap(_)), SendTree(B)]));
    script.leader.on_closed(B, script.now, &mut script.out);
    assert!(!script.leader.has_old_learners());

    let told = joins(&mut script, C, zxid);
    assert!(
        matches!(told[..], [Send(C, FromLeader::Diff(_)), Send(C, FromLeader::NewLeader { .. })]),
        "{told:?}"
    );
}

#[test]
fn observers_that_would_be_too_many_to_be_brought_up_to_date_at_once_are_sent_away() {
    let join = |script: &mut Script, link: LinkId, id: i64, kind| {
        script.accept(link);
        script.says(link, info(id, kind, 1));
        script.says(link, promise(at(1, 2)))
    };
    let (observer, follower) = (LearnerKind::Observer, LearnerKind::Follower);
    let mut script = Script::established();
    script.leader.options.sync_limits = SyncLimits { trees_max: 2, diffs_max: 1 };
    let too_many = CloseReason::TooManySyncs { most: 1 };
    assert_eq!(closed(&join(&mut script, B, 4, observer)), [] as [&CloseReason; 0]);
    assert_eq!(closed(&join(&mut script, C, 5, observer)), [&too_many]);
    assert_eq!(closed(&join(&mut script, C, 2, follower)), [] as [&CloseReason; 0], "it is needed");

    script.says(B, FromLearner::Ack(at(2, 0)));
    assert_eq!(closed(&join(&mut script, LinkId(9), 5, observer)), [&too_many], "it counts");
    script.says(C, FromLearner::Ack(at(2, 0)));
    assert_eq!(closed(&join(&mut script, LinkId(9), 5, observer)), [] as [&CloseReason; 0]);

    script.leader.options.force_snapshot_sync = true;
    for id in [6, 7] {
        assert_eq!(join(&mut script, LinkId(id as u64 + 9), id, observer), [TakeTree(LinkId(id as u64 + 9))]);
    }
    let refused = join(&mut script, LinkId(30), 8, observer);
    assert_eq!(closed(&refused), [&CloseReason::TooManySyncs { most: 2 }], "trees and the rest count apart");
    script.leader.on_closed(LinkId(15), script.now, &mut script.out);
    assert_eq!(
        join(&mut script, LinkId(31), 8, observer),
        [TakeTree(LinkId(31))],
        "who is gone counts no more"
    );
}

/// A server that had promised an epoch to one who then found no quorum could not follow the leader that there was,
/// and nothing changed that. Found by simulation; it is so with Java.
#[test]
fn a_server_that_promised_a_later_epoch_is_let_in_by_a_new_one() {
    let mut script = Script::established();
    script.accept(B);
    let done = script.says(B, info(2, LearnerKind::Follower, 7));
    let ours = script.leader.epoch();
    assert_eq!(done, [Down(DownReason::Outpromised { id: ServerId(2), theirs: 7, ours })]);
    let mut script = Script::established();
    script.accept(B);
    assert_ne!(script.says(B, info(2, LearnerKind::Follower, ours)), [], "it is let in");
    assert!(script.leader.is_established());
}

#[test]
fn the_epoch_is_newer_than_all_that_came_and_promised_before_anyone_is_told() {
    let mut script = Script::new();
    assert_eq!(script.take(), []);
    script.accept(C);
    assert_eq!(script.says(C, info(4, LearnerKind::Observer, 6)), [], "an observer is no quorum, but counts");
    script.accept(A);
    assert_eq!(script.says(A, info(1, LearnerKind::Follower, 1)), [SaveEpoch(EpochFile::Accepted, 7)]);
    let told = [A, C].map(|link| Send(link, FromLeader::LeaderInfo { epoch: 7 }));
    assert_eq!(script.saved(EpochFile::Accepted), told);
    script.accept(B);
    let late = script.says(B, info(2, LearnerKind::Follower, 9));
    assert_eq!(late, [Send(B, FromLeader::LeaderInfo { epoch: 7 })], "it is fixed");
}

/// A leader whose disk was slow entered an epoch, died, and came back with the newer epoch and less of the history than
/// was committed: it was elected, and the rest was lost. Found by simulation.
#[test]
fn the_leader_enters_the_epoch_when_its_own_log_is_on_disk() {
    let mut script = Script::with_durable(options(), at(1, 1));
    script.accept(A);
    script.says(A, info(1, LearnerKind::Follower, 1));
    script.saved(EpochFile::Accepted);
    assert_eq!(script.says(A, promise(at(1, 3))), []);
    assert_eq!(script.durable(at(1, 2)), []);
    assert_eq!(script.durable(at(1, 3)), [SaveEpoch(EpochFile::Current, 2)]);
    assert_eq!(script.durable(at(1, 3)), [], "once");
}

#[test]
fn promises_count_that_are_new_and_not_ahead() {
    let mut script = Script::new();
    for (link, id) in [(A, 1), (B, 2)] {
        script.accept(link);
        script.says(link, info(id, LearnerKind::Follower, 1));
    }
    script.saved(EpochFile::Accepted);
    let again = FromLearner::AckEpoch { zxid: at(1, 3), current_epoch: None };
    assert_eq!(script.says(A, again), [], "it has promised before");
    let ahead = script.says(B, promise(at(1, 4)));
    assert_eq!(closed(&ahead), [&CloseReason::Ahead { epoch: 1, zxid: at(1, 4) }]);
    script.accept(B);
    script.says(B, info(2, LearnerKind::Follower, 2));
    assert_eq!(script.says(B, promise(at(1, 2))), [SaveEpoch(EpochFile::Current, 2)]);
}

#[test]
fn a_follower_that_lacks_something_gets_it_and_then_new_leader_and_then_up_to_date() {
    let mut script = Script::new();
    script.accept(A);
    script.says(A, info(1, LearnerKind::Follower, 1));
    script.saved(EpochFile::Accepted);
    script.says(A, promise(at(1, 1)));
    let expected = to(
        A,
        [
            FromLeader::Diff(at(1, 3)),
            proposal(at(1, 2)),
            FromLeader::Commit(at(1, 2)),
            proposal(at(1, 3)),
            FromLeader::Commit(at(1, 3)),
            new_leader(2),
        ],
    );
    assert_eq!(script.saved(EpochFile::Current), expected);
    let expected = [Established, Committed(at(2, 0)), Send(A, FromLeader::UpToDate)];
    assert_eq!(script.says(A, FromLearner::Ack(at(2, 0))), expected);
}

#[test]
fn a_tail_of_the_epoch_is_truncated_and_one_of_another_epoch_gets_the_tree() {
    let mut script = Script::established();
    script.accept(B);
    script.says(B, info(2, LearnerKind::Follower, 1));
    let synced = script.says(B, promise(at(1, 5)));
    assert_eq!(synced, to(B, [FromLeader::Trunc(at(1, 3)), new_leader(2)]));
    script.propose(at(2, 1));
    script.durable(at(2, 1));
    script.says(A, FromLearner::Ack(at(2, 1)));
    script.accept(C);
    script.says(C, info(2, LearnerKind::Follower, 1));
    assert_eq!(script.says(C, promise(at(1, 5))), [TakeTree(C)]);
    script.leader.on_tree_taken(C, at(2, 0), script.now, &mut script.out);
    let mut expected = to(C, [FromLeader::Snap(at(2, 0))]);
    expected.push(SendTree(C));
    expected.extend(to(C, [proposal(at(2, 1)), FromLeader::Commit(at(2, 1)), new_leader(2)]));
    assert_eq!(script.take(), expected);
}

#[test]
fn what_is_not_in_memory_is_read_from_the_log_or_the_tree_is_sent() {
    let mut script = Script::established();
    script.leader.history.restart(at(1, 3));
    for (link, excerpt, expected) in [
        (B, None, vec![TakeTree(B)]),
        (
            C,
            Some(crate::zab::LogExcerpt {
                after: at(1, 2),
                entries: vec![Logged { zxid: at(1, 3), payload: payload(at(1, 3)) }],
            }),
            to(
                C,
                [FromLeader::Diff(at(1, 3)), proposal(at(1, 3)), FromLeader::Commit(at(1, 3)), new_leader(2)],
            ),
        ),
    ] {
        script.accept(link);
        script.says(link, info(2, LearnerKind::Follower, 1));
        let asked = script.says(link, promise(at(1, 2)));
        assert_eq!(asked, [ReadLog { link, from: at(1, 2), upto: at(1, 3) }]);
        script.leader.on_log_read(link, excerpt, script.now, &mut script.out);
        assert_eq!(script.take(), expected);
    }
}

#[test]
fn commits_wait_for_up_to_date_and_follow_it_at_once() {
    let mut script = Script::established();
    script.propose(at(2, 1));
    script.accept(B);
    script.says(B, info(2, LearnerKind::Follower, 1));
    let synced = script.says(B, promise(at(1, 3)));
    assert_eq!(synced, to(B, [FromLeader::Diff(at(1, 3)), proposal(at(2, 1)), new_leader(2)]));
    script.durable(at(2, 1));
    let committed = script.says(A, FromLearner::Ack(at(2, 1)));
    assert_eq!(committed, [Send(A, FromLeader::Commit(at(2, 1))), Committed(at(2, 1))]);
    assert_eq!(script.propose(at(2, 2)), [A, B].map(|link| Send(link, proposal(at(2, 2)))));
    let started = script.says(B, FromLearner::Ack(at(2, 0)));
    assert_eq!(started, to(B, [FromLeader::UpToDate, FromLeader::Commit(at(2, 1))]));
}

#[test]
fn acknowledgements_before_that_of_new_leader_count_after_it() {
    let mut script = Script::established();
    script.propose(at(2, 1));
    script.accept(B);
    script.says(B, info(2, LearnerKind::Follower, 1));
    script.says(B, promise(at(1, 3)));
    script.durable(at(2, 1));
    assert_eq!(script.says(B, FromLearner::Ack(at(2, 1))), [], "it may not have entered the epoch");
    let started = script.says(B, FromLearner::Ack(at(2, 0)));
    assert!(started.contains(&Committed(at(2, 1))), "{started:?}");
}

#[test]
fn an_acknowledgement_covers_what_is_before_it() {
    let mut script = Script::established();
    (1..=3).for_each(|counter| drop(script.propose(at(2, counter))));
    script.durable(at(2, 3));
    assert_eq!(script.says(A, FromLearner::Ack(at(2, 9))), [], "never proposed");
    let commits = [at(2, 1), at(2, 2), at(2, 3)].map(FromLeader::Commit);
    let expected = [to(A, commits), vec![Committed(at(2, 3))]].concat();
    assert_eq!(script.says(A, FromLearner::Ack(at(2, 3))), expected);
    assert_eq!(script.says(A, FromLearner::Ack(at(2, 2))), []);
}

#[test]
fn two_followers_commit_without_the_leaders_disk() {
    let mut script = Script::established();
    script.join(B, 2, at(1, 3));
    script.propose(at(2, 1));
    assert_eq!(script.says(A, FromLearner::Ack(at(2, 1))), []);
    assert!(script.says(B, FromLearner::Ack(at(2, 1))).contains(&Committed(at(2, 1))));
}

#[test]
fn what_was_acknowledged_on_an_earlier_connection_does_not_count() {
    let mut script = Script::established();
    script.propose(at(2, 1));
    script.says(A, FromLearner::Ack(at(2, 1)));
    script.accept(C);
    let replaced = script.says(C, info(1, LearnerKind::Follower, 2));
    assert_eq!(closed(&replaced), [&CloseReason::Replaced { id: ServerId(1) }]);
    let synced = script.says(C, promise(at(2, 1)));
    // It has what is not committed: that is cut, and comes again.
    assert_eq!(synced, [TakeTree(C)], "2:0 is in no log");
    script.leader.on_tree_taken(C, at(2, 0), script.now, &mut script.out);
    script.take();
    assert_eq!(script.durable(at(2, 1)), [], "the leader's disk alone");
    script.says(C, FromLearner::Ack(at(2, 0)));
    assert!(script.says(C, FromLearner::Ack(at(2, 1))).contains(&Committed(at(2, 1))));
}

#[test]
fn observers_are_told_of_what_is_committed_and_do_not_count() {
    let mut script = Script::established();
    script.accept(C);
    script.says(C, info(4, LearnerKind::Observer, 1));
    script.says(C, promise(at(1, 3)));
    script.says(C, FromLearner::Ack(at(2, 0)));
    script.propose(at(2, 1));
    script.durable(at(2, 1));
    assert_eq!(script.says(C, FromLearner::Ack(at(2, 1))), []);
    let committed = script.says(A, FromLearner::Ack(at(2, 1)));
    let inform = FromLeader::Inform { zxid: at(2, 1), payload: payload(at(2, 1)) };
    let expected = [Send(A, FromLeader::Commit(at(2, 1))), Send(C, inform), Committed(at(2, 1))];
    assert_eq!(committed, expected);
}

fn sync() -> FromLearner {
    FromLearner::Request(ForwardedRequest {
        session: SessionId(1),
        cxid: 1,
        op: OpCode::Sync.number(),
        record: [][..].into(),
        identities: None,
    })
}

#[test]
fn a_sync_is_answered_when_a_quorum_has_confirmed_and_before_later_commits() {
    let mut script = Script::established();
    script.propose(at(2, 1));
    assert_eq!(script.says(A, sync()), [Send(A, FromLeader::Ping(at(2, 1)))]);
    script.propose(at(2, 2));
    script.durable(at(2, 2));
    let committed = script.says(A, FromLearner::Ack(at(2, 2)));
    assert_eq!(committed, [Send(A, FromLeader::Commit(at(2, 1))), Committed(at(2, 2))]);
    let expected = [Confirmed(1), Send(A, FromLeader::Sync), Send(A, FromLeader::Commit(at(2, 2)))];
    assert_eq!(script.says(A, pong()), expected);
}

#[test]
fn the_answer_to_an_earlier_ping_confirms_nothing() {
    let mut script = Script::established();
    script.pass(TICK_MS);
    script.says(A, sync());
    assert_eq!(script.says(A, pong()), [], "this was sent before the sync came");
    assert_eq!(script.says(A, pong()), [Confirmed(1), Send(A, FromLeader::Sync)]);
}

#[test]
fn pings_start_with_new_leader_and_not_before() {
    let mut script = Script::new();
    script.accept(A);
    script.says(A, info(1, LearnerKind::Follower, 1));
    script.saved(EpochFile::Accepted);
    assert_eq!(script.pass(TICK_MS), []);
    script.says(A, promise(at(1, 3)));
    assert_eq!(script.pass(TICK_MS), []);
    script.saved(EpochFile::Current);
    assert_eq!(script.pass(TICK_MS / 2), [Send(A, FromLeader::Ping(at(1, 3)))]);
}

#[test]
fn a_leader_without_a_quorum_steps_down() {
    let mut script = Script::new();
    let down = script.pass(10 * TICK_MS);
    assert_eq!(down, [Down(DownReason::NoQuorumCame { ms: 20_000 })]);
    let mut script = Script::established();
    script.leader.on_closed(A, script.now, &mut script.out);
    let down = script.pass(TICK_MS);
    assert_eq!(down, [Down(DownReason::QuorumLost { connected: vec![ServerId(3)] })]);
}

#[test]
fn a_follower_that_is_silent_or_does_not_acknowledge_is_closed() {
    let mut script = Script::established();
    script.propose(at(2, 1));
    for _ in 0..4 {
        script.pass(TICK_MS);
        assert_eq!(script.says(A, pong()), []);
    }
    let late = script.pass(TICK_MS);
    assert_eq!(closed(&late), [&CloseReason::SlowAck { zxid: at(2, 1), ms: 10_000 }]);
    let mut script = Script::established();
    let silent = script.pass(5 * TICK_MS);
    assert_eq!(closed(&silent), [&CloseReason::Silent { ms: 10_000 }]);
}

#[test]
fn what_a_learner_may_not_send_closes_its_connection() {
    let mut script = Script::established();
    script.accept(B);
    let refused = script.says(B, FromLearner::Ack(at(1, 1)));
    assert!(matches!(closed(&refused)[..], [CloseReason::Unexpected { .. }]));
    for (info, expected) in [
        (LearnerInfo { protocol_version: 1, ..plain_info() }, CloseReason::OldProtocol { version: 1 }),
        (
            LearnerInfo { config_version: Some(5), ..plain_info() },
            CloseReason::LaterConfig { theirs: 5, ours: 0 },
        ),
        (
            LearnerInfo { accepted_epoch: u32::MAX, ..plain_info() },
            CloseReason::AbsurdEpoch { epoch: u32::MAX },
        ),
    ] {
        script.accept(B);
        let refused = script.says(B, FromLearner::Info(info));
        assert_eq!(closed(&refused), [&expected]);
    }
    assert_eq!(script.says(A, FromLearner::Unknown(77)), [], "what is unknown is passed over");
}

fn plain_info() -> LearnerInfo {
    LearnerInfo {
        kind: LearnerKind::Follower,
        accepted_epoch: 1,
        id: Some(ServerId(2)),
        protocol_version: PROTOCOL_VERSION,
        config_version: None,
    }
}

mod oracle_tests;
mod precedence_tests;
mod reconfig_tests;
