use std::collections::HashMap;

use simd_adler32::Adler32;

use super::{
    DB_ID, DIGEST_LEN, Digest, END, END_LEN, HEADER_LEN, LAST_ZXID_LEN, MAGIC, OPEN_ACL_ID, SEAL_LEN,
    SESSION_LEN, SIGNATURE, STAT_LEN, Sections, VERSION,
};
use crate::id::SessionId;
use crate::jute::Writer;
use crate::proto::AclRef;
use crate::tree::{DIGEST_VERSION, Frozen, FrozenNode, LOOK_AHEAD, Node};

/// Writes a state as a snapshot, in pieces.
///
/// Takes memory for the distinct ACL lists besides the state, of which each node is let go when it is written.
pub struct SnapshotWriter {
    stage: Stage,
    sessions: std::collections::btree_map::IntoIter<SessionId, i32>,
    nodes: std::vec::IntoIter<FrozenNode>,
    lists: Lists,
    form: Form,
    sum: Adler32,
    encoded_len: u64,
}

/// What there is around sessions, lists and nodes.
#[derive(Clone, Copy)]
enum Form {
    File(Sections),
    Stream,
}

/// What comes next.
enum Stage {
    Header,
    Sessions,
    List(usize),
    Nodes,
    Done,
}

impl SnapshotWriter {
    /// Looks at every node once, to number the ACL lists and to know the length. Takes time in proportion.
    pub fn new(state: Frozen, sections: Sections) -> SnapshotWriter {
        SnapshotWriter::in_form(state, Form::File(sections))
    }

    /// Writes a state with the sections that it is to have.
    pub fn of(state: Frozen) -> SnapshotWriter {
        let zxid = state.zxid;
        let digest = state.digest.map(|value| Digest { zxid, version: DIGEST_VERSION, value: value as i64 });
        let sections = Sections { digest, last_zxid: state.has_last_zxid.then_some(zxid) };
        SnapshotWriter::new(state, sections)
    }

    /// Writes what follows a leader's SNAP (zab §6.3), to be read by [`super::TreeReceiver`]: the sessions,
    /// lists and nodes of the file, and a signature at their end.
    pub fn for_learner(state: Frozen) -> SnapshotWriter {
        SnapshotWriter::in_form(state, Form::Stream)
    }

    fn in_form(state: Frozen, form: Form) -> SnapshotWriter {
        let Frozen { sessions, nodes, .. } = state;
        let mut lists = Lists::default();
        let mut len = 4 + sessions.len() * SESSION_LEN + 4 + END_LEN;
        for nodes in nodes.chunks(LOOK_AHEAD) {
            nodes.iter().for_each(|FrozenNode { node, .. }| node.load());
            for FrozenNode { node, .. } in nodes {
                lists.number(node.acl());
                len += Writer::text_len(stored_path(node)) + 4 + node.data_len() + 8 + STAT_LEN;
            }
        }
        len += lists.by_number.iter().map(list_len).sum::<usize>();
        len += match form {
            Form::File(sections) => {
                HEADER_LEN
                    + SEAL_LEN
                    + sections.digest.map_or(0, |_| DIGEST_LEN + SEAL_LEN)
                    + sections.last_zxid.map_or(0, |_| LAST_ZXID_LEN + SEAL_LEN)
            }
            Form::Stream => 4 + SIGNATURE.len(),
        };
        SnapshotWriter {
            stage: Stage::Header,
            sessions: sessions.into_iter(),
            nodes: nodes.into_iter(),
            lists,
            form,
            sum: Adler32::new(),
            encoded_len: len as u64,
        }
    }

    /// The length of the whole snapshot in bytes.
    pub fn encoded_len(&self) -> u64 {
        self.encoded_len
    }

    /// Appends the next piece: at least `len_min` bytes, and more only to finish a node, an ACL list or
    /// the end. False if that was the last.
    pub fn fill(&mut self, out: &mut Vec<u8>, len_min: usize) -> bool {
        let start = out.len();
        let mut summed = start;
        while out.len() - start < len_min.max(1) {
            if !self.step(out, &mut summed) {
                return false;
            }
        }
        if let Form::File(_) = self.form {
            self.sum.write(&out[summed..]);
        }
        true
    }

