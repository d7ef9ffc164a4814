//! Folders in which files are missing, in excess, empty, or do not go together.

use ringkeeper_core::format::java_log::{LogReader, encode_entry, encode_header, file_name};

use super::*;

#[test]
fn a_log_without_a_snapshot_will_do_if_it_begins_at_the_beginning() {
    let folder = Folder::with(&[LOG]);
    let state = folder.recover().expect("nothing is missing");
    assert_eq!(state, true_state());

    let folder = Folder::with(&[]);
    folder.put("log.2", &log_of(2..));
    folder.assert_refused(&["No snapshot found", "0x2", "snapshot.trust.empty"]);
    assert_eq!(folder.recover_trusting(true).expect("as told").last_zxid, true_state().last_zxid);
}

#[test]
fn several_files_with_the_snapshot_in_the_middle_of_one_are_replayed_from_there() {
    for files in [&[1, 9, 0x14][..], &[1, 0x1c], &[1, 0x10, 0x1b]] {
        let folder = Folder::with(&[FIRST_SNAPSHOT]);
        let ends = files[1..].iter().chain(&[i64::MAX]);
        for (first, end) in files.iter().zip(ends) {
            folder.put(&file_name(Zxid(*first)), &log_of(*first..*end));
        }
        assert_eq!(folder.recover().expect("sound files"), true_state(), "{files:?}");
        // With a snapshot of the end too: what it covers already is not replayed.
        folder.put(SNAPSHOT, &recorded(SNAPSHOT));
        assert_eq!(folder.recover().expect("sound files"), true_state(), "{files:?}");
    }
}

#[test]
fn missing_transactions_are_noticed_wherever_they_are_missing() {
    for (kept_to, last) in [(9, "0x8"), (1, "0x0")] {
        let folder = Folder::with(&[FIRST_SNAPSHOT]);
        folder.put("log.1", &log_of(1..kept_to));
        folder.put("log.a", &log_of(10..));
        folder.assert_refused(&["log.a", "first entry that is needed is 0xa", &format!("ends at {last}:")]);
    }
}

#[test]
fn a_later_snapshot_that_is_damaged_is_not_forgotten_where_the_log_ends_before_it() {
    let folder = Folder::with(&[FIRST_SNAPSHOT]);
    folder.put(SNAPSHOT, &recorded(SNAPSHOT)[..100]);
    folder.put(LOG, &log_of(1..9));
    folder.assert_refused(&["0x1c", "ends at 0x8"]);
    // With the whole log nothing is lost.
    folder.put(LOG, &log_of(1..));
    assert_eq!(folder.recover().expect("the log has it all"), true_state());
}

#[test]
fn a_transaction_that_comes_twice_is_refused() {
    let folder = Folder::with(&[FIRST_SNAPSHOT]);
    folder.put("log.1", &log_of(1..9));
    folder.put("log.8", &log_of(8..));
    folder.assert_refused(&["log.8", "0x8 comes behind 0x8"]);
}

#[test]
fn a_later_epoch_begins_with_its_first_transaction_and_the_counter_may_run_over() {
    let folder = Folder::with(&[FIRST_SNAPSHOT]);
    let renumbered = |zxids: &[i64]| {
        let entries = entries();
        let mut file = Vec::new();
        encode_header(&mut file);
        for (zxid, payload) in zxids.iter().zip(&entries) {
            let mut payload = payload.clone();
            payload[12..20].copy_from_slice(&zxid.to_be_bytes());
            encode_entry(&payload, &mut file);
        }
        file
    };
    folder.put(LOG, &renumbered(&[1, 2, 0x3_0000_0001, 0x3_0000_0002]));
    assert_eq!(folder.recover().expect("sound").last_zxid, Zxid(0x3_0000_0002));
    folder.put(LOG, &renumbered(&[1, 2]));
    folder.put("log.300000002", &renumbered(&[0x3_0000_0002]));
    folder.assert_refused(&["is 0x300000002", "ends at 0x2:"]);
    let folder = Folder::with(&[FIRST_SNAPSHOT]);
    folder.put("snapshot.1fffffffe", &recorded(FIRST_SNAPSHOT));
    folder.put(LOG, &renumbered(&[0x1_ffff_ffff, 0x2_0000_0000, 0x2_0000_0001]));
    assert_eq!(folder.recover().expect("sound").last_zxid, Zxid(0x2_0000_0001));
}

