//! Stops that leave no damage.

use ringkeeper_core::format::wal::{BLOCK_LEN, SegmentHeader};

use super::*;

#[test]
fn an_empty_folder_becomes_an_empty_log() {
    let dir = tempfile::tempdir().unwrap();
    let (recovered, last) = read(dir.path(), OPTIONS).unwrap();
    assert_eq!((last, recovered.durable().upto()), (0, Zxid::ZERO));
    drop(recovered);
    assert_eq!(read(dir.path(), OPTIONS).unwrap().1, 0);
}

#[test]
fn a_log_goes_on_where_it_stopped_over_many_segments() {
    let dir = tempfile::tempdir().unwrap();
    let mut segments_before = 0;
    for last in [1, 2, 700, 701, 2500] {
        let (durable, figures) = write(dir.path(), OPTIONS, last);
        assert_eq!(durable.last(), Some(&Durable::promised_by_the_log(Zxid(last))));
        assert!(durable.is_sorted(), "promises only grow");
        assert_eq!(figures.writes, durable.len() as u64);
        assert!(figures.sync_us_min <= figures.sync_us_max && figures.sync_us_max <= figures.sync_us_sum);
        let segments = segments(dir.path()).len();
        assert!(segments >= segments_before);
        segments_before = segments;
    }
    assert!(segments_before >= 3, "{segments_before} segments are not many");
    assert_eq!(read(dir.path(), OPTIONS).unwrap().1, 2500);
}

#[test]
fn a_segment_is_named_after_its_first_record_in_order() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), OPTIONS, 2500);
    let mut firsts = Vec::new();
    for path in segments(dir.path()) {
        let alone = tempfile::tempdir().unwrap();
        fs::copy(&path, alone.path().join(path.file_name().unwrap())).unwrap();
        let mut first = None;
        recover(alone.path(), OPTIONS, |record| {
            first = first.or(Some(record.zxid));
            Ok(())
        })
        .expect("the first segment that is kept is taken on trust");
        let first = first.expect("a named segment has records");
        assert_eq!(path.file_name().unwrap().to_str().unwrap(), format!("wal.{:016x}", first.0));
        firsts.push(first);
    }
    assert!(firsts.len() > 2 && firsts.is_sorted());
}

#[test]
fn a_segment_that_was_not_named_in_time_is_named_at_the_start() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), OPTIONS, 900);
    let newest = segments(dir.path()).pop().unwrap();
    fs::rename(&newest, dir.path().join("wal.next")).unwrap();
    assert_eq!(read(dir.path(), OPTIONS).unwrap().1, 900);
    assert!(newest.exists());
    write(dir.path(), OPTIONS, 1800);
    assert_eq!(read(dir.path(), OPTIONS).unwrap().1, 1800);
}

#[test]
fn what_was_being_prepared_is_removed_and_other_files_are_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), OPTIONS, 10);
    for name in ["wal.tmp", "log.100000001", "snapshot.0", "wal.backup"] {
        fs::write(dir.path().join(name), name).unwrap();
    }
    drop(read(dir.path(), OPTIONS).unwrap());
    assert!(!dir.path().join("wal.tmp").exists());
    for name in ["log.100000001", "snapshot.0", "wal.backup"] {
        assert_eq!(fs::read_to_string(dir.path().join(name)).unwrap(), name);
    }
}

#[test]
fn a_prepared_segment_is_kept_and_used() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), OPTIONS, 100);
    let written = fs::read(segments(dir.path()).pop().unwrap()).unwrap();
    let header = SegmentHeader { number: 1, nonce: 0xfeed, ..SegmentHeader::decode(&written).unwrap() };
    let mut prepared = vec![0; written.len()];
    prepared[..BLOCK_LEN].copy_from_slice(&header.encode()[..]);
    fs::write(dir.path().join("wal.next"), &prepared).unwrap();

    drop(read(dir.path(), OPTIONS).unwrap());
    assert!(fs::read(dir.path().join("wal.next")).unwrap() == prepared, "it was replaced");
    write(dir.path(), OPTIONS, 1500);
    let used = fs::read(&segments(dir.path())[1]).unwrap();
    assert_eq!(SegmentHeader::decode(&used), Ok(header));
    assert_eq!(read(dir.path(), OPTIONS).unwrap().1, 1500);
}

#[test]
fn without_forced_sync_and_back_the_log_reads_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let relaxed = Options { force_sync: false, ..OPTIONS };
    for (options, last) in [(relaxed, 800), (OPTIONS, 900), (relaxed, 2000), (OPTIONS, 2100)] {
        write(dir.path(), options, last);
    }
    assert_eq!(read(dir.path(), OPTIONS).unwrap().1, 2100);
}
