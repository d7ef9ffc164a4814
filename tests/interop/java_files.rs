//! Data folders of the real server, read here, and files written here, read by the real server.
//!
//! `RERECORD=1` keeps the folder that Java made, and what Java served of it, in `tests/fixtures/java`.

use std::env;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use ringkeeper_core::Alone;
use ringkeeper_core::acl::Interner;
use ringkeeper_core::format::java_log::{LogReader, file_name};
use ringkeeper_core::format::snapshot::{
    Compression, Packer, Sections, Snapshot, SnapshotName, SnapshotWriter,
};
use ringkeeper_core::id::Zxid;
use ringkeeper_core::jute::Reader;
use ringkeeper_core::ops::Database;
use ringkeeper_core::proto::TxnHeader;
use ringkeeper_core::tree::{DataTree, TreeOptions};
use ringkeeper_kit::deps::tests_dir;
use ringkeeper_kit::java;
use ringkeeper_kit::server::{Server, Settings};
use ringkeeper_kit::wire::{Acl, Client, ConnectRequest, Request, Text, op};

use crate::picture::{picture, picture_of};

#[test]
fn a_folder_of_java_s_holds_what_java_served_of_it() {
    let data_dir = tempfile::tempdir().expect("a temporary folder");
    let (served, last) = make_folder(data_dir.path());
    let folder = data_dir.path().join("version-2");
    for compression in [Compression::None, Compression::Gzip, Compression::Snappy] {
        let name = SnapshotName { zxid: last, compression };
        let read = load(&folder, name);
        assert_eq!(picture(&read.tree), served, "{name}");
        assert_eq!(read.sections.last_zxid, Some(last), "{name}");
    }
    let first = SnapshotName { zxid: Zxid::ZERO, compression: Compression::None };
    let replayed = replay(load(&folder, first).tree, &folder.join(file_name(Zxid(1))));
    assert_eq!(picture(&replayed), served);
    assert_eq!(replayed.last_zxid(), last);
    if env::var_os("RERECORD").is_some() {
        record(&folder, &served);
    }
}

#[test]
fn java_starts_from_snapshots_that_were_written_here() {
    let (tree, sections) = recorded();
    let expected = picture(&tree);
    for (compression, sections) in [
        (Compression::None, Sections::default()),
        (Compression::Gzip, sections),
        (Compression::Snappy, sections),
    ] {
        let data_dir = tempfile::tempdir().expect("a temporary folder");
        let folder = data_dir.path().join("version-2");
        fs::create_dir(&folder).expect("a new folder");
        store(&tree, sections, &folder, SnapshotName { zxid: tree.last_zxid(), compression });
        let served = serve(data_dir.path(), |addr| picture_of(&mut observer(addr)));
        assert_eq!(served, without_sessions(&expected), "{compression:?}");
    }
}

#[test]
fn a_log_replayed_over_a_later_state_leads_where_it_leads_java() {
    let (tree, _) = recorded();
    let data_dir = tempfile::tempdir().expect("a temporary folder");
    let folder = data_dir.path().join("version-2");
    fs::create_dir(&folder).expect("a new folder");
    let log = folder.join(file_name(Zxid(1)));
    fs::copy(fixtures().join(file_name(Zxid(1))), &log).expect("the recorded log");
    // As if the tree had been written in the course of the whole log.
    let name = SnapshotName { zxid: Zxid::ZERO, compression: Compression::None };
    store(&tree, Sections::default(), &folder, name);
    let replayed = replay(load(&folder, name).tree, &log);
    let served = serve(data_dir.path(), |addr| picture_of(&mut observer(addr)));
    assert_eq!(without_sessions(&picture(&replayed)), served);
    assert_eq!(picture(&replayed), picture(&tree));
}

