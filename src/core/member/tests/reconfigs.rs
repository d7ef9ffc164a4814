//! What a start makes of a reconfig that was under way.

use super::server::Server;
use crate::id::{SessionId, Zxid};
use crate::member::Moment;
use crate::proto::{Txn, TxnHeader};
use crate::testing::{configurations, membership};
use crate::time::{Instant, WallTime};
use crate::zab::Logged;

/// A transaction that makes these the voters.
fn reconfig(zxid: Zxid, voters: &[i64]) -> Logged {
    let data = Some(membership(voters, &[], zxid.0).text().into_bytes().into());
    let txn = Txn::Reconfig { path: "/zookeeper/config".into(), data, version: -1 };
    logged(zxid, &txn)
}

fn logged(zxid: Zxid, txn: &Txn<'_>) -> Logged {
    let mut payload = Vec::new();
    TxnHeader { client_id: SessionId(1), cxid: 1, zxid, time: WallTime(0) }.encode(txn, &mut payload);
    Logged { zxid, payload: payload.into() }
}

/// A server, 0, that starts: its files say that these versions are activated and seen last, and its log has this.
fn starting(files: (i64, i64), log: Vec<Logged>) -> Server {
    let mut server = Server::new(0, 1);
    let zab = &mut server.options.zab;
    zab.reconfig = Some(crate::config::ReconfigRules { standalone_enabled: false, several_addresses: false });
    zab.configurations = configurations(&[0], &[], files.0);
    zab.configurations.see(&membership(&[1, 2], &[], files.1));
    server.log = log;
    server.start();
    server
}

/// The versions of the configuration that is activated and of the one seen last, by which such a server goes.
fn started(files: (i64, i64), log: Vec<Logged>) -> (i64, i64) {
    versions(&starting(files, log))
}

fn versions(server: &Server) -> (i64, i64) {
    let found = server.process.as_ref().expect("it runs").member.configurations();
    (found.committed().version(), found.last_seen().version())
}

#[test]
fn what_is_proposed_the_log_decides() {
    let (first, second, later) = (Zxid::new(2, 3), Zxid::new(2, 7), Zxid::new(3, 1));
    let both = || vec![reconfig(first, &[0]), reconfig(second, &[1, 2])];
    let committed = first.0;
    assert_eq!(started((committed, second.0), both()), (committed, second.0), "both have it");
    assert_eq!(started((committed, committed), both()), (committed, second.0), "the file is not there yet");
    let only = vec![reconfig(first, &[0])];
    assert_eq!(started((committed, second.0), only), (committed, committed), "the log has not got so far");
    let cut = vec![reconfig(first, &[0]), logged(later, &Txn::CloseSession { ephemerals: None })];
    assert_eq!(started((committed, second.0), cut), (committed, committed), "it was cut off, and went on");
}

#[test]
fn what_opens_an_epoch_is_in_no_log_and_nothing_of_a_log_that_no_leader_has_led() {
    let opened = Zxid::new(4, 0).0;
    assert_eq!(started((5, opened), vec![reconfig(Zxid(5), &[0])]), (5, opened));
    assert_eq!(started((0, opened), vec![reconfig(Zxid::new(2, 3), &[0])]), (0, opened));
}

/// Its log was quicker than its file. Once it knows that a leader has led it, what its log has counts.
#[test]
fn who_hears_of_the_first_configuration_in_an_election_goes_by_the_proposal_in_its_log() {
    let (opened, proposed) = (Zxid::new(1, 0).0, Zxid::new(1, 1));
    let mut server = starting((0, 0), vec![reconfig(proposed, &[1, 2])]);
    let member = &mut server.process.as_mut().expect("it runs").member;
    let at = Moment { now: Instant::default(), wall: WallTime(0) };
    member.on_configuration_heard(&membership(&[0], &[], opened), at, &mut Vec::new());
    assert_eq!(versions(&server), (opened, proposed.0));
}
