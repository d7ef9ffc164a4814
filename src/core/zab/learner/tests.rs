use super::*;
use crate::config::{ReconfigRules, SyncLimits};
use crate::id::ServerId;
use crate::proto::{Txn, TxnHeader};
use crate::testing::{configurations, membership};
use crate::time::WallTime;
use crate::tree::TreeOptions;
use crate::zab::options::Timing;
use crate::zab::stream::{Item, LeaderStream};
use LearnerAction::*;

/// Server 1, which has accepted and followed epoch 1. Its database is at 1:3, and its log goes on with 1:4.
struct Script {
    learner: Learner,
    now: Instant,
    out: Vec<LearnerAction>,
}

fn at(epoch: u32, counter: u32) -> Zxid {
    Zxid::new(epoch, counter)
}

fn logged(zxid: Zxid) -> Logged {
    let header = TxnHeader { client_id: SessionId(1), cxid: 1, zxid, time: WallTime(0) };
    let mut payload = Vec::new();
    header.encode(&Txn::Error { err: -101 }, &mut payload);
    Logged { zxid, payload: payload.into() }
}

fn proposal(zxid: Zxid) -> FromLeader {
    FromLeader::Proposal { zxid, payload: logged(zxid).payload }
}

fn new_leader(epoch: u32) -> FromLeader {
    FromLeader::NewLeader { zxid: at(epoch, 0), config: None }
}

fn ack(zxid: Zxid) -> LearnerAction {
    Send(FromLearner::Ack(zxid))
}

impl Script {
    fn new(kind: LearnerKind) -> Script {
        let configurations = match kind {
            LearnerKind::Follower => configurations(&[1, 2, 3], &[], 0),
            LearnerKind::Observer => configurations(&[2, 3], &[1], 0),
        };
        let options = ZabOptions {
            id: ServerId(1),
            configurations,
            reconfig: None,
            timing: Timing { tick_ms: 2000, init_limit: 10, sync_limit: 5 },
            force_snapshot_sync: false,
            confirm_syncs: true,
            sync_limits: SyncLimits::default(),
            has_oracle: false,
        };
        let epochs = Epochs { accepted: 1, current: 1 };
        let tail = Tail::of(at(1, 3), VecDeque::from([logged(at(1, 4))]));
        let (now, mut out) = (Instant::from_ms(1000), Vec::new());
        let log = (at(1, 4), at(1, 3));
        let learner = Learner::new(options, ServerId(3), epochs, tail, log, now, &mut out);
        Script { learner, now, out }
    }

    /// One that has promised epoch 2.
    fn promised(kind: LearnerKind) -> Script {
        let mut script = Script::new(kind);
        script.hears(FromLeader::LeaderInfo { epoch: 2 });
        script.saved(EpochFile::Accepted);
        script.take();
        script
    }

    /// One that serves, and has everything on disk.
    fn serving(kind: LearnerKind) -> Script {
        let mut script = Script::promised(kind);
        script.hears(FromLeader::Diff(at(1, 4)));
        script.hears(new_leader(2));
        script.durable(at(1, 4));
        script.saved(EpochFile::Current);
        script.hears(FromLeader::UpToDate);
        assert!(script.learner.is_serving());
        script
    }

    fn hears(&mut self, packet: FromLeader) -> Vec<LearnerAction> {
        self.learner.on_packet(packet, self.now, &mut self.out);
        self.take()
    }

    fn saved(&mut self, file: EpochFile) -> Vec<LearnerAction> {
        self.learner.on_epoch_saved(file, &mut self.out);
        self.take()
    }

    fn durable(&mut self, zxid: Zxid) -> Vec<LearnerAction> {
        self.learner.on_durable(Durable::in_a_test(zxid), &mut self.out);
        self.take()
    }

    fn pass(&mut self, ms: u64) -> Vec<LearnerAction> {
        self.now = self.now + std::time::Duration::from_millis(ms);
        self.learner.on_tick(self.now, &mut self.out);
        self.take()
    }

    fn take(&mut self) -> Vec<LearnerAction> {
        std::mem::take(&mut self.out)
    }
}

