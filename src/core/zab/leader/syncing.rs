//! Bringing learners to the leader's state, and becoming its quorum (zab §§4–6).

use super::link::Stage;
use super::{Leader, LeaderAction, LinkId, Phase};
use crate::id::{ServerId, Zxid};
use crate::time::Instant;
use crate::zab::history::{History, LogExcerpt, Logged};
use crate::zab::options::SyncBy;
use crate::zab::packet::{FromLeader, LearnerKind};
use crate::zab::reason::CloseReason;
use crate::zab::sync::{Choice, choose};

impl Leader {
    /// A quorum has promised the epoch, and this server has entered it.
    pub(super) fn start_syncing(&mut self, now: Instant, out: &mut Vec<LeaderAction>) {
        self.phase = Phase::AwaitAcks;
        let steps = if self.needs_others() { 2 } else { 1 };
        self.deadline = now + self.options.timing.init() * steps;
        self.name_first_configuration(out);
        self.establish_if_quorum(now, out);
    }

    /// Brings a learner up to date whose log ends at `peer`.
    pub(super) fn sync(&mut self, id: LinkId, peer: Zxid, now: Instant, out: &mut Vec<LeaderAction>) {
        match choose(peer, self.committed, &self.history) {
            _ if self.options.force_snapshot_sync => self.take_tree(id, 1, now, out),
            Choice::Send { after, .. } if !self.can_read(id, &self.history, after) => {
                self.take_tree(id, 1, now, out);
            }
            Choice::Send { start, after } => self.send_history(id, start, after, None, now, out),
            Choice::TakeSnapshot => self.take_tree(id, 1, now, out),
            Choice::ReadLog => {
                let upto = self.history.after();
                self.await_disk(id, Stage::AwaitLog(peer), now);
                out.push(LeaderAction::ReadLog { link: id, from: peer, upto });
            }
        }
    }

    /// What [`LeaderAction::ReadLog`] found; `None` if the log does not reach back so far, or if a tree
    /// takes less than what would have to be read.
    pub fn on_log_read(
        &mut self,
        id: LinkId,
        excerpt: Option<LogExcerpt>,
        now: Instant,
        out: &mut Vec<LeaderAction>,
    ) {
        let Some(Stage::AwaitLog(peer)) = self.links.get(&id).map(|link| link.stage) else { return };
        let joined = excerpt.and_then(|excerpt| self.history.preceded_by(excerpt));
        match joined.map(|joined| (choose(peer, self.committed, &joined), joined)) {
            Some((Choice::Send { start, after }, joined)) if self.can_read(id, &joined, after) => {
                self.send_history(id, start, after, Some(&joined), now, out);
            }
            _ => self.take_tree(id, 1, now, out),
        }
    }

    /// The tree as of `zxid`, which was published, was taken for this learner.
    pub fn on_tree_taken(&mut self, id: LinkId, zxid: Zxid, now: Instant, out: &mut Vec<LeaderAction>) {
        let Some(Stage::AwaitTree(tries)) = self.links.get(&id).map(|link| link.stage) else { return };
        if zxid >= self.history.after() && self.can_read(id, &self.history, zxid) {
            self.send_history(id, FromLeader::Snap(zxid), zxid, None, now, out);
        } else if tries < TREES_PER_LEARNER_MAX {
            self.take_tree(id, tries + 1, now, out);
        } else {
            self.close(id, CloseReason::FellBehind, now, out);
        }
    }

    /// The tree has been sent: the learner's time to load it starts.
    pub fn on_tree_sent(&mut self, id: LinkId, now: Instant) {
        if let Some(link) = self.links.get_mut(&id).filter(|link| link.stage == Stage::AwaitAck) {
            link.deadline = now + self.options.timing.init();
        }
    }

    /// Whether the learner can read what comes after this, what is not committed yet included. A server of 3.4 knows no
    /// transactions of later releases, but can be given what they have made.
    fn can_read(&self, id: LinkId, history: &History, after: Zxid) -> bool {
        let is_old = self.links.get(&id).is_some_and(|link| link.is_old);
        !is_old || history.since(after).chain(&self.outstanding).all(Logged::is_known_to_3_4)
    }

    fn take_tree(&mut self, id: LinkId, tries: u32, now: Instant, out: &mut Vec<LeaderAction>) {
        if !self.begin_sync(id, SyncBy::Tree, now, out) {
            return;
        }
        self.await_disk(id, Stage::AwaitTree(tries), now);
        out.push(LeaderAction::TakeTree(id));
    }

    fn await_disk(&mut self, id: LinkId, stage: Stage, now: Instant) {
        let timing = self.options.timing;
        let Some(link) = self.links.get_mut(&id) else { return };
        link.stage = stage;
        link.deadline = now + timing.init() + timing.sync();
    }

    /// Whether the learner may be brought up to date so. An observer that would be one too many is sent away.
    fn begin_sync(&mut self, id: LinkId, by: SyncBy, now: Instant, out: &mut Vec<LeaderAction>) -> bool {
        let others = self.links.iter().filter(|(other, _)| **other != id).map(|(_, link)| link.syncing);
        let admitted = by.admit(self.options.sync_limits, others);
        let Some(link) = self.links.get_mut(&id) else { return false };
        match admitted {
            Err(reason) if !link.is_follower() => {
                self.close(id, reason, now, out);
                false
            }
            _ => {
                link.syncing = Some(by);
                true
            }
        }
    }

