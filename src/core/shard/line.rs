use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::stats::ShardStats;
use crate::config::{RequestThrottle, Stale};
use crate::flow::ConnId;
use crate::id::SessionId;
use crate::proto::{Identity, OpCode, RequestHeader};
use crate::time::Instant;

/// Requests that wait in line because enough are in process (`request_throttle_*`).
///
/// ```text
///            room, and nobody waits                     room
///   request -----------------------> in process <----------------- first in line
///      |                                                            ^    |
///      '------------------------------> line -----------------------'    | stale
///                                                                        v
///                                                                     dropped
/// ```
///
/// All connections of a shard share one line, so that each session's requests stay in their order. What was too long
/// in line is passed on all the same, to be answered in its place that it [failed](Ready::is_late).
///
/// A request outlives its connection if it closes the session, or if what is [`Stale`] is not to be dropped: it is
/// carried out in its turn, and nobody is told.
pub(super) struct Line {
    options: RequestThrottle,
    stale: Stale,
    /// By their number in the order in which they came.
    waiting: BTreeMap<u64, Waiting>,
    next_number: u64,
    /// Those whose connections are open: what comes with the end of one takes as long as it has requests, however
    /// many others wait.
    of_open: BTreeSet<(ConnId, u64)>,
    /// What the others take.
    orphans_len: usize,
    /// When the first one was last found without room.
    stalled: Option<Instant>,
}

/// A request in line.
pub(super) struct Waiting {
    pub(super) conn: ConnId,
    pub(super) session: SessionId,
    /// The session's.
    pub(super) timeout_ms: i32,
    pub(super) since: Instant,
    pub(super) what: Asked,
    /// What it counts among the large ones.
    pub(super) large_len: usize,
    /// Whether its connection is closed.
    pub(super) is_orphan: bool,
}

/// What a request in line asks for.
pub(super) enum Asked {
    /// A new session.
    Session,
    /// An operation by its number, which need not be a known one.
    Operation { xid: i32, op: i32, record: Box<[u8]>, identities: Arc<[Identity]> },
}

/// What becomes of the first in line.
pub(super) enum Next {
    /// It is stale.
    Drop(Waiting),
    /// It is its turn.
    Proceed(Ready),
}

/// A request that has left the line.
pub(super) struct Ready {
    pub(super) request: Waiting,
    /// Whether it waited too long and fails (`throttled_op_wait_time`).
    pub(super) is_late: bool,
}

impl Line {
    pub(super) fn new(options: RequestThrottle, stale: Stale) -> Line {
        Line {
            options,
            stale,
            waiting: BTreeMap::new(),
            next_number: 0,
            of_open: BTreeSet::new(),
            orphans_len: 0,
            stalled: None,
        }
    }

    /// Whether a request that comes while so many are in process need not wait.
    pub(super) fn is_open(&self, in_process: usize) -> bool {
        self.waiting.is_empty() && in_process < self.options.requests_max
    }

    /// How many requests of open connections wait.
    pub(super) fn len(&self) -> usize {
        self.of_open.len()
    }

    /// Has one wait behind the others.
    pub(super) fn push(&mut self, request: Waiting) {
        self.of_open.insert((request.conn, self.next_number));
        self.waiting.insert(self.next_number, request);
        self.next_number += 1;
    }

    /// Takes the first in line if it is stale, or if there is room for it.
    pub(super) fn next(&mut self, in_process: usize, now: Instant, stats: &mut ShardStats) -> Option<Next> {
        let is_stale = self.is_stale(self.waiting.values().next()?, now);
        if is_stale && self.options.drop_stale {
            stats.stale_requests_dropped += 1;
            return self.pop().map(Next::Drop);
        }
        if in_process >= self.options.requests_max {
            self.stall(now, stats);
            return None;
        }
        stats.stale_requests += u64::from(is_stale);
        let request = self.pop()?;
        let waited = now.since(request.since);
        stats.line_time.record(waited.as_micros() as u64);
        let is_long = |max_ms: u64| waited.as_millis() > u128::from(max_ms);
        let is_late = request.what.may_fail() && self.options.op_wait_ms.is_some_and(is_long);
        stats.throttled_ops += u64::from(is_late);
        Some(Next::Proceed(Ready { request, is_late }))
    }