    /// Appends one item. What the sum covers of `out` already ends at `summed`.
    fn step(&mut self, out: &mut Vec<u8>, summed: &mut usize) -> bool {
        let mut writer = Writer::new(out);
        match self.stage {
            Stage::Header => {
                if let Form::File(_) = self.form {
                    writer.int(MAGIC);
                    writer.int(VERSION);
                    writer.long(DB_ID);
                }
                writer.int(self.sessions.len() as i32);
                self.stage = Stage::Sessions;
            }
            Stage::Sessions => match self.sessions.next() {
                Some((id, timeout_ms)) => {
                    writer.long(id.0);
                    writer.int(timeout_ms);
                }
                None => {
                    writer.int(self.lists.by_number.len() as i32);
                    self.stage = Stage::List(0);
                }
            },
            Stage::List(next) => match self.lists.by_number.get(next) {
                Some(list) => {
                    self.stage = Stage::List(next + 1);
                    writer.long(next as i64 + 1);
                    list.encode(&mut writer);
                }
                None => self.stage = Stage::Nodes,
            },
            Stage::Nodes => match self.next_node() {
                Some(frozen) => {
                    let list = self.lists.number(frozen.node.acl());
                    encode_node(&frozen, list, &mut writer);
                }
                None => {
                    writer.buffer(Some(END));
                    self.stage = Stage::Done;
                    self.finish(out, summed);
                    return false;
                }
            },
            Stage::Done => return false,
        }
        true
    }

    fn next_node(&mut self) -> Option<FrozenNode> {
        if self.nodes.len().is_multiple_of(LOOK_AHEAD) {
            let ahead = || self.nodes.as_slice().iter().take(LOOK_AHEAD);
            ahead().for_each(|FrozenNode { node, .. }| node.load());
            ahead().for_each(|FrozenNode { node, .. }| node.load_content());
        }
        self.nodes.next()
    }

    fn finish(&mut self, out: &mut Vec<u8>, summed: &mut usize) {
        let Form::File(sections) = self.form else {
            return Writer::new(out).buffer(Some(SIGNATURE));
        };
        self.seal(out, summed);
        if let Some(digest) = sections.digest {
            let mut writer = Writer::new(out);
            writer.long(digest.zxid.0);
            writer.int(digest.version);
            writer.long(digest.value);
            self.seal(out, summed);
        }
        if let Some(zxid) = sections.last_zxid {
            Writer::new(out).long(zxid.0);
            self.seal(out, summed);
        }
    }

    fn seal(&mut self, out: &mut Vec<u8>, summed: &mut usize) {
        self.sum.write(&out[*summed..]);
        *summed = out.len();
        let mut writer = Writer::new(out);
        writer.long(self.sum.finish().into());
        writer.buffer(Some(END));
    }
}

fn encode_node(frozen: &FrozenNode, list: i64, writer: &mut Writer<'_>) {
    let FrozenNode { node, pzxid, cversion } = frozen;
    writer.text(stored_path(node));
    writer.buffer(node.data());
    writer.long(list);
    writer.long(node.czxid().0);
    writer.long(node.mzxid().0);
    writer.long(node.ctime());
    writer.long(node.mtime());
    writer.int(node.version());
    writer.int(*cversion);
    writer.int(node.aversion());
    writer.long(node.owner());
    writer.long(pzxid.0);
}

/// The root's path is stored as nothing.
fn stored_path(node: &Node) -> &str {
    match node.path() {
        "/" => "",
        path => path,
    }
}

fn list_len(list: &AclRef) -> usize {
    let entries = list.iter().map(|entry| 4 + Writer::text_len(&entry.scheme) + Writer::text_len(&entry.id));
    8 + 4 + entries.sum::<usize>()
}

/// The lists of a tree, numbered from 1 as they are met.
#[derive(Default)]
struct Lists {
    numbers: HashMap<AclRef, i64>,
    by_number: Vec<AclRef>,
    /// Neighbours tend to have the same list.
    last: Option<(AclRef, i64)>,
}

impl Lists {
    fn number(&mut self, list: &AclRef) -> i64 {
        if let Some((_, number)) = self.last.as_ref().filter(|(last, _)| last == list) {
            return *number;
        }
        let number = match self.numbers.get(list) {
            Some(number) => *number,
            None if *list == AclRef::open() => OPEN_ACL_ID,
            None => {
                self.by_number.push(list.clone());
                self.numbers.insert(list.clone(), self.by_number.len() as i64);
                self.by_number.len() as i64
            }
        };
        self.last = Some((list.clone(), number));
        number
    }
}
