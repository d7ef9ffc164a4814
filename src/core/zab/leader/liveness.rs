//! Who is still there (zab §10).

use super::link::Stage;
use super::{Leader, LeaderAction, LinkId, Phase};
use crate::time::Instant;
use crate::zab::reason::{CloseReason, DownReason};

impl Leader {
    /// Lets time pass. To be called several times in a `tickTime`.
    pub fn on_tick(&mut self, now: Instant, out: &mut Vec<LeaderAction>) {
        if self.phase == Phase::Down {
            return;
        }
        self.close_silent(now, out);
        if now >= self.deadline {
            self.on_deadline(now, out);
        }
        if now >= self.next_ping && self.phase != Phase::Down {
            self.next_ping = now + self.options.timing.tick() / 2;
            if matches!(self.phase, Phase::AwaitInfos | Phase::AwaitPromises | Phase::AwaitAcks) {
                self.ask_oracle(out);
            }
            let forwarding = self.links.iter().filter(|(_, link)| link.stage.is_forwarding());
            for id in forwarding.map(|(id, _)| *id).collect::<Vec<_>>() {
                self.ping(id, out);
            }
        }
    }

    fn close_silent(&mut self, now: Instant, out: &mut Vec<LeaderAction>) {
        let sync = self.options.timing.sync();
        let wrong = |link: &super::Link| {
            let oldest = link.unacked.oldest().filter(|(_, since)| now >= *since + sync);
            match (link.stage, oldest) {
                // They wait for others, and have nothing to say.
                (Stage::AwaitEpoch | Stage::AwaitEpochQuorum(_) | Stage::AwaitStart, _) => None,
                (_, Some((zxid, since))) => {
                    Some(CloseReason::SlowAck { zxid, ms: now.since(since).as_millis() as u64 })
                }
                _ if now >= link.deadline => {
                    Some(CloseReason::Silent { ms: now.since(link.last_heard).as_millis() as u64 })
                }
                _ => None,
            }
        };
        let found: Vec<(LinkId, CloseReason)> =
            self.links.iter().filter_map(|(id, link)| Some((*id, wrong(link)?))).collect();
        for (id, reason) in found {
            self.close(id, reason, now, out);
        }
    }

    fn on_deadline(&mut self, now: Instant, out: &mut Vec<LeaderAction>) {
        let (epoch, ms) = (self.epoch, self.options.timing.init().as_millis() as u64);
        match self.phase {
            Phase::AwaitInfos => self.down(DownReason::NoQuorumCame { ms }, out),
            Phase::SavingAccepted | Phase::AwaitPromises | Phase::SavingCurrent => {
                self.down(DownReason::NoQuorumPromised { epoch, ms }, out);
            }
            Phase::AwaitAcks => {
                let acked = self.synced();
                self.down(DownReason::NoQuorumSynced { ms, acked }, out);
            }
            Phase::Established => {
                self.deadline = now + self.options.timing.tick();
                let followers = self.links.values().filter(|link| link.is_follower());
                let connected: Vec<_> =
                    [self.options.id].into_iter().chain(followers.map(|link| link.learner)).collect();
                let is_lost = !self.quorum.contains_quorum(|id| connected.contains(&id));
                if is_lost && !self.depends_on_oracle(out) {
                    self.down(DownReason::QuorumLost { connected }, out);
                }
            }
            Phase::HandedOver => self.leave(out),
            Phase::Down => {}
        }
    }
}
