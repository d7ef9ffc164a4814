//! Torn writes are cut; damage is named, and nothing is changed.

use std::os::unix::fs::FileExt;

use super::*;

const SECTOR_LEN: usize = 512;

/// Where the last batch of a segment starts, found by its header's magic.
fn last_batch(path: &Path) -> usize {
    let bytes = fs::read(path).unwrap();
    let mut starts = (0..bytes.len()).step_by(4096);
    starts.rfind(|&at| bytes[at..].starts_with(b"RKWB")).expect("a batch")
}

fn overwrite(path: &Path, at: usize, bytes: &[u8]) {
    let file = fs::File::options().write(true).open(path).unwrap();
    file.write_all_at(bytes, at as u64).unwrap();
}

#[test]
fn a_torn_write_is_cut_and_overwritten() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), OPTIONS, 100);
    let segment = segments(dir.path()).pop().unwrap();
    let torn = last_batch(&segment);
    overwrite(&segment, torn, &[0; SECTOR_LEN]);

    let last = read(dir.path(), OPTIONS).unwrap().1;
    assert!((95..100).contains(&last), "only the last batch is lost, not what is before {last}");
    let bytes = fs::read(&segment).unwrap();
    assert!(bytes[torn..].iter().all(|byte| *byte == 0), "the torn end is zeros again");
    write(dir.path(), OPTIONS, 200);
    assert_eq!(read(dir.path(), OPTIONS).unwrap().1, 200);
}

#[test]
fn a_torn_first_write_of_a_segment_is_cut_and_the_segment_used() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), OPTIONS, 100);
    let segment = segments(dir.path()).pop().unwrap();
    let unnamed = dir.path().join("wal.next");
    fs::rename(&segment, &unnamed).unwrap();
    // Nothing of its first batch but one sector of the middle.
    let bytes = fs::read(&unnamed).unwrap();
    overwrite(&unnamed, 4096, &vec![0; bytes.len() - 4096]);
    overwrite(&unnamed, 3 * 4096, &[1; SECTOR_LEN]);

    assert_eq!(read(dir.path(), OPTIONS).unwrap().1, 0);
    write(dir.path(), OPTIONS, 50);
    assert_eq!(read(dir.path(), OPTIONS).unwrap().1, 50);
}

#[test]
fn a_damaged_batch_refuses_the_start_with_file_offset_values_and_advice() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), OPTIONS, 2000);
    let segment = segments(dir.path()).remove(0);
    overwrite(&segment, 4096 + 300, b"x");
    let before = image(dir.path());

    let err = read(dir.path(), OPTIONS).err().expect("damage");
    let RecoverError::Corrupt { file, what } = &err else { panic!("{err}") };
    assert_eq!((file, what.offset), (&segment, 4096));
    let message = err.to_string();
    for part in [
        &format!("{}, at offset 4096 (0x1000) a batch's records do not match", segment.display()),
        &format!("stored {:#x}, computed {:#x}", what.stored, what.computed),
        "was written after it",
        "move version-2 of dataDir and of dataLogDir away",
    ] {
        assert!(message.contains(part), "{message:?} lacks {part:?}");
    }
    assert!(image(dir.path()) == before, "a start that is refused changes nothing");
}

#[test]
fn a_missing_segment_refuses_the_start() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), OPTIONS, 2500);
    let segments = segments(dir.path());
    fs::remove_file(&segments[1]).unwrap();
    let err = read(dir.path(), OPTIONS).err().expect("a gap");
    assert!(matches!(&err, RecoverError::Corrupt { file, .. } if *file == segments[2]), "{err}");
    assert!(err.to_string().contains("stored 0x2, computed 0x1"), "{err}");
}

#[test]
fn the_same_segment_twice_refuses_the_start() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), OPTIONS, 10);
    let segment = segments(dir.path()).remove(0);
    fs::copy(&segment, dir.path().join("wal.00000000000000ff")).unwrap();
    let err = read(dir.path(), OPTIONS).err().expect("twins");
    assert!(err.to_string().contains("A file of the log is missing or comes twice"), "{err}");
}

#[test]
fn a_shortened_segment_refuses_the_start() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), OPTIONS, 10);
    let segment = segments(dir.path()).remove(0);
    fs::File::options().write(true).open(&segment).unwrap().set_len(500_000).unwrap();
    let err = read(dir.path(), OPTIONS).err().expect("shortened");
    let lengths = format!("stored {:#x}, computed {:#x}", OPTIONS.segment_len, 500_000);
    assert!(err.to_string().contains(&lengths), "{err}");
}

#[test]
fn a_record_that_its_reader_refuses_is_named_with_its_file() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), OPTIONS, 10);
    let segment = segments(dir.path()).remove(0);
    let refused = recover(dir.path(), OPTIONS, |record| match record.zxid {
        Zxid(7) => Err("unknown transaction type 99".into()),
        _ => Ok(()),
    });
    let message = refused.err().expect("refused").to_string();
    assert!(message.starts_with(&format!("{}, record 0x7 of the batch at", segment.display())), "{message}");
    assert!(message.ends_with("unknown transaction type 99"), "{message}");
}

#[test]
fn a_folder_that_can_not_be_read_is_named() {
    let absent = tempfile::tempdir().unwrap().path().join("version-2");
    let message = recover(&absent, OPTIONS, |_| Ok(())).err().expect("absent").to_string();
    assert!(message.starts_with(&format!("can't list {}: No such file", absent.display())), "{message}");
}
