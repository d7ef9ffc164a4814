//! Large nodes, long lists of children, and a tree that takes a while to send (ensemble-scenarios D6).

use std::fs;

use ringkeeper_kit::ensemble::Ensemble;
use ringkeeper_kit::ensemble::Kind::{Java, Ringkeeper};
use ringkeeper_kit::java::Release;
use ringkeeper_kit::wire::{Body, Client, Request, create_mode};

use crate::ensemble;
use crate::work::Load;

#[test]
fn d6_large_data_reach_every_server_and_whole_trees_are_sent_while_the_leader_serves() {
    let mut ensemble = ensemble(&[Ringkeeper, Ringkeeper, Java(Release::V3_9)], &[])
        .property("zookeeper.forceSnapshotSync", true);
    ensemble.start(&[2, 3]);
    assert_eq!(ensemble.leader_among(&[2, 3]), 3);
    let mut client = Client::connect(ensemble.addr(2)).expect("a session");
    let mut write = |request: &Request| {
        assert_eq!(client.call(request).expect("a reply").err, 0);
    };
    write(&Request::create("/list", b"", create_mode::PERSISTENT));
    for some in 0..CHILDREN / PER_MULTI {
        let numbers = some * PER_MULTI..(some + 1) * PER_MULTI;
        let parts = numbers.map(|number| Request::create(child(number), b"", create_mode::PERSISTENT));
        write(&Request::Multi(parts.collect()));
    }
    for number in 0..LARGE_NODES {
        write(&Request::create(large(number), &content(number), create_mode::PERSISTENT));
    }
    client.close().expect("a reply");

    // A Java server leads, and sends it all to one that has nothing.
    bring_in(&mut ensemble, 3, 1);
    (1..=3).for_each(|id| assert_has_all(&ensemble, id));

    // Then the other way round.
    ensemble.server(3).kill();
    fs::remove_dir_all(ensemble.server(3).data_dir().join("version-2")).expect("it had data");
    let leader = ensemble.leader_among(&[1, 2]);
    bring_in(&mut ensemble, leader, 3);
    (1..=3).for_each(|id| assert_has_all(&ensemble, id));
}

/// A server without data comes to serve under this leader, whose clients do not wait for it.
fn bring_in(ensemble: &mut Ensemble, leader: u8, id: u8) {
    let load = Load::start(vec![ensemble.addr(leader)], &format!("/while-{id}-comes"));
    load.until_more(1);
    ensemble.server(id).launch();
    load.until_more(20);
    ensemble.until_serving(&[id]);
    load.until_more(1);
    let written = load.stop();
    assert_eq!(written.losses, 0, "the leader had other things to do");
    written.end(ensemble.addr(leader));
}

fn assert_has_all(ensemble: &Ensemble, id: u8) {
    let mut client = Client::connect(ensemble.addr(id)).expect("a session");
    let mut ask = |request: &Request| client.call(request).expect("a reply").body;
    ask(&Request::sync("/"));
    let Body::Children(mut children) = ask(&Request::GetChildren { path: "/list".into(), watch: false })
    else {
        panic!("server {id} has no list")
    };
    children.sort_by_key(|child| child.lossy());
    let expected = (0..CHILDREN).map(child);
    assert!(children.iter().map(|name| format!("/list/{}", name.lossy())).eq(expected), "server {id}");
    for number in 0..LARGE_NODES {
        match ask(&Request::get_data(large(number), false)) {
            Body::Data(Some(data), _) => assert!(data == content(number), "server {id}, node {number}"),
            other => panic!("server {id} has no node {number}, but {other:?}"),
        }
    }
    client.close().expect("a reply");
}

fn child(number: usize) -> String {
    format!("/list/{number:06}")
}

fn large(number: usize) -> String {
    format!("/large-{number}")
}

/// A little less than what `jute.maxbuffer` lets a request be by default.
fn content(number: usize) -> Vec<u8> {
    (0..1_040_000).map(|at| (at % 251 + number) as u8).collect()
}

const CHILDREN: usize = 100_000;
const PER_MULTI: usize = 1000;
const LARGE_NODES: usize = 40;
