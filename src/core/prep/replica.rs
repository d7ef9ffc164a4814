use std::collections::{BTreeMap, HashMap, VecDeque};

use super::pipeline::{Pipeline, PipelineOptions, RecoverError, next_session_id};
use crate::acl::Interner;
use crate::error::Code;
use crate::flow::{
    CommitBatch, ForwardedRequest, Origin, Outcome, Reply, ShardId, ShardTurn, Step, Submission, Submitted,
};
use crate::id::{SessionId, Zxid};
use crate::jute::{Reader, Writer};
use crate::ops::{self, Changes, Database, Digests};
use crate::proto::{OpCode, Password, Txn, TxnDigest, TxnHeader};
use crate::queue::pop_front_if;
use crate::session::{LocalSessions, NewSessions, password_of};
use crate::time::{Instant, WallTime};
use crate::tree::{DataTree, LOOK_AHEAD};
use crate::zab::LinkId;

/// The commit role of a server that follows: it forwards what its clients want, applies what the leader has
/// committed, and finds in it the answers to its own clients (zab §§7, 8).
///
/// ```text
///   shards --on_turn--> to the leader ... the leader's transactions --on_txn--> publish
///              |                                                        ^
///              '------- waiting: for each session, in order ------------'
/// ```
///
/// A transaction answers the oldest request of its session that waits, if it has its number; a sync is
/// answered by itself. Whatever this server can answer alone waits in the same queue for its place.
pub struct Replica {
    options: PipelineOptions,
    db: Database,
    interner: Interner,
    next_session: SessionId,
    changes: Changes,
    /// The connections that sessions have here, and their timeouts.
    owners: HashMap<SessionId, (Origin, i32)>,
    /// The sessions that were heard since the leader was told.
    touched: BTreeMap<SessionId, i32>,
    waiting: HashMap<SessionId, VecDeque<Waiting>>,
    /// Whose the syncs are that the leader has, oldest first.
    syncs: VecDeque<Syncing>,
    /// The sessions of this server's own, if it may have such.
    local: Option<LocalSessions>,
    /// Connections that ask for a session, until the leader has said whether it is open.
    moves: HashMap<SessionId, VecDeque<(Origin, i32)>>,
}

/// Who waits for a sync.
#[derive(Clone, Copy)]
enum Syncing {
    Session(SessionId),
    /// A client of an observer that this server brings up to date.
    Observer(LinkId),
}

/// What the leader is to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Forward {
    /// A request.
    Request(ForwardedRequest),
    /// The question whether a session is open, whose client has come here.
    Revalidate {
        /// The session.
        session: SessionId,
        /// The timeout that the client is to have, in milliseconds.
        timeout_ms: i32,
    },
}

/// A request without an answer.
struct Waiting {
    origin: Origin,
    xid: i32,
    answer: Answer,
    /// What the client is told if the leader's transaction is an error.
    refusal: Option<Code>,
}

enum Answer {
    /// The leader's transaction.
    Txn(OpCode),
    /// The leader's transaction that makes the session the ensemble's, of which the client hears nothing.
    Upgrade,
    /// The leader's SYNC.
    Sync(Option<Box<str>>),
    /// It is there, and waits for its turn.
    Ready(Outcome),
}

impl Pipeline {
    /// This server follows from now on.
    ///
    /// # Panics
    ///
    /// If something is neither published nor [rolled back](Pipeline::roll_back).
    pub fn into_replica(self) -> Replica {
        assert!(self.changes.is_empty(), "a follower starts from what is published");
        Replica {
            local: self.options.local_sessions(),
            options: self.options,
            db: self.db,
            interner: self.interner,
            next_session: self.next_session,
            changes: Changes::default(),
            owners: HashMap::new(),
            touched: BTreeMap::new(),
            waiting: HashMap::new(),
            syncs: VecDeque::new(),
            moves: HashMap::new(),
        }
    }
}

impl Replica {
    /// This server follows no more; its clients get no answers. What is applied must be published.
    pub fn into_pipeline(self) -> Pipeline {
        let mut pipeline = Pipeline::new(self.options, DataTree::new(Default::default()));
        let last = self.db.tree().last_zxid();
        (pipeline.last_zxid, pipeline.durable, pipeline.published) = (last, last, last);
        pipeline.published_digest = self.db.tree().digest();
        (pipeline.db, pipeline.interner) = (self.db, self.interner);
        pipeline.next_session = self.next_session;
        pipeline
    }

