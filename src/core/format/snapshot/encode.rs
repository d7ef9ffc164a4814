use std::collections::HashMap;

use simd_adler32::Adler32;

use super::{
    DB_ID, DIGEST_LEN, END, END_LEN, HEADER_LEN, LAST_ZXID_LEN, MAGIC, OPEN_ACL_ID, SEAL_LEN, SESSION_LEN,
    SIGNATURE, STAT_LEN, Sections, VERSION,
};
use crate::id::SessionId;
use crate::jute::Writer;
use crate::proto::AclRef;
use crate::tree::{DataTree, Found, Walk};

/// Writes a tree and its sessions as a snapshot, in pieces.
///
/// The tree is borrowed from first to last, so that the snapshot is exactly one state. Besides it, memory
/// is taken for the distinct ACL lists.
pub struct SnapshotWriter<'t> {
    stage: Stage<'t>,
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

enum Stage<'t> {
    Start { tree: &'t DataTree },
    Sessions { sessions: std::collections::btree_map::Iter<'t, SessionId, i32>, tree: &'t DataTree },
    Lists { next: usize, nodes: Walk<'t> },
    Nodes(Walk<'t>),
    Done,
}

impl<'t> SnapshotWriter<'t> {
    /// Looks at every node once, to number the ACL lists and to know the length. Takes time in proportion.
    pub fn new(tree: &'t DataTree, sections: Sections) -> SnapshotWriter<'t> {
        SnapshotWriter::in_form(tree, Form::File(sections))
    }

    /// Writes what follows a leader's SNAP (zab §6.3), to be read by [`super::TreeReceiver`]: the sessions,
    /// lists and nodes of the file, and a signature at their end.
    pub fn for_learner(tree: &'t DataTree) -> SnapshotWriter<'t> {
        SnapshotWriter::in_form(tree, Form::Stream)
    }

    fn in_form(tree: &'t DataTree, form: Form) -> SnapshotWriter<'t> {
        let mut lists = Lists::default();
        let mut len = 4 + tree.sessions().len() * SESSION_LEN + 4 + END_LEN;
        for found in tree.walk() {
            lists.number(&found.node.fields().acl);
            len += Writer::text_len(stored_path(found)) + 4 + found.node.data_len() + 8 + STAT_LEN;
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
        let stage = Stage::Start { tree };
        SnapshotWriter { stage, lists, form, sum: Adler32::new(), encoded_len: len as u64 }
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
        match &mut self.stage {
            Stage::Start { tree } => {
                if let Form::File(_) = self.form {
                    writer.int(MAGIC);
                    writer.int(VERSION);
                    writer.long(DB_ID);
                }
                writer.int(tree.sessions().len() as i32);
                self.stage = Stage::Sessions { sessions: tree.sessions().iter(), tree };
            }
            Stage::Sessions { sessions, tree } => match sessions.next() {
                Some((id, timeout_ms)) => {
                    writer.long(id.0);
                    writer.int(*timeout_ms);
                }
                None => {
                    writer.int(self.lists.by_number.len() as i32);
                    self.stage = Stage::Lists { next: 0, nodes: tree.walk() };
                }
            },
            Stage::Lists { next, nodes } => match self.lists.by_number.get(*next) {
                Some(list) => {
                    *next += 1;
                    writer.long(*next as i64);
                    list.encode(&mut writer);
                }
                None => self.stage = Stage::Nodes(nodes.clone()),
            },
            Stage::Nodes(nodes) => match nodes.next() {
                Some(found) => {
                    let list = self.lists.number(&found.node.fields().acl);
                    encode_node(found, list, &mut writer);
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

fn encode_node(found: Found<'_>, list: i64, writer: &mut Writer<'_>) {
    let fields = found.node.fields();
    writer.text(stored_path(found));
    writer.buffer(found.node.data());
    writer.long(list);
    writer.long(fields.czxid.0);
    writer.long(fields.mzxid.0);
    writer.long(fields.ctime);
    writer.long(fields.mtime);
    writer.int(fields.version);
    writer.int(found.cversion());
    writer.int(fields.aversion);
    writer.long(fields.owner);
    writer.long(found.pzxid().0);
}

/// The root's path is stored as nothing.
fn stored_path(found: Found<'_>) -> &str {
    match found.node.path() {
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
