use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

use thiserror::Error;

use super::sum::Sum;
use super::{
    DIGEST_LEN, Digest, END, LAST_ZXID_LEN, MAGIC, OPEN_ACL_ID, SEAL_LEN, SESSION_LEN, STAT_LEN, Sections,
    VERSION,
};
use crate::acl::Interner;
use crate::id::{SessionId, Zxid};
use crate::jute::{DecodeError, Reader};
use crate::proto::{Acl, AclRef};
use crate::tree::{DataTree, LoadError, Loader, Node, NodeFields, Part, TreeOptions};
use crate::workers::Workers;

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
    /// The tree that a leader sent does not end as such trees do.
    #[error("the signature at the end is missing")]
    Signature,
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
        workers: &impl Workers,
    ) -> Result<Snapshot, SnapshotError> {
        let mut decoder = Decoder { bytes, reader: Reader::new(bytes), sum: Sum::EMPTY };
        decoder.header()?;
        let sessions = decoder.sessions()?;
        let lists = decoder.lists(interner)?;
        decoder.sum_up();
        let ranges = decoder.ranges()?;
        let loader = Loader::new(options);
        let decoded = workers.map(ranges.len(), |number| {
            let range = ranges[number].clone();
            decode_part(bytes, range, &lists, loader.part(number))
        });
        let mut parts = Vec::with_capacity(ranges.len());
        let mut lists_missing = 0;
        for decoded in decoded {
            let decoded = decoded?;
            decoder.take_sum(decoded.sum);
            lists_missing += decoded.lists_missing;
            parts.push(decoded.part);
        }
        decoder.seal()?;
        let sections = decoder.sections()?;
        let tree = loader.finish(parts, sessions, zxid, workers);
        let tree = tree.map_err(|misplaced| SnapshotError {
            offset: offset_of_node(bytes, &ranges, misplaced.number),
            reason: Reason::Node(misplaced.error),
        })?;
        Ok(Snapshot { tree, sections, lists_missing })
    }
}

/// The nodes of one part, and what else is seen when they are read.
struct Decoded<'l> {
    part: Part<'l>,
    lists_missing: usize,
    sum: Sum,
}

fn decode_part<'l>(
    bytes: &[u8],
    range: Range<usize>,
    lists: &Lists,
    mut part: Part<'l>,
) -> Result<Decoded<'l>, SnapshotError> {
    let sum = Sum::of(&bytes[range.clone()]);
    let mut reader = Reader::new(&bytes[..range.end]);
    reader.skip(range.start)?;
    let mut lists_missing = 0;
    while reader.offset() < range.end {
        let offset = reader.offset();
        let path = reader.text()?;
        let path = if path.is_empty() { "/" } else { &path };
        let (node, cversion, pzxid) = read_node(path, &mut reader, |number| {
            let acl = lists.by_number.get(&number);
            lists_missing += usize::from(acl.is_none());
            acl.unwrap_or(&lists.nobody).clone()
        })?;
        let pushed = part.push(node, cversion, pzxid);
        pushed.map_err(|error| SnapshotError { offset, reason: Reason::Node(error) })?;
    }
    Ok(Decoded { part, lists_missing, sum })
}

/// Where the node with this number begins; the end of all of them if there is none.
fn offset_of_node(bytes: &[u8], ranges: &[Range<usize>], number: usize) -> usize {
    let Some(range) = ranges.get(number / Part::LEN) else {
        return ranges.last().map_or(0, |range| range.end);
    };
    let mut reader = Reader::new(&bytes[..range.end]);
    let passed = reader
        .skip(range.start)
        .and_then(|()| (0..number % Part::LEN).try_for_each(|_| skip_node(&mut reader).map(|_| ())));
    passed.map_or(range.start, |()| reader.offset())
}

/// Passes a node, or says that the end of the nodes was passed.
fn skip_node(reader: &mut Reader<'_>) -> Result<bool, DecodeError> {
    let offset = reader.offset();
    if reader.buffer()?.ok_or(DecodeError::UnexpectedNull { offset })? == END {
        return Ok(false);
    }
    reader.buffer()?;
    reader.skip(size_of::<i64>() + STAT_LEN)?;
    Ok(true)
}

/// The lists of a file, by the numbers that they have in it.
struct Lists {
    by_number: HashMap<i64, AclRef>,
    nobody: AclRef,
}

