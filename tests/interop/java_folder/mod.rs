//! One folder, served by Java and by ringkeeper in turn: each finds what the other has left.

mod build;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use ringkeeper_core::Alone;
use ringkeeper_core::acl::Interner;
use ringkeeper_core::format::snapshot::{Compression, Snapshot, SnapshotName};
use ringkeeper_core::tree::TreeOptions;
use ringkeeper_kit::java::{self, Release};
use ringkeeper_kit::server::{Server, Settings};
use ringkeeper_kit::wire::{Client, ConnectRequest, ConnectResponse, Request};

use crate::picture::{SUPER_DIGEST, assert_same, picture_of, super_user};
use build::must;
pub(crate) use build::{Owners, build, change};

#[test]
fn a_folder_of_3_4_14_that_was_killed_goes_to_ringkeeper_and_back() {
    let properties = [("zookeeper.snapCount", "12")];
    travel(&Journey { release: Release::V3_4, end: Server::kill, separate: true, properties: &properties });
}

#[test]
fn a_folder_of_3_4_14_that_was_stopped_goes_to_ringkeeper_and_back() {
    travel(&Journey { release: Release::V3_4, end: stop, separate: false, properties: &[] });
}

#[test]
fn a_folder_of_3_5_10_that_was_killed_goes_to_ringkeeper_and_back() {
    let properties = [("zookeeper.snapCount", "12")];
    travel(&Journey { release: Release::V3_5, end: Server::kill, separate: false, properties: &properties });
}

#[test]
fn a_folder_of_3_6_4_with_gzip_that_was_killed_goes_to_ringkeeper_and_back() {
    let properties = [("zookeeper.snapCount", "12"), ("zookeeper.snapshot.compression.method", "gz")];
    travel(&Journey { release: Release::V3_6, end: Server::kill, separate: true, properties: &properties });
}

#[test]
fn a_folder_of_3_9_5_with_snappy_that_was_killed_goes_to_ringkeeper_and_back() {
    let properties = [("zookeeper.snapCount", "12"), ("zookeeper.snapshot.compression.method", "snappy")];
    travel(&Journey { release: Release::V3_9, end: Server::kill, separate: true, properties: &properties });
}

#[test]
fn a_folder_of_3_9_5_that_was_stopped_goes_to_ringkeeper_and_back() {
    travel(&Journey { release: Release::V3_9, end: stop, separate: false, properties: &[] });
}

#[test]
fn two_histories_in_one_folder_are_refused_and_not_mixed() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let place = Place { root: folder.path(), separate: false };
    let java = || place.settle(java::server());
    let ringkeeper = || place.settle(crate::ringkeeper_server());
    let write = |server: &Server, path: &str| {
        let mut client = Client::connect(server.addr()).expect("a session");
        must(&mut client, &Request::create(path, b"", 0));
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

/// From Java to ringkeeper, to Java and to ringkeeper again.
struct Journey<'a> {
    release: Release,
    /// How Java ends, with sessions open.
    end: fn(&mut Server),
    /// Whether `dataLogDir` is another folder than `dataDir`.
    separate: bool,
    /// What Java is started with the first time.
    properties: &'a [(&'a str, &'a str)],
}

