//! Servers without a leader that serve reads (ensemble-scenarios J1 to J3), ringkeepers and Java servers put through the
//! same.

use std::io;
use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use ringkeeper_kit::deps;
use ringkeeper_kit::ensemble::Ensemble;
use ringkeeper_kit::ensemble::Kind::{self, Java, Ringkeeper};
use ringkeeper_kit::java::Release;
use ringkeeper_kit::server::until;
use ringkeeper_kit::wire::{
    Client, ConnectRequest, ConnectResponse, Received, Request, Wire, create_mode, op,
};

use crate::ensemble;
use crate::work::rejoin;

#[test]
fn a_server_without_a_leader_serves_reads_as_java_does() {
    assert_eq!(seen_with_local_sessions(Ringkeeper), seen_with_local_sessions(Java(Release::V3_9)));
}

/// What clients see of a voter that has lost its leader, until there is one again.
fn seen_with_local_sessions(kind: Kind) -> Vec<String> {
    let mut ensemble = read_only_ensemble(kind)
        .config("localSessionsEnabled", true)
        .config("localSessionsUpgradingEnabled", true);
    let addr = ensemble.addr(1);
    ensemble.start(&[1, 2]);
    let mut seen = Vec::new();
    // The ephemeral makes the session the ensemble's.
    let mut client = Client::connect_as(addr, &willing(None)).expect("a session");
    seen.push(format!("with a leader: {:?}", client.granted().read_only));
    assert_eq!(
        client.call(&Request::create("/node", b"data", create_mode::PERSISTENT)).expect("a reply").err,
        0
    );
    assert_eq!(client.call(&Request::create("/mine", b"", create_mode::EPHEMERAL)).expect("a reply").err, 0);
    let session = client.granted().clone();

    ensemble.server(2).kill();
    client.await_close(PATIENCE).expect("it is of no use without a leader");
    until("reads are served", || ensemble.server(1).word("isro").is_ok_and(|answer| answer == "ro"));
    for word in ["isro", "srvr", "stat"] {
        let answer = ensemble.server(1).word(word).expect("an answer");
        seen.extend(
            answer.lines().filter(|line| is_about_the_mode(line)).map(|line| format!("{word}: {line}")),
        );
    }
    for (what, request) in [
        ("no flag", ConnectRequest { read_only: None, ..ConnectRequest::default() }),
        ("flag not set", ConnectRequest::default()),
        ("ahead", ConnectRequest { last_zxid_seen: i64::MAX, ..willing(None) }),
        ("the ensemble's session", willing(Some(&session))),
        ("its wrong password", ConnectRequest { password: Some(vec![0; 16]), ..willing(Some(&session)) }),
    ] {
        seen.push(format!("{what}: {}", handshake(addr, &request)));
    }

    let mut client = Client::connect_as(addr, &willing(None)).expect("a session");
    let first = client.granted().clone();
    seen.push(format!("without a leader: {:?} for {} ms", first.read_only, first.timeout_ms));
    for request in [
        Request::get_data("/node", true),
        Request::exists("/mine", false),
        Request::exists("/absent", true),
        Request::GetEphemerals { prefix: "/".into() },
        Request::Ping,
        Request::set_data("/node", b"other", -1),
        Request::set_data("/absent", b"other", -1),
        Request::create("/new", b"", create_mode::PERSISTENT),
        Request::create("/new", b"", create_mode::EPHEMERAL),
        Request::delete("/node", -1),
        Request::sync("/"),
        Request::Multi(vec![Request::delete("/node", -1)]),
        Request::Raw { op: op::RECONFIG, body: "".into() },
        Request::Raw { op: op::CREATE, body: "".into() },
    ] {
        let reply = client.call(&request).expect("a reply");
        let body =
            if reply.err == 0 { format!("{:?}", std::mem::discriminant(&reply.body)) } else { String::new() };
        seen.push(format!("{}: {} {body}", request.opcode(), reply.err));
    }
    seen.push(format!("again: {}", handshake(addr, &willing(Some(&first)))));
    client.await_close(PATIENCE).expect("its session has gone to another connection");
    let other = ConnectRequest { password: Some(vec![0; 16]), ..willing(Some(&first)) };
    seen.push(format!("with another password: {}", handshake(addr, &other)));
    let closing = Client::connect_as(addr, &willing(None)).expect("a session");
    let closed = closing.granted().clone();
    seen.push(format!("close: {}", closing.close().expect("a reply").err));
    seen.push(format!("closed: {}", handshake(addr, &willing(Some(&closed)))));

    let mut client = Client::connect_as(addr, &willing(None)).expect("a session");
    ensemble.start(&[2]);
    client.await_close(PATIENCE).expect("there is a leader");
    ensemble.until_serving(&[1, 2]);
    seen.push(format!("afterwards: {}", handshake(addr, &willing(Some(client.granted())))));
    let mut client = rejoin(&session, addr);
    for request in [Request::exists("/mine", false), Request::set_data("/node", b"other", 0)] {
        seen.push(format!("{}: {}", request.opcode(), client.call(&request).expect("a reply").err));
    }
    assert_eq!(client.close().expect("a reply").err, 0);
    seen
}

