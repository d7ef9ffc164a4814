//! Java's logs as crashes and faults leave them: what Java makes of them, and what ringkeeper does.
//!
//! Where Java refuses to start, so does ringkeeper. Where Java starts without transactions that were once
//! acknowledged, ringkeeper refuses; what a crash leaves, both pass over.

use std::fs;
use std::ops::RangeBounds;

use ringkeeper_core::format::java_log::{LogReader, encode_entry, encode_header};
use ringkeeper_kit::deps::tests_dir;
use ringkeeper_kit::java;
use ringkeeper_kit::server::Settings;

#[test]
fn java_and_ringkeeper_judge_files_of_java_s_as_is_written_down() {
    use Verdict::*;
    let whole = log_of(1..);
    let start = entry_start(9);
    let changed = |at: usize, bits: u8| {
        let mut file = whole.clone();
        file[at] ^= bits;
        [&file[..], &[0; 2000]].concat()
    };
    let last = entry_start(LAST);
    let with_len = |len: u8| changed(start + 11, whole[start + 11] ^ len);
    let zeros = |file: &[u8]| [file, &[0; 2000]].concat();
    let first = || ("log.1", zeros(&log_of(1..9)));
    let cases = [
        ("a newest file of no bytes", vec![first(), ("log.9", vec![])], Serves(8), Serves(8)),
        ("a newest file that is a header", vec![first(), ("log.9", log_of(..0))], Serves(8), Serves(8)),
        (
            "a torn last entry",
            vec![("log.1", zeros(&whole[..whole.len() - 9]))],
            Serves(LAST - 1),
            Serves(LAST - 1),
        ),
        ("a flipped bit in a payload", vec![("log.1", changed(start + 40, 1))], Refuses, Refuses),
        ("a flipped bit in the last payload", vec![("log.1", changed(last + 40, 1))], Refuses, Refuses),
        ("a length of zero", vec![("log.1", with_len(0))], Serves(8), Refuses),
        ("a mark that is none", vec![("log.1", changed(entry_start(10) - 1, 1))], Serves(8), Refuses),
        (
            "a missing transaction",
            vec![("log.1", zeros(&log_of(1..LAST - 1))), ("log.1c", log_of(LAST..))],
            Refuses,
            Refuses,
        ),
        ("none of the first files", vec![("log.1c", log_of(LAST..))], Serves(LAST), Refuses),
        (
            "garbage behind the last entry",
            vec![("log.1", [&whole[..], &[0xa7; 99]].concat())],
            Refuses,
            Refuses,
        ),
    ];
    for (what, files, javas, ours) in cases {
        for (settings, expected) in [(java::server(), javas), (crate::ringkeeper_server(), ours)] {
            let program = settings.program().display().to_string();
            let (found, log) = verdict(settings, &files);
            assert_eq!(found, expected, "{program}: {what}: {log}");
        }
    }
}

/// What a server does with a folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    /// It does not start.
    Refuses,
    /// It serves the state as of this zxid.
    Serves(i64),
}

/// Starts a server on a folder with these files besides the first snapshot: what it does, and says.
fn verdict(settings: Settings, files: &[(&str, Vec<u8>)]) -> (Verdict, String) {
    let data_dir = tempfile::tempdir().expect("a temporary folder");
    let folder = data_dir.path().join("version-2");
    fs::create_dir(&folder).expect("a new folder");
    fs::copy(recorded("snapshot.0"), folder.join("snapshot.0")).expect("the first snapshot");
    files.iter().for_each(|(name, content)| fs::write(folder.join(name), content).expect("a file"));
    let settings = settings
        .config("dataDir", data_dir.path().display())
        .property("zookeeper.extendedTypesEnabled", true);
    match settings.try_start() {
        Err(refused) => {
            assert!(refused.status.is_some(), "{refused}");
            (Verdict::Refuses, refused.log)
        }
        Ok(server) => {
            let said = server.word("srvr").expect("an answer");
            let zxid = said.lines().find_map(|line| line.strip_prefix("Zxid: 0x")).expect("a zxid");
            (Verdict::Serves(i64::from_str_radix(zxid, 16).expect("a number")), server.log())
        }
    }
}

/// A log with the recorded entries of these zxids.
fn log_of(zxids: impl RangeBounds<i64>) -> Vec<u8> {
    let recorded = fs::read(recorded("log.1")).expect("the recorded log");
    let mut reader = LogReader::new(&recorded).expect("a log");
    let mut file = Vec::new();
    encode_header(&mut file);
    while let Some(entry) = reader.next_entry().expect("sound") {
        if zxids.contains(&entry.zxid.0) {
            encode_entry(entry.payload, &mut file);
        }
    }
    file
}

/// Where the entry of a zxid starts.
fn entry_start(zxid: i64) -> usize {
    log_of(1..zxid).len()
}

fn recorded(name: &str) -> std::path::PathBuf {
    tests_dir().join("fixtures/java").join(name)
}

/// The last zxid that was recorded.
const LAST: i64 = 0x1c;