#[test]
fn an_epoch_is_promised_once_and_on_disk_first() {
    let mut script = Script::new(LearnerKind::Follower);
    script.take();
    let told = script.hears(FromLeader::LeaderInfo { epoch: 2 });
    assert_eq!(told, [SaveEpoch(EpochFile::Accepted, 2)]);
    let promise = FromLearner::AckEpoch { zxid: at(1, 4), current_epoch: Some(1) };
    assert_eq!(script.saved(EpochFile::Accepted), [Send(promise)]);
    let mut script = Script::new(LearnerKind::Follower);
    script.take();
    let again = FromLearner::AckEpoch { zxid: at(1, 4), current_epoch: None };
    assert_eq!(script.hears(FromLeader::LeaderInfo { epoch: 1 }), [Send(again)]);
    let mut script = Script::new(LearnerKind::Follower);
    script.take();
    let down = script.hears(FromLeader::LeaderInfo { epoch: 0 });
    assert_eq!(down, [Down(DownReason::OldEpoch { theirs: 0, ours: 1 })]);
}

#[test]
fn new_leader_is_acknowledged_when_everything_is_on_disk_and_the_epoch_entered() {
    let mut script = Script::promised(LearnerKind::Follower);
    assert_eq!(script.hears(FromLeader::Diff(at(1, 6))), []);
    for zxid in [at(1, 5), at(1, 6)] {
        assert_eq!(script.hears(proposal(zxid)), [Append(logged(zxid))]);
        assert_eq!(script.hears(FromLeader::Commit(zxid)), []);
    }
    assert_eq!(script.hears(new_leader(2)), []);
    assert_eq!(script.hears(FromLeader::Ping(at(1, 6))), [], "Java passes pings over here");
    assert_eq!(script.hears(proposal(at(2, 1))), [Append(logged(at(2, 1)))]);
    assert_eq!(script.durable(at(1, 5)), []);
    assert_eq!(script.durable(at(1, 6)), [SaveEpoch(EpochFile::Current, 2)]);
    assert_eq!(script.durable(at(2, 1)), []);
    assert_eq!(script.saved(EpochFile::Current), [ack(at(2, 0))]);
    let delivered = [at(1, 4), at(1, 5), at(1, 6)].map(|zxid| Deliver(logged(zxid)));
    let expected = [&delivered[..], &[Serve, ack(at(2, 0)), ack(at(2, 1))]].concat();
    assert_eq!(script.hears(FromLeader::UpToDate), expected);
}

#[test]
fn a_tail_that_is_truncated_was_in_no_database() {
    let mut script = Script::promised(LearnerKind::Follower);
    let cut = script.hears(FromLeader::Trunc(at(1, 3)));
    assert_eq!(cut, [Truncate { zxid: at(1, 3), rebuild: false }]);
    assert_eq!(script.hears(new_leader(2)), [], "the log is being cut");
    script.learner.on_truncated(None, &mut script.out);
    assert_eq!(script.take(), [SaveEpoch(EpochFile::Current, 2)]);
    script.saved(EpochFile::Current);
    assert_eq!(script.hears(FromLeader::UpToDate), [Serve, ack(at(2, 0))]);
}

#[test]
fn a_database_that_is_beyond_the_truncation_is_built_anew() {
    let mut script = Script::promised(LearnerKind::Follower);
    let cut = script.hears(FromLeader::Trunc(at(1, 2)));
    assert_eq!(cut, [Truncate { zxid: at(1, 2), rebuild: true }]);
    assert_eq!(script.hears(proposal(at(2, 1))), [Append(logged(at(2, 1)))]);
    script.learner.on_truncated(Some(at(1, 1)), &mut script.out);
    assert_eq!(script.take(), [Down(DownReason::CannotTruncate { zxid: at(1, 2) })], "1:2 was not there");
    let mut script = Script::promised(LearnerKind::Follower);
    let cut = script.hears(FromLeader::Trunc(at(1, 7)));
    assert_eq!(cut, [Down(DownReason::CannotTruncate { zxid: at(1, 7) })]);
}

#[test]
fn a_tree_takes_the_place_of_everything_and_is_on_disk_before_the_acknowledgement() {
    let mut script = Script::promised(LearnerKind::Follower);
    assert_eq!(script.hears(FromLeader::Snap(at(3, 0))), []);
    script.learner.on_tree(script.now, &mut script.out);
    assert_eq!(script.take(), [SaveTree]);
    assert_eq!(script.hears(proposal(at(3, 1))), [Append(logged(at(3, 1)))]);
    script.hears(FromLeader::Commit(at(3, 1)));
    assert_eq!(script.hears(new_leader(2)), []);
    assert_eq!(script.durable(at(3, 1)), [], "the tree is not");
    script.learner.on_tree_saved(&mut script.out);
    assert_eq!(script.take(), [SaveEpoch(EpochFile::Current, 2)]);
    script.saved(EpochFile::Current);
    let served = script.hears(FromLeader::UpToDate);
    assert_eq!(served, [Deliver(logged(at(3, 1))), Serve, ack(at(2, 0))], "nothing of the old tail");
}

