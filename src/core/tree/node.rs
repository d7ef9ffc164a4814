use std::fmt;
use std::hint::black_box;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use triomphe::ThinArc;

use super::digest::{self, StatBytes};

use crate::id::Zxid;
use crate::proto::AclRef;

/// A znode at one moment: path, data, ACL and the part of its stat that is its own. Immutable, shared
/// by all cores, one allocation, and eight bytes to hold.
///
/// The allocation is 48 bytes, path and data; and 32 bytes more if the stat is not that of a persistent
/// node as it was created.
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
        Node::of_bytes(path.as_bytes(), data, fields)
    }

    /// As [`Node::new`], with a path that is known as the bytes of its UTF-8.
    fn of_bytes(path: &[u8], data: Option<&[u8]>, fields: NodeFields) -> Node {
        let details = Details::of(&fields);
        let is_plain = details == Details::plain(fields.czxid, fields.ctime);
        let header = Header {
            czxid: fields.czxid,
            ctime: fields.ctime,
            acl: fields.acl,
            shape: Shape::new(path.len(), data.is_some(), is_plain),
            content_sum: AtomicU32::new(NOT_SUMMED),
        };
        let details = details.to_bytes();
        let details = if is_plain { &[][..] } else { &details };
        let parts = [details, path, data.unwrap_or_default()];
        let len: usize = parts.iter().map(|part| part.len()).sum();
        if len <= SMALL_LEN_MAX {
            let mut joined = [0; SMALL_LEN_MAX];
            let mut at = 0;
            for part in parts {
                joined[at..at + part.len()].copy_from_slice(part);
                at += part.len();
            }
            Node(ThinArc::from_header_and_slice(header, &joined[..len]))
        } else {
            Node(ThinArc::from_header_and_slice(header, &parts.concat()))
        }
    }

    /// The node's path, `/` for the root.
    pub fn path(&self) -> &str {
        // The bytes were a `str` when they came in, so this is never the fallback.
        std::str::from_utf8(self.path_bytes()).unwrap_or_default()
    }

    /// The path's bytes, for comparing without looking at them as text.
    pub fn path_bytes(&self) -> &[u8] {
        let start = self.path_start();
        &self.0.slice[start..start + self.header().shape.path_len()]
    }

    /// The data; `None` is null.
    pub fn data(&self) -> Option<&[u8]> {
        self.header().shape.has_data().then(|| &self.0.slice[self.data_start()..])
    }

    /// The length of the data, zero if it is null.
    pub fn data_len(&self) -> usize {
        self.0.slice.len() - self.data_start()
    }

    /// Whether this is that node, and not only one like it.
    pub(super) fn is_same(&self, other: &Node) -> bool {
        std::ptr::eq(self.header(), other.header())
    }

    /// Has the processor load the node's beginning.
    pub(crate) fn load(&self) {
        black_box((ThinArc::strong_count(&self.0), self.data_len()));
    }

    /// Has it load what the beginning tells the place of: the ends of path and data.
    pub(crate) fn load_content(&self) {
        let last = |bytes: &[u8]| bytes.last().copied();
        black_box((last(self.path_bytes()), self.data().and_then(last)));
    }

    /// The transaction that created the node.
    pub fn czxid(&self) -> Zxid {
        self.header().czxid
    }

    /// The access control list.
    pub fn acl(&self) -> &AclRef {
        &self.header().acl
    }

    /// The stored owner, see [`super::Owner`].
    pub fn owner(&self) -> i64 {
        self.details().owner
    }

    /// The transaction that set the data last.
    pub fn mzxid(&self) -> Zxid {
        self.details().mzxid
    }

    /// When the node was created, in milliseconds since 1970.
    pub fn ctime(&self) -> i64 {
        self.header().ctime
    }

    /// When the data was set last, in milliseconds since 1970.
    pub fn mtime(&self) -> i64 {
        self.details().mtime
    }

    /// The data's version.
    pub fn version(&self) -> i32 {
        self.details().version
    }

    /// The access control list's version.
    pub fn aversion(&self) -> i32 {
        self.details().aversion
    }

    /// Everything but path and data, as another node can be made from it.
    pub fn fields(&self) -> NodeFields {
        let Header { czxid, ctime, acl, .. } = self.header();
        let Details { mzxid, mtime, version, aversion, owner } = self.details();
        NodeFields { czxid: *czxid, mzxid, ctime: *ctime, mtime, version, aversion, owner, acl: acl.clone() }
    }

    /// This node with other data, as setData makes it.
    pub fn with_data(&self, data: Option<&[u8]>, version: i32, zxid: Zxid, mtime: i64) -> Node {
        let fields = NodeFields { mzxid: zxid, mtime, version, ..self.fields() };
        Node::of_bytes(self.path_bytes(), data, fields)
    }

    /// This node with other data and the same stat, as the server's own bookkeeping of quotas makes it.
    pub fn with_silent_data(&self, data: &[u8]) -> Node {
        Node::of_bytes(self.path_bytes(), Some(data), self.fields())
    }

    /// This node with another ACL, as setACL makes it.
    pub fn with_acl(&self, acl: AclRef, aversion: i32) -> Node {
        Node::of_bytes(self.path_bytes(), self.data(), NodeFields { acl, aversion, ..self.fields() })
    }

    /// The node's part of the tree's [digest](super::DataTree::digest), with what its stat has from its children.
    pub fn digest(&self, pzxid: Zxid, cversion: i32) -> u32 {
        let (Details { mzxid, mtime, version, aversion, owner }, header) = (self.details(), self.header());
        let mut stat = StatBytes::default();
        stat.long(header.czxid.0).long(mzxid.0).long(pzxid.0).long(header.ctime).long(mtime);
        stat.int(version).int(cversion).int(aversion).long(owner);
        stat.behind(self.content_sum())
    }

    /// The sum of path and data, as the digest has them. Made when somebody first asks for it.
    fn content_sum(&self) -> u32 {
        match self.header().content_sum.load(Relaxed) {
            NOT_SUMMED => {
                let content = &self.0.slice[self.path_start()..];
                let sum = digest::sum_of(if self.path_bytes() == b"/" { &content[1..] } else { content });
                self.header().content_sum.store(sum, Relaxed);
                sum
            }
            sum => sum,
        }
    }

    fn details(&self) -> Details {
        match self.0.slice.first_chunk() {
            Some(bytes) if !self.header().shape.is_plain() => Details::from_bytes(bytes),
            _ => Details::plain(self.header().czxid, self.header().ctime),
        }
    }

    fn path_start(&self) -> usize {
        if self.header().shape.is_plain() { 0 } else { DETAILS_LEN }
    }

    fn data_start(&self) -> usize {
        self.path_start() + self.header().shape.path_len()
    }

    fn header(&self) -> &Header {
        &self.0.header.header
    }
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Node")
            .field("path", &self.path())
            .field("data_len", &self.data_len())
            .field("fields", &self.fields())
            .finish()
    }
}