#[test]
fn files_that_java_had_not_written_to_yet_are_passed_over() {
    let mut header = Vec::new();
    encode_header(&mut header);
    for unwritten in [&[][..], &header[..7], &header, &[&header[..], &[0; 5000][..]].concat(), &[0; 5000]] {
        let folder = Folder::with(&[FIRST_SNAPSHOT]);
        folder.put("log.1", &log_of(1..9));
        folder.put("log.9", unwritten);
        assert_eq!(folder.recover().expect("what a crash leaves").last_zxid, Zxid(8));
        // The next server to log something takes the same zxid, and so overwrites the file; one that does
        // not stands between others.
        folder.put("log.5", unwritten);
        folder.put("log.9", &log_of(9..));
        assert_eq!(folder.recover().expect("what a crash leaves"), true_state());
    }
}

#[test]
fn a_torn_end_of_a_file_is_passed_over_where_the_next_goes_on() {
    let folder = Folder::with(&[FIRST_SNAPSHOT]);
    let whole = log_of(1..10);
    let torn = &whole[..whole.len() - 20];
    folder.put("log.1", &[torn, &[0; 3000][..]].concat());
    assert_eq!(folder.recover().expect("a tear").last_zxid, Zxid(8));
    folder.put("log.9", &log_of(9..));
    assert_eq!(folder.recover().expect("a tear"), true_state());
    folder.put("log.9", &[]);
    folder.put("log.a", &log_of(10..));
    folder.assert_refused(&["log.a", "is 0xa", "ends at 0x8:"]);
}

#[test]
fn garbage_behind_the_last_entry_is_damage_if_it_touches_it_and_else_passed_over() {
    let folder = Folder::with(&[FIRST_SNAPSHOT]);
    let sound = log_of(1..);
    for (gap, starts) in [(0, false), (1, false), (5000, true)] {
        let garbage = [&sound[..], &vec![0; gap], &[0xa7; 100]].concat();
        folder.put(LOG, &garbage);
        match starts {
            true => assert_eq!(folder.recover().expect("behind the padding"), true_state()),
            false => folder.assert_refused(&[LOG, &format!("at offset {}", sound.len())]),
        }
    }
}

#[test]
fn an_entry_larger_than_any_buffer_by_default_is_read() {
    let folder = Folder::with(&[FIRST_SNAPSHOT]);
    let mut file = log_of(1..);
    let set_data = 5i32.to_be_bytes();
    let head = |zxid: i64| [&[0; 12][..], &zxid.to_be_bytes(), &[0; 8], &set_data].concat();
    let path = b"/plain";
    let data = vec![b'x'; 5 << 20];
    let record = [
        &(path.len() as i32).to_be_bytes()[..],
        path,
        &(data.len() as i32).to_be_bytes(),
        &data,
        &7i32.to_be_bytes(),
    ];
    encode_entry(&[head(0x1d), record.concat()].concat(), &mut file);
    folder.put(LOG, &file);
    let state = folder.recover().expect("jute.maxbuffer was larger then");
    assert_eq!(state.last_zxid, Zxid(0x1d));
    assert!(state.nodes.iter().any(|line| line.len() > data.len()));
}

/// A file with the recorded entries of these zxids.
fn log_of(zxids: impl std::ops::RangeBounds<i64>) -> Vec<u8> {
    let mut file = Vec::new();
    encode_header(&mut file);
    for (zxid, payload) in (1..).zip(entries()) {
        if zxids.contains(&zxid) {
            encode_entry(&payload, &mut file);
        }
    }
    file
}

/// The payloads of the recorded log, from zxid 1 on.
fn entries() -> Vec<Vec<u8>> {
    let file = recorded(LOG);
    let mut reader = LogReader::new(&file).expect("a log");
    let mut entries = Vec::new();
    while let Some(entry) = reader.next_entry().expect("sound") {
        entries.push(entry.payload.to_vec());
    }
    entries
}
