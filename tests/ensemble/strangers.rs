//! A server that the others do not know (ensemble-scenarios F3). What becomes of it where `reconfigEnabled=true`,
//! `reconfig.rs` shows: it follows without a vote until it is added.

use ringkeeper_kit::ensemble::Kind::{Java, Ringkeeper};
use ringkeeper_kit::java::Release;
use ringkeeper_kit::server::until;
use ringkeeper_kit::wire::{Client, Request, create_mode};

use crate::ensemble;
use crate::observe::assert_alike;

const JAVA: ringkeeper_kit::ensemble::Kind = Java(Release::V3_9);

#[test]
fn f3_observers_that_only_their_own_files_name_are_served_by_either_leader_and_do_not_decide() {
    let mut ensemble = ensemble(&[JAVA, Ringkeeper, JAVA], &[Ringkeeper, JAVA]);
    for id in ensemble.ids() {
        let others = [4, 5].into_iter().filter(|other| *other != id);
        for key in others.map(|other| format!("server.{other}")) {
            ensemble.change(id, |settings| settings.without(&key));
        }
    }
    ensemble.start(&[3, 1]);
    ensemble.start(&[2]);
    assert_eq!(ensemble.leader_among(&[1, 2, 3]), 3);
    ensemble.start(&[4, 5]);
    let observe = |ensemble: &ringkeeper_kit::ensemble::Ensemble, path: &str| {
        for id in [4, 5] {
            until(&format!("server {id} observes"), || ensemble.mode(id).as_deref() == Some("observer"));
            let mut client = Client::connect(ensemble.addr(id)).expect("a session");
            let request = Request::create(format!("{path}-{id}"), b"", create_mode::PERSISTENT);
            assert_eq!(client.call(&request).expect("a reply").err, 0, "server {id}");
            client.close().expect("a reply");
        }
    };
    observe(&ensemble, "/under-java");
    assert_alike(&ensemble, &[1, 2, 3, 4, 5]);

    ensemble.server(3).kill();
    // Of those that are left, one is behind or has the smaller id.
    until("another leads", || [1, 2].iter().any(|id| ensemble.mode(*id).as_deref() == Some("leader")));
    ensemble.leader_among(&[1, 2]);
    observe(&ensemble, "/under-another");
    assert_alike(&ensemble, &[1, 2, 4, 5]);

    // Two of three are gone: the observers do not take their places.
    ensemble.server(1).kill();
    until("nobody serves", || [2, 4, 5].iter().all(|id| ensemble.mode(*id).is_none()));
}
