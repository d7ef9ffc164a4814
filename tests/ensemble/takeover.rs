//! A ringkeeper in place of a Java server whose log the ensemble does not agree with, or that the others lag behind.

use std::fs;

use ringkeeper_kit::ensemble::Kind::{Java, Ringkeeper};
use ringkeeper_kit::java::Release;

use crate::away::{
    JAVA_GETS_DIFF, JAVA_GETS_WHOLE_TREE, assert_without, few_in_memory, leave_a_tail, start_led_by_the_last,
    write,
};
use crate::observe::assert_alike;

#[test]
fn what_only_a_java_server_had_is_forgotten_by_the_ringkeeper_on_its_folder() {
    take_over_a_tail(Release::V3_9);
}

#[test]
#[ignore = "takes long: cargo test --test ensemble -- --ignored"]
fn what_only_a_java_server_of_3_8_had_is_forgotten_by_the_ringkeeper_on_its_folder() {
    take_over_a_tail(Release::V3_8);
}

#[test]
#[ignore = "takes long: cargo test --test ensemble -- --ignored"]
fn what_only_a_java_server_of_3_4_had_is_forgotten_by_the_ringkeeper_on_its_folder() {
    take_over_a_tail(Release::V3_4);
}

/// The leader, a Java server, dies with a write in its log that nobody else has. A ringkeeper takes its folder over,
/// and is told to truncate it; then a Java server has the folder again.
fn take_over_a_tail(release: Release) {
    let mut ensemble = few_in_memory(&[Java(release); 3]);
    start_led_by_the_last(&mut ensemble);
    leave_a_tail(&mut ensemble, "/only-in-the-tail");
    ensemble.replace(3, Ringkeeper);
    ensemble.start(&[3]);
    ensemble.server(3).until_logged("what the log has beyond it is dropped", 1);
    let data = ensemble.server(3).data_dir().join("version-2");
    let kept = fs::read_dir(&data).expect("a folder").filter_map(Result::ok);
    let kept =
        kept.filter(|entry| entry.file_name().to_string_lossy().starts_with("ringkeeper.outvoted.log."));
    assert_eq!(kept.count(), 1, "what Java wrote is kept aside");

    // Nobody has written since: what it forgot would be the next transaction in the old log.
    ensemble.server(3).stop();
    ensemble.replace(3, Java(release));
    ensemble.start(&[3]);
    assert_without(&ensemble, "/only-in-the-tail");
    ensemble.server(3).stop();
    ensemble.replace(3, Ringkeeper);
    write(&ensemble, 1, "/afterwards", 5);
    ensemble.start(&[3]);
    assert_without(&ensemble, "/only-in-the-tail");
}

#[test]
fn a_ringkeeper_that_leads_from_javas_log_alone_tells_what_was_missed() {
    lead_from_javas_log(Release::V3_9);
}

#[test]
#[ignore = "takes long: cargo test --test ensemble -- --ignored"]
fn a_ringkeeper_that_leads_from_the_log_of_java_3_8_alone_tells_what_was_missed() {
    lead_from_javas_log(Release::V3_8);
}

/// Two ringkeepers take the folders of Java servers over, and lead a third that is a little behind.
fn lead_from_javas_log(release: Release) {
    let mut ensemble = few_in_memory(&[Java(release); 3]);
    ensemble.start_led_by(3);
    write(&ensemble, 1, "/first", 5);
    ensemble.server(1).stop();
    write(&ensemble, 2, "/missed", 5);
    for id in [2, 3] {
        ensemble.server(id).kill();
        ensemble.replace(id, Ringkeeper);
    }
    let told = ensemble.server(1).log().matches(JAVA_GETS_DIFF).count();
    let whole = ensemble.server(1).log().matches(JAVA_GETS_WHOLE_TREE).count();
    ensemble.start(&[2, 3]);
    ensemble.start(&[1]);
    assert_eq!(ensemble.mode(1).as_deref(), Some("follower"));
    ensemble.server(1).until_logged(JAVA_GETS_DIFF, told + 1);
    assert_eq!(ensemble.server(1).log().matches(JAVA_GETS_WHOLE_TREE).count(), whole);
    assert_alike(&ensemble, &[1, 2, 3]);
}
