//! The `load` command on etcd servers that it starts.

use std::fs;

use serde_json::{Value, json};

use crate::command;

#[test]
fn every_operation_with_a_counterpart_succeeds_on_a_single_server() {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let mix = "get=5,exists=1,children=1,set=2,create=1,churn=2,delete=1,multi=1,sync-get=1";
    let run = command::load_etcd(
        dir.path(),
        &["--mix", mix, "--outstanding", "4", "--depth", "2", "--seconds", "3", "--warmup", "0.2"],
    );
    assert_eq!(run["protocol"], "etcd");
    assert!(run["servers"].as_str().unwrap().contains("1 × etcd 3."), "{}", run["servers"]);
    assert_eq!(run["mapping"].as_array().unwrap().len(), 9);
    let operations = run["rounds"][0]["operations"].as_array().unwrap();
    assert_eq!(operations.len(), 9);
    for operation in operations {
        assert!(operation["count"].as_u64().unwrap() > 0, "{operation}");
        assert_eq!(operation["errors"], json!({}), "{operation}");
    }
    let page = fs::read_to_string(command::file(&dir.path().join("out"), "html")).unwrap();
    assert!(page.contains("1 × etcd 3.") && page.contains("create: Txn"), "the page says what was measured");
}

#[test]
fn an_open_loop_counts_every_request_though_the_leader_of_three_is_killed() {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let load = ["--rate", "200", "--mix", "get=1,set=1", "--connections", "6", "--seconds", "4"];
    let faults = ["--count", "3", "--faults", "kill-leader@1:2", "--warmup", "0.5"];
    let run = command::load_etcd(dir.path(), &[&load[..], &faults[..]].concat());
    let round = &run["rounds"][0];
    let count = |operation: &Value| {
        let errors = operation["errors"].as_object().unwrap().values().filter_map(Value::as_u64);
        operation["count"].as_u64().unwrap() + errors.sum::<u64>()
    };
    let total: u64 = round["operations"].as_array().unwrap().iter().map(count).sum();
    assert_eq!(total, 800, "200 a second for 4 s, whatever happens");
    let befell = round["faults"].as_array().unwrap();
    assert!(befell[0][1].as_str().unwrap().starts_with("leader killed"), "{befell:?}");
    let seconds = round["timeline"].as_array().unwrap();
    assert!(seconds.len() >= 4, "{seconds:?}");
    assert!(!round["servers"].as_array().unwrap().is_empty(), "they are sampled");
}

#[test]
fn what_etcd_does_not_have_is_refused_before_anything_is_started() {
    for (arguments, says) in [
        (&["--start", "etcd", "--mix", "get,ephemeral"][..], "no counterpart of `ephemeral`"),
        (&["--start", "etcd", "--workload", "locks"], "which etcd does not have"),
        (&["--start", "etcd", "--zoo-cfg", "snapCount=5"], "etcd reads no zoo.cfg"),
        (&["--start", "java", "--protocol", "etcd"], "speak another --protocol"),
        (&["--start", "etcd", "--etcd", "/nowhere/etcd"], "etcd-server"),
    ] {
        let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let mut command = command::plain(&["load"]);
        let output = command.args(arguments).arg("--dir").arg(dir.path()).output().unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && error.contains(says), "{arguments:?}: {error}");
    }
}
