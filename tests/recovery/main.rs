//! What a server starts with, from folders of Java's that are damaged, cut, or lack files: the true state,
//! or an error that names the place.

mod damage;
mod folders;

use std::fs;
use std::path::{Path, PathBuf};

use ringkeeper::storage::recovery::{Folders, RecoverError, recover};
use ringkeeper::storage::wal;
use ringkeeper_core::id::{ServerId, Zxid};
use ringkeeper_core::ops::Settings;
use ringkeeper_core::prep::{PipelineOptions, ReaperOptions};
use ringkeeper_core::tree::{DataTree, TreeOptions};
use ringkeeper_kit::deps::tests_dir;
use tempfile::TempDir;

/// A folder of Java's, whose files a test changes.
struct Folder(TempDir);

/// What was recovered: every node in order, the sessions, and the last zxid.
#[derive(Clone, Debug, PartialEq, Eq)]
struct State {
    nodes: Vec<String>,
    last_zxid: Zxid,
}

impl Folder {
    /// One with these of the files that a Java server has left: a log of all that it did, the snapshot that
    /// it began with, and the same of its last state, compressed in each way. In memory,
    /// where that can be had: nothing here is about the disk.
    fn with(names: &[&str]) -> Folder {
        let memory = Path::new("/dev/shm");
        let place = if memory.is_dir() { memory.into() } else { std::env::temp_dir() };
        let folder = Folder(tempfile::tempdir_in(place).expect("a temporary folder"));
        names.iter().for_each(|name| folder.put(name, &recorded(name)));
        folder
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn put(&self, name: &str, content: &[u8]) {
        fs::write(self.path(name), content).expect("a file in it");
    }

    /// What a server starts with.
    fn recover(&self) -> Result<State, RecoverError> {
        self.recover_trusting(false)
    }

    /// The same, with `snapshot.trust.empty`.
    fn recover_trusting(&self, trust_empty: bool) -> Result<State, RecoverError> {
        let folders = Folders { snapshots: self.0.path(), logs: self.0.path() };
        let wal = wal::Options { segment_len: wal::SEGMENT_LEN_MIN, ..wal::Options::default() };
        let pipeline = recover(folders, options(), TREE_OPTIONS, wal, trust_empty)?.pipeline;
        Ok(State { nodes: nodes(pipeline.tree()), last_zxid: pipeline.last_zxid() })
    }

    /// Asserts that no server starts here, for a reason that has all these words.
    #[track_caller]
    fn assert_refused(&self, words: &[&str]) {
        let text = match self.recover() {
            Ok(state) => panic!("it starts, at {}", state.last_zxid),
            Err(error) => error.to_string(),
        };
        words.iter().for_each(|word| assert!(text.contains(word), "{word:?} is not in: {text}"));
    }
}

/// The state that the recorded files hold.
fn true_state() -> State {
    Folder::with(&[SNAPSHOT]).recover().expect("sound files")
}

/// The content of a recorded file.
fn recorded(name: &str) -> Vec<u8> {
    fs::read(tests_dir().join("fixtures/java").join(name)).expect("a recorded file")
}

fn nodes(tree: &DataTree) -> Vec<String> {
    let describe = |found: ringkeeper_core::tree::Found<'_>| {
        format!("{:?} {:?} {:?}", found.node, found.node.data(), found.stat())
    };
    let mut lines: Vec<String> = tree.walk().map(describe).collect();
    lines.sort();
    lines.push(format!("{:?}", tree.sessions()));
    lines
}

fn options() -> PipelineOptions {
    PipelineOptions {
        server: ServerId(1),
        shards: 1,
        tick_ms: 2000,
        new_sessions: ringkeeper_core::session::NewSessions::Global,
        settings: Settings::default(),
        reaper: ReaperOptions { check_interval_ms: 60_000, per_minute_max: 60, never_used_ms_max: 0 },
    }
}

const TREE_OPTIONS: TreeOptions = TreeOptions { extended_types: true, digest: true, seed: 1 };

/// Of the empty tree.
const FIRST_SNAPSHOT: &str = "snapshot.0";
/// Of the last state.
const SNAPSHOT: &str = "snapshot.1c";
const GZIP: &str = "snapshot.1c.gz";
const SNAPPY: &str = "snapshot.1c.snappy";
/// Of all that was done.
const LOG: &str = "log.1";
