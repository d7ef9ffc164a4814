//! What clients of a Java follower see of a ringkeeper that leads.

use std::thread;

use ringkeeper_kit::ensemble::Ensemble;
use ringkeeper_kit::ensemble::Kind::{Java, Ringkeeper};
use ringkeeper_kit::java::Release;
use ringkeeper_kit::wire::{Acl, Client, ConnectRequest, Request, create_mode, perms};

use crate::ensemble;
use crate::observe::assert_alike;

#[test]
fn each_write_that_fails_is_answered_and_takes_a_zxid() {
    let mut ensemble = led_by_ringkeeper(Release::V3_9);
    let ids = ensemble.ids();
    let mut client = Client::connect(ensemble.addr(1)).expect("a session");
    let mut expect = |err: i32, request: &Request| {
        assert_eq!(client.call(request).expect("a reply").err, err, "{request:?}");
    };
    let read_only = vec![Acl::new(perms::READ, "world", "anyone")];
    expect(0, &Request::create("/a", b"", create_mode::PERSISTENT));
    expect(0, &Request::create("/a/b", b"", create_mode::PERSISTENT));
    expect(0, &Request::create("/mine", b"", create_mode::EPHEMERAL));
    expect(0, &Request::create("/closed", b"", create_mode::PERSISTENT));
    expect(0, &Request::SetAcl { path: "/closed".into(), acl: Some(read_only), version: -1 });
    let before = zxid(&mut ensemble, 3);
    let failing = [
        (NODE_EXISTS, Request::create("/a", b"", create_mode::PERSISTENT)),
        (NO_NODE, Request::create("/absent/child", b"", create_mode::PERSISTENT)),
        (NO_CHILDREN_FOR_EPHEMERALS, Request::create("/mine/child", b"", create_mode::PERSISTENT)),
        (BAD_VERSION, Request::set_data("/a", b"", 7)),
        (NOT_EMPTY, Request::delete("/a", -1)),
        (NO_AUTH, Request::set_data("/closed", b"", -1)),
        (NO_AUTH, Request::create("/closed/child", b"", create_mode::PERSISTENT)),
        (
            0,
            Request::Multi(vec![
                Request::create("/a/c", b"", create_mode::PERSISTENT),
                Request::delete("/absent", -1),
            ]),
        ),
    ];
    for (err, request) in &failing {
        expect(*err, request);
    }
    expect(0, &Request::sync("/"));
    assert_eq!(zxid(&mut ensemble, 3) - before, failing.len() as u64);
    client.hang_up();
    assert_alike(&ensemble, &ids);
}

#[test]
fn replies_come_in_order_to_a_hundred_sessions_that_do_not_wait_for_them() {
    for release in [Release::V3_9, Release::V3_4] {
        let ensemble = led_by_ringkeeper(release);
        let addr = ensemble.addr(1);
        thread::scope(|scope| {
            for number in 0..SESSIONS {
                scope.spawn(move || {
                    let path = format!("/of-{number}");
                    let mut client = Client::connect(addr).expect("a session");
                    let mut requests = vec![Request::create(path.as_str(), b"", create_mode::PERSISTENT)];
                    for version in 0..ROUNDS {
                        requests.push(Request::set_data(path.as_str(), b"new", version));
                        requests.push(Request::sync(path.as_str()));
                        requests.push(Request::set_data(path.as_str(), b"old", version));
                        requests.push(Request::exists(path.as_str(), false));
                    }
                    client.send_all(&requests).expect("the server reads");
                    for (at, request) in requests.iter().enumerate() {
                        let reply = client.next_reply().unwrap_or_else(|error| panic!("{at}: {error}"));
                        let is_old = at > 0 && (at - 1) % 4 == 2;
                        assert_eq!(reply.err, if is_old { BAD_VERSION } else { 0 }, "{request:?}");
                    }
                    client.close().expect("a reply");
                });
            }
        });
        assert_alike(&ensemble, &ensemble.ids());
    }
}

#[test]
fn a_session_goes_from_java_to_ringkeeper_and_back_with_its_password_and_not_with_another() {
    let ensemble = led_by_ringkeeper(Release::V3_8);
    let mut client = Client::connect(ensemble.addr(1)).expect("a session");
    for id in [3, 2, 3, 1] {
        let mut stolen = ConnectRequest::again(client.granted());
        stolen.password.as_mut().expect("a password")[0] ^= 1;
        let refused = Client::connect_as(ensemble.addr(id), &stolen);
        assert!(refused.is_err_and(|error| error.kind() == std::io::ErrorKind::PermissionDenied), "{id}");
        client = crate::work::move_session(client, ensemble.addr(id));
    }
    client.close().expect("a reply");
}

/// Two Java servers that follow a ringkeeper, server 3.
fn led_by_ringkeeper(release: Release) -> Ensemble {
    let mut ensemble = ensemble(&[Java(release), Java(release), Ringkeeper], &[]);
    ensemble.start_led_by(3);
    ensemble
}

/// The last transaction that a server has.
fn zxid(ensemble: &mut Ensemble, id: u8) -> u64 {
    let answer = ensemble.server(id).word("srvr").expect("an answer");
    let zxid = answer.lines().find_map(|line| line.strip_prefix("Zxid: 0x")).expect("a zxid");
    u64::from_str_radix(zxid, 16).expect("hexadecimal")
}

const SESSIONS: usize = 100;
const ROUNDS: i32 = 10;

const NO_NODE: i32 = -101;
const NO_AUTH: i32 = -102;
const BAD_VERSION: i32 = -103;
const NO_CHILDREN_FOR_EPHEMERALS: i32 = -108;
const NODE_EXISTS: i32 = -110;
const NOT_EMPTY: i32 = -111;
