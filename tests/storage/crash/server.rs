//! A server as far as its files go, one step at a time.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ringkeeper::storage::disk::{Access, Disk};
use ringkeeper::storage::purge::{Purge, PurgeOptions};
use ringkeeper::storage::recovery::{self, Folders};
use ringkeeper::storage::wal::{self, Segments};
use ringkeeper_core::config::PurgeTime;
use ringkeeper_core::format::snapshot::{Sections, SnapshotName, SnapshotWriter};
use ringkeeper_core::format::wal::{
    BLOCK_LEN, Cursor, RecordBatch, Recovery, SegmentHeader, Sync, encoded_len,
};
use ringkeeper_core::id::{SessionId, Zxid};
use ringkeeper_core::proto::{Txn, TxnHeader};
use ringkeeper_core::time::WallTime;
use ringkeeper_core::tree::{DataTree, Delta, TreeOptions};

use super::disk::{Image, ModelDisk, State};
use crate::pipeline;

/// What each transaction has done: opened the session of its number, with this timeout.
type Sessions = BTreeMap<i64, i32>;

pub(super) struct Server {
    seed: u64,
    random: fastrand::Rng,
    dir: tempfile::TempDir,
    disk: Arc<ModelDisk>,
    watch: Arc<Watch>,
    purge: Purge,
    released: Arc<Mutex<Zxid>>,
    segments: Segments,
    sessions: Sessions,
    cursor: Cursor,
    active: fs::File,
    /// What the active segment is to be named after.
    unnamed: Option<Zxid>,
    is_empty: bool,
    next: Option<SegmentHeader>,
    /// Transactions differ from those of the same zxid that were dropped.
    generation: i32,
}

impl Server {
    pub(super) fn start(seed: u64) -> Server {
        let watch = Arc::new(Watch {
            seed,
            dir: folder(),
            expected: Mutex::new(Expected::default()),
            looked_at: Mutex::new((fastrand::Rng::with_seed(!seed), 0)),
        });
        Server::on(&Image::new(), watch, fastrand::Rng::with_seed(seed), 1)
    }

    /// How many images were recovered.
    pub(super) fn images(&self) -> usize {
        self.watch.looked_at.lock().expect("no panic before").1
    }

    /// Ends here, and starts again from what that leaves.
    pub(super) fn crash(mut self) -> Server {
        let image = self.disk.crash(&mut self.random);
        Server::on(&image, self.watch, self.random, self.generation + 1)
    }

    fn on(image: &Image, watch: Arc<Watch>, random: fastrand::Rng, generation: i32) -> Server {
        let dir = folder();
        let looker = watch.clone();
        let disk =
            Arc::new(ModelDisk::new(dir.path(), image, move |state: &mut State| looker.maybe_look(state)));
        let sessions = watch.look(image);
        watch.expect(|expected| *expected = Expected::exactly(&sessions));

        let segments = Segments::new(disk.clone(), dir.path(), Access::Buffered);
        let log = wal::read(dir.path(), |_| Ok(())).expect("it was read before");
        log.mend(&segments).expect("a sound disk");
        let released = Arc::new(Mutex::new(Zxid(-1)));
        let options = PurgeOptions {
            snapshots: dir.path().to_owned(),
            logs: dir.path().to_owned(),
            time: PurgeTime::WithSnapshots,
            retain: 3,
        };
        let release_to = released.clone();
        let purge = Purge::new(options, disk.clone(), move |upto| {
            *release_to.lock().expect("no panic before") = upto
        });
        let (seed, state) = (watch.seed, last_of(&sessions));
        let tail = Tail::find(dir.path());
        let (cursor, active, is_empty, next) = match tail {
            Some(Tail { path, cursor, spare }) => (cursor, path, false, spare),
            None => {
                let header = segments.make(0, SEGMENT_LEN, || Ok(())).expect("room");
                let cursor = Cursor::at_start(header, Default::default(), Sync::Promised);
                (cursor, dir.path().join("wal.next"), true, None)
            }
        };
        let active = disk.open(&active, Access::Buffered).expect("it is there");
        let mut server = Server {
            seed,
            random,
            dir,
            disk,
            watch,
            purge,
            released,
            segments,
            sessions,
            cursor,
            active,
            unnamed: None,
            is_empty,
            next,
            generation,
        };
        server.cursor.skip_to(Zxid(state));
        server
    }

