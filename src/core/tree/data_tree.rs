mod look_ahead;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fmt;
use std::ops::Bound;

use super::delta::{Counters, Delta, Place, Undo};
use super::digest::{self, LastCounted};
use super::load::Notes;
use super::node::{Node, NodeFields};
use super::owner::Owner;
use super::path::{parent_of, utf16_len};
use super::paths::Paths;
use super::slots::{Slot, Slots};
use super::table::Table;
use crate::id::{SessionId, Zxid};
use crate::proto::{Acl, AclRef, Stat, perms};
pub use look_ahead::LOOK_AHEAD;

/// One role's index of the nodes, and its sessions. See the module's documentation.
///
/// A clone is another role's index of the same nodes: it costs time and memory in proportion to their
/// number, but not to their data.
#[derive(Clone)]
pub struct DataTree {
    options: TreeOptions,
    paths: Paths,
    slots: Slots,
    ephemerals: HashMap<SessionId, HashSet<Slot>>,
    ephemerals_count: usize,
    /// Containers and TTL nodes: what the reaper looks at.
    expendables: BTreeSet<Slot>,
    sessions: BTreeMap<SessionId, i32>,
    last_zxid: Zxid,
    /// As far as there are paths.
    approximate_data_size: u64,
    /// As far as it is kept, see [`TreeOptions::digest`].
    digest: u64,
    last_counted: LastCounted,
}

/// What a tree must know of the server's configuration.
#[derive(Clone, Copy, Debug, Default)]
pub struct TreeOptions {
    /// `extendedTypesEnabled`: whether owners from 0xff00000000000000 mean nodes with a time to live.
    pub extended_types: bool,
    /// `digest.enabled`: whether the tree's digest is kept.
    pub digest: bool,
    /// Seeds the table's hash; clients must not know it.
    pub seed: u64,
}

/// A node that was looked up.
#[derive(Clone, Copy)]
pub struct Found<'a> {
    /// The node.
    pub node: &'a Node,
    /// Where it lives.
    pub slot: Slot,
    tree: &'a DataTree,
}

impl DataTree {
    /// The database of a server that has never run: the built-in nodes (server-semantics §2).
    pub fn new(options: TreeOptions) -> DataTree {
        let mut tree = DataTree::empty(options);
        let read_only = AclRef::new([Acl { perms: perms::READ, ..AclRef::open()[0].clone() }]);
        tree.add_built_in("/", 0, AclRef::open());
        tree.add_built_in("/zookeeper", 0, AclRef::open());
        tree.add_built_in("/zookeeper/quota", 0, AclRef::open());
        tree.add_built_in("/zookeeper/config", -1, read_only);
        for path in ["/", "/zookeeper"] {
            tree.count_in(tree.slot(path));
        }
        tree
    }

    /// The tree for another role: its own index of the same nodes, which keeps no digest.
    pub fn follower(&self) -> DataTree {
        let mut tree = self.clone();
        tree.options.digest = false;
        tree
    }

    /// As [`DataTree::follower`], of a role on the same executor that applies later what this tree applies from now on:
    /// both trees share one table of paths. If this one shares its table already, the other has a table of its own.
    pub fn share(&mut self) -> DataTree {
        let paths = self.paths.share();
        let slots = self.slots.clone();
        let options = TreeOptions { digest: false, ..self.options };
        DataTree {
            options,
            paths,
            slots,
            ephemerals: self.ephemerals.clone(),
            expendables: self.expendables.clone(),
            sessions: self.sessions.clone(),
            last_counted: LastCounted::default(),
            ..*self
        }
    }

    /// What the snapshotter follows with, see [`super::SnapshotTree`].
    pub(super) fn without_paths(&self) -> DataTree {
        DataTree {
            paths: Paths::None,
            slots: self.slots.clone(),
            sessions: self.sessions.clone(),
            last_zxid: self.last_zxid,
            ..DataTree::empty(TreeOptions { digest: false, ..self.options })
        }
    }

    /// A tree without a root.
    fn empty(options: TreeOptions) -> DataTree {
        DataTree {
            options,
            paths: Paths::Own(Table::new(options.seed)),
            slots: Slots::default(),
            ephemerals: HashMap::new(),
            ephemerals_count: 0,
            expendables: BTreeSet::new(),
            sessions: BTreeMap::new(),
            last_zxid: Zxid::ZERO,
            approximate_data_size: 0,
            digest: 0,
            last_counted: LastCounted::default(),
        }
    }

