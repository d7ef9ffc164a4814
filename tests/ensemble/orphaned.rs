//! A write that a quorum has confirmed when its leader dies, before anybody was told that it is committed.

use ringkeeper_kit::ensemble::Ensemble;
use ringkeeper_kit::ensemble::Kind::{self, Java, Ringkeeper};
use ringkeeper_kit::java::Release;
use ringkeeper_kit::server::until;
use ringkeeper_kit::wire::{Client, Request, create_mode};
use rustix::process::Signal;

use crate::away::{any_file_has, start_led_by_the_last};
use crate::ensemble;
use crate::observe::assert_alike;

#[test]
fn what_java_followers_confirmed_to_a_ringkeeper_that_died_is_there() {
    leader_dies(&[Java(Release::V3_9), Java(Release::V3_9), Ringkeeper]);
}

#[test]
fn what_ringkeepers_confirmed_to_a_java_leader_that_died_is_there() {
    leader_dies(&[Ringkeeper, Ringkeeper, Java(Release::V3_9)]);
}

#[test]
fn what_each_kind_of_follower_confirmed_to_a_leader_that_died_is_there() {
    leader_dies(&[Java(Release::V3_8), Ringkeeper, Java(Release::V3_8)]);
}

fn leader_dies(kinds: &[Kind]) {
    let mut ensemble = ensemble(kinds, &[]);
    start_led_by_the_last(&mut ensemble);
    let client = confirm_without_commit(&mut ensemble, "/confirmed");
    ensemble.server(3).kill();
    drop(client);
    ensemble.leader_among(&[1, 2]);
    let all = assert_alike(&ensemble, &[1, 2]);
    assert!(all.iter().any(|line| line.starts_with("/confirmed ")), "a quorum had it: {all:#?}");
    ensemble.start(&[3]);
    assert_alike(&ensemble, &[1, 2, 3]);
}

/// A write goes to server 3, which leads, and from there into the logs of servers 1 and 2. These run; server 3 is
/// halted before it can hear of that. The client waits for its answer.
pub(crate) fn confirm_without_commit(ensemble: &mut Ensemble, path: &str) -> Client {
    let mut client = Client::connect(ensemble.addr(3)).expect("a session");
    for id in [1, 2] {
        ensemble.server(id).freeze();
    }
    client.send(&Request::create(path, b"", create_mode::PERSISTENT)).expect("the server reads");
    until_logged(ensemble, 3, path);
    ensemble.server(3).freeze();
    for id in [1, 2] {
        ensemble.server(id).signal(Signal::CONT);
        until_logged(ensemble, id, path);
    }
    client
}

fn until_logged(ensemble: &mut Ensemble, id: u8, path: &str) {
    let data = ensemble.server(id).data_dir();
    until("the write is in the log", || any_file_has(&data, path.as_bytes()));
    // Once it answers, it has also sent what it had to send about that.
    for _ in 0..WORDS {
        ensemble.server(id).word("srvr").expect("an answer");
    }
}

const WORDS: usize = 10;
