//! What happens to connections, and what time does to them.

use super::note::Note;
use super::peer::Peer;
use super::{ConnectionAction, Connections, Kept, LASTING, Link, LinkId, STRANGERS_MAX, UNNAMED_MAX};
use crate::election::PeerState;
use crate::election::frames::Frames;
use crate::election::initial_message::InitialMessage;
use crate::election::notification::Notification;
use crate::id::ServerId;
use crate::time::Instant;

impl Connections {
    /// Somebody connected to the election port. The connection is the manager's from now on.
    pub fn on_accepted(&mut self, now: Instant, out: &mut Vec<ConnectionAction>) -> LinkId {
        let is_unnamed = |link: &Link| matches!(link, Link::Unnamed { .. } | Link::Judged { .. });
        let unnamed = self.links.iter().filter(|(_, link)| is_unnamed(link));
        let unnamed: Vec<LinkId> = unnamed.map(|(link, _)| *link).collect();
        if unnamed.len() >= UNNAMED_MAX {
            self.close_with(unnamed[0], Note::TooManyUnnamed, out);
        }
        let link = LinkId(self.next_link);
        self.next_link += 1;
        let until = now + self.timing.greeting;
        self.links.insert(link, Link::Unnamed { frames: Frames::default(), until });
        link
    }

    /// A connection that was to be made is there.
    pub fn on_dialled(&mut self, link: LinkId, now: Instant, out: &mut Vec<ConnectionAction>) {
        let id = match self.links.get(&link) {
            Some(Link::Dialling { peer, .. }) => *peer,
            _ => return out.push(ConnectionAction::Close { link }),
        };
        let mut bytes = self.greeting.clone();
        let auth = self.auth.as_mut().and_then(|auth| auth.client(&mut bytes));
        out.push(ConnectionAction::Write { link, bytes });
        if let Some(auth) = auth {
            let until = now + self.timing.greeting;
            self.links.insert(link, Link::Proving { peer: id, auth, frames: Frames::default(), until });
            return;
        }
        self.on_reached(link, id, Frames::default(), now, out);
        if let Some(Link::Kept(kept)) = self.links.get_mut(&link) {
            kept.writing_since = Some(now);
        }
    }

    /// The server that was dialled is there, and knows who this one is, as far as it asks.
    pub(super) fn on_reached(
        &mut self,
        link: LinkId,
        id: ServerId,
        frames: Frames,
        now: Instant,
        out: &mut Vec<ConnectionAction>,
    ) {
        if id < self.me {
            return self.keep(id, link, frames, now, out);
        }
        // The knock: with the initial message it asks the server to call back.
        self.links.remove(&link);
        let note = Note::SmallerId { me: self.me, peer: id };
        out.extend([ConnectionAction::Note { link, note }, ConnectionAction::Close { link }]);
        if let Some(peer) = self.peers.get_mut(&id) {
            peer.dial = None;
            peer.dialled_at = Some(now);
            peer.failures = peer.failures.saturating_add(1);
            if peer.failures % KNOCKS_PER_WARNING == 0 {
                let note = Note::NotCalledBack { me: self.me, peer: id, times: peer.failures };
                out.push(ConnectionAction::Note { link, note });
            }
        }
    }

    /// A connection has ended or failed, or could not be made.
    pub fn on_closed(&mut self, link: LinkId, now: Instant, out: &mut Vec<ConnectionAction>) {
        match self.links.remove(&link) {
            Some(Link::Dialling { peer, .. }) => self.dial_failed(peer),
            Some(Link::Proving { peer, .. }) => {
                out.push(ConnectionAction::Note { link, note: Note::NotHeardOut { peer } });
                self.dial_failed(peer);
            }
            Some(Link::Judged { message, auth, .. }) => self.on_ended_untried(link, message, &auth, now, out),
            Some(Link::Kept(kept)) => self.lose(&kept, now, out),
            Some(Link::Unnamed { .. }) | None => {}
        }
    }

