use thiserror::Error;

use super::data_tree::{DataTree, TreeOptions};
use super::node::Node;
use super::path::parent_and_name;
use super::slots::Slot;
use crate::id::{SessionId, Zxid};

/// Builds a tree from nodes that are read one by one, parents before their children.
///
/// Each node takes time independent of the number of nodes, and least if it comes soon after its parent
/// or a sibling.
pub struct Loader {
    tree: DataTree,
    /// Where the last node went, and its parent.
    last: Slot,
    last_parent: Slot,
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

impl Loader {
    /// A loader of an empty tree, without so much as a root.
    pub fn new(options: TreeOptions) -> Loader {
        Loader { tree: DataTree::empty(options), last: Slot::NONE, last_parent: Slot::NONE }
    }

    /// Adds a node with its own count of creates, as stored, and the zxid of the last of its children's
    /// creations and deletions.
    ///
    /// # Errors
    ///
    /// If the path is not `/` or a parent's with a name, is taken, or has no parent yet. Nothing changes.
    pub fn add(&mut self, node: Node, cversion: i32, pzxid: Zxid) -> Result<(), LoadError> {
        let parent = self.parent_of(&node)?;
        if self.tree.get(node.path()).is_some() {
            return Err(LoadError::Duplicate(node.path().into()));
        }
        let slot = self.tree.put_in(node, parent);
        self.tree.set_loaded_counters(slot, cversion, pzxid);
        (self.last, self.last_parent) = (slot, parent);
        Ok(())
    }

    /// Adds a session.
    pub fn add_session(&mut self, id: SessionId, timeout_ms: i32) {
        self.tree.add_session(id, timeout_ms);
    }

    /// The tree, as of this zxid.
    ///
    /// # Errors
    ///
    /// If it has no root.
    pub fn finish(mut self, zxid: Zxid) -> Result<DataTree, LoadError> {
        self.tree.get("/").ok_or(LoadError::NoRoot)?;
        self.tree.advance(zxid);
        Ok(self.tree)
    }

    fn parent_of(&self, node: &Node) -> Result<Slot, LoadError> {
        let path = node.path();
        if path == "/" {
            return Ok(Slot::NONE);
        }
        let (parent, name) = parent_and_name(path)
            .filter(|(parent, name)| {
                !name.is_empty() && path.starts_with('/') && !is_root_doubled(parent, path)
            })
            .ok_or_else(|| LoadError::Path(path.into()))?;
        debug_assert!(!name.contains('/'));
        let likely = [self.last, self.last_parent];
        likely
            .into_iter()
            .filter_map(Slot::some)
            .find(|slot| {
                self.tree.at(*slot).is_some_and(|found| found.node.path_bytes() == parent.as_bytes())
            })
            .or_else(|| self.tree.get(parent).map(|found| found.slot))
            .ok_or_else(|| LoadError::Orphan(path.into()))
    }
}

/// Whether the path is `//…`, whose parent reads as the root.
fn is_root_doubled(parent: &str, path: &str) -> bool {
    parent == "/" && path.starts_with("//")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{picture, plain_node, tree_of};

    fn loaded(paths: &[&str]) -> Result<DataTree, LoadError> {
        let mut loader = Loader::new(TreeOptions::default());
        for path in paths {
            loader.add(plain_node(path, None), 0, Zxid(0))?;
        }
        loader.finish(Zxid(7))
    }

    #[test]
    fn a_tree_loaded_from_its_walk_is_the_same() {
        let tree = tree_of(&["/a", "/a/b", "/a/b/c", "/a/d", "/e"].map(|path| (path, Some(&b"x"[..]))));
        let mut loader = Loader::new(TreeOptions::default());
        for found in tree.walk() {
            loader.add(found.node.clone(), found.cversion(), found.pzxid()).expect("it fits");
        }
        let copy = loader.finish(tree.last_zxid()).expect("it has a root");
        assert_eq!(picture(&copy), picture(&tree));
        assert_eq!(copy.last_zxid(), tree.last_zxid());
    }

    #[test]
    fn a_node_that_fits_nowhere_is_refused() {
        use LoadError::*;
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
            assert_eq!(loaded(paths).err(), Some(error), "{paths:?}");
        }
    }
}
