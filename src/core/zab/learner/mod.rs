//! A follower or observer of a leader, decided without I/O (zab §§3, 6, 7).
//!
//! ```text
//!  AwaitLeaderInfo --> SavingAccepted --> AwaitSync --> Syncing --> Stabilizing --> AwaitStart --> Serving
//!                 LEADERINFO        ACKEPOCH     DIFF  |  NEWLEADER      |   UPTODATE
//!                                                TRUNC |                 | all of the log, the tree and
//!                                                SNAP  |                 | currentEpoch are durable: ACK
//!                                   proposals, commits '-- appended to the log as they come
//! ```
//!
//! The log is ahead of the database: what is proposed is appended at once and waits in the [`Tail`] until it
//! is committed. So a TRUNC mostly cuts what no client has seen, and needs nothing undone. The transactions
//! that the log gets during the sync are a prefix of the leader's history, so a crash in the middle leaves a
//! log that is true, whatever `currentEpoch` says: at a start it is raised to the epoch of the log's last
//! transaction, which has followed all that there was before that epoch.
//!
//! An ACK is a promise about the disk: [`Learner::on_durable`] is the only road to one.

mod broadcast;
mod reconfig;
mod syncing;
mod tail;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::sync::Arc;

pub use tail::Tail;

use super::history::Logged;
use super::options::{EpochFile, Epochs, ZabOptions};
use super::packet::{FromLeader, FromLearner, LearnerInfo, LearnerKind, PROTOCOL_VERSION, Payload};
use super::reason::DownReason;
use crate::config::{Configurations, Membership, Part};
use crate::durable::Durable;
use crate::flow::ForwardedRequest;
use crate::id::{ServerId, SessionId, Zxid};
use crate::time::Instant;

/// What must be done for a learner, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LearnerAction {
    /// Send a packet to the leader.
    Send(FromLearner),
    /// Make the epoch durable and say [`Learner::on_epoch_saved`].
    SaveEpoch(EpochFile, u32),
    /// These are the configurations that this server goes by from now on. Once they are on disk, say
    /// [`Learner::on_configurations_saved`].
    Configure(Configurations),
    /// Append to the log.
    Append(Logged),
    /// Cut the log off after this zxid and say [`Learner::on_truncated`]. If the database is beyond it,
    /// build it anew from the disk.
    Truncate {
        /// The last transaction that stays.
        zxid: Zxid,
        /// Whether the database has more than that.
        rebuild: bool,
    },
    /// The received tree is the database from now on. Drop the log, make the tree durable, and say [`Learner::on_tree_saved`].
    SaveTree,
    /// Apply a committed transaction.
    Deliver(Logged),
    /// Clients may be served.
    Serve,
    /// The leader pings: send the sessions that were heard, with this zxid.
    Pong(Zxid),
    /// The leader's word on a session.
    Revalidated {
        /// The session.
        session: SessionId,
        /// Whether it is open.
        valid: bool,
    },
    /// The oldest sync is done.
    Synced,
    /// The learner follows no more. The connection is to be closed.
    Down(DownReason),
}

impl LearnerAction {
    /// The transaction that is to be applied, if the action is that.
    pub fn delivered(&self) -> Option<&Logged> {
        match self {
            LearnerAction::Deliver(logged) => Some(logged),
            _ => None,
        }
    }
}

/// The learner's machine. See the module's documentation.
pub struct Learner {
    options: ZabOptions,
    leader: ServerId,
    kind: LearnerKind,
    epochs: Epochs,
    stage: Stage,
    /// The leader's epoch, once it is known.
    epoch: u32,
    tail: Tail,
    /// The last record of the log. The tail may end later, with a zxid that opens an epoch and has no record.
    logged: Zxid,
    /// What of the log is on disk.
    durable: Zxid,
    /// What must be on disk before NEWLEADER is acknowledged.
    needed: Zxid,
    /// What is logged and must be acknowledged, in order.
    unacked: VecDeque<Zxid>,
    /// What the leader is to be told must be durable first.
    storage: Storage,
    /// The configuration of NEWLEADER, until UPTODATE says that it holds.
    offered: Option<Arc<Membership>>,
    deadline: Instant,
    last_heard: Instant,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    AwaitLeaderInfo,
    SavingAccepted,
    AwaitSync,
    /// The tree has been announced, and is coming.
    AwaitTree(Zxid),
    Syncing,
    /// NEWLEADER came; the disk must have everything first.
    Stabilizing,
    SavingCurrent,
    AwaitStart,
    Serving,
    Down,
}

/// What the driver has not said to be done yet.
#[derive(Clone, Copy, Debug, Default)]
struct Storage {
    truncation: Option<Zxid>,
    is_saving_tree: bool,
    /// How many changes of the configurations.
    unsaved_configurations: usize,
}

