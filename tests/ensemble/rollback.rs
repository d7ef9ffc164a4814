//! The way back to Java for a whole ensemble at once, at a moment when its members do not know the same.

use ringkeeper_kit::ensemble::Kind::{Java, Ringkeeper};
use ringkeeper_kit::java::Release;
use ringkeeper_kit::wire::{Client, Request, create_mode};
use rustix::process::Signal;

use crate::away::start_led_by_the_last;
use crate::ensemble;
use crate::observe::{assert_alike, picture};
use crate::orphaned::confirm_without_commit;

#[test]
fn what_was_acknowledged_while_its_followers_stopped_is_there_on_java() {
    roll_back(Release::V3_9);
}

#[test]
#[ignore = "takes long: cargo test --test ensemble -- --ignored"]
fn what_was_acknowledged_while_its_followers_stopped_is_there_on_java_3_8() {
    roll_back(Release::V3_8);
}

#[test]
#[ignore = "takes long: cargo test --test ensemble -- --ignored"]
fn what_was_acknowledged_while_its_followers_stopped_is_there_on_java_3_4() {
    roll_back(Release::V3_4);
}

/// The followers have logged and confirmed a write, and stop before they hear that it is committed. The leader takes
/// their word, and the client its. Then Java servers go on from the followers' folders alone.
fn roll_back(release: Release) {
    let mut ensemble = ensemble(&[Ringkeeper; 3], &[]);
    start_led_by_the_last(&mut ensemble);
    let mut client = Client::connect(ensemble.addr(3)).expect("a session");
    assert_eq!(client.call(&create("/before")).expect("a reply").err, 0);

    drop(client);
    let mut client = confirm_without_commit(&mut ensemble, "/acknowledged");
    for id in [1, 2] {
        assert!(ensemble.server(id).stop().success());
    }
    ensemble.server(3).signal(Signal::CONT);
    assert_eq!(client.next_reply().expect("a reply").err, 0, "a quorum had it");
    drop(client);
    assert!(ensemble.server(3).stop().success());

    for id in [1, 2, 3] {
        ensemble.replace(id, Java(release));
    }
    ensemble.start(&[1, 2]);
    for id in [1, 2] {
        let mut client = Client::connect(ensemble.addr(id)).expect("a session");
        let all = picture(&mut client);
        assert!(all.iter().any(|line| line.starts_with("/acknowledged ")), "{all:#?}");
        client.hang_up();
    }
    ensemble.start(&[3]);
    assert_alike(&ensemble, &[1, 2, 3]);

    // And back again: ringkeepers go on from what Java made of it.
    for id in [1, 2, 3] {
        ensemble.server(id).stop();
        ensemble.replace(id, Ringkeeper);
    }
    ensemble.start(&[1, 2, 3]);
    let all = assert_alike(&ensemble, &[1, 2, 3]);
    assert!(all.iter().any(|line| line.starts_with("/acknowledged ")));
}

fn create(path: &str) -> Request {
    Request::create(path, b"", create_mode::PERSISTENT)
}
