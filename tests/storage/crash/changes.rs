//! A crash at every step of what is done to the logs of a folder that is Java's and ours.

use std::collections::BTreeMap;
use std::fs;
use std::sync::{Arc, Mutex};

use ringkeeper::storage::disk::Disk;
use ringkeeper::storage::recovery::Folders;
use ringkeeper::storage::{cut, hand_over};
use ringkeeper_core::id::Zxid;

use super::disk::{Image, ModelDisk, State};
use crate::{Folder, folder_in_memory};

#[test]
fn a_cut_through_both_logs_leaves_what_is_kept_whenever_a_crash_comes() {
    for zxid in [85, 61, 7] {
        let left = crash_everywhere(&Folder::in_stretches(), |disk, folders| {
            assert_eq!(cut::truncate(disk, folders, Zxid(zxid)).expect("a sound disk"), Zxid(zxid));
        });
        assert!(left.iter().all(|last| (zxid..=100).contains(last)), "{zxid}: {left:?}");
        assert_eq!(left.last(), Some(&zxid));
    }
}

#[test]
fn what_is_handed_over_is_in_one_log_or_the_other_whenever_a_crash_comes() {
    let folder = Folder::new();
    folder.write(20);
    folder.save(20);
    folder.write(40);
    let left = crash_everywhere(&folder, |disk, folders| {
        assert_eq!(hand_over::hand_over(disk, folders, |_| Ok(())).expect("a sound disk"), 20);
    });
    assert!(left.iter().all(|last| *last == 40), "{left:?}");
}

/// Does something to a copy of the folder, and says up to which transaction there is everything after a crash at
/// each step, and at the end.
fn crash_everywhere(folder: &Folder, change: impl FnOnce(&dyn Disk, Folders<'_>)) -> Vec<i64> {
    let image: Image = folder
        .image()
        .into_iter()
        .map(|(path, bytes)| (path.file_name().expect("a file").to_string_lossy().into_owned(), bytes))
        .collect();
    let dir = folder_in_memory();
    let random = Mutex::new(fastrand::Rng::with_seed(1));
    let images = Arc::new(Mutex::new(Vec::new()));
    let seen = images.clone();
    let look = move |state: &mut State| {
        let random = &mut *random.lock().expect("no panic before");
        seen.lock().expect("no panic before").extend((0..CRASHES_PER_STEP).map(|_| state.crash(random)));
    };
    let disk = ModelDisk::new(dir.path(), &image, look);
    change(&disk, Folders { snapshots: dir.path(), logs: dir.path() });
    let images = std::mem::take(&mut *images.lock().expect("no panic before"));
    assert!(images.len() > CRASHES_PER_STEP, "nothing was done");
    let mut known = BTreeMap::new();
    images.into_iter().map(|image| *known.entry(image.clone()).or_insert_with(|| last_in(&image))).collect()
}

fn last_in(image: &Image) -> i64 {
    let folder = Folder::new();
    for (name, bytes) in image {
        fs::write(folder.path().join(name), bytes).expect("room");
    }
    folder.last()
}

const CRASHES_PER_STEP: usize = 3;
