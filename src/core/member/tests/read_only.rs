//! A server without a leader that serves reads.

use std::sync::Arc;
use std::time::Duration;

use super::server::Server;
use crate::error::Code;
use crate::flow::{
    CommitBatch, ConnId, Origin, Outcome, Records, ShardId, ShardTurn, Step, Submission, Submitted,
};
use crate::id::{ServerId, SessionId};
use crate::member::{Action, Moment};
use crate::proto::{OpCode, Txn, TxnHeader};
use crate::session::{NewSessions, password_of};
use crate::time::{Instant, WallTime};
use crate::zab::Logged;

/// A voter of three, on a disk with one session of the ensemble's, that looks for a leader.
struct Lonely {
    server: Server,
    now_ms: u64,
}

const SHARD: ShardId = ShardId(0);
/// The session in the log.
const GLOBAL: SessionId = SessionId(0x0100_0000_0000_0007);
const PATIENCE: Duration = Duration::from_secs(2);

impl Lonely {
    fn new(new_sessions: NewSessions) -> Lonely {
        let mut server = Server::new(0, 3);
        server.options.read_only_after = Some(PATIENCE);
        server.options.pipeline.new_sessions = new_sessions;
        let header =
            TxnHeader { client_id: GLOBAL, cxid: 0, zxid: crate::id::Zxid::new(1, 1), time: WallTime(1) };
        let mut payload = Vec::new();
        header.encode(&Txn::CreateSession { timeout_ms: 10_000 }, &mut payload);
        server.log.push(Logged { zxid: header.zxid, payload: payload.into() });
        server.start();
        Lonely { server, now_ms: 1_000 }
    }

    /// One that serves already.
    fn serving(new_sessions: NewSessions) -> Lonely {
        let mut lonely = Lonely::new(new_sessions);
        lonely.tick_after(0);
        assert!(matches!(lonely.tick_after(2_000)[..], [Action::ServeReadOnly]));
        lonely
    }

    fn at(&self) -> Moment {
        Moment { now: Instant::from_ms(self.now_ms), wall: WallTime(1_000_000 + self.now_ms as i64) }
    }

    fn tick_after(&mut self, ms: u64) -> Vec<Action> {
        self.now_ms += ms;
        let at = self.at();
        self.process(|member, out| member.on_tick(at, out))
    }

    fn process(&mut self, tell: impl FnOnce(&mut crate::member::Member, &mut Vec<Action>)) -> Vec<Action> {
        let at = self.at();
        let process = self.server.process.as_mut().expect("it runs");
        process.tell(at, |member, _, out| tell(member, out))
    }

    /// What becomes of one thing that a connection wants.
    fn submit(&mut self, conn: u64, session: SessionId, what: Submission) -> Vec<Step> {
        let origin = Origin { shard: SHARD, conn: ConnId(conn) };
        self.turn(vec![Submitted { origin, session, what }])
    }

    fn turn(&mut self, submitted: Vec<Submitted>) -> Vec<Step> {
        let at = self.at();
        let (records, [_]) = Records::of([&[]]);
        let turn = ShardTurn { shard: SHARD, submitted, records, heard: Vec::new(), as_of: at.now };
        steps(self.process(|member, out| member.on_turn(turn, at, out)))
    }

    fn connect(&mut self, conn: u64, session: SessionId, password: [u8; 16]) -> Vec<Step> {
        self.submit(conn, session, Submission::Connect { password: Some(password), timeout_ms: 4_000 })
    }

    fn open(&mut self, conn: u64) -> SessionId {
        match &self.connect(conn, SessionId::NONE, [0; 16])[..] {
            [Step::Reply(reply)] => match reply.outcome {
                Outcome::Connected { session, password, timeout_ms: 4_000 } => {
                    assert_eq!(password, password_of(session));
                    session
                }
                ref other => panic!("{other:?}"),
            },
            other => panic!("{other:?}"),
        }
    }

    fn request(&mut self, conn: u64, session: SessionId, op: OpCode) -> Vec<Step> {
        let ((_, [record]), identities) = (Records::of([&[]]), Arc::new([]));
        self.submit(conn, session, Submission::Request { xid: 5, op, record, identities })
    }
}

fn steps(actions: Vec<Action>) -> Vec<Step> {
    let of = |action| match action {
        Action::Publish(CommitBatch { steps, .. }) => steps,
        other => panic!("{other:?}"),
    };
    actions.into_iter().flat_map(of).collect()
}

fn is_closed(steps: &[Step], conn: u64) -> bool {
    matches!(steps, [Step::Close(origin)] if origin.conn == ConnId(conn))
}

fn fails(steps: &[Step], code: Code) -> bool {
    matches!(steps, [Step::Reply(reply)] if matches!(reply.outcome, Outcome::Failed(failed) if failed == code))
}

