use std::collections::{BTreeMap, HashMap};

use super::decode::{nobody, read_node};
use super::{END, OPEN_ACL_ID, Reason, SIGNATURE, SnapshotError};
use crate::acl::Interner;
use crate::id::{SessionId, Zxid};
use crate::jute::{DecodeError, Reader};
use crate::proto::AclRef;
use crate::tree::{DataTree, FrozenNode, Loader, Part, TreeOptions};
use crate::workers::Alone;

/// Takes in the tree that a leader sends behind its SNAP, as its bytes come (zab §6.3).
///
/// Memory is taken in proportion to the bytes that have come.
pub struct TreeReceiver {
    zxid: Zxid,
    stage: Stage,
    loader: Loader,
    sessions: BTreeMap<SessionId, i32>,
    nodes: Vec<FrozenNode>,
    interner: Interner,
    lists: HashMap<i64, AclRef>,
    /// How many bytes were taken in before.
    received: usize,
    value_len_max: usize,
}

/// What became of some bytes.
pub enum Received {
    /// The first so many are done with; the rest must have at least so many bytes before another look is of
    /// use.
    Part {
        /// How many are done with.
        consumed: usize,
        /// How many there must be behind them.
        wanted: usize,
    },
    /// The tree is whole and ends after so many bytes.
    Whole(Box<DataTree>, usize),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    SessionCount,
    Sessions(i32),
    ListCount,
    Lists(i32),
    Nodes,
    Signature,
    Done,
}

impl TreeReceiver {
    /// Awaits a tree as of `zxid`. No text or datum in it may be longer than `value_len_max`.
    pub fn new(zxid: Zxid, options: TreeOptions, value_len_max: usize) -> TreeReceiver {
        TreeReceiver {
            zxid,
            stage: Stage::SessionCount,
            loader: Loader::new(options),
            sessions: BTreeMap::new(),
            nodes: Vec::new(),
            interner: Interner::new(),
            lists: HashMap::new(),
            received: 0,
            value_len_max,
        }
    }

    /// Takes in what has come behind what is done with already.
    ///
    /// # Errors
    ///
    /// If it is no tree. Offsets count from the tree's first byte.
    pub fn receive(&mut self, bytes: &[u8]) -> Result<Received, SnapshotError> {
        let mut consumed = 0;
        loop {
            let mut reader = Reader::new(&bytes[consumed..]);
            match self.item(&mut reader) {
                Ok(()) => {}
                Err(Wrong::Bytes(DecodeError::Truncated { wanted, .. })) => {
                    let wanted = bytes.len() - consumed + wanted;
                    if wanted > self.value_len_max + ITEM_LEN_MAX {
                        let error = DecodeError::Truncated { offset: self.received, wanted };
                        return Err(self.wrong(Reason::Record(error)));
                    }
                    return Ok(Received::Part { consumed, wanted });
                }
                Err(Wrong::Bytes(error)) => return Err(self.wrong(Reason::Record(error))),
                Err(Wrong::Tree(reason)) => return Err(self.wrong(reason)),
            }
            consumed += reader.offset();
            self.received += reader.offset();
            if self.stage == Stage::Done {
                let tree = self.build()?;
                return Ok(Received::Whole(Box::new(tree), consumed));
            }
        }
    }

    /// Reads one item. If it is not whole, nothing has changed.
    fn item(&mut self, reader: &mut Reader<'_>) -> Result<(), Wrong> {
        self.stage = match self.stage {
            Stage::SessionCount => Stage::Sessions(count(reader)?),
            Stage::Sessions(0) => Stage::ListCount,
            Stage::Sessions(left) => {
                let (id, timeout_ms) = (SessionId(reader.long()?), reader.int()?);
                self.sessions.insert(id, timeout_ms);
                Stage::Sessions(left - 1)
            }
            Stage::ListCount => Stage::Lists(count(reader)?),
            Stage::Lists(0) => {
                self.lists.insert(OPEN_ACL_ID, self.interner.share(AclRef::open()));
                Stage::Nodes
            }
            Stage::Lists(left) => {
                let number = reader.long()?;
                let list = list(reader)?;
                self.lists.insert(number, self.interner.share(list));
                Stage::Lists(left - 1)
            }
            Stage::Nodes => self.node(reader)?,
            Stage::Signature => match reader.buffer()? {
                Some(SIGNATURE) => Stage::Done,
                _ => return Err(Wrong::Tree(Reason::Signature)),
            },
            Stage::Done => Stage::Done,
        };
        Ok(())
    }

    fn node(&mut self, reader: &mut Reader<'_>) -> Result<Stage, Wrong> {
        let path = reader.text()?;
        if path.as_bytes() == END {
            return Ok(Stage::Signature);
        }
        let path = if path.is_empty() { "/" } else { &path };
        let (lists, interner) = (&self.lists, &mut self.interner);
        // A list that is missing comes with the transactions that follow.
        let (node, cversion, pzxid) = read_node(path, reader, |number| match lists.get(&number) {
            Some(list) => list.clone(),
            None => interner.share(nobody()),
        })?;
        self.nodes.push(FrozenNode { node, pzxid, cversion });
        Ok(Stage::Nodes)
    }

