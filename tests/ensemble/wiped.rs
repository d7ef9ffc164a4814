//! Servers whose disk was wiped, among such of the other kind, where `db.autocreate=false` (ensemble-scenarios E8, E9).

use std::fs;

use ringkeeper_kit::ensemble::Ensemble;
use ringkeeper_kit::ensemble::Kind::{self, Java, Ringkeeper};
use ringkeeper_kit::java::Release;
use ringkeeper_kit::wire::{Client, Request, create_mode};

use crate::away::empty;
use crate::ensemble;
use crate::observe::assert_alike;

const JAVA: Kind = Java(Release::V3_9);

#[test]
fn e8_one_that_lost_its_disk_gets_all_from_a_leader_of_the_other_kind_and_its_vote_counts_again() {
    for kinds in [[JAVA, JAVA, Ringkeeper], [Ringkeeper, Ringkeeper, JAVA]] {
        let mut ensemble = started(&kinds);
        ensemble.server(1).kill();
        empty(&ensemble.server(1).data_dir());
        ensemble.start(&[1]);
        assert_alike(&ensemble, &[1, 2, 3]);
        ensemble.server(3).kill();
        ensemble.leader_among(&[1, 2]);
        assert_kept(&ensemble, &[1, 2]);
    }
}

/// The two that lost their disks are a majority, and agree on everything but what was acknowledged.
#[test]
fn e9_a_majority_that_lost_its_disks_elects_nobody_until_one_is_back_that_has_data() {
    for kinds in [[JAVA, Ringkeeper, Ringkeeper], [Ringkeeper, JAVA, JAVA]] {
        let mut ensemble = started(&kinds);
        for id in [1, 2, 3] {
            ensemble.server(id).kill();
        }
        let looked = [1, 2].map(|id| ensemble.server(id).log().matches(LOOKING).count());
        for id in [1, 2] {
            empty(&ensemble.server(id).data_dir());
            ensemble.server(id).launch();
        }
        for (id, before) in [1, 2].into_iter().zip(looked) {
            match ensemble.kind(id) {
                Ringkeeper => ensemble.server(id).until_logged(NOT_TRUSTED, 1),
                Java(_) => ensemble.server(id).until_logged(LOOKING, before + 1),
            }
        }
        ensemble.start_alone(3);
        for id in [1, 2] {
            let log = ensemble.server(id).log();
            assert!(!LEADS.iter().any(|text| log.contains(text)), "server {id} was elected: {log}");
        }
        // It has nobody but itself to trust: the operator says which of the others may begin with nothing.
        ensemble.server(2).kill();
        // A Java server has left an epoch of -1 there, with which it would not start.
        empty(&ensemble.server(2).data_dir());
        fs::write(ensemble.server(2).data_dir().join("initialize"), "").expect("its folder can be written");
        ensemble.start(&[2]);
        assert_eq!(ensemble.leader_among(&[1, 2, 3]), 3, "who has something leads");
        assert_kept(&ensemble, &[1, 2, 3]);
    }
}

fn started(kinds: &[Kind]) -> Ensemble {
    let mut ensemble = ensemble(kinds, &[]).property("zookeeper.db.autocreate", false);
    for id in ensemble.ids() {
        fs::write(ensemble.server(id).data_dir().join("initialize"), "").expect("its folder can be written");
    }
    ensemble.start_led_by(3);
    let mut client = Client::connect(ensemble.addr(3)).expect("a session");
    let request = Request::create("/kept", b"", create_mode::PERSISTENT);
    assert_eq!(client.call(&request).expect("a reply").err, 0);
    client.close().expect("a reply");
    ensemble
}

fn assert_kept(ensemble: &Ensemble, ids: &[u8]) {
    let all = assert_alike(ensemble, ids);
    assert!(all.iter().any(|line| line.starts_with("/kept ")), "{all:#?}");
}

/// What Java logs when it looks for a leader.
const LOOKING: &str = "QuorumPeer - LOOKING";
/// What Java and ringkeeper log when they are elected.
const LEADS: [&str; 2] = ["LEADING - LEADER ELECTION TOOK", "LEADING, from"];
const NOT_TRUSTED: &str = "this server's vote does not count";
