//! The database as one role sees it: the tree of znodes, and the sessions.
//!
//! A [`Node`] is immutable and shared by all cores; a [`DataTree`] is one core's own index of them and
//! what hangs between them: who is whose child, each parent's counters, which ephemerals a session owns.
//! It changes only by [`Delta`]s, which the commit role makes and publishes and every other role applies
//! in the same order, so that each tree is exactly the state at some zxid. Applying a delta cannot fail;
//! it returns an [`Undo`], with which the commit role takes back what it applied before its time.
//!
//! Trees that begin as copies of one and apply the same deltas have each node in the same slot. So a delta is
//! published with its [`Place`], and only the commit role looks paths up to apply it: a shard has its table for
//! the reads of clients, and the snapshotter, which never looks for a path, has none ([`SnapshotTree`]). Where the commit
//! role and the shard are on one executor they [share](DataTree::share) one table. Only the commit role keeps the
//! tree's digest.
//!
//! ```text
//!   table: path -> slot     nodes[n]           links[n]                 families[m]
//!   +-----------+           +-----------+     +------------------+     +------------------+
//!   | "/a" -> 1 |---------->| Node "/a" |     | family -> m      |---->| children, first -|--+
//!   | "/a/b"->2 |---+       +-----------+     | next, prev       |     | cversion, pzxid  |  |
//!   +-----------+   |                         +------------------+     | parent           |  |
//!                   |       +-------------+   +------------------+     +------------------+  |
//!                   +------>| Node "/a/b" |   | parent -> 1      |<--------------------------+
//!                           +-------------+   | next, prev       |
//!                                             +------------------+
//! ```
//!
//! What a parent knows of its children (`cversion`, `pzxid`, their number) is not in its node, so that
//! creating a child copies no data; a node that never had a child has no family, and its `pzxid` is its
//! `czxid`. Siblings are linked, so that a child costs its parent no memory and no rehash. The table and
//! the slots grow in small parts: no step of growth is proportional to the tree.

mod data_tree;
mod delta;
mod digest;
mod freeze;
mod load;
mod node;
mod owner;
mod path;
mod paths;
mod slots;
mod table;
mod walk;

pub use data_tree::{DataTree, Found, LOOK_AHEAD, TreeOptions};
pub use delta::{Counters, Delta, Place, Undo};
pub use digest::DIGEST_VERSION;
pub(crate) use freeze::{AclLists, FrozenNode};
pub use freeze::{Frozen, SnapshotTree};
pub use load::{LoadError, Loader, Misplaced, Part};
pub use node::{Node, NodeFields};
pub use owner::Owner;
pub use path::{is_valid_path, parent_and_name, parent_of, parent_to_write, utf16_len};
pub use slots::Slot;
pub use walk::Walk;
