//! Syncs, and how a leader makes sure that it still is one.
//!
//! A quorum that answers pings sent after a sync came had not left this leader by then, so no other leader
//! can have been established before the sync came, nor committed anything that it should show. Java answers
//! without that (zab §8.2). Pings and their answers are in order on a connection, so counting tells which
//! ping an answer belongs to; those that Java learners pass over, before UPTODATE, are not counted.

use super::link::{PendingSync, Stage};
use super::{Leader, LeaderAction, LinkId, Phase};
use crate::flow::ForwardedRequest;
use crate::proto::OpCode;
use crate::time::Instant;
use crate::zab::packet::FromLeader;

/// Rounds of pings, by number.
#[derive(Default)]
pub(super) struct Rounds {
    started: u64,
    done: u64,
    wanted: u64,
}

impl Rounds {
    pub(super) fn done(&self) -> u64 {
        self.done
    }
}

impl Leader {
    /// Asks for proof that this server leads now: [`LeaderAction::Confirmed`] with this number or a later one
    /// gives it. One round serves all who asked before it started.
    pub fn confirm(&mut self, now: Instant, out: &mut Vec<LeaderAction>) -> u64 {
        let round = self.rounds.started + 1;
        self.rounds.wanted = round;
        if self.rounds.done == self.rounds.started {
            self.start_round(now, out);
        }
        round
    }

    pub(super) fn on_request(
        &mut self,
        id: LinkId,
        request: ForwardedRequest,
        now: Instant,
        out: &mut Vec<LeaderAction>,
    ) {
        if request.op != OpCode::Sync.number() {
            return out.push(LeaderAction::Order(id, request));
        }
        let zxid = self.proposed;
        let round = if self.options.confirm_syncs { self.rounds.started + 1 } else { 0 };
        let Some(link) = self.links.get_mut(&id) else { return };
        link.syncs.push_back(PendingSync { zxid, round });
        if self.options.confirm_syncs {
            self.confirm(now, out);
        } else {
            self.advance(id, out);
        }
    }

    /// The learner has answered a ping.
    pub(super) fn on_pong(&mut self, id: LinkId, now: Instant, out: &mut Vec<LeaderAction>) {
        let Some(link) = self.links.get_mut(&id) else { return };
        link.pongs = (link.pongs + 1).min(link.pings);
        self.check_round(now, out);
    }

    pub(super) fn ping(&mut self, id: LinkId, out: &mut Vec<LeaderAction>) {
        let Some(link) = self.links.get_mut(&id) else { return };
        link.pings += u64::from(link.stage == Stage::Serving);
        out.push(LeaderAction::Send(id, FromLeader::Ping(self.proposed)));
    }

    fn start_round(&mut self, now: Instant, out: &mut Vec<LeaderAction>) {
        self.rounds.started += 1;
        for id in self.links.keys().copied().collect::<Vec<_>>() {
            let Some(link) = self.links.get_mut(&id) else { continue };
            // What becomes serving later, answers its first ping for this round.
            link.round_ping = link.pings + 1;
            if link.stage == Stage::Serving && link.is_follower() {
                self.ping(id, out);
            }
        }
        self.check_round(now, out);
    }

    /// Ends the round under way if a quorum has answered, and starts the next if someone waits for it.
    pub(super) fn check_round(&mut self, now: Instant, out: &mut Vec<LeaderAction>) {
        if self.rounds.done == self.rounds.started || self.phase != Phase::Established {
            return;
        }
        let answered = |link: &super::Link| link.is_follower() && link.pongs >= link.round_ping;
        let answered: Vec<_> =
            self.links.values().filter(|link| answered(link)).map(|link| link.learner).collect();
        let own = self.options.id;
        if !self.is_quorum(|id| id == own || answered.contains(&id)) {
            return self.ask_oracle(out);
        }
        self.rounds.done = self.rounds.started;
        out.push(LeaderAction::Confirmed(self.rounds.done));
        for id in self.links.keys().copied().collect::<Vec<_>>() {
            self.advance(id, out);
        }
        if self.rounds.wanted > self.rounds.started {
            self.start_round(now, out);
        }
    }
}