    /// Does one of the things that a server does.
    pub(super) fn step(&mut self) {
        match self.random.u8(0..20) {
            0..=11 => self.write(),
            12..=13 => self.prepare(),
            14..=15 => self.save(),
            16..=17 => self.retire(),
            _ => {
                if self.watch.has_leader() && self.random.u8(0..4) == 0 {
                    self.truncate();
                }
            }
        }
    }

    fn write(&mut self) {
        let first = last_of(&self.sessions) + 1;
        let fill = self.random.usize(0..2 * BLOCK_LEN);
        let zxids = first..=first + self.random.i64(0..3);
        let mut batch = RecordBatch::new();
        for zxid in zxids.clone() {
            let payload = transaction(zxid, self.generation, fill);
            batch.push(Zxid(zxid), |out| out.extend_from_slice(&payload));
        }
        if !self.cursor.fits(&batch) {
            self.change_segment();
        }
        let mut blocks = vec![0; encoded_len(&batch)];
        let offset = self.cursor.encode(&batch, &mut blocks);
        let written: Sessions = zxids.map(|zxid| (zxid, self.generation)).collect();
        self.watch.expect(|expected| expected.maybe.extend(&written));
        self.disk.write_at(&self.active, &blocks, offset).expect("room");
        self.disk.sync(&self.active).expect("a sound disk");
        self.sessions.extend(&written);
        self.watch.expect(|expected| *expected = Expected::exactly(&self.sessions));
        if self.is_empty {
            self.is_empty = false;
            self.unnamed = Some(Zxid(first));
        }
    }

    fn change_segment(&mut self) {
        self.prepare();
        let header = self.next.take().expect("prepared");
        self.cursor = Cursor::at_start(header, self.cursor.chain(), Sync::Promised);
        let path = self.dir.path().join("wal.next");
        self.active = self.disk.open(&path, Access::Buffered).expect("it is there");
        self.is_empty = true;
    }

    fn prepare(&mut self) {
        if self.is_empty || self.next.is_some() {
            return;
        }
        if let Some(first) = self.unnamed.take() {
            self.segments.name(first).expect("a sound disk");
        }
        let number = self.cursor.segment().number + 1;
        self.next = Some(self.segments.make(number, SEGMENT_LEN, || Ok(())).expect("room"));
    }

    /// Writes a snapshot, as every writer of snapshots must: its name comes last.
    fn save(&mut self) {
        let zxid = last_of(&self.sessions);
        let path = self.snapshot(zxid);
        if path.exists() {
            return;
        }
        let unfinished = self.dir.path().join("ringkeeper.snapshot.unfinished");
        let mut bytes = Vec::new();
        let mut writer = SnapshotWriter::new(state_of(&self.sessions).freeze(), Sections::default());
        while writer.fill(&mut bytes, 1 << 16) {}
        let file = self.disk.create(&unfinished, Access::Buffered).expect("room");
        self.disk.write_at(&file, &bytes, 0).expect("room");
        self.disk.sync(&file).expect("a sound disk");
        self.disk.rename(&unfinished, &path).expect("a sound disk");
        self.disk.sync_dir(self.dir.path()).expect("a sound disk");
        let purged = self.purge.after_snapshot();
        assert!(purged.removed.iter().all(|path| !path.exists()));
    }

    fn retire(&mut self) {
        let upto = *self.released.lock().expect("no panic before");
        while self.segments.retire_one(upto).expect("a sound disk") {}
    }