    fn build(&mut self) -> Result<DataTree, SnapshotError> {
        let (nodes, sessions) = (std::mem::take(&mut self.nodes), std::mem::take(&mut self.sessions));
        let mut parts = Vec::with_capacity(nodes.len().div_ceil(Part::LEN));
        for (number, nodes) in nodes.chunks(Part::LEN).enumerate() {
            let mut part = self.loader.part(number);
            for FrozenNode { node, pzxid, cversion } in nodes {
                let pushed = part.push(node.clone(), *cversion, *pzxid);
                pushed.map_err(|error| self.wrong(Reason::Node(error)))?;
            }
            parts.push(part);
        }
        let built = self.loader.finish(parts, sessions, self.zxid, &Alone);
        built.map_err(|misplaced| self.wrong(Reason::Node(misplaced.error)))
    }

    fn wrong(&self, reason: Reason) -> SnapshotError {
        SnapshotError { offset: self.received, reason }
    }
}

enum Wrong {
    Bytes(DecodeError),
    Tree(Reason),
}

impl From<DecodeError> for Wrong {
    fn from(error: DecodeError) -> Wrong {
        Wrong::Bytes(error)
    }
}

fn count(reader: &mut Reader<'_>) -> Result<i32, DecodeError> {
    let offset = reader.offset();
    match reader.int()? {
        len if len < 0 => Err(DecodeError::BadLength { offset, len }),
        len => Ok(len),
    }
}

/// A list of which perhaps not all has come, unlike what [`AclRef::decode`] reads.
fn list(reader: &mut Reader<'_>) -> Result<AclRef, DecodeError> {
    let mut ahead = reader.clone();
    let len = ahead.int()?;
    if len > LIST_LEN_MAX {
        return Err(DecodeError::BadLength { offset: reader.offset(), len });
    }
    for _ in 0..len.max(0) {
        ahead.int()?;
        ahead.buffer()?;
        ahead.buffer()?;
    }
    AclRef::decode(reader)
}

/// What a node takes besides its longest value.
const ITEM_LEN_MAX: usize = 4 << 20;
const LIST_LEN_MAX: i32 = 100_000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::snapshot::SnapshotWriter;
    use crate::testing::{picture, tree_of};
    use crate::tree::Delta;

    const LEN_MAX: usize = 1 << 20;

    fn tree() -> DataTree {
        let mut tree = tree_of(&["/a", "/a/b", "/c"].map(|path| (path, Some(&b"data"[..]))));
        for id in 1..4 {
            tree.apply(Zxid(9), &Delta::OpenSession { id: SessionId(id), timeout_ms: 4000 });
        }
        tree
    }

    fn written(tree: &DataTree) -> Vec<u8> {
        let (mut bytes, mut writer) = (Vec::new(), SnapshotWriter::for_learner(tree.freeze()));
        let len = writer.len_min();
        while writer.fill(&mut bytes, 10) {}
        assert_eq!(bytes.len() as u64, len);
        bytes
    }

    #[test]
    fn a_tree_comes_over_as_it_was_sent_however_its_bytes_are_cut() {
        let tree = tree();
        let mut bytes = written(&tree);
        let end = bytes.len();
        bytes.extend(b"next packet");
        for step in [1, 7, 1000] {
            let mut receiver = TreeReceiver::new(tree.last_zxid(), TreeOptions::default(), LEN_MAX);
            let (mut start, mut come) = (0, 0);
            let received = loop {
                come = (come + step).min(bytes.len());
                match receiver.receive(&bytes[start..come]).expect("a tree") {
                    Received::Part { consumed, wanted } => {
                        start += consumed;
                        assert!(wanted > come - start && start + wanted <= end);
                    }
                    Received::Whole(received, consumed) => {
                        assert_eq!(start + consumed, end);
                        break received;
                    }
                }
            };
            assert_eq!(picture(&received), picture(&tree));
            assert_eq!(received.last_zxid(), tree.last_zxid());
        }
    }

    #[test]
    fn what_is_no_tree_is_refused() {
        let good = written(&tree());
        let receive = |bytes: &[u8]| {
            TreeReceiver::new(Zxid(1), TreeOptions::default(), LEN_MAX).receive(bytes).map(|_| ())
        };
        let mut bad = good.clone();
        *bad.last_mut().expect("bytes") = b'!';
        assert_eq!(receive(&bad).expect_err("signature").reason, Reason::Signature);
        assert!(receive(&[0xff; 4]).is_err());
        let mut huge = vec![0; 8];
        huge.extend([0x7f, 0xff, 0xff, 0xff]);
        assert!(receive(&huge).is_err(), "a path of 2 GiB");
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 0x55;
            let _ = receive(&bad);
        }
    }
}
