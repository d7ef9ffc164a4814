use std::collections::BTreeMap;

use crate::flow::{CommitBatch, Step};
use crate::id::Zxid;
use crate::ops::CONFIG_NODE;
use crate::tree::{DataTree, Delta};

/// What all servers together have shown.
#[derive(Default)]
pub(super) struct Checks {
    /// What each transaction changed, as the first server published it.
    history: BTreeMap<Zxid, String>,
    /// Who led each epoch.
    leaders: BTreeMap<u32, usize>,
    /// Paths whose creation was acknowledged to a client, in that order.
    pub(super) acknowledged: Vec<String>,
}

impl Checks {
    /// A server that leads serves.
    pub(super) fn on_established(&mut self, epoch: u32, server: usize) {
        let before = self.leaders.insert(epoch, server);
        assert_eq!(before, None, "epoch {epoch} has a second leader, {server}");
    }

    pub(super) fn elections(&self) -> usize {
        self.leaders.len()
    }

    /// A server publishes; `last` is the transaction that it published, or had in its tree, before. Returns the
    /// last one now.
    pub(super) fn on_publish(&mut self, server: usize, batch: &CommitBatch, mut last: Zxid) -> Zxid {
        let mut changes: Vec<(Zxid, String)> = Vec::new();
        for step in &batch.steps {
            match step {
                Step::Zxid(zxid) => changes.push((*zxid, String::new())),
                // A server shows a configuration that it did not learn of by a transaction.
                Step::Delta(Delta::SetData(node))
                    if node.path() == CONFIG_NODE
                        && changes.last().is_none_or(|(zxid, _)| *zxid != node.mzxid()) => {}
                Step::Delta(delta) => {
                    let (_, text) = changes.last_mut().expect("deltas belong to a transaction");
                    text.push_str(&format!("{delta:?};"));
                }
                Step::Reply(_) | Step::Close(_) => {}
            }
        }
        for (zxid, text) in changes {
            assert!(zxid > last, "server {server} publishes {zxid} after {last}");
            if zxid.counter() != 0 {
                let known = self.history.entry(zxid).or_insert_with(|| text.clone());
                assert_eq!(*known, text, "server {server} publishes another {zxid}");
                let skipped =
                    self.history.range((std::ops::Bound::Excluded(last), std::ops::Bound::Excluded(zxid)));
                assert_eq!(skipped.count(), 0, "server {server} skips what is before {zxid}, after {last}");
            }
            last = zxid;
        }
        last
    }

    /// All writes that were acknowledged are in the tree.
    pub(super) fn check_all(&self, tree: &DataTree, whose: &str) {
        self.check_tree(tree, &self.acknowledged, whose);
    }

    /// The tree is not older than it was when so many writes were acknowledged: it has the last of them. As
    /// it is a prefix of the one history, it has the others too.
    pub(super) fn check_fresh(&self, tree: &DataTree, count: usize) {
        self.check_tree(tree, &self.acknowledged[count.saturating_sub(10)..count], "a read after a sync");
    }

    fn check_tree(&self, tree: &DataTree, acknowledged: &[String], whose: &str) {
        for path in acknowledged {
            assert!(tree.get(path).is_some(), "{whose} lacks {path}, which was acknowledged");
        }
    }
}
