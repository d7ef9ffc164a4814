//! What a pipeline does for an ensemble that its server leads: it orders the requests of other servers'
//! clients too, publishes what a quorum has, and takes back what it applied too early if it leads no more.

use super::pipeline::{LogSink, NO_ROOM, Pipeline, note_reconfig};
use super::reaper::Reaper;
use crate::error::Code;
use crate::flow::{ForwardedRequest, Origin, Step};
use crate::id::{SessionId, Zxid};
use crate::jute::Reader;
use crate::ops::{self, Asker, AskingSession, Changes, ReconfigContext};
use crate::proto::{OpCode, Txn, TxnDigest, TxnHeader};
use crate::session::{SessionTracker, Standing};
use crate::time::{Instant, WallTime};
use crate::tree::DataTree;

impl Pipeline {
    /// Begins to order: this server leads this epoch, and everything in its log is part of the history. `tail`
    /// is what of it is not applied yet, which [`Pipeline::on_durable`] publishes as it does the rest. Every
    /// session gets its full timeout from now on.
    ///
    /// # Panics
    ///
    /// If something of an earlier time is neither published nor [rolled back](Pipeline::roll_back).
    pub fn lead<'a>(
        &mut self,
        epoch: u32,
        tail: impl IntoIterator<Item = &'a [u8]>,
        now: Instant,
        wall: WallTime,
        log: &mut impl LogSink,
    ) {
        assert!(self.changes.is_empty(), "a leader starts from what is published");
        self.changes = Changes::new(true);
        for payload in tail {
            // What cannot be read was refused before it was logged.
            let mut reader = Reader::new(payload);
            let Ok((header, mut txn)) = TxnHeader::decode(&mut reader) else { continue };
            ops::share_lists(&mut txn, &mut self.interner);
            let start = self.changes.len();
            self.changes.begin(header.zxid);
            self.db.apply(&header, &txn, &mut self.changes);
            self.db.check(TxnDigest::decode(&mut reader));
            self.note_ordered(header.zxid, start);
        }
        let (opening, start) = (Zxid::new(epoch, 0), self.changes.len());
        self.changes.begin(opening);
        self.db.advance(opening);
        self.note_ordered(opening, start);
        self.tracker = SessionTracker::new(self.options.tick_ms);
        for (session, timeout_ms) in self.db.tree().sessions() {
            self.tracker.open(*session, *timeout_ms, None, now);
        }
        self.local = self.options.local_sessions();
        self.heard_until.fill(now);
        self.reaper = Reaper::new(self.options.reaper, now);
        (self.sync_round, self.confirmed) = (None, 0);
        if self.next_session == SessionId::NONE {
            self.next_session = SessionId::first(self.options.server, wall.0);
        }
        self.close_ownerless(wall, log);
    }

    /// Orders a request of another server's client. Each gets a transaction, also one that fails: that is
    /// how its server learns of the outcome (zab §7), and why one that the log has no room for gets a small one.
    /// Requests of one server are to be given in their order.
    pub fn order_forwarded(
        &mut self,
        from: Origin,
        request: ForwardedRequest,
        now: Instant,
        wall: WallTime,
        log: &mut impl LogSink,
    ) {
        let ForwardedRequest { session, cxid, op, record, identities } = request;
        match OpCode::from_number(op) {
            Some(op) if !self.has_room_for(op) => self.refuse(session, cxid, NO_ROOM, wall, log),
            Some(OpCode::CreateSession) => {
                let Ok(timeout_ms) = Reader::new(&record).int() else {
                    return self.refuse(session, cxid, Code::MarshallingError, wall, log);
                };
                let header = self.next_header(session, cxid, wall);
                self.apply(&header, &Txn::CreateSession { timeout_ms }, log);
                self.tracker.open(session, timeout_ms, Some(from), now);
            }
            Some(OpCode::CloseSession) => {
                if let Some(owner) = self.tracker.close(session).filter(|owner| *owner != from) {
                    self.changes.push(Step::Close(owner));
                }
                self.close_session(session, cxid, wall, log);
            }
            Some(op) if op.is_ordered() && op != OpCode::Sync => {
                let standing = self.tracker.claim(session, from);
                if standing == Standing::Moved {
                    return self.refuse(session, cxid, Code::SessionMoved, wall, log);
                }
                let mut asker = Asker {
                    session: match standing {
                        Standing::Owner => AskingSession::Global,
                        _ if self.may_be_elsewhere(session) => AskingSession::Local(Code::SessionExpired),
                        _ => AskingSession::Unknown,
                    },
                    identities: identities.as_deref().unwrap_or_default(),
                    settings: &self.options.settings,
                    reconfig: self.reconfig.as_ref(),
                    interner: &mut self.interner,
                };
                let start = self.changes.len();
                let header = TxnHeader { client_id: session, cxid, zxid: self.last_zxid.next(), time: wall };
                let ordered = ops::order(op, &record, &mut self.db, &header, &mut asker, &mut self.changes);
                match ordered {
                    Ok(ordered) => {
                        note_reconfig(&mut self.reconfig, &ordered.txn);
                        log.append(&header, &ordered.txn, self.db.digest_for(&ordered.txn));
                        self.note_ordered(header.zxid, start);
                    }
                    Err(_) => self.refuse(session, cxid, Code::MarshallingError, wall, log),
                }
            }
            _ => self.refuse(session, cxid, Code::Unimplemented, wall, log),
        }
    }

    /// From now on some of the other servers are of 3.4, or none is: what they could not read is not ordered.
    pub fn spare_old_peers(&mut self, there_are: bool) {
        self.options.settings.has_old_peers = there_are;
    }

    /// A session's client has come to another server, which has looked at the password. Whether the session
    /// is open; then it is that server's.
    pub fn revalidate(&mut self, session: SessionId, timeout_ms: i32, at: Origin, now: Instant) -> bool {
        if let Some(owner) = self.tracker.detach(session).filter(|owner| *owner != at) {
            self.changes.push(Step::Close(owner));
        }
        self.tracker.attach(session, timeout_ms, at, now)
    }

    /// Another server has heard these sessions' clients.
    pub fn touch(&mut self, sessions: impl IntoIterator<Item = SessionId>, now: Instant) {
        for session in sessions {
            self.tracker.heard(session, now);
        }
    }

    /// Has the syncs that are ordered from now on wait until this round is
    /// [confirmed](Pipeline::on_confirmed), with everything behind them.
    pub fn await_round(&mut self, round: Option<u64>) {
        self.sync_round = round;
    }

    /// This server has been proven to lead at the time of this round.
    pub fn on_confirmed(&mut self, round: u64) {
        self.confirmed = self.confirmed.max(round);
    }

    /// Judges reconfigs by this from now on.
    pub fn judge_reconfigs_by(&mut self, context: ReconfigContext) {
        self.reconfig = Some(context);
    }

    /// Has the node of the configuration show this one, see [`Database::show_configuration`](crate::ops::Database::show_configuration). It is published
    /// with what was ordered before.
    pub fn show_configuration(&mut self, text: &[u8], version: Zxid, wall: WallTime) {
        self.db.show_configuration(text, version, wall, &mut self.changes);
    }

    /// The last transaction that was published.
    pub fn published(&self) -> Zxid {
        self.published
    }

    /// This server leads no more: takes back everything that was not published. Nobody gets an answer.
    pub fn roll_back(&mut self) {
        self.changes.roll_back(&mut self.db);
        self.db.rewind(self.published);
        self.changes = Changes::default();
        self.reconfig = None;
        self.local = None;
        self.pending.clear();
        (self.last_zxid, self.durable, self.outstanding) = (self.published, self.published, 0);
    }

    /// Another tree takes the place of this one, of which everything is published or rolled back.
    pub fn replace(&mut self, tree: DataTree) {
        let last = tree.last_zxid();
        self.db.replace(tree);
        self.published_digest = self.db.tree().digest();
        (self.last_zxid, self.durable, self.published) = (last, last, last);
    }

    /// Whether a session that is not the ensemble's may be another server's own.
    fn may_be_elsewhere(&self, session: SessionId) -> bool {
        self.local.is_some() && session.server() != self.options.server.0 & 0xff
    }

    fn refuse(&mut self, session: SessionId, cxid: i32, code: Code, wall: WallTime, log: &mut impl LogSink) {
        let header = self.next_header(session, cxid, wall);
        self.apply(&header, &Txn::Error { err: code.number() }, log);
    }

    /// Ephemerals whose session is gone, which a snapshot that Java wrote while it served can hold, go by a
    /// transaction, so that they go everywhere.
    fn close_ownerless(&mut self, wall: WallTime, log: &mut impl LogSink) {
        let tree = self.db.tree();
        let is_gone = |owner: &SessionId| !tree.sessions().contains_key(owner);
        let mut gone: Vec<SessionId> = tree.ephemeral_owners().filter(is_gone).collect();
        gone.sort_unstable();
        for session in gone {
            self.close_session(session, 0, wall, log);
        }
    }
}
