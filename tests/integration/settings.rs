//! What keys of zoo.cfg and system properties change, seen from outside.

use std::time::Duration;

use ringkeeper_kit::server::Settings;
use ringkeeper_kit::wire::{Acl, Body, Client, Received, Request, create_mode};

use crate::peers::each;

#[test]
fn an_empty_container_and_an_outlived_ttl_node_are_reaped_and_their_watchers_hear_of_it() {
    let soon = |settings: Settings| {
        settings
            .property("znode.container.checkIntervalMs", 100)
            .property("zookeeper.extendedTypesEnabled", true)
    };
    each(soon, |server| {
        let mut client = Client::connect(server.addr()).expect("a session");
        // The reaper may be quicker than we: the watch comes first.
        let everything = Request::AddWatch { path: "/".into(), mode: RECURSIVE };
        assert_eq!(client.call(&everything).expect("a reply").err, 0);
        create(&mut client, &container("/queue"));
        create(&mut client, &container("/unused"));
        create(&mut client, &ttl("/brief", 1));
        create(&mut client, &ttl("/lasting", 3_600_000));
        create(&mut client, &Request::create("/queue/last", b"", 0));
        assert_eq!(client.call(&Request::delete("/queue/last", -1)).expect("a reply").err, 0);

        let mut gone = Vec::new();
        while gone.len() < 3 {
            let event = client.next_event(DEADLINE).expect("the socket can be read").expect("an event");
            if event.kind == NODE_DELETED {
                gone.push(event.path.lossy());
            }
        }
        gone.sort();
        assert_eq!(gone, ["/brief", "/queue", "/queue/last"]);
        for path in ["/unused", "/lasting"] {
            assert_eq!(client.call(&Request::exists(path, false)).expect("a reply").err, 0, "{path} stays");
        }
    });
}

#[test]
fn nodes_with_a_time_to_live_need_the_extended_types() {
    each(same, |server| {
        let mut client = Client::connect(server.addr()).expect("a session");
        assert_eq!(client.call(&ttl("/brief", 1)).expect("a reply").err, UNIMPLEMENTED);
    });
}

#[test]
fn skip_acl_lets_everybody_do_everything() {
    let skip = |settings: Settings| settings.property("zookeeper.skipACL", "yes");
    each(skip, |server| {
        let mut client = Client::connect(server.addr()).expect("a session");
        create(&mut client, &closed("/closed"));
        assert_eq!(client.call(&Request::get_data("/closed", false)).expect("a reply").err, 0);
        assert_eq!(client.call(&Request::delete("/closed", -1)).expect("a reply").err, 0);
    });
}

#[test]
fn the_super_user_s_password_is_hashed_as_configured() {
    // super:secret, as SHA-256.
    let hash = |settings: Settings| {
        settings
            .property("zookeeper.DigestAuthenticationProvider.digestAlg", "SHA-256")
            .property("zookeeper.DigestAuthenticationProvider.superDigest", SUPER_SECRET_SHA_256)
    };
    each(hash, |server| {
        let mut client = Client::connect(server.addr()).expect("a session");
        create(&mut client, &closed("/closed"));
        let read = Request::get_data("/closed", false);
        assert_eq!(client.call(&read).expect("a reply").err, NO_AUTH);
        assert_eq!(client.call(&auth("super:wrong")).expect("a reply").err, 0);
        assert_eq!(client.call(&read).expect("a reply").err, NO_AUTH);
        assert_eq!(client.call(&auth("super:secret")).expect("a reply").err, 0);
        assert_eq!(client.call(&read).expect("a reply").err, 0);
    });
}

#[test]
fn enforced_authentication_turns_away_who_has_not_proven_himself() {
    let enforce = |settings: Settings| {
        settings
            .property("zookeeper.enforce.auth.enabled", true)
            .property("zookeeper.enforce.auth.schemes", "digest")
    };
    each(enforce, |server| {
        let mut stranger = Client::connect(server.addr()).expect("a session");
        let refused = stranger.call(&Request::get_data("/", false)).expect("a reply");
        assert_eq!(refused.err, SESSION_CLOSED_REQUIRE_AUTH);
        stranger.await_close(DEADLINE).expect("the connection ends");
        let mut known = Client::connect(server.addr()).expect("a session");
        assert_eq!(known.call(&auth("bob:secret")).expect("a reply").err, 0);
        assert_eq!(known.call(&Request::get_data("/", false)).expect("a reply").err, 0);
    });
}