    /// A connection is closed. Returns what its requests counted among the large ones.
    pub(super) fn on_closed(&mut self, conn: ConnId, stats: &mut ShardStats) -> usize {
        let is_dropped = self.options.drop_stale && self.stale.closed_connection;
        let first = self.first();
        let mut large_len = 0;
        let places: Vec<_> = self.of_open.range((conn, 0)..=(conn, u64::MAX)).copied().collect();
        for place in places {
            self.of_open.remove(&place);
            let Some(request) = self.waiting.get_mut(&place.1) else { continue };
            large_len += request.large_len;
            let len = request.len_as_orphan();
            if !request.what.is_close() && (is_dropped || self.orphans_len + len > ORPHANS_LEN_MAX) {
                stats.stale_requests_dropped += 1;
                self.waiting.remove(&place.1);
                continue;
            }
            request.is_orphan = true;
            self.orphans_len += len;
        }
        if first != self.first() {
            self.stalled = None;
        }
        large_len
    }

    /// Forgets all.
    pub(super) fn clear(&mut self) {
        self.waiting.clear();
        self.of_open.clear();
        (self.orphans_len, self.stalled) = (0, None);
    }

    /// The number of the first in line.
    fn first(&self) -> Option<u64> {
        self.waiting.keys().next().copied()
    }

    fn pop(&mut self) -> Option<Waiting> {
        let (number, request) = self.waiting.pop_first()?;
        self.stalled = None;
        if request.is_orphan {
            self.orphans_len -= request.len_as_orphan();
        } else {
            self.of_open.remove(&(request.conn, number));
        }
        Some(request)
    }

    fn is_stale(&self, request: &Waiting, now: Instant) -> bool {
        !request.what.is_close()
            && ((self.stale.closed_connection && request.is_orphan)
                || self.stale.is_late(request.since, request.timeout_ms, now))
    }

    /// Counts how often the first in line was found without room: when it became the first, and in each
    /// `request_throttle_stall_time` after that.
    fn stall(&mut self, now: Instant, stats: &mut ShardStats) {
        let Some(stalled) = self.stalled else {
            self.stalled = Some(now);
            stats.throttle_waits += 1;
            return;
        };
        if let Some(stall_time_ms) = self.options.stall_time_ms {
            let times = now.since(stalled).as_millis() as u64 / stall_time_ms;
            stats.throttle_waits += times;
            self.stalled = Some(stalled + std::time::Duration::from_millis(times * stall_time_ms));
        }
    }
}

impl Waiting {
    /// What it takes of [`ORPHANS_LEN_MAX`]: even one that asks for a session and nothing else takes some.
    fn len_as_orphan(&self) -> usize {
        size_of::<Waiting>() + self.what.len()
    }
}

impl Asked {
    /// The length of its frame without that of the length.
    pub(super) fn len(&self) -> usize {
        match self {
            Asked::Session => 0,
            Asked::Operation { record, .. } => RequestHeader::LEN + record.len(),
        }
    }

    /// Whether it closes the session: that must come to pass, whoever waits for it.
    fn is_close(&self) -> bool {
        matches!(self, Asked::Operation { op, .. } if *op == OpCode::CloseSession.number())
    }

    /// Whether it may fail for having waited too long.
    fn may_fail(&self) -> bool {
        match self {
            Asked::Session => false,
            Asked::Operation { op, .. } => *op != OpCode::Ping.number() && !self.is_close(),
        }
    }
}

impl Stale {
    /// Whether a request is stale for its age.
    pub(super) fn is_late(&self, since: Instant, timeout_ms: i32, now: Instant) -> bool {
        self.session_timeout && now.since(since).as_millis() as i128 > i128::from(timeout_ms)
    }
}

