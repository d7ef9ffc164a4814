//! The offline tools on folders of both servers, and Java on what they made.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use ringkeeper_kit::java::{self, Release};
use ringkeeper_kit::server::{Server, Settings};
use ringkeeper_kit::wire::{Client, Request};

use crate::java_folder::{assert_lives, build, change};
use crate::picture::{SUPER_DIGEST, assert_same, picture_of, super_user};

#[test]
fn java_serves_the_identical_tree_from_an_export_after_a_kill_and_goes_on() {
    let old = tempfile::tempdir().expect("a temporary folder");
    let mut server = on(old.path(), crate::ringkeeper_server()).start();
    let owners = build(&server, Release::V3_9);
    change(&server, "by ringkeeper");
    let expected = picture(&server);
    let refused = export(&[], old.path(), &old.path().join("new"));
    assert_eq!(refused.status.code(), Some(2), "a server has the folder");
    server.kill();
    let before = files(&old.path().join("version-2"));

    let new = old.path().join("new");
    let exported = export(&[], old.path(), &new);
    assert_eq!(exported.status.code(), Some(0), "{}", stderr(&exported));
    assert!(stdout(&exported).contains("zookeeper.extendedTypesEnabled"), "{}", stdout(&exported));
    assert!(files(&old.path().join("version-2")) == before, "the old folder stays as it was");
    let compared = tool(&["compare".as_ref(), old.path(), &new]);
    assert_eq!(compared.status.code(), Some(0), "{}", stdout(&compared));
    let again = export(&[], old.path(), &new);
    assert_eq!(again.status.code(), Some(2));
    assert!(stderr(&again).contains("is there already"), "{}", stderr(&again));

    let mut server = on(&new, java::server()).start();
    assert_same(&picture(&server), &expected, "Java serves what ringkeeper served");
    owners.staying.iter().for_each(|owner| assert_lives(&server, owner));
    change(&server, "by Java");
    let changed = picture(&server);
    assert_digests_right(&server);
    server.kill();
    let server = on(&new, crate::ringkeeper_server()).start();
    assert_same(&picture(&server), &changed, "ringkeeper goes on from where Java went on");
    assert_digests_right(&server);
}

/// What the logs say of the tree after each transaction was right when they were replayed.
#[track_caller]
fn assert_digests_right(server: &Server) {
    let figures = server.word("mntr").expect("an answer");
    assert!(figures.contains("zk_digest_mismatches_count\t0\n"), "{figures}");
}

#[test]
fn an_export_of_both_histories_in_one_folder_holds_both_in_javas_log() {
    let (old, new) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    let mut server = on(old.path(), java::server()).start();
    build(&server, Release::V3_9);
    server.kill();
    let mut server = on(old.path(), crate::ringkeeper_server()).start();
    change(&server, "by ringkeeper");
    let expected = picture(&server);
    server.kill();
    // As if no snapshot had been written since: Java's log and ours are needed.
    for path in files(&old.path().join("version-2")).into_iter().map(|(path, _)| path) {
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        if name.starts_with("snapshot.") && name != "snapshot.0" {
            fs::remove_file(path).expect("a file");
        }
    }
    let logs = new.path().join("logs");
    let exported = export(&["--to-log-dir".as_ref(), &logs], old.path(), &new.path().join("data"));
    assert_eq!(exported.status.code(), Some(0), "{}", stderr(&exported));
    let server = on(&new.path().join("data"), java::server()).config("dataLogDir", logs.display()).start();
    assert_same(&picture(&server), &expected, "Java serves both histories");
}

#[test]
fn a_log_that_java_refuses_is_served_again_after_a_repair() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut server = on(folder.path(), java::server()).start();
    build(&server, Release::V3_9);
    let expected = picture(&server);
    write(&server, "/torn");
    server.kill();
    // Of the last entries only one is left, and of that not all that was written: yet the byte that ends it.
    let log = only_log(folder.path());
    let entries = stdout(&tool(&["dump".as_ref(), "--json".as_ref(), &log]));
    let offset = |line: &str| serde_json::from_str::<serde_json::Value>(line).ok()?["offset"].as_u64();
    let torn = entries.lines().find(|line| line.contains("\"path\":\"/torn\"")).expect("its entry");
    let torn = offset(torn).expect("an offset") as usize;
    let mut bytes = fs::read(&log).expect("the log");
    let len = u32::from_be_bytes(bytes[torn + 8..torn + 12].try_into().expect("four bytes")) as usize;
    bytes[torn + 50..].fill(0);
    bytes[torn + 12 + len] = b'B';
    fs::write(&log, &bytes).expect("room");
    let refused = on(folder.path(), java::server()).try_start().err().expect("Java refuses");
    assert!(refused.log.contains("CRC check failed"), "{refused}");

    let verified = tool(&["verify".as_ref(), &log]);
    assert_eq!(verified.status.code(), Some(1));
    let named = format!("DAMAGED at offset {torn} ({torn:#x}): ");
    assert!(stdout(&verified).contains(&named), "{named:?} in {}", stdout(&verified));
    let repaired = tool(&["repair".as_ref(), "--yes".as_ref(), folder.path()]);
    assert_eq!(repaired.status.code(), Some(0), "{}{}", stdout(&repaired), stderr(&repaired));
    let server = on(folder.path(), java::server()).start();
    assert_same(&picture(&server), &expected, "nothing but the damaged entry is lost");
}

fn on(folder: &Path, settings: Settings) -> Settings {
    settings
        .config("dataDir", folder.display())
        .config("maxSessionTimeout", 3_600_000)
        .property("zookeeper.extendedTypesEnabled", true)
        .property("zookeeper.preAllocSize", 1024)
        .property(SUPER_DIGEST.0, SUPER_DIGEST.1)
}

fn picture(server: &Server) -> Vec<String> {
    picture_of(&mut super_user(server.addr()))
}

fn write(server: &Server, path: &str) {
    let mut client = Client::connect(server.addr()).expect("a session");
    assert_eq!(client.call(&Request::create(path, b"", 0)).expect("a reply").err, 0);
    client.hang_up();
}

fn export(more: &[&Path], from: &Path, to: &Path) -> Output {
    tool(&[&["export".as_ref(), from, "--to".as_ref(), to], more].concat())
}

fn tool(arguments: &[&Path]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ringkeeper"));
    command.args(arguments).stdin(Stdio::null()).output().expect("the program runs")
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The files of a folder, but for the lock's number.
fn files(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let entries = fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    let mut paths: Vec<PathBuf> = entries.filter(|path| !path.ends_with("ringkeeper.lock")).collect();
    paths.sort();
    paths.into_iter().map(|path| (path.clone(), fs::read(&path).expect("a file"))).collect()
}

fn only_log(folder: &Path) -> PathBuf {
    let all = files(&folder.join("version-2")).into_iter().map(|(path, _)| path);
    let mut logs: Vec<_> = all
        .filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("log.")))
        .collect();
    assert_eq!(logs.len(), 1, "{logs:?}");
    logs.pop().expect("one")
}
