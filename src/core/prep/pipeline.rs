use std::collections::VecDeque;
use std::sync::Arc;

use thiserror::Error;

use super::reaper::{Reaper, ReaperOptions};
use crate::acl::Interner;
use crate::config::Membership;
use crate::error::Code;
use crate::flow::{CommitBatch, Origin, Outcome, Records, Reply, ShardTurn, Step, Submission, Submitted};
use crate::format::snapshot::Digest;
use crate::format::wal::RecordBatch;
use crate::id::{ServerId, SessionId, Zxid};
use crate::jute::{DecodeError, Reader};
use crate::log_room::LogRoom;
use crate::ops::{self, Asker, AskingSession, Changes, Database, Digests, ReconfigContext, Settings};
use crate::proto::{Identity, OpCode, Password, Txn, TxnDigest, TxnHeader};
use crate::session::{Expired, LocalSessions, NewSessions, SessionTracker, Standing, password_of};
use crate::time::{Instant, WallTime};
use crate::tree::{DataTree, LOOK_AHEAD};

/// Orders everything that changes the database.
///
/// ```text
///   recover* -> recovered -> ( on_turn | on_tick | on_durable -> publish* )*
/// ```
///
/// A request is decided on the database as it will be when all that was ordered before it is published.
/// What comes of it waits in a queue until the log has the transaction; the queue also holds the answers
/// to requests that have no transaction, in their place.
pub struct Pipeline {
    pub(super) options: PipelineOptions,
    pub(super) db: Database,
    pub(super) interner: Interner,
    pub(super) tracker: SessionTracker,
    /// The sessions of this server's own, while it leads and may have such.
    pub(super) local: Option<LocalSessions>,
    pub(super) reaper: Reaper,
    /// Until when each shard has told what it heard.
    pub(super) heard_until: Vec<Instant>,
    pub(super) next_session: SessionId,
    pub(super) last_zxid: Zxid,
    pub(super) durable: Zxid,
    /// The last transaction that was published.
    pub(super) published: Zxid,
    /// The tree's digest after it.
    pub(super) published_digest: Option<u64>,
    /// What a sync that is ordered now must wait for besides, and what of that has happened.
    pub(super) sync_round: Option<u64>,
    pub(super) confirmed: u64,
    /// By what a reconfig is judged; `None` if this server stands alone.
    pub(super) reconfig: Option<ReconfigContext>,
    pub(super) changes: Changes,
    /// What must happen before the steps from here on are published, counted from the first step ever.
    pub(super) pending: VecDeque<(Gate, u64)>,
    pub(super) published_steps: u64,
    pub(super) outstanding: usize,
    pub(super) log_room: LogRoom,
}

/// What steps wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Gate {
    /// A transaction to be durable. With the tree's digest after it.
    Durable(Zxid, Option<u64>),
    /// Proof that this server leads, see [`Pipeline::await_round`].
    Confirmed(u64),
}

/// What a pipeline must know of the server.
#[derive(Clone, Debug)]
pub struct PipelineOptions {
    /// The server, for the ids of sessions.
    pub server: ServerId,
    /// How many shards there are; they are numbered from zero.
    pub shards: usize,
    /// `tickTime`, to which sessions' deadlines are rounded.
    pub tick_ms: u32,
    /// What sessions are at first. Of no effect on a standalone server.
    pub new_sessions: NewSessions,
    /// By which rules requests are judged.
    pub settings: Settings,
    /// When containers and TTL nodes go.
    pub reaper: ReaperOptions,
}

impl PipelineOptions {
    /// The sessions that a server of an ensemble has of its own, if it may have such: none yet.
    pub(super) fn local_sessions(&self) -> Option<LocalSessions> {
        match self.new_sessions {
            NewSessions::Global => None,
            NewSessions::Local { .. } => Some(LocalSessions::new(self.tick_ms, self.shards)),
        }
    }
}