impl Learner {
    /// A learner that has connected to its leader, as what its configuration makes of it. Its database and log are as `tail` says; the log's last
    /// record is `logged`, and it is on disk up to `durable`.
    pub fn new(
        options: ZabOptions,
        leader: ServerId,
        epochs: Epochs,
        tail: Tail,
        (logged, durable): (Zxid, Zxid),
        now: Instant,
        out: &mut Vec<LearnerAction>,
    ) -> Learner {
        let committed = options.configurations.committed();
        let kind = kind_of(committed.part(options.id));
        let info = LearnerInfo {
            kind,
            accepted_epoch: epochs.accepted,
            id: Some(options.id),
            protocol_version: PROTOCOL_VERSION,
            config_version: Some(committed.version()),
        };
        out.push(LearnerAction::Send(FromLearner::Info(info)));
        Learner {
            deadline: now + options.timing.init(),
            options,
            leader,
            kind,
            epochs,
            stage: Stage::AwaitLeaderInfo,
            epoch: 0,
            tail,
            logged,
            durable,
            needed: Zxid::ZERO,
            unacked: VecDeque::new(),
            storage: Storage::default(),
            offered: None,
            last_heard: now,
        }
    }

    /// The leader sent a packet.
    pub fn on_packet(&mut self, packet: FromLeader, now: Instant, out: &mut Vec<LearnerAction>) {
        if self.stage == Stage::Down {
            return;
        }
        self.hear(now);
        let done = match self.stage {
            Stage::AwaitLeaderInfo => self.on_leader_info(packet, out),
            Stage::AwaitSync => self.on_sync_start(packet, out),
            Stage::Syncing | Stage::Stabilizing | Stage::SavingCurrent | Stage::AwaitStart => {
                self.on_sync_packet(packet, now, out)
            }
            Stage::Serving => self.on_broadcast(packet, out),
            Stage::SavingAccepted | Stage::AwaitTree(_) | Stage::Down => Err(self.unexpected(&packet)),
        };
        if let Err(reason) = done {
            self.down(reason, out);
        }
    }

    /// Some of the leader's tree has come.
    pub fn on_tree_bytes(&mut self, now: Instant) {
        self.hear(now);
    }

    /// The connection is gone.
    pub fn on_closed(&mut self, out: &mut Vec<LearnerAction>) {
        self.down(DownReason::LeaderLost, out);
    }

    /// The driver found the leader's bytes to be no packets, or cannot do what it was asked for.
    pub fn on_failed(&mut self, reason: DownReason, out: &mut Vec<LearnerAction>) {
        self.down(reason, out);
    }

    /// Lets time pass.
    pub fn on_tick(&mut self, now: Instant, out: &mut Vec<LearnerAction>) {
        // Nothing is expected of the leader while this server's own disk is at work.
        let is_own_turn =
            matches!(self.stage, Stage::SavingAccepted | Stage::Stabilizing | Stage::SavingCurrent);
        if is_own_turn {
            self.deadline = self.deadline.max(now + self.options.timing.sync());
        } else if now >= self.deadline {
            let ms = now.since(self.last_heard).as_millis() as u64;
            self.down(DownReason::LeaderSilent { ms }, out);
        }
    }

    /// The epoch is durable that [`LearnerAction::SaveEpoch`] named.
    pub fn on_epoch_saved(&mut self, file: EpochFile, out: &mut Vec<LearnerAction>) {
        match (self.stage, file) {
            (Stage::SavingAccepted, EpochFile::Accepted) => {
                self.epochs.accepted = self.epoch;
                self.promise(Some(self.epochs.current), out);
            }
            (Stage::SavingCurrent, EpochFile::Current) => {
                self.epochs.current = self.epoch;
                self.ack_new_leader(out);
            }
            _ => {}
        }
    }

    /// The log has come so far, and has cut off all that it was told to cut off before.
    pub fn on_durable(&mut self, durable: Durable, out: &mut Vec<LearnerAction>) {
        self.durable = self.durable.max(durable.upto());
        match self.stage {
            Stage::Stabilizing => self.stabilize(out),
            Stage::Serving => self.ack(out),
            _ => {}
        }
    }

    /// Forwards a client's request.
    pub fn forward(&mut self, request: ForwardedRequest, out: &mut Vec<LearnerAction>) {
        if self.stage == Stage::Serving {
            out.push(LearnerAction::Send(FromLearner::Request(request)));
        }
    }

    /// Asks the leader whether a session that came here is open.
    pub fn revalidate(&mut self, session: SessionId, timeout_ms: i32, out: &mut Vec<LearnerAction>) {
        if self.stage == Stage::Serving {
            out.push(LearnerAction::Send(FromLearner::Revalidate { session, timeout_ms }));
        }
    }

