//! A disk that does not answer for seconds, as one that is worn out or shared may.

use std::time::{Duration, Instant};

use ringkeeper_kit::ensemble::Ensemble;
use ringkeeper_kit::ensemble::Kind::Ringkeeper;
use ringkeeper_kit::server::until;
use ringkeeper_kit::wire::{Client, ConnectRequest, Request, create_mode};
use rustix::process::Signal;

use crate::disk::Disk;
use crate::server;
use crate::writes::{Writes, connect};

#[test]
fn while_the_disk_hangs_writes_wait_and_nothing_else_does() {
    for layout in ["single", "split"] {
        let Some(disk) = Disk::new(256) else { return };
        let mut server = server()
            .config("dataDir", disk.folder().display())
            .config("ringkeeper.layout", layout)
            .config("minSessionTimeout", SESSION.as_millis())
            .start();
        let mut writer = connect(server.addr()).expect("a session");
        let mut writes = Writes::of("n", 10);
        assert_eq!(writes.one(&mut writer).expect("a reply"), 0);
        let mut reader = short_session(&server.addr());

        disk.hang();
        writer.send(&create("/late")).expect("the server reads");
        keep_alive(&mut reader, "/n-1", 2 * SESSION);
        assert!(server.word("mntr").expect("an answer").contains("zk_outstanding_requests\t1"));
        disk.go_on();

        assert_eq!(writer.next_reply().expect("a reply").err, 0);
        assert_eq!(reader.call(&create("/of-the-reader")).expect("its session lives").err, 0);
        assert_eq!(server.stop().code(), Some(0));
        server.start();
        writes.assert_kept(server.addr());
    }
}

/// The zeros of the next segment, a snapshot, and what waits for either: all of it is on its way when the disk hangs.
#[test]
fn a_server_that_is_stopped_while_its_disk_hangs_ends_when_it_goes_on() {
    for layout in ["single", "split"] {
        let Some(disk) = Disk::new(256) else { return };
        let mut server = server()
            .config("dataDir", disk.folder().display())
            .config("ringkeeper.layout", layout)
            .config("snapCount", 10)
            .start();
        let mut writer = connect(server.addr()).expect("a session");
        let mut writes = Writes::of("n", 100_000);
        for _ in 0..60 {
            assert_eq!(writes.one(&mut writer).expect("a reply"), 0);
        }
        disk.hang();
        writer.send(&create("/late")).expect("the server reads");
        server.signal(Signal::TERM);
        server.until_logged("stopping", 1);
        disk.go_on();
        assert_eq!(server.await_end().code(), Some(0));
        server.start();
        writes.assert_kept(server.addr());
    }
}

#[test]
fn a_follower_whose_disk_hangs_follows_and_serves_reads_as_long_as_it_owes_nothing() {
    let Some(disk) = Disk::new(256) else { return };
    let mut ensemble = ensemble_with(&disk, 1);
    let mut writer = Client::connect(ensemble.addr(3)).expect("a session");
    assert_eq!(writer.call(&create("/before")).expect("a reply").err, 0);
    let mut reader = short_session(&ensemble.addr(1));
    let mut lost = || ensemble.server(1).log().matches("looking for a leader").count();
    let before = lost();

    disk.hang();
    // Longer than its leader waits for a follower that says nothing.
    keep_alive(&mut reader, "/before", 2 * SYNC_LIMIT);
    assert_eq!(lost(), before);
    // The others are a quorum. The leader waits for the acknowledgement as long as for anything, and no longer.
    assert_eq!(writer.call(&create("/meanwhile")).expect("a reply").err, 0);
    ensemble.server(3).until_logged("transaction timeout", 1);
    assert_eq!(writer.call(&create("/without-it")).expect("a reply").err, 0);
    disk.go_on();

    ensemble.until_serving(&[1]);
    until("what was written is there", || {
        let mut client = Client::connect(ensemble.addr(1)).expect("a session");
        client.call(&Request::exists("/without-it", false)).expect("a reply").err == 0
    });
}

#[test]
fn a_leader_whose_disk_hangs_goes_on_with_its_followers_disks() {
    let Some(disk) = Disk::new(256) else { return };
    let mut ensemble = ensemble_with(&disk, 3);
    let mut writer = Client::connect(ensemble.addr(3)).expect("a session");
    let mut reader = short_session(&ensemble.addr(3));
    assert_eq!(writer.call(&create("/before")).expect("a reply").err, 0);
    disk.hang();
    let until = Instant::now() + 2 * SYNC_LIMIT;
    for number in 0.. {
        assert_eq!(writer.call(&create(&format!("/n-{number}"))).expect("a reply").err, 0);
        keep_alive(&mut reader, "/before", SESSION / 10);
        if Instant::now() > until {
            break;
        }
    }
    assert_eq!(ensemble.mode(3).as_deref(), Some("leader"));
    ensemble.server(3).signal(Signal::TERM);
    assert_ne!(ensemble.leader_among(&[1, 2]), 3, "nobody waits for the disk of one that stops");
    disk.go_on();
    assert_eq!(ensemble.server(3).await_end().code(), Some(0));
}

/// Three servers, of which this one has its log on the disk, led by the last.
fn ensemble_with(disk: &Disk, id: u8) -> Ensemble {
    let ticks = SYNC_LIMIT.as_millis() / 500;
    let mut ensemble = Ensemble::new(env!("CARGO_BIN_EXE_ringkeeper"), &[Ringkeeper; 3], &[])
        .config("tickTime", 500)
        .config("syncLimit", ticks)
        .config("minSessionTimeout", SESSION.as_millis());
    let folder = disk.folder();
    ensemble.server(id).change(|settings| settings.config("dataLogDir", folder.display()));
    ensemble.start_led_by(3);
    ensemble
}

/// A client whose session does not last long.
fn short_session(server: &std::net::SocketAddr) -> Client {
    let request = ConnectRequest { timeout_ms: SESSION.as_millis() as i32, ..ConnectRequest::default() };
    Client::connect_as(*server, &request).expect("a session")
}

/// Reads and pings for so long.
fn keep_alive(client: &mut Client, path: &str, time: Duration) {
    let until = Instant::now() + time;
    while Instant::now() < until {
        assert_eq!(client.call(&Request::get_data(path, false)).expect("a reply").err, 0);
        assert_eq!(client.call(&Request::Ping).expect("a reply").err, 0);
    }
}

fn create(path: &str) -> Request {
    Request::create(path, b"", create_mode::PERSISTENT)
}

/// Both are longer than a busy machine may stop.
const SESSION: Duration = Duration::from_secs(4);
const SYNC_LIMIT: Duration = Duration::from_secs(5);
