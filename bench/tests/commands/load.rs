//! The `load` command on servers that it starts, with a fault, and the files that it keeps.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::command;

#[test]
fn a_mix_at_a_rate_outlives_a_killed_leader_and_is_told_in_all_files() {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let mix = "get=5,exists=1,children=1,set=2,create=1,ephemeral=1,sequential=1,churn=2,delete=1,multi=1,sync-get=1";
    let arguments =
        ["--rate", "400", "--mix", mix, "--skew", "zipf:1.1", "--depth", "3", "--connections", "6"];
    let faults = ["--count", "3", "--faults", "kill-leader@1:1", "--seconds", "4", "--warmup", "0.5"];
    let run = command::load(dir.path(), "faults", &[&arguments[..], &faults[..]].concat());

    let round = &run["rounds"][0];
    let operations = round["operations"].as_array().unwrap();
    assert_eq!(operations.len(), 11);
    for operation in operations {
        assert!(operation["count"].as_u64().unwrap() > 0, "{operation}");
        // Lost connections; and what was made on them may be there or not when it is asked for again.
        let codes: Vec<&String> = operation["errors"].as_object().unwrap().keys().collect();
        assert!(codes.iter().all(|code| *code == "-4"), "{operation}");
    }
    let total: u64 = operations
        .iter()
        .map(|operation| {
            let errors = operation["errors"].as_object().unwrap().values().filter_map(Value::as_u64);
            operation["count"].as_u64().unwrap() + errors.sum::<u64>()
        })
        .sum();
    assert_eq!(total, 1600, "400 a second for 4 s, whatever happens");
    let befell = round["faults"].as_array().unwrap();
    assert!(befell[0][1].as_str().unwrap().starts_with("leader killed"), "{befell:?}");
    assert!(!round["servers"].as_array().unwrap().is_empty());

    let page = fs::read_to_string(command::file(&dir.path().join("out"), "html")).unwrap();
    assert!(page.contains("leader killed") && page.contains("<svg"), "faults are marked");
    assert_eq!(count(&dir.path().join("out"), "hgrm"), 11);
}

#[test]
fn why_a_server_does_not_start_is_told_though_backtraces_are_wanted() {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let no_program = dir.path().join("ringkeeper");
    fs::write(&no_program, "this is no program").unwrap();
    let output = command::plain(&["load", "--start", "ringkeeper", "--count", "1", "--seconds", "1"])
        .arg("--ringkeeper")
        .arg(&no_program)
        .arg("--dir")
        .arg(dir.path().join("data"))
        .env("RUST_BACKTRACE", "1")
        .env_remove("RUST_LIB_BACKTRACE")
        .output()
        .unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    let told = error.split("and wrote:").nth(1).unwrap_or_else(|| panic!("{error}"));
    assert!(told.contains("cannot run") && told.contains("Permission denied"), "{error}");
}

fn count(out: &Path, extension: &str) -> usize {
    let files = fs::read_dir(out).unwrap().map(|entry| entry.unwrap().path());
    files.filter(|file| file.extension().is_some_and(|found| found == extension)).count()
}
