use crate::id::{ServerId, Zxid};

/// What a server proposes as leader, or follows.
///
/// The order of the fields is the election's order of preference, by signed numbers: epoch, then zxid,
/// then server id (election §4.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Vote {
    /// The epoch of the leader's history, `currentEpoch`.
    pub epoch: i64,
    /// The last transaction in the leader's log.
    pub zxid: Zxid,
    /// The proposed leader.
    pub leader: ServerId,
}

impl Vote {
    /// What a server votes that nobody may vote for (election §3.2).
    pub const OBSERVER: Vote = Vote { epoch: i64::MIN, zxid: Zxid(i64::MIN), leader: ServerId(i64::MIN) };
}

/// What a server is doing, as it tells its peers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(i32)]
#[allow(missing_docs, reason = "the names are ZooKeeper's own; election §3.1 lists them")]
pub enum PeerState {
    Looking = 0,
    Following = 1,
    Leading = 2,
    Observing = 3,
}

impl PeerState {
    /// The state of this number on the wire.
    pub fn from_number(number: i32) -> Option<PeerState> {
        use PeerState::{Following, Leading, Looking, Observing};
        [Looking, Following, Leading, Observing].into_iter().find(|state| *state as i32 == number)
    }
}

/// A vote as it is counted: what was voted, in which round, by a server in which state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ballot {
    pub(super) vote: Vote,
    pub(super) round: i64,
    pub(super) state: PeerState,
    /// Whether it came with a message format that has a version; set for votes from outside the election.
    pub(super) versioned: bool,
}

impl Ballot {
    /// Whether two ballots elect the same leader, as Java compares them (election §4.4): during an
    /// election all must be equal; after it servers tell different rounds and zxids of one leader, and
    /// those of 3.4 different epochs as well.
    pub(super) fn agrees_with(&self, other: &Ballot) -> bool {
        if self.state == PeerState::Looking || other.state == PeerState::Looking {
            self.vote == other.vote && self.round == other.round
        } else if self.versioned != other.versioned {
            self.vote.leader == other.vote.leader
        } else {
            self.vote.leader == other.vote.leader && self.vote.epoch == other.vote.epoch
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vote(epoch: i64, zxid: i64, leader: i64) -> Vote {
        Vote { epoch, zxid: Zxid(zxid), leader: ServerId(leader) }
    }

    #[test]
    fn votes_are_ordered_by_epoch_then_zxid_then_id_as_signed_numbers() {
        let ascending = [
            Vote::OBSERVER,
            vote(-1, 9, 9),
            vote(0, -1, 9),
            vote(0, 0, -1),
            vote(0, 0, 0),
            vote(0, 0, 1),
            vote(0, 1, 0),
            vote(1, 0, 0),
        ];
        assert!(ascending.is_sorted_by(|a, b| a < b));
    }

    #[test]
    fn ballots_agree_as_java_compares_them() {
        use PeerState::{Following, Leading, Looking};
        let ballot = |state, versioned, round, vote| Ballot { vote, round, state, versioned };
        let one = vote(1, 5, 2);
        let other_zxid = vote(1, 6, 2);
        let other_epoch = vote(2, 5, 2);
        for (a, b, agree) in [
            (ballot(Looking, false, 1, one), ballot(Following, true, 1, one), true),
            (ballot(Looking, false, 1, one), ballot(Following, true, 2, one), false),
            (ballot(Leading, false, 1, one), ballot(Looking, false, 1, other_zxid), false),
            (ballot(Leading, true, 1, one), ballot(Following, true, 7, other_zxid), true),
            (ballot(Leading, true, 1, one), ballot(Following, true, 1, other_epoch), false),
            (ballot(Leading, false, 1, one), ballot(Following, true, 1, other_epoch), true),
            (ballot(Leading, false, 1, one), ballot(Following, false, 1, other_epoch), false),
            (ballot(Leading, false, 1, one), ballot(Following, true, 1, vote(1, 5, 3)), false),
        ] {
            assert_eq!((a.agrees_with(&b), b.agrees_with(&a)), (agree, agree), "{a:?} {b:?}");
        }
    }
}
