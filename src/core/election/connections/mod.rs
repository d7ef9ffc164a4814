//! Who connects to whom on the election port, decided without I/O.

mod auth;
mod input;
mod note;
mod peer;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::time::Duration;

pub use note::Note;

use super::frames::Frames;
use super::initial_message::InitialMessage;
use super::notification::Notification;
use crate::config::{ElectionTiming, HostPort};
use crate::id::ServerId;
use crate::sasl::{QuorumAuth, QuorumClient, QuorumServer};
use crate::time::Instant;
use peer::Peer;

/// One TCP connection of this server, or the attempt to make one. Never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkId(pub u64);

/// The connection manager of the election port (election §2): keeps one connection to each server, which
/// the server with the larger id has dialled.
///
/// ```text
///   this id larger    Dialling --connected--> initial message, Kept --broken--> gone, dialled when needed
///   this id smaller   Dialling --connected--> initial message, closed: the knock; they call back
///   accepted          Unnamed --initial message--> larger id: Kept, in place of what there was
///                                              --> smaller id: closed, and dialled: the call back
/// ```
///
/// With SASL ([`Connections::authenticate_by`]), who has dialled proves who it is between the initial message and the
/// rest, the knock included: `Proving` at the one end, `Judged` at the other.
///
/// What keeps a restarted server from getting back in elsewhere cannot happen here (election §2.6):
///
/// - who connects anew replaces the connection that was there, which is never waited for;
/// - every attempt has its own connection, time limit and resolution of names, so that one server that
///   hangs delays no other, and whatever fails is tried again within five seconds as long as there is
///   something to say;
/// - a call back tries the address that the server advertises and the one that is configured;
/// - a connection on which votes stay unanswered, or that takes nothing, is made anew;
/// - nothing that a peer sends ends more than its connection, and what it can make grow has a bound: one
///   message waits for each peer, [`UNNAMED_MAX`] connections may be unnamed, [`STRANGERS_MAX`] servers
///   outside the configuration are known.
#[derive(Debug)]
pub struct Connections {
    me: ServerId,
    greeting: Vec<u8>,
    timing: ElectionTiming,
    auth: Option<QuorumAuth>,
    peers: BTreeMap<ServerId, Peer>,
    links: BTreeMap<LinkId, Link>,
    next_link: u64,
}

/// What the connection manager wants done, or has found out. Performed in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConnectionAction {
    /// Resolve the names now, and connect to whichever address answers first. Answered by
    /// [`Connections::on_dialled`] or [`Connections::on_closed`].
    Dial {
        /// The new connection.
        link: LinkId,
        /// Whose it will be.
        peer: ServerId,
        /// Where to try, all at once.
        addresses: Vec<HostPort>,
    },
    /// Write to a connection, in one piece. Answered by [`Connections::on_written`]; until then nothing
    /// more is to be written to it.
    Write {
        /// The connection.
        link: LinkId,
        /// What.
        bytes: Vec<u8>,
    },
    /// Close a connection, or give up the attempt, once what was to be written is. Not answered.
    Close {
        /// The connection.
        link: LinkId,
    },
    /// A message arrived.
    Received {
        /// Who says it.
        from: ServerId,
        /// What.
        notification: Notification,
    },
    /// There is a fresh connection with a server, empty in both directions.
    Connected {
        /// Which server.
        peer: ServerId,
    },
    /// The connection with a server is gone, with what was on the way, and no other has taken its place.
    Disconnected {
        /// Which server.
        peer: ServerId,
    },
    /// Something for the log.
    Note {
        /// The connection that it is about.
        link: LinkId,
        /// What.
        note: Note,
    },
}

#[derive(Debug)]
enum Link {
    /// Being connected to `addresses`.
    Dialling {
        peer: ServerId,
        addresses: Vec<HostPort>,
        until: Instant,
    },
    /// Accepted, and has not said whose it is.
    Unnamed {
        frames: Frames,
        until: Instant,
    },
    /// Accepted and named: it is to prove who it is.
    Judged {
        message: InitialMessage,
        auth: QuorumServer,
        frames: Frames,
        until: Instant,
    },
    /// Dialled: this server is to prove who it is.
    Proving {
        peer: ServerId,
        auth: QuorumClient,
        frames: Frames,
        until: Instant,
    },
    Kept(Kept),
}

