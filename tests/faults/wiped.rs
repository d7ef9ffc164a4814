//! Disks that were wiped, where `db.autocreate=false` has the operator say which databases may be empty.

use std::fs;

use ringkeeper_kit::wire::{Client, Request, create_mode};

use crate::ensemble::Ensemble;

#[test]
fn only_who_is_told_to_begin_with_nothing_may_vote_with_nothing() {
    let mut ensemble = Ensemble::prepare(3, |settings| settings.property("zookeeper.db.autocreate", false));
    ensemble.launch(0..3);
    (0..3).for_each(|id| ensemble.server(id).until_logged(NOT_TRUSTED, 1));
    (0..3).for_each(|id| ensemble.stop(id));
    (0..3).for_each(|id| {
        assert!(!ensemble.server(id).log().contains(ELECTED), "{id} counted votes for nothing")
    });

    (0..3).for_each(|id| mark(&ensemble, id));
    ensemble.launch(0..3);
    ensemble.until_all_serve();
    create(&ensemble, 0, "/kept");
    (0..3).for_each(|id| ensemble.kill(id));

    // One that lost its disk gets everything from the others.
    ensemble.wipe(0);
    ensemble.launch([0]);
    ensemble.server(0).until_logged(NOT_TRUSTED, 2);
    ensemble.launch([1, 2]);
    assert_eq!(ensemble.until_all_serve().leader, 2);
    assert!(exists(&ensemble, 0, "/kept"));
    (0..3).for_each(|id| ensemble.kill(id));

    // Two of three could agree on an empty database, and the third would have to forget what it has.
    [0, 1].into_iter().for_each(|id| ensemble.wipe(id));
    ensemble.launch([0, 1]);
    ensemble.server(0).until_logged(NOT_TRUSTED, 3);
    ensemble.server(1).until_logged(NOT_TRUSTED, 2);
    ensemble.launch([2]);
    [0, 1].into_iter().for_each(|id| ensemble.stop(id));
    [0, 1].into_iter().for_each(|id| mark(&ensemble, id));
    ensemble.launch([0, 1]);
    assert_eq!(ensemble.until_all_serve().leader, 2, "who has something leads");
    for id in 0..3 {
        assert!(exists(&ensemble, id, "/kept"), "server {id}");
        assert!(!marker(&ensemble, id).exists(), "it counts once");
    }
}

fn create(ensemble: &Ensemble, through: usize, path: &str) {
    let mut client = connect(ensemble, through);
    let reply = client.call(&Request::create(path, b"", create_mode::PERSISTENT)).expect("a reply");
    assert_eq!(reply.err, 0);
}

fn exists(ensemble: &Ensemble, on: usize, path: &str) -> bool {
    connect(ensemble, on).call(&Request::exists(path, false)).expect("a reply").err == 0
}

fn connect(ensemble: &Ensemble, to: usize) -> Client {
    Client::connect(ensemble.addrs()[to]).expect("a session")
}

fn mark(ensemble: &Ensemble, id: usize) {
    fs::write(marker(ensemble, id), "").expect("the server's folder can be written");
}

fn marker(ensemble: &Ensemble, id: usize) -> std::path::PathBuf {
    ensemble.server(id).data_dir().join("initialize")
}

const NOT_TRUSTED: &str = "this server's vote does not count";
const ELECTED: &str = "LEADING";
