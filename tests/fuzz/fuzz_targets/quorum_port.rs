#![no_main]
//! Whatever another server says on the quorum port, in whatever pieces, ends at most its own connection: a leader
//! goes on serving with a learner that behaves, and a learner is left able to follow another leader.

use std::sync::Arc;

use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;
use ringkeeper_core::config::{Configurations, Membership, ReconfigRules, SyncLimits};
use ringkeeper_core::durable::Durable;
use ringkeeper_core::id::{ServerId, SessionId, Zxid};
use ringkeeper_core::member::{Action, Member, MemberOptions, Moment};
use ringkeeper_core::ops::Settings;
use ringkeeper_core::prep::{Pipeline, PipelineOptions, ReaperOptions};
use ringkeeper_core::proto::{Txn, TxnHeader};
use ringkeeper_core::time::{Instant, WallTime};
use ringkeeper_core::tree::{DataTree, TreeOptions};
use ringkeeper_core::zab::packet::{
    FromLeader, FromLearner, LearnerInfo, LearnerInput, LearnerKind, QuorumPacket, Split,
};
use ringkeeper_core::zab::{Epochs, History, HistoryBounds, Item, LeaderStream, LinkId, Timing, ZabOptions};

#[derive(Arbitrary, Debug)]
enum Input<'a> {
    /// To a learner, from a leader that has behaved so far.
    FromLeader { behaved: u8, observer: bool, said: Vec<Said<'a>> },
    /// To a leader that serves, from a second learner that has behaved so far.
    FromLearner { behaved: u8, observer: bool, said: Vec<Said<'a>> },
}

/// Something on the wire.
#[derive(Arbitrary, Debug)]
enum Said<'a> {
    Bytes(&'a [u8]),
    Packet { kind: u8, epoch: u8, counter: u8, data: Option<&'a [u8]> },
    Transaction { kind: u8, counter: u8, record: &'a [u8] },
    Tick(u8),
}

fuzz_target!(|input: Input| match input {
    Input::FromLeader { behaved, observer, said } => to_learner(behaved, observer, &said),
    Input::FromLearner { behaved, observer, said } => to_leader(behaved, observer, &said),
});

fn to_learner(behaved: u8, observer: bool, said: &[Said]) {
    let mut server = Server::new(observer);
    server.tell(|member, at, out| member.follow(ServerId(2), at, out));
    let mut stream = LeaderStream::new(TreeOptions::default(), VALUE_LEN_MAX);
    let begins = [
        FromLeader::LeaderInfo { epoch: 2 },
        FromLeader::Diff(Zxid::new(1, 3)),
        FromLeader::NewLeader { zxid: Zxid::new(2, 0), config: None },
        FromLeader::UpToDate,
    ];
    let mut bytes = Vec::new();
    begins.iter().take(behaved as usize % 5).for_each(|packet| packet.encode(&mut bytes));
    for said in std::iter::once(&Said::Bytes(&[])).chain(said) {
        server.hear(said, &mut bytes);
        loop {
            match stream.next(&bytes) {
                Ok(Item::Part { consumed, wanted }) => {
                    assert!(consumed <= bytes.len() && wanted > bytes.len() - consumed);
                    bytes.drain(..consumed);
                    break;
                }
                Ok(Item::Packets(packets, consumed)) => {
                    bytes.drain(..consumed);
                    for packet in packets {
                        server.tell(|member, at, out| member.on_leader(packet, at, out));
                    }
                }
                Ok(Item::Tree(tree, consumed)) => {
                    bytes.drain(..consumed);
                    server.tell(|member, at, out| member.on_leader_tree(*tree, at, out));
                }
                Err(reason) => {
                    assert!(!reason.to_string().is_empty());
                    server.tell(|member, at, out| member.on_leader_failed(reason, at, out));
                    return server.is_able_to_follow();
                }
            }
        }
    }
    server.tell(|member, at, out| member.on_leader_closed(at, out));
    server.is_able_to_follow();
}

fn to_leader(behaved: u8, observer: bool, said: &[Said]) {
    let mut server = Server::new(false);
    server.tell(|member, at, out| member.lead(at, out));
    let (good, other) = (LinkId(1), LinkId(2));
    for packet in handshake(ServerId(2), LearnerKind::Follower) {
        server.learner_says(good, packet);
    }
    assert!(server.member.is_serving());
    let kind = if observer { LearnerKind::Observer } else { LearnerKind::Follower };
    for packet in handshake(ServerId(3), kind).into_iter().take(behaved as usize % 4) {
        server.learner_says(other, packet);
    }
    server.accept(other);
    let mut bytes = Vec::new();
    'said: for said in said {
        server.hear(said, &mut bytes);
        server.learner_says(good, FromLearner::Ping { zxid: Zxid::new(2, 0), touched: Vec::new() });
        let LearnerInput { packets, consumed, rest } = FromLearner::split_all(&bytes, VALUE_LEN_MAX);
        bytes.drain(..consumed);
        for packet in packets {
            assert_reads_back(&packet);
            server.learner_says(other, packet);
        }
        let Ok(wanted) = rest else { break 'said };
        assert!(wanted > bytes.len());
    }
    server.tell(|member, at, out| member.on_learner_closed(other, at, out));
    assert!(server.member.is_serving(), "a learner behaves");
    let before = server.committed;
    let create = ringkeeper_core::flow::ForwardedRequest {
        session: SessionId(9),
        cxid: 0,
        op: -10,
        record: 4000i32.to_be_bytes()[..].into(),
        identities: None,
    };
    server.learner_says(good, FromLearner::Request(create));
    assert!(server.committed > before, "what the good learner asks for is done");
}

/// A packet that was read is read again from what is written of it.
fn assert_reads_back(packet: &FromLearner) {
    let mut bytes = Vec::new();
    packet.encode(&mut bytes);
    let Ok(Split::Whole(again, len)) = QuorumPacket::split(&bytes, usize::MAX) else { panic!("{packet:?}") };
    assert_eq!(len, bytes.len());
    let again = FromLearner::decode(again).expect("a packet");
    assert!(matches!(packet, FromLearner::AckEpoch { .. } | FromLearner::Info(_)) || again == *packet);
}

fn handshake(id: ServerId, kind: LearnerKind) -> [FromLearner; 3] {
    let info = LearnerInfo {
        kind,
        accepted_epoch: 1,
        id: Some(id),
        protocol_version: ringkeeper_core::zab::packet::PROTOCOL_VERSION,
        config_version: Some(0),
    };
    [
        FromLearner::Info(info),
        FromLearner::AckEpoch { zxid: Zxid::new(1, 3), current_epoch: Some(1) },
        FromLearner::Ack(Zxid::new(2, 0)),
    ]
}

/// A member with a disk that does at once what it is told.
struct Server {
    member: Member,
    cuts: u64,
    now: u64,
    committed: Zxid,
    links: Vec<LinkId>,
    is_down: bool,
}

impl Server {
    /// Server 1, which votes with two others or observes them, and whose log has three transactions of epoch 1.
    fn new(observes: bool) -> Server {
        let role = if observes { "observer" } else { "participant" };
        let others = "server.2=b:1:2\nserver.3=c:1:2\nserver.4=d:1:2:observer";
        let servers = Membership::parse(&format!("server.1=a:1:2:{role}\n{others}"), false).expect("good lines");
        let options = PipelineOptions {
            server: ServerId(1),
            shards: 1,
            tick_ms: 100,
            new_sessions: ringkeeper_core::session::NewSessions::Global,
            settings: Settings::default(),
            reaper: ReaperOptions::default(),
        };
        let mut pipeline = Pipeline::new(options.clone(), DataTree::new(TreeOptions::default()));
        for counter in 1..=3 {
            pipeline.recover(&session(Zxid::new(1, counter))).expect("a transaction");
        }
        let zab = ZabOptions {
            id: ServerId(1),
            configurations: Configurations::of(Arc::new(servers)),
            reconfig: Some(ReconfigRules { standalone_enabled: true, several_addresses: false }),
            timing: Timing { tick_ms: 100, init_limit: 1000, sync_limit: 1000 },
            force_snapshot_sync: false,
            confirm_syncs: true,
            sync_limits: SyncLimits::default(),
            has_oracle: false,
        };
        let options = MemberOptions {
            zab,
            pipeline: options,
            read_only_after: None,
            has_observers: false,
            rollover_at: u32::MAX - 9,
        };
        let history = History::new(Zxid::new(1, 3), HistoryBounds { count_max: 20, len_max: 1 << 20 });
        let member = Member::new(options, pipeline, Epochs { accepted: 1, current: 1 }, history);
        Server { member, cuts: 0, now: 1, committed: Zxid::ZERO, links: Vec::new(), is_down: false }
    }

    fn at(&self) -> Moment {
        Moment { now: Instant::from_ms(self.now), wall: WallTime(1) }
    }

    fn hear(&mut self, said: &Said, bytes: &mut Vec<u8>) {
        match *said {
            Said::Bytes(raw) => bytes.extend_from_slice(raw),
            Said::Packet { kind, epoch, counter, data } => {
                let zxid = Zxid::new(u32::from(epoch) % 4, u32::from(counter));
                encode(i32::from(kind) % 22, zxid, data, bytes);
            }
            Said::Transaction { kind, counter, record } => {
                let zxid = Zxid::new(2, u32::from(counter));
                let mut data = session(zxid)[..28].to_vec();
                data.extend(i32::from(kind as i8).to_be_bytes());
                data.extend_from_slice(record);
                encode(2 + 6 * i32::from(kind % 2), zxid, Some(&data), bytes);
            }
            Said::Tick(ms) => {
                self.now += u64::from(ms);
                self.tell(|member, at, out| member.on_tick(at, out));
            }
        }
    }

    fn accept(&mut self, link: LinkId) {
        if !self.links.contains(&link) {
            self.links.push(link);
            self.tell(|member, at, out| member.on_accepted(link, at, out));
        }
    }

    fn learner_says(&mut self, link: LinkId, packet: FromLearner) {
        self.accept(link);
        self.tell(|member, at, out| member.on_learner(link, packet, at, out));
    }

    fn tell(&mut self, tell: impl FnOnce(&mut Member, Moment, &mut Vec<Action>)) {
        let (mut actions, at) = (Vec::new(), self.at());
        tell(&mut self.member, at, &mut actions);
        self.member.end_turn(&mut actions);
        while !actions.is_empty() {
            let mut more = Vec::new();
            for action in actions {
                self.perform(action, at, &mut more);
            }
            self.member.end_turn(&mut more);
            actions = more;
        }
    }

    fn perform(&mut self, action: Action, at: Moment, out: &mut Vec<Action>) {
        let member = &mut self.member;
        match action {
            Action::SaveEpoch(file, epoch) => member.on_epoch_saved(file, epoch, at, out),
            Action::Configure(_) => member.on_configurations_saved(at, out),
            Action::Append(records) => {
                let last = records.last().expect("records");
                member.on_durable(Durable::promised_by_the_log(last), self.cuts, at, out);
            }
            Action::Truncate { zxid, rebuild } => {
                self.cuts += 1;
                let mut tree = DataTree::new(TreeOptions::default());
                tree.advance(zxid);
                member.on_truncated(rebuild.then_some(tree), at, out);
            }
            Action::SaveTree(_) => {
                self.cuts += 1;
                member.on_tree_saved(at, out);
            }
            Action::TakeTree(link) => {
                let zxid = member.published();
                member.on_tree_taken(link, zxid, at, out);
            }
            Action::SendTree(link) => member.on_tree_sent(link, at, out),
            Action::ReadLog { link, .. } => member.on_log_read(link, None, at, out),
            Action::Publish(_) => self.committed = member.published(),
            Action::ToLearner(LinkId(1), FromLeader::Proposal { zxid, .. }) => {
                member.on_learner(LinkId(1), FromLearner::Ack(zxid), at, out);
            }
            Action::Down(reason) => {
                assert!(!reason.to_string().is_empty());
                self.is_down = true;
            }
            Action::CloseLearner(link, reason) => {
                assert!(!reason.to_string().is_empty());
                self.links.retain(|other| *other != link);
            }
            Action::ToLearner(..)
            | Action::ToLeader(_)
            | Action::AskOracle
            | Action::Replace(_)
            | Action::Serve
            | Action::ServeReadOnly
            | Action::EndReadOnly => {}
        }
    }

    fn is_able_to_follow(mut self) {
        assert!(self.is_down && self.member.is_looking());
        self.tell(|member, at, out| member.follow(ServerId(2), at, out));
        assert!(self.member.learner().is_some());
    }
}

fn encode(kind: i32, zxid: Zxid, data: Option<&[u8]>, out: &mut Vec<u8>) {
    QuorumPacket { kind, zxid, data, identities: None }.encode(out);
}

fn session(zxid: Zxid) -> Vec<u8> {
    let header = TxnHeader { client_id: SessionId(zxid.0), cxid: 0, zxid, time: WallTime(1) };
    let mut payload = Vec::new();
    header.encode(&Txn::CreateSession { timeout_ms: 4000 }, &mut payload);
    payload
}

const VALUE_LEN_MAX: usize = 1 << 20;
