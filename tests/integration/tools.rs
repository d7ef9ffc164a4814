//! The offline tools on folders that a server left.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use ::ringkeeper::tools::{
    DataShown, DumpOptions, Form, LargestOptions, RepairOptions, SummaryOptions, ToolError, dump, largest,
    repair, summarise, verify,
};
use ringkeeper_kit::ringkeeper;
use ringkeeper_kit::server::Server;
use ringkeeper_kit::wire::{Client, Request, create_mode};

#[test]
fn a_log_and_a_snapshot_are_shown_as_text_and_as_one_json_object_a_line() {
    let mut server = server();
    let folder = server.data_dir();
    let before_stop = run(&["dump", "--only", "logs", &text(&folder)]);
    assert_eq!(before_stop.status.code(), Some(0), "a log that is being written can be shown");
    server.stop();

    let log = stdout(&run(&["dump", "--only", "logs", "--path", "/a", &text(&folder)]));
    let lines: Vec<&str> = log.lines().filter(|line| !line.starts_with('#')).collect();
    assert_eq!(lines.len(), 4, "{log}");
    assert!(lines[0].contains(" create /a \"one\" (3 bytes) acl world:anyone:cdrwa "), "{log}");
    assert!(lines[1].contains(" create /a/b "), "{log}");
    assert!(lines[3].contains(" setData /a \"\\xff\" (1 bytes) version 1"), "{log}");

    let json = stdout(&run(&["dump", "--json", "--only", "snapshots", &text(&folder)]));
    let objects: Vec<serde_json::Value> =
        json.lines().map(|line| serde_json::from_str(line).expect("an object")).collect();
    let znode = |path: &str| objects.iter().rfind(|object| object["path"] == path).expect("it is shown");
    assert_eq!((&znode("/a")["data_base64"], &znode("/a")["version"]), (&"/w==".into(), &1.into()));
    assert_eq!(znode("/a/b")["data"], "two");
    assert_eq!(znode("/a")["acl"][0]["perms"], "cdrwa");
    let last = objects.last().expect("an end");
    assert_eq!((&last["type"], &last["result"]), (&"end".into(), &"whole".into()));
}

#[test]
fn subtrees_and_the_largest_znodes_are_those_of_the_state_that_a_server_would_start_with() {
    let mut server = server();
    server.kill();
    let folder = text(&server.data_dir());
    let json = |arguments: &[&str]| -> Vec<serde_json::Value> {
        stdout(&run(arguments)).lines().map(|line| serde_json::from_str(line).expect("an object")).collect()
    };
    let summary = json(&["summary", "--json", &folder]);
    let a = summary.iter().find(|line| line["path"] == "/a").expect("a line");
    assert_eq!((&a["znodes"], &a["data_bytes"], &a["ephemerals"]), (&3.into(), &1004.into(), &0.into()));
    let largest = json(&["largest", "--json", "--count", "1", &folder]);
    assert_eq!((&largest[0]["path"], &largest[0]["size"]), (&"/a/large".into(), &1000.into()));
    assert_eq!((&largest[1]["by"], &largest[1]["path"]), (&"children".into(), &"/".into()));
}

#[test]
fn two_states_compare_equal_or_tell_what_is_different() {
    let mut server = server();
    server.stop();
    let copy = copy_of(&server.data_dir());
    let folders = [text(&server.data_dir()), text(copy.path())];
    let same = run(&["compare", &folders[0], &folders[1]]);
    assert_eq!(same.status.code(), Some(0), "{}", stdout(&same));

    server.start();
    let mut client = Client::connect(server.addr()).expect("a session");
    call(&mut client, Request::delete("/a/large", -1));
    call(&mut client, Request::create("/new", b"xy", 0));
    call(&mut client, Request::set_data("/a/b", b"three", -1));
    client.close().expect("the session closes");
    server.stop();
    let different = run(&["compare", &folders[1], &folders[0]]);
    assert_eq!(different.status.code(), Some(1));
    let shown = stdout(&different);
    for line in [
        "< /a/large (1000 bytes)\n",
        "> /new (2 bytes)\n",
        "! /a/b; data \"two\" (3 bytes) -> \"three\" (5 bytes); ",
    ] {
        assert!(shown.contains(line), "{line:?} in {shown}");
    }
    let content = stdout(&run(&["compare", "--ignore-stat", "--path", "/a", &folders[1], &folders[0]]));
    let changed: Vec<_> = content.lines().filter(|line| line.starts_with(['<', '>', '!'])).skip(2).collect();
    assert_eq!(changed.len(), 2, "{content}");
}

