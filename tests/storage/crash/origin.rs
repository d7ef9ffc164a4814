//! What lies in a folder before a server's first start.

use std::collections::BTreeMap;
use std::fs;
use std::ops::Range;

use ringkeeper::storage::recovery::{self, Folders};
use ringkeeper_core::format::java_log::LogReader;
use ringkeeper_core::id::SessionId;
use ringkeeper_core::tree::{DataTree, TreeOptions};

use super::disk::Image;
use crate::{folder_in_memory, pipeline};

/// Files, and the states that may be found in them.
#[derive(Default)]
pub(super) struct Origin {
    files: Image,
    /// What is durable of those that are not, or not whole.
    unsynced: Image,
    /// The nodes at each zxid that may be the last. The last of them is, once the files are durable.
    states: BTreeMap<i64, Vec<String>>,
}

impl Origin {
    /// Nothing.
    pub(super) fn empty() -> Origin {
        Origin { states: BTreeMap::from([(0, nodes(&DataTree::new(TREE)))]), ..Origin::default() }
    }

    /// What a Java server has left that was killed just now: a snapshot that it began with, a log of all that
    /// it did, and depending on the seed a snapshot of its last state. What it did not wait for may be lost.
    pub(super) fn java(seed: u64) -> Origin {
        let own = |(name, bytes): (&str, &[u8])| (name.to_owned(), bytes.to_vec());
        let begun = last_entry(LOG.1);
        let mut torn = LOG.1.to_vec();
        torn[begun..].fill(0);
        let (snapshot, unsynced) = match seed % 4 {
            0 => (None, (LOG.0, &*torn)),
            1 => (Some(SNAPSHOTS[0]), (SNAPSHOTS[0].0, &b""[..])),
            2 => (Some(SNAPSHOTS[1]), (SNAPSHOTS[1].0, &SNAPSHOTS[1].1[..256])),
            _ => (Some(SNAPSHOTS[2]), (LOG.0, &*torn)),
        };
        let files: Image = [FIRST_SNAPSHOT, LOG].into_iter().chain(snapshot).map(own).collect();
        let unsynced = Image::from([own(unsynced)]);
        let mut states = BTreeMap::from([state_of(&files)]);
        if snapshot.is_none() {
            let mut least = files.clone();
            least.extend(unsynced.clone());
            states.extend([state_of(&least)]);
        }
        Origin { files, unsynced, states }
    }

    pub(super) fn files(&self) -> &Image {
        &self.files
    }

    /// What is durable before the first start of files that are not.
    pub(super) fn unsynced(&self) -> &Image {
        &self.unsynced
    }

    /// The state that a crash cannot take away.
    pub(super) fn surely(&self) -> i64 {
        *self.states.first_key_value().expect("one at least").0
    }

    /// The state that is found if there is no crash.
    pub(super) fn last(&self) -> i64 {
        *self.states.last_key_value().expect("one at least").0
    }

    pub(super) fn nodes_at(&self, zxid: i64) -> Option<&[String]> {
        self.states.get(&zxid).map(Vec::as_slice)
    }
}

/// Everything that is not from this test's transactions.
pub(super) fn nodes(tree: &DataTree) -> Vec<String> {
    let describe = |found: ringkeeper_core::tree::Found<'_>| {
        format!("{:?} {:?} {:?}", found.node, found.node.data(), found.stat())
    };
    let mut lines: Vec<String> = tree.walk().map(describe).collect();
    lines.sort();
    lines.extend(tree.sessions().iter().filter(|(id, _)| !OURS.contains(id)).map(|id| format!("{id:?}")));
    lines
}

/// What is found in sound files.
fn state_of(files: &Image) -> (i64, Vec<String>) {
    let dir = folder_in_memory();
    for (name, bytes) in files {
        fs::write(dir.path().join(name), bytes).expect("room");
    }
    let folders = Folders { snapshots: dir.path(), logs: dir.path() };
    let wal = super::watch::WAL;
    let found = recovery::recover(folders, pipeline(), TREE, wal, false).expect("sound files").pipeline;
    (found.last_zxid().0, nodes(found.tree()))
}

/// Where the last entry of a log of Java's begins.
fn last_entry(log: &[u8]) -> usize {
    let mut reader = LogReader::new(log).expect("a sound log");
    let mut begun = [reader.offset(); 2];
    while reader.next_entry().expect("a sound log").is_some() {
        begun = [begun[1], reader.offset()];
    }
    begun[0]
}

/// The sessions that this test's transactions open. Those of servers have their id in the highest byte.
pub(super) const OURS: Range<SessionId> = SessionId(0)..SessionId(1 << 32);
pub(super) const TREE: TreeOptions = TreeOptions { extended_types: true, digest: true, seed: 1 };

const FIRST_SNAPSHOT: (&str, &[u8]) = ("snapshot.0", include_bytes!("../../fixtures/java/snapshot.0"));
const LOG: (&str, &[u8]) = ("log.1", include_bytes!("../../fixtures/java/log.1"));
/// Of the last state.
const SNAPSHOTS: [(&str, &[u8]); 3] = [
    ("snapshot.1c", include_bytes!("../../fixtures/java/snapshot.1c")),
    ("snapshot.1c.gz", include_bytes!("../../fixtures/java/snapshot.1c.gz")),
    ("snapshot.1c.snappy", include_bytes!("../../fixtures/java/snapshot.1c.snappy")),
];
