//! Snapshots and logs together on real files: what is recovered from them, what is purged, what a crash leaves.

mod crash;
mod gaps;
mod hand_over;
mod history;
mod purge;
mod truncate;

use std::fs;
use std::path::{Path, PathBuf};

use glommio::LocalExecutor;
use ringkeeper::storage::disk::Os;
use ringkeeper::storage::recovery::{self, Folders, RecoverError, Recovery};
use ringkeeper::storage::snapshot::{Draft, Pace, SharedPace, save};
use ringkeeper::storage::wal::{self, Batches, SEGMENT_LEN_MIN, Wal};
use ringkeeper_core::acl::Policy;
use ringkeeper_core::format::java_log;
use ringkeeper_core::format::snapshot::Compression;
use ringkeeper_core::format::wal::RecordBatch;
use ringkeeper_core::id::{ServerId, SessionId, Zxid};
use ringkeeper_core::ops::Settings;
use ringkeeper_core::prep::{PipelineOptions, ReaperOptions};
use ringkeeper_core::proto::{Txn, TxnHeader};
use ringkeeper_core::time::WallTime;
use ringkeeper_core::tree::{DataTree, Delta, TreeOptions};

/// The transaction of a zxid opens the session of that number: which sessions a state has says exactly
/// which transactions went into it.
fn transaction(zxid: Zxid) -> Vec<u8> {
    let header = TxnHeader { client_id: SessionId(zxid.0), cxid: 0, zxid, time: WallTime(0) };
    let mut payload = Vec::new();
    header.encode(&Txn::CreateSession { timeout_ms: 4000 }, &mut payload);
    payload
}

/// The state that transactions `1..=last` make.
fn state_at(last: i64) -> DataTree {
    let mut tree = DataTree::new(TreeOptions::default());
    for zxid in 1..=last {
        tree.apply(Zxid(zxid), &Delta::OpenSession { id: SessionId(zxid), timeout_ms: 4000 });
    }
    tree.advance(Zxid(last));
    tree
}

/// Up to which transaction a state has all, with none left out.
fn last_of(recovery: &Recovery) -> i64 {
    let last = recovery.pipeline.last_zxid().0;
    let sessions = recovery.pipeline.tree().sessions().keys().map(|id| id.0);
    assert!(sessions.eq(1..=last), "a state at {last} lacks some transaction, or has another");
    assert_eq!(recovery.wal.durable().upto(), Zxid(last));
    last
}

/// A data folder, as servers leave it.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Folder {
        Folder(tempfile::tempdir().expect("a temporary folder"))
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    /// With transactions up to 100: Java's, ours, Java's, and ours again.
    fn in_stretches() -> Folder {
        let folder = Folder::new();
        folder.javas_log(1..=50);
        folder.write(80);
        folder.javas_log(81..=90);
        folder.write(100);
        folder
    }

    fn folders(&self) -> Folders<'_> {
        Folders { snapshots: self.path(), logs: self.path() }
    }

    fn recover(&self) -> Result<Recovery, RecoverError> {
        self.recover_trusting(false)
    }

    fn recover_trusting(&self, trust_empty: bool) -> Result<Recovery, RecoverError> {
        recovery::recover(self.folders(), pipeline(), TreeOptions::default(), WAL, trust_empty)
    }

    fn last(&self) -> i64 {
        last_of(&self.recover().expect("the folder is whole"))
    }

    /// Why a start is refused, which must leave everything as it is.
    fn refusal(&self) -> String {
        let before = self.image();
        let message = self.recover().err().expect("something is missing").to_string();
        assert!(self.image() == before, "a start that is refused changes nothing");
        message
    }

    /// Lets a server write up to this zxid.
    fn write(&self, last: i64) {
        let recovery = self.recover().expect("the folder is whole");
        write(recovery, last);
    }

    /// Saves the state at this zxid.
    fn save(&self, zxid: i64) -> PathBuf {
        let pace = SharedPace::new(Pace::Full);
        save(&Os, self.path(), state_at(zxid).freeze(), Compression::None, &pace, Draft::Own).expect("room")
    }

    /// Writes a file of Java's log.
    fn javas_log(&self, zxids: std::ops::RangeInclusive<i64>) -> PathBuf {
        self.javas_log_of(zxids, transaction)
    }

    /// Writes a file of Java's log with other transactions.
    fn javas_other_log(&self, zxids: std::ops::RangeInclusive<i64>) -> PathBuf {
        self.javas_log_of(zxids, |zxid| {
            let mut other = transaction(zxid);
            *other.last_mut().expect("bytes") ^= 1;
            other
        })
    }

    fn javas_log_of(
        &self,
        zxids: std::ops::RangeInclusive<i64>,
        transaction: impl Fn(Zxid) -> Vec<u8>,
    ) -> PathBuf {
        let path = self.path().join(java_log::file_name(Zxid(*zxids.start())));
        let mut file = Vec::new();
        java_log::encode_header(&mut file);
        zxids.for_each(|zxid| java_log::encode_entry(&transaction(Zxid(zxid)), &mut file));
        fs::write(&path, file).expect("room");
        path
    }

    fn image(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let mut paths: Vec<_> = self.names().into_iter().map(|name| self.path().join(name)).collect();
        paths.drain(..).map(|path| (path.clone(), fs::read(path).expect("readable"))).collect()
    }

    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.path()).expect("a folder");
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().expect("a name")).collect();
        names.sort();
        names
    }

    /// The segments that have records, in order.
    fn segments(&self) -> Vec<PathBuf> {
        let is_named = |name: &String| name.strip_prefix("wal.").is_some_and(|rest| rest.len() == 16);
        self.names().into_iter().filter(is_named).map(|name| self.path().join(name)).collect()
    }
}

/// Writes one batch for each transaction behind what was recovered.
fn write(recovery: Recovery, last: i64) {
    let first = recovery.pipeline.last_zxid().0 + 1;
    LocalExecutor::default().run(async {
        let log = Wal::open(recovery.wal).await.expect("the log can be opened");
        log.run(OneByOne(first..=last), |_| {}).await;
    });
}

/// An inbox of transactions, each of which has a write of its own.
struct OneByOne<I>(I);

impl<I: Iterator<Item = i64>> Batches for OneByOne<I> {
    async fn next(&mut self) -> Option<RecordBatch> {
        let zxid = Zxid(self.0.next()?);
        let mut batch = RecordBatch::new();
        batch.push(zxid, |out| out.extend_from_slice(&transaction(zxid)));
        Some(batch)
    }

    fn try_next(&mut self) -> Option<RecordBatch> {
        None
    }
}

/// In memory where that is possible: for files of which it does not matter how durable they are.
fn folder_in_memory() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    let made = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
    made.expect("a temporary folder")
}

fn pipeline() -> PipelineOptions {
    PipelineOptions {
        server: ServerId(1),
        shards: 1,
        tick_ms: 2000,
        new_sessions: ringkeeper_core::session::NewSessions::Global,
        settings: Settings {
            policy: Policy::default(),
            extended_types: false,
            enforce_quota: false,
            reconfig_enabled: false,
            has_old_peers: false,
        },
        reaper: ReaperOptions::default(),
    }
}

/// Segments of the smallest size: each has 255 batches of a block.
const WAL: wal::Options = wal::Options {
    segment_len: SEGMENT_LEN_MIN,
    force_sync: true,
    slow_sync: std::time::Duration::from_secs(1),
};
