//! Servers that were away, and what they get from a leader of the other kind when they are back.

use std::fs;
use std::path::Path;

use ringkeeper_kit::ensemble::Ensemble;
use ringkeeper_kit::ensemble::Kind::{self, Java, Ringkeeper};
use ringkeeper_kit::java::Release;
use ringkeeper_kit::server::until;
use ringkeeper_kit::wire::{Client, Request, create_mode};

use crate::ensemble;
use crate::observe::assert_alike;

#[test]
fn a_ringkeeper_gets_from_java_leaders_what_it_missed_what_it_must_forget_and_all() {
    ringkeeper_is_away(Release::V3_9);
}

#[test]
fn a_ringkeeper_gets_from_java_leaders_of_3_8_what_it_missed_what_it_must_forget_and_all() {
    ringkeeper_is_away(Release::V3_8);
}

#[test]
fn a_ringkeeper_gets_from_java_leaders_of_3_4_what_it_missed_what_it_must_forget_and_all() {
    ringkeeper_is_away(Release::V3_4);
}

#[test]
fn a_java_server_gets_from_ringkeeper_leaders_what_it_missed_what_it_must_forget_and_all() {
    java_is_away(Release::V3_9);
}

#[test]
fn a_java_server_of_3_8_gets_from_ringkeeper_leaders_what_it_missed_what_it_must_forget_and_all() {
    java_is_away(Release::V3_8);
}

#[test]
fn a_java_server_of_3_4_gets_from_ringkeeper_leaders_what_it_missed_what_it_must_forget_and_all() {
    java_is_away(Release::V3_4);
}

#[test]
#[ignore = "takes long: cargo test --test ensemble -- --ignored"]
fn servers_of_3_5_3_6_and_3_7_get_and_give_what_was_missed_what_must_be_forgotten_and_all() {
    for release in [Release::V3_5, Release::V3_6, Release::V3_7] {
        ringkeeper_is_away(release);
        java_is_away(release);
    }
}

#[test]
#[ignore = "takes long: tests/setup --all, then cargo test --test ensemble -- --ignored"]
fn servers_of_3_8_6_and_3_9_2_get_and_give_what_was_missed_what_must_be_forgotten_and_all() {
    for release in [Release::V3_8_6, Release::V3_9_2] {
        ringkeeper_is_away(release);
        java_is_away(release);
    }
}

fn ringkeeper_is_away(release: Release) {
    let mut ensemble = few_in_memory(&[Java(release), Java(release), Ringkeeper]);
    start_led_by_the_last(&mut ensemble);

    leave_a_tail(&mut ensemble, "/only-in-the-tail");
    ensemble.start(&[3]);
    assert_eq!(ensemble.leader_among(&[1, 2]), 2);
    ensemble.server(3).until_logged("what the log has beyond it is dropped", 1);
    assert_without(&ensemble, "/only-in-the-tail");

    ensemble.server(3).kill();
    write(&ensemble, 1, "/missed", 5);
    ensemble.start(&[3]);
    assert!(!ensemble.server(3).log().contains(WHOLE_TREE));
    assert_alike(&ensemble, &[1, 2, 3]);

    // More than the leader keeps in memory.
    ensemble.server(3).kill();
    write(&ensemble, 1, "/missed-many", 600);
    ensemble.start(&[3]);
    ensemble.server(3).until_logged(WHOLE_TREE, 1);
    assert_alike(&ensemble, &[1, 2, 3]);

    // What came whole is there after a crash.
    ensemble.server(3).kill();
    write(&ensemble, 2, "/missed-after-all", 5);
    ensemble.start(&[3]);
    assert_alike(&ensemble, &[1, 2, 3]);

    ensemble.server(3).kill();
    empty(&ensemble.server(3).data_dir());
    ensemble.start(&[3]);
    ensemble.server(3).until_logged(WHOLE_TREE, 2);
    assert_alike(&ensemble, &[1, 2, 3]);

    // Its log begins there now: it cannot bring others up to date from it.
    ensemble.server(2).kill();
    assert_eq!(ensemble.leader_among(&[1, 3]), 3);
    ensemble.server(1).kill();
    empty(&ensemble.server(1).data_dir());
    let whole = ensemble.server(1).log().matches(JAVA_GETS_WHOLE_TREE).count();
    ensemble.start(&[1, 2]);
    assert_eq!(ensemble.leader_among(&[1, 2, 3]), 3);
    ensemble.server(1).until_logged(JAVA_GETS_WHOLE_TREE, whole + 1);
    assert_alike(&ensemble, &[1, 2, 3]);
}

