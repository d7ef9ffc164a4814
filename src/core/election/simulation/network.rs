use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::election::LinkId;
use crate::time::Instant;

/// A process: a server's position, and how often it was started before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Process {
    pub(super) server: usize,
    pub(super) start: u32,
}

/// One TCP connection, or the attempt to make one. Side 0 dialled.
#[derive(Debug)]
pub(super) struct Conn {
    pub(super) ends: [End; 2],
    /// What a blocked direction holds back, by the side it goes to.
    stalled: [VecDeque<Segment>; 2],
    /// When the last segment to a side arrives; later ones arrive later.
    last_arrival: [Instant; 2],
}

#[derive(Clone, Copy, Debug)]
pub(super) struct End {
    pub(super) process: Process,
    /// `None` until accepted.
    pub(super) link: Option<LinkId>,
    pub(super) open: bool,
}

/// What travels to one side of a connection.
#[derive(Clone, Debug)]
pub(super) enum Segment {
    Syn,
    SynAck,
    Refused,
    Data(Vec<u8>),
    /// The other side is closed, in order or by a reset.
    End,
}

/// Connections between processes: in order and without loss, unless they break.
#[derive(Debug, Default)]
pub(super) struct Network {
    pub(super) conns: BTreeMap<u64, Conn>,
    next: u64,
    /// Directions that carry nothing, as pairs of servers.
    pub(super) blocked: BTreeSet<(usize, usize)>,
}

impl Network {
    /// A new connection, not yet known to the side that is dialled.
    pub(super) fn dial(&mut self, from: Process, link: LinkId, to: Process) -> u64 {
        let conn = Conn {
            ends: [
                End { process: from, link: Some(link), open: true },
                End { process: to, link: None, open: false },
            ],
            stalled: [VecDeque::new(), VecDeque::new()],
            last_arrival: [Instant::default(); 2],
        };
        self.next += 1;
        self.conns.insert(self.next, conn);
        self.next
    }

    /// The connection that a process knows by this link, and the side it is on.
    pub(super) fn find(&self, process: Process, link: LinkId) -> Option<(u64, usize)> {
        self.conns.iter().find_map(|(id, conn)| {
            let is_it = |end: &End| end.process == process && end.link == Some(link);
            conn.ends.iter().position(is_it).map(|side| (*id, side))
        })
    }

    /// When a segment sent now arrives, after those sent before it.
    pub(super) fn arrival(&mut self, conn: u64, to: usize, at: Instant) -> Instant {
        let Some(conn) = self.conns.get_mut(&conn) else { return at };
        let at = at.max(Instant(conn.last_arrival[to].0 + 1));
        conn.last_arrival[to] = at;
        at
    }

    /// Holds back a segment that arrives over a blocked direction, or behind others that are held back.
    pub(super) fn stall(&mut self, id: u64, to: usize, segment: &Segment) -> bool {
        let Some(conn) = self.conns.get_mut(&id) else { return false };
        let (from, at) = (conn.ends[1 - to].process.server, conn.ends[to].process.server);
        if !self.blocked.contains(&(from, at)) && conn.stalled[to].is_empty() {
            return false;
        }
        conn.stalled[to].push_back(segment.clone());
        true
    }

    /// Whether something to this side is held back.
    pub(super) fn is_stalled(&self, id: u64, to: usize) -> bool {
        self.conns.get(&id).is_some_and(|conn| !conn.stalled[to].is_empty())
    }

    /// Lets everything through, and returns what was held back.
    pub(super) fn heal(&mut self) -> Vec<(u64, usize, Segment)> {
        self.blocked.clear();
        let mut released = Vec::new();
        for (id, conn) in &mut self.conns {
            for to in 0..2 {
                released.extend(conn.stalled[to].drain(..).map(|segment| (*id, to, segment)));
            }
        }
        released
    }

    /// Open ends of a process.
    pub(super) fn ends_of(&self, process: Process) -> Vec<(u64, usize)> {
        let mut found = Vec::new();
        for (id, conn) in &self.conns {
            found.extend((0..2).filter(|side| conn.ends[*side].process == process).map(|side| (*id, side)));
        }
        found
    }

    /// Forgets connections that both sides have left.
    pub(super) fn sweep(&mut self) {
        self.conns.retain(|_, conn| conn.ends[0].open || conn.ends[1].open);
    }
}
