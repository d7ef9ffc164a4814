//! What goes, and what a start finds afterwards.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use ringkeeper::storage::disk::Os;
use ringkeeper::storage::purge::{Purge, PurgeOptions};
use ringkeeper_core::config::PurgeTime;

use super::*;

fn purge(folder: &Folder, recovery: &Recovery, time: PurgeTime) -> Purge {
    let (snapshots, logs) = (folder.path().to_owned(), folder.path().to_owned());
    let log = recovery.wal.handle();
    let options = PurgeOptions { snapshots, logs, time, retain: 3 };
    Purge::new(options, Arc::new(Os), move |upto| log.release(upto))
}

fn remaining(folder: &Folder, prefix: &str) -> Vec<String> {
    folder.names().into_iter().filter(|name| name.starts_with(prefix)).collect()
}

fn none() -> Vec<PathBuf> {
    Vec::new()
}

/// Waits until the log's thread has retired what it may.
fn wait_for_segments(folder: &Folder, count: usize) {
    while folder.segments().len() > count {
        thread::yield_now();
    }
}

#[test]
fn with_each_snapshot_the_oldest_goes_and_the_log_is_recycled_behind_the_second_newest() {
    let folder = Folder::new();
    folder.write(1200);
    for zxid in [100, 300, 500, 800] {
        folder.save(zxid);
    }
    let recovery = folder.recover().expect("whole");
    let purge = purge(&folder, &recovery, PurgeTime::WithSnapshots);
    assert_eq!(purge.interval(), None);
    let purged = purge.after_snapshot();
    assert_eq!(purged.removed, [folder.path().join("snapshot.64")]);
    assert_eq!(purged.released, Some(Zxid(500)));
    assert_eq!(remaining(&folder, "snapshot."), ["snapshot.12c", "snapshot.1f4", "snapshot.320"]);
    // 255 each: the one that has 500 stays.
    wait_for_segments(&folder, 4);
    assert_eq!(remaining(&folder, "wal.spare."), ["wal.spare.0000000000000001"]);
    drop(recovery);
    assert_eq!(folder.last(), 1200);

    // Any one snapshot may be lost.
    for lost in ["snapshot.12c", "snapshot.320"] {
        let path = folder.path().join(lost);
        let bytes = fs::read(&path).expect("a snapshot");
        fs::write(&path, &bytes[..bytes.len() / 2]).expect("room");
        assert_eq!(folder.last(), 1200, "without {lost}");
        fs::write(&path, &bytes).expect("room");
    }
}

#[test]
fn a_damaged_snapshot_holds_the_log_and_the_older_ones() {
    let folder = Folder::new();
    folder.write(600);
    let saved: Vec<_> = [100, 300, 500, 590].map(|zxid| folder.save(zxid)).into();
    let mut bytes = fs::read(&saved[2]).expect("a snapshot");
    bytes[77] ^= 4;
    fs::write(&saved[2], bytes).expect("room");
    let recovery = folder.recover().expect("whole");
    let purge = purge(&folder, &recovery, PurgeTime::WithSnapshots);
    let purged = purge.run();
    assert_eq!((purged.removed, purged.released), (vec![], Some(Zxid(300))));
    folder.save(595);
    assert_eq!(purge.after_snapshot().removed, [&*saved[0]], "595, 590 and 300 are whole");
    // Of the file's own doing nothing changes in a second run.
    assert_eq!(purge.after_snapshot().removed, none());
}

#[test]
fn javas_files_are_left_alone_unless_an_interval_is_set() {
    let folder = Folder::new();
    let javas = [10, 20, 30, 40].map(|zxid| folder.save(zxid));
    let logs = [11..=20, 21..=30, 31..=45].map(|zxids| folder.javas_log(zxids));
    folder.write(100);
    for zxid in [60, 70, 80, 90] {
        folder.save(zxid);
    }
    let recovery = folder.recover().expect("whole");

    assert_eq!(purge(&folder, &recovery, PurgeTime::Never).run().removed, none());
    let ours = purge(&folder, &recovery, PurgeTime::WithSnapshots).run();
    assert_eq!(
        ours.removed,
        [folder.path().join("snapshot.3c")],
        "40 and older are Java's, whose log ends at 45"
    );

    let all = purge(&folder, &recovery, PurgeTime::EveryMs(3_600_000));
    assert_eq!(all.interval(), Some(Duration::from_secs(3600)));
    assert_eq!(all.after_snapshot().removed, none(), "they go by the interval");
    let removed = all.run().removed;
    let expected: Vec<_> = javas.iter().chain(&logs[..2]).cloned().collect();
    assert_eq!(removed, expected, "70 may need what is behind 31");
    drop(recovery);
    assert_eq!(folder.last(), 100);
}

#[test]
fn never_still_recycles_the_log() {
    let folder = Folder::new();
    folder.write(600);
    for zxid in [100, 300, 500, 590] {
        folder.save(zxid);
    }
    let recovery = folder.recover().expect("whole");
    let purged = purge(&folder, &recovery, PurgeTime::Never).after_snapshot();
    assert_eq!((purged.removed.len(), purged.released), (0, Some(Zxid(500))));
    wait_for_segments(&folder, 2);
    assert_eq!(remaining(&folder, "snapshot.").len(), 4);
}

#[test]
fn a_log_that_is_written_while_it_is_released_uses_its_own_segments_again() {
    let folder = Folder::new();
    folder.write(600);
    folder.save(500);
    folder.save(590);
    let recovery = folder.recover().expect("whole");
    let handle = recovery.wal.handle();
    let releaser = thread::spawn(move || (500..2900).for_each(|zxid| handle.release(Zxid(zxid.min(590)))));
    write(recovery, 3000);
    releaser.join().expect("released");
    folder.save(2000);
    assert_eq!(folder.last(), 3000);
    let recovery = folder.recover().expect("whole");
    recovery.wal.handle().release(Zxid(2000));
    wait_for_segments(&folder, 5);
    drop(recovery);
    assert_eq!(folder.last(), 3000);
    assert!(remaining(&folder, "wal.spare.").len() <= wal::SPARES_MAX);
}