    /// A tree of what was loaded, to which the [notes](DataTree::note_loaded) of its nodes come yet.
    pub(super) fn of_loaded(
        options: TreeOptions,
        table: Table,
        slots: Slots,
        sessions: BTreeMap<SessionId, i32>,
        zxid: Zxid,
    ) -> DataTree {
        DataTree { paths: Paths::Own(table), slots, sessions, last_zxid: zxid, ..DataTree::empty(options) }
    }

    /// Takes what was noted of some of the nodes while they were loaded.
    pub(super) fn note_loaded(&mut self, notes: Notes) {
        self.approximate_data_size += notes.data_size;
        self.digest = self.digest.wrapping_add(notes.digest);
        notes.counters.into_iter().for_each(|(slot, counters)| self.set_counters(slot, Some(counters)));
        notes.owners.into_iter().for_each(|(slot, owner)| self.note_owner(slot, owner));
    }

    /// The node at exactly this path.
    pub fn get(&self, path: &str) -> Option<Found<'_>> {
        let slot = self.paths.look(|table| table.find(path, &self.slots))??;
        self.at(slot)
    }

    /// As [`DataTree::get`], where it is likely that the node is in this slot, whatever is.
    pub fn get_near(&self, path: &str, slot: Slot) -> Option<Found<'_>> {
        match self.slots.try_node(slot) {
            Some(node) if node.path_bytes() == path.as_bytes() => Some(Found { node, slot, tree: self }),
            _ => self.get(path),
        }
    }

    /// The node in this slot.
    pub fn at(&self, slot: Slot) -> Option<Found<'_>> {
        Some(Found { node: self.slots.node(slot)?, slot, tree: self })
    }

    /// The zxid of the last transaction applied.
    pub fn last_zxid(&self) -> Zxid {
        self.last_zxid
    }

    /// Notes that everything up to `zxid` has been applied; failed requests have a zxid and no delta.
    pub fn advance(&mut self, zxid: Zxid) {
        self.last_zxid = self.last_zxid.max(zxid);
    }

    /// Notes that what came after `zxid` has been taken back, with [`DataTree::undo`].
    pub fn rewind(&mut self, zxid: Zxid) {
        self.last_zxid = self.last_zxid.min(zxid);
    }

    /// The open sessions and their timeouts in milliseconds, by id.
    pub fn sessions(&self) -> &BTreeMap<SessionId, i32> {
        &self.sessions
    }

    /// The nodes that go with a session, in no particular order.
    pub fn ephemerals(&self, session: SessionId) -> impl Iterator<Item = &Node> {
        let slots = self.ephemerals.get(&session).into_iter().flatten();
        slots.filter_map(|slot| self.slots.node(*slot))
    }

    /// The sessions that own ephemerals.
    pub fn ephemeral_owners(&self) -> impl Iterator<Item = SessionId> {
        self.ephemerals.keys().copied()
    }

    /// The containers and the nodes with a time to live, by slot.
    pub fn expendables(&self) -> impl Iterator<Item = Found<'_>> {
        self.expendables_after(None)
    }

    /// The containers and the nodes with a time to live whose slots come after this one, by slot: a look
    /// at all of them can be taken in parts, between which the tree may change.
    pub fn expendables_after(&self, slot: Option<Slot>) -> impl Iterator<Item = Found<'_>> {
        let from = slot.map_or(Bound::Unbounded, Bound::Excluded);
        self.expendables.range((from, Bound::Unbounded)).filter_map(|slot| self.at(*slot))
    }

    /// How many ephemeral nodes there are.
    pub fn ephemerals_count(&self) -> usize {
        self.ephemerals_count
    }

    /// How many nodes there are, as ZooKeeper counts them: the root twice.
    pub fn node_count(&self) -> usize {
        self.slots.count() + 1
    }

    /// The sum of the lengths of paths and data, as ZooKeeper counts it (server-semantics §2).
    pub fn approximate_data_size(&self) -> u64 {
        self.approximate_data_size
    }

    /// The tree's digest, of version [`DIGEST_VERSION`](super::DIGEST_VERSION), if this tree keeps it.
    pub fn digest(&self) -> Option<u64> {
        self.options.digest.then_some(self.digest)
    }

    /// The stat that clients see of a node that has never had a child.
    pub fn stat_of_childless(&self, node: &Node) -> Stat {
        Stat {
            czxid: node.czxid(),
            mzxid: node.mzxid(),
            ctime: node.ctime(),
            mtime: node.mtime(),
            version: node.version(),
            cversion: 0,
            aversion: node.aversion(),
            ephemeral_owner: self.owner(node).on_the_wire(),
            data_length: node.data_len() as i32,
            num_children: 0,
            pzxid: node.czxid(),
        }
    }

    /// What kind of node this is.
    pub fn owner(&self, node: &Node) -> Owner {
        Owner::from_stored(node.owner(), self.options.extended_types)
    }

    /// Applies one step of the transaction `zxid`, and looks up first where that is.
    ///
    /// # Panics
    ///
    /// If the delta does not fit the tree: a created node exists or its parent does not, a changed or
    /// deleted one doesn't exist, or a deleted one has children. Such a delta breaks our own promise.
    pub fn apply(&mut self, zxid: Zxid, delta: &Delta) -> Undo {
        self.apply_at(zxid, delta, self.place_of(delta))
    }

    /// Where a step is that is applied next.
    ///
    /// # Panics
    ///
    /// As [`DataTree::apply`] does.
    pub fn place_of(&self, delta: &Delta) -> Place {
        match delta {
            Delta::Create { node, .. } => self.place(delta, self.parent_slot(node.path())),
            Delta::SetData(node)
            | Delta::SetSilently(node)
            | Delta::Delete(node)
            | Delta::SetCounters { node, .. } => self.place(delta, self.slot(node.path())),
            Delta::OpenSession { .. } | Delta::CloseSession(_) => Place::NOWHERE,
        }
    }

    /// Where a step is that is applied next, if `slot` is the node's; for a new node, its parent's.
    pub fn place(&self, delta: &Delta, slot: Slot) -> Place {
        match delta {
            Delta::Create { .. } => Place { slot: self.slots.next_free(), parent: slot },
            _ => Place { slot, parent: Slot::NONE },
        }
    }

    /// Applies one step like [`DataTree::apply`], at a place of this tree, or of one that had the same steps.
    pub fn apply_at(&mut self, zxid: Zxid, delta: &Delta, place: Place) -> Undo {
        let slot = place.slot;
        match delta {
            Delta::Create { node, parent_cversion } => {
                Undo::Uncreate { slot, parent: self.create(node.clone(), *parent_cversion, place, zxid) }
            }
            Delta::SetData(node) | Delta::SetSilently(node) => {
                Undo::Restore { slot, node: self.replace(slot, node.clone()) }
            }
            Delta::Delete(_) => self.delete(slot, zxid),
            Delta::SetCounters { counters, .. } => {
                let before = self.slots.family(slot).map(Counters::from);
                self.recount(slot, Some(*counters));
                Undo::Recount { slot, counters: before }
            }
            Delta::OpenSession { id, timeout_ms } => match self.sessions.insert(*id, *timeout_ms) {
                None => Undo::Unopen(*id),
                Some(before) => Undo::Reopen(*id, before),
            },
            Delta::CloseSession(id) => match self.sessions.remove(id) {
                Some(timeout_ms) => Undo::Reopen(*id, timeout_ms),
                None => Undo::Nothing,
            },
        }
    }

    /// Takes back what [`DataTree::apply`] did, last first. The zxid stays: that of a transaction that changed
    /// nothing.
    pub fn undo(&mut self, undo: Undo) {
        match undo {
            Undo::Uncreate { slot, parent } => {
                let parent_slot = self.slots.parent(slot);
                self.count_out(slot);
                self.count_out(parent_slot);
                let node = self.take_out(slot);
                self.paths.on_uncreate(slot, node.path_bytes());
                self.set_counters(parent_slot, parent);
                self.count_in(parent_slot);
            }
            Undo::Restore { slot, node } => {
                self.replace(slot, node);
            }
            Undo::Undelete { node, place, own, parent } => {
                self.count_out(place.parent);
                self.paths.on_undelete(place.slot, node.path_bytes());
                self.put_in(node, place);
                self.set_counters(place.slot, own);
                self.set_counters(place.parent, parent);
                self.count_in(place.parent);
                self.count_in(place.slot);
            }
            Undo::Recount { slot, counters } => self.recount(slot, counters),
            Undo::Unopen(id) => {
                self.sessions.remove(&id);
            }
            Undo::Reopen(id, timeout_ms) => {
                self.sessions.insert(id, timeout_ms);
            }
            Undo::Nothing => {}
        }
    }

    /// Returns what the parent knew of its children before.
    fn create(&mut self, node: Node, parent_cversion: i32, place: Place, zxid: Zxid) -> Option<Counters> {
        let before = self.slots.family(place.parent).map(Counters::from);
        debug_assert!(self.get(node.path()).is_none(), "{} is created and exists", node.path());
        self.paths.on_create(place.slot, node.path_bytes());
        self.put_in(node, place);
        let family = self.slots.family_mut(place.parent);
        if family.cversion != parent_cversion {
            family.cversion = parent_cversion;
            family.pzxid = zxid;
        }
        let after = Counters::from(&*family);
        self.count_in(place.slot);
        self.recounted(place.parent, before, after);
        before
    }

    fn delete(&mut self, slot: Slot, zxid: Zxid) -> Undo {
        let own = self.slots.family(slot).map(Counters::from);
        assert!(
            self.slots.family(slot).is_none_or(|family| family.children == 0),
            "{:?} is deleted and has children",
            self.slots.node(slot)
        );
        let place = Place { slot, parent: self.slots.parent(slot) };
        let parent = self.slots.family(place.parent).map(Counters::from);
        self.count_out(slot);
        let node = self.take_out(slot);
        self.paths.on_delete(slot, node.path_bytes());
        let family = self.slots.family_mut(place.parent);
        family.pzxid = family.pzxid.max(zxid);
        let after = Counters::from(&*family);
        self.recounted(place.parent, parent, after);
        Undo::Undelete { node, place, own, parent }
    }

    /// Puts a node in the place of another with the same path, which it returns.
    fn replace(&mut self, slot: Slot, node: Node) -> Node {
        let data_len = node.data_len();
        self.count_out(slot);
        let before = self.slots.replace(slot, node);
        let before = before.unwrap_or_else(|| unreachable!("a slot found by path holds a node"));
        self.count_in(slot);
        if !self.paths.is_none() {
            self.approximate_data_size += data_len as u64;
            self.approximate_data_size -= before.data_len() as u64;
        }
        before
    }

    fn recount(&mut self, slot: Slot, counters: Option<Counters>) {
        self.count_out(slot);
        self.set_counters(slot, counters);
        self.count_in(slot);
    }

    /// Adds a node to the digest, as it is now.
    fn count_in(&mut self, slot: Slot) {
        if self.options.digest {
            self.digest = self.digest.wrapping_add(self.digest_at(slot));
        }
    }

    /// Takes a node, as it is now, out of the digest.
    fn count_out(&mut self, slot: Slot) {
        if self.options.digest {
            self.digest = self.digest.wrapping_sub(self.digest_at(slot));
        }
    }

    /// Takes a node whose counters have changed into the digest as it is, and out as it was.
    fn recounted(&mut self, slot: Slot, before: Option<Counters>, after: Counters) {
        if self.options.digest
            && let Some(node) = self.slots.node(slot)
        {
            self.digest = self.digest.wrapping_add(self.last_counted.change(node, before, after));
        }
    }

    fn digest_at(&self, slot: Slot) -> u64 {
        let counters = self.slots.family(slot).map(Counters::from);
        self.slots.node(slot).map_or(0, |node| digest::of(node, counters))
    }

    /// Adds a node whose path is free, below its parent, which stays otherwise as it was.
    fn put_in(&mut self, node: Node, place: Place) {
        let Place { slot, parent } = place;
        if !self.paths.is_none() {
            self.approximate_data_size += size_of_node(&node);
            self.note_owner(slot, self.owner(&node));
        }
        self.slots.insert(slot, node, parent);
        if parent != Slot::NONE {
            self.slots.link(parent, slot);
        }
    }

    fn note_owner(&mut self, slot: Slot, owner: Owner) {
        match owner {
            Owner::None => {}
            Owner::Session(session) => {
                self.ephemerals.entry(session).or_default().insert(slot);
                self.ephemerals_count += 1;
            }
            Owner::Container | Owner::Ttl(_) => {
                self.expendables.insert(slot);
            }
        }
    }

    fn take_out(&mut self, slot: Slot) -> Node {
        self.slots.unlink(self.slots.parent(slot), slot);
        let node =
            self.slots.remove(slot).unwrap_or_else(|| unreachable!("a slot found by path holds a node"));
        if !self.paths.is_none() {
            self.approximate_data_size -= size_of_node(&node);
            self.forget_owner(slot, self.owner(&node));
        }
        node
    }

    fn forget_owner(&mut self, slot: Slot, owner: Owner) {
        match owner {
            Owner::None => {}
            Owner::Session(session) => {
                if let Some(owned) = self.ephemerals.get_mut(&session) {
                    owned.remove(&slot);
                    if owned.is_empty() {
                        self.ephemerals.remove(&session);
                    }
                }
                self.ephemerals_count -= 1;
            }
            Owner::Container | Owner::Ttl(_) => {
                self.expendables.remove(&slot);
            }
        }
    }

    fn set_counters(&mut self, slot: Slot, counters: Option<Counters>) {
        match counters {
            Some(Counters { cversion, pzxid }) => {
                let family = self.slots.family_mut(slot);
                (family.cversion, family.pzxid) = (cversion, pzxid);
            }
            None => self.slots.drop_family(slot),
        }
    }

    fn slot(&self, path: &str) -> Slot {
        let found = self.get(path).map(|found| found.slot);
        found.unwrap_or_else(|| panic!("a delta changes {path}, which does not exist"))
    }

    fn parent_slot(&self, path: &str) -> Slot {
        parent_of(path).map_or(Slot::NONE, |parent| self.slot(parent))
    }

    fn add_built_in(&mut self, path: &str, aversion: i32, acl: AclRef) {
        let fields = NodeFields {
            czxid: Zxid::ZERO,
            mzxid: Zxid::ZERO,
            ctime: 0,
            mtime: 0,
            version: 0,
            aversion,
            owner: 0,
            acl,
        };
        let place = Place { slot: self.slots.next_free(), parent: self.parent_slot(path) };
        self.paths.on_create(place.slot, path.as_bytes());
        self.put_in(Node::new(path, Some(b""), fields), place);
    }
}