    /// All that was to be written to a connection has left.
    pub fn on_written(&mut self, link: LinkId, now: Instant, out: &mut Vec<ConnectionAction>) {
        if let Some(Link::Kept(kept)) = self.links.get_mut(&link) {
            kept.writing_since = None;
            let peer = kept.peer;
            self.pump(peer, now, out);
        }
    }

    /// A connection has brought something.
    pub fn on_received(&mut self, link: LinkId, bytes: &[u8], now: Instant, out: &mut Vec<ConnectionAction>) {
        match self.links.get_mut(&link) {
            Some(Link::Unnamed { frames, .. }) => {
                frames.push(bytes);
                match InitialMessage::decode(frames.rest()) {
                    Ok(None) => {}
                    Ok(Some((message, len))) => {
                        frames.skip(len);
                        let frames = std::mem::take(frames);
                        self.on_named(link, message, frames, now, out);
                    }
                    Err(error) => self.close_with(link, Note::BadInitialMessage(error), out),
                }
            }
            Some(Link::Kept(kept)) => {
                kept.frames.push(bytes);
                self.take_frames(link, now, out);
            }
            Some(Link::Judged { frames, .. }) => {
                frames.push(bytes);
                self.judge(link, now, out);
            }
            Some(Link::Proving { frames, .. }) => {
                frames.push(bytes);
                self.prove(link, now, out);
            }
            Some(Link::Dialling { .. }) | None => {}
        }
    }

    /// Time has passed; to be called at [`Connections::next_timeout`], and harmless at other times.
    pub fn on_timeout(&mut self, now: Instant, out: &mut Vec<ConnectionAction>) {
        let links = self.links.iter().filter(|(_, link)| self.link_timeout(link).is_some_and(|at| at <= now));
        for link in links.map(|(link, _)| *link).collect::<Vec<_>>() {
            self.expire(link, now, out);
        }
        let waiting = self.peers.iter().filter(|(_, peer)| peer.wants_dial() && peer.dial_at() <= now);
        for peer in waiting.map(|(id, _)| *id).collect::<Vec<_>>() {
            self.pump(peer, now, out);
        }
    }

    fn expire(&mut self, link: LinkId, now: Instant, out: &mut Vec<ConnectionAction>) {
        match self.links.get(&link) {
            Some(Link::Dialling { peer, .. }) => {
                let peer = *peer;
                self.links.remove(&link);
                out.push(ConnectionAction::Close { link });
                self.dial_failed(peer);
            }
            Some(Link::Proving { peer, .. }) => {
                let peer = *peer;
                self.close_with(link, Note::NotHeardOut { peer }, out);
                self.dial_failed(peer);
            }
            Some(Link::Judged { .. }) => self.on_untried(link, now, out),
            Some(Link::Unnamed { .. }) => self.close_with(link, Note::NoInitialMessage, out),
            Some(Link::Kept(kept)) => {
                let peer = kept.peer;
                let is_stuck = kept.writing_since.is_some_and(|since| since + self.timing.write <= now);
                let note = if is_stuck { Note::Stuck { peer } } else { Note::Unanswered { peer } };
                if let Some(peer) = self.peers.get_mut(&peer) {
                    peer.lose_patience();
                }
                self.lose_with(link, note, now, out);
            }
            None => {}
        }
    }

    pub(super) fn dial_failed(&mut self, id: ServerId) {
        if let Some(peer) = self.peers.get_mut(&id) {
            peer.dial = None;
            peer.failures = peer.failures.saturating_add(1);
        }
        self.forget_strangers();
    }

    /// An accepted connection has said whose it is.
    fn on_named(
        &mut self,
        link: LinkId,
        message: InitialMessage,
        frames: Frames,
        now: Instant,
        out: &mut Vec<ConnectionAction>,
    ) {
        let id = message.server;
        if id == self.me {
            return self.close_with(link, Note::OwnId { me: self.me }, out);
        }
        let strangers = self.peers.values().filter(|peer| peer.is_stranger()).count();
        if !self.peers.contains_key(&id) && strangers >= STRANGERS_MAX {
            return self.close_with(link, Note::TooManyStrangers { peer: id }, out);
        }
        let Some(auth) = &mut self.auth else { return self.on_trusted(link, message, frames, now, out) };
        let (auth, until) = (auth.server(), now + self.timing.greeting);
        self.links.insert(link, Link::Judged { message, auth, frames, until });
        self.judge(link, now, out);
    }