/// Has Java make a log and snapshots, compressed in each way, and says what it served: with every kind of
/// node and transaction in them.
fn make_folder(data_dir: &Path) -> (Vec<String>, Zxid) {
    let server = settings(data_dir).start();
    let request = ConnectRequest { timeout_ms: 40_000, ..ConnectRequest::default() };
    let mut client = Client::connect_as(server.addr(), &request).expect("a session");
    authenticate(&mut client);
    let mut other = Client::connect(server.addr()).expect("a session");
    let must = |client: &mut Client, request: Request| {
        let reply = client.call(&request).expect("a reply");
        assert_eq!(reply.err, 0, "{request:?}");
    };
    for request in nodes() {
        must(&mut client, request);
    }
    must(&mut other, Request::create("/gone-with-its-session", b"", EPHEMERAL));
    must(&mut other, Request::CloseSession);
    let refused = client.call(&Request::delete("/missing", -1)).expect("a reply");
    assert_eq!(refused.err, NO_NODE);
    let failed = Request::Multi(vec![Request::create("/never", b"", 0), Request::delete("/missing", -1)]);
    client.call(&failed).expect("a reply");
    must(&mut client, Request::set_data("/plain", b"the last word", -1));
    let last = Zxid(client.call(&Request::exists("/", false)).expect("a reply").zxid);
    let mut served = picture_of(&mut client);
    let granted = client.hang_up();
    served.push(format!("session {:#x} {}", granted.session, granted.timeout_ms));
    stop(server);
    for method in ["", "gz", "snappy"] {
        stop(settings(data_dir).property("zookeeper.snapshot.compression.method", method).start());
    }
    (served, last)
}

fn nodes() -> Vec<Request> {
    let mine = || vec![Acl::new(31, "auth", "")];
    let create = |op, path: &str, data: Text, acl, flags| Request::Create {
        op,
        path: path.into(),
        data,
        acl: Some(acl),
        flags,
    };
    let world = |perms| Acl::new(perms, "world", "anyone");
    vec![
        Request::create("/plain", b"first", 0),
        create(op::CREATE2, "/plain/null", Text::NULL, vec![world(31)], 0),
        create(op::CREATE2, "/plain/empty", b""[..].into(), mine(), 0),
        create(op::CREATE_CONTAINER, "/container", b"c"[..].into(), vec![world(31)], 4),
        Request::create("/container/child", b"\x00\xff binary", 0),
        Request::CreateTtl {
            path: "/ttl".into(),
            data: b"t"[..].into(),
            acl: Some(vec![world(1), Acl::new(31, "auth", "")]),
            flags: 5,
            ttl: 86_400_000,
        },
        Request::create("/ephemeral", b"e", EPHEMERAL),
        Request::create("/plain/sequence-", b"", 2),
        Request::create("/plain/sequence-", b"", 3),
        Request::create("/\u{e9}\u{4e2d}", b"beyond ascii", 0),
        Request::create("/deleted", b"", 0),
        Request::create("/deleted/below", b"", 0),
        Request::delete("/deleted/below", -1),
        Request::delete("/deleted", -1),
        Request::create("/deleted", b"and back", 0),
        Request::SetAcl {
            path: "/deleted".into(),
            acl: Some(vec![Acl::new(31, "auth", ""), Acl::new(1, "ip", "127.0.0.1/8")]),
            version: -1,
        },
        Request::create("/zookeeper/quota/plain", b"", 0),
        Request::create("/zookeeper/quota/plain/zookeeper_limits", b"count=100,bytes=-1", 0),
        Request::create("/zookeeper/quota/plain/zookeeper_stats", b"count=0,bytes=0", 0),
        Request::Multi(vec![
            Request::create("/plain/multi", b"m", 0),
            Request::set_data("/plain/multi", b"mm", 0),
            Request::Check { path: "/plain".into(), version: 0 },
            Request::create("/plain/multi/gone", b"", 0),
            Request::delete("/plain/multi/gone", 0),
        ]),
        Request::set_data("/plain", b"second", -1),
    ]
}

fn without_sessions(picture: &[String]) -> Vec<String> {
    picture.iter().filter(|line| !line.starts_with("session ")).cloned().collect()
}