struct Decoder<'a> {
    bytes: &'a [u8],
    reader: Reader<'a>,
    /// Of the bytes from the first on, as far as it has got.
    sum: Sum,
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

    fn sessions(&mut self) -> Result<BTreeMap<SessionId, i32>, SnapshotError> {
        let mut sessions = BTreeMap::new();
        for _ in 0..self.count(SESSION_LEN)? {
            let id = SessionId(self.reader.long()?);
            sessions.insert(id, self.reader.int()?);
        }
        Ok(sessions)
    }

    fn lists(&mut self, interner: &mut Interner) -> Result<Lists, SnapshotError> {
        let mut by_number = HashMap::new();
        for _ in 0..self.count(LIST_LEN_MIN)? {
            let number = self.reader.long()?;
            let list = AclRef::decode(&mut self.reader)?;
            by_number.insert(number, interner.share(list));
        }
        by_number.insert(OPEN_ACL_ID, AclRef::open());
        Ok(Lists { by_number, nobody: interner.share(nobody()) })
    }

    /// Where the parts of the nodes are: looks only at their lengths, and passes them and their end.
    fn ranges(&mut self) -> Result<Vec<Range<usize>>, SnapshotError> {
        let mut ranges = Vec::new();
        let (mut start, mut count) = (self.reader.offset(), 0);
        loop {
            let offset = self.reader.offset();
            let is_node = skip_node(&mut self.reader)?;
            if count == Part::LEN || (!is_node && count > 0) {
                ranges.push(start..offset);
                (start, count) = (offset, 0);
            }
            if !is_node {
                return Ok(ranges);
            }
            count += 1;
        }
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
        let (stored, computed) = (self.reader.long()?, self.sum.value().into());
        if stored != computed {
            return Err(SnapshotError { offset, reason: Reason::Seal { stored, computed } });
        }
        let offset = self.reader.offset();
        match self.reader.buffer()? {
            Some(END) => Ok(()),
            _ => Err(SnapshotError { offset, reason: Reason::SealEnd }),
        }
    }

    /// Sums what was read and is not summed yet.
    fn sum_up(&mut self) {
        let offset = self.reader.offset();
        self.take_sum(Sum::of(&self.bytes[self.sum.len()..offset]));
    }

    /// Takes the sum of what comes next.
    fn take_sum(&mut self, next: Sum) {
        self.sum = self.sum.join(next);
    }

    fn count(&mut self, item_len_min: usize) -> Result<usize, DecodeError> {
        let offset = self.reader.offset();
        self.reader.count(item_len_min)?.ok_or(DecodeError::BadLength { offset, len: -1 })
    }

    fn wrong(&self, reason: Reason) -> SnapshotError {
        SnapshotError { offset: self.reader.offset(), reason }
    }
}

/// Reads what follows a node's path: the node, its count of creates and its pzxid.
pub(super) fn read_node(
    path: &str,
    reader: &mut Reader<'_>,
    list: impl FnOnce(i64) -> AclRef,
) -> Result<(Node, i32, Zxid), DecodeError> {
    let data = reader.buffer()?;
    let number = reader.long()?;
    let czxid = Zxid(reader.long()?);
    let mzxid = Zxid(reader.long()?);
    let (ctime, mtime) = (reader.long()?, reader.long()?);
    let version = reader.int()?;
    let cversion = reader.int()?;
    let aversion = reader.int()?;
    let owner = reader.long()?;
    let pzxid = Zxid(reader.long()?);
    let fields = NodeFields { czxid, mzxid, ctime, mtime, version, aversion, owner, acl: list(number) };
    Ok((Node::new(path, data, fields), cversion, pzxid))
}

impl From<DecodeError> for SnapshotError {
    fn from(error: DecodeError) -> SnapshotError {
        let (DecodeError::Truncated { offset, .. }
        | DecodeError::BadLength { offset, .. }
        | DecodeError::UnexpectedNull { offset }
        | DecodeError::BadPath { offset }
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
        DecodeError::BadPath { offset } => DecodeError::BadPath { offset: offset + by },
        DecodeError::BadValue { offset, what, value } => {
            DecodeError::BadValue { offset: offset + by, what, value }
        }
    }
}

/// An empty list would let everybody do everything.
pub(super) fn nobody() -> AclRef {
    AclRef::new([Acl { perms: 0, scheme: "world".into(), id: "anyone".into() }])
}

const LIST_LEN_MIN: usize = 12;
