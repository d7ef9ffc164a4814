//! The whole `shows` command, small, on a ringkeeper.

mod command;

use std::fs;

use serde_json::Value;

#[test]
fn a_small_run_shows_every_part_and_cleans_up() {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let (out, data) = (dir.path().join("out"), dir.path().join("data"));
    let output = command::bench(&["shows", "--quick", "--subjects", "ringkeeper", "--sessions", "50"])
        .args(["--children", "500", "--watches", "2000", "--growth", "500,1500", "--seconds", "0.2"])
        .arg("--out")
        .arg(&out)
        .arg("--dir")
        .arg(&data)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let run: Value = serde_json::from_str(&command::kept(&out, "json")).unwrap();
    let figures = run["figures"].as_array().unwrap();
    for (part, count) in [("sessions", 8), ("watches", 4), ("children", 9), ("shards", 12), ("growth", 8)] {
        let of_part = figures.iter().filter(|figure| figure["part"] == part);
        assert_eq!(of_part.count(), count, "{part}");
    }
    assert!(command::kept(&out, "md").contains("herd of 50"));
    assert_eq!(fs::read_dir(&data).unwrap().count(), 0, "the servers' folders are gone");
}
