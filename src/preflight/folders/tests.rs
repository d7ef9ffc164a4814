use ringkeeper_core::config::{Config, Defines, Raw, Sources};
use tempfile::TempDir;

use super::*;

/// What a configuration says about storage, in and below a new folder.
fn storage(folder: &TempDir, text: &str) -> Storage {
    let path = folder.path().display();
    let text = format!("clientPort=0\ndataDir={path}/data\n{}", text.replace("HERE", &path.to_string()));
    let raw = Raw::parse(text.as_bytes()).expect("no malformed escape");
    let defines = Defines::default();
    let sources =
        Sources { file: "zoo.cfg", raw: &raw, dynamic: None, next: None, defines: &defines, my_id: None };
    Config::prove(&sources).expect("a good configuration").0.storage
}

fn folder() -> TempDir {
    tempfile::tempdir().expect("a folder")
}

fn put(folder: &TempDir, file: &str) {
    let path = folder.path().join(file);
    fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
    fs::write(path, b"x").expect("a file");
}

fn refused(storage: &Storage) -> String {
    let failure = hold(storage).expect_err("a folder that cannot be used");
    assert_eq!(failure.exit_status(), 3);
    failure.to_string()
}

#[test]
fn missing_folders_are_made_with_all_above_them() {
    let folder = folder();
    let storage = storage(&folder, "dataLogDir=HERE/deep/down/log");
    hold(&storage).expect("usable folders");
    assert!(folder.path().join("data/version-2").is_dir());
    assert!(folder.path().join("deep/down/log/version-2").is_dir());
    hold(&storage).expect("folders that are there");
}

#[test]
fn a_missing_folder_is_not_made_where_that_is_forbidden() {
    let folder = folder();
    let text = refused(&storage(&folder, "datadir.autocreate=false"));
    let path = folder.path().join("data/version-2");
    assert!(text.starts_with(&format!("Missing data directory {}, automatic", path.display())), "{text}");
    assert!(!path.exists());

    fs::create_dir_all(&path).expect("a folder");
    fs::create_dir_all(folder.path().join("log/version-2")).expect("a folder");
    fs::remove_dir(&path).expect("an empty folder");
    let text = refused(&storage(&folder, "datadir.autocreate=false\ndataLogDir=HERE/log"));
    assert!(text.starts_with("Missing snap directory "), "{text}");
}

#[test]
fn a_folder_that_cannot_be_made_is_named() {
    let folder = folder();
    put(&folder, "data");
    let text = refused(&storage(&folder, ""));
    assert!(
        text.starts_with("Unable to create data directory ") && text.contains("data/version-2"),
        "{text}"
    );
}

#[test]
fn a_second_server_on_either_folder_is_refused() {
    let folder = folder();
    let held = hold(&storage(&folder, "dataLogDir=HERE/log")).expect("free folders");
    let same_log = storage(&folder, "dataDir=HERE/other\ndataLogDir=HERE/log");
    assert!(refused(&same_log).contains("log/version-2 is in use by another ringkeeper, process"));
    let same_data = storage(&folder, "dataLogDir=HERE/other");
    assert!(refused(&same_data).contains("data/version-2 is in use"));
    drop(held);
    hold(&same_log).expect("a folder that was let go");
}

#[test]
fn one_folder_under_two_names_is_one_folder() {
    let folder = folder();
    fs::create_dir(folder.path().join("data")).expect("a folder");
    std::os::unix::fs::symlink(folder.path().join("data"), folder.path().join("link")).expect("a link");
    put(&folder, "data/version-2/wal.0000000000000000");
    hold(&storage(&folder, "dataLogDir=HERE/link")).expect("one folder, not locked against itself");
}

#[test]
fn folders_that_hold_each_others_files_are_refused_in_javas_words() {
    for (file, expected) in [
        ("log/version-2/snapshot.0", "Log directory has snapshot files. Check if dataLogDir and dataDir"),
        ("data/version-2/log.1", "Snapshot directory has log files. Check if dataLogDir and dataDir"),
        ("data/version-2/wal.0000000000000000", "Snapshot directory has log files."),
    ] {
        let folder = folder();
        put(&folder, file);
        let text = refused(&storage(&folder, "dataLogDir=HERE/log"));
        assert!(text.starts_with(expected) && text.contains(file), "{text}");
    }
}

#[test]
fn a_log_of_ours_is_recognised() {
    let folder = folder();
    let storage = storage(&folder, "");
    let _held = hold(&storage).expect("a usable folder");
    assert!(!has_log(&storage.log_dir()).expect("a readable folder"));
    put(&folder, "data/version-2/wal.probe");
    assert!(!has_log(&storage.log_dir()).expect("a readable folder"));
    put(&folder, "data/version-2/wal.0000000000000001");
    assert!(has_log(&storage.log_dir()).expect("a readable folder"));
}

#[test]
fn a_log_folder_whose_disk_is_not_mounted_is_noticed() {
    let folder = folder();
    let storage = storage(&folder, "dataLogDir=HERE/log");
    drop(hold(&storage).expect("usable folders"));
    put(&folder, "data/version-2/snapshot.5");
    put(&folder, "log/version-2/wal.0000000000000001");
    drop(hold(&storage).expect("the same folders"));
    fs::rename(folder.path().join("log"), folder.path().join("unmounted")).expect("a folder");
    let text = refused(&storage);
    assert!(text.contains("log/version-2 is empty, though ") && text.contains("ringkeeper.pair"), "{text}");
}