const LOCAL: NewSessions = NewSessions::Local { upgrades: true };

#[test]
fn reads_are_served_after_the_time_that_was_set_and_not_without_one() {
    let mut lonely = Lonely::new(LOCAL);
    assert!(lonely.tick_after(0).is_empty() && lonely.tick_after(1_999).is_empty());
    assert!(!lonely.server.process.as_ref().expect("it runs").member.is_read_only());
    assert!(matches!(lonely.tick_after(1)[..], [Action::ServeReadOnly]));
    let member = &lonely.server.process.as_ref().expect("it runs").member;
    assert!(member.is_read_only() && member.is_looking() && !member.is_serving());
    assert!(lonely.tick_after(10_000).is_empty(), "it does so once");

    let mut never = Lonely::new(LOCAL);
    never.server.options.read_only_after = None;
    never.server.start();
    never.tick_after(0);
    assert!(never.tick_after(100_000).is_empty());
}

#[test]
fn what_would_need_a_leader_is_refused_and_the_session_lives_on() {
    let mut lonely = Lonely::serving(LOCAL);
    let session = lonely.open(1);
    for op in [OpCode::Create, OpCode::SetData, OpCode::Multi, OpCode::Sync, OpCode::Reconfig] {
        assert!(fails(&lonely.request(1, session, op), Code::NotReadOnly), "{op:?}");
    }
    let closed = lonely.request(1, session, OpCode::CloseSession);
    assert!(matches!(&closed[..], [Step::Reply(reply)] if matches!(reply.outcome, Outcome::Closed)));
    assert!(is_closed(&lonely.request(1, session, OpCode::Create), 1), "it is over");
}

#[test]
fn without_local_sessions_nobody_gets_one() {
    let mut lonely = Lonely::serving(NewSessions::Global);
    assert!(fails(&lonely.connect(1, SessionId::NONE, [0; 16]), Code::NotReadOnly));
    let unknown = SessionId(9);
    assert!(fails(&lonely.connect(1, unknown, password_of(unknown)), Code::NotReadOnly));
}

#[test]
fn the_ensembles_sessions_are_neither_given_nor_declared_over() {
    let mut lonely = Lonely::serving(LOCAL);
    for password in [password_of(GLOBAL), [0; 16]] {
        assert!(fails(&lonely.connect(1, GLOBAL, password), Code::NotReadOnly));
    }
    let unknown = SessionId(9);
    let refused = lonely.connect(2, unknown, password_of(unknown));
    assert!(matches!(&refused[..], [Step::Reply(reply)] if matches!(reply.outcome, Outcome::Refused)));
}

#[test]
fn a_local_session_moves_between_connections_and_ends_when_nobody_is_heard() {
    let mut lonely = Lonely::serving(LOCAL);
    let session = lonely.open(1);
    let moved = lonely.connect(2, session, password_of(session));
    assert!(is_closed(&moved[..1], 1), "{moved:?}");
    assert!(matches!(&moved[1], Step::Reply(reply) if matches!(reply.outcome, Outcome::Connected { .. })));
    assert!(is_closed(&lonely.request(1, session, OpCode::Create), 1));

    let refused = lonely.connect(3, session, [0; 16]);
    assert!(is_closed(&refused[..1], 2), "before the password is looked at: {refused:?}");
    assert!(matches!(&refused[1], Step::Reply(reply) if matches!(reply.outcome, Outcome::Refused)));

    let other = lonely.open(4);
    assert_ne!(other, session);
    lonely.now_ms += 4_200;
    assert!(lonely.turn(Vec::new()).is_empty());
    let expired = steps(lonely.tick_after(0));
    assert!(is_closed(&expired, 4), "the other has no connection: {expired:?}");
}

#[test]
fn it_ends_when_there_is_a_leader_and_begins_anew_after_it() {
    let mut lonely = Lonely::serving(LOCAL);
    let session = lonely.open(1);
    let at = lonely.at();
    let begun = lonely.process(|member, out| member.follow(ServerId(1), at, out));
    assert!(matches!(begun[..], [Action::EndReadOnly, Action::ToLeader(_)]), "{begun:?}");
    let down = lonely.process(|member, out| member.on_leader_closed(at, out));
    assert!(matches!(down[..], [Action::Down(_)]), "{down:?}");
    assert!(lonely.tick_after(0).is_empty() && lonely.tick_after(1_999).is_empty());
    assert!(matches!(lonely.tick_after(1)[..], [Action::ServeReadOnly]));
    let refused = lonely.connect(2, session, password_of(session));
    assert!(matches!(&refused[..], [Step::Reply(reply)] if matches!(reply.outcome, Outcome::Refused)));
    assert_ne!(lonely.open(3), session, "an id is given once");
}
