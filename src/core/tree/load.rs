mod part;

use std::collections::BTreeMap;

use thiserror::Error;

use super::data_tree::{DataTree, TreeOptions};
use super::node::Node;
use super::path::parent_of;
use super::slots::{Slot, Slots};
use super::table::{GROUPS, Table};
use crate::id::{SessionId, Zxid};
use crate::workers::Workers;
use LoadError::{Duplicate, NoRoot, Orphan};

pub(super) use part::Notes;
pub use part::Part;

/// Builds a tree from nodes that are read from somewhere, parents before their children.
///
/// The nodes are given in parts of [`Part::LEN`], which can be filled at the same time on several threads.
pub struct Loader {
    options: TreeOptions,
    /// Empty: it knows the paths' hashes.
    table: Table,
}

/// Why a node cannot be where its path says.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum LoadError {
    /// The path names no place in a tree.
    #[error("{0:?} is no path of a node")]
    Path(String),
    /// The path was there before.
    #[error("{0:?} is there twice")]
    Duplicate(String),
    /// The parent has not come before its child.
    #[error("{0:?} has no parent")]
    Orphan(String),
    /// Nothing came at all.
    #[error("the root is missing")]
    NoRoot,
}

/// A node that cannot be where its path says.
#[derive(Debug)]
pub struct Misplaced {
    /// Which one, by its number; the number of all if one is missing.
    pub number: usize,
    /// Why.
    pub error: LoadError,
}

impl Loader {
    /// A loader of a tree with these options.
    pub fn new(options: TreeOptions) -> Loader {
        Loader { options, table: Table::new(options.seed) }
    }

    /// The part with this number, which is still empty.
    pub fn part(&self, number: usize) -> Part<'_> {
        Part::new(&self.table, self.options, number)
    }

    /// The tree, as of this zxid, with these parts, by number, and these sessions.
    ///
    /// # Errors
    ///
    /// If a path is there twice or has no parent before it, or there is no root.
    pub fn finish(
        &self,
        parts: Vec<Part<'_>>,
        sessions: BTreeMap<SessionId, i32>,
        zxid: Zxid,
        workers: &impl Workers,
    ) -> Result<DataTree, Misplaced> {
        let (nodes, notes): (Vec<_>, Vec<_>) = parts.into_iter().map(|part| (part.nodes, part.notes)).unzip();
        let slots = Slots::unlinked(nodes);
        let filled = workers.map(GROUPS, |group| {
            let filed = notes.iter().flat_map(|notes| &notes.filed[group]);
            Table::fill(filed, &slots)
        });
        let (tables, duplicates): (Vec<_>, Vec<_>) = filled.into_iter().unzip();
        let table = self.table.with_groups(tables);
        let looked_up = workers.map(notes.len(), |number| look_up(number, &notes[number], &table, &slots));
        let duplicate = duplicates.into_iter().flatten().min().map(|slot| (slot, Duplicate as Reason));
        let orphan =
            looked_up.iter().find_map(|part| part.as_ref().err()).map(|slot| (*slot, Orphan as Reason));
        if let Some((slot, reason)) = orphan.into_iter().chain(duplicate).min_by_key(|(slot, _)| *slot) {
            let path = slots.node(slot).map_or("", Node::path);
            return Err(Misplaced { number: slot.0 as usize, error: reason(path.into()) });
        }
        if table.find("/", &slots).is_none() {
            return Err(Misplaced { number: table.len(), error: NoRoot });
        }
        let looked_up = looked_up.into_iter().map(Result::unwrap_or_default);
        let parents = notes
            .iter()
            .zip(looked_up)
            .flat_map(|(notes, looked_up)| notes.parents.iter().map(move |parent| parent.slot(&looked_up)));
        let mut tree = DataTree::of_loaded(self.options, table, slots.linked(parents), sessions, zxid);
        notes.into_iter().for_each(|notes| tree.note_loaded(notes));
        Ok(tree)
    }
}

type Reason = fn(String) -> LoadError;

