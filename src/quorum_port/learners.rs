use std::collections::BTreeMap;
use std::rc::Rc;

use ringkeeper_core::member::LearnerEvent;
use ringkeeper_core::sasl::QuorumAuth;
use ringkeeper_core::tree::Frozen;
use ringkeeper_core::zab::LinkId;
use ringkeeper_core::zab::packet::{FromLearner, LearnerInput};

use super::FromPeers;
use super::gate::{Gate, Passed};
use super::link::{self, BACKLOG_MAX, Link, Taken};
use crate::net::PeerStream;
use crate::runtime::Sender;
use crate::wiring::ToCommit;

/// The leader's connections to its learners.
pub struct Learners {
    links: BTreeMap<LinkId, Rc<Link>>,
    post: Sender<ToCommit>,
    value_len_max: usize,
    auth: Option<QuorumAuth>,
}

impl Learners {
    /// No connections yet. What comes from them is posted; no value in it may be longer than `value_len_max`. By `auth`
    /// they prove who they are.
    pub fn new(post: Sender<ToCommit>, value_len_max: usize, auth: Option<QuorumAuth>) -> Learners {
        Learners { links: BTreeMap::new(), post, value_len_max, auth }
    }

    /// Takes over an accepted connection. If it has ended already, or there are too many, that is told as its end.
    pub fn let_in(&mut self, id: LinkId, stream: PeerStream) {
        let post = self.post.clone();
        let Ok(link) = Link::new(stream) else { return tell(&post, id, LearnerEvent::Closed) };
        if self.links.len() >= LEARNERS_MAX {
            tracing::warn!(
                "{} is not let in: {LEARNERS_MAX} connections to the quorum port are open",
                link.remote()
            );
            return tell(&post, id, LearnerEvent::Closed);
        }
        self.links.insert(id, link.clone());
        let len_max = self.value_len_max;
        let (closed, backlog) = (post.clone(), post.clone());
        let mut gate = Gate::new(link.clone(), self.auth.as_mut().map(QuorumAuth::server));
        link::read(
            link,
            move |bytes| match gate.pass(bytes) {
                Passed::Not(taken) => Some(taken),
                Passed::Never => {
                    tell(&post, id, LearnerEvent::Closed);
                    None
                }
                Passed::From(start) => {
                    let taken = take(id, &bytes[start..], len_max, &post)?;
                    Some(Taken { done: start + taken.done, ..taken })
                }
            },
            move || backlog.waiting() > BACKLOG_MAX,
            move || tell(&closed, id, LearnerEvent::Closed),
        );
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
            link.push_tree(tree, move || tell(&post, id, LearnerEvent::TreeSent));
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
                tell(&self.post, *id, LearnerEvent::Closed);
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
    let LearnerInput { packets, consumed, rest } = FromLearner::split_all(bytes, len_max);
    if !packets.is_empty() {
        tell(post, id, LearnerEvent::Packets(packets));
    }
    match rest {
        Ok(wanted) => Some(Taken { done: consumed, wanted }),
        Err(error) => {
            tell(post, id, LearnerEvent::Malformed(error));
            None
        }
    }
}

fn tell(post: &Sender<ToCommit>, id: LinkId, event: LearnerEvent) {
    post.post(ToCommit::Peers(FromPeers::Learner(id, event)));
}

/// More than any ensemble has: those that have not said who they are let go in time.
const LEARNERS_MAX: usize = 1000;
/// What may wait for one learner: seconds of writes at the highest rate.
const WAITING_MAX: usize = 512 << 20;
