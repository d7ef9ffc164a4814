use std::sync::Arc;

use super::world::Rng;
use crate::flow::{ConnId, Origin, Outcome, Reply, ShardId, ShardTurn, Submission, Submitted};
use crate::id::SessionId;
use crate::jute::Writer;
use crate::proto::{Identity, OpCode};
use crate::session::password_of;
use crate::testing::create;
use crate::time::Instant;

/// A client that does one thing after the other, wherever it gets an answer.
pub(super) struct Client {
    number: usize,
    session: SessionId,
    /// The server and the connection.
    pub(super) at: Option<(usize, ConnId)>,
    pub(super) asked: Option<Asked>,
    creations: usize,
    xid: i32,
    pub(super) sessions_lost: usize,
}

/// What a client waits for.
pub(super) enum Asked {
    Session,
    Creation(String),
    Reconfig,
    /// How many writes had been acknowledged, to anybody, when the sync was asked for.
    Sync(usize),
}

/// What became of it.
pub(super) enum Answered {
    Nothing,
    Created(String),
    Synced(usize),
}

/// How the servers are to change.
#[derive(Debug)]
pub(super) struct Change {
    joining: Option<String>,
    leaving: Option<String>,
}

impl Change {
    /// One server joins, or becomes something else, or leaves; or one joins while another leaves.
    pub(super) fn random(rng: &mut Rng, servers: u64) -> Change {
        let (one, other) = (rng.below(servers), rng.below(servers));
        let role = if rng.below(3) == 0 { "observer" } else { "participant" };
        let joining = format!("server.{one}=h{one}:2888:3888:{role};2181");
        match rng.below(3) {
            0 => Change { joining: None, leaving: Some(other.to_string()) },
            1 => Change { joining: Some(joining), leaving: None },
            _ => Change { joining: Some(joining), leaving: Some(other.to_string()) },
        }
    }
}

impl Client {
    pub(super) fn new(number: usize) -> Client {
        let session = SessionId::NONE;
        Client { number, session, at: None, asked: None, creations: 0, xid: 0, sessions_lost: 0 }
    }

    pub(super) fn connect(&mut self, server: usize, conn: ConnId, now: Instant) -> ShardTurn {
        self.at = Some((server, conn));
        self.asked = Some(Asked::Session);
        let password = Some(password_of(self.session));
        self.turn(conn, Submission::Connect { password, timeout_ms: 3000 }, now)
    }

    /// Asks for something else; `None` if the client is not idle.
    pub(super) fn ask(
        &mut self,
        syncs: bool,
        acknowledged: usize,
        now: Instant,
    ) -> Option<(usize, ShardTurn)> {
        let (server, conn) = self.at.filter(|_| self.asked.is_none())?;
        self.xid += 1;
        let (op, record) = if syncs {
            self.asked = Some(Asked::Sync(acknowledged));
            (OpCode::Sync, vec![0, 0, 0, 1, b'/'])
        } else {
            self.creations += 1;
            let path = format!("/client{}-{}", self.number, self.creations);
            let record = create(&path, b"data", 0);
            self.asked = Some(Asked::Creation(path));
            (OpCode::Create, record)
        };
        let identities: Arc<[Identity]> = [Identity { scheme: "ip".into(), id: "1.2.3.4".into() }].into();
        let what = Submission::Request { xid: self.xid, op, record: record.into(), identities };
        Some((server, self.turn(conn, what, now)))
    }

    /// Asks for other servers; `None` if the client is not idle.
    pub(super) fn reconfigure(&mut self, change: &Change, now: Instant) -> Option<(usize, ShardTurn)> {
        let (server, conn) = self.at.filter(|_| self.asked.is_none())?;
        self.xid += 1;
        self.asked = Some(Asked::Reconfig);
        let mut record = Vec::new();
        let mut writer = Writer::new(&mut record);
        for text in [&change.joining, &change.leaving] {
            writer.buffer(text.as_ref().map(String::as_bytes));
        }
        writer.buffer(None);
        writer.long(-1);
        let what = Submission::Request {
            xid: self.xid,
            op: OpCode::Reconfig,
            record: record.into(),
            identities: [].into(),
        };
        Some((server, self.turn(conn, what, now)))
    }

    pub(super) fn disconnect(&mut self) {
        (self.at, self.asked) = (None, None);
    }

    pub(super) fn on_reply(&mut self, reply: &Reply) -> Answered {
        match (self.asked.take(), &reply.outcome) {
            (Some(Asked::Session), Outcome::Connected { session, .. }) => self.session = *session,
            (Some(Asked::Session), Outcome::Refused) => {
                self.sessions_lost += 1;
                self.session = SessionId::NONE;
                self.disconnect();
            }
            (Some(Asked::Creation(path)), Outcome::Created(node)) => {
                assert_eq!(node.path(), path);
                return Answered::Created(path);
            }
            (Some(Asked::Sync(count)), Outcome::Synced(_)) => return Answered::Synced(count),
            (Some(Asked::Reconfig), Outcome::Failed(_) | Outcome::Reconfigured(..)) => {}
            (_, Outcome::Failed(_)) => self.disconnect(),
            (_, outcome) => panic!("client {} gets {outcome:?}", self.number),
        }
        Answered::Nothing
    }

    fn turn(&self, conn: ConnId, what: Submission, now: Instant) -> ShardTurn {
        let origin = Origin { shard: ShardId(0), conn };
        let heard = (self.session != SessionId::NONE).then_some((self.session, now));
        ShardTurn {
            shard: ShardId(0),
            submitted: vec![Submitted { origin, session: self.session, what }],
            heard: heard.into_iter().collect(),
            as_of: now,
        }
    }

    /// What a shard says of the client when nothing is asked.
    pub(super) fn heard(&self, now: Instant) -> Option<(SessionId, Instant)> {
        self.at.filter(|_| self.session != SessionId::NONE).map(|_| (self.session, now))
    }
}