/// The slots of the parents that a part did not know; or the first node whose parent does not come before it.
fn look_up(number: usize, notes: &Notes, table: &Table, slots: &Slots) -> Result<Vec<Slot>, Slot> {
    let first = (number * Part::LEN) as u32;
    let pending = notes.pending.iter().map(|at| Slot(first + at));
    let parent = |slot: Slot| {
        let parent = table.find(parent_of(slots.node(slot)?.path())?, slots)?;
        (parent < slot).then_some(parent)
    };
    pending.map(|slot| parent(slot).ok_or(slot)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{picture, plain_node, tree_of};
    use crate::tree::Delta;
    use crate::workers::Alone;

    /// The tree of these nodes, in parts as long as they may be.
    fn load(nodes: &[(Node, i32, Zxid)]) -> Result<DataTree, Misplaced> {
        let loader = Loader::new(TreeOptions::default());
        let mut parts = Vec::new();
        for (number, nodes) in nodes.chunks(Part::LEN).enumerate() {
            let mut part = loader.part(number);
            for (at, (node, cversion, pzxid)) in nodes.iter().enumerate() {
                let pushed = part.push(node.clone(), *cversion, *pzxid);
                pushed.map_err(|error| Misplaced { number: number * Part::LEN + at, error })?;
            }
            parts.push(part);
        }
        loader.finish(parts, BTreeMap::new(), Zxid(7), &Alone)
    }

    fn load_plain(paths: &[&str]) -> Result<DataTree, Misplaced> {
        load(&paths.iter().map(|path| (plain_node(path, None), 0, Zxid(0))).collect::<Vec<_>>())
    }

    /// The nodes of a tree, as a snapshot has them.
    fn stored(tree: &DataTree) -> Vec<(Node, i32, Zxid)> {
        tree.walk().map(|found| (found.node.clone(), found.cversion(), found.pzxid())).collect()
    }

    #[test]
    fn a_tree_loaded_from_its_walk_is_the_same() {
        let tree = tree_of(&["/a", "/a/b", "/a/b/c", "/a/d", "/e"].map(|path| (path, Some(&b"x"[..]))));
        let copy = load(&stored(&tree)).expect("it fits");
        assert_eq!(picture(&copy), picture(&tree));
        assert_eq!(copy.last_zxid(), tree.last_zxid().max(Zxid(7)));
    }

    #[test]
    fn a_tree_of_several_parts_is_the_same_in_whatever_order_its_nodes_are_stored() {
        let mut paths = Vec::new();
        for parent in 0..100 {
            paths.push(format!("/p{parent}"));
            paths.extend((0..100).map(|child| format!("/p{parent}/c{child}")));
            paths.push(format!("/p{parent}/c50/below"));
        }
        let tree = tree_of(&paths.iter().map(|path| (&path[..], None)).collect::<Vec<_>>());
        let mut nodes = stored(&tree);
        assert!(nodes.len() > 2 * Part::LEN);
        assert_eq!(picture(&load(&nodes).expect("depth first")), picture(&tree));
        nodes.sort_by_key(|(node, ..)| (node.path().matches('/').count(), node.path().len(), node.czxid()));
        nodes.sort_by_key(|(node, ..)| node.path() != "/");
        assert_eq!(picture(&load(&nodes).expect("breadth first")), picture(&tree));
    }

    #[test]
    fn a_loaded_tree_changes_as_any_other() {
        let mut tree = load_plain(&["/", "/a", "/a/b", "/c"]).expect("it fits");
        let delta = Delta::Create { node: plain_node("/a/d", None), parent_cversion: 1 };
        tree.apply(Zxid(8), &delta);
        tree.apply(Zxid(9), &Delta::Delete(plain_node("/a/b", None)));
        let children: Vec<_> =
            tree.get("/a").expect("kept").children().map(|child| child.node.path()).collect();
        assert_eq!(children, ["/a/d"]);
        assert!(tree.get("/a/b").is_none() && tree.get("/c").is_some());
    }

    #[test]
    fn the_first_node_that_fits_nowhere_is_named() {
        let mut nodes: Vec<String> = std::iter::once("/".into()).collect();
        nodes.extend((0..2 * Part::LEN).map(|number| format!("/n{number}")));
        nodes.extend(["/n7".into(), "/x/y".into(), "/n7".into()]);
        let paths: Vec<&str> = nodes.iter().map(String::as_str).collect();
        let misplaced = load_plain(&paths).expect_err("refused");
        assert_eq!((misplaced.number, misplaced.error), (1 + 2 * Part::LEN, Duplicate("/n7".into())));
        let later: Vec<&str> = ["/n8/early"].into_iter().chain(paths).collect();
        let misplaced = load_plain(&later).expect_err("refused");
        assert_eq!((misplaced.number, misplaced.error), (0, Orphan("/n8/early".into())));
    }

    #[test]
    fn a_node_that_fits_nowhere_is_refused() {
        use LoadError::Path;
        for (paths, error) in [
            (&["/a"][..], Orphan("/a".into())),
            (&["/", "/a/b"], Orphan("/a/b".into())),
            (&["/", "/a", "/a"], Duplicate("/a".into())),
            (&["/", "/"], Duplicate("/".into())),
            (&["/", "//a"], Path("//a".into())),
            (&["/", "//"], Path("//".into())),
            (&["/", "/a", "/a//b"], Orphan("/a//b".into())),
            (&["/", "/a/"], Path("/a/".into())),
            (&["/", "a"], Path("a".into())),
            (&["/", "a/b"], Path("a/b".into())),
            (&["/", ""], Path("".into())),
            (&[], NoRoot),
        ] {
            assert_eq!(load_plain(paths).err().map(|misplaced| misplaced.error), Some(error), "{paths:?}");
        }
    }
}
