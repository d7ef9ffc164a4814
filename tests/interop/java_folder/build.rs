//! The tree that travels, with every kind of node and of transaction that a release knows.

use ringkeeper_kit::java::Release;
use ringkeeper_kit::server::Server;
use ringkeeper_kit::wire::{
    Acl, Client, ConnectRequest, ConnectResponse, Request, Text, create_mode, op, open_acl,
};

/// Sessions that are open when the server ends.
pub(crate) struct Owners {
    /// Two of different timeouts, which have ephemerals and stay to the end of the journey.
    pub staying: [ConnectResponse; 2],
    /// One that ringkeeper is to close, whose ephemeral is `/leaving`.
    pub leaving: ConnectResponse,
}

/// Makes the tree on a server of this release.
pub(crate) fn build(server: &Server, release: Release) -> Owners {
    let connect = |timeout_ms| {
        let request = ConnectRequest { timeout_ms, ..ConnectRequest::default() };
        Client::connect_as(server.addr(), &request).expect("a session")
    };
    let mut first = connect(i32::MAX);
    let mut second = connect(600_000);
    let mut leaving = connect(i32::MAX);
    must(&mut first, &Request::Auth { scheme: "digest".into(), auth: "me:secret".into() });
    nodes(release).iter().for_each(|request| must(&mut first, request));
    if release >= Release::V3_5 {
        timed_nodes().iter().for_each(|request| must(&mut first, request));
    }
    changes().iter().for_each(|request| must(&mut first, request));
    for (request, err) in failures() {
        assert_eq!(first.call(&request).expect("a reply").err, err, "{request:?}");
    }
    must(&mut second, &Request::create("/by-second", b"2", create_mode::EPHEMERAL));
    must(&mut second, &Request::create("/plain/e-", b"", create_mode::EPHEMERAL_SEQUENTIAL));
    must(&mut leaving, &Request::create("/leaving", b"", create_mode::EPHEMERAL));
    for round in 0..5 {
        let mut passing = connect(10_000);
        must(&mut passing, &Request::create("/passing", b"", create_mode::EPHEMERAL));
        must(&mut passing, &Request::create("/plain/e-", b"", create_mode::EPHEMERAL_SEQUENTIAL));
        must(&mut passing, &Request::set_data("/plain", format!("round {round}").as_bytes(), -1));
        must(&mut passing, &Request::CloseSession);
    }
    Owners { staying: [first.hang_up(), second.hang_up()], leaving: leaving.hang_up() }
}

/// Some of each kind of change, on top of whatever is there.
pub(crate) fn change(server: &Server, who: &str) {
    let mut client = Client::connect(server.addr()).expect("a session");
    let requests = [
        Request::create("/plain/s-", who.as_bytes(), create_mode::PERSISTENT_SEQUENTIAL),
        Request::set_data("/plain", who.as_bytes(), -1),
        Request::create("/passing", b"", create_mode::EPHEMERAL),
        Request::SetAcl {
            path: "/open".into(),
            acl: Some(vec![Acl::new(31, "ip", "127.0.0.1")]),
            version: -1,
        },
        Request::SetAcl { path: "/open".into(), acl: open_acl(), version: -1 },
        Request::Multi(vec![
            Request::delete("/by-multi", -1),
            Request::create("/by-multi", who.as_bytes(), 0),
        ]),
    ];
    requests.iter().for_each(|request| must(&mut client, request));
    client.close().expect("the session closes");
}

pub(super) fn must(client: &mut Client, request: &Request) {
    let reply = client.call(request).expect("a reply");
    assert_eq!(reply.err, 0, "{request:?}");
}

