//! The handshake (client-protocol §3).

use ringkeeper_kit::server::Settings;
use ringkeeper_kit::wire::{Client, ConnectRequest, ConnectResponse, Encoder, Received, Request, Wire};

use super::{Bystander, DEADLINE, assert_closed_without_a_word};
use crate::peers::each;

#[test]
fn a_client_up_to_3_3_is_answered_without_the_read_only_byte() {
    each(same, |server| {
        for (read_only, len) in [(None, 36), (Some(false), 37), (Some(true), 37)] {
            let mut wire = Wire::dial(server.addr()).expect("a connection");
            let request = ConnectRequest { read_only, ..ConnectRequest::default() };
            wire.send_frame(&request.encode()).expect("the frame leaves");
            let Received::Frame(payload) = wire.receive(DEADLINE).expect("the socket can be read") else {
                panic!("no answer to {request:?}");
            };
            assert_eq!(payload.len(), len);
            let response = ConnectResponse::decode(&payload).expect("a ConnectResponse");
            assert_eq!(response.read_only, read_only.map(|_| false));
            assert!(response.granted());
        }
    });
}

#[test]
fn bytes_behind_a_connect_request_in_its_frame_are_ignored() {
    each(same, |server| {
        let mut wire = Wire::dial(server.addr()).expect("a connection");
        let longer = [ConnectRequest::default().encode(), b"of a later version".to_vec()].concat();
        wire.send_frame(&longer).expect("the frame leaves");
        assert!(matches!(wire.receive(DEADLINE), Ok(Received::Frame(payload)) if payload.len() == 37));
    });
}

#[test]
fn a_timeout_is_clamped_between_the_least_and_the_greatest() {
    let bounds =
        |settings: Settings| settings.config("minSessionTimeout", 5_000).config("maxSessionTimeout", 50_000);
    each(bounds, |server| {
        let clamped = [
            (i32::MIN, 5_000),
            (-1, 5_000),
            (0, 5_000),
            (4_999, 5_000),
            (5_000, 5_000),
            (5_001, 5_001),
            (50_001, 50_000),
            (i32::MAX, 50_000),
        ];
        for (timeout_ms, granted_ms) in clamped {
            let request = ConnectRequest { timeout_ms, ..ConnectRequest::default() };
            let client = Client::connect_as(server.addr(), &request).expect("a session");
            assert_eq!(client.granted().timeout_ms, granted_ms, "asked for {timeout_ms}");
        }
    });
}

#[test]
fn a_reattached_session_has_the_timeout_that_was_asked_for_last() {
    each(same, |server| {
        let first = Client::connect(server.addr()).expect("a session").hang_up();
        let again = ConnectRequest { timeout_ms: 20_000, ..ConnectRequest::again(&first) };
        let second = Client::connect_as(server.addr(), &again).expect("the same session");
        let expected = ConnectResponse { timeout_ms: 20_000, ..first };
        assert_eq!(*second.granted(), expected);
    });
}

#[test]
fn a_client_from_the_future_is_closed_without_a_word() {
    each(same, |server| {
        let mut client = Client::connect(server.addr()).expect("a session");
        let last_zxid_seen = client.call(&Request::create("/a", b"", 0)).expect("a reply").zxid;
        let seen = |last_zxid_seen| ConnectRequest { last_zxid_seen, ..ConnectRequest::default() };
        // Each grant takes a zxid itself, so the present is asked for first.
        assert!(Client::connect_as(server.addr(), &seen(last_zxid_seen)).is_ok());
        for ahead in [last_zxid_seen + 1_000, i64::MAX] {
            let mut wire = Wire::dial(server.addr()).expect("a connection");
            wire.send_frame(&seen(ahead).encode()).expect("the frame leaves");
            assert_closed_without_a_word(&mut wire, &format!("last zxid seen {ahead:#x}"));
        }
        assert_eq!(client.call(&Request::exists("/a", false)).expect("a reply").err, 0);
    });
}

#[test]
fn a_password_may_be_anything_where_there_is_no_session_yet() {
    each(same, |server| {
        for password in [None, Some(vec![]), Some(vec![1; 3]), Some(vec![1; 400])] {
            let request = ConnectRequest { password, ..ConnectRequest::default() };
            let client = Client::connect_as(server.addr(), &request).expect("a session");
            assert_eq!(client.granted().password.as_ref().map(Vec::len), Some(16));
        }
    });
}

#[test]
fn an_unknown_session_is_refused_and_then_closed() {
    each(same, |server| {
        let known = Client::connect(server.addr()).expect("a session").hang_up();
        let unknown = ConnectRequest { session: known.session + 1_000, ..ConnectRequest::again(&known) };
        let mut wire = Wire::dial(server.addr()).expect("a connection");
        let refused = wire.handshake(&unknown, DEADLINE).expect("an answer").expect("a ConnectResponse");
        let nothing = ConnectResponse {
            protocol_version: 0,
            timeout_ms: 0,
            session: 0,
            password: Some(vec![0; 16]),
            read_only: Some(false),
        };
        assert_eq!(refused, nothing);
        assert_closed_without_a_word(&mut wire, "a refused session");
    });
}

#[test]
fn requests_behind_a_connect_request_wait_for_the_session() {
    each(same, |server| {
        let mut wire = Wire::dial(server.addr()).expect("a connection");
        let mut bytes = Encoder::new();
        bytes.buffer(Some(&ConnectRequest::default().encode()));
        for xid in 1..=500 {
            bytes.buffer(Some(&Request::exists("/", false).encode(xid)));
        }
        wire.send_bytes(&bytes.finish()).expect("the bytes leave");
        assert!(matches!(wire.receive(DEADLINE), Ok(Received::Frame(payload)) if payload.len() == 37));
        for xid in 1..=500_i32 {
            let Ok(Received::Frame(payload)) = wire.receive(DEADLINE) else { panic!("no reply to {xid}") };
            assert_eq!(payload[..4], xid.to_be_bytes());
        }
    });
}

#[test]
fn a_connection_without_a_handshake_is_closed_in_time() {
    let soon = |settings: Settings| settings.property("zookeeper.nio.sessionlessCnxnTimeout", 400);
    each(soon, |server| {
        let mut silent = Wire::dial(server.addr()).expect("a connection");
        let mut hesitant = Wire::dial(server.addr()).expect("a connection");
        hesitant.send_bytes(&ConnectRequest::default().encode()[..20]).expect("the bytes leave");
        let mut bystander = Bystander::of(server.addr());
        assert_closed_without_a_word(&mut silent, "a connection that says nothing");
        assert_closed_without_a_word(&mut hesitant, "a connection that says half");
        bystander.is_served();
    });
}

fn same(settings: Settings) -> Settings {
    settings
}
