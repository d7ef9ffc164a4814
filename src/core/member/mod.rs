//! The commit role of an ensemble's server as one state machine: the database ([`crate::prep`]) and the
//! protocol ([`crate::zab`]) joined, whoever leads.
//!
//! ```text
//!                    lead                                follow
//!   Leading <-------------------------- Looking ---------------------------> Learning
//!   Pipeline orders, Leader commits  |           |   Learner hears of commits, Replica applies them
//!            '------- Down: rolled back ---> tail <--- Down: logged, not committed ----'
//! ```
//!
//! A server that looks in vain for long may serve reads, of what was published last ([`crate::prep::ReadOnly`]):
//! [`Action::ServeReadOnly`], until [`Action::EndReadOnly`].
//!
//! A server that follows may have learners too: observers, for which it is in its leader's place
//! ([`crate::zab::ObserverMaster`]).
//!
//! What survives a change of role is the database as it was published, and the [`Tail`]: transactions in the
//! log that are not known to be committed. A server that leads applies its tail when a quorum has it; one
//! that follows learns from its leader what of it is right.
//!
//! # What a driver does
//!
//! It hands in what comes (turns of shards, packets, the log's promises, time), ends the turn with
//! [`Member::end_turn`] when there is nothing more at the moment, takes the [`Action`]s, and performs them in
//! their order; those that say so are answered when they are done. It owns the sockets: which
//! connection a [`LinkId`](crate::zab::LinkId) is, what waits to be sent on it and how much may, the dialling of the leader. Which
//! of them are used when is decided by the member's [`Seat`], which also tells when there must be an election,
//! and takes its outcome.
//!
//! Who the other servers are, the member knows too, and says so with [`Action::Configure`] whenever that changes:
//! what one reconfig after another makes of them, what a leader that is joined goes by, what others told in an
//! election.
//!
//! The snapshotter must write no state later than [`Member::published`]: what is recovered from a log is not
//! known to be committed before the first [`Action::Serve`].

mod action;
mod leading;
mod learning;
mod links;
mod looking;
mod report;
mod seat;
mod storage;
#[cfg(test)]
mod tests;

pub use action::{Action, Moment};
use leading::Leading;
use learning::Learning;
use looking::Looking;
pub use report::MemberFigures;
pub use seat::{Attempt, Duty, LeaderEvent, LearnerEvent, Seat};
use storage::Storage;

use std::sync::Arc;
use std::time::Duration;

use crate::config::{Configurations, Membership};
use crate::durable::Durable;
use crate::flow::ShardTurn;
use crate::id::{ServerId, Zxid};
use crate::log_room::LogRoom;
use crate::ops::{CONFIG_NODE, Digests};
use crate::prep::{Pipeline, PipelineOptions};
use crate::tree::DataTree;
use crate::zab::{DownReason, EpochFile, Epochs, History, Leader, Learner, Tail, ZabOptions};

/// The machine. See the module's documentation.
pub struct Member {
    options: MemberOptions,
    epochs: Epochs,
    storage: Storage,
    history: History,
    role: Role,
    log_room: LogRoom,
    /// The role that begins once the disk has done what it was asked for.
    next: Option<Start>,
    /// The newest epoch that another server is known to have promised. One that this server opens is newer.
    outpromised: u32,
}

/// What a member must know of its server and ensemble.
#[derive(Clone, Debug)]
pub struct MemberOptions {
    /// For the protocol.
    pub zab: ZabOptions,
    /// For ordering requests.
    pub pipeline: PipelineOptions,
    /// How long this server looks for a leader before it serves reads meanwhile (`readonlymode.enabled`);
    /// `None` if it never does.
    pub read_only_after: Option<Duration>,
    /// Whether this server brings observers up to date while it follows (`observerMasterPort`).
    pub has_observers: bool,
    /// From which number of a transaction on a leader orders nothing more in its epoch, so that a new one
    /// begins: [`ROLLOVER_AT`].
    pub rollover_at: u32,
}

/// Where a leader leaves its epoch before the numbers of its transactions end: early enough for what is on
/// its way.
pub const ROLLOVER_AT: u32 = u32::MAX - (1 << 20);

