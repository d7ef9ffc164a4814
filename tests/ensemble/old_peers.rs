//! What was not there yet in ZooKeeper 3.4 (ensemble-scenarios H6): a server of that release breaks off the connection to a
//! leader that tells it of such a transaction.

use ringkeeper_kit::ensemble::Ensemble;
use ringkeeper_kit::ensemble::Kind::{Java, Ringkeeper};
use ringkeeper_kit::java::Release;
use ringkeeper_kit::wire::{Body, Client, Request, SubResult, create_mode, op, open_acl};

use crate::ensemble;
use crate::work::write_every_kind;

#[test]
fn h6_nothing_reaches_a_server_of_3_4_that_it_cannot_read() {
    let mut ensemble = ensemble(&[Java(Release::V3_4), Java(Release::V3_9), Ringkeeper], &[])
        .property("zookeeper.extendedTypesEnabled", true);
    ensemble.start_led_by(3);
    // While it follows, what it knows is written, and what it does not know is refused, whoever is asked.
    for (id, refusal) in [(2, UNIMPLEMENTED), (3, UNIMPLEMENTED)] {
        for request in later_than_3_4(&format!("/new-{id}")) {
            assert_eq!(ask(&ensemble, id, &request), refusal, "{request:?}");
        }
    }
    for id in [1, 2, 3] {
        let mut client = Client::connect(ensemble.addr(id)).expect("a session");
        write_every_kind(&mut client, &format!("/old-{id}"));
        client.close().expect("a reply");
    }
    assert!(!ensemble.server(1).log().contains(TROUBLE));

    // Without it they may do what they can, and it gets the outcome as a whole when it is back.
    ensemble.server(1).kill();
    for request in later_than_3_4("/new") {
        assert_eq!(ask(&ensemble, 2, &request), 0, "{request:?}");
    }
    ensemble.start(&[1]);
    for path in ["/new-create2", "/new-container", "/new-ttl", "/new-multi"] {
        assert_eq!(ask(&ensemble, 1, &Request::exists(path, false)), 0, "{path}");
    }
    assert_eq!(ask(&ensemble, 1, &Request::create("/again", b"", create_mode::PERSISTENT)), 0);
    assert_eq!(ask(&ensemble, 3, &Request::exists("/again", false)), 0);
    assert_eq!(ask(&ensemble, 3, &later_than_3_4("/newer")[0]), UNIMPLEMENTED);
    assert!(!ensemble.server(1).log().contains(TROUBLE));
}

fn ask(ensemble: &Ensemble, id: u8, request: &Request) -> i32 {
    let mut client = Client::connect(ensemble.addr(id)).expect("a session");
    let reply = client.call(&Request::sync("/")).expect("a reply");
    assert_eq!(reply.err, 0);
    let reply = client.call(request).expect("a reply");
    client.close().expect("a reply");
    match &reply.body {
        Body::Results(results) => match results[..] {
            [SubResult::Failed(err)] => err,
            _ => 0,
        },
        _ => reply.err,
    }
}

fn later_than_3_4(prefix: &str) -> [Request; 4] {
    let create = |op: i32, name: &str, flags: i32| Request::Create {
        op,
        path: format!("{prefix}-{name}").into(),
        data: b"".as_slice().into(),
        acl: open_acl(),
        flags,
    };
    [
        create(op::CREATE2, "create2", create_mode::PERSISTENT),
        create(op::CREATE_CONTAINER, "container", create_mode::CONTAINER),
        Request::CreateTtl {
            path: format!("{prefix}-ttl").into(),
            data: b"".as_slice().into(),
            acl: open_acl(),
            flags: create_mode::PERSISTENT_WITH_TTL,
            ttl: 1_000_000,
        },
        Request::Multi(vec![create(op::CREATE2, "multi", create_mode::PERSISTENT)]),
    ]
}

/// What it logs when it gets what it cannot read.
const TROUBLE: &str = "Unsupported Txn";
const UNIMPLEMENTED: i32 = -6;
