//! The whole `shows` command, small, on a ringkeeper.

use crate::command;

#[test]
fn a_small_run_shows_every_part_and_cleans_up() {
    let (run, report) = command::report(
        "shows --quick --subjects ringkeeper --sessions 50 --children 500 --watches 2000 \
         --growth 500,1500 --seconds 0.2",
    );
    let figures = run["figures"].as_array().unwrap();
    for (part, names) in PARTS {
        let of_part = figures.iter().filter(|figure| figure["part"] == *part);
        let mut found: Vec<&str> = of_part.map(|figure| figure["what"].as_str().unwrap()).collect();
        found.retain(|what| names.iter().any(|name| what == name));
        assert_eq!(found, *names, "{part}");
    }
    assert_eq!(figures.len(), 44);
    // Memory that the system gave before it was needed, and CPU time that was too short to count, may be 0.
    for figure in figures.iter().filter(|figure| ["ms", "/s"].contains(&figure["unit"].as_str().unwrap())) {
        assert!(figure["value"].as_f64().unwrap() > 0.0, "{figure}");
    }
    assert!(report.contains("herd of 50"));
}

/// Some figures of each part, in the order of measuring.
const PARTS: &[(&str, &[&str])] = &[
    (
        "sessions",
        &["50 sessions: p99 of their handshakes", "50 sessions: back after a restart, until the last is"],
    ),
    ("watches", &["2000 watches on as many znodes: memory each", "herd of 50: until the last has heard"]),
    (
        "children",
        &[
            "500 children created: time",
            "500 children listed: time",
            "500 children deleted: others' p99 meanwhile",
        ],
    ),
    (
        "shards",
        &[
            "one executor, read 16x32: rate",
            "split, 1 shard, set 16x32: rate",
            "split, 2 shards, set 16x32: rate",
        ],
    ),
    ("growth", &["500 znodes, set 16x32: rate", "1500 znodes, set 16x32: rate"]),
];
