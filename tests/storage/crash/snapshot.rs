//! One snapshot of several windows, and what a crash at each step leaves of it.

use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex};

use ringkeeper::storage::snapshot::{Draft, Pace, SharedPace, load_newest, save};
use ringkeeper_core::format::snapshot::Compression;
use ringkeeper_core::id::Zxid;
use ringkeeper_core::tree::{DataTree, Delta};

use super::disk::{Image, ModelDisk, State};
use super::origin::TREE;
use crate::folder_in_memory;

#[test]
fn a_snapshot_is_whole_under_its_name_or_not_there_and_the_one_before_it_stays() {
    let old = ("snapshot.1".to_owned(), saved(&tree_at(1, 1000)));
    let new = saved(&tree_at(2, LARGE));
    let mut damaged = new.clone();
    damaged[LARGE / 2] ^= 1;
    for (before, pace) in [
        (None, Pace::Full),
        (Some(&damaged), Pace::Full),
        (None, Pace::GiveUp),
        (Some(&damaged), Pace::GiveUp),
    ] {
        let image =
            Image::from_iter([old.clone()].into_iter().chain(before.map(|it| (NAME.into(), it.clone()))));
        let (dir, crashes) = (folder_in_memory(), Arc::new(Mutex::new(Vec::new())));
        let (random, seen) = (Mutex::new(fastrand::Rng::with_seed(LARGE as u64)), crashes.clone());
        let disk = ModelDisk::new(dir.path(), &image, move |state: &mut State| {
            let random = &mut *random.lock().expect("no panic before");
            let left = (0..CRASHES).map(|_| state.crash(random));
            seen.lock().expect("no panic before").push(left.collect::<Vec<_>>());
        });
        let result = save(
            &disk,
            dir.path(),
            tree_at(2, LARGE).freeze(),
            Compression::None,
            &SharedPace::new(pace),
            Draft::Own,
        );
        assert_eq!(result.is_ok(), pace == Pace::Full, "{result:?}");
        let crashes = crashes.lock().expect("no panic before");
        assert!(crashes.len() >= 4);
        for left in crashes.iter().flatten() {
            assert!(left[&old.0] == old.1, "the older snapshot stays");
            let named = left.get(NAME);
            assert!(named.is_none_or(|bytes| *bytes == new || Some(bytes) == before), "part of a snapshot");
        }
        if pace == Pace::Full {
            let last = crashes.last().expect("a step");
            assert!(last.iter().all(|left| left[NAME] == new), "what was promised is gone");
            assert!(last.iter().all(|left| left.get("ringkeeper.damaged.snapshot.2") == before));
            assert!(last.iter().all(|left| loaded(left) == Zxid(2)));
        } else {
            assert_eq!(disk.crash(&mut fastrand::Rng::with_seed(0)).get(NAME), before);
        }
    }
}

fn tree_at(zxid: i64, len: usize) -> DataTree {
    let mut tree = DataTree::new(TREE);
    let data: Vec<u8> = (0..len).map(|at| (at % 251) as u8).collect();
    let root = tree.get("/").expect("the root").node.with_data(Some(&data), 1, Zxid(zxid), 0);
    tree.apply(Zxid(zxid), &Delta::SetData(root));
    tree.advance(Zxid(zxid));
    tree
}

/// The bytes of a snapshot of this state.
fn saved(tree: &DataTree) -> Vec<u8> {
    let dir = folder_in_memory();
    let pace = SharedPace::new(Pace::Full);
    let os = ringkeeper::storage::disk::Os;
    let path = save(&os, dir.path(), tree.freeze(), Compression::None, &pace, Draft::Own).expect("room");
    fs::read(path).expect("readable")
}

fn loaded(image: &Image) -> Zxid {
    let dir = folder_in_memory();
    put(dir.path(), image);
    load_newest(dir.path(), TREE).expect("readable").expect("one").tree.last_zxid()
}

fn put(dir: &Path, image: &Image) {
    image.iter().for_each(|(name, bytes)| fs::write(dir.join(name), bytes).expect("room"));
}

const NAME: &str = "snapshot.2";
/// Two and a half windows.
const LARGE: usize = 5 << 19;
/// How many crashes are tried after each step.
const CRASHES: usize = 8;
