//! Closed loops and scenarios of the `load` command, and `compare`.

mod command;

#[test]
fn closed_loops_and_scenarios_run_and_compare() {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let closed = ["--seconds", "1", "--warmup", "0", "--rounds", "2", "--outstanding", "4"];
    let named = ["--workload", "raftkeeper-mixed", "--connections", "4"];
    let run = command::load(dir.path(), "closed", &[&closed[..], &named[..]].concat());
    assert_eq!(run["rounds"].as_array().unwrap().len(), 2);
    let file = command::file(&dir.path().join("out"), "json");
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
        let run = command::load(
            dir.path(),
            scenario,
            &["--workload", scenario, "--connections", "20", "--seconds", "0.3"],
        );
        let operations = run["rounds"][0]["operations"].as_array().unwrap();
        let names: Vec<&str> = operations.iter().map(|found| found["name"].as_str().unwrap()).collect();
        assert_eq!(names, figures);
        assert!(operations.iter().all(|found| found["count"].as_u64().unwrap() > 0), "{operations:?}");
    }
}