#[derive(Debug)]
struct Kept {
    peer: ServerId,
    frames: Frames,
    since: Instant,
    writing_since: Option<Instant>,
    /// Since when a vote has been on its way without anything coming back.
    unanswered_since: Option<Instant>,
}

impl Connections {
    /// No connection yet. `advertised` are this server's own election addresses as its configuration
    /// writes them, `peers` those of all other servers.
    pub fn new(
        me: ServerId,
        advertised: Vec<HostPort>,
        peers: impl IntoIterator<Item = (ServerId, Vec<HostPort>)>,
        timing: ElectionTiming,
    ) -> Connections {
        let mut greeting = Vec::new();
        InitialMessage { server: me, addresses: advertised }.encode(&mut greeting);
        let peers = peers.into_iter().filter(|(id, _)| *id != me);
        let peers = peers.map(|(id, addresses)| (id, Peer::new(addresses))).collect();
        Connections { me, greeting, timing, auth: None, peers, links: BTreeMap::new(), next_link: 0 }
    }

    /// On connections that are made from now on, servers prove to each other so who they are.
    pub fn authenticate_by(&mut self, auth: QuorumAuth) {
        self.auth = Some(auth);
    }

    /// The servers are others from now on, as in [`Connections::new`]. Who is new is connected to; who is gone
    /// is a stranger, whose connection holds as long as it does. A server that is not among them itself stays where
    /// it was, and must go on to tell that.
    pub fn reconfigure(
        &mut self,
        advertised: Vec<HostPort>,
        peers: impl IntoIterator<Item = (ServerId, Vec<HostPort>)>,
        now: Instant,
        out: &mut Vec<ConnectionAction>,
    ) {
        if !advertised.is_empty() {
            self.greeting.clear();
            InitialMessage { server: self.me, addresses: advertised }.encode(&mut self.greeting);
        }
        let me = self.me;
        let configured: BTreeMap<ServerId, Vec<HostPort>> =
            peers.into_iter().filter(|(id, _)| *id != me).collect();
        for (id, peer) in &mut self.peers {
            let addresses = configured.get(id).cloned().unwrap_or_default();
            if addresses != peer.configured {
                // What it said itself was of the place where it was.
                peer.advertised.clear();
            }
            peer.configured = addresses;
        }
        for (id, addresses) in configured {
            if let Entry::Vacant(new) = self.peers.entry(id) {
                new.insert(Peer { call_back: true, ..Peer::new(addresses) });
                self.pump(id, now, out);
            }
        }
        self.forget_strangers();
    }

    /// Sends a message to a server, connecting to it first if need be. It replaces one that has not left.
    pub fn send(
        &mut self,
        to: ServerId,
        notification: Notification,
        now: Instant,
        out: &mut Vec<ConnectionAction>,
    ) {
        // A stranger is known as long as there is a connection with it, and is told nothing after that.
        let Some(peer) = self.peers.get_mut(&to) else { return };
        if peer.is_stranger() && peer.link.is_none() {
            return;
        }
        peer.unsent = Some(notification);
        self.pump(to, now, out);
    }

    /// No answers are needed for the time being: nobody is dialled to be told something old.
    pub fn stop_asking(&mut self) {
        for peer in self.peers.values_mut().filter(|peer| peer.link.is_none()) {
            peer.unsent = None;
        }
        for link in self.links.values_mut() {
            if let Link::Kept(kept) = link {
                kept.unanswered_since = None;
            }
        }
    }

    /// Whether there is a connection with the server.
    pub fn is_connected(&self, peer: ServerId) -> bool {
        self.peers.get(&peer).is_some_and(|peer| peer.link.is_some())
    }

    /// When something is to be done if nothing happens before; `None` if nothing is.
    pub fn next_timeout(&self) -> Option<Instant> {
        let links = self.links.values().filter_map(|link| self.link_timeout(link));
        let dials = self.peers.values().filter(|peer| peer.wants_dial()).map(Peer::dial_at);
        links.chain(dials).min()
    }

