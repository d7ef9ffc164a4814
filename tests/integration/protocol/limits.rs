//! Limits and bounds (server-semantics §11).

use std::fs;
use std::io::Write as _;
use std::thread;
use std::time::Instant;

use ringkeeper_kit::server::Settings;
use ringkeeper_kit::wire::{Client, ConnectRequest, Encoder, Received, Request, Wire, create_mode, op};

use super::{Bystander, DEADLINE, assert_closed_without_a_word};
use crate::peers::{each, is_java};

#[test]
fn one_address_may_have_as_many_connections_as_configured() {
    let three = |settings: Settings| settings.config("maxClientCnxns", 3);
    each(three, |server| {
        let mut clients: Vec<Client> =
            (0..3).map(|_| Client::connect(server.addr()).expect("a session")).collect();
        for _ in 0..3 {
            let mut excess = Wire::dial(server.addr()).expect("a connection");
            let _ = excess.send_frame(&ConnectRequest::default().encode()); // It may be closed already.
            assert_closed_without_a_word(&mut excess, "a connection too many");
        }
        let mut gone = clients.remove(0);
        gone.call(&Request::CloseSession).expect("a reply");
        gone.await_close(DEADLINE).expect("the server closes");
        clients.push(Client::connect(server.addr()).expect("a session in place of the one that went"));
        for client in &mut clients {
            assert_eq!(client.call(&Request::exists("/", false)).expect("a reply").err, 0);
        }
    });
}

#[test]
fn no_more_clients_may_connect_than_the_throttle_has_tokens_for() {
    let ten = |settings: Settings| {
        settings.config("connection_throttle_tokens", 10).config("connection_throttle_fill_time", i32::MAX)
    };
    each(ten, |server| {
        let mut clients: Vec<Client> =
            (0..10).map(|_| Client::connect(server.addr()).expect("a session")).collect();
        let again = ConnectRequest::again(clients[0].granted());
        for request in [ConnectRequest::default(), again] {
            let mut excess = Wire::dial(server.addr()).expect("a connection");
            excess.send_frame(&request.encode()).expect("the server reads");
            assert_closed_without_a_word(&mut excess, "a client too many");
        }
        for client in &mut clients {
            assert_eq!(client.call(&Request::exists("/", false)).expect("a reply").err, 0);
        }
        assert!(server.word("ruok").is_ok(), "words take no tokens");
    });
}

#[test]
fn a_client_that_goes_without_its_last_replies_gives_its_place_back() {
    let two = |settings: Settings| {
        settings.config("maxClientCnxns", 2).config("tickTime", 100).config("maxSessionTimeout", 60_000)
    };
    each(two, |server| {
        let mut watcher = Client::connect(server.addr()).expect("a session");
        let large = vec![b'x'; LARGE];
        watcher.call(&Request::create("/large", &large, 0)).expect("a reply");
        let short = ConnectRequest { timeout_ms: SHORT_MS, ..ConnectRequest::default() };
        let mut deaf = Client::connect_as(server.addr(), &short).expect("a session");
        deaf.call(&Request::create("/here", b"", create_mode::EPHEMERAL)).expect("a reply");
        watcher.call(&Request::exists("/here", true)).expect("a reply");
        deaf.send_all(&vec![Request::get_data("/large", false); 100]).expect("the requests leave");
        // Its session expires and its connection is ended, with more due to it than sockets hold.
        watcher.next_event(DEADLINE).expect("the socket can be read").expect("the ephemeral goes");
        deaf.hang_up();
        let deadline = Instant::now() + DEADLINE;
        while Client::connect(server.addr()).is_err() {
            assert!(Instant::now() < deadline, "the place is not given back");
            thread::yield_now();
        }
    });
}

#[test]
fn a_large_request_beyond_what_they_may_take_together_ends_its_connection() {
    let bounded = |settings: Settings| {
        settings
            .property("zookeeper.largeRequestThreshold", 100)
            .property("zookeeper.largeRequestMaxBytes", 1000)
    };
    each(bounded, |server| {
        let mut client = Client::connect(server.addr()).expect("a session");
        for number in 0..20 {
            let request = Request::create(format!("/large-{number}"), &[b'x'; 200], 0);
            assert_eq!(client.call(&request).expect("those before it are done").err, 0);
        }
        // It fails when the length is read, so perhaps while the rest is sent.
        let _ = client.send(&Request::create("/too-large", &[b'x'; 1000], 0));
        client.await_close(DEADLINE).expect("the server closes");
        let mut other = Client::connect(server.addr()).expect("a session");
        assert_eq!(other.call(&Request::exists("/large-19", false)).expect("a reply").err, 0);
        assert_ne!(other.call(&Request::exists("/too-large", false)).expect("a reply").err, 0);
        assert!(server.word("mntr").expect("an answer").contains("zk_large_requests_rejected\t1\n"));
    });
}

