//! Servers whose lists of the ensemble differ, without `reconfigEnabled`: while a list is changed one server after the
//! other (ensemble-scenarios G9), and because two servers are given the same id (A9).

use std::fs;
use std::io::ErrorKind;
use std::net::TcpListener;

use ringkeeper_kit::ensemble::Ensemble;
use ringkeeper_kit::ensemble::Kind::{self, Java, Ringkeeper};
use ringkeeper_kit::java::Release;
use ringkeeper_kit::ringkeeper;
use ringkeeper_kit::server::{Settings, until};
use ringkeeper_kit::wire::{Client, Request, create_mode, four_letter_word};

use crate::ensemble;
use crate::observe::assert_alike;
use crate::work::Load;

const JAVA: Kind = Java(Release::V3_9);

#[test]
fn g9_a_fourth_server_comes_and_goes_by_lists_that_are_changed_one_after_the_other_under_load() {
    let mut ensemble = ensemble(&[Ringkeeper, Ringkeeper, JAVA, Ringkeeper], &[]);
    // The smallest never leads those whose lists lack it.
    let fourth = line(&ensemble, 1);
    for id in 2..=4 {
        ensemble.change(id, |settings| settings.without("server.1"));
    }
    ensemble.start(&[4, 2]);
    ensemble.start(&[3]);
    let load = Load::start([2, 3, 4].map(|id| ensemble.addr(id)).to_vec(), "/load");
    load.until_more(5);
    // The new one first: it finds a majority of its own list, and so does then whoever is restarted with the same.
    ensemble.start(&[1]);
    for id in 2..=4 {
        relist(&mut ensemble, id, &load, |settings| settings.config("server.1", &fourth));
    }
    assert_eq!(ensemble.mode(1).as_deref(), Some("follower"));
    let mut client = Client::connect(ensemble.addr(1)).expect("a session");
    let request = Request::create("/through-the-fourth", b"", create_mode::PERSISTENT);
    assert_eq!(client.call(&request).expect("a reply").err, 0);
    client.hang_up();
    for id in 2..=4 {
        relist(&mut ensemble, id, &load, |settings| settings.without("server.1"));
    }
    ensemble.server(1).stop();

    // Whoever knew it would ask it for its vote.
    let [_, election] = ensemble.peer_ports(1);
    let gone = TcpListener::bind((ensemble.host(1), election)).expect("the port is free");
    gone.set_nonblocking(true).expect("a listener");
    let leader = ensemble.leader_among(&[2, 3, 4]);
    ensemble.server(leader).kill();
    let left: Vec<u8> = (2..=4).filter(|id| *id != leader).collect();
    ensemble.leader_among(&left);
    load.until_more(5);
    assert_eq!(gone.accept().expect_err("nobody dials it").kind(), ErrorKind::WouldBlock);
    ensemble.start(&[leader]);
    let written = load.stop();
    let mut client = Client::connect(ensemble.addr(leader)).expect("a session");
    written.assert_shown_by(&mut client);
    client.hang_up();
    written.end(ensemble.addr(leader));
    assert_alike(&ensemble, &[2, 3, 4]);
}

#[test]
fn a9_a_second_server_with_the_same_id_disturbs_nobody_else() {
    let mut ensemble = ensemble(&[Ringkeeper, Ringkeeper, Ringkeeper], &[]).hosts_apart();
    ensemble.start_led_by(3);
    let loads = [1, 3].map(|id| Load::start(vec![ensemble.addr(id)], &format!("/load-{id}")));
    loads.iter().for_each(|load| load.until_more(5));
    let epoch = epoch(&ensemble, 3);

    let mut second = ringkeeper::server(env!("CARGO_BIN_EXE_ringkeeper"));
    for (key, value) in [("tickTime", "500"), ("initLimit", "60"), ("syncLimit", "30")] {
        second = second.config(key, value);
    }
    for id in [1, 3] {
        second = second.config(&format!("server.{id}"), line(&ensemble, id));
    }
    let [quorum, election] = ensemble.peer_ports(2);
    second = second.config("server.2", format!("127.0.1.9:{quorum}:{election}"));
    let mut second = second.prepare();
    fs::create_dir_all(second.data_dir()).expect("a folder of the server's own");
    fs::write(second.data_dir().join("myid"), "2").expect("its folder can be written");
    second.launch();
    until("the second one runs", || second.word("srvr").is_ok());
    loads.iter().for_each(|load| load.until_more(300));
    second.kill();

    ensemble.until_serving(&[2]);
    loads.iter().for_each(|load| load.until_more(5));
    for load in loads {
        let written = load.stop();
        assert_eq!(written.losses, 0, "a client of another server lost its connection");
        written.end(ensemble.addr(3));
    }
    assert_eq!(ensemble.leader_among(&[1, 2, 3]), 3);
    assert_eq!(self::epoch(&ensemble, 3), epoch, "nobody was elected anew");
    assert_alike(&ensemble, &[1, 2, 3]);
}

/// Restarts a server with another list, while the others take writes.
fn relist(ensemble: &mut Ensemble, id: u8, load: &Load, change: impl FnOnce(Settings) -> Settings) {
    ensemble.server(id).stop();
    ensemble.change(id, change);
    load.until_more(5);
    ensemble.start(&[id]);
    load.until_more(5);
}

/// A server's line in the others' lists.
fn line(ensemble: &Ensemble, id: u8) -> String {
    let [quorum, election] = ensemble.peer_ports(id);
    format!("{}:{quorum}:{election}", ensemble.host(id))
}

/// The epoch of the last transaction that a server shows.
fn epoch(ensemble: &Ensemble, id: u8) -> i64 {
    let answer = four_letter_word(ensemble.addr(id), "srvr").expect("an answer");
    let zxid = answer.lines().find_map(|line| line.strip_prefix("Zxid: 0x")).expect("its zxid");
    i64::from_str_radix(zxid, 16).expect("a number") >> 32
}
