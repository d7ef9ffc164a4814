//! Sessions and their connections (client-protocol §3, §11; server-semantics §9).
//!
//! A client that looks for what another one has done syncs first: without that the protocol promises
//! nothing, and a server with shards of its own may show it later.

use std::io;
use std::time::Duration;

use ringkeeper_kit::server::Settings;
use ringkeeper_kit::wire::{Client, ConnectRequest, Event, Received, Request, Wire, create_mode};

use super::{Bystander, DEADLINE, assert_closed_without_a_word};
use crate::peers::each;

#[test]
fn a_silent_session_expires_with_its_ephemerals_and_cannot_be_reattached() {
    each(short_ticks, |server| {
        let mut watcher = Client::connect(server.addr()).expect("a session");
        let short = ConnectRequest { timeout_ms: SHORT_MS, ..ConnectRequest::default() };
        let mut silent = Client::connect_as(server.addr(), &short).expect("a session");
        silent.call(&Request::create("/here", b"", create_mode::EPHEMERAL)).expect("a reply");
        watcher.call(&Request::sync("/")).expect("a reply");
        watcher.call(&Request::exists("/here", true)).expect("a reply");

        let event = watcher.next_event(DEADLINE).expect("the socket can be read").expect("an event");
        assert_eq!((event.kind, event.path.lossy().as_str()), (NODE_DELETED, "/here"));
        assert_closed_without_a_word(silent.wire(), "an expired session");
        let again = ConnectRequest::again(silent.granted());
        let refused = Client::connect_as(server.addr(), &again).expect_err("the session is over");
        assert_eq!(refused.kind(), io::ErrorKind::PermissionDenied);
    });
}

#[test]
fn a_session_without_a_connection_expires_too() {
    each(short_ticks, |server| {
        let mut watcher = Client::connect(server.addr()).expect("a session");
        let short = ConnectRequest { timeout_ms: SHORT_MS, ..ConnectRequest::default() };
        let mut gone = Client::connect_as(server.addr(), &short).expect("a session");
        gone.call(&Request::create("/here", b"", create_mode::EPHEMERAL)).expect("a reply");
        watcher.call(&Request::sync("/")).expect("a reply");
        watcher.call(&Request::exists("/here", true)).expect("a reply");
        gone.hang_up();
        let event = watcher.next_event(DEADLINE).expect("the socket can be read").expect("an event");
        assert_eq!((event.kind, event.path.lossy().as_str()), (NODE_DELETED, "/here"));
    });
}

#[test]
fn pings_keep_a_session_alive() {
    each(short_ticks, |server| {
        let timeout = |timeout_ms| ConnectRequest { timeout_ms, ..ConnectRequest::default() };
        let mut pinging = Client::connect_as(server.addr(), &timeout(SHORT_MS)).expect("a session");
        // In the time in which two others have expired one after the other, this one had to as well.
        for _ in 0..2 {
            let mut silent = Client::connect_as(server.addr(), &timeout(SHORT_MS - 1000)).expect("a session");
            loop {
                pinging.call(&Request::Ping).expect("the session that pings lives");
                match silent.wire().receive(PING_INTERVAL).expect("the socket can be read") {
                    Received::Silence => {}
                    Received::Closed => break,
                    Received::Frame(payload) => panic!("unasked: {payload:?}"),
                }
            }
        }
        assert_eq!(pinging.call(&Request::exists("/", false)).expect("a reply").err, 0);
    });
}

#[test]
fn a_session_moves_to_its_newest_connection() {
    each(same, |server| {
        let mut old = Client::connect(server.addr()).expect("a session");
        old.call(&Request::create("/mine", b"", create_mode::EPHEMERAL)).expect("a reply");
        let again = ConnectRequest::again(old.granted());
        let mut new = Client::connect_as(server.addr(), &again).expect("the same session");
        assert_closed_without_a_word(old.wire(), "the connection that the session left");
        assert_eq!(new.call(&Request::exists("/mine", false)).expect("a reply").err, 0);
        new.close().expect("a reply");
        let mut other = Client::connect(server.addr()).expect("a session");
        other.call(&Request::sync("/")).expect("a reply");
        assert_eq!(other.call(&Request::exists("/mine", false)).expect("a reply").err, NO_NODE);
    });
}

