use std::collections::{BTreeMap, HashSet};
use std::fmt;

use super::database::{Database, Trail};
use crate::error::Code;
use crate::id::Zxid;
use crate::tree::{DataTree, Delta, Found, Node, Slot, Undo, parent_of};

/// The subtrees that have a quota (server-semantics §7): those with a node `zookeeper_limits` in the
/// place below `/zookeeper/quota` that stands for them. Follows from the tree alone.
#[derive(Debug, Default)]
pub(super) struct Quotas {
    roots: HashSet<Box<str>>,
}

/// What a write adds to a subtree, or takes from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct UsageChange {
    pub(super) nodes: i64,
    pub(super) bytes: i64,
}

impl Quotas {
    /// The quotas in this tree.
    pub(super) fn of(tree: &DataTree) -> Quotas {
        let mut quotas = Quotas::default();
        let mut pending: Vec<Found<'_>> = tree.get(QUOTA).into_iter().collect();
        while let Some(found) = pending.pop() {
            quotas.add(found.node);
            pending.extend(found.children());
        }
        quotas
    }

    pub(super) fn is_empty(&self) -> bool {
        self.roots.is_empty()
    }

    /// Takes note of a change of the tree.
    pub(super) fn follow(&mut self, delta: &Delta) {
        match delta {
            Delta::Create { node, .. } => self.add(node),
            Delta::Delete(node) => self.remove(node),
            _ => {}
        }
    }

    /// Takes note that a change of the tree is about to be undone.
    pub(super) fn take_back(&mut self, undo: &Undo, tree: &DataTree) {
        match undo {
            Undo::Uncreate { slot, .. } => {
                tree.at(*slot).inspect(|found| self.remove(found.node));
            }
            Undo::Undelete { node, .. } => self.add(node),
            _ => {}
        }
    }

    /// Whether the node's quota allows the change.
    ///
    /// # Errors
    ///
    /// [`Code::QuotaExceeded`] if hard limits are enforced and this would exceed one.
    pub(super) fn check(
        &self,
        tree: &DataTree,
        path: &str,
        change: UsageChange,
        enforce: bool,
    ) -> Result<(), Code> {
        if !enforce {
            return Ok(());
        }
        let Some(root) = self.root_of(path) else { return Ok(()) };
        let Some(stats) = tree.get(&quota_path(root, STATS)) else { return Ok(()) };
        let (limits, usage) =
            (QuotaLimits::in_node(tree.get(&quota_path(root, LIMITS))), QuotaLimits::in_node(Some(stats)));
        let exceeds =
            |limit: i64, used: i64, change: i64| limit > NONE && used.saturating_add(change) > limit;
        let too_many = change.nodes > 0 && exceeds(limits.get(COUNT_HARD), usage.get(COUNT), change.nodes);
        let too_large = change.bytes != 0 && exceeds(limits.get(BYTES_HARD), usage.get(BYTES), change.bytes);
        if too_many || too_large { Err(Code::QuotaExceeded) } else { Ok(()) }
    }

    /// The rewritten statistics of the quota that this node counts for, if there is one, and where they
    /// are.
    pub(super) fn updated_stats(
        &self,
        tree: &DataTree,
        path: &str,
        change: UsageChange,
    ) -> Option<(Delta, Slot)> {
        let stats = tree.get(&quota_path(self.root_of(path)?, STATS))?;
        let mut usage = QuotaLimits::in_node(Some(stats));
        usage.set(COUNT, usage.get(COUNT).saturating_add(change.nodes));
        usage.set(BYTES, usage.get(BYTES).saturating_add(change.bytes));
        let node = stats.node.with_silent_data(usage.to_string().as_bytes());
        Some((Delta::SetSilently(node), stats.slot))
    }

    /// The deepest subtree with a quota that the node is in.
    fn root_of<'p>(&self, path: &'p str) -> Option<&'p str> {
        let mut at = (!self.roots.is_empty()).then_some(path)?;
        while !self.roots.contains(at) {
            at = parent_of(at)?;
        }
        Some(at)
    }

    fn add(&mut self, node: &Node) {
        if let Some(root) = subtree_of(node.path(), LIMITS) {
            self.roots.insert(root.into());
        }
    }

    fn remove(&mut self, node: &Node) {
        if let Some(root) = subtree_of(node.path(), LIMITS) {
            self.roots.remove(root);
        }
    }
}

impl Database {
    /// Gives a node that a client just created to hold a subtree's statistics the true ones.
    pub(super) fn count_stats_node(&mut self, zxid: Zxid, path: &str, trail: &mut impl Trail) {
        if let Some((delta, slot)) = subtree_of(path, STATS).and_then(|subtree| self.counted(subtree)) {
            self.change(zxid, delta, slot, trail);
        }
    }

