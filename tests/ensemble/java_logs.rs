//! What Java servers log when other servers confuse them (ensemble-scenarios H1).

use std::collections::BTreeSet;

use ringkeeper_kit::ensemble::{Ensemble, Kind};
use ringkeeper_kit::java::Release;

/// Asserts that no Java server among these has ended by itself, lost track of what is committed, or logged a stack trace
/// that Java servers do not give each other as well. `leader` is who led them all the time, if that is known.
pub(crate) fn assert_untroubled(ensemble: &mut Ensemble, ids: &[u8], leader: Option<Kind>) {
    let may_java_have_led = leader != Some(Kind::Ringkeeper);
    for id in ids {
        let (kind, log) = (ensemble.kind(*id), ensemble.server(*id).log());
        for trouble in TROUBLE {
            assert!(!log.contains(trouble), "server {id} ({kind:?}) logged {trouble}");
        }
        let defects = if may_java_have_led && kind != Kind::Java(Release::V3_9) { &DEFECTS[..] } else { &[] };
        let is_usual = |line: &String| {
            let is_defect = |(class, frame): &(&str, &str)| line.starts_with(class) && line.contains(frame);
            USUAL.iter().any(|usual| line.starts_with(usual)) || defects.iter().any(is_defect)
        };
        let mut traced = traced(&log);
        traced.retain(|line| !is_usual(line));
        assert!(traced.is_empty(), "server {id} ({kind:?}) logged stack traces: {traced:#?}");
    }
}

/// What is above stack traces, an exception's class and what it says, with the first frame of each.
fn traced(log: &str) -> BTreeSet<String> {
    let lines = log.lines().zip(log.lines().skip(1));
    let traced = lines.filter(|(line, next)| is_frame(next) && !is_frame(line));
    traced
        .map(|(line, frame)| format!("{} {}", line.trim_start_matches("Caused by: "), frame.trim()))
        .collect()
}

fn is_frame(line: &str) -> bool {
    line.starts_with("\tat ") || line.starts_with("\t... ")
}

const TROUBLE: [&str; 3] =
    ["but next pending txn is", "Exiting JVM with code 12", "Exiting JVM with code 13"];

/// Of connections that end, and of servers that are stopped: Java servers log these without a ringkeeper among them, too.
const USUAL: [&str; 6] = [
    "EndOfStreamException: Unable to read additional data from client",
    "java.io.",
    "java.lang.Exception: shutdown ",
    "java.lang.InterruptedException",
    "java.net.",
    "java.nio.channels.",
];

/// What followers of some releases before 3.9.5 log by themselves, or when a Java server leads: one that ends while it
/// confirms, one that a client comes back to while it does not follow, one that is told of a commit while it is brought up
/// to date, and what comes of that.
const DEFECTS: [(&str, &str); 4] = [
    ("java.lang.NullPointerException", "SendAckRequestProcessor."),
    ("java.lang.NullPointerException", "LearnerZooKeeperServer.revalidateSession("),
    ("java.lang.NullPointerException", "Learner.syncWithLeader("),
    ("javax.management.InstanceAlreadyExistsException", "name2=Follower,name3=InMemoryDataTree"),
];