/// How far a server is: what it votes for itself with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// Its `currentEpoch`.
    pub epoch: u32,
    /// The end of its log.
    pub zxid: Zxid,
}

enum Role {
    Looking(Box<Looking>),
    Leading(Box<Leading>),
    Learning(Box<Learning>),
    /// Only within a call.
    Between,
}

#[derive(Clone, Copy)]
enum Start {
    Lead,
    Follow(ServerId),
}

impl Member {
    /// A server that has recovered: `pipeline` has applied the whole log, whose last transactions are
    /// `history`. `epochs` is what the disk says; an epoch of the last transaction that is later than
    /// `currentEpoch`, which a crash during a sync leaves, takes its place. So does what the log says of a reconfig
    /// that is under way: [`Member::configurations`] are those that the server goes by, and are to be on disk.
    pub fn new(mut options: MemberOptions, pipeline: Pipeline, epochs: Epochs, history: History) -> Member {
        let last = pipeline.last_zxid();
        heed_logged_reconfig(&mut options.zab, pipeline.tree());
        let current = epochs.current.max(last.epoch());
        Member {
            epochs: Epochs { current, accepted: epochs.accepted.max(current) },
            storage: Storage::new(last),
            history,
            role: Role::Looking(Box::new(Looking::new(pipeline, Tail::new(last)))),
            log_room: LogRoom::default(),
            next: None,
            outpromised: 0,
            options,
        }
    }

    /// Which server this is.
    pub fn id(&self) -> ServerId {
        self.options.zab.id
    }

    /// The database is empty and must not be trusted to be so rightly: the disk may have been wiped, and with it
    /// what this server helped to acknowledge. Until a leader has brought it up to date, its vote counts for
    /// nothing (`db.autocreate=false`, election §3.2). To be said before the first role begins.
    pub fn distrust(&mut self) {
        if let Role::Looking(looking) = &mut self.role {
            looking.distrust();
        }
    }

    /// How far this server is; a zxid that is [`Zxid::UNKNOWN`] if it is [not trusted](Member::distrust).
    pub fn position(&self) -> Position {
        let zxid = match &self.role {
            Role::Looking(looking) => looking.tail().last(),
            Role::Leading(leading) => leading.last_zxid(),
            Role::Learning(learning) => learning.learner().last_zxid(),
            Role::Between => Zxid::ZERO,
        };
        Position { epoch: self.epochs.current, zxid }
    }

    /// The epochs as they are on disk.
    pub fn epochs(&self) -> Epochs {
        self.epochs
    }

    /// The last transaction that was published, or recovered.
    pub fn published(&self) -> Zxid {
        match &self.role {
            Role::Looking(looking) => looking.tail().applied(),
            Role::Leading(leading) => leading.pipeline().published(),
            Role::Learning(learning) => learning.replica().last_zxid(),
            Role::Between => Zxid::ZERO,
        }
    }

    /// The database. Of a server that leads, it is ahead of what is published.
    pub fn tree(&self) -> &DataTree {
        match &self.role {
            Role::Looking(looking) => looking.pipeline().tree(),
            Role::Leading(leading) => leading.pipeline().tree(),
            Role::Learning(learning) => learning.replica().tree(),
            Role::Between => unreachable!("a member is between roles only within a call"),
        }
    }

    /// What is known of the digests of [`Member::tree`].
    pub fn digests(&self) -> &Digests {
        match &self.role {
            Role::Looking(looking) => looking.pipeline().digests(),
            Role::Leading(leading) => leading.pipeline().digests(),
            Role::Learning(learning) => learning.replica().digests(),
            Role::Between => unreachable!("a member is between roles only within a call"),
        }
    }

    /// The leader's machine, if this server leads or tries to.
    pub fn leader(&self) -> Option<&Leader> {
        match &self.role {
            Role::Leading(leading) => Some(leading.leader()),
            _ => None,
        }
    }

    /// The learner's machine, if this server follows or tries to.
    pub fn learner(&self) -> Option<&Learner> {
        match &self.role {
            Role::Learning(learning) => Some(learning.learner()),
            _ => None,
        }
    }

