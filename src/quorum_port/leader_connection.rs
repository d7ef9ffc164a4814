use std::cell::RefCell;
use std::rc::Rc;

use ringkeeper_core::config::HostPort;
use ringkeeper_core::member::{Attempt, LeaderEvent};
use ringkeeper_core::sasl::QuorumAuth;
use ringkeeper_core::tree::TreeOptions;
use ringkeeper_core::zab::packet::FromLearner;
use ringkeeper_core::zab::{Item, LeaderStream};
use tracing::warn;

use super::FromPeers;
use super::dial;
use super::gate::{Gate, Passed};
use super::link::{self, BACKLOG_MAX, Link, Taken};
use crate::net::peers::Patience;
use crate::net::{PeerStream, Protection};
use crate::runtime::Sender;
use crate::wiring::ToCommit;

/// A learner's connection to its leader. Dropping it closes it.
pub struct LeaderConnection {
    attempt: Attempt,
    link: Option<Rc<Link>>,
    /// What waits until this server has proven who it is.
    held: Rc<RefCell<Option<Vec<u8>>>>,
    post: Sender<ToCommit>,
}

impl LeaderConnection {
    /// Tries to connect to one of the leader's addresses for so long, and posts how that ends, and later what
    /// comes.
    pub fn open(
        attempt: Attempt,
        addresses: Vec<HostPort>,
        patience: Patience,
        protection: Protection,
        post: Sender<ToCommit>,
    ) -> LeaderConnection {
        let result = post.clone();
        dial::start(addresses, patience, protection, move |stream| {
            let event = stream.map_or(LeaderEvent::Unreachable, LeaderEvent::Connected);
            result.post(ToCommit::Peers(FromPeers::Leader(attempt, event)));
        });
        LeaderConnection { attempt, link: None, held: Rc::default(), post }
    }

    /// Takes over the connection that was made, and reads it. Trees that come get these options. By `auth` this server
    /// proves first who it is, and so does the leader.
    pub fn begin(
        &mut self,
        stream: PeerStream,
        options: TreeOptions,
        value_len_max: usize,
        auth: Option<&mut QuorumAuth>,
    ) {
        let (attempt, post) = (self.attempt, self.post.clone());
        let tell = move |event| post.post(ToCommit::Peers(FromPeers::Leader(attempt, event)));
        let Ok(link) = Link::new(stream) else { return tell(LeaderEvent::Closed) };
        self.link = Some(link.clone());
        let mut stream = LeaderStream::new(options, value_len_max);
        let (ended, backlog) = (tell.clone(), self.post.clone());
        let mut first = Vec::new();
        let machine = auth.and_then(|auth| auth.client(&mut first));
        let held = self.held.clone();
        *held.borrow_mut() = machine.is_some().then(Vec::new);
        link.push(|out| out.append(&mut first));
        link.flush();
        let mut gate = Gate::new(link.clone(), machine);
        let (passing, waiting) = (link.clone(), held.clone());
        link::read(
            link,
            move |bytes| match gate.pass(bytes) {
                Passed::Not(taken) => Some(taken),
                Passed::Never => {
                    tell(LeaderEvent::Closed);
                    None
                }
                Passed::From(start) => {
                    if let Some(mut held) = held.take() {
                        passing.push(|out| out.append(&mut held));
                        passing.flush();
                    }
                    let taken = take(&mut stream, &bytes[start..], &tell)?;
                    Some(Taken { done: start + taken.done, ..taken })
                }
            },
            move || backlog.waiting() > BACKLOG_MAX,
            move || {
                if waiting.borrow().is_some() {
                    warn!(
                        "Failed to authenticate using SASL: the leader closed the connection meanwhile: see whether \
                         quorum.auth.enableSasl is true there"
                    );
                }
                ended(LeaderEvent::Closed);
            },
        );
    }

    /// Adds a packet to what the next flush sends.
    pub fn push(&self, packet: &FromLearner) {
        if let Some(held) = &mut *self.held.borrow_mut() {
            packet.encode(held);
        } else if let Some(link) = &self.link {
            link.push(|out| packet.encode(out));
        }
    }

    /// Sends what was pushed.
    pub fn flush(&self) {
        if let Some(link) = &self.link {
            link.flush();
        }
    }
}

impl Drop for LeaderConnection {
    fn drop(&mut self) {
        if let Some(link) = &self.link {
            link.flush();
            link.close();
        }
    }
}

fn take(stream: &mut LeaderStream, bytes: &[u8], tell: &impl Fn(LeaderEvent<PeerStream>)) -> Option<Taken> {
    let mut done = 0;
    loop {
        let item = match stream.next(&bytes[done..]) {
            Ok(item) => item,
            Err(reason) => {
                tell(LeaderEvent::Malformed(reason));
                return None;
            }
        };
        match item {
            Item::Part { consumed, wanted } => {
                if consumed > 0 {
                    tell(LeaderEvent::TreeBytes);
                }
                return Some(Taken { done: done + consumed, wanted });
            }
            Item::Packets(packets, len) => {
                done += len;
                tell(LeaderEvent::Packets(packets));
            }
            Item::Tree(tree, len) => {
                done += len;
                tell(LeaderEvent::Tree(tree));
            }
        }
    }
}
