//! Servers that prove to each other by SASL who they are (ensemble-scenarios H8).

use std::fs;

use ringkeeper_kit::ensemble::Ensemble;
use ringkeeper_kit::ensemble::Kind::{self, Java, Ringkeeper};
use ringkeeper_kit::java::Release;
use ringkeeper_kit::wire::{Client, Request, create_mode};

use crate::certificates::{Authority, Files};
use crate::ensemble;
use crate::observe::assert_alike;
use crate::work::Load;

const JAVA: Kind = Java(Release::V3_9);

#[test]
fn three_ringkeepers_are_led_to_sasl_step_by_step_under_load_and_let_nobody_else_in() {
    let mut ensemble = migrate(&[Ringkeeper; 3]);
    refuse(&mut ensemble);
}

#[test]
fn ringkeepers_and_a_java_server_are_led_to_sasl_step_by_step_under_load() {
    migrate(&[Ringkeeper, JAVA, Ringkeeper]);
}

#[test]
fn a_ringkeeper_and_java_servers_that_require_sasl_lead_in_turn_with_observers_of_both_kinds() {
    let mut ensemble = prepared_with(&[JAVA, JAVA, Ringkeeper], &[JAVA, Ringkeeper], STEPS.len());
    lead_in_turn(&mut ensemble);
    for id in [4, 5] {
        assert_eq!(ensemble.mode(id).as_deref(), Some("observer"));
        assert!(ensemble.server(id).log().contains(AUTHENTICATED), "server {id} knows the others");
    }
}

#[test]
fn an_observer_with_a_wrong_password_is_not_let_in() {
    let mut ensemble = prepared_with(&[Ringkeeper; 2], &[Ringkeeper], STEPS.len());
    let path = ensemble.server(3).dir().join(LOGIN_FILE);
    fs::write(&path, login_file("wrong")).expect("its folder can be written");
    ensemble.start(&[1, 2]);
    ensemble.server(3).launch();
    ensemble.server(3).until_logged("it refuses this server's name and password", 3);
    assert_eq!(ensemble.mode(3), None);
    ensemble.server(3).stop();
    fs::write(&path, login_file(PASSWORD)).expect("its folder can be written");
    ensemble.start(&[3]);
    write(&ensemble, 3, "/let-in");
    assert_alike(&ensemble, &[1, 2, 3]);
}

#[test]
fn a_java_server_and_ringkeepers_that_require_sasl_within_tls_lead_in_turn() {
    let mut ensemble = prepared(&[Ringkeeper, Ringkeeper, JAVA], STEPS.len()).config("sslQuorum", true);
    let files = Files::new(&ensemble.ids(), &Authority::new("one"));
    for id in ensemble.ids() {
        ensemble.change(id, |settings| files.name(id, settings));
    }
    lead_in_turn(&mut ensemble);
}

#[test]
fn a_server_without_names_and_passwords_does_not_start_and_says_why() {
    let mut ensemble = prepared(&[Ringkeeper; 3], STEPS.len());
    for (text, expected) in [
        ("", "the specified JAAS configuration section 'QuorumServer' could not be found."),
        (
            "QuorumServer { com.sun.security.auth.module.Krb5LoginModule required; };",
            "this server has no Kerberos",
        ),
        ("QuorumServer {", "line 1: the file ends inside a section"),
    ] {
        fs::write(ensemble.server(1).dir().join(LOGIN_FILE), text).expect("its folder can be written");
        ensemble.server(1).launch();
        assert_eq!(ensemble.server(1).await_end().code(), Some(1));
        let log = ensemble.server(1).log();
        assert!(log.contains(expected) && log.contains(LOGIN_FILE), "{text}: {log}");
    }
}

/// One server after the other takes one step after the other, and clients go on to write all the while.
fn migrate(kinds: &[Kind]) -> Ensemble {
    let mut ensemble = prepared(kinds, 0);
    let ids = ensemble.ids();
    ensemble.start(&ids);
    let addrs: Vec<_> = ids.iter().map(|id| ensemble.addr(*id)).collect();
    let load = Load::start(addrs, "/load");
    load.until_more(20);
    for key in STEPS {
        for id in &ids {
            ensemble.server(*id).stop();
            load.until_more(5);
            ensemble.change(*id, |settings| settings.config(key, true));
            ensemble.start(&[*id]);
            load.until_more(5);
        }
    }
    let written = load.stop();
    for id in &ids {
        let mut client = Client::connect(ensemble.addr(*id)).expect("a session");
        written.assert_shown_by(&mut client);
        client.hang_up();
        assert!(ensemble.server(*id).log().contains(AUTHENTICATED), "server {id} knows the others");
    }
    written.end(ensemble.addr(1));
    assert_alike(&ensemble, &ids);
    ensemble
}