#[test]
fn proposals_are_acknowledged_one_by_one_when_they_are_on_disk() {
    let mut script = Script::serving(LearnerKind::Follower);
    for counter in 1..=3 {
        script.hears(proposal(at(2, counter)));
    }
    assert_eq!(script.durable(at(2, 2)), [ack(at(2, 1)), ack(at(2, 2))]);
    let committed = script.hears(FromLeader::Commit(at(2, 1)));
    assert_eq!(committed, [Deliver(logged(at(2, 1)))]);
    script.hears(FromLeader::Commit(at(2, 2)));
    let committed = script.hears(FromLeader::Commit(at(2, 3)));
    assert_eq!(committed, [Deliver(logged(at(2, 3)))], "a quorum has it, if not this disk");
    assert_eq!(script.durable(at(2, 3)), [ack(at(2, 3))]);
}

#[test]
fn observers_log_what_they_are_told_and_acknowledge_nothing() {
    let mut script = Script::serving(LearnerKind::Observer);
    let zxid = at(2, 1);
    let told = script.hears(FromLeader::Inform { zxid, payload: logged(zxid).payload });
    assert_eq!(told, [Append(logged(zxid)), Deliver(logged(zxid))]);
    assert_eq!(script.durable(zxid), []);
}

#[test]
fn disorder_ends_it() {
    let disorder = |packets: &[FromLeader]| {
        let mut script = Script::serving(LearnerKind::Follower);
        let mut last = Vec::new();
        packets.iter().for_each(|packet| last = script.hears(packet.clone()));
        match last.pop() {
            Some(Down(reason)) => reason,
            other => panic!("{other:?}"),
        }
    };
    let expected = |expected, found| DownReason::OutOfOrder { expected, found };
    let gap = [proposal(at(2, 1)), proposal(at(2, 3))];
    assert_eq!(disorder(&gap), expected(at(2, 2), at(2, 3)));
    assert_eq!(disorder(&[proposal(at(1, 4))]), expected(at(1, 5), at(1, 4)));
    let wrong = [proposal(at(2, 1)), proposal(at(2, 2)), FromLeader::Commit(at(2, 2))];
    assert_eq!(disorder(&wrong), expected(at(2, 1), at(2, 2)));
    assert_eq!(disorder(&[FromLeader::Commit(at(2, 1))]), expected(at(1, 5), at(2, 1)));
    let zxid = at(2, 1);
    let mut garbage = [1; 40];
    garbage[12..20].copy_from_slice(&zxid.0.to_be_bytes());
    let garbage = FromLeader::Proposal { zxid, payload: garbage[..].into() };
    assert!(matches!(disorder(&[garbage]), DownReason::Undecodable { .. }));
    assert!(matches!(disorder(&[FromLeader::Diff(zxid)]), DownReason::Unexpected { packet: "DIFF", .. }));
    let mut script = Script::promised(LearnerKind::Follower);
    let ping = script.hears(FromLeader::Ping(zxid));
    assert!(matches!(ping[..], [Down(DownReason::Unexpected { awaited: "DIFF, TRUNC or SNAP", .. })]));
}

#[test]
fn a_silent_leader_is_left() {
    let mut script = Script::serving(LearnerKind::Follower);
    assert_eq!(script.pass(9999), []);
    assert_eq!(script.hears(FromLeader::Ping(at(2, 0))), [Pong(at(2, 0))]);
    assert_eq!(script.pass(9999), []);
    assert_eq!(script.pass(1), [Down(DownReason::LeaderSilent { ms: 10_000 })]);
    assert_eq!(script.hears(FromLeader::Ping(at(2, 0))), [], "it is over");
    let mut script = Script::promised(LearnerKind::Follower);
    assert_eq!(script.pass(19_999), []);
    assert_eq!(script.pass(1), [Down(DownReason::LeaderSilent { ms: 20_000 })]);
}