#[test]
fn a_wrong_password_is_refused_yet_closes_the_connection_that_has_the_session() {
    each(same, |server| {
        let mut owner = Client::connect(server.addr()).expect("a session");
        owner.call(&Request::create("/mine", b"", create_mode::EPHEMERAL)).expect("a reply");
        let right = ConnectRequest::again(owner.granted());
        let wrong = ConnectRequest { password: Some(vec![1; 16]), ..right.clone() };
        let refused = Client::connect_as(server.addr(), &wrong).expect_err("the password is wrong");
        assert_eq!(refused.kind(), io::ErrorKind::PermissionDenied);
        assert_closed_without_a_word(owner.wire(), "the connection that had the session");
        let mut again = Client::connect_as(server.addr(), &right).expect("the session lives");
        assert_eq!(again.call(&Request::exists("/mine", false)).expect("a reply").err, 0);
    });
}

#[test]
fn requests_behind_a_close_session_are_not_answered_and_not_done() {
    each(same, |server| {
        let mut client = Client::connect(server.addr()).expect("a session");
        client.call(&Request::create("/mine", b"", create_mode::EPHEMERAL)).expect("a reply");
        let requests = [Request::CloseSession, Request::create("/late", b"", 0), Request::exists("/", false)];
        client.send_all(&requests).expect("the requests leave");
        assert_eq!(client.next_reply().expect("a reply").err, 0);
        assert_closed_without_a_word(client.wire(), "a closed session");
        let mut other = Client::connect(server.addr()).expect("a session");
        other.call(&Request::sync("/")).expect("a reply");
        for path in ["/mine", "/late"] {
            assert_eq!(other.call(&Request::exists(path, false)).expect("a reply").err, NO_NODE, "{path}");
        }
        let again = ConnectRequest::again(client.granted());
        let refused = Client::connect_as(server.addr(), &again).expect_err("the session is over");
        assert_eq!(refused.kind(), io::ErrorKind::PermissionDenied);
    });
}

#[test]
fn watches_end_with_their_connection_and_the_session_lives_on() {
    each(same, |server| {
        let mut watcher = Client::connect(server.addr()).expect("a session");
        watcher.call(&Request::exists("/a", true)).expect("a reply");
        let again = ConnectRequest::again(&watcher.hang_up());
        let mut watcher = Client::connect_as(server.addr(), &again).expect("the same session");
        let mut writer = Client::connect(server.addr()).expect("a session");
        writer.call(&Request::create("/a", b"", 0)).expect("a reply");
        watcher.call(&Request::sync("/")).expect("a reply");
        assert_eq!(watcher.take_events(), Vec::<Event>::new());
    });
}

#[test]
fn an_unknown_request_is_answered_and_ends_the_connection_not_the_session() {
    each(same, |server| {
        let mut client = Client::connect(server.addr()).expect("a session");
        let reply = client.call(&Request::Raw { op: 999, body: "".into() }).expect("a reply");
        assert_eq!((reply.err, reply.zxid), (UNIMPLEMENTED, -1));
        assert_closed_without_a_word(client.wire(), "an unknown request");
        let again = ConnectRequest::again(client.granted());
        assert!(Client::connect_as(server.addr(), &again).is_ok());
    });
}

#[test]
fn connections_that_come_and_go_leave_nothing_open() {
    each(same, |server| {
        let mut bystander = Bystander::of(server.addr());
        bystander.is_served();
        let before = open_files(server.pid());
        for round in 0..300 {
            let wire = Wire::dial(server.addr()).expect("a connection");
            match round % 3 {
                0 => wire.hang_up(),
                1 => drop(Client::connect(server.addr()).expect("a session").hang_up()),
                _ => drop(Client::connect(server.addr()).expect("a session").close()),
            }
        }
        // The server notices hang-ups by and by.
        while open_files(server.pid()) > before {
            bystander.is_served();
        }
    });
}

fn open_files(pid: u32) -> usize {
    std::fs::read_dir(format!("/proc/{pid}/fd")).expect("the server runs").count()
}

fn same(settings: Settings) -> Settings {
    settings
}

fn short_ticks(settings: Settings) -> Settings {
    settings.config("tickTime", 100).config("maxSessionTimeout", 60_000)
}

/// Longer than a busy machine takes over what is done in such a session.
const SHORT_MS: i32 = 3000;
const PING_INTERVAL: Duration = Duration::from_millis(50);
const NODE_DELETED: i32 = 2;
const NO_NODE: i32 = -101;
const UNIMPLEMENTED: i32 = -6;
