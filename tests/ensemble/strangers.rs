//! A server that the others do not know (ensemble-scenarios F3). What becomes of it where `reconfigEnabled=true`,
//! `reconfig.rs` shows: it follows without a vote until it is added.

use ringkeeper_kit::ensemble::Ensemble;
use ringkeeper_kit::ensemble::Kind::{self, Java, Ringkeeper};
use ringkeeper_kit::java::Release;
use ringkeeper_kit::server::until;
use ringkeeper_kit::wire::{Client, Request, create_mode};

use crate::ensemble;
use crate::observe::assert_alike;

const JAVA: Kind = Java(Release::V3_9);

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
    observe(&ensemble, "/under-java");
    assert_alike(&ensemble, &[1, 2, 3, 4, 5]);

    // Who is left has more than who was away, and leads.
    ensemble.server(1).kill();
    observe(&ensemble, "/without-one");
    ensemble.server(3).kill();
    ensemble.start(&[1]);
    assert_eq!(ensemble.leader_among(&[1, 2]), 2);
    observe(&ensemble, "/under-ringkeeper");
    assert_alike(&ensemble, &[1, 2, 4, 5]);

    // Two of three are gone: the observers do not take their places.
    ensemble.server(1).kill();
    until("nobody serves", || [2, 4, 5].iter().all(|id| ensemble.mode(*id).is_none()));
}

/// Each of them is an observer, and takes a write.
fn observe(ensemble: &Ensemble, path: &str) {
    for id in [4, 5] {
        until(&format!("server {id} takes a write as an observer"), || {
            let Ok(mut client) = Client::connect(ensemble.addr(id)) else { return false };
            let request = Request::create(format!("{path}-{id}"), b"", create_mode::PERSISTENT);
            let is_written = client.call(&request).is_ok_and(|reply| [0, NODE_EXISTS].contains(&reply.err));
            is_written && ensemble.mode(id).as_deref() == Some("observer")
        });
    }
}

const NODE_EXISTS: i32 = -110;
