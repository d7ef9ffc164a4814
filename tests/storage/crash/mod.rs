//! A crash at any step of importing, writing, saving, recycling, purging, truncating and handing over: nothing durable is
//! lost, nothing is invented, and what is left is always a log that a start accepts.
//!
//! The real code changes a folder of a real file system through a [`ModelDisk`](disk::ModelDisk), which says
//! at every step what a crash may leave; the real recovery reads some of that. `CRASH_SEEDS=0..5000` tries
//! more.

mod changes;
mod disk;
mod origin;
mod server;
mod snapshot;
mod watch;

use std::ops::Range;

use origin::Origin;
use server::Server;

#[test]
fn whatever_a_crash_leaves_nothing_durable_is_lost_and_nothing_invented() {
    let images: usize = seeds(SEEDS_DEFAULT).map(run).sum();
    println!("{images} images");
    assert!(images >= 1000 || std::env::var_os(SEEDS).is_some(), "only {images} images were looked at");
}

#[test]
fn a_folder_of_javas_is_taken_over_whole_and_unchanged_whenever_a_crash_comes() {
    let images: usize = seeds(IMPORTS_DEFAULT).map(import).sum();
    println!("{images} images");
    assert!(images >= 300 || std::env::var_os(SEEDS).is_some(), "only {images} images were looked at");
}

/// Lets one server live through several crashes. Returns how many images were looked at.
fn run(seed: u64) -> usize {
    let mut server = Server::start(seed, Origin::empty(), 8);
    for _ in 0..CRASHES {
        for _ in 0..STEPS {
            server.step();
        }
        server = server.crash();
    }
    server.images()
}

/// Starts a server on what Java has left, lets it write, save and purge, and looks at every single step.
fn import(seed: u64) -> usize {
    let mut server = Server::start(seed, Origin::java(seed), 1);
    for _ in 0..2 {
        for _ in 0..2 {
            server.write();
            server.save();
        }
        (0..IMPORT_STEPS).for_each(|_| server.step());
        server = server.crash();
    }
    server.images()
}

fn seeds(default: u64) -> Range<u64> {
    let Ok(text) = std::env::var(SEEDS) else { return 0..default };
    let range = text.split_once("..").and_then(|(from, to)| Some(from.parse().ok()?..to.parse().ok()?));
    range.unwrap_or_else(|| panic!("{SEEDS} must be like 0..100, not {text}"))
}

const SEEDS: &str = "CRASH_SEEDS";
const SEEDS_DEFAULT: u64 = 8;
const IMPORTS_DEFAULT: u64 = 4;
const CRASHES: usize = 3;
const STEPS: usize = 60;
const IMPORT_STEPS: usize = 4;
