//! A server as far as its files go, one step at a time.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use ringkeeper::storage::cut;
use ringkeeper::storage::disk::{Access, Disk};
use ringkeeper::storage::purge::{Purge, PurgeOptions};
use ringkeeper::storage::recovery::{self, Folders};
use ringkeeper::storage::snapshot::{self, Draft, Pace, SharedPace, save};
use ringkeeper::storage::wal::{self, Segments};
use ringkeeper_core::config::PurgeTime;
use ringkeeper_core::format::snapshot::Compression;
use ringkeeper_core::format::wal::{
    BLOCK_LEN, Cursor, RecordBatch, Recovery, SegmentHeader, Sync, encoded_len,
};
use ringkeeper_core::id::{SessionId, Zxid};
use ringkeeper_core::proto::{Txn, TxnHeader};
use ringkeeper_core::time::WallTime;
use ringkeeper_core::tree::{DataTree, Delta};

use super::disk::{Image, ModelDisk, State};
use super::origin::{Origin, TREE};
use super::watch::{Found, SEGMENT_LEN, Sessions, WAL, Watch};
use crate::{folder_in_memory, pipeline};

pub(super) struct Server {
    random: fastrand::Rng,
    dir: tempfile::TempDir,
    disk: Arc<ModelDisk>,
    watch: Arc<Watch>,
    purge: Purge,
    released: Arc<Mutex<Zxid>>,
    segments: Segments,
    tree: DataTree,
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
    /// The first start in a folder that holds this. One step in so many is looked at.
    pub(super) fn start(seed: u64, origin: Origin, one_in: u8) -> Server {
        let (files, unsynced) = (origin.files().clone(), origin.unsynced().clone());
        let watch = Arc::new(Watch::new(seed, origin, one_in));
        Server::on(&files, &unsynced, watch, fastrand::Rng::with_seed(seed), 1)
    }

    /// How many images were recovered.
    pub(super) fn images(&self) -> usize {
        self.watch.images()
    }

    /// Ends here, and starts again from what that leaves.
    pub(super) fn crash(mut self) -> Server {
        let image = self.disk.crash(&mut self.random);
        Server::on(&image, &Image::new(), self.watch, self.random, self.generation + 1)
    }