    /// Whether observers may be [handed over](Member::on_accepted): this server follows, serves, and is to have
    /// some.
    pub fn takes_observers(&self) -> bool {
        matches!(&self.role, Role::Learning(learning) if learning.observers().is_some())
    }

    /// Whether this server looks for a leader.
    pub fn is_looking(&self) -> bool {
        matches!(self.role, Role::Looking(_)) && self.next.is_none()
    }

    /// Whether clients are served that will do with reads, since there is no leader.
    pub fn is_read_only(&self) -> bool {
        matches!(&self.role, Role::Looking(looking) if looking.is_serving())
    }

    /// Whether clients are served, and may write.
    pub fn is_serving(&self) -> bool {
        match &self.role {
            Role::Leading(leading) => leading.leader().is_established(),
            Role::Learning(learning) => learning.learner().is_serving(),
            Role::Looking(_) | Role::Between => false,
        }
    }

    /// The configurations that this server goes by.
    pub fn configurations(&self) -> &Configurations {
        match &self.role {
            Role::Leading(leading) => leading.leader().configurations(),
            Role::Learning(learning) => learning.learner().configurations(),
            Role::Looking { .. } | Role::Between => &self.options.zab.configurations,
        }
    }

    /// How many clients' requests wait for an answer.
    pub fn outstanding(&self) -> usize {
        match &self.role {
            Role::Leading(leading) => leading.pipeline().outstanding() + leading.leader().outstanding(),
            Role::Learning(learning) => learning.replica().outstanding(),
            Role::Looking(_) | Role::Between => 0,
        }
    }

    /// This server was elected. Ignored unless it [looks for a leader](Member::is_looking). It may have to
    /// wait for the disk: learners' connections are to be given to it once [`Member::leader`] has a leader.
    pub fn lead(&mut self, at: Moment, out: &mut Vec<Action>) {
        if self.is_looking() {
            self.next = Some(Start::Lead);
            self.finish(at, out);
        }
    }

    /// This server is connected to the leader that was elected. Ignored unless it [looks for
    /// one](Member::is_looking). It follows as what its configuration makes of it.
    pub fn follow(&mut self, leader: ServerId, at: Moment, out: &mut Vec<Action>) {
        if self.is_looking() {
            self.next = Some(Start::Follow(leader));
            self.finish(at, out);
        }
    }

    /// Another server told of a newer configuration in an election, which is adopted. Ignored unless this
    /// server looks for a leader: a leader says itself what holds.
    pub fn on_configuration_heard(
        &mut self,
        membership: &Arc<Membership>,
        at: Moment,
        out: &mut Vec<Action>,
    ) {
        let Role::Looking(looking) = &self.role else { return };
        if self.options.zab.configurations.commit(membership) {
            // It may have gone by its file alone until now. What is in the tail has been seen.
            if let Some(logged) = logged_reconfig(&self.options.zab, looking.pipeline().tree())
                && logged.version() > self.options.zab.configurations.last_seen().version()
            {
                self.options.zab.configurations.see(&Arc::new(logged));
            }
            self.storage.save_configurations(self.options.zab.configurations.clone(), out);
            self.finish(at, out);
        }
    }

    /// [`Action::Configure`] is done.
    pub fn on_configurations_saved(&mut self, at: Moment, out: &mut Vec<Action>) {
        self.storage.on_settled();
        self.tell_leader(at, out, |leader, done| leader.on_configurations_saved(at.now, done));
        self.tell_learner(out, |learner, done| learner.on_configurations_saved(done));
        self.finish(at, out);
    }

    /// A shard's turn. Nothing of it counts if this server serves no clients.
    pub fn on_turn(&mut self, turn: ShardTurn, at: Moment, out: &mut Vec<Action>) {
        match &mut self.role {
            Role::Leading(leading) => leading.on_turn(turn, at, &mut self.storage, out),
            Role::Learning(learning) => {
                learning.on_turn(turn, at, &mut self.storage, &mut self.history, out);
            }
            Role::Looking(looking) => looking.on_turn(turn, at, out),
            Role::Between => {}
        }
        self.finish(at, out);
    }