/// Requests whose connections are closed and that are to be carried out all the same are dropped beyond so many bytes
/// that they take: clients that come and go must not fill the memory.
const ORPHANS_LEN_MAX: usize = 16 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: RequestThrottle =
        RequestThrottle { requests_max: 1, stall_time_ms: Some(100), drop_stale: true, op_wait_ms: None };
    const LARGE_LEN: usize = 3;
    const STALE: Stale = Stale { closed_connection: true, session_timeout: false };

    fn request(conn: u64, xid: i32, op: OpCode) -> Waiting {
        let identities = Arc::new([]);
        let what = Asked::Operation { xid, op: op.number(), record: Box::new([0; 12]), identities };
        Waiting {
            conn: ConnId(conn),
            session: SessionId(conn as i64),
            timeout_ms: 1000,
            since: Instant(0),
            what,
            large_len: 0,
            is_orphan: false,
        }
    }

    fn line(options: RequestThrottle, stale: Stale, waiting: &[(u64, i32, OpCode)]) -> Line {
        let mut line = Line::new(options, stale);
        waiting.iter().for_each(|(conn, xid, op)| line.push(request(*conn, *xid, *op)));
        line
    }

    /// What leaves the line if there is room for all: xids, those of late requests negative.
    fn drained(line: &mut Line, ms: u64, stats: &mut ShardStats) -> Vec<i32> {
        let mut xids = Vec::new();
        while let Some(next) = line.next(0, Instant::from_ms(ms), stats) {
            if let Next::Proceed(Ready { request, is_late }) = next
                && let Asked::Operation { xid, .. } = request.what
            {
                xids.push(if is_late { -xid } else { xid });
            }
        }
        xids
    }

    #[test]
    fn who_comes_while_others_wait_waits_too() {
        let mut line = line(ONE, STALE, &[]);
        assert!(line.is_open(0) && !line.is_open(1));
        line.push(request(1, 1, OpCode::GetData));
        assert!(!line.is_open(0));
    }

    #[test]
    fn waits_are_counted_when_one_becomes_the_first_and_each_stall_time_after() {
        let mut stats = ShardStats::default();
        let mut line = line(ONE, STALE, &[(1, 1, OpCode::GetData), (2, 1, OpCode::GetData)]);
        for (ms, waits) in [(0, 1), (99, 1), (100, 2), (450, 5), (499, 5), (500, 6)] {
            assert!(line.next(1, Instant::from_ms(ms), &mut stats).is_none());
            assert_eq!(stats.throttle_waits, waits, "after {ms} ms");
        }
        assert!(line.next(0, Instant::from_ms(501), &mut stats).is_some());
        assert!(line.next(1, Instant::from_ms(502), &mut stats).is_none());
        assert_eq!(stats.throttle_waits, 7, "the second is the first now");
        let never = RequestThrottle { stall_time_ms: None, ..ONE };
        let mut line = Line::new(never, STALE);
        line.push(request(1, 1, OpCode::GetData));
        for ms in [600, 10_000] {
            assert!(line.next(1, Instant::from_ms(ms), &mut stats).is_none());
        }
        assert_eq!(stats.throttle_waits, 8);
    }

    #[test]
    fn what_was_longer_in_line_than_it_may_fails_but_for_pings_and_ends() {
        let late = RequestThrottle { op_wait_ms: Some(50), ..ONE };
        let asked = [(1, 1, OpCode::Create), (1, 2, OpCode::Ping), (1, 3, OpCode::CloseSession)];
        let mut stats = ShardStats::default();
        assert_eq!(drained(&mut line(late, STALE, &asked), 50, &mut stats), [1, 2, 3]);
        assert_eq!(stats.throttled_ops, 0);
        assert_eq!(drained(&mut line(late, STALE, &asked), 51, &mut stats), [-1, 2, 3]);
        assert_eq!((stats.throttled_ops, stats.line_time.count), (1, 6));
        assert_eq!(drained(&mut line(ONE, STALE, &asked), 99_999, &mut stats), [1, 2, 3]);
    }

    #[test]
    fn requests_of_a_closed_connection_are_dropped_but_for_the_end_of_the_session() {
        let asked = [
            (1, 1, OpCode::Create),
            (2, 2, OpCode::Create),
            (1, 3, OpCode::GetData),
            (1, 4, OpCode::CloseSession),
        ];
        let mut stats = ShardStats::default();
        let mut dropping = line(ONE, STALE, &asked);
        dropping.on_closed(ConnId(1), &mut stats);
        assert_eq!((dropping.len(), stats.stale_requests_dropped), (1, 2));
        assert_eq!(drained(&mut dropping, 1, &mut stats), [2, 4]);
        assert_eq!((dropping.len(), dropping.orphans_len, stats.stale_requests), (0, 0, 0));

        for (options, stale, counted) in [
            (RequestThrottle { drop_stale: false, ..ONE }, STALE, 2),
            (ONE, Stale { closed_connection: false, ..STALE }, 0),
        ] {
            let mut stats = ShardStats::default();
            let mut keeping = line(options, stale, &asked);
            keeping.on_closed(ConnId(1), &mut stats);
            assert_eq!(drained(&mut keeping, 1, &mut stats), [1, 2, 3, 4]);
            assert_eq!((stats.stale_requests_dropped, stats.stale_requests), (0, counted));
        }
    }

    #[test]
    fn requests_older_than_their_session_may_be_are_dropped_where_that_is_asked_for() {
        let asked = [(1, 1, OpCode::Create), (1, 2, OpCode::CloseSession)];
        let by_age = Stale { session_timeout: true, ..STALE };
        for (stale, ms, xids, dropped) in
            [(by_age, 1000, &[1, 2][..], 0), (by_age, 1001, &[2], 1), (STALE, 1001, &[1, 2], 0)]
        {
            let mut stats = ShardStats::default();
            assert_eq!(drained(&mut line(ONE, stale, &asked), ms, &mut stats), xids);
            assert_eq!(stats.stale_requests_dropped, dropped);
        }
        let mut stats = ShardStats::default();
        let mut full = line(ONE, by_age, &asked);
        assert!(
            matches!(full.next(1, Instant::from_ms(1001), &mut stats), Some(Next::Drop(_))),
            "room or not"
        );
    }

    #[test]
    fn clients_that_come_and_go_leave_no_more_behind_than_there_is_memory_for() {
        let mut line = Line::new(RequestThrottle { drop_stale: false, ..ONE }, STALE);
        let mut stats = ShardStats::default();
        let record_len = ORPHANS_LEN_MAX / 4 - RequestHeader::LEN;
        for conn in 1..=6 {
            let mut large = request(conn, 1, OpCode::Create);
            if let Asked::Operation { record, .. } = &mut large.what {
                *record = vec![0; record_len].into();
            }
            line.push(large);
            line.push(request(conn, 2, OpCode::CloseSession));
            line.on_closed(ConnId(conn), &mut stats);
        }
        assert_eq!((line.waiting.len(), stats.stale_requests_dropped), (6 + 3, 3));

        line.clear();
        let many = (ORPHANS_LEN_MAX / size_of::<Waiting>()) as u64;
        for conn in 0..many + 3 {
            line.push(Waiting { what: Asked::Session, ..request(conn, 0, OpCode::CreateSession) });
            line.on_closed(ConnId(conn), &mut stats);
        }
        assert_eq!(
            (line.waiting.len() as u64, stats.stale_requests_dropped),
            (many, 3 + 3),
            "sessions count too"
        );
    }

    #[test]
    fn an_end_among_many_takes_its_own_requests_and_what_is_counted_stays_true() {
        let mut random = fastrand::Rng::with_seed(7);
        for (drop_stale, op) in
            [(true, OpCode::Create), (false, OpCode::Create), (true, OpCode::CloseSession)]
        {
            let mut line = Line::new(RequestThrottle { drop_stale, ..ONE }, STALE);
            let mut stats = ShardStats::default();
            // The line as it should be: by request its connection, its number there, and whether that is open.
            let mut model: Vec<(u64, i32, bool)> = Vec::new();
            for xid in 0..2000 {
                let conn = random.u64(0..20);
                match random.u32(0..10) {
                    0 => {
                        let open = model.iter().filter(|(of, _, is_open)| *is_open && *of == conn).count();
                        let large_len = line.on_closed(ConnId(conn), &mut stats);
                        assert_eq!(large_len, open * LARGE_LEN);
                        let is_kept = !drop_stale || op == OpCode::CloseSession;
                        model.retain_mut(|(of, _, is_open)| {
                            let is_left = *of != conn || !*is_open || is_kept;
                            *is_open &= *of != conn;
                            is_left
                        });
                    }
                    1 | 2 => {
                        let next = line.next(0, Instant(0), &mut stats);
                        let expected = (!model.is_empty()).then(|| model.remove(0));
                        let Some(Next::Proceed(Ready { request, .. })) = next else {
                            assert_eq!(expected, None);
                            continue;
                        };
                        let Asked::Operation { xid, .. } = request.what else { unreachable!() };
                        assert_eq!(expected, Some((request.conn.0, xid, !request.is_orphan)));
                    }
                    _ => {
                        line.push(Waiting { large_len: LARGE_LEN, ..request(conn, xid, op) });
                        model.push((conn, xid, true));
                    }
                }
                let open = model.iter().filter(|(_, _, is_open)| *is_open).count();
                assert_eq!((line.len(), line.waiting.len()), (open, model.len()));
                let orphan_len = request(0, 0, op).len_as_orphan();
                assert_eq!(line.orphans_len, (model.len() - open) * orphan_len);
            }
            line.clear();
            assert_eq!((line.len(), line.orphans_len), (0, 0));
            assert!(line.is_open(0));
        }
    }
}
