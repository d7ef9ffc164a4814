//! Trees to measure with.
#![allow(dead_code, reason = "no user needs all of it")]

use ringkeeper_core::proto::AclRef;
use ringkeeper_core::tree::{DataTree, Delta, Node, NodeFields, TreeOptions, parent_of};

pub(crate) const OPTIONS: TreeOptions = TreeOptions { extended_types: false, digest: true, seed: 7 };
/// How many children each parent has.
pub(crate) const CHILDREN: usize = 1000;

/// A tree of so many znodes of 100 bytes, a thousand below each parent.
pub(crate) fn tree_of(count: usize) -> DataTree {
    let mut tree = DataTree::new(OPTIONS);
    for number in 0..count {
        if number % CHILDREN == 0 {
            create(&mut tree, &parent_path(number / CHILDREN), &[]);
        }
        create(&mut tree, &path(number), &DATA);
    }
    tree
}

/// The path of the znode with this number.
pub(crate) fn path(number: usize) -> String {
    format!("{}/n{:09}", parent_path(number / CHILDREN), number % CHILDREN)
}

pub(crate) fn parent_path(parent: usize) -> String {
    format!("/parent-{parent:06}")
}

/// Creates a znode whose parent is there.
pub(crate) fn create(tree: &mut DataTree, path: &str, data: &[u8]) {
    let zxid = tree.last_zxid().next();
    let delta = creation(tree, path, data);
    tree.apply(zxid, &delta);
    tree.advance(zxid);
}

/// What creates a znode in the next transaction.
pub(crate) fn creation(tree: &DataTree, path: &str, data: &[u8]) -> Delta {
    let zxid = tree.last_zxid().next();
    let time = 1_700_000_000_000 + zxid.0;
    let fields = NodeFields {
        czxid: zxid,
        mzxid: zxid,
        ctime: time,
        mtime: time,
        version: 0,
        aversion: 0,
        owner: 0,
        acl: AclRef::open(),
    };
    let parent = parent_of(path).and_then(|parent| tree.get(parent)).expect("the parent comes first");
    Delta::Create { node: Node::new(path, Some(data), fields), parent_cversion: parent.cversion() + 1 }
}

pub(crate) const DATA: [u8; 100] = [7; 100];
