//! A disk that gives errors.

use std::sync::mpsc;
use std::thread;

use ringkeeper_kit::wire::Request;
use rustix::fs::{Advice, fadvise};

use crate::disk::Disk;
use crate::writes::{Writes, connect};
use crate::{assert_ended_for_its_log, server};

#[test]
fn after_an_error_on_the_log_the_process_has_ended_and_comes_back_with_all_it_acknowledged() {
    for layout in ["single", "split"] {
        let Some(mut disk) = Disk::new(256) else { return };
        let mut server =
            server().config("dataDir", disk.folder().display()).config("ringkeeper.layout", layout).start();
        let mut writes = [Writes::of("short", 10), Writes::of("long", 50_000)];
        // At moments when the log is in the middle of a segment, or about to change it.
        for enough in [1, 100, 250] {
            let addr = server.addr();
            let (heard, acknowledged) = mpsc::channel();
            thread::scope(|scope| {
                for writes in &mut writes {
                    let heard = heard.clone();
                    scope.spawn(move || writes.until_the_end(addr, &heard));
                }
                acknowledged.iter().take(enough).for_each(drop);
                disk.fail();
            });
            assert_ended_for_its_log(&mut server, &FAILED);
            disk.heal();
            server.start();
            writes.iter().for_each(|writes| writes.assert_kept(server.addr()));
        }
        let mut client = connect(server.addr()).expect("a session");
        assert_eq!(writes[0].one(&mut client).expect("a reply"), 0);
        assert_eq!(server.stop().code(), Some(0));
    }
}

#[test]
fn reads_go_on_from_a_failed_disk_until_the_next_write_ends_the_process_unacknowledged() {
    let Some(mut disk) = Disk::new(256) else { return };
    let mut server = server().config("dataLogDir", disk.folder().display()).start();
    let mut client = connect(server.addr()).expect("a session");
    let mut writes = Writes::of("n", 10);
    assert_eq!(writes.one(&mut client).expect("a reply"), 0);
    disk.fail();
    for _ in 0..100 {
        assert_eq!(client.call(&Request::get_data("/n-1", false)).expect("a reply").err, 0);
    }
    assert!(writes.one(&mut client).is_err(), "nothing is answered");
    assert_ended_for_its_log(&mut server, &FAILED);
    disk.heal();
    server.start();
    writes.assert_kept(server.addr());
}

#[test]
fn a_disk_that_cannot_be_read_at_the_start_is_named() {
    let Some(mut disk) = Disk::new(256) else { return };
    let mut server = server().config("dataDir", disk.folder().display()).start();
    let mut writes = Writes::of("n", 100_000);
    let mut client = connect(server.addr()).expect("a session");
    for _ in 0..50 {
        assert_eq!(writes.one(&mut client).expect("a reply"), 0);
    }
    assert_eq!(server.stop().code(), Some(0));
    let folder = disk.folder().join("version-2");
    for entry in std::fs::read_dir(&folder).expect("a folder") {
        let file = std::fs::File::open(entry.expect("an entry").path()).expect("a file");
        file.sync_all().expect("a good disk");
        fadvise(&file, 0, None, Advice::DontNeed).expect("a file in the page cache");
    }
    disk.fail();
    let refused = server.try_start().expect_err("nothing can be read");
    assert!(refused.status.is_some_and(|status| status.code().is_some()), "{refused}");
    let said = refused.log.lines().rfind(|line| line.contains("ERROR")).unwrap_or_default();
    assert!(said.contains(&folder.display().to_string()), "{said}");
    assert!(refused.log.contains("Input/output error"), "{refused}");
    disk.heal();
    server.start();
    writes.assert_kept(server.addr());
}

/// What the kernel says at first; where ext4 wants a block of its own, which now lies behind the device's end, so
/// that there is no buffer for it; and once the file system has noticed.
const FAILED: [&str; 3] = ["Input/output error", "Cannot allocate memory", "Read-only file system"];