    /// It is the server that it says it is, as far as that is asked.
    pub(super) fn on_trusted(
        &mut self,
        link: LinkId,
        message: InitialMessage,
        frames: Frames,
        now: Instant,
        out: &mut Vec<ConnectionAction>,
    ) {
        let id = message.server;
        if id > self.me {
            self.keep(id, link, frames, now, out);
            return self.take_frames(link, now, out);
        }
        self.links.remove(&link);
        out.push(ConnectionAction::Close { link });
        self.call_back(id, message, now, out);
    }

    /// A server with a smaller id knocked: it has no connection with this one, whatever this one believes.
    pub(super) fn call_back(
        &mut self,
        id: ServerId,
        message: InitialMessage,
        now: Instant,
        out: &mut Vec<ConnectionAction>,
    ) {
        let peer = self.peers.entry(id).or_insert_with(|| Peer::new(Vec::new()));
        peer.advertised = message.addresses;
        if let Some(old) = peer.link {
            match self.links.get(&old) {
                Some(Link::Kept(kept)) if now.since(kept.since) < LASTING => return,
                Some(Link::Kept(_)) => {
                    peer.link = None;
                    self.links.remove(&old);
                    let lost = ConnectionAction::Disconnected { peer: id };
                    out.extend([ConnectionAction::Close { link: old }, lost]);
                }
                _ => {}
            }
        }
        if let Some(dial) = peer.dial {
            let addresses = peer.addresses();
            let is_fresh = peer.dialled_at.is_some_and(|at| now.since(at) < LASTING);
            let leads_there = match self.links.get(&dial) {
                // What was sent to a machine that was off is sent again only after ever longer pauses.
                Some(Link::Dialling { addresses: tried, .. }) => {
                    is_fresh && addresses.iter().all(|address| tried.contains(address))
                }
                Some(Link::Proving { .. }) => true,
                _ => false,
            };
            if leads_there {
                return;
            }
            peer.dial = None;
            self.links.remove(&dial);
            out.push(ConnectionAction::Close { link: dial });
        }
        peer.failures = 0;
        peer.call_back = true;
        self.pump(id, now, out);
        self.forget_strangers();
    }

    pub(super) fn take_frames(&mut self, link: LinkId, now: Instant, out: &mut Vec<ConnectionAction>) {
        let Some(Link::Kept(Kept { peer: from, frames, unanswered_since, .. })) = self.links.get_mut(&link)
        else {
            return;
        };
        let from = *from;
        loop {
            let frame = match frames.next() {
                Ok(Some(frame)) => frame,
                Ok(None) => return,
                Err(error) => return self.lose_with(link, Note::BadFrame { peer: from, error }, now, out),
            };
            *unanswered_since = None;
            match Notification::decode(frame) {
                Ok(notification) => {
                    if notification.state != PeerState::Looking
                        && let Some(peer) = self.peers.get_mut(&from)
                    {
                        peer.regain_patience();
                    }
                    out.push(ConnectionAction::Received { from, notification });
                }
                Err(error) => {
                    let note = Note::BadNotification { peer: from, error };
                    out.push(ConnectionAction::Note { link, note });
                }
            }
        }
    }

    pub(super) fn close_with(&mut self, link: LinkId, note: Note, out: &mut Vec<ConnectionAction>) {
        self.links.remove(&link);
        out.extend([ConnectionAction::Note { link, note }, ConnectionAction::Close { link }]);
    }

    fn lose_with(&mut self, link: LinkId, note: Note, now: Instant, out: &mut Vec<ConnectionAction>) {
        let removed = self.links.remove(&link);
        out.extend([ConnectionAction::Note { link, note }, ConnectionAction::Close { link }]);
        if let Some(Link::Kept(kept)) = removed {
            self.lose(&kept, now, out);
        }
    }
}

/// How many knocks in vain there are between two warnings.
const KNOCKS_PER_WARNING: u32 = 8;
