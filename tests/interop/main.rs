//! ringkeeper beside the real thing: clients' own test-suites, scripts of every operation whose transcripts
//! must equal those recorded from the real server, and the same random requests to both servers.
//!
//! `RERECORD=1` records the transcripts anew, from the ZooKeeper that `tests/setup` fetched. A test fails,
//! and says what to run, where something that it needs was not fetched.

mod c_client;
mod cli_mt;
mod differential;
mod golden;
mod java_damage;
mod java_files;
mod java_folder;
mod kazoo;
mod launcher;
mod offline_tools;
mod picture;
mod words;
mod zkcli;

use std::path::Path;

use ringkeeper_kit::ringkeeper;
use ringkeeper_kit::server::Settings;

/// The program under test.
fn ringkeeper_server() -> Settings {
    ringkeeper::server(env!("CARGO_BIN_EXE_ringkeeper"))
}

/// A folder for what a test leaves to look at.
fn scratch_dir() -> &'static Path {
    Path::new(env!("CARGO_TARGET_TMPDIR"))
}

/// A file of this test program.
fn source(name: &str) -> std::path::PathBuf {
    ringkeeper_kit::deps::tests_dir().join("interop").join(name)
}
