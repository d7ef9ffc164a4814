use std::collections::BTreeMap;

use foldhash::fast::FixedState;
use hashbrown::HashMap;

use crate::flow::Origin;
use crate::id::SessionId;
use crate::time::Instant;

/// Knows each open session's connection and when it expires.
///
/// A session's deadline is the next multiple of the tick after its timeout has passed since it was last
/// heard, so that sessions expire in buckets, and hearing of a session mostly changes nothing.
///
/// ```text
///   buckets:   8000 -> [s1, s2]     s1 was heard since: its deadline is 10000 now, and it moves on
///             10000 -> [s3]         when its bucket is due
/// ```
pub struct SessionTracker {
    tick_ms: u64,
    sessions: HashMap<SessionId, Tracked, FixedState>,
    buckets: BTreeMap<u64, Vec<SessionId>>,
}

/// What a connection is to a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// The session is open, and this is its connection.
    Owner,
    /// The session is open and another connection's, or nobody's.
    Moved,
    /// There is no such session, or it is being closed.
    Unknown,
}

/// A session whose time has passed. The tracker has forgotten it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expired {
    /// The session.
    pub session: SessionId,
    /// Its connection, if it had one.
    pub owner: Option<Origin>,
}

struct Tracked {
    timeout_ms: u64,
    deadline_ms: u64,
    /// The one bucket that this session counts in; never after the deadline.
    bucket_ms: u64,
    owner: Option<Origin>,
}

impl SessionTracker {
    /// A tracker of no sessions; `tick_ms` is `tickTime`.
    pub fn new(tick_ms: u32) -> SessionTracker {
        SessionTracker {
            tick_ms: u64::from(tick_ms.max(1)),
            sessions: HashMap::with_hasher(FixedState::default()),
            buckets: BTreeMap::new(),
        }
    }

    /// How many sessions are open.
    pub fn len(&self) -> usize {
        self.sessions.len()
    }

    /// Whether no session is open.
    pub fn is_empty(&self) -> bool {
        self.sessions.is_empty()
    }

    /// Tracks a session that is new, or was found in the database and has no connection yet.
    pub fn open(&mut self, session: SessionId, timeout_ms: i32, owner: Option<Origin>, now: Instant) {
        let timeout_ms = timeout_ms.max(0) as u64;
        let deadline_ms = self.deadline(now, timeout_ms);
        self.sessions.insert(session, Tracked { timeout_ms, deadline_ms, bucket_ms: deadline_ms, owner });
        self.buckets.entry(deadline_ms).or_default().push(session);
    }

    /// Takes the session from its connection, which is returned.
    pub fn detach(&mut self, session: SessionId) -> Option<Origin> {
        self.sessions.get_mut(&session)?.owner.take()
    }

    /// Gives the session to a connection, with a timeout that counts from now on. False if there is no
    /// such session.
    pub fn attach(&mut self, session: SessionId, timeout_ms: i32, owner: Origin, now: Instant) -> bool {
        let timeout_ms = timeout_ms.max(0) as u64;
        let deadline_ms = self.deadline(now, timeout_ms);
        let Some(tracked) = self.sessions.get_mut(&session) else { return false };
        (tracked.timeout_ms, tracked.deadline_ms, tracked.owner) = (timeout_ms, deadline_ms, Some(owner));
        if deadline_ms < tracked.bucket_ms {
            tracked.bucket_ms = deadline_ms;
            self.buckets.entry(deadline_ms).or_default().push(session);
        }
        true
    }

    /// What the connection is to the session.
    pub fn standing(&self, session: SessionId, connection: Origin) -> Standing {
        match self.sessions.get(&session) {
            Some(tracked) if tracked.owner == Some(connection) => Standing::Owner,
            Some(_) => Standing::Moved,
            None => Standing::Unknown,
        }
    }

    /// What a server of the ensemble is to a session; it becomes its owner if nobody is.
    pub fn claim(&mut self, session: SessionId, server: Origin) -> Standing {
        match self.sessions.get_mut(&session) {
            Some(tracked) => match *tracked.owner.get_or_insert(server) == server {
                true => Standing::Owner,
                false => Standing::Moved,
            },
            None => Standing::Unknown,
        }
    }

    /// Notes that the session's client was heard at this time.
    pub fn heard(&mut self, session: SessionId, at: Instant) {
        let tick_ms = self.tick_ms;
        if let Some(tracked) = self.sessions.get_mut(&session) {
            tracked.deadline_ms = tracked.deadline_ms.max(deadline(at, tracked.timeout_ms, tick_ms));
        }
    }

    /// The timeout of an open session, in milliseconds.
    pub fn timeout_ms(&self, session: SessionId) -> Option<i32> {
        self.sessions.get(&session).map(|tracked| tracked.timeout_ms as i32)
    }

    /// Forgets a session that is closed, and returns its connection.
    pub fn close(&mut self, session: SessionId) -> Option<Origin> {
        self.sessions.remove(&session)?.owner
    }

    /// Forgets and returns sessions whose deadline has passed at `as_of`, when everything that was heard
    /// until then is known. Looks at a bounded number of sessions and leaves the rest to the next call.
    pub fn expire(&mut self, as_of: Instant) -> Vec<Expired> {
        let mut expired = Vec::new();
        for _ in 0..SESSIONS_PER_CALL_MAX {
            let Some(mut bucket) = self.buckets.first_entry() else { break };
            let bucket_ms = *bucket.key();
            if bucket_ms > as_of.ms() {
                break;
            }
            let Some(session) = bucket.get_mut().pop() else {
                bucket.remove();
                continue;
            };
            let Some(tracked) = self.sessions.get_mut(&session) else { continue };
            if tracked.bucket_ms != bucket_ms {
                continue;
            }
            if tracked.deadline_ms > bucket_ms {
                tracked.bucket_ms = tracked.deadline_ms;
                self.buckets.entry(tracked.deadline_ms).or_default().push(session);
            } else {
                let owner = self.close(session);
                expired.push(Expired { session, owner });
            }
        }
        expired
    }

