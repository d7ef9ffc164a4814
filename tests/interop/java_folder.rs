//! One folder, served by Java and by ringkeeper in turn: each finds what the other has left.

use std::path::Path;

use ringkeeper_kit::java;
use ringkeeper_kit::server::{Server, Settings};
use ringkeeper_kit::wire::{
    Acl, Body, Client, ConnectRequest, ConnectResponse, Request, Text, create_mode, op,
};

#[test]
fn a_folder_goes_from_java_to_ringkeeper_and_back_and_neither_sees_a_difference() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let java = || on(folder.path(), java::server());
    let ringkeeper = || on(folder.path(), crate::ringkeeper_server());

    let mut server = java().start();
    let owner = build(&server);
    let built = picture(&server);
    server.stop();
    let javas_files = files(folder.path());

    let mut server = ringkeeper().start();
    assert_eq!(picture(&server), built, "ringkeeper starts from Java's files, after a clean stop");
    assert_session_lives(&server, &owner);
    change(&server, "by ringkeeper");
    let changed = picture(&server);
    server.kill();
    server.start();
    assert_eq!(picture(&server), changed, "after a kill, Java's files and our log together");
    server.stop();
    for (name, content) in &javas_files {
        let now = std::fs::read(folder.path().join("version-2").join(name)).expect("Java's file is there");
        assert!(now == *content, "{name} is as Java left it");
    }

    let mut server = java().start();
    assert_eq!(picture(&server), changed, "Java goes on from ringkeeper's snapshot");
    assert_session_lives(&server, &owner);
    change(&server, "by Java");
    let changed = picture(&server);
    server.kill();

    let mut server = ringkeeper().start();
    assert_eq!(picture(&server), changed, "ringkeeper goes on from Java's snapshot and log, after a kill");
    change(&server, "by ringkeeper again");
    let changed = picture(&server);
    server.stop();
    let server = java().start();
    assert_eq!(picture(&server), changed);
}

#[test]
fn two_histories_in_one_folder_are_refused_and_not_mixed() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let java = || on(folder.path(), java::server());
    let ringkeeper = || on(folder.path(), crate::ringkeeper_server());
    let write = |server: &Server, path: &str| {
        let mut client = Client::connect(server.addr()).expect("a session");
        assert_eq!(client.call(&Request::create(path, b"", 0)).expect("a reply").err, 0);
        client.close().expect("the session closes");
    };
    let mut server = ringkeeper().start();
    write(&server, "/common");
    server.stop();
    server.start();
    write(&server, "/only-in-ringkeeper");
    server.kill();
    // Java knows nothing of the write after the last snapshot, and gives its zxid to another.
    let mut server = java().start();
    write(&server, "/only-in-java");
    server.kill();
    let refused = ringkeeper().try_start().err().expect("two histories");
    assert!(refused.log.contains("both have a transaction"), "{}", refused.log);
    assert_eq!(refused.status.and_then(|status| status.code()), Some(1));
}

/// Every kind of node, and what can be on it.
pub(crate) fn build(server: &Server) -> ConnectResponse {
    let long = ConnectRequest { timeout_ms: i32::MAX, ..ConnectRequest::default() };
    let mut client = Client::connect_as(server.addr(), &long).expect("a session");
    let created = [
        Request::create("/persistent", b"data", 0),
        Request::create("/persistent/child", b"", 0),
        Request::create("/persistent/gone", b"", 0),
        Request::create("/persistent/s-", b"", create_mode::PERSISTENT_SEQUENTIAL),
        Request::create("/ephemeral", b"mine", create_mode::EPHEMERAL),
        with_op(Request::create("/container", b"", create_mode::CONTAINER), op::CREATE_CONTAINER),
        Request::create("/container/child", b"", 0),
        ttl("/brief", 3_600_000),
        with_data(Request::create("/null", b"", 0), Text::from_bytes(None)),
        Request::create("/large", &vec![b'x'; 500_000], 0),
        Request::create("/ünïcödé", "é".as_bytes(), 0),
        with_acl(Request::create("/readable", b"", 0), vec![Acl::new(1, "world", "anyone")]),
        with_acl(
            Request::create("/shared", b"", 0),
            vec![
                Acl::new(31, "digest", "bob:hash"),
                Acl::new(1, "world", "anyone"),
                Acl::new(3, "ip", "10.0.0.0/8"),
            ],
        ),
        Request::create("/zookeeper/quota/persistent", b"", 0),
        Request::create("/zookeeper/quota/persistent/zookeeper_limits", b"count=10,bytes=-1", 0),
        Request::create("/zookeeper/quota/persistent/zookeeper_stats", b"", 0),
    ];
    for request in created {
        assert_eq!(client.call(&request).expect("a reply").err, 0, "{request:?}");
    }
    let multi = Request::Multi(vec![
        Request::set_data("/persistent", b"newer", 0),
        Request::create("/by-multi", b"", 0),
        Request::delete("/persistent/gone", -1),
    ]);
    assert_eq!(client.call(&multi).expect("a reply").err, 0);
    let failed = Request::Multi(vec![Request::set_data("/large", b"", -1), Request::delete("/missing", -1)]);
    assert_eq!(client.call(&failed).expect("a reply").err, 0);
    let open = Some(vec![Acl::new(31, "world", "anyone")]);
    let opened = Request::SetAcl { path: "/by-multi".into(), acl: open, version: 0 };
    assert_eq!(client.call(&opened).expect("a reply").err, 0);
    client.hang_up()
}

