use std::sync::Arc;

use crate::config::Configurations;
use crate::flow::CommitBatch;
use crate::format::wal::RecordBatch;
use crate::id::Zxid;
use crate::time::{Instant, WallTime};
use crate::tree::DataTree;
use crate::zab::packet::{FromLeader, FromLearner};
use crate::zab::{CloseReason, DownReason, EpochFile, LinkId};

/// What a driver must do for a member, in order. An action that is answered may be answered later than others
/// that come after it.
#[derive(Debug)]
pub enum Action {
    /// Send a packet to a learner.
    ToLearner(LinkId, FromLeader),
    /// Send a learner the tree that was taken for it, at this place among its packets, with
    /// [`crate::format::snapshot::SnapshotWriter::for_learner`]. Answer: [`super::Member::on_tree_sent`].
    SendTree(LinkId),
    /// Take the tree as it is published, for a learner. Answer: [`super::Member::on_tree_taken`].
    TakeTree(LinkId),
    /// Read the log for a learner: the last record that is not after `from` (its zxid only), and all from there to
    /// `upto` at least. Answer: [`super::Member::on_log_read`].
    ReadLog {
        /// The learner.
        link: LinkId,
        /// Where its log ends.
        from: Zxid,
        /// What is in memory follows this.
        upto: Zxid,
    },
    /// Close a learner's connection.
    CloseLearner(LinkId, CloseReason),
    /// Send a packet to the leader.
    ToLeader(FromLearner),
    /// Make an epoch durable. Answer: [`super::Member::on_epoch_saved`].
    SaveEpoch(EpochFile, u32),
    /// These are the configurations that the server goes by from now on: dial and listen by them, hold elections
    /// by them, and make them durable. Answer: [`super::Member::on_configurations_saved`].
    Configure(Configurations),
    /// Append to the log. Answer, when it is durable: [`super::Member::on_durable`].
    Append(RecordBatch),
    /// Cut the log off after this zxid, and make what is left durable; this is a cut. If asked, build a tree
    /// of what the disk then holds, which must be exactly that zxid's; if there is none, say
    /// [`super::Member::on_leader_failed`]. Answer: [`super::Member::on_truncated`].
    Truncate {
        /// The last transaction that stays.
        zxid: Zxid,
        /// Whether the database, too, has more than that.
        rebuild: bool,
    },
    /// This tree, which the leader sent, takes the place of everything: write it as a snapshot, and have the
    /// log hold nothing but what is appended from now on; this is a cut. Every role with an index takes it.
    /// What the log has after the tree's zxid must be gone before the snapshot counts. Answer:
    /// [`super::Member::on_tree_saved`].
    SaveTree(Arc<DataTree>),
    /// Every role with an index takes this tree instead. It is on disk.
    Replace(Arc<DataTree>),
    /// Ask the oracle whether this server may go on without the other one that votes. Answer:
    /// [`super::Member::on_oracle`].
    AskOracle,
    /// Publish.
    Publish(CommitBatch),
    /// Serve clients.
    Serve,
    /// Serve the clients that will do with reads.
    ServeReadOnly,
    /// Serve clients no more: a leader was found.
    EndReadOnly,
    /// Serve no clients, close them and the connections to leader and learners, and hold an election.
    Down(DownReason),
}

/// The time: as it passes, and as clients see it.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// On the clock that only goes forward.
    pub now: Instant,
    /// On the wall.
    pub wall: WallTime,
}