/// Takes the transactions to be made durable, in their order.
pub trait LogSink {
    /// Appends a transaction, with what it says of the tree's digest; the sink encodes them at once.
    fn append(&mut self, header: &TxnHeader, txn: &Txn<'_>, digest: Option<TxnDigest>);
}

impl LogSink for RecordBatch {
    fn append(&mut self, header: &TxnHeader, txn: &Txn<'_>, digest: Option<TxnDigest>) {
        self.push(header.zxid, |record| {
            header.encode(txn, record);
            digest.inspect(|digest| digest.encode(record));
        });
    }
}

/// Why a log record cannot be applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum RecoverError {
    /// The record is not a transaction.
    #[error("the record is not a transaction: {0}")]
    Undecodable(#[from] DecodeError),
}

impl Pipeline {
    /// A pipeline on this tree: an empty one, or what a snapshot holds.
    pub fn new(options: PipelineOptions, tree: DataTree) -> Pipeline {
        let last_zxid = tree.last_zxid();
        Pipeline {
            published_digest: tree.digest(),
            db: Database::new(tree),
            interner: Interner::new(),
            tracker: SessionTracker::new(options.tick_ms),
            local: None,
            reaper: Reaper::new(options.reaper, Instant::default()),
            heard_until: vec![Instant::default(); options.shards],
            next_session: SessionId::NONE,
            last_zxid,
            durable: last_zxid,
            published: last_zxid,
            sync_round: None,
            confirmed: 0,
            reconfig: None,
            changes: Changes::default(),
            pending: VecDeque::new(),
            published_steps: 0,
            outstanding: 0,
            log_room: LogRoom::Ample,
            options,
        }
    }

    /// Applies a record of the log, before anything is served. What the tree has already is left out.
    ///
    /// # Errors
    ///
    /// If the record is not a transaction: the log is damaged, or a newer version wrote it.
    pub fn recover(&mut self, payload: &[u8]) -> Result<(), RecoverError> {
        let mut reader = Reader::new(payload);
        let (header, mut txn) = TxnHeader::decode(&mut reader)?;
        if header.zxid > self.last_zxid {
            ops::share_lists(&mut txn, &mut self.interner);
            self.db.apply(&header, &txn, &mut ());
            self.db.check(TxnDigest::decode(&mut reader));
            self.published_digest = self.db.tree().digest();
            (self.last_zxid, self.durable, self.published) = (header.zxid, header.zxid, header.zxid);
        }
        Ok(())
    }

    /// Starts to serve: every session gets its full timeout from now on. Ephemerals whose session is gone,
    /// which a snapshot that Java wrote while it served can hold, go as they do when Java loads it.
    pub fn recovered(&mut self, now: Instant, wall: WallTime) {
        let is_gone = |owner: &SessionId| !self.db.tree().sessions().contains_key(owner);
        let gone: Vec<SessionId> = self.db.tree().ephemeral_owners().filter(is_gone).collect();
        for session in gone {
            let header = TxnHeader { client_id: session, cxid: 0, zxid: self.last_zxid, time: wall };
            self.db.apply(&header, &Txn::CloseSession { ephemerals: None }, &mut ());
        }
        self.published_digest = self.db.tree().digest();
        for (session, timeout_ms) in self.db.tree().sessions() {
            self.tracker.open(*session, *timeout_ms, None, now);
        }
        self.reaper = Reaper::new(self.options.reaper, now);
        self.next_session = SessionId::first(self.options.server, wall.0);
    }

    /// Orders what a shard hands over. Answers that wait for nothing can be published afterwards.
    ///
    /// # Panics
    ///
    /// If the shard's number is not below the number of shards.
    pub fn on_turn(&mut self, turn: ShardTurn, now: Instant, wall: WallTime, log: &mut impl LogSink) {
        if let Some(local) = &mut self.local {
            local.on_heard(&turn);
        }
        self.heard_until[usize::from(turn.shard.0)] = turn.as_of;
        for (session, at) in turn.heard {
            self.tracker.heard(session, at);
        }
        for (at, Submitted { origin, session, what }) in turn.submitted.iter().enumerate() {
            if at % LOOK_AHEAD == 0 {
                let next = turn.submitted[at..].iter().take(LOOK_AHEAD);
                self.db.tree().look_ahead(next.filter_map(|next| path_ahead(next, &turn.records)));
            }
            let (origin, session) = (*origin, *session);
            match what {
                Submission::Connect { timeout_ms, .. } if session == SessionId::NONE => {
                    self.open_session(origin, *timeout_ms, now, wall, log);
                }
                Submission::Connect { password, timeout_ms } => {
                    self.reattach(origin, session, *password, *timeout_ms, now);
                }
                Submission::Request { xid, op, record, identities } => {
                    let record = turn.records.get(*record);
                    self.request(origin, session, (*xid, *op, record), identities, (now, wall), log);
                }
            }
        }
    }

