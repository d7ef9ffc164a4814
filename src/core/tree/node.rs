use std::fmt;

use triomphe::ThinArc;

use crate::id::Zxid;
use crate::proto::AclRef;

/// A znode at one moment: path, data, ACL and the part of its stat that is its own. Immutable, shared
/// by all cores, one allocation of 80 bytes plus path and data, and eight bytes to hold.
#[derive(Clone)]
pub struct Node(ThinArc<Header, u8>);

/// What a [`Node`] is made from.
#[derive(Clone, Debug)]
#[allow(missing_docs, reason = "the fields are ZooKeeper's own, as stored (server-semantics §4)")]
pub struct NodeFields {
    pub czxid: Zxid,
    pub mzxid: Zxid,
    pub ctime: i64,
    pub mtime: i64,
    pub version: i32,
    pub aversion: i32,
    /// As stored, see [`super::Owner`].
    pub owner: i64,
    pub acl: AclRef,
}

impl Node {
    /// A node with this path and data; no data at all is not the same as empty data.
    pub fn new(path: &str, data: Option<&[u8]>, fields: NodeFields) -> Node {
        let (path_bytes, bytes) = (path.as_bytes(), data.unwrap_or_default());
        let header = Header { path_len: path.len() as u32, has_data: data.is_some(), fields };
        let len = path_bytes.len() + bytes.len();
        if bytes.is_empty() {
            Node(ThinArc::from_header_and_slice(header, path_bytes))
        } else if len <= SMALL_LEN_MAX {
            let mut joined = [0; SMALL_LEN_MAX];
            joined[..path_bytes.len()].copy_from_slice(path_bytes);
            joined[path_bytes.len()..len].copy_from_slice(bytes);
            Node(ThinArc::from_header_and_slice(header, &joined[..len]))
        } else {
            Node(ThinArc::from_header_and_slice(header, &[path_bytes, bytes].concat()))
        }
    }

    /// The node's path, `/` for the root.
    pub fn path(&self) -> &str {
        // The bytes were a `str` when they came in, so this is never the fallback.
        std::str::from_utf8(&self.0.slice[..self.path_len()]).unwrap_or_default()
    }

    /// The path's bytes, for comparing without looking at them as text.
    pub fn path_bytes(&self) -> &[u8] {
        &self.0.slice[..self.path_len()]
    }

    /// The data; `None` is null.
    pub fn data(&self) -> Option<&[u8]> {
        self.0.header.header.has_data.then(|| &self.0.slice[self.path_len()..])
    }

    /// The length of the data, zero if it is null.
    pub fn data_len(&self) -> usize {
        self.0.slice.len() - self.path_len()
    }

    /// The rest of the node.
    pub fn fields(&self) -> &NodeFields {
        &self.0.header.header.fields
    }

    /// This node with other data, as setData makes it.
    pub fn with_data(&self, data: Option<&[u8]>, version: i32, zxid: Zxid, mtime: i64) -> Node {
        let fields = NodeFields { mzxid: zxid, mtime, version, ..self.fields().clone() };
        Node::new(self.path(), data, fields)
    }

    /// This node with other data and the same stat, as the server's own bookkeeping of quotas makes it.
    pub fn with_silent_data(&self, data: &[u8]) -> Node {
        Node::new(self.path(), Some(data), self.fields().clone())
    }

    /// This node with another ACL, as setACL makes it.
    pub fn with_acl(&self, acl: AclRef, aversion: i32) -> Node {
        Node::new(self.path(), self.data(), NodeFields { acl, aversion, ..self.fields().clone() })
    }

    fn path_len(&self) -> usize {
        self.0.header.header.path_len as usize
    }
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Node")
            .field("path", &self.path())
            .field("data_len", &self.data_len())
            .field("fields", self.fields())
            .finish()
    }
}

struct Header {
    fields: NodeFields,
    path_len: u32,
    has_data: bool,
}

/// Path and data of nodes up to this length are joined on the stack.
const SMALL_LEN_MAX: usize = 256;
const _: () = assert!(size_of::<Header>() == 64 && size_of::<Option<Node>>() == 8);

#[cfg(test)]
mod tests {
    use super::*;

    fn fields() -> NodeFields {
        NodeFields {
            czxid: Zxid(1),
            mzxid: Zxid(1),
            ctime: 5,
            mtime: 5,
            version: 0,
            aversion: 0,
            owner: 0,
            acl: AclRef::open(),
        }
    }

    #[test]
    fn null_data_is_not_empty_data() {
        assert_eq!(Node::new("/a", None, fields()).data(), None);
        assert_eq!(Node::new("/a", Some(b""), fields()).data(), Some(&b""[..]));
        let node = Node::new("/é", Some(b"xyz"), fields());
        assert_eq!((node.path(), node.data(), node.data_len()), ("/é", Some(&b"xyz"[..]), 3));
        let large = Node::new("/é", Some(&[7; SMALL_LEN_MAX]), fields());
        assert_eq!((large.path(), large.data()), ("/é", Some(&[7; SMALL_LEN_MAX][..])));
    }

    #[test]
    fn new_data_leaves_the_old_node_as_it_was() {
        let old = Node::new("/a", Some(b"old"), fields());
        let new = old.with_data(Some(b"new"), 1, Zxid(2), 6);
        assert_eq!((old.data(), old.fields().version), (Some(&b"old"[..]), 0));
        assert_eq!((new.data(), new.fields().version, new.fields().mzxid), (Some(&b"new"[..]), 1, Zxid(2)));
        assert_eq!((new.fields().czxid, new.fields().ctime), (Zxid(1), 5));
    }
}