/// A server with a wrong password, and one that does not log in, come to nothing until that is mended.
fn refuse(ensemble: &mut Ensemble) {
    ensemble.server(1).stop();
    let leader = ensemble.leader_among(&[2, 3]);
    let path = ensemble.server(1).dir().join(LOGIN_FILE);
    fs::write(&path, login_file("wrong")).expect("its folder can be written");
    ensemble.server(1).launch();
    ensemble.server(1).until_logged("it refuses this server's name and password", 3);
    ensemble.server(leader).until_logged("user \"zk\" has another password here", 1);
    assert_eq!(ensemble.mode(1), None);

    ensemble.server(1).stop();
    fs::write(&path, login_file(PASSWORD)).expect("its folder can be written");
    ensemble.change(1, |settings| STEPS.iter().fold(settings, |settings, key| settings.config(key, false)));
    ensemble.server(1).launch();
    ensemble.server(leader).until_logged("it does not try to authenticate itself, and must", 3);
    assert_eq!(ensemble.mode(1), None);

    ensemble.server(1).stop();
    ensemble.change(1, |settings| STEPS.iter().fold(settings, |settings, key| settings.config(key, true)));
    ensemble.start(&[1]);
    write(ensemble, 1, "/let-in-again");
    assert_alike(ensemble, &[1, 2, 3]);
}

/// The last one leads, then one of the others while it is away; it comes back to that.
fn lead_in_turn(ensemble: &mut Ensemble) {
    ensemble.start_led_by(3);
    write(ensemble, 1, "/led-by-the-last");
    ensemble.server(3).kill();
    assert_eq!(ensemble.leader_among(&[1, 2]), 2);
    write(ensemble, 1, "/led-by-another");
    ensemble.start(&[3]);
    assert_eq!(ensemble.mode(3).as_deref(), Some("follower"));
    let ids = ensemble.ids();
    ensemble.until_serving(&ids);
    ids[2..].iter().for_each(|id| write(ensemble, *id, &format!("/through-{id}")));
    let all = assert_alike(ensemble, &ids);
    for path in ["/led-by-the-last", "/led-by-another", "/through-3"] {
        assert!(all.iter().any(|line| line.starts_with(&format!("{path} "))), "{path}: {all:#?}");
    }
}

/// Servers that have the same name and password, and have taken so many of the steps.
fn prepared(kinds: &[Kind], steps: usize) -> Ensemble {
    prepared_with(kinds, &[], steps)
}

fn prepared_with(voters: &[Kind], observers: &[Kind], steps: usize) -> Ensemble {
    let mut ensemble = ensemble(voters, observers).property("zookeeper.fips-mode", false);
    for key in &STEPS[..steps] {
        ensemble = ensemble.config(key, true);
    }
    for id in ensemble.ids() {
        let path = ensemble.server(id).dir().join(LOGIN_FILE);
        fs::write(&path, login_file(PASSWORD)).expect("its folder can be written");
        ensemble.change(id, |settings| settings.property("java.security.auth.login.config", path.display()));
    }
    ensemble
}

fn login_file(password: &str) -> String {
    let module = "org.apache.zookeeper.server.auth.DigestLoginModule required";
    format!(
        "QuorumServer {{\n  {module}\n  user_zk=\"{PASSWORD}\";\n}};\n\
         QuorumLearner {{\n  {module}\n  username=\"zk\" password=\"{password}\";\n}};\n"
    )
}

fn write(ensemble: &Ensemble, id: u8, path: &str) {
    let mut client = Client::connect(ensemble.addr(id)).expect("a session");
    let reply = client.call(&Request::create(path, b"", create_mode::PERSISTENT)).expect("a reply");
    assert_eq!(reply.err, 0, "{path}");
    client.close().expect("a reply");
}

/// In the order in which an ensemble takes them: who logs in is understood, everybody does, nobody else is let in.
const STEPS: [&str; 3] =
    ["quorum.auth.enableSasl", "quorum.auth.learnerRequireSasl", "quorum.auth.serverRequireSasl"];
const AUTHENTICATED: &str = "Successfully completed the authentication using SASL";
const LOGIN_FILE: &str = "login.conf";
const PASSWORD: &str = "a secret, \\\"quoted\\\"";
