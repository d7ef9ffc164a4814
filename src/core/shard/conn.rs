use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;

use super::effect::Effect;
use super::stats::ConnStats;
use crate::acl::ip_identity;
use crate::flow::ConnId;
use crate::id::SessionId;
use crate::proto::Identity;
use crate::time::Instant;
use crate::watch::Watcher;

/// A client connection.
pub(super) struct Conn {
    pub(super) id: ConnId,
    pub(super) peer: SocketAddr,
    pub(super) state: State,
    pub(super) identities: Arc<[Identity]>,
    pub(super) session: SessionId,
    /// Whether it asked for a new session.
    pub(super) asks_for_new: bool,
    pub(super) timeout_ms: i32,
    /// Requests without a reply, oldest first; the first is always one that commit has.
    pub(super) pending: VecDeque<Pending>,
    /// How many of its requests are in line before that.
    pub(super) in_line: usize,
    /// The length of them all.
    pub(super) pending_len: usize,
    /// Whether one of them waits that takes time in proportion to the tree: nothing is read behind it.
    pub(super) has_long_waiting: bool,
    /// What the driver has not taken yet.
    pub(super) out: Vec<u8>,
    /// Whether the driver was told of the output and has not taken its effects since.
    pub(super) is_flushing: bool,
    /// Whether the driver waits for [`Effect::Resume`].
    pub(super) is_paused: bool,
    pub(super) last_heard: Instant,
    /// Whether `last_heard` is to be told to the commit role.
    pub(super) is_heard: bool,
    pub(super) established: Instant,
    pub(super) stats: ConnStats,
}

/// What a connection awaits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// A connect request, or a four-letter word.
    AwaitConnect,
    /// The driver's answer to a four-letter word.
    AwaitAnswer,
    /// The commit role's word on its session.
    AwaitSession {
        /// What the request said, for the response.
        read_only: Option<bool>,
    },
    /// Requests.
    Open,
    /// The reply to its last request; what follows is ignored.
    Ending,
    /// The driver's closing of the socket.
    Closed,
}

/// A request that has no reply yet.
pub(super) struct Pending {
    pub(super) xid: i32,
    /// The operation's number, which need not be a known one.
    pub(super) op: i32,
    pub(super) received: Instant,
    /// The length of its frame without that of the length.
    pub(super) len: usize,
    pub(super) stage: Stage,
}

/// Where a request is that has no reply yet.
pub(super) enum Stage {
    /// The commit role has it.
    Ordered,
    /// It waits for those before it, with its record.
    Waiting(Box<[u8]>),
    /// The same; it was in line for too long and fails when it is its turn.
    Late,
}

impl Conn {
    fn new(id: ConnId, peer: SocketAddr, now: Instant) -> Conn {
        Conn {
            id,
            peer,
            state: State::AwaitConnect,
            identities: Arc::new([ip_identity(peer.ip())]),
            session: SessionId::NONE,
            asks_for_new: false,
            timeout_ms: 0,
            pending: VecDeque::new(),
            in_line: 0,
            pending_len: 0,
            has_long_waiting: false,
            out: Vec::new(),
            is_flushing: false,
            is_paused: false,
            last_heard: now,
            is_heard: false,
            established: now,
            stats: ConnStats::default(),
        }
    }

    /// The connection's number among those of the shard.
    pub(super) fn index(&self) -> u32 {
        self.id.0 as u32
    }

    /// Who the connection is to the watches.
    pub(super) fn watcher(&self) -> Watcher {
        Watcher(self.index())
    }

    /// Tells the driver of the output, once.
    pub(super) fn flush(&mut self, effects: &mut Vec<Effect>) {
        if !self.is_flushing {
            self.is_flushing = true;
            effects.push(Effect::Flush(self.id));
        }
    }

    /// How many of its requests have no reply.
    pub(super) fn outstanding(&self) -> usize {
        self.pending.len() + self.in_line
    }

    pub(super) fn push_pending(&mut self, pending: Pending) {
        self.pending_len += pending.len;
        self.pending.push_back(pending);
    }

    pub(super) fn pop_pending(&mut self) -> Option<Pending> {
        let pending = self.pending.pop_front()?;
        self.pending_len -= pending.len;
        Some(pending)
    }
}

/// A shard's connections. A [`ConnId`] is an index in its lower half and in its upper half how often the
/// place was used before, so that finding one costs no hash and an old id finds nothing.
#[derive(Default)]
pub(super) struct Conns {
    places: Vec<Place>,
    free: Vec<u32>,
    len: usize,
}

#[derive(Default)]
struct Place {
    uses: u32,
    conn: Option<Conn>,
}

impl Conns {
    pub(super) fn insert(&mut self, peer: SocketAddr, now: Instant) -> ConnId {
        let index = self.free.pop().unwrap_or_else(|| {
            self.places.push(Place::default());
            (self.places.len() - 1) as u32
        });
        let place = &mut self.places[index as usize];
        let id = ConnId(((place.uses as u64) << 32) | index as u64);
        place.conn = Some(Conn::new(id, peer, now));
        self.len += 1;
        id
    }

    /// Takes a connection out. Its place stays empty until [`Conns::free`].
    pub(super) fn remove(&mut self, id: ConnId) -> Option<Conn> {
        let place = self.places.get_mut(id.0 as u32 as usize)?;
        let conn = place.conn.take_if(|conn| conn.id == id)?;
        self.len -= 1;
        Some(conn)
    }

    /// Gives an empty place to others.
    pub(super) fn free(&mut self, index: u32) {
        let Some(place) = self.places.get_mut(index as usize) else { return };
        place.uses += 1;
        // A place whose uses are spent is not used again: its ids would repeat.
        if place.uses < u32::MAX {
            self.free.push(index);
        }
    }

    pub(super) fn get(&self, id: ConnId) -> Option<&Conn> {
        self.at(id.0 as u32).filter(|conn| conn.id == id)
    }

    pub(super) fn get_mut(&mut self, id: ConnId) -> Option<&mut Conn> {
        self.at_mut(id.0 as u32).filter(|conn| conn.id == id)
    }

    pub(super) fn at(&self, index: u32) -> Option<&Conn> {
        self.places.get(index as usize)?.conn.as_ref()
    }

    pub(super) fn at_mut(&mut self, index: u32) -> Option<&mut Conn> {
        self.places.get_mut(index as usize)?.conn.as_mut()
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Conn> {
        self.places.iter().filter_map(|place| place.conn.as_ref())
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Conn> {
        self.places.iter_mut().filter_map(|place| place.conn.as_mut())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_never_that_of_another_connection() {
        let mut conns = Conns::default();
        let peer = SocketAddr::from(([127, 0, 0, 1], 1));
        let first = conns.insert(peer, Instant(0));
        assert!(conns.remove(first).is_some());
        let other = conns.insert(peer, Instant(0));
        assert_ne!(first.0 as u32, other.0 as u32, "the place is not free yet");
        conns.free(first.0 as u32);
        let second = conns.insert(peer, Instant(0));
        assert_ne!(first, second);
        assert_eq!(first.0 as u32, second.0 as u32, "the place is used again");
        assert!(conns.get(first).is_none() && conns.remove(first).is_none());
        assert!(conns.get(second).is_some());
        assert_eq!((conns.iter().count(), conns.len()), (2, 2));
    }
}
