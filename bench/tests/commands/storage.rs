//! The whole `storage` command, small, on a Java ZooKeeper and a ringkeeper.

use serde_json::Value;

use crate::command;

#[test]
fn a_small_run_measures_every_part_on_both_servers_and_cleans_up() {
    let (run, report) = command::report(
        "storage --quick --znodes 5000 --tail 1000 --caches warm --rate 500 --seconds 4 \
         --warmup 1 --snap-count 20 --connections 4",
    );
    let found = &run["found"];
    for subject in ["java", "ringkeeper"] {
        let of = |part: &str| -> Vec<&Value> {
            let all = found[part].as_array().unwrap().iter();
            all.filter(|figures| figures["subject"] == subject).collect()
        };
        let mut ends: Vec<_> =
            of("restarts").iter().map(|restart| restart["ended"].as_str().unwrap()).collect();
        ends.sort_unstable();
        assert_eq!(ends, ["killed", "stopped"], "{subject}");
        assert!(of("restarts").iter().all(|restart| restart["seconds"].as_f64().unwrap() > 0.0));

        let moments: Vec<_> = of("memory").iter().map(|memory| memory["moment"].as_str().unwrap()).collect();
        assert_eq!(moments, ["empty", "loaded", "restarted"], "{subject}");
        assert!(
            of("memory").iter().all(|found| found["memory"]["resident_bytes"].as_u64().unwrap() > 1 << 20)
        );

        let writes = found["footprints"].as_array().unwrap().iter();
        let of_one: Vec<_> = writes.filter(|writes| writes["case"]["subject"] == subject).collect();
        assert_eq!(of_one.len(), 4, "{subject}: sets and creates, alone and many");
        for writes in of_one {
            let bytes = writes["measured"]["server"]["written_bytes"].as_u64().unwrap();
            let requests = writes["measured"]["requests"].as_u64().unwrap();
            assert!(bytes > 100 * requests, "{subject}: the data alone is longer: {writes}");
        }

        let mixed = of("mixed");
        let kinds: Vec<_> = mixed.iter().map(|mixed| mixed["snapshots"].as_str().unwrap()).collect();
        assert_eq!(kinds, ["without", "continuous"], "{subject}");
        for mixed in &mixed {
            let count = |what: &str| mixed["paced"][what]["count"].as_u64().unwrap();
            assert_eq!(count("reads") + count("writes"), 2000, "{subject}: 500 a second for 4 s");
            assert_eq!(count("lateness"), 2000);
        }
        assert_eq!(mixed[0]["snapshots_written"], 0, "{subject}");
        assert!(mixed[1]["snapshots_written"].as_u64().unwrap() > 0, "{subject}");
    }
    assert!(report.contains("## Restart"));
}
