//! A disk without room.

use std::sync::mpsc;

use ringkeeper_kit::wire::Request;

use crate::disk::Disk;
use crate::writes::{Writes, connect};
use crate::{assert_ended_for_its_log, server};

#[test]
fn when_somebody_else_fills_the_disk_writes_are_refused_reads_go_on_and_both_do_once_there_is_room() {
    let Some(disk) = Disk::new(256) else { return };
    let mut server =
        server().config("dataDir", disk.folder().display()).config("preAllocSize", SEGMENT_KIB).start();
    let mut client = connect(server.addr()).expect("a session");
    let mut writes = Writes::of("n", 1000);
    for _ in 0..100 {
        assert_eq!(writes.one(&mut client).expect("a reply"), 0);
    }
    for round in 1..=2 {
        disk.fill(0);
        server.until_logged("MiB free: creates and changes are refused", round);
        let refusals = (0..100).map(|_| writes.one(&mut client).expect("a reply"));
        assert!(refusals.skip_while(|err| *err == 0).all(|err| err == SYSTEM_ERROR));
        assert_eq!(writes.one(&mut client).expect("a reply"), SYSTEM_ERROR);
        assert_eq!(client.call(&Request::get_data("/n-1", false)).expect("a reply").err, 0);
        assert_eq!(server.word("ruok").expect("an answer"), "imok");
        writes.assert_kept(server.addr());
        disk.make_room();
        server.until_logged("MiB free: everything is written again", round);
        writes.one_at_last(&mut client);
    }
    server.kill();
    server.start();
    writes.assert_kept(server.addr());
}

#[test]
fn clients_that_fill_the_disk_are_refused_in_two_steps_and_nothing_ends() {
    let Some(disk) = Disk::new(256) else { return };
    let mut server =
        server().config("dataDir", disk.folder().display()).config("preAllocSize", SEGMENT_KIB).start();
    let mut client = connect(server.addr()).expect("a session");
    let (mut small, mut large) = (Writes::of("small", 10), Writes::of("large", 300_000));
    let mut deletable = Vec::new();
    for number in 0..6_000 {
        let path = format!("/deletable-{number}");
        deletable.push(Request::delete(&path, -1));
        client.send(&Request::create(&path, b"", 0)).expect("the request leaves");
    }
    deletable.iter().for_each(|_| assert_eq!(client.next_reply().expect("a reply").err, 0));
    disk.fill(60 << 20);
    while large.one(&mut client).expect("a reply") == 0 {}
    assert!(large.count() > 50, "{} were acknowledged before the disk was full", large.count());
    assert_eq!(small.one(&mut client).expect("a reply"), SYSTEM_ERROR);

    let deleted =
        deletable.iter().take_while(|delete| client.call(delete).expect("a reply").err == 0).count();
    assert!((100..6_000).contains(&deleted), "{deleted} nodes were deleted before nothing went any more");
    server.until_logged("no session is begun or ended", 1);
    assert!(connect(server.addr()).is_err(), "a session is a write too");
    assert_eq!(client.call(&Request::get_data("/large-1", false)).expect("a reply").err, 0);
    assert_eq!(server.word("ruok").expect("an answer"), "imok");

    disk.make_room();
    server.until_logged("MiB free: everything is written again", 1);
    small.one_at_last(&mut client);
    [&small, &large].iter().for_each(|writes| writes.assert_kept(server.addr()));
    assert_eq!(server.stop().code(), Some(0));
    server.start();
    [&small, &large].iter().for_each(|writes| writes.assert_kept(server.addr()));
}

#[test]
fn a_server_on_a_full_disk_stops_cleanly_and_starts_again_to_be_read() {
    let Some(disk) = Disk::new(256) else { return };
    let mut server =
        server().config("dataDir", disk.folder().display()).config("preAllocSize", SEGMENT_KIB).start();
    let mut writes = Writes::of("n", 1000);
    let mut client = connect(server.addr()).expect("a session");
    for _ in 0..100 {
        assert_eq!(writes.one(&mut client).expect("a reply"), 0);
    }
    disk.fill(0);
    server.until_logged("MiB free: creates and changes are refused", 1);
    assert_eq!(server.stop().code(), Some(0));
    server.start();
    writes.assert_kept(server.addr());
    server.kill();
    server.start();
    writes.assert_kept(server.addr());
    disk.make_room();
    let mut client = connect(server.addr()).expect("a session");
    server.until_logged("MiB free: everything is written again", 1);
    writes.one_at_last(&mut client);
}

#[test]
fn a_disk_that_has_less_room_than_it_says_ends_the_process_and_nothing_acknowledged_is_lost() {
    let Some(disk) = Disk::thin(1024, 64) else { return };
    let mut server = server().config("dataDir", disk.folder().display()).start();
    let mut writes = Writes::of("n", 50_000);
    let (heard, _acknowledged) = mpsc::channel();
    writes.until_the_end(server.addr(), &heard);
    assert!(writes.count() > 100, "{} were acknowledged", writes.count());
    assert_ended_for_its_log(
        &mut server,
        &["No space left on device", "Input/output error", "Read-only file system"],
    );
    disk.thicken(512);
    disk.check();
    server.start();
    writes.assert_kept(server.addr());
    let mut client = connect(server.addr()).expect("a session");
    assert_eq!(writes.one(&mut client).expect("a reply"), 0);
}

/// With two of them there is room to begin sessions and to delete, and none to create.
const SEGMENT_KIB: u64 = 8192;
const SYSTEM_ERROR: i32 = -1;