struct Header {
    czxid: Zxid,
    ctime: i64,
    acl: AclRef,
    shape: Shape,
    /// [`NOT_SUMMED`] until it is asked for.
    content_sum: AtomicU32,
}

/// How long the path is, whether there are data, and whether the details are those of a persistent node that
/// was never changed; if not, they precede the path.
#[derive(Clone, Copy)]
struct Shape(u32);

impl Shape {
    fn new(path_len: usize, has_data: bool, is_plain: bool) -> Shape {
        debug_assert!(path_len <= PATH_LEN_MAX, "a path of {path_len} bytes");
        Shape((path_len & PATH_LEN_MAX) as u32 | u32::from(has_data) << 30 | u32::from(is_plain) << 31)
    }

    fn path_len(self) -> usize {
        self.0 as usize & PATH_LEN_MAX
    }

    fn has_data(self) -> bool {
        self.0 & (1 << 30) != 0
    }

    fn is_plain(self) -> bool {
        self.0 & (1 << 31) != 0
    }
}

/// The part of a stat that most nodes never need.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Details {
    mzxid: Zxid,
    mtime: i64,
    owner: i64,
    version: i32,
    aversion: i32,
}

impl Details {
    fn of(fields: &NodeFields) -> Details {
        let NodeFields { mzxid, mtime, owner, version, aversion, .. } = *fields;
        Details { mzxid, mtime, owner, version, aversion }
    }

    /// Those of a persistent node as it was created.
    fn plain(czxid: Zxid, ctime: i64) -> Details {
        Details { mzxid: czxid, mtime: ctime, owner: 0, version: 0, aversion: 0 }
    }

    fn to_bytes(self) -> [u8; DETAILS_LEN] {
        let versions = i64::from(self.version) << 32 | i64::from(self.aversion as u32);
        let mut bytes = [0; DETAILS_LEN];
        for (to, from) in
            bytes.as_chunks_mut().0.iter_mut().zip([self.mzxid.0, self.mtime, self.owner, versions])
        {
            *to = from.to_ne_bytes();
        }
        bytes
    }

    fn from_bytes(bytes: &[u8; DETAILS_LEN]) -> Details {
        let mut longs = [0; DETAILS_LEN / 8];
        for (to, from) in longs.iter_mut().zip(bytes.as_chunks().0) {
            *to = i64::from_ne_bytes(*from);
        }
        let [mzxid, mtime, owner, versions] = longs;
        Details {
            mzxid: Zxid(mzxid),
            mtime,
            owner,
            version: (versions >> 32) as i32,
            aversion: versions as i32,
        }
    }
}

const DETAILS_LEN: usize = 32;
/// No longer path [is valid](super::is_valid_path).
pub(super) const PATH_LEN_MAX: usize = (1 << 30) - 1;
/// A sum that happens to be this is made again whenever it is asked for.
const NOT_SUMMED: u32 = 0;
/// The parts of nodes that take no more than this are joined on the stack.
const SMALL_LEN_MAX: usize = 256;
const _: () = assert!(size_of::<Header>() == 32 && size_of::<Option<Node>>() == 8);

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
        assert_eq!((new.czxid(), new.fields().ctime), (Zxid(1), 5));
    }

    #[test]
    fn every_field_reads_back_as_it_was_given() {
        let plain = fields();
        for changed in [
            plain.clone(),
            NodeFields { mzxid: Zxid(-2), ..plain.clone() },
            NodeFields { mtime: i64::MIN, ..plain.clone() },
            NodeFields { version: -1, aversion: i32::MAX, ..plain.clone() },
            NodeFields { version: i32::MAX, aversion: -1, ..plain.clone() },
            NodeFields { owner: i64::MIN + 7, ..plain.clone() },
            NodeFields { acl: AclRef::new([]), ..plain },
        ] {
            for data in [None, Some(&b""[..]), Some(b"x"), Some(&[7; SMALL_LEN_MAX])] {
                let node = Node::new("/a", data, changed.clone());
                assert_eq!(format!("{:?}", node.fields()), format!("{changed:?}"));
                assert_eq!((node.path(), node.data()), ("/a", data));
                assert_eq!(
                    (node.czxid(), node.owner(), node.acl()),
                    (changed.czxid, changed.owner, &changed.acl)
                );
            }
        }
    }
}
