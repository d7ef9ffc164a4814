use super::LoadError;
use crate::chunks::CHUNK_LEN;
use crate::id::Zxid;
use crate::tree::data_tree::{TreeOptions, size_of_node};
use crate::tree::delta::Counters;
use crate::tree::digest;
use crate::tree::node::Node;
use crate::tree::owner::Owner;
use crate::tree::path::parent_and_name;
use crate::tree::slots::Slot;
use crate::tree::table::{Filed, GROUPS, Table};

/// Some of a tree's nodes, one after the other as they are stored.
///
/// Most parents are found without a look-up: those that are above the node before, and in this part.
pub struct Part<'t> {
    table: &'t Table,
    options: TreeOptions,
    first: Slot,
    above: Vec<Ancestor>,
    pub(super) nodes: Vec<Option<Node>>,
    pub(super) notes: Notes,
}

/// What a part says of its nodes.
pub(in crate::tree) struct Notes {
    pub(super) parents: Vec<ParentRef>,
    /// The nodes whose parent is to be looked up, by their place in the part.
    pub(super) pending: Vec<u32>,
    pub(super) filed: Vec<Vec<Filed>>,
    /// Of the nodes that have had children.
    pub(in crate::tree) counters: Vec<(Slot, Counters)>,
    /// Of the nodes that have one.
    pub(in crate::tree) owners: Vec<(Slot, Owner)>,
    pub(in crate::tree) data_size: u64,
    pub(in crate::tree) digest: u64,
}

/// A node's parent: its slot, or that it is the parent of so many-th node among the pending.
#[derive(Clone, Copy)]
pub(super) struct ParentRef(u32);

impl ParentRef {
    fn at(slot: Slot) -> ParentRef {
        ParentRef(slot.0)
    }

    fn pending(number: usize) -> ParentRef {
        ParentRef(number as u32 | PENDING_BIT)
    }

    /// The slot, when those of the pending were looked up.
    pub(super) fn slot(self, looked_up: &[Slot]) -> Slot {
        match self.0 {
            slot if slot & PENDING_BIT == 0 || slot == Slot::NONE.0 => Slot(slot),
            number => looked_up[(number & !PENDING_BIT) as usize],
        }
    }
}

/// A node above the last one: its path is the beginning of another node's.
struct Ancestor {
    node: u32,
    path_len: u32,
    place: ParentRef,
}

impl<'t> Part<'t> {
    /// How many nodes are in every part but the last.
    pub const LEN: usize = CHUNK_LEN;

    pub(super) fn new(table: &'t Table, options: TreeOptions, number: usize) -> Part<'t> {
        let notes = Notes {
            parents: Vec::with_capacity(Part::LEN),
            pending: Vec::new(),
            filed: (0..GROUPS).map(|_| Vec::with_capacity(Part::LEN / GROUPS * 5 / 4)).collect(),
            counters: Vec::new(),
            owners: Vec::new(),
            data_size: 0,
            digest: 0,
        };
        let first = Slot((number * Part::LEN) as u32);
        let nodes = Vec::with_capacity(Part::LEN);
        Part { table, options, first, above: Vec::new(), nodes, notes }
    }

    /// Adds a node with its own count of creates, as stored, and the zxid of the last of its children's
    /// creations and deletions.
    ///
    /// # Errors
    ///
    /// If the path names no place in a tree. Then the tree cannot be loaded.
    pub fn push(&mut self, node: Node, cversion: i32, pzxid: Zxid) -> Result<(), LoadError> {
        let number = self.nodes.len() as u32;
        let slot = Slot(self.first.0 + number);
        let path = node.path();
        let parent = match parent_path(path)? {
            Some(parent) => self.find_above(parent.as_bytes()).unwrap_or_else(|| {
                let place = ParentRef::pending(self.notes.pending.len());
                self.notes.pending.push(number);
                self.above.push(Ancestor { node: number, path_len: parent.len() as u32, place });
                place
            }),
            None => ParentRef::at(Slot::NONE),
        };
        self.above.push(Ancestor { node: number, path_len: path.len() as u32, place: ParentRef::at(slot) });
        let notes = &mut self.notes;
        notes.parents.push(parent);
        let filed = Filed::new(slot, self.table.hash(path.as_bytes()));
        notes.filed[filed.group()].push(filed);
        if cversion != 0 || pzxid != node.czxid() {
            notes.counters.push((slot, Counters { cversion, pzxid }));
        }
        match Owner::from_stored(node.owner(), self.options.extended_types) {
            Owner::None => {}
            owner => notes.owners.push((slot, owner)),
        }
        notes.data_size += size_of_node(&node);
        if self.options.digest {
            let counted = digest::of(&node, Some(Counters { cversion, pzxid }));
            notes.digest = notes.digest.wrapping_add(counted);
        }
        self.nodes.push(Some(node));
        Ok(())
    }

    /// Who has this path among the nodes above the last one. Those below are above no node to come, if
    /// the nodes come depth-first.
    fn find_above(&mut self, path: &[u8]) -> Option<ParentRef> {
        while let Some(Ancestor { node, path_len, place }) = self.above.last() {
            let known =
                self.nodes[*node as usize].as_ref().map(|node| &node.path_bytes()[..*path_len as usize]);
            if known == Some(path) {
                return Some(*place);
            }
            self.above.pop();
        }
        None
    }
}

/// The path of the parent, none of the root's.
fn parent_path(path: &str) -> Result<Option<&str>, LoadError> {
    if path == "/" {
        return Ok(None);
    }
    let (parent, _) = parent_and_name(path)
        .filter(|(parent, name)| !name.is_empty() && path.starts_with('/') && !is_root_doubled(parent, path))
        .ok_or_else(|| LoadError::Path(path.into()))?;
    Ok(Some(parent))
}

/// Whether the path is `//…`, whose parent reads as the root.
fn is_root_doubled(parent: &str, path: &str) -> bool {
    parent == "/" && path.starts_with("//")
}

/// No tree has so many nodes, see [`Slots`](crate::tree::slots::Slots).
const PENDING_BIT: u32 = 1 << 31;
