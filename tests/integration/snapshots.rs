//! Snapshots while the server serves: when they are written, and what is in them.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use ringkeeper_core::Alone;
use ringkeeper_core::acl::Interner;
use ringkeeper_core::format::snapshot::{Snapshot, SnapshotName};
use ringkeeper_core::tree::{DataTree, TreeOptions};
use ringkeeper_kit::server::{Server, Settings, until};
use ringkeeper_kit::wire::{Client, Request};

use crate::peers::{each, peers};

#[test]
fn a_new_server_leaves_a_snapshot_of_nothing_as_java_does() {
    for peer in peers() {
        let server = peer.start();
        server.until_logged("is written", 1);
        let found: Vec<_> =
            snapshots(&server).iter().map(|it| (it.name.to_string(), it.tree.node_count())).collect();
        assert_eq!(found, [("snapshot.0".to_owned(), 5)]);
    }
}

#[test]
fn each_snapshot_written_while_clients_write_is_exactly_the_state_at_its_zxid() {
    // None of them goes before it is looked at.
    let settings = |peer: Settings| peer.config("snapCount", 100).config("autopurge.purgeInterval", 0);
    each(settings, |server| {
        let written = write(server);
        assert_eq!(server.stop().code(), Some(0));
        let snapshots = snapshots(server);
        assert!(snapshots.len() >= GROUPS);
        for snapshot in snapshots {
            let expected = expected_at(snapshot.name.zxid.0, &written);
            assert_eq!(nodes_of(&snapshot.tree), expected, "{}", snapshot.name);
        }
    });
}

#[test]
fn three_snapshots_stay_and_the_log_behind_the_second() {
    let settings = |peer: Settings| peer.config("snapCount", 100).config("preAllocSize", SEGMENT_KIB);
    each(settings, |server| {
        let written = write(server);
        let folder = server.data_dir().join("version-2");
        let log_begins =
            || file_names(&folder).iter().filter_map(|name| first_zxid(name)).min().expect("a log");
        until("the first segment, which snapshots cover, is recycled", || log_begins() > 1);
        assert_eq!(server.stop().code(), Some(0));
        let kept = snapshots(server);
        assert_eq!(kept.len(), 3);
        assert!(log_begins() <= kept[1].name.zxid.0 + 1, "{} and {}", log_begins(), kept[1].name);
        // From the second snapshot and the log, all is found again.
        fs::remove_file(&kept[2].path).expect("the newest snapshot");
        server.start();
        assert!(server.log().contains(&format!("{} is loaded", kept[1].path.display())));
        assert_eq!(server.stop().code(), Some(0));
        let newest = snapshots(server).pop().expect("a snapshot");
        assert_eq!(nodes_of(&newest.tree), expected_at(i64::MAX, &written));
    });
}

#[test]
fn a_killed_server_starts_from_its_newest_snapshot_and_the_log_behind_it() {
    each_with("snapCount", 100, |server| {
        write(server);
        server.kill();
        let newest = snapshots(server).pop().expect("a snapshot").path;
        server.start();
        assert!(server.log().contains(&format!("{} is loaded", newest.display())), "{}", newest.display());
        let mut client = Client::connect(server.addr()).expect("a session");
        for round in 0..GROUPS * ROUNDS_EACH {
            for at in 0..BATCH {
                let exists = client.call(&Request::exists(path(round, at).as_str(), false)).expect("a reply");
                assert_eq!(exists.err == 0, !is_deleted(at), "{}", path(round, at));
            }
        }
    });
}

#[test]
fn snapshots_are_compressed_as_configured_and_read_again() {
    for method in ["gz", "snappy"] {
        each_with("snapshot.compression.method", method, |server| {
            let mut client = Client::connect(server.addr()).expect("a session");
            let data = vec![b'x'; 200_000];
            assert_eq!(client.call(&Request::create("/large", &data, 0)).expect("a reply").err, 0);
            assert_eq!(server.stop().code(), Some(0));
            let newest = snapshots(server).pop().expect("a snapshot");
            assert!(
                newest.path.to_string_lossy().ends_with(&format!(".{method}")),
                "{}",
                newest.path.display()
            );
            assert!(fs::metadata(&newest.path).expect("a file").len() < 50_000, "it is compressed");
            server.start();
            let mut client = Client::connect(server.addr()).expect("a session");
            let exists = client.call(&Request::exists("/large", false)).expect("a reply");
            assert_eq!(exists.err, 0);
        });
    }
}

