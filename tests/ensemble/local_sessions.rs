//! Sessions that one server alone knows (`localSessionsEnabled`; ensemble-scenarios I11), with servers of both kinds in every
//! role.

use ringkeeper_kit::ensemble::Ensemble;
use ringkeeper_kit::ensemble::Kind::{self, Java, Ringkeeper};
use ringkeeper_kit::java::Release;
use ringkeeper_kit::server::until;
use ringkeeper_kit::wire::{Body, Client, ConnectRequest, Request, SubResult, create_mode, op};

use crate::ensemble;

const JAVA: Kind = Java(Release::V3_9);

#[test]
fn local_sessions_are_upgraded_as_by_java_whoever_leads() {
    let java = seen([JAVA; 3], true);
    for kinds in [[Ringkeeper; 3], [JAVA, JAVA, Ringkeeper], [Ringkeeper, Ringkeeper, JAVA]] {
        assert_eq!(seen(kinds, true), java, "{kinds:?}");
    }
}

#[test]
fn local_sessions_without_upgrading_own_nothing_as_by_java() {
    let java = seen([JAVA; 3], false);
    for kinds in [[Ringkeeper; 3], [JAVA, JAVA, Ringkeeper], [Ringkeeper, Ringkeeper, JAVA]] {
        assert_eq!(seen(kinds, false), java, "{kinds:?}");
    }
}

/// What clients of a follower and of the leader, which is the last, see.
fn seen(kinds: [Kind; 3], upgrades: bool) -> Vec<String> {
    let mut ensemble = ensemble(&kinds, &[])
        .config("localSessionsEnabled", true)
        .config("localSessionsUpgradingEnabled", upgrades);
    ensemble.start_led_by(3);
    let mut seen = Vec::new();
    for (id, other) in [(1, 2), (3, 1)] {
        let shown = through(&mut ensemble, id, other);
        seen.extend(shown.into_iter().map(|line| format!("server {id}: {line}")));
    }
    seen
}

fn through(ensemble: &mut Ensemble, id: u8, other: u8) -> Vec<String> {
    let mut seen = Vec::new();
    let (addr, elsewhere) = (ensemble.addr(id), ensemble.addr(other));
    let mut client = Client::connect(addr).expect("a session");
    let session = client.granted().clone();
    let mut expect = |client: &mut Client, request: &Request| {
        let reply = client.call(request).expect("a reply");
        let owner = match reply.body {
            Body::Stat(stat) | Body::PathStat(_, stat) => stat.ephemeral_owner == client.granted().session,
            _ => false,
        };
        let parts: Vec<i32> = match reply.body {
            Body::Results(results) => results.iter().map(part).collect(),
            _ => Vec::new(),
        };
        // Of the zxid the counter: the epoch may be any.
        seen.push(format!(
            "{}: {} at {} {owner} {parts:?}",
            request.opcode(),
            reply.err,
            reply.zxid & 0xffff_ffff
        ));
    };
    let under = |name: &str| format!("/{name}-{id}");
    let ephemeral = |name: &str| Request::create(under(name), b"", create_mode::EPHEMERAL);
    for request in [
        Request::create(under("node"), b"", create_mode::PERSISTENT),
        Request::set_data(under("node"), b"data", -1),
        Request::sync("/"),
        Request::Multi(vec![Request::set_data(under("node"), b"more", -1)]),
        Request::Create {
            op: op::CREATE_CONTAINER,
            path: under("container").into(),
            data: "".into(),
            acl: ringkeeper_kit::wire::open_acl(),
            flags: 4,
        },
    ] {
        expect(&mut client, &request);
    }
    let figures = |ensemble: &mut Ensemble| {
        let mntr = ensemble.server(id).word("mntr").expect("an answer");
        let mut figures: Vec<&str> = mntr
            .lines()
            .filter(|line| line.contains("l_sessions\t") || line.contains("zk_ephemerals_count"))
            .collect();
        figures.sort_unstable();
        figures.join(", ")
    };
    let local = figures(ensemble);
    let moved = Client::connect_as(elsewhere, &ConnectRequest::again(&session)).is_ok();
    expect(&mut client, &Request::Multi(vec![ephemeral("in-multi"), Request::delete(under("node"), 9)]));
    expect(&mut client, &ephemeral("mine"));
    expect(&mut client, &Request::exists(under("mine"), false));
    expect(&mut client, &Request::Multi(vec![ephemeral("in-multi")]));
    expect(&mut client, &Request::create(under("other"), b"", create_mode::PERSISTENT));
    let upgraded = figures(ensemble);
    expect(&mut client, &Request::CloseSession);
    let mut client = Client::connect(addr).expect("a session");
    expect(&mut client, &Request::sync("/"));
    expect(&mut client, &Request::exists(under("mine"), false));
    expect(&mut client, &Request::CloseSession);

    // One with an ephemeral can move, if there is such a thing.
    let mut client = Client::connect(addr).expect("a session");
    expect(&mut client, &ephemeral("moving"));
    let session = client.hang_up();
    let moves = match Client::connect_as(elsewhere, &ConnectRequest::again(&session)) {
        Ok(mut client) => {
            expect(&mut client, &Request::exists(under("moving"), false));
            expect(&mut client, &Request::CloseSession);
            true
        }
        Err(_) => {
            let mut client = Client::connect_as(addr, &ConnectRequest::again(&session)).expect("it stayed");
            expect(&mut client, &Request::CloseSession);
            false
        }
    };

    // One that nobody is heard of ends, at the server that alone knows it.
    let short = ConnectRequest { timeout_ms: 1, ..ConnectRequest::default() };
    let session = Client::connect_as(addr, &short).expect("a session").hang_up();
    until("a local session expires", || {
        let mntr = ensemble.server(id).word("mntr").expect("an answer");
        mntr.contains("zk_local_sessions\t0\n")
    });
    let lives = Client::connect_as(addr, &ConnectRequest::again(&session)).is_ok();
    seen.push(format!("{local}; {upgraded}; moved {moved}, then {moves}; lives {lives}"));
    seen
}

/// The operation of a part of a multi that is done, or the error of one that is not.
fn part(result: &SubResult) -> i32 {
    match result {
        SubResult::Done(op, _) => *op,
        SubResult::Failed(code) => *code,
    }
}