    /// Lets time pass. To be called several times in a `tickTime`.
    pub fn on_tick(&mut self, at: Moment, out: &mut Vec<Action>) {
        match &mut self.role {
            Role::Leading(leading) => leading.on_tick(at, &mut self.storage, out),
            Role::Looking(looking) => {
                let may_serve = self.next.is_none() && self.storage.is_settled();
                looking.on_tick(at, self.options.read_only_after.filter(|_| may_serve), out);
            }
            Role::Learning(learning) => {
                learning.on_tick(at, &mut self.storage, &mut self.history, out);
            }
            Role::Between => {}
        }
        self.tell_learner(out, |learner, done| learner.on_tick(at.now, done));
        self.finish(at, out);
    }

    /// The log's promise, and how many cuts it had made by then: what was promised before a cut says nothing
    /// of what was appended after it under the same numbers.
    pub fn on_durable(&mut self, durable: Durable, cuts: u64, at: Moment, out: &mut Vec<Action>) {
        if self.storage.on_durable(durable, cuts) {
            self.tell_leader(at, out, |leader, done| leader.on_durable(durable, at.now, done));
            self.tell_learner(out, |learner, done| learner.on_durable(durable, done));
            self.finish(at, out);
        }
    }

    /// The answer to [`Action::AskOracle`].
    pub fn on_oracle(&mut self, grants: bool, at: Moment, out: &mut Vec<Action>) {
        self.tell_leader(at, out, |leader, done| leader.on_oracle(grants, at.now, done));
        self.finish(at, out);
    }

    /// From now on the log has this much room.
    pub fn on_log_room(&mut self, room: LogRoom) {
        self.log_room = room;
        if let Role::Leading(leading) = &mut self.role {
            leading.on_log_room(room);
        }
    }

    /// [`Action::SaveEpoch`] is done.
    pub fn on_epoch_saved(&mut self, file: EpochFile, epoch: u32, at: Moment, out: &mut Vec<Action>) {
        match file {
            EpochFile::Accepted => self.epochs.accepted = epoch,
            EpochFile::Current => self.epochs.current = epoch,
        }
        self.storage.on_settled();
        self.tell_leader(at, out, |leader, done| leader.on_epoch_saved(file, at.now, done));
        self.tell_learner(out, |learner, done| learner.on_epoch_saved(file, done));
        self.finish(at, out);
    }

    /// [`Action::Truncate`] is done: what is left of the log is durable. `rebuilt` is what the disk holds now,
    /// if that was asked for.
    pub fn on_truncated(&mut self, rebuilt: Option<DataTree>, at: Moment, out: &mut Vec<Action>) {
        self.storage.on_truncated();
        let zxid = rebuilt.as_ref().map(DataTree::last_zxid);
        if let Some(tree) = rebuilt {
            out.push(Action::Replace(Arc::new(tree.clone())));
            match &mut self.role {
                Role::Learning(learning) => learning.replace(tree),
                Role::Looking(looking) => looking.replace(tree),
                Role::Leading(_) | Role::Between => {}
            }
        }
        self.tell_learner(out, |learner, done| learner.on_truncated(zxid, done));
        self.finish(at, out);
    }

    /// [`Action::SaveTree`] is done.
    pub fn on_tree_saved(&mut self, at: Moment, out: &mut Vec<Action>) {
        self.storage.on_tree_saved();
        self.tell_learner(out, |learner, done| learner.on_tree_saved(done));
        self.finish(at, out);
    }

    /// Hands the log what was appended, and publishes what may be. To be called when a driver has handed in all
    /// that it has at the moment: what came together is written and published together.
    pub fn end_turn(&mut self, out: &mut Vec<Action>) {
        match &mut self.role {
            Role::Leading(leading) => leading.publish(&mut self.storage, out),
            Role::Learning(learning) => learning.publish(&mut self.storage, out),
            // It publishes at once what it answers.
            Role::Looking(_) | Role::Between => self.storage.flush(out),
        }
    }

    /// Ends a role that is over, and begins one that can.
    fn finish(&mut self, at: Moment, out: &mut Vec<Action>) {
        self.end_role(out);
        if self.storage.is_settled()
            && let Some(start) = self.next.take()
        {
            self.begin_role(start, at, out);
            self.end_role(out);
        }
    }

