//! From ACKEPOCH to UPTODATE (zab §6).

use super::{Learner, LearnerAction, Stage, Storage};
use crate::id::Zxid;
use crate::time::Instant;
use crate::zab::options::EpochFile;
use crate::zab::packet::{FromLeader, FromLearner, LearnerKind};
use crate::zab::reason::DownReason;

impl Learner {
    pub(super) fn on_sync_start(
        &mut self,
        packet: FromLeader,
        out: &mut Vec<LearnerAction>,
    ) -> Result<(), DownReason> {
        self.tail.forget_commits();
        self.stage = Stage::Syncing;
        match packet {
            FromLeader::Diff(_) => self.tail.commit_all(),
            FromLeader::Trunc(zxid) => {
                let rebuild = self.tail.truncate(zxid)?;
                self.tail.commit_all();
                (self.logged, self.durable) = (self.logged.min(zxid), self.durable.min(zxid));
                self.forget_reconfigs_after(zxid, out);
                self.storage.truncation = Some(zxid);
                out.push(LearnerAction::Truncate { zxid, rebuild });
            }
            FromLeader::Snap(zxid) => self.stage = Stage::AwaitTree(zxid),
            other => {
                self.stage = Stage::AwaitSync;
                return Err(self.unexpected(&other));
            }
        }
        Ok(())
    }

    /// The log is cut off and durable up to there. `rebuilt` is the zxid of the database that was built
    /// anew, if that was asked for.
    pub fn on_truncated(&mut self, rebuilt: Option<Zxid>, out: &mut Vec<LearnerAction>) {
        let Some(zxid) = self.storage.truncation.take() else { return };
        if rebuilt.is_some_and(|rebuilt| rebuilt != zxid && zxid.counter() != 0) {
            return self.down(DownReason::CannotTruncate { zxid }, out);
        }
        self.durable = self.durable.max(zxid);
        self.stabilize(out);
    }

    /// The whole tree has come, and is the database now.
    pub fn on_tree(&mut self, now: Instant, out: &mut Vec<LearnerAction>) {
        let Stage::AwaitTree(zxid) = self.stage else { return };
        self.hear(now);
        self.tail.restart(zxid);
        (self.logged, self.durable) = (zxid, Zxid::ZERO);
        self.storage.is_saving_tree = true;
        self.stage = Stage::Syncing;
        out.push(LearnerAction::SaveTree);
    }

    /// The tree is durable.
    pub fn on_tree_saved(&mut self, out: &mut Vec<LearnerAction>) {
        if std::mem::take(&mut self.storage.is_saving_tree) {
            self.durable = self.durable.max(self.tail.applied());
            self.stabilize(out);
        }
    }

    pub(super) fn on_sync_packet(
        &mut self,
        packet: FromLeader,
        now: Instant,
        out: &mut Vec<LearnerAction>,
    ) -> Result<(), DownReason> {
        match packet {
            FromLeader::Proposal { zxid, payload } => {
                self.append(zxid, payload, out)?;
                if self.stage != Stage::Syncing && self.kind == LearnerKind::Follower {
                    self.unacked.push_back(zxid);
                }
            }
            FromLeader::Inform { zxid, payload } => {
                self.append(zxid, payload, out)?;
                self.tail.commit(zxid)?;
            }
            FromLeader::InformAndActivate { zxid, payload, designated } => {
                self.append(zxid, payload, out)?;
                self.tail.commit(zxid)?;
                self.activate(zxid, designated, out)?;
            }
            FromLeader::Commit(zxid) => self.tail.commit(zxid)?,
            FromLeader::CommitAndActivate { zxid, designated } => {
                self.tail.commit(zxid)?;
                self.activate(zxid, designated, out)?;
            }
            FromLeader::NewLeader { zxid, config } if self.stage == Stage::Syncing => {
                if zxid != Zxid::new(self.epoch, 0) {
                    return Err(DownReason::OutOfOrder { expected: Zxid::new(self.epoch, 0), found: zxid });
                }
                if self.kind == LearnerKind::Follower {
                    self.unacked = self.tail.uncommitted().collect();
                }
                self.note_offer(zxid, config.as_deref(), out)?;
                self.stage = Stage::Stabilizing;
                self.needed = self.logged;
                self.stabilize(out);
            }
            FromLeader::UpToDate if self.stage == Stage::AwaitStart => {
                self.take_offer(out)?;
                self.stage = Stage::Serving;
                self.hear(now);
                self.deliver(out);
                out.push(LearnerAction::Serve);
                out.push(LearnerAction::Send(FromLearner::Ack(Zxid::new(self.epoch, 0))));
                self.ack(out);
            }
            // Java passes them over here, and so the leader counts no answer.
            FromLeader::Ping(_) | FromLeader::Unknown(_) => {}
            other => return Err(self.unexpected(&other)),
        }
        Ok(())
    }

    /// Enters the epoch once everything is on disk that the learner had when NEWLEADER came.
    pub(super) fn stabilize(&mut self, out: &mut Vec<LearnerAction>) {
        let Storage { truncation, is_saving_tree, unsaved_configurations } = self.storage;
        let is_settled = truncation.is_none() && !is_saving_tree && unsaved_configurations == 0;
        let is_stored = is_settled && self.durable >= self.needed;
        if self.stage != Stage::Stabilizing || !is_stored {
            return;
        }
        // Even if it is the epoch that it was in: what is known of that may come from the log's last
        // transaction, which may just have been cut off.
        self.stage = Stage::SavingCurrent;
        out.push(LearnerAction::SaveEpoch(EpochFile::Current, self.epoch));
    }

    pub(super) fn ack_new_leader(&mut self, out: &mut Vec<LearnerAction>) {
        self.stage = Stage::AwaitStart;
        out.push(LearnerAction::Send(FromLearner::Ack(Zxid::new(self.epoch, 0))));
    }
}
