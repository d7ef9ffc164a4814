use std::sync::Arc;

use ringkeeper_core::flow::CommitBatch;

use crate::runtime::Sender;
use crate::snapshotter::Feed;
use crate::wiring::{Published, ToShard};

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
    pub(super) fn are_ready(&self) -> bool {
        !self.snapshotter.is_full()
    }

    /// Gives a batch to all.
    pub(super) fn publish(&self, batch: CommitBatch) {
        let batch = Arc::new(batch);
        self.published.advance();
        for shard in &self.shards {
            shard.post(ToShard::Commit(Arc::clone(&batch)));
        }
        self.snapshotter.post(batch);
    }
}