    /// Expires sessions and reaps containers and TTL nodes, unless the log has no room for it. To be called several times in a `tickTime`; a
    /// call does a bounded amount of work.
    pub fn on_tick(&mut self, now: Instant, wall: WallTime, log: &mut impl LogSink) {
        for expired in self.local.as_mut().map(|local| local.expire(now)).unwrap_or_default() {
            if let Some(owner) = expired.owner {
                self.changes.push(Step::Close(owner));
            }
        }
        if self.log_room == LogRoom::Spent {
            return;
        }
        let heard_until = self.heard_until.iter().copied().min().unwrap_or(now);
        for Expired { session, owner } in self.tracker.expire(heard_until.min(now)) {
            self.close_session(session, 0, wall, log);
            if let Some(owner) = owner {
                self.changes.push(Step::Close(owner));
            }
        }
        if self.options.settings.has_old_peers {
            return; // They do not know how a container goes.
        }
        for node in self.reaper.due(self.db.tree(), now, wall) {
            let header = self.next_header(SessionId::NONE, 0, wall);
            self.apply(&header, &Txn::DeleteContainer { path: node.path().into() }, log);
        }
    }

    /// Everything up to this zxid is in the log; in an ensemble, in the logs of a quorum.
    pub fn on_durable(&mut self, upto: Zxid) {
        self.durable = self.durable.max(upto);
    }

    /// From now on the log has this much room.
    pub fn on_log_room(&mut self, room: LogRoom) {
        self.log_room = room;
    }

    /// Takes what may be published: all before the first transaction that is not durable.
    pub fn publish(&mut self) -> Option<CommitBatch> {
        while let Some((gate, _)) = self.pending.front() {
            match gate {
                Gate::Durable(zxid, digest) if *zxid <= self.durable => {
                    (self.published, self.published_digest) = (*zxid, *digest);
                }
                Gate::Confirmed(round) if *round <= self.confirmed => {}
                _ => break,
            }
            self.pending.pop_front();
        }
        let count = match self.pending.front() {
            Some((_, start)) => (start - self.published_steps) as usize,
            None => self.changes.len(),
        };
        if count == 0 {
            return None;
        }
        let steps = self.changes.take_first(count);
        self.published_steps += count as u64;
        self.outstanding -= steps.iter().filter(|step| matches!(step, Step::Reply(_))).count();
        Some(CommitBatch { steps, digest: self.published_digest })
    }

    /// The tree, ahead of what is published.
    pub fn tree(&self) -> &DataTree {
        self.db.tree()
    }

    /// The tree for a shard on the same executor, of which everything is published that there is: see
    /// [`DataTree::share`].
    pub fn share_tree(&mut self) -> DataTree {
        self.db.share_tree()
    }

    /// What is known of the tree's digests, ahead of what is published.
    pub fn digests(&self) -> &Digests {
        self.db.digests()
    }

    /// Compares what the snapshot that the tree was loaded from says of its digest, before anything is recovered.
    pub fn check_snapshot(&mut self, said: Digest) {
        self.db.check_snapshot(said);
    }

    /// The zxid of the last transaction ordered.
    pub fn last_zxid(&self) -> Zxid {
        self.last_zxid
    }

    /// How many requests are ordered and their answers not published.
    pub fn outstanding(&self) -> usize {
        self.outstanding
    }

    /// The open sessions, each with the time when it expires unless it is heard of before.
    pub fn session_deadlines(&self) -> impl Iterator<Item = (SessionId, Instant)> {
        self.tracker.deadlines()
    }

    /// The sessions of this server's own, if it may have such.
    pub fn local_sessions(&self) -> Option<&LocalSessions> {
        self.local.as_ref()
    }

    /// How many sessions are open.
    pub fn session_count(&self) -> usize {
        self.tracker.len()
    }

    fn open_session(
        &mut self,
        origin: Origin,
        timeout_ms: i32,
        now: Instant,
        wall: WallTime,
        log: &mut impl LogSink,
    ) {
        if let Some(local) = &mut self.local {
            let session = next_session_id(&mut self.next_session, self.db.tree());
            local.open(session, timeout_ms, origin, now);
            let password = password_of(session);
            return self.reply(origin, 0, Outcome::Connected { session, password, timeout_ms });
        }
        if self.log_room == LogRoom::Spent {
            return self.reply(origin, 0, Outcome::Failed(NO_ROOM));
        }
        let session = self.new_session_id();
        let header = self.next_header(session, 0, wall);
        self.apply(&header, &Txn::CreateSession { timeout_ms }, log);
        self.tracker.open(session, timeout_ms, Some(origin), now);
        let password = password_of(session);
        self.reply(origin, 0, Outcome::Connected { session, password, timeout_ms });
    }

