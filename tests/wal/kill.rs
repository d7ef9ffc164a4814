//! The writer is a process of its own, killed in the middle of its work.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use super::*;

#[test]
fn everything_that_was_durable_when_the_process_was_killed_is_recovered() {
    let dir = tempfile::tempdir().unwrap();
    let mut recovered = 0;
    for round in 1..=8 {
        let mut writer = Command::new(std::env::current_exe().unwrap())
            .args(["kill::writes_until_it_is_killed", "--exact", "--ignored", "--nocapture"])
            .env(FOLDER, dir.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let promises = BufReader::new(writer.stdout.take().unwrap()).lines().map_while(Result::ok);
        let mut promises = promises.filter_map(|line| line.strip_prefix("durable ")?.parse::<i64>().ok());
        // Some hundred writes, a different number each time, so that some rounds end in a new segment.
        let promised = promises.by_ref().take(150 + 37 * round).last().expect("it writes");
        writer.kill().unwrap();
        // Also what it said before it died, while we were about to kill it, is a promise.
        let promised = promises.last().unwrap_or(promised);
        writer.wait().unwrap();

        let (log, last) = read(dir.path(), OPTIONS).expect("a crash is not damage");
        drop(log);
        assert!(last >= promised, "{promised} was promised, {last} was recovered");
        assert!(last > recovered, "round {round} went no further than {recovered}");
        recovered = last;
    }
    assert!(segments(dir.path()).len() > 2);
}

/// The writer of the test above.
#[test]
#[ignore = "started, and killed, by another test"]
fn writes_until_it_is_killed() {
    let Some(dir) = std::env::var_os(FOLDER).map(PathBuf::from) else { return };
    let (recovered, found) = read(&dir, OPTIONS).unwrap();
    LocalExecutor::default().run(async {
        let wal = Wal::open(recovered).await.unwrap();
        // An end, should nobody kill it.
        let zxids = found + 1..=found + 100_000;
        wal.run(OneByOne(Written(zxids)), |durable| println!("durable {}", durable.upto().0)).await;
    });
}

const FOLDER: &str = "RINGKEEPER_TEST_WAL_FOLDER";