/// What a Java 3.9.5 leader writes to a follower that lacks one create, byte for byte (zab §6.1, §15), and
/// what the follower does with it.
#[test]
fn a_transcript_of_a_java_leaders_diff_is_followed() {
    let create = "01000017cd820000 00000001 0000000100000005 000001a2083c5b34 00000001
        00000002 2f61 00000005 68656c6c6f 00000001 0000001f 00000005 776f726c64 00000006 616e796f6e65 00 00000001
        00000002 00000001f34a26b6";
    let len = unhex(create).len();
    let config = "7365727665722e313d613a313a323a7061727469636970616e740a76657273696f6e3d30";
    let text = [
        "00000011 0000000200000000 00000004 00010000 ffffffff".to_owned(),
        "0000000d 0000000100000005 ffffffff ffffffff".to_owned(),
        format!("00000002 0000000100000005 {len:08x} {create} ffffffff"),
        "00000004 0000000100000005 ffffffff ffffffff".to_owned(),
        format!("0000000a 0000000200000000 {:08x} {config} ffffffff", config.len() / 2),
        "0000000c ffffffffffffffff ffffffff ffffffff".to_owned(),
        "00000005 0000000200000000 ffffffff ffffffff".to_owned(),
    ];
    let mut script = Script::new(LearnerKind::Follower);
    let mut stream = LeaderStream::new(TreeOptions::default(), 1 << 20);
    let mut sent = Vec::new();
    let mut delivered = Vec::new();
    for packet in text {
        let bytes = unhex(&packet);
        let Ok(Item::Packets(packets, len)) = stream.next(&bytes) else { panic!("{packet}") };
        assert_eq!(len, bytes.len());
        for packet in packets {
            script.learner.on_packet(packet, script.now, &mut script.out);
        }
        // The disk answers at once.
        while let Some(action) = (!script.out.is_empty()).then(|| script.out.remove(0)) {
            match action {
                SaveEpoch(file, _) => script.learner.on_epoch_saved(file, &mut script.out),
                Append(logged) => {
                    script.learner.on_durable(Durable::in_a_test(logged.zxid), &mut script.out);
                }
                Send(packet) => packet.encode(&mut sent),
                Pong(zxid) => FromLearner::Ping { zxid, touched: vec![] }.encode(&mut sent),
                Deliver(logged) => delivered.push(logged.zxid),
                Serve => {}
                other => panic!("{other:?}"),
            }
        }
    }
    let expected = "0000000b 0000000100000000 00000014 0000000000000001 00010000 0000000000000000 ffffffff
        00000012 0000000100000004 00000004 00000001 ffffffff
        00000003 0000000200000000 ffffffff ffffffff
        00000003 0000000200000000 ffffffff ffffffff
        00000005 0000000200000000 00000000 ffffffff";
    assert_eq!(sent, unhex(expected));
    assert_eq!(delivered, [at(1, 4), at(1, 5)]);
}

fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<u32> = text.chars().filter_map(|digit| digit.to_digit(16)).collect();
    digits.chunks(2).map(|pair| (pair[0] * 16 + pair[1]) as u8).collect()
}

/// Server 1, a follower of server 3, where the ensemble may be reconfigured.
fn reconfigurable() -> Script {
    let rules = ReconfigRules { standalone_enabled: true, several_addresses: false };
    let mut script = Script::serving(LearnerKind::Follower);
    script.learner.options.configurations = configurations(&[1, 2, 3], &[], 5);
    script.learner.options.reconfig = Some(rules);
    script
}

fn reconfig(zxid: Zxid, voters: &[i64], observers: &[i64]) -> FromLeader {
    let text = membership(voters, observers, zxid.0).text();
    let data = Some(text.into_bytes().into());
    let txn = Txn::Reconfig { path: "/zookeeper/config".into(), data, version: -1 };
    let header = TxnHeader { client_id: SessionId(1), cxid: 1, zxid, time: WallTime(0) };
    let mut payload = Vec::new();
    header.encode(&txn, &mut payload);
    FromLeader::Proposal { zxid, payload: payload.into() }
}

fn configured(actions: &[LearnerAction]) -> Vec<(i64, i64)> {
    let of = |action: &LearnerAction| match action {
        Configure(these) => Some((these.committed().version(), these.last_seen().version())),
        _ => None,
    };
    actions.iter().filter_map(of).collect()
}

#[test]
fn a_proposed_configuration_counts_at_once_and_is_activated_when_it_is_committed() {
    let mut script = reconfigurable();
    let change = at(2, 1);
    let done = script.hears(reconfig(change, &[1, 3, 4], &[]));
    assert_eq!(configured(&done), [(5, change.0)]);
    let activate = FromLeader::CommitAndActivate { zxid: change, designated: ServerId(3) };
    let done = script.hears(activate);
    assert_eq!(configured(&done), [(change.0, change.0)]);
    assert!(matches!(done[0], Deliver(_)), "{done:?}");
    assert!(script.learner.is_serving(), "its leader and its role are the same");
}

