//! TLS between servers: among ringkeepers, with Java servers, while it is turned on, and who is kept out.

use std::io::{Read, Write};
use std::net::TcpStream;

use ringkeeper_kit::ensemble::Ensemble;
use ringkeeper_kit::ensemble::Kind::{self, Java, Ringkeeper};
use ringkeeper_kit::java::Release;
use ringkeeper_kit::ports::Port;
use ringkeeper_kit::server::Settings;
use ringkeeper_kit::wire::Client;

use crate::certificates::{Authority, Files};
use crate::ensemble;
use crate::observe::assert_alike;
use crate::work::{Load, write_every_kind};

#[test]
fn ringkeepers_talk_with_tls_and_take_new_certificates_while_they_run() {
    let (first, second) = (Authority::new("one"), Authority::new("another"));
    let (mut ensemble, files) = protected(&[Ringkeeper; 3], &[], &first);
    ensemble.start_led_by(3);
    take_writes(&ensemble, "/whole");
    assert_plain_is_refused(&mut ensemble, 3);
    ensemble.server(3).stop();
    assert_eq!(ensemble.leader_among(&[1, 2]), 2);
    // One whose certificate nobody trusts is kept out, and both sides say why.
    files.sign(3, &second);
    ensemble.server(3).launch();
    ensemble.server(3).until_logged("it does not accept this server's certificate (UnknownCA)", 1);
    ensemble.server(2).until_logged("nobody in ssl.quorum.trustStore.location here has signed it", 1);
    assert_eq!(ensemble.mode(3), None);
    // Until the others trust it, which they need no restart for.
    for id in [1, 2] {
        files.trust(id, &[&first, &second]);
        ensemble.server(id).until_logged("keys and certificates were read anew", 1);
    }
    ensemble.until_serving(&[3]);
    take_writes(&ensemble, "/whole-again");
}

#[test]
fn java_servers_and_ringkeepers_talk_with_tls_whoever_leads() {
    let kinds = [Ringkeeper, Java(Release::V3_9), Ringkeeper];
    let (ensemble, _files) = protected(&kinds, &[Java(Release::V3_9), Ringkeeper], &Authority::new("one"));
    // Followers bring the observers up to date, and whoever comes is sent the whole tree.
    let port = Port::claim();
    let mut ensemble = ensemble.hosts_apart().config("observerMasterPort", port.number());
    ensemble = ensemble.property("zookeeper.forceSnapshotSync", true);
    ensemble.start_led_by(3);
    take_writes(&ensemble, "/ringkeeper-leads");
    ensemble.server(3).kill();
    assert_eq!(ensemble.leader_among(&[1, 2, 4, 5]), 2);
    ensemble.start(&[3]);
    take_writes(&ensemble, "/java-leads");
    assert_plain_is_refused(&mut ensemble, 1);
    let log = ensemble.server(2).log();
    assert!(log.contains("Accepted TLS connection from"), "the Java server speaks it too");
    assert!(!log.contains("Accepted plaintext connection"), "and nothing else");
}

#[test]
fn tls_is_turned_on_under_load_one_server_after_the_other() {
    let kinds = [Java(Release::V3_9), Ringkeeper, Ringkeeper];
    let mut ensemble = ensemble(&kinds, &[]);
    let files = Files::of_other_hosts(&ensemble.ids(), &Authority::new("one"));
    ensemble.start_led_by(3);
    assert_refused(&mut ensemble, 3, &HELLO, "speaks TLS, and this server does not");
    let ids = ensemble.ids();
    let load = Load::start(ids.iter().map(|id| ensemble.addr(*id)).collect(), "/load");
    load.until_more(5);
    let steps: [fn(Settings) -> Settings; 3] = [
        |settings| settings.config("portUnification", true),
        |settings| settings.config("sslQuorum", true),
        |settings| settings.config("portUnification", false),
    ];
    for step in steps {
        for id in &ids {
            ensemble.server(*id).stop();
            load.until_more(5);
            ensemble.change(*id, |settings| step(files.name(*id, settings)));
            ensemble.start(&[*id]);
            load.until_more(5);
        }
    }
    let written = load.stop();
    assert_alike(&ensemble, &ids);
    for id in &ids {
        written.assert_shown_by(&mut Client::connect(ensemble.addr(*id)).expect("a session"));
        assert_plain_is_refused(&mut ensemble, *id);
    }
    written.end(ensemble.addr(1));
}

/// An ensemble that is to speak TLS, not started yet, and its servers' files.
pub(crate) fn protected(voters: &[Kind], observers: &[Kind], authority: &Authority) -> (Ensemble, Files) {
    let mut ensemble =
        ensemble(voters, observers).config("sslQuorum", true).config("sslQuorumReloadCertFiles", true);
    let files = Files::new(&ensemble.ids(), authority);
    for id in ensemble.ids() {
        ensemble.change(id, |settings| files.name(id, settings));
    }
    (ensemble, files)
}

/// Every kind of write through each server; all show the same afterwards.
fn take_writes(ensemble: &Ensemble, root: &str) {
    for id in ensemble.ids() {
        let mut client = Client::connect(ensemble.addr(id)).expect("a session");
        write_every_kind(&mut client, &format!("{root}-{id}"));
        client.close().expect("a reply");
    }
    assert_alike(ensemble, &ensemble.ids());
}

/// What is no TLS gets no answer on either port, and is told of.
fn assert_plain_is_refused(ensemble: &mut Ensemble, id: u8) {
    // FOLLOWERINFO, or the id of a server of 3.4: neither is the beginning of a record.
    assert_refused(ensemble, id, &[0, 0, 0, 11, 0, 0, 0, 0], BLOCKED);
}

fn assert_refused(ensemble: &mut Ensemble, id: u8, first: &[u8], told: &str) {
    let before = ensemble.server(id).log().matches(told).count();
    let mut tried = 0;
    for port in ensemble.peer_ports(id) {
        // Only a leader of Java's listens on its quorum port.
        let Ok(mut stream) = TcpStream::connect((ensemble.host(id), port)) else { continue };
        stream.write_all(first).expect("connected");
        let mut answer = Vec::new();
        // Closed with what was said unread, the connection is reset.
        let _ = stream.read_to_end(&mut answer);
        assert_eq!(answer, [0; 0]);
        tried += 1;
    }
    ensemble.server(id).until_logged(told, before + tried);
}

/// What both kinds of servers log.
const BLOCKED: &str = "Blocked insecure connection attempt";
/// How a client's first message of TLS begins.
const HELLO: [u8; 16] = [0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3, 1, 2, 3, 4, 5];
