//! The bench as its user runs it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The bench's program with these arguments, and with the ringkeeper of this source tree.
pub(crate) fn bench(arguments: &[&str]) -> Command {
    let mut command = plain(arguments);
    command.arg("--ringkeeper").arg(ringkeeper());
    command
}

/// Runs a command that measures servers, with arguments between blanks, and returns what it kept: the figures,
/// and the report.
pub(crate) fn report(line: &str) -> (serde_json::Value, String) {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let (out, data) = (dir.path().join("out"), dir.path().join("data"));
    let arguments: Vec<&str> = line.split_whitespace().collect();
    let output = bench(&arguments).arg("--out").arg(&out).arg("--dir").arg(&data).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(fs::read_dir(&data).unwrap().count(), 0, "the servers' folders are gone");
    let report = kept(&out, "md");
    assert!(report.contains("these figures mean nothing"), "it is a try: {report}");
    (serde_json::from_str(&kept(&out, "json")).unwrap(), report)
}

/// The bench's program with these arguments.
pub(crate) fn plain(arguments: &[&str]) -> Command {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_ringkeeper-bench"));
    command.current_dir(root).args(arguments);
    command
}

/// The only file in `out` with this extension.
fn kept(out: &Path, extension: &str) -> String {
    let mut files: Vec<PathBuf> = fs::read_dir(out).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|found| found == extension));
    assert_eq!(files.len(), 1, "{files:?}");
    fs::read_to_string(&files[0]).unwrap()
}

/// Runs the command on ringkeepers that it starts, and returns what it kept.
pub(crate) fn load(dir: &Path, name: &str, arguments: &[&str]) -> serde_json::Value {
    load_on(bench(&["load", "--start", "ringkeeper", "--name", name]), dir, arguments)
}

/// The same on the etcd that tests/setup fetches.
pub(crate) fn load_etcd(dir: &Path, arguments: &[&str]) -> serde_json::Value {
    let mut command = plain(&["load", "--start", "etcd"]);
    command.arg("--etcd").arg(ringkeeper_kit::deps::etcd());
    load_on(command, dir, arguments)
}

fn load_on(mut command: Command, dir: &Path, arguments: &[&str]) -> serde_json::Value {
    let output = command
        .args(arguments)
        .arg("--out")
        .arg(dir.join("out"))
        .arg("--dir")
        .arg(dir.join("data"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(fs::read_dir(dir.join("data")).unwrap().count(), 0, "the servers' folders are gone");
    serde_json::from_str(&fs::read_to_string(file(&dir.join("out"), "json")).unwrap()).unwrap()
}

/// A file in `out` with this extension.
pub(crate) fn file(out: &Path, extension: &str) -> PathBuf {
    let mut files = fs::read_dir(out).unwrap().map(|entry| entry.unwrap().path());
    files.find(|file| file.extension().is_some_and(|found| found == extension)).unwrap()
}

/// The server, built like this test, once for all tests.
fn ringkeeper() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(build)
}

/// The workspace's tests turn on features of what the server is made of. Built for one of them, which does not matter, it
/// is the one that `cargo test --workspace` has made already; built by itself, all of it would be compiled once more.
fn build() -> PathBuf {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["test", "--workspace", "--test", "tidy", "--no-run"]);
    if !cfg!(debug_assertions) {
        cargo.arg("--release");
    }
    // What cargo tells a test of its package looks to build scripts like a change of theirs.
    for (name, _) in std::env::vars_os() {
        if name
            .to_str()
            .is_some_and(|name| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_"))
        {
            cargo.env_remove(name);
        }
    }
    assert!(cargo.status().unwrap().success(), "ringkeeper does not build");
    Path::new(env!("CARGO_BIN_EXE_ringkeeper-bench")).with_file_name("ringkeeper")
}
