//! Requests beyond the number that may be in process (`request_throttle_*`, `throttled_op_wait_time`), at a follower whose
//! leader does not move.

use ringkeeper_kit::ensemble::Kind::{self, Java, Ringkeeper};
use ringkeeper_kit::java::Release;
use ringkeeper_kit::server::{START_TIMEOUT, Server, until};
use ringkeeper_kit::wire::{Client, ConnectRequest, Received, Request, Wire, create_mode};
use rustix::process::Signal;

use crate::ensemble;

#[test]
fn requests_beyond_the_number_in_process_wait_in_line_and_fail_or_are_dropped_as_by_java() {
    let java = seen(Java(Release::V3_9), true);
    assert_eq!(java, FAILED_AND_DROPPED);
    assert_eq!(seen(Ringkeeper, true), java);
}

#[test]
fn requests_of_clients_that_have_gone_are_carried_out_if_so_configured() {
    assert_eq!(seen(Ringkeeper, false), CARRIED_OUT);
}

#[test]
#[ignore = "shows that what the test above expects is what Java does"]
fn java_carries_out_requests_of_clients_that_have_gone_if_so_configured() {
    assert_eq!(seen(Java(Release::V3_9), false), CARRIED_OUT);
}

/// What clients and operators see of a server where one request may be in process, and one is for a time. With
/// `are_refused` requests that wait for long fail, and those of clients that have gone are dropped.
fn seen(kind: Kind, are_refused: bool) -> Vec<String> {
    let mut ensemble = ensemble(&[kind; 2], &[])
        .config("ringkeeper.layout", "single")
        .property("zookeeper.request_throttle_max_requests", 1)
        .property("zookeeper.request_throttle_stall_time", STALL_MS)
        .property("zookeeper.throttled_op_wait_time", if are_refused { 10 * STALL_MS } else { 0 })
        .property("zookeeper.request_throttle_drop_stale", are_refused)
        .property("zookeeper.request_stale_latency_check", true)
        .config("minSessionTimeout", TIMEOUT_MS);
    ensemble.start_led_by(2);
    let addr = ensemble.addr(1);
    let mut clients: Vec<Client> = (0..4).map(|_| Client::connect(addr).expect("a session")).collect();
    let [first, second, gone, ending] = &mut clients[..] else { unreachable!() };
    for (path, mode) in [("/n", create_mode::PERSISTENT), ("/mine", create_mode::EPHEMERAL)] {
        assert_eq!(ending.call(&Request::create(path, b"", mode)).expect("a reply").err, 0);
    }

    let left = Client::connect(addr).expect("a session").hang_up();
    ensemble.server(2).freeze();
    let set = Request::set_data("/n", b"new", -1);
    let get = Request::get_data("/n", false);
    first.send(&set).expect("the request leaves");
    until("one request is in process", || figure(ensemble.server(1), "outstanding_requests") == 1);
    first.send(&get).expect("the request leaves");
    second.send_all(&[get, set]).expect("the requests leave");
    gone.send(&Request::create("/of-who-has-gone", b"", 0)).expect("the request leaves");
    ending.send(&Request::CloseSession).expect("the request leaves");
    until("all requests have come", || outstanding(ensemble.server(1)) == 2 + 2 + 1 + 1);
    assert_eq!(figure(ensemble.server(1), "outstanding_requests"), 1, "who is in line does not count");
    let ending = clients.pop().expect("the last");
    ending.hang_up();
    clients.pop().expect("the one before").hang_up();
    until("who has gone has gone", || figure(ensemble.server(1), "num_alive_connections") == 2 + 1);
    // Who connects is in line as well, who comes back is not. Both have long stopped to wait when they are answered.
    let impatient = |request| ConnectRequest { timeout_ms: TIMEOUT_MS, ..request };
    let mut connecting = [(); 2].map(|()| Wire::dial(addr).expect("a connection"));
    for (wire, request) in
        connecting.iter_mut().zip([ConnectRequest::default(), ConnectRequest::again(&left)])
    {
        wire.send_frame(&impatient(request).encode()).expect("the request leaves");
    }
    until("who connects has come", || figure(ensemble.server(1), "num_alive_connections") == 2 + 2 + 1);
    let waited = figure(ensemble.server(1), "request_throttle_wait_count");
    until("time has passed", || figure(ensemble.server(1), "request_throttle_wait_count") >= waited + 2 * 10);
    ensemble.server(2).signal(Signal::CONT);

    let mut seen = Vec::new();
    for (name, client) in [("first", 0), ("second", 1)] {
        for _ in 0..2 {
            let reply = clients[client].next_reply().expect("a reply");
            seen.push(format!("{name}: {} is answered {}", reply.xid, reply.err));
        }
    }
    until("nothing is left to be done", || outstanding(ensemble.server(1)) == 0);
    let exists = |client: &mut Client, path: &str| {
        client.call(&Request::sync("/")).expect("a reply");
        client.call(&Request::exists(path, false)).expect("a reply").err == 0
    };
    let client = &mut clients[0];
    until("the session has ended that was to end", || !exists(client, "/mine"));
    seen.push(format!("created by who has gone: {}", exists(client, "/of-who-has-gone")));
    for wire in &mut connecting {
        // Which of the two comes depends on whether such a short session has expired by then.
        assert_ne!(wire.receive(START_TIMEOUT).expect("an answer, or the end"), Received::Silence);
    }
    for key in ["throttled_ops", "stale_requests", "stale_requests_dropped", "stale_replies"] {
        seen.push(format!("{key} {}", figure(ensemble.server(1), key)));
    }
    seen
}

/// A number of mntr's.
fn figure(server: &Server, key: &str) -> u64 {
    let mntr = server.word("mntr").expect("an answer");
    let value = mntr.lines().find_map(|line| line.strip_prefix(&format!("zk_{key}\t")));
    value.unwrap_or_else(|| panic!("no {key} in {mntr}")).parse().expect("a number")
}

/// How many requests of all clients have no reply.
fn outstanding(server: &Server) -> u64 {
    let cons = server.word("cons").expect("an answer");
    let queued = cons.split("queued=").skip(1).filter_map(|rest| rest.split([',', ')']).next());
    queued.map(|count| count.parse::<u64>().expect("a number")).sum()
}

const STALL_MS: u64 = 20;
/// Of who connects: shorter than what is waited for.
const TIMEOUT_MS: i32 = 100;

const FAILED_AND_DROPPED: [&str; 9] = [
    "first: 1 is answered 0",
    "first: 2 is answered -127",
    "second: 1 is answered -127",
    "second: 2 is answered -127",
    "created by who has gone: false",
    "throttled_ops 3",
    "stale_requests 0",
    "stale_requests_dropped 2",
    "stale_replies 0",
];

const CARRIED_OUT: [&str; 9] = [
    "first: 1 is answered 0",
    "first: 2 is answered 0",
    "second: 1 is answered 0",
    "second: 2 is answered 0",
    "created by who has gone: true",
    "throttled_ops 0",
    "stale_requests 2",
    "stale_requests_dropped 0",
    "stale_replies 2",
];
