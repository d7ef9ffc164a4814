//! Java servers and ringkeepers in one ensemble, each in every role.

use std::collections::BTreeMap;

use ringkeeper_kit::ensemble::Ensemble;
use ringkeeper_kit::ensemble::Kind::{self, Java, Ringkeeper};
use ringkeeper_kit::java::Release;
use ringkeeper_kit::server::until;
use ringkeeper_kit::wire::{Body, Client, ConnectRequest, ConnectResponse, Request, create_mode};

use crate::ensemble;
use crate::observe::{assert_alike, picture};
use crate::work::{move_session, rejoin, write_every_kind};

#[test]
fn two_java_servers_and_a_ringkeeper_lead_in_turn() {
    two_and_one(Release::V3_9);
}

#[test]
fn a_java_server_and_two_ringkeepers_lead_in_turn() {
    one_and_two(Release::V3_9);
}

#[test]
fn two_java_servers_of_3_8_and_a_ringkeeper_lead_in_turn() {
    two_and_one(Release::V3_8);
}

#[test]
fn a_java_server_of_3_8_and_two_ringkeepers_lead_in_turn() {
    one_and_two(Release::V3_8);
}

#[test]
fn two_java_servers_of_3_4_and_a_ringkeeper_lead_in_turn() {
    two_and_one(Release::V3_4);
}

#[test]
fn a_java_server_of_3_4_and_two_ringkeepers_lead_in_turn() {
    one_and_two(Release::V3_4);
}

#[test]
#[ignore = "takes long: cargo test --test ensemble -- --ignored"]
fn java_servers_of_3_5_and_ringkeepers_lead_in_turn() {
    two_and_one(Release::V3_5);
    one_and_two(Release::V3_5);
}

#[test]
#[ignore = "takes long: cargo test --test ensemble -- --ignored"]
fn java_servers_of_3_6_and_ringkeepers_lead_in_turn() {
    two_and_one(Release::V3_6);
    one_and_two(Release::V3_6);
}

#[test]
#[ignore = "takes long: cargo test --test ensemble -- --ignored"]
fn java_servers_of_3_7_and_ringkeepers_lead_in_turn() {
    two_and_one(Release::V3_7);
    one_and_two(Release::V3_7);
}

#[test]
#[ignore = "takes long: tests/setup --all, then cargo test --test ensemble -- --ignored"]
fn java_servers_of_3_8_6_and_3_9_2_and_ringkeepers_lead_in_turn() {
    for release in [Release::V3_8_6, Release::V3_9_2] {
        two_and_one(release);
        one_and_two(release);
    }
}

fn two_and_one(release: Release) {
    lead_in_turn(&[Java(release), Java(release), Ringkeeper], &[Ringkeeper]);
}

fn one_and_two(release: Release) {
    lead_in_turn(&[Ringkeeper, Ringkeeper, Java(release)], &[Java(release)]);
}

/// The voter with the largest id leads first. Then whoever leads is killed, twice: of the two that are left
/// the one with the larger id leads, as both have logged all. Each time the one that was killed comes back,
/// every server takes writes of every kind, and all show the same.
fn lead_in_turn(voters: &[Kind], observers: &[Kind]) {
    let mut ensemble = ensemble(voters, observers);
    let (ids, last) = (ensemble.ids(), voters.len() as u8);
    ensemble.start_led_by(last);
    for id in &ids[voters.len()..] {
        assert_eq!(ensemble.mode(*id).as_deref(), Some("observer"));
    }
    let mut sessions = BTreeMap::new();
    take_writes(&ensemble, 0, &mut sessions);
    for round in 1..=2 {
        let leader = ensemble.leader_among(&ids);
        ensemble.server(leader).kill();
        let left: Vec<u8> = ids.iter().copied().filter(|id| *id != leader).collect();
        let next = left.iter().filter(|id| usize::from(**id) <= voters.len()).max().copied();
        assert_eq!(Some(ensemble.leader_among(&left)), next, "after server {leader} was killed");
        assert_sessions_live(&ensemble, &left, &sessions);
        take_writes_through(&ensemble, &left, &format!("/without-{round}"), &mut sessions);
        ensemble.start(&[leader]);
        take_writes(&ensemble, round, &mut sessions);
    }
}

