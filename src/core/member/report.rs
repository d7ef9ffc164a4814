//! What a member shows to operators (admin §1).

use super::{Member, Role};
use crate::session::{GlobalSessions, LocalSessions, SessionsReport};
use crate::time::Instant;
use crate::zab::{LeaderFigures, ObserverMaster};

/// Figures of a member and its ensemble.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MemberFigures {
    /// Servers that have a vote.
    pub quorum_size: usize,
    /// Sessions that this server alone knows.
    pub local_sessions: usize,
    /// Observers that this server brings up to date in its leader's place, if it does that.
    pub synced_observers: Option<usize>,
    /// If this server leads, or tries to.
    pub leader: Option<LeaderFigures>,
}

impl Member {
    /// How this server does.
    pub fn figures(&self, now: Instant) -> MemberFigures {
        MemberFigures {
            quorum_size: self.configurations().committed().verifier().voters().len(),
            local_sessions: self.local_sessions().map_or(0, LocalSessions::len),
            synced_observers: match &self.role {
                Role::Learning(learning) => learning.observers().map(ObserverMaster::synced_observers),
                _ => None,
            },
            leader: self.leader().map(|leader| leader.figures(now)),
        }
    }

    /// Forgets what was counted, as srst asks.
    pub fn reset_figures(&mut self) {
        if let Role::Leading(leading) = &mut self.role {
            leading.reset_figures();
        }
    }

    /// The open sessions.
    pub fn sessions(&self) -> SessionsReport {
        let global = match &self.role {
            Role::Leading(leading) => {
                GlobalSessions::Expiring(leading.pipeline().session_deadlines().collect())
            }
            _ => GlobalSessions::Known(
                self.tree().sessions().iter().map(|(session, timeout_ms)| (*session, *timeout_ms)).collect(),
            ),
        };
        SessionsReport { local: self.local_sessions().map(|local| local.deadlines().collect()), global }
    }

    fn local_sessions(&self) -> Option<&LocalSessions> {
        match &self.role {
            Role::Looking(looking) => looking.local_sessions(),
            Role::Leading(leading) => leading.pipeline().local_sessions(),
            Role::Learning(learning) => learning.replica().local_sessions(),
            Role::Between => None,
        }
    }
}
