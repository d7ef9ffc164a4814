//! A disk for snapshots that fails or is full, while the log's own is well.

use std::fs;
use std::path::Path;

use ringkeeper_core::Alone;
use ringkeeper_core::acl::Interner;
use ringkeeper_core::format::snapshot::{Snapshot, SnapshotName};
use ringkeeper_core::id::Zxid;
use ringkeeper_core::tree::TreeOptions;
use ringkeeper_kit::server::Server;
use ringkeeper_kit::wire::Client;

use crate::disk::Disk;
use crate::server;
use crate::writes::{Writes, connect};

#[test]
fn a_failing_disk_for_snapshots_is_reported_and_stops_nobody() {
    let Some(mut disk) = Disk::new(64) else { return };
    let log_dir = tempfile::tempdir().expect("a folder");
    let mut server = start(&disk, log_dir.path());
    let mut client = connect(server.addr()).expect("a session");
    let mut writes = Writes::of("n", 1000);
    write(&mut writes, &mut client);
    server.until_logged("is written", 2);

    disk.fail();
    until_reported(&server, &mut writes, &mut client);
    write(&mut writes, &mut client);
    writes.assert_kept(server.addr());
    assert_eq!(server.stop().code(), Some(0));

    disk.heal();
    assert!(snapshots(&disk).len() >= 2, "those written before");
    server.start();
    writes.assert_kept(server.addr());
}

#[test]
fn a_full_disk_for_snapshots_is_reported_and_they_are_written_again_once_there_is_room() {
    let Some(disk) = Disk::new(64) else { return };
    let log_dir = tempfile::tempdir().expect("a folder");
    let mut server = start(&disk, log_dir.path());
    let mut client = connect(server.addr()).expect("a session");
    let mut writes = Writes::of("n", 1000);
    write(&mut writes, &mut client);
    server.until_logged("is written", 2);

    disk.fill(0);
    until_reported(&server, &mut writes, &mut client);
    write(&mut writes, &mut client);
    assert_eq!(server.stop().code(), Some(0));
    let full = snapshots(&disk);
    server.start();
    writes.assert_kept(server.addr());

    disk.make_room();
    assert_eq!(server.stop().code(), Some(0));
    assert!(snapshots(&disk).last() > full.last(), "there is one of the final state");
    server.start();
    writes.assert_kept(server.addr());
}

fn start(disk: &Disk, log_dir: &Path) -> Server {
    server()
        .config("dataDir", disk.folder().display())
        .config("dataLogDir", log_dir.display())
        .config("snapCount", SNAP_COUNT)
        .start()
}

/// Writes until a snapshot is due, whatever the server's dice say.
fn write(writes: &mut Writes, client: &mut Client) {
    for _ in 0..2 * SNAP_COUNT {
        assert_eq!(writes.one(client).expect("a reply"), 0);
    }
}

fn until_reported(server: &Server, writes: &mut Writes, client: &mut Client) {
    let reports = server.log().matches(NOT_WRITTEN).count();
    while server.log().matches(NOT_WRITTEN).count() == reports {
        assert_eq!(writes.one(client).expect("a reply"), 0);
    }
}

/// Which states there are snapshots of, the oldest first, each of which must be whole.
fn snapshots(disk: &Disk) -> Vec<Zxid> {
    let entries = fs::read_dir(disk.folder().join("version-2")).expect("a folder");
    let mut found = Vec::new();
    for entry in entries.map(|entry| entry.expect("an entry")) {
        let Some(name) = entry.file_name().to_str().and_then(SnapshotName::parse) else { continue };
        let bytes = fs::read(entry.path()).expect("a snapshot");
        let options = TreeOptions { extended_types: false, digest: true, seed: 0 };
        let whole = Snapshot::decode(&bytes, name.zxid, options, &mut Interner::new(), &Alone);
        whole.unwrap_or_else(|error| panic!("{name}: {error}"));
        found.push(name.zxid);
    }
    found.sort();
    found
}

const SNAP_COUNT: usize = 100;
const NOT_WRITTEN: &str = "no snapshot could be written";
