//! Taking part (zab §7).

use super::{Learner, LearnerAction};
use crate::queue::pop_front_if;
use crate::zab::packet::{FromLeader, FromLearner, LearnerKind};
use crate::zab::reason::DownReason;

impl Learner {
    pub(super) fn on_broadcast(
        &mut self,
        packet: FromLeader,
        out: &mut Vec<LearnerAction>,
    ) -> Result<(), DownReason> {
        match packet {
            FromLeader::Proposal { zxid, payload } => {
                self.append(zxid, payload, out)?;
                if self.kind == LearnerKind::Follower {
                    self.unacked.push_back(zxid);
                }
            }
            FromLeader::Commit(zxid) => {
                self.tail.commit(zxid)?;
                self.deliver(out);
            }
            FromLeader::CommitAndActivate { zxid, designated } => {
                self.tail.commit(zxid)?;
                self.deliver(out);
                self.activate(zxid, designated, out)?;
            }
            FromLeader::Inform { zxid, payload } => {
                self.append(zxid, payload, out)?;
                self.tail.commit(zxid)?;
                self.deliver(out);
            }
            FromLeader::InformAndActivate { zxid, payload, designated } => {
                self.append(zxid, payload, out)?;
                self.tail.commit(zxid)?;
                self.deliver(out);
                self.activate(zxid, designated, out)?;
            }
            FromLeader::Ping(zxid) => out.push(LearnerAction::Pong(zxid)),
            FromLeader::Revalidated { session, valid } => {
                out.push(LearnerAction::Revalidated { session, valid });
            }
            FromLeader::Sync => out.push(LearnerAction::Synced),
            // Java sends UPTODATE once, but tolerates a second.
            FromLeader::UpToDate | FromLeader::Unknown(_) => {}
            other => return Err(self.unexpected(&other)),
        }
        Ok(())
    }

    /// Applies all that is committed. The leader's word is enough: a quorum has it on disk, whether or not
    /// this server is one of it.
    pub(super) fn deliver(&mut self, out: &mut Vec<LearnerAction>) {
        while let Some(logged) = self.tail.pop_committed() {
            out.push(LearnerAction::Deliver(logged));
        }
    }

    /// Acknowledges what is on disk, each transaction by itself and in order, as Java leaders need it.
    pub(super) fn ack(&mut self, out: &mut Vec<LearnerAction>) {
        while let Some(zxid) = pop_front_if(&mut self.unacked, |zxid| *zxid <= self.durable) {
            out.push(LearnerAction::Send(FromLearner::Ack(zxid)));
        }
    }
}
