//! Observers that followers bring up to date in the leader's place (`observerMasterPort`; ensemble-scenarios F4), with servers
//! of both kinds at both ends.

use ringkeeper_kit::ensemble::Ensemble;
use ringkeeper_kit::ensemble::Kind::{self, Java, Ringkeeper};
use ringkeeper_kit::java::Release;
use ringkeeper_kit::ports::Port;
use ringkeeper_kit::server::until;
use ringkeeper_kit::wire::{Body, Client, Request, create_mode};

use crate::ensemble;
use crate::observe::assert_alike;
use crate::work::{move_session, rejoin, write_every_kind};

const JAVA: Kind = Java(Release::V3_9);

#[test]
fn ringkeepers_bring_ringkeepers_up_to_date() {
    serve_through_followers(Ringkeeper, Ringkeeper);
}

#[test]
fn ringkeepers_bring_java_observers_up_to_date() {
    serve_through_followers(Ringkeeper, JAVA);
}

#[test]
fn java_followers_bring_ringkeepers_up_to_date() {
    serve_through_followers(JAVA, Ringkeeper);
}

/// An observer of three voters, the last of which leads, is served by a follower; that one dies, and another takes
/// its place.
fn serve_through_followers(voters: Kind, observer: Kind) {
    let port = Port::claim();
    let mut ensemble =
        ensemble(&[voters; 3], &[observer]).hosts_apart().config("observerMasterPort", port.number());
    ensemble.start(&[3, 1]);
    ensemble.start(&[2]);
    assert_eq!(ensemble.leader_among(&[1, 2, 3]), 3);
    let mut client = Client::connect(ensemble.addr(1)).expect("a session");
    write_every_kind(&mut client, "/before");

    ensemble.start(&[4]);
    assert_eq!(ensemble.mode(4).as_deref(), Some("observer"));
    let master = master_among(&ensemble, &[1, 2]);
    assert_alike(&ensemble, &[1, 2, 3, 4]);
    // What one writes the other sees after a sync, and sessions move.
    let mut client = move_session(client, ensemble.addr(4));
    write_every_kind(&mut client, "/through-the-observer");
    assert_alike(&ensemble, &[1, 2, 3, 4]);
    let mut client = move_session(client, ensemble.addr(3));
    write_every_kind(&mut client, "/through-the-leader");
    assert_alike(&ensemble, &[4, 3, 2, 1]);
    let client = move_session(client, ensemble.addr(4));
    let session = client.hang_up();

    ensemble.server(master).kill();
    let left = if master == 1 { 2 } else { 1 };
    until("another follower has the observer", || observers_of(&ensemble, left) == Some(1));
    let mut client = rejoin(&session, ensemble.addr(4));
    match client.call(&Request::exists("/before/ephemeral", false)).expect("a reply").body {
        Body::Stat(stat) => assert_eq!(stat.ephemeral_owner, session.session),
        other => panic!("the ephemeral znode is gone: {other:?}"),
    }
    assert_eq!(
        client.call(&Request::create("/after", b"", create_mode::PERSISTENT)).expect("a reply").err,
        0
    );
    assert_alike(&ensemble, &[left, 3, 4]);
    assert_eq!(client.close().expect("a reply").err, 0);
    ensemble.start(&[master]);
    let all = assert_alike(&ensemble, &[1, 2, 3, 4]);
    assert!(!all.iter().any(|line| line.starts_with("/before/ephemeral")), "its session is over");
}

/// Which of the followers has the observer; the leader has none.
fn master_among(ensemble: &Ensemble, followers: &[u8]) -> u8 {
    let mut master = None;
    until("a follower has the observer", || {
        master = followers.iter().copied().find(|id| observers_of(ensemble, *id) == Some(1));
        master.is_some()
    });
    assert_eq!(observers_of(ensemble, 3), Some(0));
    master.expect("until returns when it is so")
}

fn observers_of(ensemble: &Ensemble, id: u8) -> Option<usize> {
    let mntr = ringkeeper_kit::server::four_letter_word(ensemble.addr(id), "mntr").ok()?;
    mntr.lines().find_map(|line| line.strip_prefix("zk_synced_observers\t")?.parse().ok())
}
