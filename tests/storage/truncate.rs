//! What a log is after it was cut off.

use std::sync::Arc;

use ringkeeper::storage::cut;
use ringkeeper::storage::disk::Os;

use super::*;

fn truncate(folder: &Folder, zxid: i64) -> i64 {
    cut::truncate(&Os, folder.folders(), Zxid(zxid)).expect("a sound log").0
}

/// Transactions in batches of three.
struct Threes(i64, i64);

impl Batches for Threes {
    async fn next(&mut self) -> Option<RecordBatch> {
        let Threes(next, last) = *self;
        let mut batch = RecordBatch::new();
        for zxid in (next..=last).take(3).map(Zxid) {
            batch.push(zxid, |out| out.extend_from_slice(&transaction(zxid)));
        }
        self.0 += 3;
        (!batch.is_empty()).then_some(batch)
    }

    fn try_next(&mut self) -> Option<RecordBatch> {
        None
    }
}

#[test]
fn a_log_ends_where_it_was_cut_and_goes_on_from_there() {
    let folder = Folder::new();
    let recovery = folder.recover().expect("empty");
    LocalExecutor::default().run(async {
        Wal::open(recovery.wal).await.expect("opened").run(Threes(1, 1800), |_| {}).await;
    });
    // Within a batch, at the end of one, at the end of a segment of 255 batches, and within the first batch.
    for zxid in [1700, 1698, 1530, 767, 766, 765, 700, 2] {
        assert_eq!(truncate(&folder, zxid), zxid);
        assert_eq!(folder.last(), zxid);
        assert_eq!(truncate(&folder, zxid + 10), zxid, "what is not there cannot go");
        folder.write(zxid + 5);
        assert_eq!(folder.last(), zxid + 5);
    }
    assert_eq!(truncate(&folder, 0), 0);
    assert_eq!(folder.segments(), [] as [PathBuf; 0]);
    assert_eq!(folder.last(), 0);
}

#[test]
fn what_only_a_snapshot_has_can_not_be_cut_out_of_the_log() {
    let folder = Folder::new();
    folder.write(10);
    folder.save(20);
    folder.write(30);
    let before = folder.image();
    let error = cut::truncate(&Os, folder.folders(), Zxid(15)).expect_err("15 is in the snapshot alone");
    assert!(
        error.to_string().contains("can't be brought back to 0xf, for what it has after that continues 0x14")
    );
    assert!(folder.image() == before);
    assert_eq!(truncate(&folder, 20), 10, "that state is the snapshot's");
    assert_eq!(folder.last(), 20);
    folder.write(30);
    cut::reset(&Os, folder.folders(), Zxid(15)).expect("a snapshot comes from elsewhere");
    fs::remove_file(folder.path().join("snapshot.14")).expect("the snapshot");
    assert_eq!(folder.last(), 10);
}

#[test]
fn it_is_known_beforehand_whether_a_state_is_there_to_come_back_to() {
    let folder = Folder::new();
    let leads_to = |zxid| cut::leads_to(folder.folders(), Zxid(zxid)).expect("a sound folder");
    folder.write(10);
    assert!(!leads_to(5), "no snapshot is before it");
    folder.save(0);
    assert!(leads_to(0) && leads_to(5) && leads_to(10) && !leads_to(11));
    // What comes from elsewhere comes without what led there.
    cut::reset(&Os, folder.folders(), Zxid(0)).expect("a snapshot comes from elsewhere");
    folder.save(20);
    assert!(leads_to(20) && !leads_to(15) && !leads_to(10));
    folder.write(30);
    assert!(leads_to(25) && !leads_to(15));
}

#[test]
fn a_log_can_be_reset_to_a_snapshot_that_came_from_elsewhere() {
    let folder = Folder::new();
    folder.write(300);
    // The leader knows nothing of what is after 280, and is far ahead of it.
    cut::reset(&Os, folder.folders(), Zxid(280)).expect("a sound log");
    let leaders = 100_000;
    folder.save(leaders);
    folder.write(leaders + 5);
    assert_eq!(folder.last(), leaders + 5);

    fs::remove_file(folder.path().join(format!("snapshot.{leaders:x}"))).expect("the snapshot");
    let message = folder.refusal();
    assert!(message.contains("it continues the state at 0x186a0, but what there is to load ends at 0x118"));
}

#[test]
fn a_damaged_log_is_not_truncated() {
    let folder = Folder::new();
    folder.write(300);
    let oldest = folder.segments().remove(0);
    let mut bytes = fs::read(&oldest).expect("a segment");
    bytes[4096 + 70] ^= 1;
    fs::write(&oldest, bytes).expect("room");
    let before = folder.image();
    let error = cut::truncate(&Os, folder.folders(), Zxid(290)).expect_err("damaged");
    let is_named = |error: &wal::RecoverError| matches!(error, wal::RecoverError::Corrupt { file, .. } if *file == oldest);
    assert!(matches!(&error, RecoverError::Wal(error) if is_named(error)), "{error}");
    assert!(folder.image() == before);
}

#[test]
fn a_log_made_ready_in_continuation_of_a_later_state_says_so() {
    let folder = Folder::new();
    folder.write(10);
    let log = wal::read(folder.path(), |_| Ok(())).expect("whole");
    assert_eq!(log.last(), Zxid(10));
    let recovered = log.make_ready(Arc::new(Os), WAL, Zxid(50)).expect("ready");
    assert_eq!(recovered.durable().upto(), Zxid(50));
}

#[test]
fn javas_log_is_cut_too_and_what_java_wrote_is_kept_aside() {
    let folder = Folder::new();
    let written = fs::read(folder.javas_log(1..=30)).expect("a log");
    folder.javas_log(31..=40);
    assert_eq!(truncate(&folder, 25), 25);
    assert_eq!(folder.last(), 25);
    let names = folder.names();
    assert!(names.iter().any(|name| name == "ringkeeper.outvoted.log.1f"), "{names:?}");
    let kept = folder.path().join("ringkeeper.outvoted.log.1");
    assert_eq!(fs::read(&kept).expect("a copy"), written);
    assert!(written.starts_with(&fs::read(folder.path().join("log.1")).expect("a log")));

    // Ours goes on with the same numbers, and is cut off behind it and together with it.
    folder.write(28);
    assert_eq!(truncate(&folder, 27), 27);
    assert_eq!(truncate(&folder, 20), 20);
    folder.write(22);
    assert_eq!(folder.last(), 22);
    assert_eq!(fs::read(&kept).expect("a copy"), written, "the longer copy stays");
}

#[test]
fn a_history_in_stretches_of_both_logs_is_cut_anywhere() {
    for zxid in [95, 85, 80, 61, 50, 7] {
        let folder = Folder::in_stretches();
        assert_eq!(truncate(&folder, zxid), zxid);
        assert_eq!(folder.last(), zxid);
        folder.write(zxid + 3);
        assert_eq!(folder.last(), zxid + 3);
    }
}

#[test]
fn a_tree_from_a_leader_takes_the_place_of_javas_log_too() {
    let folder = Folder::new();
    folder.javas_log(1..=30);
    cut::reset(&Os, folder.folders(), Zxid(20)).expect("a sound log");
    folder.save(20);
    assert_eq!(folder.last(), 20, "what Java had beyond it does not come back");
}
