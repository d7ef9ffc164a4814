//! One of two servers that vote, while the other is away: whether it may go on alone, an oracle says (zab §12.3).
//!
//! It is asked when the other's vote is all that is missing, and it is not connected: once it is told what is proposed,
//! nothing is decided without it. What an answer grants is done at once; for the next decision the oracle is asked anew.

use super::{Leader, LeaderAction, Phase};
use crate::id::ServerId;
use crate::time::Instant;
use crate::zab::reason::DownReason;

#[derive(Debug, Default)]
pub(super) struct Oracle {
    is_asked: bool,
    /// While its answer is acted upon.
    grants: bool,
    /// Whether this server leads no more unless the oracle grants it.
    is_vital: bool,
}

impl Leader {
    /// The answer to [`LeaderAction::AskOracle`]. One that an earlier leader of this server asked for is as good: it is
    /// what the oracle says now.
    pub fn on_oracle(&mut self, grants: bool, now: Instant, out: &mut Vec<LeaderAction>) {
        self.oracle.is_asked = false;
        let is_vital = std::mem::take(&mut self.oracle.is_vital);
        if !self.is_alone() {
            return;
        }
        if !grants {
            if is_vital && self.phase == Phase::Established {
                self.down(DownReason::OracleDenied, out);
            }
            return;
        }
        self.oracle.grants = true;
        match self.phase {
            Phase::AwaitInfos => self.fix_epoch_if_quorum(now, out),
            Phase::AwaitPromises => self.enter_epoch_if_quorum(out),
            Phase::AwaitAcks => self.establish_if_quorum(now, out),
            Phase::Established => {
                self.commit_if_quorum(now, out);
                self.check_round(now, out);
            }
            Phase::SavingAccepted | Phase::SavingCurrent | Phase::HandedOver | Phase::Down => {}
        }
        self.oracle.grants = false;
    }

    /// Whether these servers are a quorum of the configurations, as far as it goes by the oracle.
    pub(super) fn is_quorum(&self, agrees: impl FnMut(ServerId) -> bool) -> bool {
        match self.oracle.grants {
            true => self.quorum.contains_quorum_by_oracle(agrees),
            false => self.quorum.contains_quorum(agrees),
        }
    }

    /// Whether what is decided now is decided by the oracle's grant.
    pub(super) fn is_granted(&self) -> bool {
        self.oracle.grants
    }

    /// A quorum is missing: asks the oracle, if it may make up for it.
    pub(super) fn ask_oracle(&mut self, out: &mut Vec<LeaderAction>) {
        if self.options.has_oracle && !self.oracle.is_asked && self.is_alone() {
            self.oracle.is_asked = true;
            out.push(LeaderAction::AskOracle);
        }
    }

    /// The quorum is lost: whether it is up to the oracle now if this server still leads. One that has not answered
    /// since it was asked this last does not count.
    pub(super) fn depends_on_oracle(&mut self, out: &mut Vec<LeaderAction>) -> bool {
        let may_ask = self.options.has_oracle && self.is_alone() && !self.oracle.is_vital;
        if may_ask {
            self.oracle.is_vital = true;
            self.ask_oracle(out);
        }
        may_ask
    }

    fn is_alone(&self) -> bool {
        let counts = |link: &super::Link| {
            link.is_follower() && link.stage.is_forwarding() && self.quorum.is_voter(link.learner)
        };
        let me = self.options.id;
        !self.links.values().any(counts) && self.quorum.contains_quorum_by_oracle(|id| id == me)
    }
}
