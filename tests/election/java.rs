use std::fs;
use std::time::{Duration, Instant};

use ringkeeper_core::election::PeerState::{Following, Leading};
use ringkeeper_kit::server::Server;

use crate::member::{Member, Ports};

#[test]
fn a_java_server_follows_a_ringkeeper_with_a_larger_id() {
    let ports = Ports::claim(3);
    let mut java = java(&ports, 0);
    java.launch();
    let ours = Member::start(&ports, 1);
    let outcome = ours.decides();
    assert_eq!((outcome.state, outcome.vote.leader.0), (Leading, 1));
    wait_for_log(&java, "FOLLOWING - LEADER ELECTION TOOK");
    ours.stop();
}

#[test]
fn a_java_server_leads_by_the_vote_of_a_ringkeeper_with_a_smaller_id() {
    let ports = Ports::claim(3);
    let mut java = java(&ports, 1);
    let ours = Member::start(&ports, 0);
    java.launch();
    let outcome = ours.decides();
    assert_eq!((outcome.state, outcome.vote.leader.0), (Following, 1));
    wait_for_log(&java, "LEADING - LEADER ELECTION TOOK");
    ours.stop();
}

#[test]
fn a_ringkeeper_of_any_id_joins_two_java_servers_that_serve_and_gets_back_in() {
    for mine in 0..3 {
        let ports = Ports::claim(3);
        let mut others: Vec<Server> = (0..3).filter(|id| *id != mine).map(|id| java(&ports, id)).collect();
        others.iter_mut().for_each(Server::launch);
        others.iter().for_each(wait_until_serving);
        let leader = (0..3).filter(|id| *id != mine).max().expect("two are left");
        // Joins again and again, as if restarted, until the two tell the epoch that their leader began.
        let joins_with_epoch = || {
            let ours = Member::start(&ports, mine);
            let outcome = ours.decides();
            ours.stop();
            assert_eq!((outcome.state, outcome.vote.leader.0 as usize), (Following, leader), "as {mine}");
            outcome.vote.epoch == 1
        };
        wait(joins_with_epoch, || "the leader's epoch is never told".to_owned());
    }
}

/// A Java server of the ensemble, not started yet.
fn java(ports: &Ports, id: usize) -> Server {
    let mut settings = ringkeeper_kit::java::server().config("initLimit", 10).config("syncLimit", 5);
    for (key, value) in ports.lines() {
        settings = settings.config(&key, value);
    }
    let server = settings.prepare();
    fs::create_dir_all(server.data_dir()).expect("a folder of the server's own");
    fs::write(server.data_dir().join("myid"), id.to_string()).expect("its folder can be written");
    server
}

fn wait_for_log(server: &Server, text: &str) {
    wait(|| server.log().contains(text), || format!("no {text:?} in its log:\n{}", server.log()));
}

fn wait_until_serving(server: &Server) {
    let serves = || server.word("srvr").is_ok_and(|answer| answer.contains("\nMode: "));
    wait(serves, || format!("it does not serve; its log:\n{}", server.log()));
}

fn wait(mut done: impl FnMut() -> bool, failure: impl Fn() -> String) {
    let deadline = Instant::now() + ringkeeper_kit::server::START_TIMEOUT;
    while !done() {
        assert!(Instant::now() < deadline, "{}", failure());
        std::thread::sleep(POLL_INTERVAL);
    }
}

/// Another process tells nothing by itself.
const POLL_INTERVAL: Duration = Duration::from_millis(20);
