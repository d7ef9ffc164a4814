use super::tracker::{Expired, SessionTracker, Standing};
use crate::flow::{Origin, ShardTurn};
use crate::id::SessionId;
use crate::time::Instant;

/// What the sessions of an ensemble's clients are at first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NewSessions {
    /// The ensemble's.
    #[default]
    Global,
    /// Those of the server that the client came to (`localSessionsEnabled`).
    Local {
        /// Whether one becomes the ensemble's when it needs to be (`localSessionsUpgradingEnabled`).
        upgrades: bool,
    },
}

/// Sessions that only this server knows (`localSessionsEnabled`, server-semantics §9): no transaction opens or
/// ends them, and they end when what the server is in its ensemble does.
pub struct LocalSessions {
    tracker: SessionTracker,
    /// Until when each shard has told what it heard.
    heard_until: Vec<Instant>,
}

impl LocalSessions {
    /// None yet, on a server with so many shards; `tick_ms` is `tickTime`.
    pub fn new(tick_ms: u32, shards: usize) -> LocalSessions {
        LocalSessions { tracker: SessionTracker::new(tick_ms), heard_until: vec![Instant::default(); shards] }
    }

    /// Takes note of what a shard has heard.
    ///
    /// # Panics
    ///
    /// If the shard's number is not below the number of shards.
    pub fn on_heard(&mut self, turn: &ShardTurn) {
        self.heard_until[usize::from(turn.shard.0)] = turn.as_of;
        for (session, at) in &turn.heard {
            self.tracker.heard(*session, *at);
        }
    }

    /// Opens a session, which has an id of its own already.
    pub fn open(&mut self, session: SessionId, timeout_ms: i32, owner: Origin, now: Instant) {
        self.tracker.open(session, timeout_ms, Some(owner), now);
    }

    /// Takes the session from its connection, which is returned.
    pub fn detach(&mut self, session: SessionId) -> Option<Origin> {
        self.tracker.detach(session)
    }

    /// Gives the session to a connection. False if there is no such session here.
    pub fn attach(&mut self, session: SessionId, timeout_ms: i32, owner: Origin, now: Instant) -> bool {
        self.tracker.attach(session, timeout_ms, owner, now)
    }

    /// What the connection is to the session.
    pub fn standing(&self, session: SessionId, connection: Origin) -> Standing {
        self.tracker.standing(session, connection)
    }

    /// Whether this session is open.
    pub fn contains(&self, session: SessionId) -> bool {
        self.tracker.timeout_ms(session).is_some()
    }

    /// Forgets a session that is the ensemble's from now on, and returns its timeout in milliseconds.
    pub fn upgrade(&mut self, session: SessionId) -> Option<i32> {
        let timeout_ms = self.tracker.timeout_ms(session)?;
        self.tracker.close(session);
        Some(timeout_ms)
    }

    /// Forgets a session that is closed, and returns its connection.
    pub fn close(&mut self, session: SessionId) -> Option<Origin> {
        self.tracker.close(session)
    }

    /// Forgets and returns sessions that nobody was heard of for too long, some of them each time.
    pub fn expire(&mut self, now: Instant) -> Vec<Expired> {
        let heard_until = self.heard_until.iter().copied().min().unwrap_or(now);
        self.tracker.expire(heard_until.min(now))
    }

    /// How many sessions are open.
    pub fn len(&self) -> usize {
        self.tracker.len()
    }

    /// Whether no session is open.
    pub fn is_empty(&self) -> bool {
        self.tracker.is_empty()
    }

    /// The open sessions, each with the time when it expires unless it is heard of before.
    pub fn deadlines(&self) -> impl Iterator<Item = (SessionId, Instant)> {
        self.tracker.deadlines()
    }
}
