//! A disk for snapshots that fails or is full, while the log's own is well.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use ringkeeper_kit::server::Server;
use ringkeeper_kit::wire::Client;

use crate::disk::Disk;
use crate::server;
use crate::writes::{Writes, connect};

#[test]
fn a_failing_disk_for_snapshots_is_reported_and_stops_nobody() {
    let Some(disk) = Disk::new(64) else { return };
    let log_dir = tempfile::tempdir().expect("a folder");
    let mut server = start(&disk, log_dir.path());
    let mut client = connect(server.addr()).expect("a session");
    let mut writes = Writes::of("n", 1000);
    write(&mut writes, &mut client);
    server.until_logged("is written", 2);
    let before = snapshots(&disk);

    disk.fail();
    until_reported(&server, &mut writes, &mut client);
    write(&mut writes, &mut client);
    writes.assert_kept(server.addr());
    assert_eq!(server.stop().code(), Some(0));

    disk.heal();
    let after = snapshots(&disk);
    assert!(after.is_subset(&before), "{after:?} after {before:?}");
    server.start();
    assert!(!server.log().contains("damaged"), "each snapshot is whole");
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
    let full = snapshots(&disk);
    write(&mut writes, &mut client);
    assert_eq!(server.stop().code(), Some(0));
    assert_eq!(snapshots(&disk), full, "the last one has no room either");
    server.start();
    writes.assert_kept(server.addr());

    disk.make_room();
    assert_eq!(server.stop().code(), Some(0));
    assert!(snapshots(&disk).len() > full.len(), "there is one of the final state");
    server.start();
    assert!(!server.log().contains("damaged"), "each snapshot is whole");
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

/// The files whose names say that they are snapshots.
fn snapshots(disk: &Disk) -> BTreeSet<String> {
    let entries = fs::read_dir(disk.folder().join("version-2")).expect("a folder");
    let names = entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned());
    names.filter(|name| name.starts_with("snapshot.")).collect()
}

const SNAP_COUNT: usize = 100;
const NOT_WRITTEN: &str = "no snapshot could be written";