    /// Takes what a shard hands over, and appends what is to be sent to the leader, in order.
    pub fn on_turn(&mut self, turn: ShardTurn, now: Instant, wall: WallTime, out: &mut Vec<Forward>) {
        if let Some(local) = &mut self.local {
            local.on_heard(&turn);
        }
        for (session, _) in turn.heard {
            if self.is_local(session) {
                continue;
            }
            let timeout_ms = match self.owners.get(&session) {
                Some((_, timeout_ms)) => Some(*timeout_ms),
                None => self.db.tree().sessions().get(&session).copied(),
            };
            self.touched.extend(timeout_ms.map(|timeout_ms| (session, timeout_ms)));
        }
        for Submitted { origin, session, what } in turn.submitted {
            match what {
                Submission::Connect { timeout_ms, .. } if session == SessionId::NONE => {
                    self.open_session(origin, timeout_ms, (now, wall), out);
                }
                Submission::Connect { password, timeout_ms } => {
                    self.reattach(origin, session, password, timeout_ms, now, out);
                }
                Submission::Request { .. } if !self.is_owner(session, origin) => {
                    self.changes.push(Step::Close(origin));
                }
                Submission::Request { xid, op, record, identities } => {
                    let record = turn.records.get(record);
                    let (mut answer, mut refusal) = (answer_to(op, record), None);
                    if self.is_local(session) {
                        if op == OpCode::CloseSession {
                            self.local.as_mut().map(|local| local.close(session));
                            self.owners.remove(&session);
                            answer = Answer::Ready(Outcome::Closed);
                        } else if ops::needs_global_session(op, record) {
                            refusal = self.upgrade(session, origin, out).err();
                        }
                    }
                    if matches!(answer, Answer::Sync(_)) {
                        self.syncs.push_back(Syncing::Session(session));
                    }
                    if !matches!(answer, Answer::Ready(_)) {
                        let (op, record, identities) = (op.number(), record.into(), Some(identities));
                        let request = ForwardedRequest { session, cxid: xid, op, record, identities };
                        out.push(Forward::Request(request));
                    }
                    self.waiting.entry(session).or_default().push_back(Waiting {
                        origin,
                        xid,
                        answer,
                        refusal,
                    });
                    self.answer_ready(session);
                }
            }
        }
    }