/// Writes in groups, each of which makes a snapshot due, and returns each write by its zxid.
fn write(server: &Server) -> BTreeMap<i64, Request> {
    let mut client = Client::connect(server.addr()).expect("a session");
    let mut written = BTreeMap::new();
    for group in 0..GROUPS {
        for round in 0..ROUNDS_EACH {
            let batch: Vec<Request> =
                (0..BATCH).flat_map(|at| writes(group * ROUNDS_EACH + round, at)).collect();
            client.send_all(&batch).expect("the requests leave");
            for request in batch {
                let reply = client.next_reply().expect("a reply");
                assert_eq!(reply.err, 0, "{request:?}");
                written.insert(reply.zxid, request);
            }
        }
        // One was written at the start.
        server.until_logged("is written", group + 2);
    }
    written
}

fn file_names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry"));
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

/// The zxid in the name of a segment of the log that has records.
fn first_zxid(name: &str) -> Option<i64> {
    i64::from_str_radix(name.strip_prefix("wal.")?, 16).ok()
}

fn each_with(key: &str, value: impl std::fmt::Display, test: impl Fn(&mut Server)) {
    let settings = |peer: Settings| peer.config(key, &value);
    each(settings, test);
}

/// Three writes to one node, of which some take it away again.
fn writes(round: usize, at: usize) -> [Request; 3] {
    let path = path(round, at);
    let last = match is_deleted(at) {
        true => Request::delete(&path, -1),
        false => Request::set_data(&path, &[b'3'; 10_000], -1),
    };
    [Request::create(&path, b"first", 0), Request::set_data(&path, b"second", -1), last]
}

fn path(round: usize, at: usize) -> String {
    format!("/n-{round}-{at}")
}

fn is_deleted(at: usize) -> bool {
    at.is_multiple_of(3)
}

/// What the nodes hold when everything up to `zxid` has been done and nothing else.
fn expected_at(zxid: i64, written: &BTreeMap<i64, Request>) -> BTreeMap<String, Vec<u8>> {
    let mut nodes = BTreeMap::new();
    for request in written.range(..=zxid).map(|(_, request)| request) {
        match request {
            Request::Create { path, data, .. } | Request::SetData { path, data, .. } => {
                nodes.insert(path.lossy(), data.lossy().into_bytes());
            }
            Request::Delete { path, .. } => {
                nodes.remove(&path.lossy());
            }
            other => panic!("{other:?} is not among the writes"),
        }
    }
    nodes
}

fn nodes_of(tree: &DataTree) -> BTreeMap<String, Vec<u8>> {
    let written = tree.walk().filter(|found| found.node.path().starts_with("/n-"));
    let entry = |node: &ringkeeper_core::tree::Node| {
        (node.path().to_owned(), node.data().unwrap_or_default().to_vec())
    };
    written.map(|found| entry(found.node)).collect()
}

struct OnDisk {
    name: SnapshotName,
    path: PathBuf,
    tree: DataTree,
}

/// The server's snapshots, the oldest first, each of which must be whole.
fn snapshots(server: &Server) -> Vec<OnDisk> {
    let folder = server.data_dir().join("version-2");
    let entries = fs::read_dir(&folder).expect("the server's folder").map(|entry| entry.expect("an entry"));
    let named = entries.filter_map(|entry| {
        let name = SnapshotName::parse(entry.file_name().to_str()?)?;
        Some((name, entry.path()))
    });
    let mut found: Vec<OnDisk> = named.map(|(name, path)| load(name, path)).collect();
    found.sort_by_key(|snapshot| snapshot.name);
    found
}

fn load(name: SnapshotName, path: PathBuf) -> OnDisk {
    let file = fs::read(&path).expect("a snapshot");
    let plain = name.compression.unpack(&file, 1 << 30).unwrap_or_else(|error| panic!("{name}: {error}"));
    let options = TreeOptions { extended_types: true, digest: true, seed: 0 };
    let read = Snapshot::decode(&plain, name.zxid, options, &mut Interner::new(), &Alone);
    OnDisk { name, path, tree: read.unwrap_or_else(|error| panic!("{name}: {error}")).tree }
}

const GROUPS: usize = 6;
const ROUNDS_EACH: usize = 5;
const BATCH: usize = 20;
const SEGMENT_KIB: u32 = 1024;
