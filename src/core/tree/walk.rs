use super::data_tree::{DataTree, Found};
use super::slots::Slot;

/// Every node of a tree, parents before their children: depth-first, in no particular order of siblings.
///
/// Takes no memory in proportion to anything.
#[derive(Clone)]
pub struct Walk<'a> {
    next: Option<Found<'a>>,
    /// What the walk does not leave.
    top: Slot,
}

impl DataTree {
    /// Every node, from the root down.
    pub fn walk(&self) -> Walk<'_> {
        let root = self.at(Slot::ROOT);
        Walk { next: root, top: root.map_or(Slot::NONE, |root| root.slot) }
    }
}

impl<'a> Found<'a> {
    /// Every node below this one, which is not among them.
    pub fn below(&self) -> Walk<'a> {
        Walk { next: self.first_child(), top: self.slot }
    }
}

impl<'a> Iterator for Walk<'a> {
    type Item = Found<'a>;

    fn next(&mut self) -> Option<Found<'a>> {
        let found = self.next.take()?;
        self.next = found.first_child().or_else(|| self.after(found));
        Some(found)
    }
}

impl<'a> Walk<'a> {
    /// What comes after a node and all that is below it.
    fn after(&self, found: Found<'a>) -> Option<Found<'a>> {
        std::iter::successors(Some(found), Found::parent)
            .take_while(|above| above.slot != self.top)
            .find_map(|above| above.next_sibling())
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::tree_of;

    #[test]
    fn a_walk_meets_each_node_once_and_parents_before_their_children() {
        let tree = tree_of(&["/a", "/a/b", "/a/b/c", "/a/d", "/e", "/e/f", "/g"].map(|path| (path, None)));
        let paths: Vec<_> = tree.walk().map(|found| found.node.path()).collect();
        let at = |path: &str| paths.iter().position(|other| *other == path).expect("it is met");
        assert_eq!(paths.len() + 1, tree.node_count());
        for (parent, child) in
            [("/", "/a"), ("/a", "/a/b"), ("/a/b", "/a/b/c"), ("/a", "/a/d"), ("/", "/zookeeper")]
        {
            assert!(at(parent) < at(child), "{parent} before {child}");
        }
        let below = |path: &str| tree.get(path).expect("it is there").below().count();
        assert_eq!((below("/"), below("/a"), below("/a/b"), below("/g")), (paths.len() - 1, 3, 1, 0));
    }
}
