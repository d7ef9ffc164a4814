//! Closed loops and scenarios of the `load` command, and `compare`.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::command;

const CLIENTS: u64 = 12;

#[test]
fn a_closed_loop_runs_round_by_round_and_compares_with_itself_as_equal() {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let closed = ["--seconds", "1", "--warmup", "0", "--rounds", "2", "--outstanding", "4"];
    let named = ["--workload", "raftkeeper-mixed", "--connections", "4"];
    let run = command::load(dir.path(), "closed", &[&closed[..], &named[..]].concat());
    let rounds = run["rounds"].as_array().unwrap();
    assert_eq!(rounds.len(), 2);
    for operation in rounds.iter().flat_map(|round| round["operations"].as_array().unwrap()) {
        assert_eq!(operation["errors"], serde_json::json!({}), "{operation}");
    }

    let file = command::file(&dir.path().join("out"), "json");
    let compared = command::plain(&["compare"]).arg(&file).arg(&file).output().unwrap();
    let compared = String::from_utf8(compared.stdout).unwrap();
    let rates: Vec<&str> = compared.lines().filter(|line| line.contains("rate, /s")).collect();
    assert!(rates.iter().any(|row| row.contains("children")), "{compared}");
    assert!(rates.iter().all(|row| row.split('|').nth(5).unwrap().trim() == "1.00"), "{compared}");
}

#[test]
fn a_herd_hears_of_one_write_once_each() {
    let one_round = [("set all watches", 1), ("write", 1), ("event", CLIENTS), ("last event", 1)];
    assert_eq!(once("herd"), BTreeMap::from(one_round.map(named)));
}

#[test]
fn a_storm_is_over_when_all_have_shaken_hands() {
    assert_eq!(once("storm"), BTreeMap::from([("handshake", CLIENTS), ("all handshakes", 1)].map(named)));
}

#[test]
fn whoever_waits_for_the_lock_gets_it() {
    let counts = once("locks");
    // It is handed on in the order of waiting, so nobody has it twice before all have had it.
    assert!(counts["acquire"] >= CLIENTS && counts.len() == 1, "{counts:?}");
}

#[test]
fn all_are_through_a_barrier_when_all_have_come() {
    assert_eq!(once("barrier"), BTreeMap::from([("enter", CLIENTS), ("all through", 1)].map(named)));
}

/// Runs a scenario for the least time, which is one round of it, and tells how often each thing was measured.
fn once(scenario: &str) -> BTreeMap<String, u64> {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let clients = CLIENTS.to_string();
    let run = command::load(
        dir.path(),
        scenario,
        &["--workload", scenario, "--connections", &clients, "--seconds", "0"],
    );
    let found = run["rounds"][0]["operations"].as_array().unwrap();
    let count = |found: &Value| named((found["name"].as_str().unwrap(), found["count"].as_u64().unwrap()));
    found.iter().map(count).collect()
}

fn named((name, count): (&str, u64)) -> (String, u64) {
    (name.to_owned(), count)
}