    /// Drops the newest transactions, as a learner does whose leader says so.
    fn truncate(&mut self) {
        let last = last_of(&self.sessions);
        let mut begins = None;
        wal::read(self.dir.path(), |record| {
            begins = begins.or(Some(record.after.0));
            Ok(())
        })
        .expect("a sound log");
        // There must be a state left to start from; otherwise the leader would have to send one.
        let begins = begins.unwrap_or(last);
        let base = (begins..=last).find(|zxid| *zxid == 0 || self.snapshot(*zxid).exists()).unwrap_or(last);
        let zxid = self.random.i64(base..=last);
        let mut left = self.sessions.clone();
        left.split_off(&(zxid + 1));
        self.watch.expect(|expected| expected.surely.clone_from(&left));
        for snapshot in (zxid + 1..=last).rev().map(|zxid| self.snapshot(zxid)) {
            if snapshot.exists() {
                self.disk.remove(&snapshot).expect("a sound disk");
                self.disk.sync_dir(self.dir.path()).expect("a sound disk");
            }
        }
        let end = wal::truncate(&*self.disk, self.dir.path(), Zxid(zxid)).expect("a sound disk");
        assert!(end <= Zxid(zxid), "seed {}: the log ends at {end} when {zxid:#x} was asked for", self.seed);
        self.watch.expect(|expected| *expected = Expected::exactly(&left));
        // It starts again, with what is there.
        let image = self.disk.crash(&mut self.random);
        let generation = self.generation + 1;
        let random = fastrand::Rng::with_seed(self.random.u64(..));
        *self = Server::on(&image, self.watch.clone(), random, generation);
    }

    fn snapshot(&self, zxid: i64) -> PathBuf {
        let name = SnapshotName { zxid: Zxid(zxid), compression: Default::default() };
        self.dir.path().join(name.to_string())
    }
}

/// Where a log goes on that was mended.
struct Tail {
    path: PathBuf,
    cursor: Cursor,
    spare: Option<SegmentHeader>,
}

impl Tail {
    fn find(dir: &Path) -> Option<Tail> {
        let paths = fs::read_dir(dir).expect("a folder").map(|entry| entry.expect("a file").path());
        let is_segment = |path: &PathBuf| {
            let rest = path.file_name()?.to_str()?.strip_prefix("wal.")?;
            (rest == "next" || rest.len() == 16).then_some(())
        };
        let mut segments: Vec<_> = paths
            .filter(|path| is_segment(path).is_some())
            .map(|path| {
                let bytes = fs::read(&path).expect("readable");
                (SegmentHeader::decode(&bytes).expect("mended"), path, bytes)
            })
            .collect();
        segments.sort_by_key(|(header, ..)| header.number);
        let mut recovery = Recovery::default();
        for (_, path, bytes) in &segments {
            let is_named = !path.ends_with("wal.next");
            recovery.read(bytes, is_named, |_| Ok::<_, std::convert::Infallible>(())).expect("mended");
        }
        let recovered = recovery.finish();
        assert_eq!(recovered.cuts, [], "mended");
        let spare = recovered.spare.map(|spare| segments[spare].0);
        match recovered.tail {
            Some((tail, end)) => {
                let (header, path, _) = segments.swap_remove(tail);
                let cursor = Cursor::resume(header, end, recovered.chain, Sync::Promised);
                Some(Tail { path, cursor, spare })
            }
            None => None,
        }
    }
}

/// What a recovery may find: all of `surely`, and of what `maybe` has behind it any beginning.
#[derive(Default)]
struct Expected {
    surely: Sessions,
    maybe: Sessions,
}

impl Expected {
    fn exactly(sessions: &Sessions) -> Expected {
        Expected { surely: sessions.clone(), maybe: sessions.clone() }
    }
}

/// Looks at what crashes leave.
struct Watch {
    seed: u64,
    dir: tempfile::TempDir,
    expected: Mutex<Expected>,
    looked_at: Mutex<(fastrand::Rng, usize)>,
}

impl Watch {
    fn expect(&self, change: impl FnOnce(&mut Expected)) {
        change(&mut self.expected());
    }

