//! Folders that can't be what they are to be, named at the start with what to do.

use ringkeeper_kit::server::NotServing;
use ringkeeper_kit::wire::Request;

use crate::disk::{Disk, MemoryDisk};
use crate::writes::{Writes, connect};
use crate::{refused, server};

#[test]
fn a_read_only_file_system_is_named_for_each_of_the_two_folders() {
    for key in ["dataDir", "dataLogDir"] {
        let Some(disk) = Disk::new(64) else { return };
        let folder = disk.folder();
        disk.make_read_only();
        let refused = refused(server().config(key, folder.display()));
        assert_says(&refused, &[&folder.display().to_string(), "Read-only file system"]);
    }
}

#[test]
fn a_file_system_that_turned_read_only_is_named_at_the_next_start() {
    let Some(disk) = Disk::new(256) else { return };
    let mut server = server().config("dataDir", disk.folder().display()).start();
    assert_eq!(server.stop().code(), Some(0));
    disk.make_read_only();
    let refused = server.try_start().expect_err("nothing can be written");
    assert_says(
        &refused,
        &[&disk.folder().display().to_string(), "Read-only file system", "how the file system is mounted"],
    );
}

#[test]
fn a_folder_that_may_not_be_written_to_is_named_for_each_of_the_two() {
    for key in ["dataDir", "dataLogDir"] {
        let Some(disk) = Disk::new(64) else { return };
        // Root may write wherever a mode forbids it, but not here.
        let folder = disk.immutable_folder();
        let refused = refused(server().config(key, folder.display()));
        assert_says(&refused, &[&folder.display().to_string(), "Operation not permitted", "owner and mode"]);
    }
}

#[test]
fn a_missing_folder_is_named_where_none_is_to_be_made() {
    let parent = tempfile::tempdir().expect("a folder");
    let folder = parent.path().join("missing");
    for key in ["dataDir", "dataLogDir"] {
        let settings = server().config(key, folder.display()).property("zookeeper.datadir.autocreate", false);
        assert_says(&refused(settings), &[&folder.display().to_string(), "create this directory manually"]);
    }
}

#[test]
fn a_disk_too_small_for_the_log_is_named_with_what_it_lacks() {
    let Some(disk) = Disk::new(64) else { return };
    let settings = server().config("preAllocSize", 65_536).config("dataLogDir", disk.folder().display());
    assert_says(
        &refused(settings),
        &[&disk.folder().display().to_string(), "the log needs 128 MiB", "preAllocSize"],
    );
}

/// All partitions share a major number with whole disks, and the one with the minor number 0 may be either.
#[test]
fn a_partition_is_as_good_as_a_whole_disk() {
    let Some(disk) = Disk::with_partition(256) else { return };
    let mut server = server().config("dataDir", disk.folder().display()).start();
    let mut writes = Writes::of("n", 20_000);
    let mut client = connect(server.addr()).expect("a session");
    for _ in 0..500 {
        assert_eq!(writes.one(&mut client).expect("a reply"), 0);
    }
    server.kill();
    server.start();
    writes.assert_kept(server.addr());
}

#[test]
fn a_file_system_without_direct_writing_is_used_and_said_to_be_slow() {
    for kind in ["tmpfs", "ramfs"] {
        let Some(disk) = MemoryDisk::of(kind) else { return };
        let mut server = server().config("dataDir", disk.folder().display()).start();
        if kind == "ramfs" {
            assert!(server.log().contains("Put dataLogDir on ext4 or XFS"), "{}", server.log());
        }
        let mut writes = Writes::of("n", 100);
        let mut client = connect(server.addr()).expect("a session");
        for _ in 0..100 {
            assert_eq!(writes.one(&mut client).expect("a reply"), 0, "on {kind}");
        }
        assert_eq!(client.call(&Request::get_data("/n-1", false)).expect("a reply").err, 0);
        server.kill();
        server.start();
        writes.assert_kept(server.addr());
    }
}

fn assert_says(refused: &NotServing, texts: &[&str]) {
    assert_eq!(refused.status.and_then(|status| status.code()), Some(3), "{refused}");
    let error = refused.log.lines().rfind(|line| line.contains("ERROR")).unwrap_or_default();
    for text in texts {
        assert!(error.contains(text), "{text:?} is not in {error}");
    }
}