#[test]
fn damage_is_named_with_file_offset_and_reason_and_status_1() {
    let mut server = server();
    server.kill();
    let folder = server.data_dir().join("version-2");
    let sound = run(&["verify", &text(&folder)]);
    assert_eq!(sound.status.code(), Some(0), "{}", stdout(&sound));
    assert!(stdout(&sound).contains("a server starts at 0x"), "{}", stdout(&sound));

    let segment = segment(&folder);
    flip(&segment, 4096 + 70);
    let damaged = run(&["verify", &text(&folder)]);
    assert_eq!(damaged.status.code(), Some(1));
    let found = stdout(&damaged);
    let expected = format!("{}: no transactions; DAMAGED at offset 4096 (0x1000): a batch's", text(&segment));
    assert!(found.contains(&expected), "{expected:?} in {found}");
    assert!(found.contains("a server DOES NOT START: "), "{found}");
    let json = stdout(&run(&["verify", "--json", &text(&segment)]));
    let report: serde_json::Value = serde_json::from_str(&json).expect("an object");
    assert_eq!((&report["result"], &report["offset"]), (&"damaged".into(), &4096.into()));

    let missing = run(&["verify", "/no/such/folder"]);
    assert_eq!(missing.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&missing.stderr).contains("/no/such/folder"));
}

#[test]
fn a_damaged_end_is_cut_only_when_asked_and_a_copy_is_kept() {
    let mut server = server();
    let folder = server.data_dir().join("version-2");
    let name = text(&server.data_dir());
    let refused = run(&["repair", "--yes", &name]);
    assert_eq!(refused.status.code(), Some(2), "a server has the folder");
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(said.contains(&format!("process {}: stop it first", server.pid())), "{said}");
    server.kill();

    let segment = segment(&folder);
    let last = last_batch(&segment);
    flip(&segment, last + 70);
    let before = fs::read(&segment).expect("the segment");
    assert!(server.try_start().is_err(), "the server refuses the damage");
    for arguments in [&["repair", &name][..], &["repair", "--dry-run", &name]] {
        let told = run(arguments);
        assert_eq!(told.status.code(), Some(1));
        let expected = format!("would be zeroed from offset {last} ");
        assert!(stdout(&told).contains(&expected), "{}", stdout(&told));
        assert!(fs::read(&segment).expect("the segment") == before, "nothing is changed");
    }
    let done = run(&["repair", "--yes", &name]);
    assert_eq!(done.status.code(), Some(0), "{}", stdout(&done));
    let copies: Vec<PathBuf> = fs::read_dir(&folder)
        .expect("the folder")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| text(path).contains("before-repair-"))
        .collect();
    let copy = copies[0].join(segment.file_name().expect("a name"));
    assert!(copies.len() == 1 && fs::read(copy).expect("a copy") == before, "the copy is what was there");

    server.start();
    let mut client = Client::connect(server.addr()).expect("a session");
    call(&mut client, Request::get_data("/a", false));
    client.close().expect("the session closes");
    server.stop();
    let nothing = run(&["repair", &name]);
    assert_eq!(nothing.status.code(), Some(0), "{}", stdout(&nothing));
}

#[test]
fn damage_that_sound_transactions_follow_is_cut_only_if_they_may_be_lost() {
    let mut server = server();
    server.kill();
    let name = text(&server.data_dir());
    let segment = segment(&server.data_dir().join("version-2"));
    let second = batches(&segment)[1];
    flip(&segment, second + 70);
    let refused = run(&["repair", "--yes", &name]);
    assert_eq!(refused.status.code(), Some(2));
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(said.contains(&format!("at offset {second} ")) && said.contains("--lose-later"), "{said}");
    let done = run(&["repair", "--yes", "--lose-later", &name]);
    assert_eq!(done.status.code(), Some(0), "{}", stdout(&done));
    server.start();
}

