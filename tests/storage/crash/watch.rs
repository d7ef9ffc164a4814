//! Looks at what a crash would leave, each time that something has changed.

use std::collections::BTreeMap;
use std::fs;
use std::sync::{Mutex, MutexGuard, PoisonError};

use ringkeeper::storage::recovery::{self, Folders};
use ringkeeper::storage::wal;
use ringkeeper_core::format::snapshot::SnapshotName;
use ringkeeper_core::format::wal::BLOCK_LEN;
use ringkeeper_core::tree::DataTree;

use super::disk::{Image, State};
use super::origin::{OURS, Origin, TREE, nodes};
use crate::{folder_in_memory, pipeline};

/// What each transaction has done: opened the session of its number, with this timeout.
pub(super) type Sessions = BTreeMap<i64, i32>;

/// What a recovery may find: all up to `surely`, and of what `maybe` has behind it any beginning.
#[derive(Default)]
pub(super) struct Expected {
    pub(super) surely: i64,
    pub(super) maybe: Sessions,
    /// Whether all of the origin is durable.
    is_settled: bool,
}

/// What a recovery has found.
pub(super) struct Found {
    pub(super) last: i64,
    pub(super) sessions: Sessions,
}

pub(super) struct Watch {
    pub(super) seed: u64,
    pub(super) origin: Origin,
    /// One step in so many is looked at.
    one_in: u8,
    dir: tempfile::TempDir,
    expected: Mutex<Expected>,
    looked_at: Mutex<(fastrand::Rng, usize)>,
}

impl Watch {
    pub(super) fn new(seed: u64, origin: Origin, one_in: u8) -> Watch {
        let expected = Expected { surely: origin.surely(), ..Expected::default() };
        Watch {
            seed,
            origin,
            one_in,
            dir: folder_in_memory(),
            expected: Mutex::new(expected),
            looked_at: Mutex::new((fastrand::Rng::with_seed(!seed), 0)),
        }
    }

    /// How many images were recovered.
    pub(super) fn images(&self) -> usize {
        self.looked_at.lock().expect("no panic before").1
    }

    /// Whether this run is of a learner, which truncates its log now and then.
    pub(super) fn has_leader(&self) -> bool {
        self.seed % 2 == 1 && self.origin.last() == 0
    }

    pub(super) fn expect(&self, change: impl FnOnce(&mut Expected)) {
        change(&mut self.expected());
    }

    /// Nothing else may be found from now on, which is after the first start.
    pub(super) fn expect_exactly(&self, sessions: &Sessions) {
        let surely = self.last_of(sessions);
        self.expect(|expected| *expected = Expected { surely, maybe: sessions.clone(), is_settled: true });
    }

    /// The last transaction of this state.
    pub(super) fn last_of(&self, sessions: &Sessions) -> i64 {
        sessions.last_key_value().map_or(self.origin.last(), |(zxid, _)| *zxid)
    }

    pub(super) fn maybe_look(&self, state: &State) {
        let image = {
            let mut looked_at = self.looked_at.lock().expect("no panic before");
            let (random, _) = &mut *looked_at;
            if random.u8(0..self.one_in) != 0 {
                return;
            }
            state.crash(random)
        };
        self.look(&image);
        // Of a log that nobody truncates, any one snapshot can be spared.
        let snapshots = image.keys().filter_map(|name| Some((SnapshotName::parse(name)?, name)));
        if !self.has_leader()
            && let Some((_, newest)) = snapshots.clone().max()
            && !self.origin.files().contains_key(newest)
            && snapshots.count() > 1
        {
            let mut damaged = image.clone();
            damaged.entry(newest.clone()).and_modify(|bytes| bytes.truncate(bytes.len() / 2));
            self.look(&damaged);
        }
    }

    /// Recovers from an image, and compares.
    pub(super) fn look(&self, image: &Image) -> Found {
        self.looked_at.lock().expect("no panic before").1 += 1;
        let dir = self.dir.path();
        for entry in fs::read_dir(dir).expect("a folder") {
            fs::remove_file(entry.expect("a file").path()).expect("ours");
        }
        for (name, bytes) in image {
            fs::write(dir.join(name), bytes).expect("room");
        }
        let folders = Folders { snapshots: dir, logs: dir };
        let found = recovery::recover(folders, pipeline(), TREE, WAL, false).unwrap_or_else(|error| {
            panic!("seed {}: {error}; files: {:?}", self.seed, image.keys().collect::<Vec<_>>())
        });
        self.check_files(image);
        let tree = found.pipeline.tree();
        let found = Found { last: found.pipeline.last_zxid().0, sessions: sessions_of(tree) };
        self.compare(&found, &nodes(tree));
        found
    }

    /// Asserts that neither what was done nor a start has changed a file that was there before all.
    fn check_files(&self, image: &Image) {
        let seed = self.seed;
        let is_settled = self.expected().is_settled;
        for (name, bytes) in self.origin.files() {
            let left = image.get(name).unwrap_or_else(|| panic!("seed {seed}: {name} is gone"));
            let is_durable = is_settled || !self.origin.unsynced().contains_key(name);
            assert!(left == bytes || !is_durable, "seed {seed}: {name} is changed");
            let after = fs::read(self.dir.path().join(name)).expect("it was there");
            assert!(after == *left, "seed {seed}: a start has changed {name}");
        }
    }

    fn compare(&self, found: &Found, nodes: &[String]) {
        let expected = self.expected();
        let (seed, last, base) = (self.seed, found.last, found.last.min(self.origin.last()));
        assert!(found.sessions.keys().copied().eq(base + 1..=last), "seed {seed}: a hole before {last:#x}");
        assert_eq!(Some(nodes), self.origin.nodes_at(base), "seed {seed}: other nodes at {base:#x}");
        assert!(last >= expected.surely, "seed {seed}: {last:#x} is left of what was durable");
        assert!(last <= self.last_of(&expected.maybe), "seed {seed}: {last:#x} was never written");
        for (zxid, generation) in &found.sessions {
            assert_eq!(Some(generation), expected.maybe.get(zxid), "seed {seed}: {zxid:#x} is another");
        }
    }

    fn expected(&self) -> MutexGuard<'_, Expected> {
        self.expected.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn sessions_of(tree: &DataTree) -> Sessions {
    let sessions = tree.sessions().iter().filter(|(id, _)| OURS.contains(id));
    sessions.map(|(id, timeout)| (id.0, *timeout)).collect()
}

/// As short as it may be, so that much happens.
pub(super) const WAL: wal::Options =
    wal::Options { segment_len: SEGMENT_LEN, force_sync: true, slow_sync: std::time::Duration::from_secs(1) };
pub(super) const SEGMENT_LEN: u64 = 8 * BLOCK_LEN as u64;