    fn on(
        image: &Image,
        unsynced: &Image,
        watch: Arc<Watch>,
        random: fastrand::Rng,
        generation: i32,
    ) -> Server {
        let dir = folder_in_memory();
        let looker = watch.clone();
        let disk =
            Arc::new(ModelDisk::new(dir.path(), image, move |state: &mut State| looker.maybe_look(state)));
        unsynced.iter().for_each(|(name, durable)| disk.unsync(name, durable));
        let Found { last, sessions } = watch.look(image);

        let folders = Folders { snapshots: dir.path(), logs: dir.path() };
        let read = recovery::read(folders, pipeline(), TREE, false).expect("it was read before");
        let segments = Segments::new(disk.clone(), dir.path(), Access::Buffered);
        let tree = read.tree().clone();
        match Tail::is_in(image) {
            // What is made ready then would go on to prepare segments in a thread of its own.
            true => {
                drop(wal::read(dir.path(), |_| Ok(())).and_then(|log| log.mend(&segments)).expect("sound"))
            }
            false => drop(read.make_ready(disk.clone(), WAL).expect("a sound disk")),
        }
        watch.expect_exactly(&sessions);
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
        let Tail { path, mut cursor, is_empty, spare: next } = Tail::find(dir.path());
        cursor.skip_to(Zxid(last));
        let active = disk.open(&path, Access::Buffered).expect("it is there");
        Server {
            random,
            dir,
            disk,
            watch,
            purge,
            released,
            segments,
            tree,
            sessions,
            cursor,
            active,
            unnamed: None,
            is_empty,
            next,
            generation,
        }
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

    pub(super) fn write(&mut self) {
        let first = self.last() + 1;
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
        for (zxid, timeout_ms) in &written {
            let opened = Delta::OpenSession { id: SessionId(*zxid), timeout_ms: *timeout_ms };
            self.tree.apply(Zxid(*zxid), &opened);
        }
        self.sessions.extend(&written);
        self.tree.advance(Zxid(self.last()));
        self.watch.expect_exactly(&self.sessions);
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

    /// Writes a snapshot, unless that is given up, and purges.
    pub(super) fn save(&mut self) {
        if self.has_snapshot(self.last()) {
            return;
        }
        let compressions = [Compression::None, Compression::Gzip, Compression::Snappy];
        let compression = compressions[self.random.usize(0..compressions.len())];
        let pace = if self.random.u8(0..8) == 0 { Pace::GiveUp } else { Pace::Full };
        let (dir, state) = (self.dir.path(), self.tree.freeze());
        let saved = save(&*self.disk, dir, state, compression, &SharedPace::new(pace), Draft::Own);
        assert_eq!(saved.is_ok(), pace == Pace::Full, "{saved:?}");
        assert_eq!(saved.is_ok(), self.has_snapshot(self.last()));
        assert!(!dir.join("ringkeeper.snapshot.unfinished").exists());
        let purged = self.purge.after_snapshot();
        assert!(purged.removed.iter().all(|path| !path.exists()));
    }

    fn retire(&mut self) {
        let upto = *self.released.lock().expect("no panic before");
        while self.segments.retire_one(upto).expect("a sound disk") {}
    }

    /// Drops the newest transactions, as a learner does whose leader says so.
    fn truncate(&mut self) {
        let last = self.last();
        let mut begins = None;
        wal::read(self.dir.path(), |record| {
            begins = begins.or(Some(record.after.0));
            Ok(())
        })
        .expect("a sound log");
        // There must be a state left to start from; otherwise the leader would have to send one.
        let begins = begins.unwrap_or(last);
        let base = (begins..=last).find(|zxid| *zxid == 0 || self.has_snapshot(*zxid)).unwrap_or(last);
        let zxid = self.random.i64(base..=last);
        let mut left = self.sessions.clone();
        left.split_off(&(zxid + 1));
        self.watch.expect(|expected| expected.surely = zxid);
        let snapshots = snapshot::names(self.dir.path()).expect("a folder");
        for (_, path) in snapshots.iter().rev().take_while(|(name, _)| name.zxid.0 > zxid) {
            self.disk.remove(path).expect("a sound disk");
            self.disk.sync_dir(self.dir.path()).expect("a sound disk");
        }
        let folders = Folders { snapshots: self.dir.path(), logs: self.dir.path() };
        let end = cut::truncate(&*self.disk, folders, Zxid(zxid)).expect("a sound disk");
        let seed = self.watch.seed;
        assert!(end <= Zxid(zxid), "seed {seed}: the log ends at {end} when {zxid:#x} was asked for");
        self.watch.expect_exactly(&left);
        // It starts again, with what is there.
        let image = self.disk.crash(&mut self.random);
        let generation = self.generation + 1;
        let random = fastrand::Rng::with_seed(self.random.u64(..));
        *self = Server::on(&image, &Image::new(), self.watch.clone(), random, generation);
    }

    fn last(&self) -> i64 {
        self.watch.last_of(&self.sessions)
    }

    fn has_snapshot(&self, zxid: i64) -> bool {
        let snapshots = snapshot::names(self.dir.path()).expect("a folder");
        snapshots.iter().any(|(name, _)| name.zxid.0 == zxid)
    }
}

/// Where a log goes on that was mended.
struct Tail {
    path: PathBuf,
    cursor: Cursor,
    is_empty: bool,
    spare: Option<SegmentHeader>,
}

impl Tail {
    fn is_in(image: &Image) -> bool {
        image.keys().any(|name| is_segment(name))
    }

    fn find(dir: &Path) -> Tail {
        let paths = fs::read_dir(dir).expect("a folder").map(|entry| entry.expect("a file").path());
        let mut segments: Vec<_> = paths
            .filter(|path| path.file_name().and_then(|name| name.to_str()).is_some_and(is_segment))
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
                Tail { path, cursor, is_empty: false, spare }
            }
            None => {
                let header = spare.expect("a log that is ready has a segment");
                let cursor = Cursor::at_start(header, recovered.chain, Sync::Promised);
                Tail { path: dir.join("wal.next"), cursor, is_empty: true, spare: None }
            }
        }
    }
}

fn is_segment(name: &str) -> bool {
    name.strip_prefix("wal.").is_some_and(|rest| rest == "next" || rest.len() == 16)
}

fn transaction(zxid: i64, generation: i32, fill: usize) -> Vec<u8> {
    let header = TxnHeader { client_id: SessionId(zxid), cxid: 0, zxid: Zxid(zxid), time: WallTime(0) };
    let mut payload = Vec::new();
    header.encode(&Txn::CreateSession { timeout_ms: generation }, &mut payload);
    // What follows a transaction is a digest, which nobody looks at.
    payload.resize(payload.len() + fill, 0xd1);
    payload
}
