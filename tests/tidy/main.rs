//! What the compiler does not check about the project's own rules.

use std::fs;
use std::path::{Path, PathBuf};

/// A Rust file: its path from the project's root, and its text.
struct Source {
    path: String,
    text: String,
}

#[test]
fn only_the_runtime_and_the_log_name_glommio() {
    assert_only_in("glommio::", &["src/runtime/", "src/storage/wal/", "bench/", "tests/"]);
}

#[test]
fn only_the_log_promises_durability() {
    assert_only_in("promised_by_the_log", &["src/storage/wal/", "src/core/durable.rs", "tests/"]);
}

/// What plays the log in tests is no way around it: the server is built without it.
#[test]
fn only_tests_play_the_log() {
    let places = ["src/core/durable.rs", "src/core/zab/", "src/core/member/tests/", "tests/simulation/"];
    assert_only_in("in_a_test", &places);
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for manifest in ["Cargo.toml", "src/core/Cargo.toml", "bench/Cargo.toml", "tests/kit/Cargo.toml"] {
        let text = fs::read_to_string(root.join(manifest)).expect("a readable manifest");
        let before = text.split("[dev-dependencies]").next().unwrap_or_default();
        assert!(!before.contains("\"simulation\""), "{manifest} turns the simulation on outside of tests");
    }
}

#[test]
fn only_the_runtime_wrapper_and_mmap_are_unsafe() {
    assert_only_in(concat!("unsafe", " {"), &["src/runtime/", "src/storage/mapped.rs"]);
}

#[test]
fn only_fatal_signals_and_main_end_the_process() {
    assert_only_in("process::exit", &["src/runtime/fatal.rs", "src/main.rs", "bench/", "tests/"]);
    assert_only_in("process::abort", &["src/runtime/fatal.rs"]);
    assert_only_in("emulate_default_handler", &["src/runtime/signals.rs", "src/runtime/bus_errors.rs"]);
}

#[test]
fn roles_know_messages_and_not_one_another() {
    const ROLES: [&str; 4] = ["commit", "election", "shard", "storage"];
    for source in sources() {
        for role in ROLES.iter().filter(|role| source.path.starts_with(&format!("src/{role}/"))) {
            for other in ROLES.iter().filter(|other| *other != role) {
                let import = format!("crate::{other}");
                assert!(!source.text.contains(&import), "{} names {import}", source.path);
            }
        }
    }
}

#[test]
fn no_file_is_too_long_to_hold_in_the_head() {
    for source in sources() {
        let lines = source.text.lines().count();
        assert!(lines <= 800, "{} has {lines} lines", source.path);
    }
}

#[test]
fn nothing_is_left_as_unfinished() {
    for mark in [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X:")] {
        assert_only_in(mark, &[]);
    }
}

fn assert_only_in(text: &str, places: &[&str]) {
    let strangers: Vec<String> = sources()
        .into_iter()
        .filter(|source| source.text.contains(text) && source.path != "tests/tidy/main.rs")
        .map(|source| source.path)
        .filter(|path| !places.iter().any(|place| path.starts_with(place)))
        .collect();
    assert!(strangers.is_empty(), "{text:?} belongs in {places:?} only, but stands in {strangers:?}");
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    for folder in ["src", "tests", "bench", "tuning"] {
        collect(&root.join(folder), root, &mut found);
    }
    assert!(found.len() > 20, "the sources were not found below {}", root.display());
    found
}

fn collect(folder: &Path, root: &Path, found: &mut Vec<Source>) {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    for path in entries.map(|entry| entry.path()).collect::<Vec<PathBuf>>() {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() && name != "target" && !name.starts_with('.') {
            collect(&path, root, found);
        } else if name.ends_with(".rs") {
            let text = fs::read_to_string(&path).expect("a readable source");
            let path = path.strip_prefix(root).expect("below the root").to_string_lossy().into_owned();
            found.push(Source { path, text });
        }
    }
}
