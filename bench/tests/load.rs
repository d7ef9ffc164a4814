//! The `load` command on servers that it starts, with a fault, and the files that it keeps.

mod command;

use std::fs;
use std::path::Path;

use serde_json::Value;

#[test]
fn a_mix_at_a_rate_outlives_a_killed_leader_and_is_told_in_all_files() {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let mix = "get=5,exists=1,children=1,set=2,create=1,ephemeral=1,sequential=1,churn=2,delete=1,multi=1,sync-get=1";
    let arguments =
        ["--rate", "400", "--mix", mix, "--skew", "zipf:1.1", "--depth", "3", "--connections", "6"];
    let faults = ["--count", "3", "--faults", "kill-leader@1:1", "--seconds", "4", "--warmup", "0.5"];
    let run = load(dir.path(), "faults", &[&arguments[..], &faults[..]].concat());

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

    let page = fs::read_to_string(file(&dir.path().join("out"), "html")).unwrap();
    assert!(page.contains("leader killed") && page.contains("<svg"), "faults are marked");
    assert_eq!(count(&dir.path().join("out"), "hgrm"), 11);
}

#[test]
fn closed_loops_and_scenarios_run_and_compare() {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let closed = ["--seconds", "1", "--warmup", "0", "--rounds", "2", "--outstanding", "4"];
    let named = ["--workload", "raftkeeper-mixed", "--connections", "4"];
    let run = load(dir.path(), "closed", &[&closed[..], &named[..]].concat());
    assert_eq!(run["rounds"].as_array().unwrap().len(), 2);
    let file = file(&dir.path().join("out"), "json");
    let compared = command::plain(&["compare"]).arg(&file).arg(&file).output().unwrap();
    let compared = String::from_utf8(compared.stdout).unwrap();
    assert!(compared.contains("children") && compared.contains("1.00"), "{compared}");

    for (scenario, figures) in [
        ("herd", &["set all watches", "write", "event", "last event"][..]),
        ("storm", &["handshake", "all handshakes"]),
        ("locks", &["acquire"]),
        ("barrier", &["enter", "all through"]),
    ] {
        let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let run =
            load(dir.path(), scenario, &["--workload", scenario, "--connections", "20", "--seconds", "0.3"]);
        let operations = run["rounds"][0]["operations"].as_array().unwrap();
        let names: Vec<&str> = operations.iter().map(|found| found["name"].as_str().unwrap()).collect();
        assert_eq!(names, figures);
        assert!(operations.iter().all(|found| found["count"].as_u64().unwrap() > 0), "{operations:?}");
    }
}

/// Runs the command on ringkeepers that it starts, and returns what it kept.
fn load(dir: &Path, name: &str, arguments: &[&str]) -> Value {
    let output = command::bench(&["load", "--start", "ringkeeper", "--name", name])
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

fn file(out: &Path, extension: &str) -> std::path::PathBuf {
    let mut files = fs::read_dir(out).unwrap().map(|entry| entry.unwrap().path());
    files.find(|file| file.extension().is_some_and(|found| found == extension)).unwrap()
}

fn count(out: &Path, extension: &str) -> usize {
    let files = fs::read_dir(out).unwrap().map(|entry| entry.unwrap().path());
    files.filter(|file| file.extension().is_some_and(|found| found == extension)).count()
}
