//! Connections between machines: each in order and without loss as long as it lasts, delayed, and with
//! directions that carry nothing for a while.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// A connection, or the attempt to make one. Never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ConnId(pub u64);

/// A machine: servers come first, then clients.
pub(crate) type Host = usize;

/// What listens on a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Port {
    Election,
    Quorum,
    Observers,
    Client,
}

/// The two ends of a connection: 0 dialled.
pub(crate) struct Conn {
    pub(crate) port: Port,
    pub(crate) ends: [End; 2],
    /// What a blocked direction holds back, by the side it goes to.
    stalled: [VecDeque<Segment>; 2],
    /// When the last segment to a side arrives; later ones arrive later.
    last_arrival: [u64; 2],
}

/// One end of a connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct End {
    pub(crate) host: Host,
    /// Which of the host's processes it belongs to.
    pub(crate) life: u32,
    pub(crate) is_open: bool,
}

/// What travels to one side of a connection.
#[derive(Clone, Debug)]
pub(crate) enum Segment {
    Syn,
    SynAck,
    Refused,
    Data(Vec<u8>),
    /// The other side is closed, in order or by a reset.
    End,
}

#[derive(Default)]
pub(crate) struct Network {
    pub(crate) conns: BTreeMap<ConnId, Conn>,
    next: u64,
    /// Directions that carry nothing.
    pub(crate) blocked: BTreeSet<(Host, Host, Port)>,
    /// Machines without power: whoever sends to them tries again, until he gives up or they are back.
    pub(crate) dark: BTreeSet<Host>,
}

impl Network {
    /// A new connection, of which the side that is dialled does not know yet.
    pub(crate) fn dial(&mut self, port: Port, (from, life): (Host, u32), to: Host) -> ConnId {
        self.next += 1;
        let conn = Conn {
            port,
            ends: [End { host: from, life, is_open: true }, End { host: to, life: 0, is_open: false }],
            stalled: Default::default(),
            last_arrival: [0; 2],
        };
        self.conns.insert(ConnId(self.next), conn);
        ConnId(self.next)
    }

    /// When a segment that would arrive at `at` arrives, after those sent before it.
    pub(crate) fn arrival(&mut self, id: ConnId, to: usize, at: u64) -> u64 {
        let Some(conn) = self.conns.get_mut(&id) else { return at };
        conn.last_arrival[to] = at.max(conn.last_arrival[to] + 1);
        conn.last_arrival[to]
    }

    /// Holds back a segment that arrives over a blocked direction or at a dark machine, or behind others that are held back.
    pub(crate) fn stall(&mut self, id: ConnId, to: usize, segment: &Segment) -> bool {
        let Some(conn) = self.conns.get_mut(&id) else { return false };
        let direction = (conn.ends[1 - to].host, conn.ends[to].host, conn.port);
        let is_open = !self.blocked.contains(&direction) && !self.dark.contains(&direction.1);
        if is_open && conn.stalled[to].is_empty() {
            return false;
        }
        conn.stalled[to].push_back(segment.clone());
        true
    }

    /// Whether something to this side is held back.
    pub(crate) fn is_stalled(&self, id: ConnId, to: usize) -> bool {
        self.conns.get(&id).is_some_and(|conn| !conn.stalled[to].is_empty())
    }

    /// Returns what was held back and is not to be any more.
    pub(crate) fn released(&mut self) -> Vec<(ConnId, usize, Segment)> {
        let mut released = Vec::new();
        for (id, conn) in &mut self.conns {
            for to in 0..2 {
                let direction = (conn.ends[1 - to].host, conn.ends[to].host, conn.port);
                if !self.blocked.contains(&direction) && !self.dark.contains(&direction.1) {
                    released.extend(conn.stalled[to].drain(..).map(|segment| (*id, to, segment)));
                }
            }
        }
        released
    }

    /// The open ends of a process.
    pub(crate) fn ends_of(&self, host: Host, life: u32) -> Vec<(ConnId, usize)> {
        let is_its = |end: &End| end.is_open && end.host == host && end.life == life;
        let sides = |(id, conn): (&ConnId, &Conn)| {
            let id = *id;
            let own = [is_its(&conn.ends[0]), is_its(&conn.ends[1])];
            (0..2).filter(move |side| own[*side]).map(move |side| (id, side))
        };
        self.conns.iter().flat_map(sides).collect()
    }

    /// Closes one end. False if it was closed.
    pub(crate) fn shut(&mut self, id: ConnId, side: usize) -> bool {
        let Some(conn) = self.conns.get_mut(&id) else { return false };
        let was_open = std::mem::replace(&mut conn.ends[side].is_open, false);
        if !conn.ends[0].is_open && !conn.ends[1].is_open && conn.stalled.iter().all(VecDeque::is_empty) {
            self.conns.remove(&id);
        }
        was_open
    }

    /// The end of a connection, if it is open.
    pub(crate) fn end(&self, id: ConnId, side: usize) -> Option<End> {
        self.conns.get(&id).map(|conn| conn.ends[side]).filter(|end| end.is_open)
    }
}