    /// Whether it follows as an observer or as a follower.
    pub fn kind(&self) -> LearnerKind {
        self.kind
    }

    /// The configurations that it goes by.
    pub fn configurations(&self) -> &Configurations {
        &self.options.configurations
    }

    /// Whether clients are served.
    pub fn is_serving(&self) -> bool {
        self.stage == Stage::Serving
    }

    /// Where the log ends.
    pub fn last_zxid(&self) -> Zxid {
        self.tail.last()
    }

    /// The leader's epoch; zero until it is known.
    pub fn epoch(&self) -> u32 {
        self.epoch
    }

    /// What is left when the learner is down: what is in the log beyond the database.
    pub fn into_tail(self) -> Tail {
        self.tail
    }

    fn on_leader_info(&mut self, packet: FromLeader, out: &mut Vec<LearnerAction>) -> Result<(), DownReason> {
        let FromLeader::LeaderInfo { epoch } = packet else { return Err(self.unexpected(&packet)) };
        let ours = self.epochs.accepted;
        self.epoch = epoch;
        match epoch.cmp(&ours) {
            std::cmp::Ordering::Less => return Err(DownReason::OldEpoch { theirs: epoch, ours }),
            std::cmp::Ordering::Equal => self.promise(None, out),
            std::cmp::Ordering::Greater => {
                self.stage = Stage::SavingAccepted;
                out.push(LearnerAction::SaveEpoch(EpochFile::Accepted, epoch));
            }
        }
        Ok(())
    }

    fn promise(&mut self, current_epoch: Option<u32>, out: &mut Vec<LearnerAction>) {
        let zxid = self.tail.last();
        self.stage = Stage::AwaitSync;
        out.push(LearnerAction::Send(FromLearner::AckEpoch { zxid, current_epoch }));
    }

    fn hear(&mut self, now: Instant) {
        let timing = self.options.timing;
        self.last_heard = now;
        self.deadline = now + if self.stage == Stage::Serving { timing.sync() } else { timing.init() };
    }

    fn append(
        &mut self,
        zxid: Zxid,
        payload: Payload,
        out: &mut Vec<LearnerAction>,
    ) -> Result<(), DownReason> {
        let logged = Logged { zxid, payload };
        self.tail.push(logged.clone())?;
        self.logged = zxid;
        self.note_reconfig(&logged, out)?;
        out.push(LearnerAction::Append(logged));
        Ok(())
    }

    fn down(&mut self, reason: DownReason, out: &mut Vec<LearnerAction>) {
        if self.stage != Stage::Down {
            self.stage = Stage::Down;
            out.push(LearnerAction::Down(reason));
        }
    }

    fn unexpected(&self, packet: &FromLeader) -> DownReason {
        let awaited = match self.stage {
            Stage::AwaitLeaderInfo => "LEADERINFO",
            Stage::AwaitSync => "DIFF, TRUNC or SNAP",
            Stage::AwaitTree(_) => "a tree",
            Stage::Syncing => "NEWLEADER",
            Stage::AwaitStart => "UPTODATE",
            Stage::SavingAccepted | Stage::Stabilizing | Stage::SavingCurrent => "its own disk",
            Stage::Serving | Stage::Down => "proposals, commits and pings",
        };
        DownReason::Unexpected { packet: name(packet), awaited }
    }
}

/// How a server follows. One that the configuration does not name acknowledges what it logs, though that does
/// not count.
fn kind_of(part: Part) -> LearnerKind {
    match part {
        Part::Observer => LearnerKind::Observer,
        Part::Voter | Part::None => LearnerKind::Follower,
    }
}

fn name(packet: &FromLeader) -> &'static str {
    match packet {
        FromLeader::LeaderInfo { .. } => "LEADERINFO",
        FromLeader::Diff(_) => "DIFF",
        FromLeader::Trunc(_) => "TRUNC",
        FromLeader::Snap(_) => "SNAP",
        FromLeader::NewLeader { .. } => "NEWLEADER",
        FromLeader::UpToDate => "UPTODATE",
        FromLeader::Proposal { .. } => "PROPOSAL",
        FromLeader::Commit(_) => "COMMIT",
        FromLeader::CommitAndActivate { .. } => "COMMITANDACTIVATE",
        FromLeader::Inform { .. } => "INFORM",
        FromLeader::InformAndActivate { .. } => "INFORMANDACTIVATE",
        FromLeader::Ping(_) => "PING",
        FromLeader::Revalidated { .. } => "REVALIDATE",
        FromLeader::Sync => "SYNC",
        FromLeader::Unknown(_) => "a packet of unknown kind",
    }
}
