//! Clients that take all the connections which a server may have (ensemble-scenarios D7).

use std::net::TcpStream;

use ringkeeper_kit::ensemble::Ensemble;
use ringkeeper_kit::ensemble::Kind::{Java, Ringkeeper};
use ringkeeper_kit::java::Release;
use ringkeeper_kit::server::until;
use ringkeeper_kit::wire::{Client, ConnectRequest, Request, create_mode};

use crate::certificates::Authority;
use crate::ensemble;
use crate::observe::assert_alike;
use crate::tls::protected;

#[test]
fn d7_clients_that_take_all_descriptors_leave_those_that_the_servers_need() {
    let mut ensemble = ensemble(&[Java(Release::V3_9), Ringkeeper, Ringkeeper], &[])
        // The log goes on in another file every few writes.
        .config("preAllocSize", 1024)
        .config("maxClientCnxns", 0);
    for id in [2, 3] {
        ensemble.change(id, |settings| settings.through(&["prlimit", "--nofile=256:256"]));
    }
    ensemble.start_led_by(3);
    let client = Client::connect(ensemble.addr(3)).expect("a session");
    let led = epoch(&mut ensemble);
    let held = [2, 3].map(|id| all_that_it_takes(&ensemble, id));
    for id in [2, 3] {
        ensemble.server(id).until_logged("the server needs the last descriptors itself", 1);
    }

    assert_they_go_on(&mut ensemble, client);
    drop(held);

    // And for clients, too, once there is room.
    for id in [2, 3] {
        until("a client is let in", || Client::connect(ensemble.addr(id)).is_ok());
    }
    assert_alike(&ensemble, &[1, 2, 3]);
    assert_eq!(epoch(&mut ensemble), led, "there was an election");
}

/// Who connects to the ports between servers and says nothing waits there for as long as the operator allows.
#[test]
fn d7_strangers_that_say_nothing_leave_those_that_servers_with_tls_need() {
    let (mut ensemble, _files) = protected(&[Ringkeeper; 3], &[], &Authority::new("one"));
    for id in ensemble.ids() {
        ensemble.change(id, |settings| {
            let settings = settings.config("preAllocSize", 1024).config("maxClientCnxns", 0);
            settings.config("ssl.quorum.handshakeDetectionTimeoutMillis", 1_000_000)
        });
    }
    ensemble.change(3, |settings| settings.through(&["prlimit", "--nofile=256:256"]));
    ensemble.start_led_by(3);
    let client = Client::connect(ensemble.addr(3)).expect("a session");
    let led = epoch(&mut ensemble);
    let held = all_that_it_takes(&ensemble, 3);
    let connect = |port| TcpStream::connect((ensemble.host(3), port)).expect("listening");
    let ports = ensemble.peer_ports(3);
    let silent: Vec<_> = ports.into_iter().flat_map(|port| [port; 100]).map(connect).collect();
    for port in ["quorum port", "election port"] {
        ensemble.server(3).until_logged(&format!("connections to the {port} (there are hardly any"), 1);
    }

    assert_they_go_on(&mut ensemble, client);
    drop((held, silent));
    until("a client is let in", || Client::connect(ensemble.addr(3)).is_ok());
    assert_alike(&ensemble, &[1, 2, 3]);
    assert_eq!(epoch(&mut ensemble), led, "there was an election");
}

/// With their links, their files, and with others that come. Ends the session of the client, who writes.
fn assert_they_go_on(ensemble: &mut Ensemble, mut client: Client) {
    for number in 0..12 {
        let request = Request::create(format!("/{number}"), &[7; 400_000], create_mode::PERSISTENT);
        assert_eq!(client.call(&request).expect("a reply").err, 0);
    }
    ensemble.server(1).kill();
    ensemble.start(&[1]);
    client.close().expect("a reply");
}

/// Clients until one is turned away, with sessions that last for so long.
fn all_that_it_takes(ensemble: &Ensemble, id: u8) -> Vec<Client> {
    let lasting = ConnectRequest { timeout_ms: 1_000_000, ..ConnectRequest::default() };
    let mut held = Vec::new();
    while let Ok(client) = Client::connect_as(ensemble.addr(id), &lasting) {
        held.push(client);
        assert!(held.len() < 256, "server {id} takes more than it may");
    }
    assert!(held.len() > 64, "server {id} takes only {}", held.len());
    held
}

/// The epoch of the leader's last transaction.
fn epoch(ensemble: &mut Ensemble) -> u64 {
    let answer = ensemble.server(3).word("srvr").expect("an answer");
    let zxid = answer.lines().find_map(|line| line.strip_prefix("Zxid: 0x")).expect("a zxid");
    u64::from_str_radix(zxid, 16).expect("hexadecimal") >> 32
}
