//! Which epoch it is to be, and who promises it (zab §3).

use super::link::Stage;
use super::{Leader, LeaderAction, LinkId, Phase};
use crate::id::{ServerId, Zxid};
use crate::time::Instant;
use crate::zab::options::EpochFile;
use crate::zab::packet::{FromLeader, LearnerInfo};
use crate::zab::reason::{CloseReason, DownReason};

impl Leader {
    pub(super) fn on_info(
        &mut self,
        id: LinkId,
        info: LearnerInfo,
        now: Instant,
        out: &mut Vec<LeaderAction>,
    ) {
        if let Err(reason) = self.admit(&info) {
            return self.close(id, reason, now, out);
        }
        let learner = info.id.unwrap_or_else(|| {
            self.next_nameless -= 1;
            ServerId(self.next_nameless)
        });
        if self.phase == Phase::Established && info.accepted_epoch > self.epoch {
            // It may not follow an older epoch than it has promised, to somebody who then found no quorum. With
            // Java it stays out until there happens to be an election.
            let (theirs, ours) = (info.accepted_epoch, self.epoch);
            return self.down(DownReason::Outpromised { id: learner, theirs, ours }, out);
        }
        let same = |link: &super::Link| link.stage != Stage::AwaitInfo && link.learner == learner;
        let earlier: Vec<LinkId> =
            self.links.iter().filter(|(_, link)| same(link)).map(|(id, _)| *id).collect();
        for earlier in earlier {
            self.close(earlier, CloseReason::Replaced { id: learner }, now, out);
        }
        let timing = self.options.timing;
        let Some(link) = self.links.get_mut(&id) else { return };
        (link.learner, link.kind, link.stage) = (learner, info.kind, Stage::AwaitEpoch);
        link.is_old = info.config_version.is_none();
        link.deadline = now + timing.init() + timing.sync();
        if self.phase == Phase::AwaitInfos {
            self.epoch = self.epoch.max(info.accepted_epoch + 1);
            self.came.insert(learner);
            self.fix_epoch_if_quorum(now, out);
        } else if self.phase >= Phase::AwaitPromises {
            self.tell_epoch(id, now, out);
        }
    }

    fn admit(&self, info: &LearnerInfo) -> Result<(), CloseReason> {
        let ours = self.options.configurations.committed().version();
        if !info.is_supported() {
            return Err(CloseReason::OldProtocol { version: info.protocol_version });
        }
        if info.accepted_epoch > EPOCH_MAX {
            return Err(CloseReason::AbsurdEpoch { epoch: info.accepted_epoch });
        }
        match info.config_version {
            Some(theirs) if theirs > ours => Err(CloseReason::LaterConfig { theirs, ours }),
            _ => Ok(()),
        }
    }

    /// With a quorum of servers that came, this server itself among them, the epoch is newer than what any
    /// quorum has promised.
    pub(super) fn fix_epoch_if_quorum(&mut self, now: Instant, out: &mut Vec<LeaderAction>) {
        if !self.is_quorum(|id| self.came.contains(&id)) {
            return self.ask_oracle(out);
        }
        self.phase = Phase::SavingAccepted;
        self.deadline = now + self.options.timing.init();
        out.push(LeaderAction::SaveEpoch(EpochFile::Accepted, self.epoch));
    }

    /// This server has promised the epoch: now the others are asked to.
    pub(super) fn announce_epoch(&mut self, now: Instant, out: &mut Vec<LeaderAction>) {
        self.phase = Phase::AwaitPromises;
        self.deadline = now + self.options.timing.init();
        let waiting = self.links.iter().filter(|(_, link)| link.stage == Stage::AwaitEpoch);
        for id in waiting.map(|(id, _)| *id).collect::<Vec<_>>() {
            self.tell_epoch(id, now, out);
        }
        self.enter_epoch_if_quorum(out);
    }

    fn tell_epoch(&mut self, id: LinkId, now: Instant, out: &mut Vec<LeaderAction>) {
        let Some(link) = self.links.get_mut(&id) else { return };
        link.stage = Stage::AwaitAckEpoch;
        link.deadline = now + self.options.timing.init();
        out.push(LeaderAction::Send(id, FromLeader::LeaderInfo { epoch: self.epoch }));
    }

    pub(super) fn on_ack_epoch(
        &mut self,
        id: LinkId,
        zxid: Zxid,
        current_epoch: Option<u32>,
        now: Instant,
        out: &mut Vec<LeaderAction>,
    ) {
        let Some(learner) = self.links.get(&id).map(|link| link.learner) else { return };
        if self.phase >= Phase::AwaitAcks {
            return match self.may_sync(learner) {
                true => self.sync(id, zxid, now, out),
                false => self.await_epoch_quorum(id, zxid, now),
            };
        }
        let ours = (self.before.current, self.initial);
        if let Some(epoch) = current_epoch.filter(|epoch| (*epoch, zxid) > ours) {
            return self.close(id, CloseReason::Ahead { epoch, zxid }, now, out);
        }
        self.await_epoch_quorum(id, zxid, now);
        if current_epoch.is_some() && zxid != Zxid::UNKNOWN {
            self.promised.insert(learner);
        }
        self.enter_epoch_if_quorum(out);
    }

    fn await_epoch_quorum(&mut self, id: LinkId, zxid: Zxid, now: Instant) {
        let Some(link) = self.links.get_mut(&id) else { return };
        link.stage = Stage::AwaitEpochQuorum(zxid);
        link.deadline = now + self.options.timing.init() + self.options.timing.sync();
    }

    /// This server votes with the epoch as soon as that is on disk: its log must be there before. Otherwise a crash
    /// could leave the newer epoch with less of the history than others have, and their votes would count for less.
    pub(super) fn enter_epoch_if_quorum(&mut self, out: &mut Vec<LeaderAction>) {
        if self.phase != Phase::AwaitPromises || self.durable < self.logged {
            return;
        }
        if !self.is_quorum(|id| self.promised.contains(&id)) {
            return self.ask_oracle(out);
        }
        self.phase = Phase::SavingCurrent;
        out.push(LeaderAction::SaveEpoch(EpochFile::Current, self.epoch));
    }
}

/// Zxids are signed: an epoch has 31 bits. Some are left for those who must go beyond it.
const EPOCH_MAX: u32 = 0x7fff_f000;