/// Some of each kind of change, on top of whatever is there.
pub(crate) fn change(server: &Server, who: &str) {
    let mut client = Client::connect(server.addr()).expect("a session");
    let requests = [
        Request::create("/persistent/s-", who.as_bytes(), create_mode::PERSISTENT_SEQUENTIAL),
        Request::set_data("/persistent", who.as_bytes(), -1),
        Request::create("/passing", b"", create_mode::EPHEMERAL),
        Request::Multi(vec![
            Request::delete("/by-multi", -1),
            Request::create("/by-multi", who.as_bytes(), 0),
        ]),
    ];
    for request in requests {
        assert_eq!(client.call(&request).expect("a reply").err, 0, "{request:?}");
    }
    client.close().expect("the session closes");
}

pub(crate) fn assert_session_lives(server: &Server, owner: &ConnectResponse) {
    let client = Client::connect_as(server.addr(), &ConnectRequest::again(owner)).expect("the session lives");
    assert_eq!(client.granted().session, owner.session);
    client.hang_up();
}

/// Every node below the root: data, stat and ACL.
pub(crate) fn picture(server: &Server) -> Vec<String> {
    let mut client = Client::connect(server.addr()).expect("a session");
    let (mut lines, mut pending) = (Vec::new(), vec!["/".to_owned()]);
    while let Some(path) = pending.pop() {
        let text = || Text::from(path.as_str());
        let data = client.call(&Request::GetData { path: text(), watch: false }).expect("a reply").body;
        let Body::Data(data, stat) = data else { panic!("getData of {path}: {data:?}") };
        let data = data.map(|data| match data.len() {
            0..100 => String::from_utf8_lossy(&data).into_owned(),
            len => format!("{len} bytes"),
        });
        let acl = client.call(&Request::GetAcl { path: text() }).expect("a reply").body;
        let Body::Acl(acl, _) = acl else { panic!("getACL of {path}: {acl:?}") };
        lines.push(format!("{path} {data:?} {stat:?} {acl:?}"));
        let children =
            client.call(&Request::GetChildren { path: text(), watch: false }).expect("a reply").body;
        let Body::Children(mut children) = children else { panic!("getChildren of {path}: {children:?}") };
        children.sort();
        let base = if path == "/" { "" } else { &path };
        pending.extend(children.iter().map(|child| format!("{base}/{}", child.lossy())));
    }
    client.close().expect("the session closes");
    lines
}

pub(crate) fn on(folder: &Path, settings: Settings) -> Settings {
    settings
        .config("dataDir", folder.display())
        .config("maxSessionTimeout", 3_600_000)
        .property("zookeeper.extendedTypesEnabled", true)
        .property("zookeeper.preAllocSize", 1024)
}

/// The files of Java's, by name.
fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let entries =
        std::fs::read_dir(folder.join("version-2")).expect("a folder").map(|entry| entry.expect("an entry"));
    let named = entries.map(|entry| (entry.file_name().to_string_lossy().into_owned(), entry.path()));
    let javas = named.filter(|(name, _)| name.starts_with("log.") || name.starts_with("snapshot."));
    let read: Vec<_> = javas.map(|(name, path)| (name, std::fs::read(path).expect("a file"))).collect();
    assert!(!read.is_empty(), "Java has written something");
    read
}

fn ttl(path: &str, ttl: i64) -> Request {
    match Request::create(path, b"", PERSISTENT_WITH_TTL) {
        Request::Create { path, data, acl, flags, .. } => Request::CreateTtl { path, data, acl, flags, ttl },
        other => other,
    }
}

fn with_op(mut request: Request, number: i32) -> Request {
    if let Request::Create { op, .. } = &mut request {
        *op = number;
    }
    request
}

fn with_data(mut request: Request, text: Text) -> Request {
    if let Request::Create { data, .. } = &mut request {
        *data = text;
    }
    request
}

fn with_acl(mut request: Request, list: Vec<Acl>) -> Request {
    if let Request::Create { acl, .. } = &mut request {
        *acl = Some(list);
    }
    request
}

const PERSISTENT_WITH_TTL: i32 = 5;