    fn reattach(
        &mut self,
        origin: Origin,
        session: SessionId,
        password: Option<Password>,
        timeout_ms: i32,
        now: Instant,
    ) {
        // The owner goes before the password is looked at: so does Java (client-protocol §3).
        let local = self.local.as_mut().filter(|local| local.contains(session));
        let owner = match local {
            Some(local) => local.detach(session),
            None => self.tracker.detach(session),
        };
        if let Some(owner) = owner.filter(|owner| *owner != origin) {
            self.changes.push(Step::Close(owner));
        }
        let expected = password_of(session);
        let attach = |pipeline: &mut Pipeline| match &mut pipeline.local {
            Some(local) if local.contains(session) => local.attach(session, timeout_ms, origin, now),
            _ => pipeline.tracker.attach(session, timeout_ms, origin, now),
        };
        let is_attached = password == Some(expected) && attach(self);
        let outcome = match is_attached {
            true => Outcome::Connected { session, password: expected, timeout_ms },
            false => Outcome::Refused,
        };
        self.reply(origin, 0, outcome);
    }

    fn request(
        &mut self,
        origin: Origin,
        session: SessionId,
        (xid, op, record): (i32, OpCode, &[u8]),
        identities: &Arc<[Identity]>,
        (now, wall): (Instant, WallTime),
        log: &mut impl LogSink,
    ) {
        let local = self.local.as_ref().map(|local| local.standing(session, origin));
        let is_local = local == Some(Standing::Owner);
        let standing = match local {
            Some(standing @ (Standing::Owner | Standing::Moved)) => standing,
            _ => self.tracker.standing(session, origin),
        };
        if standing == Standing::Moved {
            self.changes.push(Step::Close(origin));
            return;
        }
        let asking = match standing {
            Standing::Owner if is_local => self.place_local(session, origin, (op, record), (now, wall), log),
            Standing::Owner => AskingSession::Global,
            _ => AskingSession::Unknown,
        };
        let outcome = match op {
            OpCode::CloseSession if is_local => {
                self.local.as_mut().map(|local| local.close(session));
                Outcome::Closed
            }
            _ if !self.has_room_for(op) => Outcome::Failed(NO_ROOM),
            OpCode::CloseSession => {
                self.tracker.close(session);
                self.close_session(session, xid, wall, log);
                Outcome::Closed
            }
            OpCode::Sync if asking == AskingSession::Unknown => Outcome::Failed(Code::SessionExpired),
            OpCode::Sync => match Reader::new(record).ustring() {
                Ok(path) => {
                    if let Some(round) = self.sync_round {
                        self.gate(Gate::Confirmed(round), self.changes.len());
                    }
                    Outcome::Synced(path.map(|path| path.into()))
                }
                Err(_) => Outcome::Failed(Code::MarshallingError),
            },
            // Only servers create sessions so; the rest a shard answers itself.
            _ if op == OpCode::CreateSession || !op.is_ordered() => Outcome::Failed(Code::Unimplemented),
            _ => {
                let header = self.next_header(session, xid, wall);
                self.write(op, record, asking, identities, &header, log)
            }
        };
        self.reply(origin, xid, outcome);
    }

    fn write(
        &mut self,
        op: OpCode,
        record: &[u8],
        session: AskingSession,
        identities: &[Identity],
        header: &TxnHeader,
        log: &mut impl LogSink,
    ) -> Outcome {
        let start = self.changes.len();
        let mut asker = Asker {
            session,
            identities,
            settings: &self.options.settings,
            reconfig: self.reconfig.as_ref(),
            interner: &mut self.interner,
        };
        match ops::order(op, record, &mut self.db, header, &mut asker, &mut self.changes) {
            Ok(ordered) => {
                note_reconfig(&mut self.reconfig, &ordered.txn);
                log.append(header, &ordered.txn, self.db.digest_for(&ordered.txn));
                self.note_ordered(header.zxid, start);
                ordered.outcome
            }
            Err(undecodable) => {
                if undecodable.takes_zxid {
                    self.apply(header, &Txn::Error { err: Code::MarshallingError.number() }, log);
                }
                Outcome::Failed(Code::MarshallingError)
            }
        }
    }