/// Whatever is damaged, the tools say so or do their work: they do not panic, nor take memory without bound.
#[test]
fn no_damage_makes_a_tool_panic() {
    let mut server = server();
    server.stop();
    server.start();
    let mut client = Client::connect(server.addr()).expect("a session");
    call(&mut client, Request::create("/after-the-snapshot", b"", 0));
    client.hang_up();
    server.kill();
    let original = server.data_dir();
    let mut random = fastrand::Rng::with_seed(7);
    for seed in 0..60 {
        let copy = copy_of(&original);
        let folder = copy.path().join("version-2");
        let mut files: Vec<PathBuf> =
            fs::read_dir(&folder).expect("the folder").map(|entry| entry.expect("an entry").path()).collect();
        files.sort();
        for _ in 0..random.usize(1..4) {
            let path = &files[random.usize(..files.len())];
            let mut bytes = fs::read(path).expect("a file");
            if bytes.is_empty() {
                continue;
            }
            let used = bytes.iter().rposition(|byte| *byte != 0).unwrap_or(0) + 1;
            match random.u8(..3) {
                0 => bytes[random.usize(..used)] ^= 1 << random.u8(..8),
                1 => bytes.truncate(random.usize(..used)),
                _ => {
                    let at = random.usize(..used);
                    let end = (at + 512).min(used);
                    bytes[at..end].fill(random.u8(..));
                }
            }
            fs::write(path, bytes).expect("room");
        }
        every_tool(copy.path(), seed % 2 == 0);
    }
}

fn every_tool(folder: &Path, lose_later: bool) {
    let mut out = Vec::new();
    for form in [Form::Text, Form::Json] {
        let options = DumpOptions {
            form,
            data: DataShown::Full,
            only: None,
            from: None,
            to: None,
            session: None,
            path: None,
        };
        dump(&[folder], &options, &mut out).expect("damage is no trouble");
        verify(&[folder], None, form, &mut out).expect("damage is no trouble");
        let path = String::from("/");
        let summary = SummaryOptions { form, log_dir: None, path: path.clone(), depth: 9, top: 9 };
        acceptable(summarise(folder, &summary, &mut out));
        let options = LargestOptions { form, log_dir: None, path, count: 3 };
        acceptable(largest(folder, &options, &mut out));
    }
    acceptable(repair(folder, &RepairOptions { log_dir: None, go_ahead: true, lose_later }, &mut out));
}

/// Damage may keep a tool from its work, and the kernel may not.
fn acceptable<T>(done: Result<T, ToolError>) {
    match done {
        Ok(_) | Err(ToolError::Start(_) | ToolError::Damaged { .. } | ToolError::Refused(_)) => {}
        Err(error) => panic!("{error}"),
    }
}

/// A server with some znodes, each written by a batch of its own.
fn server() -> Server {
    let server = ringkeeper::server(RINGKEEPER).config("preAllocSize", 1024).start();
    let mut client = Client::connect(server.addr()).expect("a session");
    for request in [
        Request::create("/a", b"one", 0),
        Request::create("/a/b", b"two", 0),
        Request::create("/a/large", &[b'x'; 1000], 0),
        Request::create("/e", b"", create_mode::EPHEMERAL),
        Request::set_data("/a", b"\xff", -1),
    ] {
        call(&mut client, request);
    }
    client.hang_up();
    server
}

fn call(client: &mut Client, request: Request) {
    assert_eq!(client.call(&request).expect("a reply").err, 0, "{request:?}");
}

fn run(arguments: &[&str]) -> Output {
    Command::new(RINGKEEPER).args(arguments).stdin(Stdio::null()).output().expect("the program runs")
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("a text")
}

fn text(path: &Path) -> String {
    path.display().to_string()
}

fn copy_of(folder: &Path) -> tempfile::TempDir {
    let copy = tempfile::tempdir().expect("a folder");
    fs::create_dir(copy.path().join("version-2")).expect("a folder");
    for entry in fs::read_dir(folder.join("version-2")).expect("the folder") {
        let entry = entry.expect("an entry");
        fs::copy(entry.path(), copy.path().join("version-2").join(entry.file_name())).expect("room");
    }
    copy
}

/// The segment that is being written.
fn segment(folder: &Path) -> PathBuf {
    let entries = fs::read_dir(folder).expect("the folder").map(|entry| entry.expect("an entry").path());
    let mut segments: Vec<_> = entries
        .filter(|path| {
            path.file_name().is_some_and(|name| name.to_string_lossy().strip_prefix("wal.0").is_some())
        })
        .collect();
    segments.sort();
    segments.pop().expect("a segment")
}

/// Where the batches of a segment start.
fn batches(segment: &Path) -> Vec<usize> {
    let bytes = fs::read(segment).expect("the segment");
    (0..bytes.len()).step_by(4096).filter(|at| bytes[*at..].starts_with(b"RKWB")).collect()
}

fn last_batch(segment: &Path) -> usize {
    *batches(segment).last().expect("a batch")
}

fn flip(path: &Path, at: usize) {
    let mut bytes = fs::read(path).expect("a file");
    bytes[at] ^= 1;
    fs::write(path, bytes).expect("room");
}

const RINGKEEPER: &str = env!("CARGO_BIN_EXE_ringkeeper");