    fn begin_role(&mut self, start: Start, at: Moment, out: &mut Vec<Action>) {
        let Role::Looking(looking) = std::mem::replace(&mut self.role, Role::Between) else {
            unreachable!("a role begins only while a member looks for a leader")
        };
        let (pipeline, tail) = looking.end(out);
        let log = self.storage.log();
        self.role = match start {
            Start::Lead => {
                let epochs = Epochs { accepted: self.epochs.accepted.max(self.outpromised), ..self.epochs };
                let mut leading =
                    Leading::new(&self.options, pipeline, tail, epochs, &self.history, log.1, at);
                leading.on_log_room(self.log_room);
                leading.begin(at, &mut self.storage, out);
                Role::Leading(Box::new(leading))
            }
            Start::Follow(leader) => {
                let mut learning = Learning::new(&self.options, pipeline, leader, self.epochs, tail, log, at);
                learning.begin(&mut self.storage, &mut self.history, out);
                Role::Learning(Box::new(learning))
            }
        };
    }

    fn end_role(&mut self, out: &mut Vec<Action>) {
        let reason = match &mut self.role {
            Role::Leading(leading) => leading.take_end(),
            Role::Learning(learning) => learning.take_end(),
            Role::Looking(_) | Role::Between => None,
        };
        let Some(reason) = reason else { return };
        self.options.zab.configurations = self.configurations().clone();
        if let DownReason::Outpromised { theirs, .. } = reason {
            self.outpromised = self.outpromised.max(theirs);
        }
        self.role = match std::mem::replace(&mut self.role, Role::Between) {
            Role::Leading(leading) => {
                let (pipeline, tail) = leading.end(&mut self.storage, &mut self.history, out);
                Role::Looking(Box::new(Looking::new(pipeline, tail)))
            }
            Role::Learning(learning) => {
                let (pipeline, tail) = learning.end(&mut self.storage, out);
                let mut looking = Looking::new(pipeline, tail);
                if let DownReason::CannotTruncate { .. } = reason {
                    // A leader's whole tree may have come with what was never committed, and without the log
                    // before it. There is no way back from there but another whole tree.
                    looking.distrust();
                }
                Role::Looking(Box::new(looking))
            }
            other => other,
        };
        out.push(Action::Down(reason));
    }
}

/// What is proposed, the log decides, as it does for everything else. It may have a reconfig whose file a crash has
/// prevented. And it may lack one whose file was quicker: who has not logged a proposal has acknowledged none, so that
/// it is not committed without others that are ahead; and who went by it would need their votes to lead, and so would
/// they, who may not lead before it is committed.
///
/// A server whose configuration no leader has established yet goes by its file alone: what its log has is of an
/// ensemble that was configured otherwise since. Nor does a log have what opens an epoch.
fn heed_logged_reconfig(options: &mut ZabOptions, tree: &DataTree) {
    let last_seen = options.configurations.last_seen().version();
    let opens_epoch = Zxid(last_seen).counter() == 0;
    let logged = logged_reconfig(options, tree);
    if let Some(logged) = logged.filter(|logged| logged.version() > last_seen || !opens_epoch) {
        options.configurations.see(&Arc::new(logged));
    }
}

/// The last reconfig that the database has, if that counts.
fn logged_reconfig(options: &ZabOptions, tree: &DataTree) -> Option<Membership> {
    let counts = options.reconfig.is_some() && options.configurations.committed().version() != 0;
    let found = tree.get(CONFIG_NODE).filter(|_| counts)?;
    Membership::of_peer(found.node.data().unwrap_or_default()).ok()
}

/// The text of the configuration, if its node does not show it and is to: a server whose configuration only
/// changes with its files shows that, others what was agreed on last.
fn unshown(committed: &Membership, is_static: bool, tree: &DataTree) -> Option<String> {
    let shown = tree.get(CONFIG_NODE).and_then(|found| found.node.data());
    let text = committed.text();
    let version = shown.and_then(|shown| Membership::of_peer(shown).ok()).map(|shown| shown.version());
    let is_right = match is_static {
        true => shown == Some(text.as_bytes()),
        false => version.is_some_and(|version| version >= committed.version()),
    };
    (!is_right).then_some(text)
}