#[test]
fn another_leader_or_another_role_ends_it_after_the_commit() {
    for (voters, observers, designated) in [(&[1, 2][..], &[][..], 2), (&[2, 3], &[1], 3), (&[1, 2], &[3], 1)]
    {
        let mut script = reconfigurable();
        let change = at(2, 1);
        script.hears(reconfig(change, voters, observers));
        let leader = ServerId(designated);
        let done = script.hears(FromLeader::CommitAndActivate { zxid: change, designated: leader });
        let over = DownReason::Reconfigured { leader: Some(leader), zxid: change };
        assert_eq!(done.last(), Some(&Down(over)));
        assert!(matches!(done[0], Deliver(_)), "{done:?}");
    }
}

#[test]
fn who_is_removed_goes_on_to_follow() {
    let mut script = reconfigurable();
    let change = at(2, 1);
    script.hears(reconfig(change, &[2, 3], &[]));
    script.hears(FromLeader::CommitAndActivate { zxid: change, designated: ServerId(3) });
    assert!(script.learner.is_serving());
    assert_eq!(script.learner.configurations().committed().version(), change.0);
}

#[test]
fn a_configuration_that_cannot_be_read_is_not_logged() {
    let mut script = reconfigurable();
    let FromLeader::Proposal { zxid, payload } = reconfig(at(2, 1), &[1, 2, 3], &[]) else { unreachable!() };
    let mut payload = payload.to_vec();
    let place = payload.windows(6).position(|window| window == b"server").expect("a line");
    payload[place] = b'x';
    let done = script.hears(FromLeader::Proposal { zxid, payload: payload.into() });
    assert!(matches!(done[..], [Down(DownReason::BadConfiguration { .. })]), "{done:?}");
}

/// As [`reconfigurable`], up to NEWLEADER, which tells this configuration.
fn offered(script: &mut Script, config: &str) -> Vec<LearnerAction> {
    script.hears(FromLeader::Diff(at(1, 4)));
    let config = Some(config.as_bytes().into());
    let done = script.hears(FromLeader::NewLeader { zxid: at(2, 0), config });
    script.durable(at(1, 4));
    done
}

/// A Java leader offers it to observers too, who hear of the proposal itself only when it is committed. Found by
/// simulation.
#[test]
fn what_new_leader_offers_is_not_activated_before_it_is_committed() {
    let change = at(2, 1);
    let config = membership(&[2, 3, 4], &[1], change.0);
    let mut script = Script::promised(LearnerKind::Observer);
    script.learner.options.configurations = configurations(&[2, 3], &[1], 5);
    script.learner.options.reconfig = reconfigurable().learner.options.reconfig;
    offered(&mut script, &config.text());
    script.learner.on_configurations_saved(&mut script.out);
    script.saved(EpochFile::Current);
    assert_eq!(configured(&script.hears(FromLeader::UpToDate)), []);
    let FromLeader::Proposal { zxid, payload } = reconfig(change, &[2, 3, 4], &[1]) else { unreachable!() };
    let done = script.hears(FromLeader::InformAndActivate { zxid, payload, designated: ServerId(3) });
    assert_eq!(configured(&done), [(change.0, change.0)]);
}

fn promised() -> Script {
    let mut script = Script::promised(LearnerKind::Follower);
    script.learner.options = reconfigurable().learner.options;
    script
}

#[test]
fn what_new_leader_offers_is_on_disk_before_it_is_acknowledged_and_holds_from_uptodate_on() {
    let mut script = promised();
    let done = offered(&mut script, &membership(&[1, 3, 4], &[], 7).text());
    assert_eq!(configured(&done), [(5, 7)]);
    assert_eq!(script.saved(EpochFile::Current), [], "the configuration's file is not there yet");
    script.learner.on_configurations_saved(&mut script.out);
    assert_eq!(script.take(), [SaveEpoch(EpochFile::Current, 2)]);
    assert_eq!(script.saved(EpochFile::Current), [ack(at(2, 0))]);
    let done = script.hears(FromLeader::UpToDate);
    assert_eq!(configured(&done), [(7, 7)]);
    assert!(script.learner.is_serving());
}

#[test]
fn what_new_leader_offers_may_end_it_at_uptodate_and_replaces_what_was_seen_before() {
    let mut script = promised();
    script.learner.options.configurations.see(&membership(&[8, 9], &[], 9));
    let done = offered(&mut script, &membership(&[2, 3], &[1], 7).text());
    assert_eq!(configured(&done), [(5, 7)], "9 is of no leader");
    script.learner.on_configurations_saved(&mut script.out);
    script.take();
    script.saved(EpochFile::Current);
    let done = script.hears(FromLeader::UpToDate);
    assert_eq!(configured(&done), [(7, 7)]);
    assert_eq!(done.last(), Some(&Down(DownReason::Reconfigured { leader: None, zxid: Zxid(7) })));
}