    /// The open sessions, each with the time when it expires unless it is heard of before, in no particular
    /// order.
    pub fn deadlines(&self) -> impl Iterator<Item = (SessionId, Instant)> {
        self.sessions.iter().map(|(session, tracked)| (*session, Instant::from_ms(tracked.deadline_ms)))
    }

    fn deadline(&self, now: Instant, timeout_ms: u64) -> u64 {
        deadline(now, timeout_ms, self.tick_ms)
    }
}

fn deadline(heard: Instant, timeout_ms: u64, tick_ms: u64) -> u64 {
    ((heard.ms() + timeout_ms) / tick_ms + 1) * tick_ms
}

const SESSIONS_PER_CALL_MAX: usize = 10_000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::{ConnId, ShardId};

    const TICK_MS: u32 = 2000;

    fn at(ms: u64) -> Instant {
        Instant::from_ms(ms)
    }

    fn conn(id: u64) -> Origin {
        Origin { shard: ShardId(0), conn: ConnId(id) }
    }

    fn expired(tracker: &mut SessionTracker, ms: u64) -> Vec<i64> {
        let mut ids: Vec<_> = tracker.expire(at(ms)).iter().map(|expired| expired.session.0).collect();
        ids.sort_unstable();
        ids
    }

    #[test]
    fn sessions_expire_at_the_tick_after_their_timeout() {
        let mut tracker = SessionTracker::new(TICK_MS);
        tracker.open(SessionId(1), 4000, Some(conn(1)), at(100));
        tracker.open(SessionId(2), 4000, None, at(1999));
        tracker.open(SessionId(3), 4000, None, at(2000));
        assert_eq!(expired(&mut tracker, 5999), []);
        assert_eq!(expired(&mut tracker, 6000), [1, 2]);
        assert_eq!(expired(&mut tracker, 8000), [3], "a whole tick is added on the boundary");
        assert!(tracker.is_empty());
    }

    #[test]
    fn being_heard_moves_the_deadline() {
        let mut tracker = SessionTracker::new(TICK_MS);
        tracker.open(SessionId(1), 4000, Some(conn(1)), at(0));
        tracker.heard(SessionId(1), at(5000));
        tracker.heard(SessionId(1), at(3000));
        assert_eq!(expired(&mut tracker, 6000), []);
        assert_eq!(expired(&mut tracker, 9999), []);
        assert_eq!(tracker.deadlines().collect::<Vec<_>>(), [(SessionId(1), at(10_000))]);
        let due = tracker.expire(at(10_000));
        assert_eq!(due, [Expired { session: SessionId(1), owner: Some(conn(1)) }]);
    }

    #[test]
    fn a_shorter_timeout_counts_from_the_attachment_on() {
        let mut tracker = SessionTracker::new(TICK_MS);
        tracker.open(SessionId(1), 40_000, Some(conn(1)), at(0));
        assert_eq!(tracker.detach(SessionId(1)), Some(conn(1)));
        assert_eq!(tracker.standing(SessionId(1), conn(1)), Standing::Moved);
        assert!(tracker.attach(SessionId(1), 4000, conn(2), at(1000)));
        assert_eq!(tracker.standing(SessionId(1), conn(2)), Standing::Owner);
        assert_eq!(tracker.standing(SessionId(1), conn(1)), Standing::Moved);
        assert_eq!(expired(&mut tracker, 6000), [1]);
        assert_eq!(tracker.standing(SessionId(1), conn(2)), Standing::Unknown);
        assert_eq!(expired(&mut tracker, 100_000), [], "not a second time from its old bucket");
        assert!(!tracker.attach(SessionId(1), 4000, conn(2), at(1000)));
    }

    #[test]
    fn a_longer_timeout_counts_too() {
        let mut tracker = SessionTracker::new(TICK_MS);
        tracker.open(SessionId(1), 4000, Some(conn(1)), at(0));
        assert!(tracker.attach(SessionId(1), 20_000, conn(2), at(1000)));
        assert_eq!(expired(&mut tracker, 21_999), []);
        assert_eq!(expired(&mut tracker, 22_000), [1]);
    }

    #[test]
    fn closed_sessions_do_not_expire() {
        let mut tracker = SessionTracker::new(TICK_MS);
        tracker.open(SessionId(1), 4000, Some(conn(1)), at(0));
        assert_eq!(tracker.close(SessionId(1)), Some(conn(1)));
        assert_eq!((tracker.close(SessionId(1)), expired(&mut tracker, 100_000)), (None, vec![]));
    }

    #[test]
    fn a_large_bucket_is_worked_off_in_parts() {
        let mut tracker = SessionTracker::new(TICK_MS);
        let count = SESSIONS_PER_CALL_MAX + 5;
        (1..=count).for_each(|id| tracker.open(SessionId(id as i64), 4000, None, at(0)));
        assert_eq!(expired(&mut tracker, 6000).len(), SESSIONS_PER_CALL_MAX);
        assert_eq!(expired(&mut tracker, 6000).len(), 5);
    }
}
