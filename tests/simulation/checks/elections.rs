//! **Votes are kept, and who is elected has those of a quorum**: a server never votes for less than it has itself, nor
//! for less than it has said before in the same round; each leader had, when it began to lead, the votes of a quorum
//! that has its databases, and never one whose own vote has no weight.

use std::collections::{BTreeMap, BTreeSet};

use ringkeeper_core::election::{LastLogged, LinkId, Notification, Outcome, PeerState, Vote};
use ringkeeper_core::id::{ServerId, Zxid};
use ringkeeper_core::quorum::QuorumVerifier;

use super::{Verdict, must};

pub(crate) const PROMISE: &str = "votes are kept, and who is elected has those of a quorum";

#[derive(Default)]
pub(crate) struct Elections {
    casts: BTreeMap<usize, Cast>,
    /// Who has ever backed a leader in a round, as a voter that looks for one or as its follower.
    backers: BTreeMap<(i64, ServerId), BTreeSet<ServerId>>,
}

/// What a server votes with in its present election, and what it said last over each connection.
struct Cast {
    own: LastLogged,
    last: BTreeMap<LinkId, (i64, Vote)>,
}

impl Elections {
    /// A server begins to look for a leader.
    pub(crate) fn on_look(&mut self, server: usize, own: LastLogged) {
        self.casts.insert(server, Cast { own, last: BTreeMap::new() });
    }

    /// A server says something on its election port.
    pub(crate) fn on_said(&mut self, server: usize, link: LinkId, bytes: &[u8]) -> Verdict {
        let Some(Ok(said)) = bytes.get(4..).map(Notification::decode) else { return Ok(()) };
        let Some(cast) = self.casts.get_mut(&server) else { return Ok(()) };
        if cast.own.zxid != Zxid::UNKNOWN {
            let backers = self.backers.entry((said.round, said.vote.leader)).or_default();
            backers.insert(ServerId(server as i64));
        }
        if said.state != PeerState::Looking || said.vote == Vote::OBSERVER {
            return Ok(());
        }
        let LastLogged { epoch, zxid } = cast.own;
        let own = Vote { epoch, zxid, leader: ServerId(server as i64) };
        let (vote, now) = (said.vote, (said.round, said.vote));
        must!(PROMISE, vote >= own, "server {server} has {own:?}, and votes for {vote:?}");
        if let Some(before) = cast.last.insert(link, now) {
            must!(PROMISE, before <= now, "server {server} has said {before:?}, and says {now:?}");
        }
        Ok(())
    }

    /// A server's election is over.
    pub(crate) fn on_decided(
        &mut self,
        server: usize,
        outcome: &Outcome,
        quorum: &QuorumVerifier,
    ) -> Verdict {
        let (id, leader) = (ServerId(server as i64), outcome.vote.leader);
        let is_trusted = self.casts.get(&server).is_some_and(|cast| cast.own.zxid != Zxid::UNKNOWN);
        let backers = self.backers.entry((outcome.round, leader)).or_default();
        if is_trusted {
            backers.insert(id);
        }
        if outcome.state == PeerState::Leading {
            must!(PROMISE, quorum.weight(id) > 0, "server {server} is elected, its vote has no weight");
            let is_backed = quorum.contains_quorum(|id| backers.contains(&id));
            must!(PROMISE, is_backed, "server {server} is elected by {backers:?}: {outcome:?}");
        }
        Ok(())
    }
}
