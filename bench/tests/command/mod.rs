//! The bench as its user runs it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The bench's program with these arguments, and with the ringkeeper of this source tree.
pub(crate) fn bench(arguments: &[&str]) -> Command {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_ringkeeper-bench"));
    command.current_dir(root).args(arguments).arg("--ringkeeper").arg(ringkeeper());
    command
}

/// The only file in `out` with this extension.
pub(crate) fn kept(out: &Path, extension: &str) -> String {
    let mut files: Vec<PathBuf> = fs::read_dir(out).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|found| found == extension));
    assert_eq!(files.len(), 1, "{files:?}");
    fs::read_to_string(&files[0]).unwrap()
}

/// The server, built like this test.
fn ringkeeper() -> PathBuf {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--package", "ringkeeper", "--bin", "ringkeeper"]);
    if !cfg!(debug_assertions) {
        cargo.arg("--release");
    }
    assert!(cargo.status().unwrap().success(), "ringkeeper does not build");
    Path::new(env!("CARGO_BIN_EXE_ringkeeper-bench")).with_file_name("ringkeeper")
}