    fn expected(&self) -> MutexGuard<'_, Expected> {
        self.expected.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn maybe_look(&self, state: &State) {
        let image = {
            let mut looked_at = self.looked_at.lock().expect("no panic before");
            let (random, _) = &mut *looked_at;
            if random.u8(0..8) != 0 {
                return;
            }
            state.crash(random)
        };
        self.look(&image);
        // Of a log that nobody truncates, any one snapshot can be spared.
        let snapshots = image.keys().filter_map(|name| Some((SnapshotName::parse(name)?, name)));
        if !self.has_leader()
            && let Some((_, newest)) = snapshots.clone().max()
            && snapshots.count() > 1
        {
            let mut damaged = image.clone();
            damaged.entry(newest.clone()).and_modify(|bytes| bytes.truncate(bytes.len() / 2));
            self.look(&damaged);
        }
    }

    /// Whether this run is of a learner, which truncates its log now and then.
    fn has_leader(&self) -> bool {
        self.seed % 2 == 1
    }

    /// Recovers from an image, and compares.
    fn look(&self, image: &Image) -> Sessions {
        self.looked_at.lock().expect("no panic before").1 += 1;
        let dir = self.dir.path();
        for entry in fs::read_dir(dir).expect("a folder") {
            fs::remove_file(entry.expect("a file").path()).expect("ours");
        }
        for (name, bytes) in image {
            fs::write(dir.join(name), bytes).expect("room");
        }
        let found = recover(dir).unwrap_or_else(|error| {
            panic!("seed {}: {error}; files: {:?}", self.seed, image.keys().collect::<Vec<_>>())
        });
        let expected = self.expected();
        let (seed, last) = (self.seed, last_of(&found));
        assert!(found.keys().copied().eq(1..=last), "seed {seed}: a hole before {last:#x}");
        assert!(last >= last_of(&expected.surely), "seed {seed}: {last:#x} is left of what was durable");
        assert!(last <= last_of(&expected.maybe), "seed {seed}: {last:#x} was never written");
        for (zxid, generation) in &found {
            assert_eq!(Some(generation), expected.maybe.get(zxid), "seed {seed}: {zxid:#x} is another");
        }
        found
    }
}

fn recover(dir: &Path) -> Result<Sessions, recovery::RecoverError> {
    let folders = Folders { snapshots: dir, logs: dir };
    let options = wal::Options { segment_len: SEGMENT_LEN, ..wal::Options::default() };
    let found = recovery::recover(folders, pipeline(), TreeOptions::default(), options, false)?;
    let sessions = found.pipeline.tree().sessions();
    Ok(sessions.iter().map(|(id, timeout)| (id.0, *timeout)).collect())
}

fn transaction(zxid: i64, generation: i32, fill: usize) -> Vec<u8> {
    let header = TxnHeader { client_id: SessionId(zxid), cxid: 0, zxid: Zxid(zxid), time: WallTime(0) };
    let mut payload = Vec::new();
    header.encode(&Txn::CreateSession { timeout_ms: generation }, &mut payload);
    // What follows a transaction is a digest, which nobody looks at.
    payload.resize(payload.len() + fill, 0xd1);
    payload
}

fn state_of(sessions: &Sessions) -> DataTree {
    let mut tree = DataTree::new(TreeOptions::default());
    for (zxid, timeout_ms) in sessions {
        let opened = Delta::OpenSession { id: SessionId(*zxid), timeout_ms: *timeout_ms };
        tree.apply(Zxid(*zxid), &opened);
    }
    tree.advance(Zxid(last_of(sessions)));
    tree
}

fn last_of(sessions: &Sessions) -> i64 {
    sessions.last_key_value().map_or(0, |(zxid, _)| *zxid)
}

/// In memory where that is possible: what is durable is decided by the model.
fn folder() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    let made = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
    made.expect("a temporary folder")
}

const SEGMENT_LEN: u64 = 8 * BLOCK_LEN as u64;
