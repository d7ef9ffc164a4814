//! The whole `storage` command, small, on a Java ZooKeeper and a ringkeeper.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

#[test]
fn a_small_run_measures_every_part_on_both_servers_and_cleans_up() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let (out, data) = (dir.path().join("out"), dir.path().join("data"));
    let output = Command::new(env!("CARGO_BIN_EXE_ringkeeper-bench"))
        .current_dir(root)
        .args(["storage", "--quick", "--znodes", "5000", "--tail", "1000", "--caches", "warm"])
        .args(["--rate", "500", "--seconds", "2", "--warmup", "1", "--snap-count", "20"])
        .args(["--connections", "4", "--ringkeeper"])
        .arg(ringkeeper())
        .arg("--out")
        .arg(&out)
        .arg("--dir")
        .arg(&data)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));

    let run: Value = serde_json::from_str(&kept(&out, "json")).unwrap();
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
            assert_eq!(count("reads") + count("writes"), 1000, "{subject}: 500 a second for 2 s");
            assert_eq!(count("lateness"), 1000);
        }
        assert_eq!(mixed[0]["snapshots_written"], 0, "{subject}");
        assert!(mixed[1]["snapshots_written"].as_u64().unwrap() > 0, "{subject}");
    }
    assert!(kept(&out, "md").contains("these figures mean nothing"));
    assert_eq!(fs::read_dir(&data).unwrap().count(), 0, "the servers' folders are gone");
}

/// The only file in `out` with this extension.
fn kept(out: &Path, extension: &str) -> String {
    let mut files: Vec<PathBuf> = fs::read_dir(out).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|found| found == extension));
    assert_eq!(files.len(), 1, "{files:?}");
    fs::read_to_string(&files[0]).unwrap()
}

/// The server of this source tree, built like this test.
fn ringkeeper() -> PathBuf {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--package", "ringkeeper", "--bin", "ringkeeper"]);
    if !cfg!(debug_assertions) {
        cargo.arg("--release");
    }
    assert!(cargo.status().unwrap().success(), "ringkeeper does not build");
    Path::new(env!("CARGO_BIN_EXE_ringkeeper-bench")).with_file_name("ringkeeper")
}