    /// What a session of this server's own may do. If the request needs one of the ensemble's and sessions may
    /// become that, it is one from now on.
    fn place_local(
        &mut self,
        session: SessionId,
        origin: Origin,
        (op, record): (OpCode, &[u8]),
        (now, wall): (Instant, WallTime),
        log: &mut impl LogSink,
    ) -> AskingSession {
        if !ops::needs_global_session(op, record) || !self.has_room_for(op) {
            return AskingSession::Local(Code::SessionExpired);
        }
        if self.options.new_sessions != (NewSessions::Local { upgrades: true }) {
            return AskingSession::Local(Code::EphemeralOnLocalSession);
        }
        let timeout_ms = self.local.as_mut().and_then(|local| local.upgrade(session)).unwrap_or_default();
        let header = self.next_header(session, 0, wall);
        self.apply(&header, &Txn::CreateSession { timeout_ms }, log);
        self.tracker.open(session, timeout_ms, Some(origin), now);
        AskingSession::Global
    }

    /// The session is out of the tracker; its nodes go now, and with them the session.
    pub(super) fn close_session(
        &mut self,
        session: SessionId,
        cxid: i32,
        wall: WallTime,
        log: &mut impl LogSink,
    ) {
        let header = self.next_header(session, cxid, wall);
        let ephemerals = ops::ephemerals_of(&self.db, session);
        self.apply(&header, &ops::close_txn(&ephemerals), log);
    }

    /// Logs and applies a transaction that cannot fail.
    pub(super) fn apply(&mut self, header: &TxnHeader, txn: &Txn<'_>, log: &mut impl LogSink) {
        let start = self.changes.len();
        self.changes.begin(header.zxid);
        self.db.apply(header, txn, &mut self.changes);
        log.append(header, txn, self.db.digest_for(txn));
        self.note_ordered(header.zxid, start);
    }

    pub(super) fn note_ordered(&mut self, zxid: Zxid, start: usize) {
        self.last_zxid = zxid;
        self.gate(Gate::Durable(zxid, self.db.tree().digest()), start);
    }

    fn gate(&mut self, gate: Gate, start: usize) {
        self.pending.push_back((gate, self.published_steps + start as u64));
    }

    pub(super) fn has_room_for(&self, op: OpCode) -> bool {
        match self.log_room {
            LogRoom::Ample => true,
            LogRoom::Low => !op.may_grow_tree(),
            LogRoom::Spent => op == OpCode::Sync || !op.is_ordered(),
        }
    }

    pub(super) fn next_header(&self, client_id: SessionId, cxid: i32, wall: WallTime) -> TxnHeader {
        TxnHeader { client_id, cxid, zxid: self.last_zxid.next(), time: wall }
    }

    fn reply(&mut self, to: Origin, xid: i32, outcome: Outcome) {
        self.outstanding += 1;
        self.changes.push(Step::Reply(Reply { to, xid, outcome }));
    }

    fn new_session_id(&mut self) -> SessionId {
        next_session_id(&mut self.next_session, self.db.tree())
    }
}

/// A reconfig that was ordered is under way for those that are decided after it.
pub(super) fn note_reconfig(context: &mut Option<ReconfigContext>, txn: &Txn<'_>) {
    if let (Some(context), Txn::Reconfig { data: Some(data), .. }) = (context, txn)
        && let Ok(proposed) = Membership::of_peer(data)
    {
        context.configurations.see(&Arc::new(proposed));
    }
}

fn path_ahead<'t>(submitted: &Submitted, records: &'t Records) -> Option<&'t [u8]> {
    match submitted.what {
        Submission::Request { op, record, .. } => ops::path_ahead(op, records.get(record)),
        Submission::Connect { .. } => None,
    }
}

/// The next id that is free.
pub(super) fn next_session_id(next: &mut SessionId, tree: &DataTree) -> SessionId {
    loop {
        let session = *next;
        *next = SessionId(session.0.wrapping_add(1));
        let is_taken = tree.sessions().contains_key(&session);
        if !is_taken && session != SessionId::NONE && session.0 != CONTAINER_OWNER {
            return session;
        }
    }
}

/// What a request is answered that the log has no room for: every client library knows it.
pub(super) const NO_ROOM: Code = Code::SystemError;
/// The one number that would make a session's ephemerals containers.
const CONTAINER_OWNER: i64 = i64::MIN;
