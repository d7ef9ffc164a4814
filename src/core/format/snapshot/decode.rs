use std::collections::HashMap;

use simd_adler32::Adler32;
use thiserror::Error;

use super::{
    DIGEST_LEN, Digest, END, LAST_ZXID_LEN, MAGIC, OPEN_ACL_ID, SEAL_LEN, SESSION_LEN, Sections, VERSION,
};
use crate::acl::Interner;
use crate::id::{SessionId, Zxid};
use crate::jute::{DecodeError, Reader};
use crate::proto::{Acl, AclRef};
use crate::tree::{DataTree, LoadError, Loader, Node, NodeFields, TreeOptions};

/// What a snapshot holds.
pub struct Snapshot {
    /// The tree and the sessions.
    pub tree: DataTree,
    /// What else the file says.
    pub sections: Sections,
    /// How many nodes have a list that lets nobody do anything, because the table lacks theirs: a log is
    /// to be replayed that brings it.
    pub lists_missing: usize,
}

/// Why a file cannot be loaded.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("at offset {offset} ({offset:#x}) {reason}")]
pub struct SnapshotError {
    /// Where in the uncompressed file it shows.
    pub offset: usize,
    /// What is wrong there.
    pub reason: Reason,
}

/// What is wrong with a file.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Reason {
    /// The file does not begin as snapshots do.
    #[error("the magic number of a snapshot is missing: {0:#010x}")]
    Magic(i32),
    /// The format is not known.
    #[error("the format's version is {0}, which is not known")]
    Version(i32),
    /// The file ends too early, or is not what it should be.
    #[error("{0}")]
    Record(DecodeError),
    /// A node has no place.
    #[error("a node is misplaced: {0}")]
    Node(LoadError),
    /// What came before does not match its checksum.
    #[error("a checksum of what is before does not match: stored {stored:#x}, computed {computed:#x}")]
    Seal {
        /// The checksum in the file.
        stored: i64,
        /// The checksum of the file.
        computed: i64,
    },
    /// A seal does not end as seals do.
    #[error("the end of a seal is missing")]
    SealEnd,
    /// So many bytes are no sections that are known.
    #[error("{0} bytes follow the first seal, which are no known sections")]
    Rest(usize),
}

impl Snapshot {
    /// Loads a whole uncompressed file, in whose name `zxid` stands.
    ///
    /// Memory is taken in proportion to the bytes at most, whatever they are.
    ///
    /// # Errors
    ///
    /// If anything about the file is not as it was written.
    pub fn decode(
        bytes: &[u8],
        zxid: Zxid,
        options: TreeOptions,
        interner: &mut Interner,
    ) -> Result<Snapshot, SnapshotError> {
        let mut decoder = Decoder {
            bytes,
            reader: Reader::new(bytes),
            sum: Adler32::new(),
            summed: 0,
            lists: HashMap::new(),
            nobody: interner.share(nobody()),
            lists_missing: 0,
        };
        let mut loader = Loader::new(options);
        decoder.header()?;
        decoder.sessions(&mut loader)?;
        decoder.lists(interner)?;
        decoder.nodes(&mut loader)?;
        decoder.seal()?;
        let sections = decoder.sections()?;
        let tree = loader.finish(zxid).map_err(|error| decoder.misplaced(error))?;
        Ok(Snapshot { tree, sections, lists_missing: decoder.lists_missing })
    }
}

struct Decoder<'a> {
    bytes: &'a [u8],
    reader: Reader<'a>,
    sum: Adler32,
    /// How far the sum has got.
    summed: usize,
    lists: HashMap<i64, AclRef>,
    nobody: AclRef,
    lists_missing: usize,
}

