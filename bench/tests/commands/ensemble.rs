//! The whole `ensemble` command, small, on three Java ZooKeepers and three ringkeepers.

use serde_json::Value;

use crate::command;

#[test]
fn a_small_run_measures_both_kinds_and_cleans_up() {
    let (run, report) = command::report("ensemble --quick --failover-znodes 3000 --kills 2");
    let found = &run["found"];
    for subject in ["java", "ringkeeper"] {
        let loads = found["loads"].as_array().unwrap();
        let of_one: Vec<&Value> =
            loads.iter().filter(|load| load[0]["subject"] == subject).map(|load| &load[1]).collect();
        assert_eq!(of_one.len(), 7, "{subject}");
        for load in of_one {
            assert!(load["requests"].as_u64().unwrap() > 0, "{subject}: {load}");
            assert!(load["server"]["resident_bytes"].as_u64().unwrap() > 3 << 20, "{subject}: {load}");
        }
        let failovers = found["failovers"].as_array().unwrap();
        let of_one: Vec<&Value> = failovers.iter().filter(|found| found["subject"] == subject).collect();
        assert_eq!(of_one.len(), 2, "{subject}");
        assert!(of_one.iter().all(|found| found["milliseconds"].as_f64().unwrap() > 0.0), "{subject}");
    }
    assert!(report.contains("A leader is killed"));
}
