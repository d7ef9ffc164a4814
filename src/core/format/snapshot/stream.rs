use std::io::{self, Read};

use simd_adler32::Adler32;
use thiserror::Error;

use super::decode::shifted;
use super::{
    DIGEST_LEN, Digest, END, LAST_ZXID_LEN, MAGIC, OPEN_ACL_ID, Reason, SEAL_LEN, SnapshotError, VERSION,
};
use crate::id::{SessionId, Zxid};
use crate::jute::{DecodeError, Reader};
use crate::proto::AclRef;

/// Reads a snapshot's items one by one, in memory that does not grow with the snapshot: no more than its
/// largest item, several times over.
///
/// Everything is checked as by [`Snapshot::decode`](super::Snapshot::decode), but for where nodes stand in
/// the tree. What comes before a seal is proven only when [`SnapshotStream::next_item`] has returned an item
/// behind it, or `None`.
pub struct SnapshotStream<R> {
    source: R,
    buffer: Vec<u8>,
    /// What of the buffer has been read.
    taken: usize,
    /// How many bytes of the file came before the buffer.
    passed: usize,
    source_ended: bool,
    sum: Adler32,
    stage: Stage,
}

/// What a snapshot is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    /// A session that was open.
    Session {
        /// Its id.
        id: SessionId,
        /// Its timeout.
        timeout_ms: i32,
    },
    /// An ACL list, to which nodes refer by its number.
    List {
        /// Its number.
        number: i64,
        /// The list.
        acl: AclRef,
    },
    /// A node.
    Node(StoredNode),
    /// The digest of the tree.
    Digest(Digest),
    /// The zxid of the state.
    LastZxid(Zxid),
}

/// A node as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the fields are ZooKeeper's own, as stored (storage-formats §4.1)")]
pub struct StoredNode {
    /// `/` for the root.
    pub path: String,
    pub data: Option<Vec<u8>>,
    /// The number of its list; [`StoredNode::OPEN_ACL`] is in no table.
    pub acl: i64,
    pub czxid: Zxid,
    pub mzxid: Zxid,
    pub ctime: i64,
    pub mtime: i64,
    pub version: i32,
    pub cversion: i32,
    pub aversion: i32,
    /// As stored, see [`Owner`](crate::tree::Owner).
    pub owner: i64,
    pub pzxid: Zxid,
}

/// Why a snapshot cannot be read on.
#[derive(Debug, Error)]
pub enum StreamError {
    /// The source fails, or is compressed and damaged.
    #[error("behind offset {offset} ({offset:#x}) of what it holds: {source}")]
    Source {
        /// Up to where it could be read.
        offset: usize,
        /// Why no further.
        source: io::Error,
    },
    /// What it holds is no sound snapshot.
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
}

#[derive(Clone, Copy)]
enum Stage {
    Header,
    Sessions { left: usize },
    ListCount,
    Lists { left: usize },
    Nodes,
    LastZxid,
    Done,
}

impl StoredNode {
    /// Stands for the list that lets everybody do everything.
    pub const OPEN_ACL: i64 = OPEN_ACL_ID;
}

impl<R: Read> SnapshotStream<R> {
    /// A stream at the start of an uncompressed snapshot.
    pub fn new(source: R) -> SnapshotStream<R> {
        SnapshotStream {
            source,
            buffer: Vec::new(),
            taken: 0,
            passed: 0,
            source_ended: false,
            sum: Adler32::new(),
            stage: Stage::Header,
        }
    }

    /// How many bytes of the uncompressed snapshot were read.
    pub fn offset(&self) -> usize {
        self.passed + self.taken
    }

    /// The next item; `None` behind the last, when the whole file has been found sound.
    ///
    /// # Errors
    ///
    /// If the file ends early, cannot be read, or is not as it was written.
    pub fn next_item(&mut self) -> Result<Option<Item>, StreamError> {
        loop {
            match self.stage {
                Stage::Header => {
                    self.header()?;
                    self.stage = Stage::Sessions { left: self.take(count)? };
                }
                Stage::Sessions { left: 0 } => self.stage = Stage::ListCount,
                Stage::Sessions { left } => {
                    self.stage = Stage::Sessions { left: left - 1 };
                    let session = |reader: &mut Reader<'_>| Ok((SessionId(reader.long()?), reader.int()?));
                    let (id, timeout_ms) = self.take(session)?;
                    return Ok(Some(Item::Session { id, timeout_ms }));
                }
                Stage::ListCount => self.stage = Stage::Lists { left: self.take(count)? },
                Stage::Lists { left: 0 } => self.stage = Stage::Nodes,
                Stage::Lists { left } => {
                    self.stage = Stage::Lists { left: left - 1 };
                    let (number, acl) = self.take(|reader| Ok((reader.long()?, AclRef::decode(reader)?)))?;
                    return Ok(Some(Item::List { number, acl }));
                }
                Stage::Nodes => match self.take(node)? {
                    Some(node) => return Ok(Some(Item::Node(node))),
                    None => {
                        self.seal()?;
                        if let Some(digest) = self.sections()? {
                            return Ok(Some(Item::Digest(digest)));
                        }
                    }
                },
                Stage::LastZxid => {
                    self.stage = Stage::Done;
                    let zxid = Zxid(self.take(long)?);
                    self.seal()?;
                    return Ok(Some(Item::LastZxid(zxid)));
                }
                Stage::Done => return Ok(None),
            }
        }
    }