fn java_is_away(release: Release) {
    let mut ensemble = few_in_memory(&[Ringkeeper, Ringkeeper, Java(release)]);
    start_led_by_the_last(&mut ensemble);
    let count = |ensemble: &mut Ensemble, text| ensemble.server(3).log().matches(text).count();

    leave_a_tail(&mut ensemble, "/only-in-the-tail");
    let cut = count(&mut ensemble, JAVA_TRUNCATES);
    ensemble.start(&[3]);
    assert_eq!(ensemble.leader_among(&[1, 2]), 2);
    ensemble.server(3).until_logged(JAVA_TRUNCATES, cut + 1);
    assert_without(&ensemble, "/only-in-the-tail");

    ensemble.server(3).kill();
    write(&ensemble, 1, "/missed", 5);
    let (told, whole) = (count(&mut ensemble, JAVA_GETS_DIFF), count(&mut ensemble, JAVA_GETS_WHOLE_TREE));
    ensemble.start(&[3]);
    ensemble.server(3).until_logged(JAVA_GETS_DIFF, told + 1);
    assert_alike(&ensemble, &[1, 2, 3]);

    // The leader remembers them though it was started since: it reads them in its log.
    ensemble.server(3).kill();
    write(&ensemble, 1, "/missed-and-restarted", 5);
    for id in [1, 2] {
        ensemble.server(id).stop();
    }
    ensemble.start_alone(2);
    ensemble.start(&[1]);
    assert_eq!(ensemble.leader_among(&[1, 2]), 2);
    ensemble.start(&[3]);
    ensemble.server(3).until_logged(JAVA_GETS_DIFF, told + 2);
    assert_eq!(count(&mut ensemble, JAVA_GETS_WHOLE_TREE), whole);
    assert_alike(&ensemble, &[1, 2, 3]);

    // More than is kept in memory, and the log is not to be read for it.
    ensemble.server(3).kill();
    write(&ensemble, 1, "/missed-many", 600);
    ensemble.start(&[3]);
    ensemble.server(3).until_logged(JAVA_GETS_WHOLE_TREE, whole + 1);
    assert_alike(&ensemble, &[1, 2, 3]);

    ensemble.server(3).kill();
    empty(&ensemble.server(3).data_dir());
    ensemble.start(&[3]);
    ensemble.server(3).until_logged(JAVA_GETS_WHOLE_TREE, whole + 2);
    assert_alike(&ensemble, &[1, 2, 3]);
}

/// An ensemble whose servers keep 500 transactions for learners, and look into no log for more.
pub(crate) fn few_in_memory(voters: &[Kind]) -> Ensemble {
    ensemble(voters, &[])
        .property("zookeeper.snapshotSizeFactor", -1)
        .property("zookeeper.commitLogCount", 500)
}

pub(crate) fn start_led_by_the_last(ensemble: &mut Ensemble) {
    ensemble.start_led_by(3);
    write(ensemble, 1, "/first", 5);
}

/// Leaves a write in the log of server 3, which leads, that nobody else has; then server 3 is down and the
/// others serve without it, in an epoch that has no transactions yet.
pub(crate) fn leave_a_tail(ensemble: &mut Ensemble, path: &str) {
    let mut client = Client::connect(ensemble.addr(3)).expect("a session");
    // Both others have the same, or the one that has less would not lead.
    let marker = path.replace("/only", "/before-what-is-only");
    client.send(&Request::create(marker.as_str(), b"", create_mode::PERSISTENT)).expect("the server reads");
    for id in [1, 2] {
        let data = ensemble.server(id).data_dir();
        until("a follower has logged what comes first", || any_file_has(&data, marker.as_bytes()));
    }
    for id in [1, 2] {
        ensemble.server(id).freeze();
    }
    client.send(&Request::create(path, b"", create_mode::PERSISTENT)).expect("the server reads");
    let data = ensemble.server(3).data_dir();
    until("the write is in the log", || any_file_has(&data, path.as_bytes()));
    for id in [1, 2, 3] {
        ensemble.server(id).kill();
    }
    ensemble.start_alone(2);
    ensemble.start(&[1]);
}

/// Creates znodes through a server, in a session that ends.
pub(crate) fn write(ensemble: &Ensemble, through: u8, name: &str, count: usize) {
    let mut client = Client::connect(ensemble.addr(through)).expect("a session");
    let requests: Vec<Request> = (0..count)
        .map(|number| {
            let path = format!("{name}-{number}");
            Request::create(path.as_str(), path.as_bytes(), create_mode::PERSISTENT)
        })
        .collect();
    client.send_all(&requests).expect("the server reads");
    for _ in &requests {
        assert_eq!(client.next_reply().expect("a reply").err, 0);
    }
    client.close().expect("a reply");
}

#[track_caller]
pub(crate) fn assert_without(ensemble: &Ensemble, path: &str) {
    let all = assert_alike(ensemble, &[1, 2, 3]);
    assert!(!all.iter().any(|line| line.starts_with(path)), "{path} was never committed");
}

pub(crate) fn any_file_has(dir: &Path, text: &[u8]) -> bool {
    fs::read_dir(dir).expect("a server's folder").filter_map(Result::ok).any(|entry| {
        let path = entry.path();
        if path.is_dir() {
            return any_file_has(&path, text);
        }
        fs::read(&path).is_ok_and(|bytes| bytes.windows(text.len()).any(|window| window == text))
    })
}

/// What Java logs when it gets a TRUNC or a DIFF.
pub(crate) const JAVA_TRUNCATES: &str = "Truncating log to get in sync with the leader";
pub(crate) const JAVA_GETS_DIFF: &str = "Getting a diff from the leader";
/// What ringkeeper logs when it gets a SNAP, and Java.
pub(crate) const WHOLE_TREE: &str = "the leader has sent its whole tree";
pub(crate) const JAVA_GETS_WHOLE_TREE: &str = "Getting a snapshot from leader";

/// Removes all of a server's data but its id.
pub(crate) fn empty(data_dir: &Path) {
    fs::remove_dir_all(data_dir.join("version-2")).expect("a stopped server's data can be removed");
}