    /// Looks ahead to what the first [`LOOK_AHEAD`] of some transactions are about, which will be
    /// [applied](Replica::on_txn) soon.
    pub fn look_ahead<'p>(&self, payloads: impl Iterator<Item = &'p [u8]>) {
        self.db.tree().look_ahead(payloads.take(LOOK_AHEAD).filter_map(Txn::path_ahead));
    }

    /// Applies a transaction that is committed.
    ///
    /// # Errors
    ///
    /// If it is none. Nothing has happened then.
    pub fn on_txn(&mut self, payload: &[u8]) -> Result<(), RecoverError> {
        let mut reader = Reader::new(payload);
        let (header, mut txn) = TxnHeader::decode(&mut reader)?;
        ops::share_lists(&mut txn, &mut self.interner);
        self.changes.begin(header.zxid);
        let outcome = self.db.perform(&header, &txn, &mut self.changes);
        self.db.check(TxnDigest::decode(&mut reader));
        let session = header.client_id;
        let asked = self.take_asked(session, header.cxid);
        match &txn {
            Txn::CreateSession { timeout_ms } => {
                self.touched.insert(session, *timeout_ms);
                if let Some(Asked { origin, op: Some(OpCode::CreateSession), .. }) = asked {
                    self.owners.insert(session, (origin, *timeout_ms));
                    let (password, timeout_ms) = (password_of(session), *timeout_ms);
                    self.reply(origin, 0, Outcome::Connected { session, password, timeout_ms });
                }
            }
            Txn::CloseSession { .. } => {
                let owner = self.owners.remove(&session).map(|(origin, _)| origin);
                let closer = asked.map(|asked| asked.origin);
                if let Some(origin) = closer {
                    self.reply(origin, header.cxid, Outcome::Closed);
                }
                if let Some(owner) = owner.filter(|owner| Some(*owner) != closer) {
                    self.changes.push(Step::Close(owner));
                }
                self.touched.remove(&session);
            }
            _ => {
                if let Some(Asked { origin, op: Some(_), refusal }) = asked {
                    let refused = refusal.filter(|_| matches!(txn, Txn::Error { .. }));
                    self.reply(origin, header.cxid, refused.map_or(outcome, Outcome::Failed));
                }
            }
        }
        self.answer_ready(session);
        Ok(())
    }

    /// Takes what a client of an observer wants of the leader. Its answer is the observer's business.
    pub fn forward_for(&mut self, observer: LinkId, request: ForwardedRequest) -> Forward {
        if request.op == OpCode::Sync.number() {
            self.syncs.push_back(Syncing::Observer(observer));
        }
        Forward::Request(request)
    }

    /// Takes an observer's question about a session whose client came there.
    pub fn revalidate_for(&mut self, observer: LinkId, session: SessionId, timeout_ms: i32) -> Forward {
        self.moves.entry(session).or_default().push_back((Origin::peer(observer.0), timeout_ms));
        Forward::Revalidate { session, timeout_ms }
    }

    /// Takes note of sessions that an observer heard, for the leader's tracker.
    pub fn touch(&mut self, sessions: Vec<(SessionId, i32)>) {
        self.touched.extend(sessions);
    }

    /// The leader has answered the oldest sync; if an observer asked for it, that is returned.
    pub fn on_synced(&mut self) -> Option<LinkId> {
        let session = match self.syncs.pop_front()? {
            Syncing::Session(session) => session,
            Syncing::Observer(link) => return Some(link),
        };
        let waiting = self.waiting.get_mut(&session).into_iter().flatten();
        for waiting in waiting {
            if let Answer::Sync(path) = &mut waiting.answer {
                waiting.answer = Answer::Ready(Outcome::Synced(path.take()));
                break;
            }
        }
        self.answer_ready(session);
        None
    }

    /// The leader has said whether a session is open; if an observer asked, that is returned.
    pub fn on_revalidated(&mut self, session: SessionId, valid: bool) -> Option<LinkId> {
        let asking = self.moves.get_mut(&session)?;
        let asked = asking.pop_front();
        if asking.is_empty() {
            self.moves.remove(&session);
        }
        let (origin, timeout_ms) = asked?;
        if origin.shard == ShardId::PEERS {
            return Some(LinkId(origin.conn.0));
        }
        if !valid {
            self.reply(origin, 0, Outcome::Refused);
            return None;
        }
        if let Some((owner, _)) = self.owners.insert(session, (origin, timeout_ms))
            && owner != origin
        {
            self.changes.push(Step::Close(owner));
        }
        let password = password_of(session);
        self.reply(origin, 0, Outcome::Connected { session, password, timeout_ms });
        None
    }

    /// The sessions that were heard since the last call, for the leader's tracker.
    pub fn take_touched(&mut self) -> Vec<(SessionId, i32)> {
        std::mem::take(&mut self.touched).into_iter().collect()
    }

    /// Ends sessions of this server's own that nobody was heard of for too long.
    pub fn on_tick(&mut self, now: Instant) {
        for expired in self.local.as_mut().map(|local| local.expire(now)).unwrap_or_default() {
            if let Some((owner, _)) = self.owners.remove(&expired.session) {
                self.changes.push(Step::Close(owner));
            }
        }
    }

    /// The sessions of this server's own, if it may have such.
    pub fn local_sessions(&self) -> Option<&LocalSessions> {
        self.local.as_ref()
    }

    /// Takes what may be published: all that was applied and answered.
    pub fn publish(&mut self) -> Option<CommitBatch> {
        let count = self.changes.len();
        let digest = self.db.tree().digest();
        (count > 0).then(|| CommitBatch { steps: self.changes.take_first(count), digest })
    }

    /// Another tree takes the place of this one: the leader's, or what a truncated log leaves.
    pub fn replace(&mut self, tree: DataTree) {
        self.db.replace(tree);
        self.changes = Changes::default();
    }

    /// Has the node of the configuration show this one, see [`Database::show_configuration`].
    pub fn show_configuration(&mut self, text: &[u8], version: Zxid, wall: WallTime) {
        self.db.show_configuration(text, version, wall, &mut self.changes);
    }

    /// The tree, which is as published.
    pub fn tree(&self) -> &DataTree {
        self.db.tree()
    }

    /// What is known of the tree's digests.
    pub fn digests(&self) -> &Digests {
        self.db.digests()
    }

    /// The zxid of the last transaction applied.
    pub fn last_zxid(&self) -> Zxid {
        self.db.tree().last_zxid()
    }

    /// How many requests wait for an answer.
    pub fn outstanding(&self) -> usize {
        self.waiting.values().map(VecDeque::len).sum()
    }

    fn open_session(
        &mut self,
        origin: Origin,
        timeout_ms: i32,
        (now, wall): (Instant, WallTime),
        out: &mut Vec<Forward>,
    ) {
        if self.next_session == SessionId::NONE {
            self.next_session = SessionId::first(self.options.server, wall.0);
        }
        let session = next_session_id(&mut self.next_session, self.db.tree());
        if let Some(local) = &mut self.local {
            local.open(session, timeout_ms, origin, now);
            return self.connected(origin, session, timeout_ms);
        }
        out.push(Forward::Request(creation(session, timeout_ms)));
        let answer = Answer::Txn(OpCode::CreateSession);
        let waiting = Waiting { origin, xid: 0, answer, refusal: None };
        self.waiting.entry(session).or_default().push_back(waiting);
    }

    /// Has a session of this server's own become the ensemble's, if it may.
    fn upgrade(&mut self, session: SessionId, origin: Origin, out: &mut Vec<Forward>) -> Result<(), Code> {
        if self.options.new_sessions != (NewSessions::Local { upgrades: true }) {
            return Err(Code::EphemeralOnLocalSession);
        }
        if let Some(timeout_ms) = self.local.as_mut().and_then(|local| local.upgrade(session)) {
            out.push(Forward::Request(creation(session, timeout_ms)));
            let waiting = Waiting { origin, xid: 0, answer: Answer::Upgrade, refusal: None };
            self.waiting.entry(session).or_default().push_back(waiting);
        }
        Ok(())
    }

    fn reattach(
        &mut self,
        origin: Origin,
        session: SessionId,
        password: Option<Password>,
        timeout_ms: i32,
        now: Instant,
        out: &mut Vec<Forward>,
    ) {
        // As where a leader does it: the owner goes before the password is looked at.
        if let Some((owner, _)) = self.owners.remove(&session)
            && owner != origin
        {
            self.changes.push(Step::Close(owner));
        }
        if password != Some(password_of(session)) {
            return self.reply(origin, 0, Outcome::Refused);
        }
        if self.local.as_mut().is_some_and(|local| local.attach(session, timeout_ms, origin, now)) {
            return self.connected(origin, session, timeout_ms);
        }
        self.moves.entry(session).or_default().push_back((origin, timeout_ms));
        out.push(Forward::Revalidate { session, timeout_ms });
    }

    fn connected(&mut self, origin: Origin, session: SessionId, timeout_ms: i32) {
        self.owners.insert(session, (origin, timeout_ms));
        let password = password_of(session);
        self.reply(origin, 0, Outcome::Connected { session, password, timeout_ms });
    }

    fn is_local(&self, session: SessionId) -> bool {
        self.local.as_ref().is_some_and(|local| local.contains(session))
    }

    fn is_owner(&self, session: SessionId, origin: Origin) -> bool {
        self.owners.get(&session).is_some_and(|(owner, _)| *owner == origin)
    }

    /// Takes out the request that the transaction answers.
    fn take_asked(&mut self, session: SessionId, cxid: i32) -> Option<Asked> {
        let waiting = self.waiting.get_mut(&session)?;
        let is_asked = |first: &Waiting| matches!(first.answer, Answer::Txn(_) | Answer::Upgrade);
        let asked = pop_front_if(waiting, |first| is_asked(first) && first.xid == cxid)?;
        let op = match asked.answer {
            Answer::Txn(op) => Some(op),
            _ => None,
        };
        Some(Asked { origin: asked.origin, op, refusal: asked.refusal })
    }

    /// Answers what is first in its session's queue and needs nothing any more.
    fn answer_ready(&mut self, session: SessionId) {
        let Some(waiting) = self.waiting.get_mut(&session) else { return };
        while let Some(Waiting { origin, xid, answer, .. }) =
            pop_front_if(waiting, |first| matches!(first.answer, Answer::Ready(_)))
        {
            if let Answer::Ready(outcome) = answer {
                self.changes.push(Step::Reply(Reply { to: origin, xid, outcome }));
            }
        }
        if waiting.is_empty() {
            self.waiting.remove(&session);
        }
    }

    fn reply(&mut self, to: Origin, xid: i32, outcome: Outcome) {
        self.changes.push(Step::Reply(Reply { to, xid, outcome }));
    }
}

