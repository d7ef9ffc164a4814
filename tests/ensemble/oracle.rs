//! Two servers, and an oracle that says which of them may go on alone (`oraclePath`).

use std::fs;
use std::path::PathBuf;

use ringkeeper_kit::ensemble::Ensemble;
use ringkeeper_kit::ensemble::Kind::{self, Java, Ringkeeper};
use ringkeeper_kit::java::Release;
use ringkeeper_kit::server::until;
use ringkeeper_kit::wire::{Client, Request, create_mode};

use crate::ensemble;
use crate::observe::assert_alike;

const JAVA: Kind = Java(Release::V3_9);

#[test]
fn one_of_two_ringkeepers_goes_on_alone_only_while_the_oracle_lets_it() {
    go_on_alone([Ringkeeper, Ringkeeper]);
}

#[test]
fn a_ringkeeper_and_a_java_server_go_on_alone_by_the_same_oracle() {
    go_on_alone([JAVA, Ringkeeper]);
}

#[test]
fn a_java_server_and_a_ringkeeper_go_on_alone_by_the_same_oracle() {
    go_on_alone([Ringkeeper, JAVA]);
}

/// Server 2 leads, is left alone without and with the oracle's grant; the other comes back, and is left alone in turn.
fn go_on_alone(kinds: [Kind; 2]) {
    let mut ensemble = ensemble(&kinds, &[]);
    for id in [1, 2] {
        let path = oracle(&mut ensemble, id);
        ensemble.change(id, |settings| settings.config("oraclePath", path.display()));
        grant(&mut ensemble, id, false);
    }
    ensemble.start_led_by(2);
    write(&ensemble, 1, "/both");
    ensemble.server(1).kill();
    until("server 2 gives up", || ensemble.mode(2).is_none());
    grant(&mut ensemble, 2, true);
    ensemble.until_serving(&[2]);
    assert_eq!(ensemble.mode(2).as_deref(), Some("leader"));
    write(&ensemble, 2, "/alone");

    ensemble.start(&[1]);
    assert_eq!(ensemble.mode(1).as_deref(), Some("follower"), "the oracle does not let it lead");
    assert_alike(&ensemble, &[1, 2]);
    ensemble.server(1).kill();
    write(&ensemble, 2, "/still-alone");

    ensemble.start(&[1]);
    assert_alike(&ensemble, &[1, 2]);
    ensemble.server(2).kill();
    grant(&mut ensemble, 2, false);
    grant(&mut ensemble, 1, true);
    until("server 1 leads", || ensemble.mode(1).as_deref() == Some("leader"));
    write(&ensemble, 1, "/the-other");
    ensemble.start(&[2]);
    assert_eq!(ensemble.mode(2).as_deref(), Some("follower"));
    let all = assert_alike(&ensemble, &[1, 2]);
    for path in ["/both", "/alone", "/still-alone", "/the-other"] {
        assert!(all.iter().any(|line| line.starts_with(&format!("{path} "))), "{path} is lost: {all:#?}");
    }
}

fn oracle(ensemble: &mut Ensemble, id: u8) -> PathBuf {
    ensemble.server(id).dir().join("oracle")
}

fn grant(ensemble: &mut Ensemble, id: u8, grants: bool) {
    fs::write(oracle(ensemble, id), if grants { "1\n" } else { "0\n" }).expect("its folder can be written");
}

fn write(ensemble: &Ensemble, id: u8, path: &str) {
    let mut client = Client::connect(ensemble.addr(id)).expect("a session");
    let reply = client.call(&Request::create(path, b"", create_mode::PERSISTENT)).expect("a reply");
    assert_eq!(reply.err, 0, "{path}");
    client.close().expect("a reply");
}
