//! A state is served only if nothing is missing between the snapshot and the last entry.

use super::*;

#[test]
fn a_log_that_begins_after_the_snapshot_ends_is_refused_with_both_zxids() {
    let folder = Folder::new();
    folder.write(600);
    folder.save(400);
    fs::remove_file(&folder.segments()[0]).expect("the oldest segment");
    assert_eq!(folder.last(), 600, "the snapshot covers what is gone");

    fs::remove_file(folder.path().join("snapshot.190")).expect("the snapshot");
    folder.save(254);
    let message = folder.refusal();
    let oldest = folder.segments()[0].display().to_string();
    for part in [
        &format!("{oldest}, record 0x100 of the batch at offset 4096: "),
        "it continues the state at 0xff, but what there is to load ends at 0xfe",
        "A snapshot after 0xfe is damaged (then a warning above names it) or missing",
        "Nothing has been changed",
    ] {
        assert!(message.contains(part), "{message:?} lacks {part:?}");
    }
    folder.save(255);
    assert_eq!(folder.last(), 600);
}

#[test]
fn a_damaged_snapshot_is_not_replaced_by_one_that_the_log_does_not_reach() {
    let folder = Folder::new();
    folder.write(600);
    folder.save(100);
    let newest = folder.save(500);
    fs::remove_file(&folder.segments()[0]).expect("the oldest segment");
    let mut bytes = fs::read(&newest).expect("a snapshot");
    bytes[100] ^= 1;
    fs::write(&newest, bytes).expect("room");
    assert!(
        folder.refusal().contains("it continues the state at 0xff, but what there is to load ends at 0x64")
    );
}

#[test]
fn javas_log_bridges_the_gap_as_far_as_it_reaches() {
    let folder = Folder::new();
    folder.save(10);
    let javas = folder.javas_log(11..=40);
    folder.write(60);
    assert_eq!(folder.last(), 60, "ours goes on where Java's ends");

    fs::remove_file(&javas).expect("Java's log");
    assert!(
        folder.refusal().contains("it continues the state at 0x28, but what there is to load ends at 0xa")
    );
    folder.javas_log(11..=30);
    assert!(
        folder.refusal().contains("it continues the state at 0x28, but what there is to load ends at 0x1e")
    );
    folder.save(45);
    assert_eq!(folder.last(), 60);
}

#[test]
fn javas_log_may_take_over_in_the_middle_of_ours() {
    let folder = Folder::new();
    folder.write(20);
    folder.save(20);
    folder.javas_log(21..=30);
    folder.write(35);
    let middle = folder.javas_log(36..=50);
    folder.write(60);
    assert_eq!(folder.last(), 60);
    fs::remove_file(&middle).expect("Java's log");
    assert!(
        folder.refusal().contains("it continues the state at 0x32, but what there is to load ends at 0x23")
    );
}

#[test]
fn a_file_of_javas_that_does_not_go_on_from_the_state_before_it_is_refused() {
    let folder = Folder::new();
    folder.save(5);
    folder.javas_log(1..=9);
    let middle = folder.javas_log(10..=19);
    let last = folder.javas_log(20..=29);
    assert_eq!(folder.last(), 29);
    fs::remove_file(middle).expect("Java's log");
    let message = folder.refusal();
    let start = format!(
        "{}: its first entry that is needed is 0x14, but the state before it ends at 0x9",
        last.display()
    );
    assert!(message.starts_with(&start), "{message}");
}

#[test]
fn a_new_epoch_of_javas_begins_with_its_first_transaction() {
    let folder = Folder::new();
    folder.save(5);
    let epoch = Zxid::new(1, 0).0;
    let begins_late = folder.javas_log(epoch + 2..=epoch + 2);
    assert!(folder.refusal().contains("0x100000002, but the state before it ends at 0x5"));
    fs::remove_file(begins_late).expect("Java's log");
    folder.javas_log(epoch + 1..=epoch + 2);
    let recovery = folder.recover().expect("nothing is missing");
    assert_eq!(recovery.pipeline.last_zxid(), Zxid::new(1, 2));
}

#[test]
fn two_histories_are_told_apart_and_nothing_is_changed() {
    let folder = Folder::new();
    folder.save(3);
    folder.write(20);
    folder.javas_other_log(4..=10);
    let message = folder.refusal();
    assert!(message.contains("Java's log and ours both have a transaction 0x4"), "{message}");
}

#[test]
fn javas_entries_without_a_snapshot_are_refused_before_anything_is_made() {
    let folder = Folder::new();
    let begins_late = folder.javas_log(2..=10);
    assert!(folder.refusal().contains("No snapshot found"), "there is no wal.next either");
    let recovery = folder.recover_trusting(true).expect("trusted");
    assert_eq!(recovery.pipeline.last_zxid(), Zxid(10));
    drop(recovery);
    fs::remove_file(begins_late).expect("Java's log");
    folder.javas_log(1..=10);
    assert_eq!(folder.last(), 10, "nothing can have come before the first");
}

#[test]
fn a_torn_entry_at_the_end_of_a_refused_log_is_not_cut() {
    let folder = Folder::new();
    folder.write(300);
    folder.save(200);
    let newest = folder.segments().pop().expect("a segment");
    let mut bytes = fs::read(&newest).expect("a segment");
    let torn = 46 * 4096;
    bytes[torn + 2048] = 1;
    fs::write(&newest, bytes).expect("room");
    fs::write(folder.path().join("wal.tmp"), b"unfinished").expect("room");
    fs::remove_file(folder.path().join("snapshot.c8")).expect("the snapshot");
    fs::remove_file(&folder.segments()[0]).expect("the oldest segment");
    folder.refusal();
    folder.save(299);
    assert_eq!(folder.last(), 300);
    assert!(fs::read(&newest).expect("a segment")[torn..].iter().all(|byte| *byte == 0));
    assert!(!folder.path().join("wal.tmp").exists());
}