fn travel(journey: &Journey<'_>) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let place = Place { root: folder.path(), separate: journey.separate };
    let java = || place.settle(java::server_of(journey.release));
    let ringkeeper = || place.settle(crate::ringkeeper_server());

    let set = |settings: Settings, (name, value): &(&str, &str)| settings.property(name, value);
    let mut server = journey.properties.iter().fold(java(), set).start();
    let owners = build(&server, journey.release);
    let built = view(&server);
    (journey.end)(&mut server);
    let left_by_java = place.javas_files();
    let mut expected = built.nodes;
    if journey.release < Release::V3_6 {
        // These can lose the time of a parent's last change, so they are asked what they left.
        let again = of_a_copy(&place, &left_by_java, java::server_of(journey.release));
        expected = assert_same_but_older_pzxids(again, &expected);
    }

    let mut server = ringkeeper().start();
    let mut found = view(&server);
    if journey.release == Release::V3_4 && !has_snapshot(&left_by_java) {
        adopt_config_node(&mut found.nodes, &expected);
    }
    assert_same(&found.nodes, &expected, "ringkeeper starts from Java's files");
    assert_eq!(found.opened_at, built.closed_at + 1, "and goes on with the next zxid");
    owners.staying.iter().for_each(|owner| assert_lives(&server, owner));
    close_leaving(&server, &owners);
    change(&server, "by ringkeeper");
    let changed = view(&server);
    assert!(!changed.nodes.iter().any(|line| line.starts_with("/leaving ")));
    server.kill();
    server.start();
    assert_same(&view(&server).nodes, &changed.nodes, "after a kill, Java's files and our log together");
    assert_eq!(server.stop().code(), Some(0));
    assert_eq!(place.javas_files_among(&left_by_java), left_by_java, "Java's files are as Java left them");
    let sessions = owners.staying.iter().map(|owner| (owner.session, owner.timeout_ms));
    assert_eq!(place.sessions_in_newest_snapshot(), sessions.collect());

    let mut server = java().start();
    assert_same(&view(&server).nodes, &changed.nodes, "Java goes on from ringkeeper's snapshot");
    owners.staying.iter().for_each(|owner| assert_lives(&server, owner));
    change(&server, "by Java");
    let changed = view(&server);
    server.kill();

    let mut server = ringkeeper().start();
    assert_same(&view(&server).nodes, &changed.nodes, "ringkeeper goes on from Java's log, after a kill");
    owners.staying.iter().for_each(|owner| assert_lives(&server, owner));
    server.stop();
}

/// All that a server shows, and between which zxids.
struct View {
    nodes: Vec<String>,
    opened_at: i64,
    closed_at: i64,
}

fn view(server: &Server) -> View {
    let mut client = super_user(server.addr());
    let opened_at = client.call(&Request::exists("/", false)).expect("a reply").zxid;
    let nodes = picture_of(&mut client);
    View { nodes, opened_at, closed_at: client.close().expect("the session closes").zxid }
}

fn has_snapshot(files: &BTreeMap<PathBuf, Vec<u8>>) -> bool {
    let names = files.keys().filter_map(|path| path.file_name()).map(|name| name.to_string_lossy());
    names.into_iter().any(|name| SnapshotName::parse(&name).is_some())
}

/// What a server that is started on a copy of these files shows.
fn of_a_copy(place: &Place<'_>, files: &BTreeMap<PathBuf, Vec<u8>>, settings: Settings) -> Vec<String> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for (path, bytes) in files {
        let copy = folder.path().join(path.strip_prefix(place.root).expect("a file of the place"));
        fs::create_dir_all(copy.parent().expect("a folder")).expect("a folder");
        fs::write(copy, bytes).expect("a copy");
    }
    let copy = Place { root: folder.path(), separate: place.separate };
    view(&copy.settle(settings).start()).nodes
}

/// Hands back what a release before 3.6 shows of its own files, which is what it showed before, but for a
/// parent's pzxid that may be older.
///
/// If a session closes while a snapshot is written, between its parent's and its ephemeral's turn, the
/// snapshot holds neither the ephemeral nor the parent's change. The transaction that is replayed names no
/// ephemerals, so that it finds none to delete (ZOOKEEPER-3145).
fn assert_same_but_older_pzxids(again: Vec<String>, before: &[String]) -> Vec<String> {
    let split = |line: &String| -> (String, i64) {
        let (rest, pzxid) = line.rsplit_once(' ').expect("numbers");
        (rest.to_owned(), pzxid.parse().expect("a pzxid"))
    };
    let (rests, pzxids): (Vec<_>, Vec<_>) = again.iter().map(split).unzip();
    let (rests_before, pzxids_before): (Vec<_>, Vec<_>) = before.iter().map(split).unzip();
    assert_same(&rests, &rests_before, "Java starts from its own files");
    for ((rest, pzxid), before) in rests.iter().zip(pzxids).zip(pzxids_before) {
        assert!(pzxid <= before, "{rest}: a pzxid of {pzxid} after {before}");
    }
    again
}

