use simd_adler32::Adler32;

use super::{
    DB_ID, DIGEST_LEN, Digest, END, END_LEN, HEADER_LEN, LAST_ZXID_LEN, MAGIC, OPEN_ACL_ID, SEAL_LEN,
    SESSION_LEN, SIGNATURE, STAT_LEN, Sections, VERSION,
};
use crate::id::SessionId;
use crate::jute::Writer;
use crate::proto::AclRef;
use crate::tree::{AclLists, DIGEST_VERSION, Frozen, FrozenNode, LOOK_AHEAD, Node};

/// Writes a state as a snapshot, in pieces.
///
/// Each node of the state is let go when it is written.
pub struct SnapshotWriter {
    stage: Stage,
    sessions: std::collections::btree_map::IntoIter<SessionId, i32>,
    nodes: std::vec::IntoIter<FrozenNode>,
    lists: AclLists,
    form: Form,
    sum: Adler32,
    len_min: u64,
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
    /// Writes a state with these sections.
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
        let Frozen { sessions, nodes, content_len, lists, .. } = state;
        let lists_len = lists.in_order().iter().map(list_len).sum::<usize>();
        let nodes_len = nodes.len() * (4 + 4 + 8 + STAT_LEN) + content_len - "/".len();
        let around_len = match form {
            Form::File(sections) => {
                HEADER_LEN
                    + SEAL_LEN
                    + sections.digest.map_or(0, |_| DIGEST_LEN + SEAL_LEN)
                    + sections.last_zxid.map_or(0, |_| LAST_ZXID_LEN + SEAL_LEN)
            }
            Form::Stream => 4 + SIGNATURE.len(),
        };
        let len = around_len + 4 + sessions.len() * SESSION_LEN + 4 + lists_len + nodes_len + END_LEN;
        SnapshotWriter {
            stage: Stage::Header,
            sessions: sessions.into_iter(),
            nodes: nodes.into_iter(),
            lists,
            form,
            sum: Adler32::new(),
            len_min: len as u64,
        }
    }

    /// How many bytes the whole snapshot takes at least: exactly so many, unless paths have characters beyond U+FFFF, for
    /// each of which it takes two more.
    pub fn len_min(&self) -> u64 {
        self.len_min
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
                    writer.int(self.lists.in_order().len() as i32);
                    self.stage = Stage::List(0);
                }
            },
            Stage::List(next) => match self.lists.in_order().get(next) {
                Some(list) => {
                    self.stage = Stage::List(next + 1);
                    writer.long(next as i64 + 1);
                    list.encode(&mut writer);
                }
                None => self.stage = Stage::Nodes,
            },
            Stage::Nodes => match self.next_node() {
                Some(frozen) => {
                    let index = self.lists.index(frozen.node.acl());
                    let list = index.map_or(OPEN_ACL_ID, |index| index as i64 + 1);
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
    writer.utf8(stored_path(node));
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
fn stored_path(node: &Node) -> &[u8] {
    match node.path_bytes() {
        b"/" => b"",
        path => path,
    }
}

fn list_len(list: &AclRef) -> usize {
    let entries = list.iter().map(|entry| 4 + Writer::text_len(&entry.scheme) + Writer::text_len(&entry.id));
    8 + 4 + entries.sum::<usize>()
}
