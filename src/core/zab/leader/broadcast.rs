//! Proposals, acknowledgements and commits (zab §7).

use super::link::Stage;
use super::{Leader, LeaderAction, LinkId, Phase};
use crate::id::{ServerId, Zxid};
use crate::queue::pop_front_if;
use crate::quorum::JointQuorum;
use crate::time::Instant;
use crate::zab::history::Logged;
use crate::zab::packet::{FromLeader, LearnerKind, Payload};

impl Leader {
    /// Proposes the next transaction, which goes to this server's own log at the same time.
    ///
    /// # Panics
    ///
    /// If this server is not [established](LeaderAction::Established), or the zxid is not the next one: the
    /// followers would fall into disorder.
    pub fn propose(&mut self, zxid: Zxid, payload: Payload, now: Instant, out: &mut Vec<LeaderAction>) {
        assert!(self.phase == Phase::Established, "{zxid} is proposed by a server that does not lead");
        assert!(zxid == self.proposed.next(), "{zxid} is proposed after {}", self.proposed);
        self.proposed = zxid;
        self.proposal_sizes.count(payload.len());
        let activated = self.options.configurations.committed().verifier();
        for (id, link) in &mut self.links {
            let is_first = activated.weight_of_voter(link.learner) > 0;
            if link.kind == LearnerKind::Follower && link.stage.is_forwarding() && is_first {
                link.proposed = zxid;
                if link.stage == Stage::Serving {
                    link.unacked.on_proposal(zxid, now);
                }
                let payload = payload.clone();
                out.push(LeaderAction::Send(*id, FromLeader::Proposal { zxid, payload }));
            }
        }
        self.note_reconfig(zxid, &payload, out);
        self.outstanding.push_back(Logged { zxid, payload });
    }

    pub(super) fn on_ack(&mut self, id: LinkId, zxid: Zxid, now: Instant, out: &mut Vec<LeaderAction>) {
        let epoch_zxid = self.epoch_zxid();
        let Some(link) = self.links.get_mut(&id) else { return };
        if zxid == epoch_zxid {
            if link.stage == Stage::AwaitAck {
                self.on_synced(id, now, out);
            }
            return;
        }
        if link.is_follower() && zxid <= link.proposed {
            link.acked = link.acked.max(zxid);
            link.unacked.on_ack(zxid);
            self.commit_if_quorum(now, out);
        }
    }

    /// Commits all that a quorum has on disk. Only those count that have entered the epoch: others may be
    /// outvoted by servers that lack the transaction.
    pub(super) fn commit_if_quorum(&mut self, now: Instant, out: &mut Vec<LeaderAction>) {
        self.propose_held(now, out);
        while let Some(zxid) = self.agreed() {
            let activated = self.activated_by(zxid);
            self.commit(zxid, out);
            if let Some(activated) = activated {
                self.activate(activated, now, out);
                self.propose_held(now, out);
            }
        }
        if self.phase == Phase::Established && self.durable.min(self.proposed) > self.committed {
            self.ask_oracle(out);
        }
    }

    /// The last transaction that may be committed now. What comes before a reconfig needs a quorum of the
    /// configuration until then; the reconfig, and what comes after it as long as it is not committed, one of
    /// both.
    fn agreed(&self) -> Option<Zxid> {
        if self.outstanding.is_empty() || self.phase != Phase::Established {
            return None;
        }
        let acks = self.acks();
        let has = |id, zxid| acks.iter().any(|(of, acked)| *of == id && *acked >= zxid);
        let is_quorum = |quorum: &JointQuorum, zxid| match self.is_granted() {
            true => quorum.contains_quorum_by_oracle(|id| has(id, zxid)),
            false => quorum.contains_quorum(|id| has(id, zxid)),
        };
        let last_of = |quorum: &JointQuorum, upto: Zxid| {
            let acked = acks.iter().map(|(_, acked)| (*acked).min(upto));
            acked.filter(|zxid| *zxid > self.committed && is_quorum(quorum, *zxid)).max()
        };
        match self.reconfigs.pending() {
            None => last_of(&self.quorum, self.proposed),
            Some(reconfig) => last_of(&self.quorum, reconfig)
                .filter(|zxid| *zxid == reconfig)
                .or_else(|| last_of(&self.old_quorum(), Zxid(reconfig.0 - 1))),
        }
    }

    /// How far each server's log is known to be on disk that has entered the epoch, this one among them.
    pub(super) fn acks(&self) -> Vec<(ServerId, Zxid)> {
        let own = [(self.options.id, self.durable)];
        let followers = self.links.values().filter(|link| link.is_follower() && link.stage.is_synced());
        own.into_iter().chain(followers.map(|link| (link.learner, link.acked))).collect()
    }

    fn commit(&mut self, zxid: Zxid, out: &mut Vec<LeaderAction>) {
        while let Some(logged) = pop_front_if(&mut self.outstanding, |logged| logged.zxid <= zxid) {
            let observers = self
                .links
                .values_mut()
                .filter(|link| link.kind == LearnerKind::Observer && link.stage.is_forwarding());
            observers.for_each(|link| link.informs.push_back(logged.clone()));
            self.history.push(logged);
        }
        self.committed = zxid;
        for id in self.links.keys().copied().collect::<Vec<_>>() {
            self.advance(id, out);
        }
        out.push(LeaderAction::Committed(zxid));
    }

    /// Tells a learner what is committed, and that its syncs are done, in the order that its own clients'
    /// requests have: the answer to a sync stands before the commits of what came after it. Followers are
    /// told of no commit between NEWLEADER and UPTODATE, which Java ones don't take (zab §6.2).
    pub(super) fn advance(&mut self, id: LinkId, out: &mut Vec<LeaderAction>) {
        let (committed, epoch_zxid, rounds_done) = (self.committed, self.epoch_zxid(), self.rounds.done());
        let Some(link) = self.links.get_mut(&id).filter(|link| link.stage.is_forwarding()) else { return };
        if link.kind == LearnerKind::Follower && link.stage != Stage::Serving {
            return;
        }
        loop {
            let sync = link.syncs.front().copied();
            let upto = sync.map_or(committed, |sync| sync.zxid.min(committed));
            match link.kind {
                LearnerKind::Follower => {
                    let mut zxid = link.committed.max(epoch_zxid).next();
                    while zxid <= upto.min(link.proposed) {
                        out.push(LeaderAction::Send(id, self.reconfigs.commit(zxid)));
                        zxid = zxid.next();
                    }
                }
                LearnerKind::Observer => {
                    while let Some(Logged { zxid, payload }) =
                        pop_front_if(&mut link.informs, |logged| logged.zxid <= upto)
                    {
                        out.push(LeaderAction::Send(id, self.reconfigs.inform(zxid, payload)));
                    }
                }
            }
            link.committed = link.committed.max(upto);
            match sync {
                Some(sync) if sync.zxid <= committed && sync.round <= rounds_done => {
                    link.syncs.pop_front();
                    out.push(LeaderAction::Send(id, FromLeader::Sync));
                }
                _ => break,
            }
        }
    }
}