fn load(folder: &Path, name: SnapshotName) -> Snapshot {
    let file = fs::read(folder.join(name.to_string())).unwrap_or_else(|error| panic!("{name}: {error}"));
    assert!(name.compression.seems_whole(&file), "{name}");
    let plain = name.compression.unpack(&file, LEN_MAX).unwrap_or_else(|error| panic!("{name}: {error}"));
    Snapshot::decode(&plain, name.zxid, OPTIONS, &mut Interner::new(), &Alone)
        .unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn store(tree: &DataTree, sections: Sections, folder: &Path, name: SnapshotName) {
    let mut writer = SnapshotWriter::new(tree.freeze(), sections);
    let mut packer = Packer::new(name.compression);
    let (mut piece, mut file) = (Vec::new(), Vec::new());
    loop {
        piece.clear();
        let goes_on = writer.fill(&mut piece, 100);
        packer.push(&piece, &mut file);
        if !goes_on {
            break;
        }
    }
    packer.finish(&mut file);
    fs::write(folder.join(name.to_string()), file).expect("a file in it");
}

fn replay(tree: DataTree, log: &Path) -> DataTree {
    let file = fs::read(log).unwrap_or_else(|error| panic!("{}: {error}", log.display()));
    let mut database = Database::new(tree);
    let mut reader = LogReader::new(&file).expect("a log");
    while let Some(entry) = reader.next_entry().unwrap_or_else(|error| panic!("{error}")) {
        let (header, txn) = TxnHeader::decode(&mut Reader::new(entry.payload)).expect("a transaction");
        assert_eq!(header.zxid, entry.zxid);
        database.apply(&header, &txn, &mut ());
    }
    database.tree().clone()
}

/// The tree that Java made when the fixtures were recorded.
fn recorded() -> (DataTree, Sections) {
    let names = fs::read_dir(fixtures()).expect("the recorded files").flatten();
    let last = names.filter_map(|entry| SnapshotName::parse(&entry.file_name().to_string_lossy())).max();
    let name = SnapshotName { compression: Compression::None, ..last.expect("a recorded snapshot") };
    let read = load(&fixtures(), name);
    (read.tree, read.sections)
}

fn record(folder: &Path, served: &[String]) {
    let _ = fs::remove_dir_all(fixtures());
    fs::create_dir(fixtures()).expect("a new folder");
    for entry in fs::read_dir(folder).expect("the folder").flatten() {
        let name = entry.file_name();
        if SnapshotName::parse(&name.to_string_lossy()).is_some() || name == "log.1" {
            fs::copy(entry.path(), fixtures().join(name)).expect("a copy");
        }
    }
    fs::write(fixtures().join("served.txt"), served.join("\n") + "\n").expect("a file");
}

fn serve<T>(data_dir: &Path, ask: impl FnOnce(SocketAddr) -> T) -> T {
    let server = settings(data_dir).start();
    let answer = ask(server.addr());
    stop(server);
    answer
}

fn stop(mut server: Server) {
    server.stop();
}

fn settings(data_dir: &Path) -> Settings {
    java::server()
        .config("dataDir", data_dir.display())
        .property("zookeeper.extendedTypesEnabled", true)
        .property("zookeeper.preAllocSize", 4)
}

fn observer(addr: SocketAddr) -> Client {
    let mut client = Client::connect(addr).expect("a session");
    authenticate(&mut client);
    client
}

/// Java shows whole ACL lists to those who may change them.
fn authenticate(client: &mut Client) {
    let request = Request::Auth { scheme: "digest".into(), auth: "me:secret".into() };
    assert_eq!(client.call(&request).expect("a reply").err, 0);
}

fn fixtures() -> PathBuf {
    tests_dir().join("fixtures/java")
}

const OPTIONS: TreeOptions = TreeOptions { extended_types: true, digest: true, seed: 1 };
const LEN_MAX: usize = 1 << 20;
const EPHEMERAL: i32 = 1;
const NO_NODE: i32 = -101;