impl Decoder<'_> {
    fn header(&mut self) -> Result<(), SnapshotError> {
        match self.reader.int()? {
            MAGIC => {}
            other => return Err(SnapshotError { offset: 0, reason: Reason::Magic(other) }),
        }
        match self.reader.int()? {
            VERSION => {}
            other => return Err(SnapshotError { offset: 4, reason: Reason::Version(other) }),
        }
        self.reader.long()?;
        Ok(())
    }

    fn sessions(&mut self, loader: &mut Loader) -> Result<(), SnapshotError> {
        for _ in 0..self.count(SESSION_LEN)? {
            let id = SessionId(self.reader.long()?);
            loader.add_session(id, self.reader.int()?);
        }
        Ok(())
    }

    fn lists(&mut self, interner: &mut Interner) -> Result<(), SnapshotError> {
        for _ in 0..self.count(LIST_LEN_MIN)? {
            let number = self.reader.long()?;
            let list = AclRef::decode(&mut self.reader)?;
            self.lists.insert(number, interner.share(list));
        }
        self.lists.insert(OPEN_ACL_ID, interner.share(AclRef::open()));
        Ok(())
    }

    fn nodes(&mut self, loader: &mut Loader) -> Result<(), SnapshotError> {
        loop {
            let offset = self.reader.offset();
            let path = self.reader.text()?;
            if path.as_bytes() == END {
                return Ok(());
            }
            let path = if path.is_empty() { "/" } else { &path };
            let (node, cversion, pzxid) = self.node(path)?;
            loader
                .add(node, cversion, pzxid)
                .map_err(|error| SnapshotError { offset, reason: Reason::Node(error) })?;
            if self.reader.offset() - self.summed >= SUM_LEN {
                self.sum_up();
            }
        }
    }

    fn node(&mut self, path: &str) -> Result<(Node, i32, Zxid), DecodeError> {
        let data = self.reader.buffer()?;
        let acl = match self.lists.get(&self.reader.long()?) {
            Some(list) => list.clone(),
            None => {
                self.lists_missing += 1;
                self.nobody.clone()
            }
        };
        let czxid = Zxid(self.reader.long()?);
        let mzxid = Zxid(self.reader.long()?);
        let (ctime, mtime) = (self.reader.long()?, self.reader.long()?);
        let version = self.reader.int()?;
        let cversion = self.reader.int()?;
        let aversion = self.reader.int()?;
        let owner = self.reader.long()?;
        let pzxid = Zxid(self.reader.long()?);
        let fields = NodeFields { czxid, mzxid, ctime, mtime, version, aversion, owner, acl };
        Ok((Node::new(path, data, fields), cversion, pzxid))
    }

    fn sections(&mut self) -> Result<Sections, SnapshotError> {
        const DIGEST: usize = DIGEST_LEN + SEAL_LEN;
        const LAST_ZXID: usize = LAST_ZXID_LEN + SEAL_LEN;
        const BOTH: usize = DIGEST + LAST_ZXID;
        let (has_digest, has_last_zxid) = match self.reader.rest().len() {
            0 => (false, false),
            DIGEST => (true, false),
            LAST_ZXID => (false, true),
            BOTH => (true, true),
            other => return Err(self.wrong(Reason::Rest(other))),
        };
        let mut sections = Sections::default();
        if has_digest {
            let zxid = Zxid(self.reader.long()?);
            let version = self.reader.int()?;
            sections.digest = Some(Digest { zxid, version, value: self.reader.long()? });
            self.seal()?;
        }
        if has_last_zxid {
            sections.last_zxid = Some(Zxid(self.reader.long()?));
            self.seal()?;
        }
        Ok(sections)
    }

    fn seal(&mut self) -> Result<(), SnapshotError> {
        self.sum_up();
        let offset = self.reader.offset();
        let (stored, computed) = (self.reader.long()?, self.sum.finish().into());
        if stored != computed {
            return Err(SnapshotError { offset, reason: Reason::Seal { stored, computed } });
        }
        let offset = self.reader.offset();
        match self.reader.buffer()? {
            Some(END) => Ok(()),
            _ => Err(SnapshotError { offset, reason: Reason::SealEnd }),
        }
    }

    /// Sums what was read just before, while it is in the processor's cache.
    fn sum_up(&mut self) {
        let offset = self.reader.offset();
        self.sum.write(&self.bytes[self.summed..offset]);
        self.summed = offset;
    }

    fn count(&mut self, item_len_min: usize) -> Result<usize, DecodeError> {
        let offset = self.reader.offset();
        self.reader.count(item_len_min)?.ok_or(DecodeError::BadLength { offset, len: -1 })
    }

    fn misplaced(&self, error: LoadError) -> SnapshotError {
        self.wrong(Reason::Node(error))
    }

    fn wrong(&self, reason: Reason) -> SnapshotError {
        SnapshotError { offset: self.reader.offset(), reason }
    }
}

impl From<DecodeError> for SnapshotError {
    fn from(error: DecodeError) -> SnapshotError {
        let (DecodeError::Truncated { offset, .. }
        | DecodeError::BadLength { offset, .. }
        | DecodeError::UnexpectedNull { offset }
        | DecodeError::BadValue { offset, .. }) = error;
        SnapshotError { offset, reason: Reason::Record(error) }
    }
}

/// The same error in a text in which what was read starts at offset `by`.
pub(super) fn shifted(error: DecodeError, by: usize) -> DecodeError {
    match error {
        DecodeError::Truncated { offset, wanted } => DecodeError::Truncated { offset: offset + by, wanted },
        DecodeError::BadLength { offset, len } => DecodeError::BadLength { offset: offset + by, len },
        DecodeError::UnexpectedNull { offset } => DecodeError::UnexpectedNull { offset: offset + by },
        DecodeError::BadValue { offset, what, value } => {
            DecodeError::BadValue { offset: offset + by, what, value }
        }
    }
}

/// An empty list would let everybody do everything.
fn nobody() -> AclRef {
    AclRef::new([Acl { perms: 0, scheme: "world".into(), id: "anyone".into() }])
}

const LIST_LEN_MIN: usize = 12;
/// Small enough for the cache, large enough to be summed fast.
const SUM_LEN: usize = 64 * 1024;