    fn link_timeout(&self, link: &Link) -> Option<Instant> {
        match link {
            Link::Dialling { until, .. }
            | Link::Unnamed { until, .. }
            | Link::Judged { until, .. }
            | Link::Proving { until, .. } => Some(*until),
            Link::Kept(kept) => {
                let stuck = kept.writing_since.map(|since| since + self.timing.write);
                let patience = self.peers.get(&kept.peer).map(|peer| peer.patience).unwrap_or_default();
                let unanswered = kept.unanswered_since.map(|since| since + patience);
                stuck.into_iter().chain(unanswered).min()
            }
        }
    }

    /// Takes the next step towards a server: dials it, or writes what waits for it.
    fn pump(&mut self, id: ServerId, now: Instant, out: &mut Vec<ConnectionAction>) {
        let Some(peer) = self.peers.get_mut(&id) else { return };
        if peer.wants_dial() && peer.dial_at() <= now {
            let (link, addresses) = (LinkId(self.next_link), peer.addresses());
            self.next_link += 1;
            peer.dial = Some(link);
            peer.dialled_at = Some(now);
            if std::mem::take(&mut peer.call_back) {
                peer.called_back_at = Some(now);
            }
            let until = now + self.timing.connect;
            self.links.insert(link, Link::Dialling { peer: id, addresses: addresses.clone(), until });
            out.push(ConnectionAction::Dial { link, peer: id, addresses });
        }
        let Some(link) = peer.link else { return };
        let Some(Link::Kept(kept)) = self.links.get_mut(&link) else { return };
        if kept.writing_since.is_some() {
            return;
        }
        if let Some(notification) = peer.unsent.take() {
            let mut bytes = Vec::new();
            notification.encode_frame(&mut bytes);
            kept.writing_since = Some(now);
            if notification.state == super::PeerState::Looking {
                kept.unanswered_since.get_or_insert(now);
            }
            out.push(ConnectionAction::Write { link, bytes });
        }
    }

    /// Makes `link` the connection with a server, in place of any other.
    fn keep(
        &mut self,
        id: ServerId,
        link: LinkId,
        frames: Frames,
        now: Instant,
        out: &mut Vec<ConnectionAction>,
    ) {
        let peer = self.peers.entry(id).or_insert_with(|| Peer::new(Vec::new()));
        let (old, dial) = (peer.link.replace(link), peer.dial.take());
        peer.call_back = false;
        // It may be out of date, and is said again if it matters.
        peer.unsent = None;
        for unneeded in [old, dial].into_iter().flatten().filter(|unneeded| *unneeded != link) {
            self.links.remove(&unneeded);
            out.push(ConnectionAction::Close { link: unneeded });
        }
        let kept = Kept { peer: id, frames, since: now, writing_since: None, unanswered_since: None };
        self.links.insert(link, Link::Kept(kept));
        out.push(ConnectionAction::Connected { peer: id });
    }

    /// Gives up the connection with a server; there is none any more.
    fn lose(&mut self, kept: &Kept, now: Instant, out: &mut Vec<ConnectionAction>) {
        if let Some(peer) = self.peers.get_mut(&kept.peer) {
            peer.link = None;
            let has_lasted = now.since(kept.since) >= LASTING;
            peer.failures = if has_lasted { 0 } else { peer.failures.saturating_add(1) };
            // A call back may be on its way: the next attempt waits its time from now on.
            peer.dialled_at = Some(now);
        }
        out.push(ConnectionAction::Disconnected { peer: kept.peer });
        self.forget_strangers();
    }

    fn forget_strangers(&mut self) {
        self.peers.retain(|_, peer| !peer.is_forgettable());
    }
}

/// How many connections may be open that have not said whose they are. One more closes the oldest: a
/// server's own says so at once.
pub const UNNAMED_MAX: usize = 128;

/// How many servers outside the configuration may be connected at a time. One more is turned away.
pub const STRANGERS_MAX: usize = 64;

/// A connection that held for so long had worked; and a knock that comes sooner was on its way before
/// the connection was there, since who has a connection does not knock.
const LASTING: Duration = Duration::from_secs(1);
