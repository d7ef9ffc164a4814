//! kazoo's own test-suite.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use ringkeeper_kit::deps;

use crate::{scratch_dir, source};

#[test]
fn kazoo_passes_every_test_of_its_suite_that_it_passes_with_java() {
    let results = scratch_dir().join("kazoo.txt");
    let logs = scratch_dir().join("kazoo");
    let run = Command::new(deps::python())
        .arg(source("kazoo/suite.py"))
        .args(["run", env!("CARGO_BIN_EXE_ringkeeper")])
        .args([&results, &logs])
        .output()
        .expect("the interpreter of tests/.deps");
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));

    let java = read_results(&source("kazoo/java_3.9.5.txt"));
    let ringkeeper = read_results(&results);
    assert_eq!(
        java.keys().collect::<Vec<_>>(),
        ringkeeper.keys().collect::<Vec<_>>(),
        "the results recorded with Java are of another suite: record them anew"
    );
    let differing: Vec<String> = java
        .iter()
        .filter(|(name, outcome)| *outcome == "passed" && ringkeeper[*name] != "passed")
        .map(|(name, _)| format!("{} {name}", ringkeeper[name]))
        .collect();
    assert!(
        differing.is_empty(),
        "passed with Java, not with ringkeeper (logs in {}):\n{}",
        logs.display(),
        differing.join("\n")
    );
}

/// The outcome of each test, as suite.py writes them.
fn read_results(path: &Path) -> BTreeMap<String, String> {
    fs::read_to_string(path)
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()))
        .lines()
        .map(|line| line.split_once(' ').expect("an outcome and a name"))
        .map(|(outcome, name)| (name.into(), outcome.into()))
        .collect()
}
