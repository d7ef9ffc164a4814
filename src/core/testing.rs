//! What several modules' tests need: requests as clients write them, and pictures of trees.

use std::sync::Arc;

use crate::config::{Configurations, Membership};
use crate::id::Zxid;
use crate::jute::Writer;
use crate::proto::{AclRef, OpCode};
use crate::tree::{DataTree, Delta, Node, NodeFields, TreeOptions, parent_of};

/// The configuration of servers with these ids, each on a host of its own.
pub(crate) fn membership(voters: &[i64], observers: &[i64], version: i64) -> Arc<Membership> {
    let line = |id: &i64, role: &str| format!("server.{id}=h{id}:2888:3888:{role};2181\n");
    let voters: String = voters.iter().map(|id| line(id, "participant")).collect();
    let observers: String = observers.iter().map(|id| line(id, "observer")).collect();
    let text = format!("{voters}{observers}version={version:x}");
    Arc::new(Membership::parse(&text, false).expect("good lines"))
}

/// The same, with no reconfig under way.
pub(crate) fn configurations(voters: &[i64], observers: &[i64], version: i64) -> Configurations {
    Configurations::of(membership(voters, observers, version))
}

/// Everything that can be seen of a tree, in a form that does not depend on the order of siblings.
pub(crate) fn picture(tree: &DataTree) -> Vec<String> {
    let mut lines = Vec::new();
    let mut pending = vec![tree.get("/").expect("the root")];
    while let Some(found) = pending.pop() {
        let mut children: Vec<_> = found.children().collect();
        children.sort_by_key(|child| child.node.path().to_owned());
        assert_eq!(children.len(), found.num_children());
        lines.push(format!("{:?} {:?} {:?}", found.node, found.node.data(), found.stat()));
        pending.extend(children);
    }
    let counted = tree.walk().filter(|found| !found.node.path().starts_with("/zookeeper/"));
    let sum: u64 = counted.map(|found| u64::from(found.node.digest(found.pzxid(), found.cversion()))).sum();
    assert!(tree.digest().is_none_or(|digest| digest == sum), "the digest is not the nodes'");
    let mut owned: Vec<_> = tree
        .ephemeral_owners()
        .flat_map(|id| tree.ephemerals(id).map(move |node| format!("{id} owns {}", node.path())))
        .collect();
    assert_eq!(owned.len(), tree.ephemerals_count());
    owned.sort();
    lines.extend(owned);
    lines.push(format!("{:?} {} {}", tree.sessions(), tree.node_count(), tree.approximate_data_size()));
    lines.push(format!("{} to reap", tree.expendables().count()));
    lines
}

/// A tree with these nodes besides the built-in ones, the n-th of which was created at zxid n.
pub(crate) fn tree_of(nodes: &[(&str, Option<&[u8]>)]) -> DataTree {
    let mut tree = DataTree::new(TreeOptions::default());
    for (at, (path, data)) in nodes.iter().enumerate() {
        let zxid = Zxid(1 + at as i64);
        let parent = tree.get(parent_of(path).expect("not the root")).expect("its parent comes first");
        let parent_cversion = parent.cversion() + 1;
        let fields = NodeFields { czxid: zxid, mzxid: zxid, ..plain_node(path, None).fields() };
        tree.apply(zxid, &Delta::Create { node: Node::new(path, *data, fields), parent_cversion });
        tree.advance(zxid);
    }
    tree
}

/// A node of which nothing is special but path and data.
pub(crate) fn plain_node(path: &str, data: Option<&[u8]>) -> Node {
    let fields = NodeFields {
        czxid: Zxid(0),
        mzxid: Zxid(0),
        ctime: 0,
        mtime: 0,
        version: 0,
        aversion: 0,
        owner: 0,
        acl: AclRef::open(),
    };
    Node::new(path, data, fields)
}

/// One entry of a request's ACL list.
pub(crate) type Entry<'a> = (i32, Option<&'a str>, Option<&'a str>);

/// The list that lets everybody do everything.
pub(crate) const OPEN: &[Entry<'static>] = &[(31, Some("world"), Some("anyone"))];

pub(crate) fn create(path: &str, data: &[u8], flags: i32) -> Vec<u8> {
    create_with(path, Some(data), Some(OPEN), flags, None)
}

pub(crate) fn create_ttl(path: &str, flags: i32, ttl_ms: i64) -> Vec<u8> {
    create_with(path, Some(b""), Some(OPEN), flags, Some(ttl_ms))
}

pub(crate) fn create_with(
    path: &str,
    data: Option<&[u8]>,
    acl: Option<&[Entry<'_>]>,
    flags: i32,
    ttl_ms: Option<i64>,
) -> Vec<u8> {
    record(|out| {
        out.text(path);
        out.buffer(data);
        entries(out, acl);
        out.int(flags);
        ttl_ms.into_iter().for_each(|ttl_ms| out.long(ttl_ms));
    })
}

/// delete and check.
pub(crate) fn path_version(path: &str, version: i32) -> Vec<u8> {
    record(|out| {
        out.text(path);
        out.int(version);
    })
}

pub(crate) fn set_data(path: &str, data: Option<&[u8]>, version: i32) -> Vec<u8> {
    record(|out| {
        out.text(path);
        out.buffer(data);
        out.int(version);
    })
}

pub(crate) fn set_acl(path: &str, acl: Option<&[Entry<'_>]>, version: i32) -> Vec<u8> {
    record(|out| {
        out.text(path);
        entries(out, acl);
        out.int(version);
    })
}

pub(crate) fn multi(parts: &[(OpCode, Vec<u8>)]) -> Vec<u8> {
    record(|out| {
        for (op, part) in parts {
            out.int(op.number());
            out.bool(false);
            out.int(-1);
            out.raw(part);
        }
        out.int(-1);
        out.bool(true);
        out.int(-1);
    })
}

fn entries(out: &mut Writer<'_>, acl: Option<&[Entry<'_>]>) {
    out.int(acl.map_or(-1, |acl| acl.len() as i32));
    for (perms, scheme, id) in acl.unwrap_or_default() {
        out.int(*perms);
        out.buffer(scheme.map(str::as_bytes));
        out.buffer(id.map(str::as_bytes));
    }
}

pub(crate) fn record(write: impl FnOnce(&mut Writer<'_>)) -> Vec<u8> {
    let mut bytes = Vec::new();
    write(&mut Writer::new(&mut bytes));
    bytes
}
