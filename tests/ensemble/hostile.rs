//! What a hostile client sends that no library does (ensemble-scenarios H9).

use ringkeeper_kit::ensemble::Ensemble;
use ringkeeper_kit::ensemble::Kind::{Java, Ringkeeper};
use ringkeeper_kit::java::Release;
use ringkeeper_kit::wire::{Client, Request, create_mode};

use crate::ensemble;
use crate::observe::assert_alike;

/// A check outside of a multi: Java servers up to 3.8.4 take it, and pass it on to their leader.
#[test]
fn h9_a_check_by_itself_is_refused_wherever_it_comes_from_and_harms_nobody() {
    let mut ensemble = ensemble(&[Java(Release::V3_8), Ringkeeper, Java(Release::V3_9)], &[]);
    ensemble.start(&[3, 2]);
    ensemble.start(&[1]);
    assert_eq!(ensemble.leader_among(&[1, 2, 3]), 3);
    // Through a ringkeeper, to a Java server that leads.
    assert_eq!(answer(&ensemble, 2), Some(UNIMPLEMENTED));
    assert_eq!(answer(&ensemble, 3), Some(UNIMPLEMENTED), "Java 3.9.5 says so as well");
    write(&ensemble, &[1, 2, 3], "/under-java");

    // Who is left has more than who was away, and leads.
    ensemble.server(1).kill();
    write(&ensemble, &[2], "/without-one");
    ensemble.server(3).kill();
    ensemble.start(&[1]);
    assert_eq!(ensemble.leader_among(&[1, 2]), 2);
    // Through an old Java server, which passes it on, to a ringkeeper that leads.
    answer(&ensemble, 1);
    assert_eq!(answer(&ensemble, 2), Some(UNIMPLEMENTED));
    assert_eq!(ensemble.leader_among(&[1, 2]), 2);
    write(&ensemble, &[1, 2], "/under-ringkeeper");
    assert_alike(&ensemble, &[1, 2]);
    ensemble.start(&[3]);
    write(&ensemble, &[1, 2, 3], "/after");
    assert_alike(&ensemble, &[1, 2, 3]);
}

/// What a server answers, before it closes the connection; none if it only does that.
fn answer(ensemble: &Ensemble, id: u8) -> Option<i32> {
    let mut client = Client::connect(ensemble.addr(id)).expect("a session");
    let reply =
        client.call(&Request::Check { path: "/zookeeper".into(), version: 0 }).ok().map(|reply| reply.err);
    client.hang_up();
    reply
}

fn write(ensemble: &Ensemble, ids: &[u8], path: &str) {
    for id in ids {
        let mut client = Client::connect(ensemble.addr(*id)).expect("a session");
        let request = Request::create(format!("{path}-{id}"), b"", create_mode::PERSISTENT);
        assert_eq!(client.call(&request).expect("a reply").err, 0, "server {id}");
        client.close().expect("a reply");
    }
}

const UNIMPLEMENTED: i32 = -6;