    /// Counts every subtree that has a quota anew, as Java does when it loads a snapshot: in one that was
    /// written while the tree changed, the statistics are of another moment than the subtree.
    pub(super) fn recount(&mut self) {
        let counted: Vec<_> = self.quotas.roots.iter().filter_map(|subtree| self.counted(subtree)).collect();
        for (delta, slot) in counted {
            self.change(self.tree.last_zxid(), delta, slot, &mut ());
        }
    }

    /// The true statistics of a subtree, and where they go, if it has a node for them.
    fn counted(&self, subtree: &str) -> Option<(Delta, Slot)> {
        let stats = self.tree.get(&quota_path(subtree, STATS))?;
        let (nodes, bytes) = self.tree.get(subtree).map_or((0, 0), usage_of);
        let mut usage = QuotaLimits::default();
        usage.set(COUNT, nodes);
        usage.set(BYTES, bytes);
        let node = stats.node.with_silent_data(usage.to_string().as_bytes());
        Some((Delta::SetSilently(node), stats.slot))
    }
}

/// The text of a quota's limits, or of what is used of it: numbers by name. Prints as ZooKeeper writes it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QuotaLimits(BTreeMap<Box<str>, i64>);

impl QuotaLimits {
    /// Reads the text; what is not a number under a name is left out.
    pub fn parse(text: &str) -> QuotaLimits {
        let pairs = text.split([',', ';']).filter_map(|pair| {
            let mut parts = pair.split('=');
            let (name, value) = (parts.next()?, parts.next()?);
            let value = if value.is_empty() { NONE } else { value.parse().ok()? };
            Some((name.into(), value))
        });
        QuotaLimits(pairs.collect())
    }

    /// The number under this name; -1 if there is none, which means that there is no limit.
    pub fn get(&self, name: &str) -> i64 {
        self.0.get(name).copied().unwrap_or(NONE)
    }

    fn set(&mut self, name: &str, value: i64) {
        self.0.insert(name.into(), value);
    }

    fn in_node(found: Option<Found<'_>>) -> QuotaLimits {
        let data = found.and_then(|found| found.node.data()).unwrap_or_default();
        QuotaLimits::parse(&String::from_utf8_lossy(data))
    }
}

impl fmt::Display for QuotaLimits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{COUNT}={},{BYTES}={}", self.get(COUNT), self.get(BYTES))?;
        let others = || self.0.iter().filter(|(name, _)| !matches!(&***name, COUNT | BYTES));
        if others().next().is_some() {
            // The lonely sign lets servers of 3.4 read the bytes, and stop there.
            write!(f, "=")?;
        }
        others().try_for_each(|(name, value)| write!(f, ";{name}={value}"))
    }
}

/// The nodes and bytes of a subtree, its root included. Takes time in proportion.
fn usage_of(root: Found<'_>) -> (i64, i64) {
    let mut pending = vec![root];
    let (mut nodes, mut bytes) = (0, 0);
    while let Some(found) = pending.pop() {
        nodes += 1;
        bytes += found.node.data_len() as i64;
        pending.extend(found.children());
    }
    (nodes, bytes)
}

/// The path of the subtree that a node of this name below `/zookeeper/quota` speaks of. The root has no
/// quota.
fn subtree_of<'p>(path: &'p str, name: &str) -> Option<&'p str> {
    let subtree = path.strip_prefix(QUOTA)?.strip_suffix(name)?.strip_suffix('/')?;
    (!subtree.is_empty()).then_some(subtree)
}

fn quota_path(subtree: &str, name: &str) -> String {
    format!("{QUOTA}{subtree}/{name}")
}

const QUOTA: &str = "/zookeeper/quota";
const LIMITS: &str = "zookeeper_limits";
const STATS: &str = "zookeeper_stats";
const COUNT: &str = "count";
const BYTES: &str = "bytes";
const COUNT_HARD: &str = "countHardLimit";
const BYTES_HARD: &str = "byteHardLimit";
const NONE: i64 = -1;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_read_back_as_zookeeper_writes_them() {
        for text in [
            "count=5,bytes=-1",
            "count=5,bytes=10=;byteHardLimit=20;countHardLimit=-1",
            "count=-1,bytes=-1=;countHardLimit=3",
        ] {
            assert_eq!(QuotaLimits::parse(text).to_string(), text);
        }
        assert_eq!(QuotaLimits::parse("").to_string(), "count=-1,bytes=-1");
        assert_eq!(QuotaLimits::parse("bytes=,count=x;;y").to_string(), "count=-1,bytes=-1");
    }

    #[test]
    fn a_quota_s_node_names_its_subtree() {
        assert_eq!(subtree_of("/zookeeper/quota/a/b/zookeeper_limits", LIMITS), Some("/a/b"));
        for path in
            ["/zookeeper/quota/zookeeper_limits", "/a/zookeeper_limits", "/zookeeper/quota/a/zookeeper_stats"]
        {
            assert_eq!(subtree_of(path, LIMITS), None, "{path}");
        }
    }
}
