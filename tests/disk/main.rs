//! What ringkeeper does when its disks are full, fail, or can't do what it needs.
//!
//! Each test has ext4 file systems of its own, on loop devices: see [`disk::Disk`]. That needs root; where it is
//! not to be had, or the kernel has no loop devices, a test says so and is skipped.

mod disk;
mod failing;
mod folders;
mod full;
mod hanging;
mod snapshots;
mod writes;

use ringkeeper_kit::ringkeeper;
use ringkeeper_kit::server::{NotServing, Server, Settings};

/// The program under test, with segments so short that it soon needs the next.
fn server() -> Settings {
    ringkeeper::server(env!("CARGO_BIN_EXE_ringkeeper")).config("preAllocSize", SEGMENT_KIB)
}

fn refused(settings: Settings) -> NotServing {
    settings.try_start().err().expect("a server that does not start")
}

fn assert_ended_for_its_log(server: &mut Server, reasons: &[&str]) {
    let status = server.await_end();
    assert_eq!(status.code(), Some(1), "{status}");
    let log = server.log();
    // Another thread may have something to say about the same disk just before the process ends.
    let last_run = log.rsplit_once("ringkeeper::server: ringkeeper ").map_or("", |(_, last_run)| last_run);
    let ends: Vec<&str> = last_run.lines().filter(|line| line.contains(LOG_FAILED)).collect();
    let [end] = ends[..] else { panic!("{ends:?} in {last_run}") };
    assert!(reasons.iter().any(|reason| end.contains(reason)), "{end}");
}

const LOG_FAILED: &str = "the log could not be written, this server stops";
const SEGMENT_KIB: u64 = 4096;
