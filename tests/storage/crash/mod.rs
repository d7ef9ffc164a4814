//! A crash at any step of writing, recycling, purging and truncating: nothing durable is lost, nothing is
//! invented, and what is left is always a log that a start accepts.
//!
//! The real code changes a folder of a real file system through a [`ModelDisk`], which says at every step
//! what a crash may leave; the real recovery reads some of that. `CRASH_SEEDS=0..5000` tries more.

mod disk;
mod server;

use std::ops::Range;

use server::Server;

#[test]
fn whatever_a_crash_leaves_nothing_durable_is_lost_and_nothing_invented() {
    let mut images = 0;
    for seed in seeds() {
        images += run(seed);
    }
    println!("{images} images");
    assert!(images >= 1000 || std::env::var_os(SEEDS).is_some(), "only {images} images were looked at");
}

/// Lets one server live through several crashes. Returns how many images were looked at.
fn run(seed: u64) -> usize {
    let mut server = Server::start(seed);
    for _ in 0..CRASHES {
        for _ in 0..STEPS {
            server.step();
        }
        server = server.crash();
    }
    server.images()
}

fn seeds() -> Range<u64> {
    let Ok(text) = std::env::var(SEEDS) else { return 0..SEEDS_DEFAULT };
    let range = text.split_once("..").and_then(|(from, to)| Some(from.parse().ok()?..to.parse().ok()?));
    range.unwrap_or_else(|| panic!("{SEEDS} must be like 0..100, not {text}"))
}

const SEEDS: &str = "CRASH_SEEDS";
const SEEDS_DEFAULT: u64 = 24;
const CRASHES: usize = 3;
const STEPS: usize = 60;
