use std::collections::BTreeMap;
use std::net::TcpStream;
use std::rc::Rc;

use ringkeeper_core::tree::Frozen;
use ringkeeper_core::zab::LinkId;
use ringkeeper_core::zab::packet::{FromLearner, QuorumPacket, Split};

use super::FromPeers;
use super::link::{self, BACKLOG_MAX, Link, Taken};
use crate::runtime::Sender;
use crate::wiring::ToCommit;

/// The leader's connections to its learners.
pub struct Learners {
    links: BTreeMap<LinkId, Rc<Link>>,
    next: u64,
    post: Sender<ToCommit>,
    value_len_max: usize,
}

impl Learners {
    /// No connections yet. What comes from them is posted; no value in it may be longer than `value_len_max`.
    pub fn new(post: Sender<ToCommit>, value_len_max: usize) -> Learners {
        Learners { links: BTreeMap::new(), next: 0, post, value_len_max }
    }

    /// Takes over an accepted connection; `None` if it has ended already, or there are too many. Ids are
    /// never used again.
    pub fn accept(&mut self, stream: TcpStream) -> Option<LinkId> {
        let link = Link::new(stream).ok()?;
        if self.links.len() >= LEARNERS_MAX {
            tracing::warn!(
                "{} is not let in: {LEARNERS_MAX} connections to the quorum port are open",
                link.remote()
            );
            return None;
        }
        let id = LinkId(self.next);
        self.next += 1;
        self.links.insert(id, link.clone());
        let (post, len_max) = (self.post.clone(), self.value_len_max);
        let (closed, backlog) = (post.clone(), post.clone());
        link::read(
            link,
            move |bytes| take(id, bytes, len_max, &post),
            move || backlog.waiting() > BACKLOG_MAX,
            move || closed.post(ToCommit::Peers(FromPeers::Closed(id))),
        );
        Some(id)
    }

    /// Adds a packet, or whatever else `write` writes, to what the next flush sends. One from a connection that
    /// is gone is lost.
    pub fn push(&self, id: LinkId, write: impl FnOnce(&mut Vec<u8>)) {
        if let Some(link) = self.links.get(&id) {
            link.push(write);
        }
    }

    /// Adds a whole tree. What is pushed later follows it.
    pub fn push_tree(&self, id: LinkId, tree: Frozen) {
        if let Some(link) = self.links.get(&id) {
            let post = self.post.clone();
            link.push_tree(tree, move || post.post(ToCommit::Peers(FromPeers::TreeSent(id))));
        }
    }

    /// Sends what was pushed. A learner for which too much waits is too slow: its connection is closed, and
    /// told of as such.
    pub fn flush(&mut self) {
        for (id, link) in &self.links {
            link.flush();
            if link.waiting() > WAITING_MAX {
                tracing::warn!(
                    "{} has not taken {} MiB of what this leader sent: its connection is closed, and it may come \
                     again",
                    link.remote(),
                    link.waiting() >> 20
                );
                link.close();
                self.post.post(ToCommit::Peers(FromPeers::Closed(*id)));
            }
        }
        self.links.retain(|_, link| !link.is_closed());
    }

    /// Closes a connection, after what was pushed, as far as it leaves at once.
    pub fn close(&mut self, id: LinkId) {
        if let Some(link) = self.links.remove(&id) {
            link.flush();
            link.close();
        }
    }

    /// Closes all connections.
    pub fn close_all(&mut self) {
        std::mem::take(&mut self.links).into_values().for_each(|link| link.close());
    }

    /// Who is at the other end.
    pub fn remote(&self, id: LinkId) -> String {
        self.links.get(&id).map_or_else(|| "a learner".to_owned(), |link| link.remote().to_string())
    }
}

fn take(id: LinkId, bytes: &[u8], len_max: usize, post: &Sender<ToCommit>) -> Option<Taken> {
    let mut done = 0;
    loop {
        let split = QuorumPacket::split(&bytes[done..], len_max);
        let event = match split.and_then(|split| match split {
            Split::Partial(wanted) => Ok(Err(wanted)),
            Split::Whole(packet, len) => FromLearner::decode(&packet).map(|packet| Ok((packet, len))),
        }) {
            Ok(Err(wanted)) => return Some(Taken { done, wanted }),
            Ok(Ok((packet, len))) => {
                done += len;
                FromPeers::Packet(id, packet)
            }
            Err(error) => {
                post.post(ToCommit::Peers(FromPeers::Malformed(id, error)));
                return None;
            }
        };
        post.post(ToCommit::Peers(event));
    }
}

/// More than any ensemble has: those that have not said who they are let go in time.
const LEARNERS_MAX: usize = 1000;
/// What may wait for one learner: seconds of writes at the highest rate.
const WAITING_MAX: usize = 512 << 20;
