//! Frames (client-protocol §2).

use ringkeeper_kit::server::{Server, Settings};
use ringkeeper_kit::wire::{
    Body, Client, ConnectRequest, Encoder, Message, Received, Request, Wire, create_mode, op,
};

use super::{Bystander, DEADLINE, assert_closed_without_a_word, data};
use crate::peers::{each, is_java};

#[test]
fn bytes_that_are_no_frame_close_their_connection_alone() {
    each(default, |server| {
        let mut bystander = Bystander::of(server.addr());
        for (what, bytes) in NO_FRAMES {
            let mut fresh = Wire::dial(server.addr()).expect("a connection");
            let address = fresh.local_addr().expect("an address").to_string();
            fresh.send_bytes(bytes).expect("the bytes leave");
            assert_closed_without_a_word(&mut fresh, &format!("{what}, before the handshake"));
            assert_logged(server, &mut bystander, &address, what);

            let mut client = Client::connect(server.addr()).expect("a session");
            let wire = client.wire();
            let address = wire.local_addr().expect("an address").to_string();
            wire.send_bytes(bytes).expect("the bytes leave");
            assert_closed_without_a_word(wire, &format!("{what}, after the handshake"));
            assert_logged(server, &mut bystander, &address, what);
            bystander.is_served();
        }
    });
}

#[test]
fn a_connect_request_that_is_cut_short_closes_its_connection() {
    each(default, |server| {
        let whole = ConnectRequest::default().encode();
        // All but the last byte, which only clients since 3.4 send.
        for len in 1..whole.len() - 1 {
            let mut wire = Wire::dial(server.addr()).expect("a connection");
            wire.send_frame(&whole[..len]).expect("the frame leaves");
            assert_closed_without_a_word(&mut wire, &format!("a ConnectRequest of {len} bytes"));
        }
        Bystander::of(server.addr()).is_served();
    });
}

#[test]
fn a_body_that_cannot_be_decoded_is_answered_and_the_connection_stays() {
    each(default, |server| {
        let mut client = Client::connect(server.addr()).expect("a session");
        let cut = Request::Raw { op: op::CREATE, body: vec![0, 0, 0, 9, b'/'].into() };
        assert_eq!(client.call(&cut).expect("a reply").err, MARSHALLING_ERROR);
        let endless = Request::Raw { op: op::GET_DATA, body: i32::MAX.to_be_bytes().to_vec().into() };
        assert_eq!(client.call(&endless).expect("a reply").err, MARSHALLING_ERROR);
        assert_eq!(client.call(&Request::exists("/", false)).expect("a reply").err, 0);
    });
}

#[test]
fn a_frame_of_exactly_the_limit_is_served_and_one_byte_more_closes() {
    for limit in [None, Some(4096)] {
        let with_limit = |settings: Settings| match limit {
            None => settings,
            Some(limit) => settings.property("jute.maxbuffer", limit),
        };
        each(with_limit, |server| {
            let limit = limit.unwrap_or(0xfffff);
            let mut client = Client::connect(server.addr()).expect("a session");
            client.call(&Request::create("/a", b"", 0)).expect("a reply");
            let set = |len: usize| Request::set_data("/a", &vec![b'x'; len], -1);
            let data_len = limit - set(0).encode(1).len();
            assert_eq!(client.call(&set(data_len)).expect("a reply").err, 0, "limit {limit}");
            assert_eq!(data(&mut client, "/a").map(|data| data.len()), Some(data_len));
            let _ = client.send(&set(data_len + 1)); // The server may close before it has all.
            client.await_close(DEADLINE).expect("the server closes");
            let mut other = Client::connect(server.addr()).expect("a session");
            assert_eq!(data(&mut other, "/a").map(|data| data.len()), Some(data_len));
        });
    }
}

#[test]
fn frames_that_come_byte_by_byte_are_read_as_if_whole() {
    each(default, |server| {
        let mut bystander = Bystander::of(server.addr());
        let mut wire = Wire::dial(server.addr()).expect("a connection");
        for byte in conversation("/bytes") {
            wire.send_bytes(&[byte]).expect("the byte leaves");
        }
        assert_conversation_answered(&mut wire, "/bytes");
        bystander.is_served();
    });
}