    /// Sends where to start, the history after it, what is not committed yet, and NEWLEADER. From then on
    /// the learner hears of everything.
    ///
    /// Whoever is told a configuration by NEWLEADER takes it for activated at UPTODATE. One that is under way is left
    /// out, and comes with its proposal, behind NEWLEADER: a Java follower lets either take the place of what it has
    /// seen before.
    fn send_history(
        &mut self,
        id: LinkId,
        start: FromLeader,
        after: Zxid,
        longer: Option<&History>,
        now: Instant,
        out: &mut Vec<LeaderAction>,
    ) {
        let is_tree = matches!(start, FromLeader::Snap(_));
        if !is_tree && !self.begin_sync(id, SyncBy::Diff, now, out) {
            return;
        }
        let Some(learner) = self.links.get(&id).map(|link| link.learner) else { return };
        let upto = self.proposable_to(learner);
        let Some(link) = self.links.get_mut(&id) else { return };
        out.push(LeaderAction::Send(id, start));
        if is_tree {
            out.push(LeaderAction::SendTree(id));
        }
        let history = longer.unwrap_or(&self.history);
        for logged in history.since(after) {
            let (zxid, payload) = (logged.zxid, logged.payload.clone());
            out.push(LeaderAction::Send(id, FromLeader::Proposal { zxid, payload }));
            out.push(LeaderAction::Send(id, FromLeader::Commit(zxid)));
        }
        (link.committed, link.proposed) = (self.committed, self.committed);
        let is_told = |logged: &&Logged| link.kind == LearnerKind::Follower && logged.zxid <= upto;
        let propose = |logged: &Logged| {
            let (zxid, payload) = (logged.zxid, logged.payload.clone());
            LeaderAction::Send(id, FromLeader::Proposal { zxid, payload })
        };
        let (configurations, pending) = (&self.options.configurations, self.reconfigs.pending());
        let config = if pending.is_some() { configurations.committed() } else { configurations.last_seen() };
        let is_before = |logged: &Logged| pending.is_none_or(|reconfig| logged.zxid < reconfig);
        let (before, behind): (Vec<_>, Vec<_>) =
            self.outstanding.iter().filter(is_told).partition(|logged| is_before(logged));
        let last = behind.last().or(before.last()).map(|logged| logged.zxid);
        out.extend(before.into_iter().map(propose));
        let (zxid, config) = (Zxid::new(self.epoch, 0), Some(config.text().into_bytes().into()));
        out.push(LeaderAction::Send(id, FromLeader::NewLeader { zxid, config }));
        out.extend(behind.into_iter().map(propose));
        link.proposed = last.unwrap_or(link.proposed);
        link.stage = Stage::AwaitAck;
        link.deadline = now + self.options.timing.init();
    }

    /// The learner has acknowledged NEWLEADER.
    pub(super) fn on_synced(&mut self, id: LinkId, now: Instant, out: &mut Vec<LeaderAction>) {
        let Some(link) = self.links.get_mut(&id) else { return };
        (link.stage, link.syncing) = (Stage::AwaitStart, None);
        match self.phase {
            Phase::AwaitAcks => self.establish_if_quorum(now, out),
            Phase::Established => {
                self.start(id, now, out);
                self.commit_if_quorum(now, out);
            }
            _ => {}
        }
    }

    pub(super) fn establish_if_quorum(&mut self, now: Instant, out: &mut Vec<LeaderAction>) {
        self.sync_waiting(now, out);
        let synced = self.synced();
        if !self.is_quorum(|id| synced.contains(&id)) {
            return self.ask_oracle(out);
        }
        self.phase = Phase::Established;
        self.established = Some(now);
        let timing = self.options.timing;
        self.deadline = now + timing.tick();
        self.committed = self.epoch_zxid();
        self.proposed = self.committed;
        if self.complete_reconfig(&synced, now, out) {
            out.push(LeaderAction::Established);
            out.push(LeaderAction::Committed(self.committed));
        }
        let waiting = self.links.iter().filter(|(_, link)| link.stage == Stage::AwaitStart);
        for id in waiting.map(|(id, _)| *id).collect::<Vec<_>>() {
            self.start(id, now, out);
        }
    }

    /// Who has all that there was before the epoch on disk: this server since it entered the epoch, but for a
    /// configuration that it has named since. An observer that a reconfig has proposed as a voter counts: which of
    /// them vote, the configurations say.
    pub(super) fn synced(&self) -> Vec<ServerId> {
        let own = self.reconfigs.are_saved().then_some(self.options.id);
        let followers = self.links.values().filter(|link| link.stage.is_synced());
        own.into_iter().chain(followers.map(|link| link.learner)).collect()
    }

    fn start(&mut self, id: LinkId, now: Instant, out: &mut Vec<LeaderAction>) {
        let Some(link) = self.links.get_mut(&id) else { return };
        link.stage = Stage::Serving;
        link.deadline = now + self.options.timing.sync();
        if link.proposed > link.acked.max(self.committed) && link.is_follower() {
            link.unacked.on_proposal(link.proposed, now);
        }
        out.push(LeaderAction::Send(id, FromLeader::UpToDate));
        self.advance(id, out);
    }
}

/// How often a tree is taken for one learner before it is given up.
const TREES_PER_LEARNER_MAX: u32 = 3;