fn nodes(release: Release) -> Vec<Request> {
    let limits = "/zookeeper/quota/plain/zookeeper_limits";
    let null = Text::from_bytes(None);
    vec![
        Request::create("/plain", b"data", 0),
        Request::create("/plain/child", b"", 0),
        Request::create("/plain/gone", b"", 0),
        Request::create("/plain/s-", b"", create_mode::PERSISTENT_SEQUENTIAL),
        Request::create("/plain/s-", b"", create_mode::PERSISTENT_SEQUENTIAL),
        Request::create("/ephemeral", b"mine", create_mode::EPHEMERAL),
        node("/null", null, open_acl()),
        Request::create("/large", &vec![b'x'; 900_000], 0),
        Request::create("/open", b"", 0),
        Request::create("/ünïcödé", "é".as_bytes(), 0),
        Request::create("/日本語", b"", 0),
        Request::create("/日本語/ with spaces ", b"\x00\xff\n", 0),
        Request::create("/日本語/%2F..~'\"", b"", 0),
        Request::create("/...", b"", 0),
        node("/readable", "".into(), Some(vec![Acl::new(1, "world", "anyone")])),
        node("/mine", "".into(), Some(vec![Acl::new(31, "auth", "")])),
        node("/mine/child", "".into(), Some(vec![Acl::new(31, "auth", ""), Acl::new(1, "world", "anyone")])),
        node("/shared", "".into(), Some(shared_acl(release))),
        Request::create("/zookeeper/quota/plain", b"", 0),
        Request::create(limits, b"count=100,bytes=-1", 0),
        Request::create("/zookeeper/quota/plain/zookeeper_stats", b"count=0,bytes=0", 0),
    ]
}

/// Containers and nodes with a time to live, which came with 3.5.
fn timed_nodes() -> Vec<Request> {
    let container = |path: &str| Request::Create {
        op: op::CREATE_CONTAINER,
        path: path.into(),
        data: "".into(),
        acl: open_acl(),
        flags: create_mode::CONTAINER,
    };
    let ttl = |path: &str, flags, ttl| Request::CreateTtl {
        path: path.into(),
        data: "t".into(),
        acl: open_acl(),
        flags,
        ttl,
    };
    vec![
        container("/container"),
        Request::create("/container/child", b"", 0),
        container("/container/inner"),
        ttl("/brief", create_mode::PERSISTENT_WITH_TTL, 3_600_000),
        ttl("/brief/s-", create_mode::PERSISTENT_SEQUENTIAL_WITH_TTL, 0xff_ffff_ffff),
    ]
}

fn changes() -> Vec<Request> {
    vec![
        Request::Multi(vec![
            Request::set_data("/plain", b"newer", 0),
            Request::Check { path: "/plain".into(), version: 1 },
            Request::create("/by-multi", b"", 0),
            Request::create("/by-multi-ephemeral", b"", create_mode::EPHEMERAL),
            Request::delete("/plain/gone", -1),
        ]),
        Request::SetAcl { path: "/by-multi".into(), acl: Some(vec![Acl::new(31, "auth", "")]), version: 0 },
        Request::SetAcl { path: "/by-multi".into(), acl: open_acl(), version: 1 },
        Request::set_data("/plain/child", b"some bytes", 0),
        Request::SetData { path: "/null".into(), data: Text::from_bytes(None), version: 0 },
    ]
}

/// Each leaves its error in the log; that of a multi comes within its reply.
fn failures() -> [(Request, i32); 4] {
    let multi = Request::Multi(vec![Request::set_data("/large", b"", -1), Request::delete("/missing", -1)]);
    [
        (Request::delete("/missing", -1), NO_NODE),
        (Request::set_data("/plain", b"", 77), BAD_VERSION),
        (Request::create("/plain", b"", 0), NODE_EXISTS),
        (multi, 0),
    ]
}

fn shared_acl(release: Release) -> Vec<Acl> {
    // 3.4 takes no network for an address.
    let hosts = if release >= Release::V3_5 { "10.0.0.0/8" } else { "10.0.0.1" };
    vec![Acl::new(31, "digest", "bob:hash"), Acl::new(1, "world", "anyone"), Acl::new(3, "ip", hosts)]
}

fn node(path: &str, data: Text, acl: Option<Vec<Acl>>) -> Request {
    Request::Create { op: op::CREATE, path: path.into(), data, acl, flags: create_mode::PERSISTENT }
}

const NO_NODE: i32 = -101;
const BAD_VERSION: i32 = -103;
const NODE_EXISTS: i32 = -110;