#[test]
fn without_local_sessions_a_server_without_a_leader_lets_nobody_in() {
    let mut ensemble = read_only_ensemble(Ringkeeper);
    ensemble.start(&[1, 2]);
    let client = Client::connect_as(ensemble.addr(1), &willing(None)).expect("a session");
    let session = client.hang_up();
    ensemble.server(2).kill();
    until("reads are served", || ensemble.server(1).word("isro").is_ok_and(|answer| answer == "ro"));
    for request in [willing(None), willing(Some(&session))] {
        assert_eq!(handshake(ensemble.addr(1), &request), "closed");
    }
    assert!(ensemble.server(1).log().contains("readonlymode.enabled without localSessionsEnabled"));
    ensemble.start(&[2]);
    rejoin(&session, ensemble.addr(1)).hang_up();
}

#[test]
fn javas_own_client_reads_from_a_server_without_a_leader() {
    let mut ensemble = read_only_ensemble(Ringkeeper).config("localSessionsEnabled", true);
    ensemble.start(&[1, 2]);
    let mut client = Client::connect(ensemble.addr(1)).expect("a session");
    let created = client.call(&Request::create("/node", b"seen", create_mode::PERSISTENT)).expect("a reply");
    assert_eq!(created.err, 0);
    ensemble.server(2).kill();
    until("reads are served", || ensemble.server(1).word("isro").is_ok_and(|answer| answer == "ro"));
    let (out, _) = zkcli(ensemble.addr(1), &["-r", "get", "/node"]);
    assert!(out.lines().any(|line| line == "seen"), "{out}");
    let (_, error) = zkcli(ensemble.addr(1), &["-r", "delete", "/node"]);
    assert!(error.contains("Not a read-only call"), "{error}");
}

/// What the command prints, on its output and as errors.
fn zkcli(addr: SocketAddr, arguments: &[&str]) -> (String, String) {
    let output = Command::new("java")
        .arg("-cp")
        .arg(deps::java_classpath(Release::V3_9))
        .args(["org.apache.zookeeper.ZooKeeperMain", "-server", &addr.to_string()])
        .args(arguments)
        .output()
        .expect("java runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (text(&output.stdout), text(&output.stderr))
}

fn read_only_ensemble(kind: Kind) -> Ensemble {
    ensemble(&[kind; 3], &[]).property("readonlymode.enabled", true)
}

/// Asks for a session, or one again, and will do with reads.
fn willing(session: Option<&ConnectResponse>) -> ConnectRequest {
    let request = session.map(ConnectRequest::again).unwrap_or_default();
    ConnectRequest { read_only: Some(true), ..request }
}

fn handshake(addr: SocketAddr, request: &ConnectRequest) -> String {
    let mut wire = Wire::dial(addr).expect("a connection");
    match wire.handshake(request, PATIENCE) {
        Ok(None) => "closed".into(),
        Ok(Some(response)) => {
            let (granted, read_only) = (response.granted(), response.read_only);
            if !granted {
                assert_eq!(wire.receive(PATIENCE).expect("an end"), Received::Closed);
            }
            format!("granted {granted}, read-only {read_only:?}")
        }
        Err(error) if error.kind() == io::ErrorKind::InvalidData => "something else".into(),
        Err(error) => panic!("{error}"),
    }
}

fn is_about_the_mode(line: &str) -> bool {
    ["READ-ONLY", "Mode", "Node count", "ro"].iter().any(|start| line.starts_with(start))
}

const PATIENCE: Duration = Duration::from_secs(20);
