//! Very many observers that are restarted at once (ensemble-scenarios F5).

use ringkeeper_kit::ensemble::Kind::{self, Java, Ringkeeper};
use ringkeeper_kit::java::Release;

use crate::ensemble;
use crate::observe::assert_alike;
use crate::work::Load;

#[test]
#[ignore = "takes long: cargo test --test ensemble -- --ignored"]
fn f5_fifty_observers_come_back_to_a_java_leader_while_voters_write_on() {
    come_back(&[Ringkeeper, Ringkeeper, Java(Release::V3_9)]);
}

#[test]
#[ignore = "takes long: cargo test --test ensemble -- --ignored"]
fn f5_fifty_observers_come_back_to_a_ringkeeper_while_voters_write_on() {
    let refused = come_back(&[Java(Release::V3_9), Ringkeeper, Ringkeeper]);
    assert!(refused > 0, "they came one after the other");
}

/// All observers are killed and started again; each gets the whole tree. Returns how many were sent away by a
/// ringkeeper that led because it was busy with others.
fn come_back(voters: &[Kind]) -> usize {
    let mut ensemble = ensemble(voters, &[Ringkeeper; OBSERVERS])
        // Their disks need little room.
        .config("preAllocSize", 1024)
        .config("maxClientCnxns", 0)
        .property("zookeeper.forceSnapshotSync", true)
        .property("zookeeper.leader.maxConcurrentSnapSyncs", 2);
    let ids = ensemble.ids();
    let (voting, observing) = ids.split_at(voters.len());
    let leader = voters.len() as u8;
    ensemble.start(&[leader, 1]);
    ensemble.start(&[2]);
    assert_eq!(ensemble.leader_among(voting), leader);
    ensemble.start(observing);

    let addrs: Vec<_> = voting.iter().map(|id| ensemble.addr(*id)).collect();
    let load = Load::start(addrs, "/load");
    load.until_more(20);
    for id in observing {
        ensemble.server(*id).kill();
    }
    for id in observing {
        ensemble.server(*id).launch();
        load.until_more(1);
    }
    ensemble.until_serving(observing);
    load.until_more(20);
    let written = load.stop();
    assert_eq!(written.losses, 0, "the voters had other things to do");
    assert_eq!(ensemble.leader_among(voting), leader);
    let refused =
        ensemble.server(leader).log().matches("are being brought up to date at once already").count();
    written.end(ensemble.addr(1));
    assert_alike(&ensemble, &ids);
    refused
}

const OBSERVERS: usize = 50;