/// A request that has its answer from the leader; without an operation if it was this server's.
struct Asked {
    origin: Origin,
    op: Option<OpCode>,
    refusal: Option<Code>,
}

/// What has the leader open a session.
fn creation(session: SessionId, timeout_ms: i32) -> ForwardedRequest {
    let mut record = Vec::new();
    Writer::new(&mut record).int(timeout_ms);
    let (op, record) = (OpCode::CreateSession.number(), record.into());
    ForwardedRequest { session, cxid: 0, op, record, identities: None }
}

/// What answers a request. What the leader could not read or would not do is not sent to it.
fn answer_to(op: OpCode, record: &[u8]) -> Answer {
    match op {
        OpCode::CloseSession => Answer::Txn(op),
        OpCode::Sync => match Reader::new(record).ustring() {
            Ok(path) => Answer::Sync(path.map(|path| path.into())),
            Err(_) => Answer::Ready(Outcome::Failed(Code::MarshallingError)),
        },
        _ if op == OpCode::CreateSession || !op.is_ordered() => {
            Answer::Ready(Outcome::Failed(Code::Unimplemented))
        }
        _ if !ops::is_well_formed(op, record) => Answer::Ready(Outcome::Failed(Code::MarshallingError)),
        _ => Answer::Txn(op),
    }
}