#[test]
fn any_number_of_outstanding_requests_is_answered_in_order() {
    let low_limit = |settings: Settings| settings.property("zookeeper.globalOutstandingLimit", 50);
    each(low_limit, |server| {
        let mut client = Client::connect(server.addr()).expect("a session");
        client.call(&Request::create("/n", b"", 0)).expect("a reply");
        let requests: Vec<u8> = (1..=OUTSTANDING)
            .flat_map(|xid| {
                let request = match xid % 4 {
                    0 => Request::set_data("/n", &xid.to_be_bytes(), -1),
                    _ => Request::get_data("/n", false),
                };
                Encoder::new().buffer(Some(&request.encode(xid))).finish()
            })
            .collect();
        let mut writer = client.wire().writer().expect("a second handle");
        let sent = thread::spawn(move || writer.write_all(&requests));
        let mut bystander = Bystander::of(server.addr());
        let mut last_zxid = 0;
        for xid in 1..=OUTSTANDING {
            let payload = frame(client.wire());
            assert_eq!(payload[..4], xid.to_be_bytes());
            let zxid = i64::from_be_bytes(payload[4..12].try_into().expect("eight bytes"));
            assert!(zxid >= last_zxid, "zxids go on");
            last_zxid = zxid;
            if xid % 4 != 0 && xid > 4 {
                let latest = (xid - xid % 4).to_be_bytes();
                assert_eq!(payload[20..24], latest, "a read sees the write of its connection before it");
            }
            if xid % 1000 == 0 {
                bystander.is_served();
            }
        }
        sent.join().expect("the writer ends").expect("all requests left");
    });
}

#[test]
fn a_client_that_does_not_read_takes_little_memory_and_disturbs_nobody() {
    each(same, |server| {
        let mut bystander = Bystander::of(server.addr());
        let mut slow = Client::connect(server.addr()).expect("a session");
        let large = vec![b'x'; LARGE];
        assert_eq!(slow.call(&Request::create("/large", &large, 0)).expect("a reply").err, 0);
        let before = memory_peak(server.pid());
        let requests: Vec<u8> = (1..=UNREAD)
            .flat_map(|xid| {
                Encoder::new().buffer(Some(&Request::get_data("/large", false).encode(xid))).finish()
            })
            .collect();
        let mut writer = slow.wire().writer().expect("a second handle");
        let sent = thread::spawn(move || writer.write_all(&requests));
        for _ in 0..200 {
            bystander.is_served();
        }
        for xid in 1..=UNREAD {
            let payload = frame(slow.wire());
            assert_eq!(payload[..4], xid.to_be_bytes());
            assert!(payload.len() > LARGE);
        }
        sent.join().expect("the writer ends").expect("all requests left");
        bystander.is_served();
        let grown = memory_peak(server.pid()) - before;
        // Java keeps all that is unread.
        assert!(is_java() || grown < MEMORY_GROWN_MAX, "{grown} bytes for a client that does not read");
    });
}

#[test]
fn events_for_a_client_that_does_not_read_disturb_nobody() {
    each(same, |server| {
        let mut deaf = Client::connect(server.addr()).expect("a session");
        let root = "/".into();
        deaf.call(&Request::AddWatch { path: root, mode: 1 }).expect("a reply");
        let mut writer = Client::connect(server.addr()).expect("a session");
        let path = format!("/{}", "long".repeat(500));
        writer.call(&Request::create(&path, b"", 0)).expect("a reply");
        for _ in 0..20 {
            writer.send_all(&vec![Request::set_data(&path, b"", -1); 250]).expect("the requests leave");
            for _ in 0..250 {
                assert_eq!(writer.next_reply().expect("a reply").err, 0);
            }
        }
        // Either it is told all of it in the end, or it was cut off.
        let mut events = 0;
        while events < 5001 {
            match deaf.wire().receive(DEADLINE).expect("the socket can be read") {
                Received::Frame(payload) => {
                    assert_eq!(payload[..4], (-1_i32).to_be_bytes());
                    events += 1;
                }
                Received::Closed => break,
                Received::Silence => panic!("{events} events, then silence"),
            }
        }
        assert_eq!(writer.call(&Request::exists(&path, false)).expect("a reply").err, 0);
    });
}

#[test]
fn a_vector_that_claims_to_be_endless_takes_no_memory() {
    each(same, |server| {
        let mut client = Client::connect(server.addr()).expect("a session");
        let before = memory_peak(server.pid());
        for op in [op::SET_WATCHES, op::SET_WATCHES2] {
            let mut body = Encoder::new();
            body.long(0).int(i32::MAX);
            let reply = client.call(&Request::Raw { op, body: body.finish().into() }).expect("a reply");
            assert_eq!(reply.err, MARSHALLING_ERROR);
        }
        let mut body = Encoder::new();
        body.buffer(Some(b"/a")).buffer(None).int(i32::MAX);
        let create = Request::Raw { op: op::CREATE, body: body.finish().into() };
        assert_eq!(client.call(&create).expect("a reply").err, MARSHALLING_ERROR);
        let grown = memory_peak(server.pid()) - before;
        assert!(is_java() || grown < MEMORY_GROWN_MAX, "{grown} bytes for three short requests");
    });
}

fn frame(wire: &mut Wire) -> Vec<u8> {
    match wire.receive(DEADLINE).expect("the socket can be read") {
        Received::Frame(payload) => payload,
        other => panic!("expected a frame, got {other:?}"),
    }
}

/// The most memory that the process ever had resident, in bytes.
fn memory_peak(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("the server runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("Linux tells it");
    let kib: u64 = line.trim().trim_end_matches(" kB").parse().expect("a number");
    kib * 1024
}

fn same(settings: Settings) -> Settings {
    settings
}

const OUTSTANDING: i32 = 20_000;
/// A session that outlasts what is done in it, on a busy machine too.
const SHORT_MS: i32 = 3000;

/// Replies that nobody reads come to 600 MB.
const LARGE: usize = 300_000;
const UNREAD: i32 = 2_000;
const MEMORY_GROWN_MAX: u64 = 64 << 20;
const MARSHALLING_ERROR: i32 = -5;