#[test]
fn frames_that_are_cut_in_two_anywhere_are_read_as_if_whole() {
    each(default, |server| {
        let mut bystander = Bystander::of(server.addr());
        for cut in 1..conversation("/cut000").len() {
            let path = format!("/cut{cut:03}");
            let bytes = conversation(&path);
            let mut wire = Wire::dial(server.addr()).expect("a connection");
            wire.send_bytes(&bytes[..cut]).expect("the first part leaves");
            bystander.is_served();
            wire.send_bytes(&bytes[cut..]).expect("the second part leaves");
            assert_conversation_answered(&mut wire, &path);
        }
    });
}

#[test]
fn what_a_connection_left_unfinished_goes_with_it() {
    each(default, |server| {
        let mut bystander = Bystander::of(server.addr());
        let whole = conversation("/unfinished");
        for len in (1..whole.len()).step_by(7) {
            let mut wire = Wire::dial(server.addr()).expect("a connection");
            wire.send_bytes(&whole[..len]).expect("the part leaves");
            wire.hang_up();
            bystander.is_served();
        }
    });
}

fn default(settings: Settings) -> Settings {
    settings.config("maxClientCnxns", 0)
}

/// A handshake, a create and a getData, without waiting for replies.
fn conversation(path: &str) -> Vec<u8> {
    let create = Request::create(path, b"data", create_mode::EPHEMERAL).encode(1);
    let get = Request::get_data(path, false).encode(2);
    let frames = [ConnectRequest::default().encode(), create, get];
    frames.iter().flat_map(|payload| Encoder::new().buffer(Some(payload)).finish()).collect()
}

fn assert_conversation_answered(wire: &mut Wire, path: &str) {
    assert_eq!(frame(wire).len(), CONNECT_RESPONSE_LEN);
    let Message::Reply(created) = Message::decode(&frame(wire), op::CREATE) else { panic!("no reply") };
    assert_eq!((created.xid, created.err, created.body), (1, 0, Body::Path(path.into())));
    let Message::Reply(read) = Message::decode(&frame(wire), op::GET_DATA) else { panic!("no reply") };
    assert_eq!((read.xid, read.err), (2, 0));
    assert!(matches!(read.body, Body::Data(Some(data), _) if data == b"data"));
}

fn frame(wire: &mut Wire) -> Vec<u8> {
    match wire.receive(DEADLINE).expect("the socket can be read") {
        Received::Frame(payload) => payload,
        other => panic!("expected a frame, got {other:?}"),
    }
}

/// One line of ringkeeper's log names the peer. Java's log has its own habits.
fn assert_logged(server: &Server, bystander: &mut Bystander, address: &str, what: &str) {
    if is_java() {
        return;
    }
    for _ in 0..1000 {
        // The log may be written a moment after the close.
        if server.log().contains(address) {
            break;
        }
        bystander.is_served();
    }
    let lines = server.log().lines().filter(|line| line.contains(address)).count();
    assert_eq!(lines, 1, "lines of the log that name {address}, which sent {what}");
}

/// What no frame may be; each is to be sent before a handshake and behind one.
const NO_FRAMES: &[(&str, &[u8])] = &[
    ("the length -1", &[0xff, 0xff, 0xff, 0xff]),
    ("the least length", &[0x80, 0, 0, 0]),
    ("a length over the limit", &[0, 0x10, 0, 0]),
    ("the greatest length", &[0x7f, 0xff, 0xff, 0xff]),
    ("an empty frame", &[0, 0, 0, 0]),
    ("a frame of seven bytes", &[0, 0, 0, 7, 0, 0, 0, 1, 0, 0, 0]),
    ("a browser's request", b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"),
    ("a TLS hello", &[0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xfc]),
];

const CONNECT_RESPONSE_LEN: usize = 37;
const MARSHALLING_ERROR: i32 = -5;
