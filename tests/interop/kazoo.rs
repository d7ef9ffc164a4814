//! kazoo's own test-suite.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::path::Path;
use std::process::Command;

use ringkeeper_kit::deps;

use crate::{scratch_dir, source};

#[test]
fn kazoo_passes_every_test_of_its_suite_that_it_passes_with_java() {
    let results = scratch_dir().join("kazoo.txt");
    let logs = scratch_dir().join("kazoo");
    suite(["run".as_ref(), BINARY.as_ref(), results.as_os_str(), logs.as_os_str()]);

    let java = read_results(&source(JAVA_RESULTS));
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
    let table = suite(["table".as_ref(), source(JAVA_RESULTS).as_os_str(), results.as_os_str()]);
    let compat = fs::read_to_string(deps::tests_dir().join("../COMPAT.md")).expect("COMPAT.md");
    assert!(compat.contains(&table), "COMPAT.md has another table than this:\n{table}");
}

/// What suite.py prints when run with these arguments.
fn suite<'a>(arguments: impl IntoIterator<Item = &'a OsStr>) -> String {
    let run = Command::new(deps::python())
        .arg(source("kazoo/suite.py"))
        .args(arguments)
        .output()
        .expect("the interpreter of tests/.deps");
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    String::from_utf8(run.stdout).expect("suite.py prints text")
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

const BINARY: &str = env!("CARGO_BIN_EXE_ringkeeper");
const JAVA_RESULTS: &str = "kazoo/java_3.9.5.txt";