fn take_writes(ensemble: &Ensemble, round: usize, sessions: &mut BTreeMap<String, ConnectResponse>) {
    take_writes_through(ensemble, &ensemble.ids(), &format!("/with-all-{round}"), sessions);
    sessions_move_and_end(ensemble, round);
}

/// Every kind of write through each of these servers, by sessions that stay; all show the same afterwards.
fn take_writes_through(
    ensemble: &Ensemble,
    ids: &[u8],
    root: &str,
    sessions: &mut BTreeMap<String, ConnectResponse>,
) {
    let before = assert_alike(ensemble, ids).len();
    for id in ids {
        let mut client = Client::connect(ensemble.addr(*id)).expect("a session");
        let root = format!("{root}-{id}");
        write_every_kind(&mut client, &root);
        sessions.insert(root, client.hang_up());
    }
    let after = assert_alike(ensemble, ids);
    assert_eq!(after.len(), before + ids.len() * ZNODES_OF_EVERY_KIND);
}

/// A session goes from server to server with its ephemeral znode, and takes it along when it ends.
fn sessions_move_and_end(ensemble: &Ensemble, round: usize) {
    let ids = ensemble.ids();
    // One that is not closed expires, by and by.
    let expiring = format!("/expiring-{round}");
    let request = ConnectRequest { timeout_ms: EXPIRES_MS, ..ConnectRequest::default() };
    let mut client = Client::connect_as(ensemble.addr(ids[round % ids.len()]), &request).expect("a session");
    let create = Request::create(&expiring, b"", create_mode::EPHEMERAL);
    assert_eq!(client.call(&create).expect("a reply").err, 0);
    client.hang_up();

    let path = format!("/moving-{round}");
    let mut client = Client::connect(ensemble.addr(ids[0])).expect("a session");
    assert_eq!(client.call(&Request::create(&path, b"", create_mode::EPHEMERAL)).expect("a reply").err, 0);
    for id in &ids {
        client = move_session(client, ensemble.addr(*id));
        match client.call(&Request::exists(&path, false)).expect("a reply").body {
            Body::Stat(stat) => assert_eq!(stat.ephemeral_owner, client.granted().session),
            other => panic!("{path} on server {id}: {other:?}"),
        }
    }
    assert_eq!(client.close().expect("a reply").err, 0);

    let mut client = Client::connect(ensemble.addr(ids[0])).expect("a session");
    until(&format!("{expiring} is gone"), || {
        client.call(&Request::exists(&expiring, false)).expect("a reply").err == NO_NODE
    });
    client.hang_up();
    let all = assert_alike(ensemble, &ids);
    assert!(!all.iter().any(|line| line.starts_with(&path)), "{path} outlived its session");
}

/// Sessions of servers that are there or not are known to each that is, and have kept their znodes.
fn assert_sessions_live(ensemble: &Ensemble, ids: &[u8], sessions: &BTreeMap<String, ConnectResponse>) {
    for (at, (root, session)) in sessions.iter().enumerate() {
        let mut client = rejoin(session, ensemble.addr(ids[at % ids.len()]));
        let own = format!("ephemeral_owner: {}", session.session);
        let kept = picture(&mut client).iter().filter(|line| line.contains(&own)).count();
        assert_eq!(kept, EPHEMERALS_OF_EVERY_KIND, "{root}");
        client.hang_up();
    }
}

/// What [`write_every_kind`] leaves.
const ZNODES_OF_EVERY_KIND: usize = 7;
const EPHEMERALS_OF_EVERY_KIND: usize = 2;

/// Longer than a busy machine takes over a create.
const EXPIRES_MS: i32 = 4000;
const NO_NODE: i32 = -101;