/// A log of 3.4 that no snapshot goes before is replayed on an empty tree of today, as Java does: that has a
/// node which 3.4 did not know.
fn adopt_config_node(found: &mut Vec<String>, built: &[String]) {
    let config = found.iter().position(|line| line.starts_with("/zookeeper/config "));
    found.remove(config.expect("a node of 3.5"));
    let zookeeper = |line: &&mut String| line.starts_with("/zookeeper \"");
    let line = found.iter_mut().find(zookeeper).expect("its parent");
    let before = built.iter().find(|line| line.starts_with("/zookeeper \"")).expect("its parent");
    // Its count of changes, which is shown with the number of children taken off, and that number.
    let common = before.strip_suffix("-1 0 0 0 1 0").expect("nothing but a quota's node");
    assert_eq!(*line, format!("{common}-2 0 0 0 2 0"));
    line.clone_from(before);
}

fn stop(server: &mut Server) {
    server.stop();
}

pub(crate) fn assert_lives(server: &Server, owner: &ConnectResponse) {
    let guess = ConnectRequest { password: Some(vec![7; 16]), ..ConnectRequest::again(owner) };
    assert!(Client::connect_as(server.addr(), &guess).is_err(), "with a wrong password");
    let client = Client::connect_as(server.addr(), &ConnectRequest::again(owner)).expect("the session lives");
    assert_eq!((client.granted().session, client.granted().timeout_ms), (owner.session, owner.timeout_ms));
    client.hang_up();
}

fn close_leaving(server: &Server, owners: &Owners) {
    let again = ConnectRequest::again(&owners.leaving);
    let mut client = Client::connect_as(server.addr(), &again).expect("the session lives");
    must(&mut client, &Request::exists("/leaving", false));
    client.close().expect("the session closes");
}

/// Where the data lies, for whoever serves it.
struct Place<'a> {
    root: &'a Path,
    separate: bool,
}

impl Place<'_> {
    fn settle(&self, settings: Settings) -> Settings {
        let settings = settings
            .config("dataDir", self.root.join("data").display())
            .config("maxSessionTimeout", 3_600_000)
            .property(SUPER_DIGEST.0, SUPER_DIGEST.1)
            .property("zookeeper.extendedTypesEnabled", true)
            .property("zookeeper.preAllocSize", 64);
        match self.separate {
            true => settings.config("dataLogDir", self.root.join("log").display()),
            false => settings,
        }
    }

    /// The content of all of Java's files.
    fn javas_files(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let folders = ["data", "log"].map(|name| self.root.join(name).join("version-2"));
        let entries = folders.iter().filter_map(|folder| fs::read_dir(folder).ok()).flatten().flatten();
        let is_javas = |path: &PathBuf| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            name.starts_with("log.") || name.starts_with("snapshot.")
        };
        let paths = entries.map(|entry| entry.path()).filter(is_javas);
        let read: BTreeMap<_, _> =
            paths.map(|path| (path.clone(), fs::read(&path).expect("a file"))).collect();
        assert!(!read.is_empty(), "Java has written something");
        read
    }

    /// The same, but only of those that were there before.
    fn javas_files_among(&self, before: &BTreeMap<PathBuf, Vec<u8>>) -> BTreeMap<PathBuf, Vec<u8>> {
        self.javas_files().into_iter().filter(|(path, _)| before.contains_key(path)).collect()
    }

    /// The sessions and their timeouts.
    fn sessions_in_newest_snapshot(&self) -> BTreeMap<i64, i32> {
        let folder = self.root.join("data/version-2");
        let names = fs::read_dir(&folder).expect("the folder").flatten();
        let names = names.filter_map(|entry| SnapshotName::parse(&entry.file_name().to_string_lossy()));
        let newest = names.max().expect("a snapshot");
        assert_eq!(newest.compression, Compression::None, "ringkeeper has written {newest}");
        let bytes = fs::read(folder.join(newest.to_string())).expect("the snapshot");
        let options = TreeOptions { extended_types: true, digest: true, seed: 1 };
        let snapshot = Snapshot::decode(&bytes, newest.zxid, options, &mut Interner::new(), &Alone);
        let tree = snapshot.unwrap_or_else(|error| panic!("{newest}: {error}")).tree;
        tree.sessions().iter().map(|(id, timeout_ms)| (id.0, *timeout_ms)).collect()
    }
}