    fn header(&mut self) -> Result<(), StreamError> {
        match self.take(int)? {
            MAGIC => {}
            other => return Err(SnapshotError { offset: 0, reason: Reason::Magic(other) }.into()),
        }
        match self.take(int)? {
            VERSION => {}
            other => return Err(SnapshotError { offset: 4, reason: Reason::Version(other) }.into()),
        }
        self.take(long).map(|_| ())
    }

    /// Tells by what is left which sections follow, and reads the digest if it is one of them.
    fn sections(&mut self) -> Result<Option<Digest>, StreamError> {
        const DIGEST: usize = DIGEST_LEN + SEAL_LEN;
        const LAST_ZXID: usize = LAST_ZXID_LEN + SEAL_LEN;
        while !self.source_ended && self.buffer.len() - self.taken <= DIGEST + LAST_ZXID {
            self.read_more()?;
        }
        let left = self.buffer.len() - self.taken;
        self.stage = match left {
            0 | DIGEST => Stage::Done,
            LAST_ZXID => Stage::LastZxid,
            _ if left == DIGEST + LAST_ZXID => Stage::LastZxid,
            other => {
                return Err(SnapshotError { offset: self.offset(), reason: Reason::Rest(other) }.into());
            }
        };
        if left < DIGEST {
            return Ok(None);
        }
        let digest = self.take(|reader| {
            let zxid = Zxid(reader.long()?);
            Ok(Digest { zxid, version: reader.int()?, value: reader.long()? })
        })?;
        self.seal()?;
        Ok(Some(digest))
    }

    fn seal(&mut self) -> Result<(), StreamError> {
        let (offset, computed) = (self.offset(), i64::from(self.sum.finish()));
        let stored = self.take(long)?;
        if stored != computed {
            return Err(SnapshotError { offset, reason: Reason::Seal { stored, computed } }.into());
        }
        let offset = self.offset();
        match self.take(|reader| Ok(reader.buffer()? == Some(END)))? {
            true => Ok(()),
            false => Err(SnapshotError { offset, reason: Reason::SealEnd }.into()),
        }
    }

    /// Reads one thing, and as much of the source before as it takes.
    fn take<T>(
        &mut self,
        read: impl Fn(&mut Reader<'_>) -> Result<T, DecodeError>,
    ) -> Result<T, StreamError> {
        loop {
            let rest = &self.buffer[self.taken..];
            let mut reader = Reader::new(rest);
            match read(&mut reader) {
                Ok(value) => {
                    let len = reader.offset();
                    self.sum.write(&rest[..len]);
                    self.taken += len;
                    return Ok(value);
                }
                // A count may be too large only for what has been read yet.
                Err(DecodeError::Truncated { .. } | DecodeError::BadLength { len: 1.., .. })
                    if !self.source_ended && rest.len() < ITEM_LEN_MAX =>
                {
                    self.read_more()?;
                }
                Err(error) => return Err(SnapshotError::from(shifted(error, self.offset())).into()),
            }
        }
    }

    /// Doubles what is there to be read.
    fn read_more(&mut self) -> Result<(), StreamError> {
        self.buffer.drain(..self.taken);
        self.passed += std::mem::take(&mut self.taken);
        let wanted = self.buffer.len().max(READ_LEN) as u64;
        let before = self.buffer.len();
        let read = self.source.by_ref().take(wanted).read_to_end(&mut self.buffer);
        let offset = self.passed + self.buffer.len();
        read.map_err(|source| StreamError::Source { offset, source })?;
        self.source_ended = self.buffer.len() == before;
        Ok(())
    }
}

fn int(reader: &mut Reader<'_>) -> Result<i32, DecodeError> {
    reader.int()
}

fn long(reader: &mut Reader<'_>) -> Result<i64, DecodeError> {
    reader.long()
}

fn count(reader: &mut Reader<'_>) -> Result<usize, DecodeError> {
    let offset = reader.offset();
    let len = reader.int()?;
    usize::try_from(len).map_err(|_| DecodeError::BadLength { offset, len })
}

/// A node; `None` where the end of the nodes stands.
fn node(reader: &mut Reader<'_>) -> Result<Option<StoredNode>, DecodeError> {
    let path = reader.text()?;
    if path.as_bytes() == END {
        return Ok(None);
    }
    let path = if path.is_empty() { "/".to_owned() } else { path.into_owned() };
    Ok(Some(StoredNode {
        path,
        data: reader.buffer()?.map(<[u8]>::to_vec),
        acl: reader.long()?,
        czxid: Zxid(reader.long()?),
        mzxid: Zxid(reader.long()?),
        ctime: reader.long()?,
        mtime: reader.long()?,
        version: reader.int()?,
        cversion: reader.int()?,
        aversion: reader.int()?,
        owner: reader.long()?,
        pzxid: Zxid(reader.long()?),
    }))
}

const READ_LEN: usize = 64 * 1024;
/// An item that claims to be longer is damaged: no server takes a request that would make one.
const ITEM_LEN_MAX: usize = 256 << 20;
