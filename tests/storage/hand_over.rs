//! What a clean stop leaves for Java.

use ringkeeper::storage::disk::Os;
use ringkeeper::storage::hand_over::hand_over;
use ringkeeper::storage::java_log;

use super::*;

fn hand(folder: &Folder) -> u64 {
    hand_over(&Os, folder.folders(), |_| Ok(())).expect("a sound folder")
}

/// The last transaction in our log alone.
fn ours(folder: &Folder) -> i64 {
    wal::read(folder.path(), |_| Ok(())).expect("whole").last().0
}

#[test]
fn what_no_snapshot_has_is_in_javas_log_and_in_ours_no_more() {
    let folder = Folder::new();
    folder.write(10);
    folder.save(10);
    assert_eq!(hand(&folder), 0, "the snapshot has all");
    folder.write(15);
    assert_eq!(hand(&folder), 5);
    assert_eq!(folder.names().iter().filter(|name| name.starts_with("log.")).collect::<Vec<_>>(), ["log.b"]);
    assert_eq!((ours(&folder), folder.last()), (10, 15));
    assert_eq!(hand(&folder), 0, "it is there already");

    // A server goes on from there, ends without a snapshot, and hands over the rest.
    folder.write(18);
    assert_eq!((hand(&folder), folder.last()), (3, 18));
    folder.save(18);
    folder.write(20);
    assert_eq!((hand(&folder), folder.last()), (2, 20));
}

#[test]
fn java_may_cut_off_what_was_handed_over_and_go_on_another_way() {
    let folder = Folder::new();
    folder.write(10);
    folder.save(10);
    folder.write(15);
    hand(&folder);
    java_log::cut_off(&Os, folder.path(), Zxid(12)).expect("a sound log");
    folder.javas_log(13..=14);
    assert_eq!(folder.last(), 14, "nothing of 15 is left");
}

#[test]
fn without_a_snapshot_there_is_one_of_nothing_for_java_to_begin_with() {
    let folder = Folder::new();
    folder.write(5);
    assert_eq!(hand(&folder), 5);
    assert!(folder.path().join("snapshot.0").exists());
    assert_eq!((ours(&folder), folder.last()), (0, 5));
}

#[test]
fn what_both_logs_have_must_be_the_same() {
    let folder = Folder::new();
    folder.write(10);
    folder.javas_log(8..=10);
    assert_eq!(folder.last(), 10, "as a crash during a hand-over leaves it");
    fs::remove_file(folder.path().join("log.8")).expect("a file");
    folder.javas_log(9..=12);
    assert_eq!(folder.last(), 12);
    folder.javas_other_log(9..=12);
    assert!(folder.refusal().contains("Java's log and ours both have a transaction 0x9"));
}
