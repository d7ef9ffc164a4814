use std::sync::Arc;

use ringkeeper_core::flow::CommitBatch;
use ringkeeper_core::tree::{DataTree, SnapshotTree};
use ringkeeper_core::zab::LinkId;

use crate::runtime::Sender;
use crate::snapshotter::Feed;
use crate::wiring::{Mode, Published, ToCommit, ToShard};

/// Everybody in this server who applies what is published.
pub struct Followers {
    /// How far has been published.
    pub published: Published,
    /// The shards.
    pub shards: Vec<Sender<ToShard>>,
    /// The snapshotter.
    pub snapshotter: Feed,
}

impl Followers {
    /// False while one is so far behind that nothing should be published: clients then wait for their
    /// replies. A later tick asks again.
    pub(crate) fn are_ready(&self) -> bool {
        !self.snapshotter.is_full()
    }

    /// Has the shards serve clients.
    pub(crate) fn serve(&self, mode: Mode) {
        self.to_shards(|| ToShard::Serve(Some(mode)));
    }

    /// Has the shards close every connection.
    pub(crate) fn stop_serving(&self) {
        self.to_shards(|| ToShard::Serve(None));
    }

    /// Gives everybody another state. Each gets an index of its own, which takes time in proportion.
    pub(crate) fn replace(&self, tree: &DataTree) {
        self.to_shards(|| ToShard::Replace(Box::new(tree.follower())));
        self.snapshotter.replace(SnapshotTree::of(tree), tree.digest());
    }

    /// What is published is known to be committed from now on, also what came from the log at the start.
    pub(crate) fn settle(&self) {
        self.snapshotter.settle();
    }

    /// Has the snapshotter freeze what is published now, for a learner: [`ToCommit::TreeTaken`].
    pub(crate) fn take_tree(&self, link: LinkId, done: Sender<ToCommit>) {
        self.snapshotter.freeze(move |tree| done.post(ToCommit::TreeTaken(link, tree)));
    }

    fn to_shards(&self, message: impl Fn() -> ToShard) {
        self.shards.iter().for_each(|shard| shard.post(message()));
    }

    /// Gives a batch to all.
    pub(crate) fn publish(&self, batch: CommitBatch) {
        let batch = Arc::new(batch);
        self.published.advance();
        for shard in &self.shards {
            shard.post(ToShard::Commit(Arc::clone(&batch)));
        }
        self.snapshotter.post(batch);
    }
}