#[test]
fn digest_can_be_switched_off() {
    let off = |settings: Settings| settings.property("zookeeper.DigestAuthenticationProvider.enabled", false);
    each(off, |server| {
        let mut client = Client::connect(server.addr()).expect("a session");
        assert_eq!(client.call(&auth("bob:secret")).expect("a reply").err, AUTH_FAILED);
        client.await_close(DEADLINE).expect("the connection ends");
    });
}

#[test]
fn hard_quotas_hold_where_they_are_enforced() {
    let enforce = |settings: Settings| settings.property("zookeeper.enforceQuota", true);
    each(enforce, |server| {
        let mut client = Client::connect(server.addr()).expect("a session");
        create(&mut client, &Request::create("/a", b"", 0));
        create(&mut client, &Request::create("/zookeeper/quota/a", b"", 0));
        let limits = b"count=-1,bytes=-1=;byteHardLimit=3;countHardLimit=2";
        create(&mut client, &Request::create("/zookeeper/quota/a/zookeeper_limits", limits, 0));
        create(&mut client, &Request::create("/zookeeper/quota/a/zookeeper_stats", b"", 0));
        create(&mut client, &Request::create("/a/1", b"", 0));
        let refused = [Request::create("/a/2", b"", 0), Request::set_data("/a/1", b"long", -1)];
        for request in refused {
            assert_eq!(client.call(&request).expect("a reply").err, QUOTA_EXCEEDED);
        }
        let stats = client.call(&Request::get_data("/zookeeper/quota/a/zookeeper_stats", false));
        let Body::Data(stats, _) = stats.expect("a reply").body else { panic!("no data") };
        assert_eq!(stats.as_deref(), Some(&b"count=2,bytes=0"[..]));
    });
}

#[test]
fn max_cnxns_holds_over_all_addresses() {
    let two = |settings: Settings| settings.property("zookeeper.maxCnxns", 2);
    each(two, |server| {
        let _held = [0, 1].map(|_| Client::connect(server.addr()).expect("a session"));
        let mut excess = ringkeeper_kit::wire::Wire::dial(server.addr()).expect("a connection");
        assert_eq!(excess.receive(DEADLINE).expect("the socket can be read"), Received::Closed);
    });
}

fn create(client: &mut Client, request: &Request) {
    assert_eq!(client.call(request).expect("a reply").err, 0, "{request:?}");
}

fn container(path: &str) -> Request {
    match Request::create(path, b"", create_mode::CONTAINER) {
        Request::Create { path, data, acl, flags, .. } => {
            Request::Create { op: CREATE_CONTAINER, path, data, acl, flags }
        }
        other => other,
    }
}

fn ttl(path: &str, ttl_ms: i64) -> Request {
    match Request::create(path, b"", PERSISTENT_WITH_TTL) {
        Request::Create { path, data, acl, flags, .. } => {
            Request::CreateTtl { path, data, acl, flags, ttl: ttl_ms }
        }
        other => other,
    }
}

/// A node that nobody may do anything with.
fn closed(path: &str) -> Request {
    match Request::create(path, b"", 0) {
        Request::Create { op, path, data, flags, .. } => {
            let acl = Some(vec![Acl::new(0, "world", "anyone")]);
            Request::Create { op, path, data, acl, flags }
        }
        other => other,
    }
}

fn auth(user_and_password: &str) -> Request {
    Request::Auth { scheme: "digest".into(), auth: user_and_password.into() }
}

fn same(settings: Settings) -> Settings {
    settings
}

const DEADLINE: Duration = Duration::from_secs(30);
const RECURSIVE: i32 = 1;
const NODE_DELETED: i32 = 2;
const CREATE_CONTAINER: i32 = 19;
const PERSISTENT_WITH_TTL: i32 = 5;
const UNIMPLEMENTED: i32 = -6;
const NO_AUTH: i32 = -102;
const AUTH_FAILED: i32 = -115;
const SESSION_CLOSED_REQUIRE_AUTH: i32 = -124;
const QUOTA_EXCEEDED: i32 = -125;
const SUPER_SECRET_SHA_256: &str = "super:WTA5ucCHTdJq645xIMibj8HviTPeB5mMuJ4/+v1dIEw=";