impl fmt::Debug for DataTree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} nodes at {}", self.node_count(), self.last_zxid)
    }
}

impl<'a> Found<'a> {
    /// The stat as clients see it.
    pub fn stat(&self) -> Stat {
        let num_children = self.num_children() as i32;
        Stat {
            cversion: self.cversion().wrapping_mul(2).wrapping_sub(num_children),
            num_children,
            pzxid: self.pzxid(),
            ..self.tree.stat_of_childless(self.node)
        }
    }

    /// The stored `cversion`: how many children were ever created.
    pub fn cversion(&self) -> i32 {
        self.tree.slots.family(self.slot).map_or(0, |family| family.cversion)
    }

    /// The zxid of the last creation or deletion of a child; of the node's own creation if there was none.
    pub fn pzxid(&self) -> Zxid {
        self.tree.slots.family(self.slot).map_or(self.node.czxid(), |family| family.pzxid)
    }

    /// How many children the node has.
    pub fn num_children(&self) -> usize {
        self.tree.slots.family(self.slot).map_or(0, |family| family.children as usize)
    }

    /// The node that this one is a child of; none of the root.
    pub fn parent(&self) -> Option<Found<'a>> {
        self.tree.at(self.tree.slots.parent(self.slot).some()?)
    }

    /// The first of [`Found::children`].
    pub(super) fn first_child(&self) -> Option<Found<'a>> {
        self.tree.at(self.tree.slots.family(self.slot)?.first.some()?)
    }

    /// What comes after this node among its parent's [`Found::children`].
    pub(super) fn next_sibling(&self) -> Option<Found<'a>> {
        self.tree.at(self.tree.slots.next(self.slot).some()?)
    }

    /// The children, the last created first.
    pub fn children(&self) -> impl Iterator<Item = Found<'a>> + use<'a> {
        std::iter::successors(self.first_child(), Found::next_sibling)
    }

    /// How many nodes are below this one, on all levels. Takes time in proportion.
    pub fn descendants_count(&self) -> usize {
        let mut pending = vec![*self];
        let mut count = 0;
        while let Some(found) = pending.pop() {
            for child in found.children() {
                count += 1;
                if child.num_children() > 0 {
                    pending.push(child);
                }
            }
        }
        count
    }

    /// What kind of node it is.
    pub fn owner(&self) -> Owner {
        self.tree.owner(self.node)
    }
}

/// A node's share of `approximate_data_size`. The root's second name is empty and adds nothing.
pub(super) fn size_of_node(node: &Node) -> u64 {
    let path = node.path_bytes();
    let path_len = if path.is_ascii() { path.len() } else { utf16_len(node.path()) };
    (path_len + node.data_len()) as u64
}

#[cfg(test)]
mod tests;
