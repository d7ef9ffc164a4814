use std::time::Duration;

use super::*;
use crate::id::ServerId;
use crate::session::NewSessions;

/// Proves the ensemble of `zoo.cfg` with this text.
fn prove(
    text: &str,
    dynamic: Option<(&str, &str)>,
    my_id: Option<&str>,
) -> Result<Option<(Ensemble, Vec<Notice>)>, String> {
    let text = format!("dataDir=/d\nclientPort=2181\ntickTime=100\n{text}");
    let raw = Raw::parse(text.as_bytes()).expect("no malformed escape");
    let dynamic =
        dynamic.map(|(file, text)| (file, Raw::parse(text.as_bytes()).expect("no malformed escape")));
    let sources = Sources {
        file: "zoo.cfg",
        raw: &raw,
        dynamic: dynamic.as_ref().map(|(file, raw)| (*file, raw)),
        next: None,
        defines: &Defines::default(),
        my_id,
    };
    Ensemble::prove(&sources).map_err(|error| error.to_string())
}

const LIMITS: &str = "initLimit=10\nsyncLimit=5\n";
const THREE: &str = "server.0=a:2888:3888\nserver.1=b:2888:3888;2181\nserver.2=c:2888:3888:observer\n\
                     server.3=[::1]:2888:3888\n";

fn ensemble(text: &str, my_id: &str) -> (Ensemble, Vec<String>) {
    let (ensemble, notices) =
        prove(&format!("{LIMITS}{text}"), None, Some(my_id)).expect("good").expect("an ensemble");
    let warnings = notices.into_iter().filter(|notice| notice.severity == Severity::Warning);
    (ensemble, warnings.map(|notice| notice.text).collect())
}

fn error(text: &str, my_id: Option<&str>) -> String {
    prove(text, None, my_id).expect_err(text)
}

#[test]
fn an_ensemble_has_servers_roles_and_limits() {
    let (ensemble, warnings) = ensemble(THREE, "0\n");
    assert_eq!(ensemble.my_id, ServerId(0));
    assert_eq!(
        ensemble.configurations.committed().verifier().voters().map(|id| id.0).collect::<Vec<_>>(),
        [0, 1, 3]
    );
    assert_eq!(
        ensemble.configurations.committed().verifier().observers().map(|id| id.0).collect::<Vec<_>>(),
        [2]
    );
    assert_eq!((ensemble.init_limit.as_millis(), ensemble.sync_limit.as_millis()), (1000, 500));
    assert_eq!(ensemble.election.greeting.as_millis(), 500, "tickTime times syncLimit");
    assert_eq!(ensemble.bind_attempts, Some(3));
    assert_eq!(warnings, [""; 0]);
    let committed = ensemble.configurations.committed();
    let addresses: Vec<String> =
        (0..4).map(|id| committed.election_addresses(ServerId(id))[0].to_string()).collect();
    assert_eq!(addresses, ["a:3888", "b:3888", "c:3888", "[0:0:0:0:0:0:0:1]:3888"]);
}

#[test]
fn the_configuration_is_told_as_java_tells_it() {
    assert_eq!(
        ensemble(THREE, "0").0.configurations.committed().text(),
        "server.0=a:2888:3888:participant\nserver.1=b:2888:3888:participant;0.0.0.0:2181\n\
         server.2=c:2888:3888:observer\nserver.3=[0:0:0:0:0:0:0:1]:2888:3888:participant\nversion=0"
    );
    let groups = format!("{THREE}group.1=0:1\ngroup.2=3\nweight.3=2");
    assert!(
        ensemble(&groups, "0")
            .0
            .configurations
            .committed()
            .text()
            .ends_with("\ngroup.1=0:1\ngroup.2=3\nweight.3=2\nversion=0")
    );
    let dynamic = Some(("zoo.cfg.dynamic.10000000a", THREE));
    let text = format!("{LIMITS}dynamicConfigFile=zoo.cfg.dynamic.10000000a");
    let (ensemble, _) = prove(&text, dynamic, Some("1")).expect("good").expect("an ensemble");
    assert!(ensemble.configurations.committed().text().ends_with("version=10000000a"));
}

#[test]
fn groups_and_weights_decide_who_is_a_quorum() {
    let (ensemble, _) = ensemble(&format!("{THREE}group.1=0\ngroup.2=1:3\nweight.1=0"), "0");
    let quorum = |ids: &[i64]| {
        ensemble.configurations.committed().verifier().contains_quorum(|id| ids.contains(&id.0))
    };
    assert!(quorum(&[0, 3]) && !quorum(&[0, 1]) && !quorum(&[1, 3]));
    for (lines, expected) in [
        ("group.1=0:1", "Server 3is not in a group"),
        ("group.1=0:1\ngroup.2=1:3", "zoo.cfg, line 11, group.2: Server 1is in multiple groups"),
        ("group.1=0:1:3:x", "group.1: For input string: \"x\""),
        ("group.x=0", "group.x: For input string: \"x\""),
        ("weight.1=much\ngroup.1=0:1:3", "weight.1: For input string: \"much\""),
        ("weight.1=2", "Server 0is not in a group"),
    ] {
        let error = error(&format!("{LIMITS}{THREE}{lines}"), Some("0"));
        assert!(error.contains(expected), "{lines}: {error}");
    }
}

#[test]
fn an_oracle_is_a_file_that_decides_between_two_servers_and_not_between_groups() {
    let (with, notices) = ensemble(&format!("{THREE}oraclePath=/chassis/mastership"), "0");
    assert_eq!(with.oracle.as_deref(), Some(std::path::Path::new("/chassis/mastership")));
    assert!(!notices.iter().any(|notice| notice.contains("oraclePath")), "{notices:?}");
    let text = format!("{LIMITS}{THREE}oraclePath=/o\ngroup.1=0:1:3");
    assert!(error(&text, Some("0")).contains("oraclePath: an oracle decides between two servers"));
}

#[test]
fn a_log_in_file_is_for_servers_alone() {
    let file = format!("{THREE}java.security.auth.login.config=file:///etc/jaas.conf\n");
    assert_eq!(ensemble(&file, "0").0.sasl, None);
    let (with, _) = ensemble(&format!("{file}quorum.auth.enableSasl=true"), "0");
    let sasl = with.sasl.expect("it is enabled");
    assert_eq!((&*sasl.learner_section, &*sasl.server_section), ("QuorumLearner", "QuorumServer"));
    assert_eq!(sasl.login_path(), Some("/etc/jaas.conf"));
    for given in ["/a b", "=/a b", "file:/a b", "=file:/a b"] {
        let sasl = QuorumSasl { login_file: Some(given.to_owned()), ..sasl.clone() };
        assert_eq!(sasl.login_path(), Some("/a b"), "{given}");
    }
}

#[test]
fn what_an_ensemble_lacks_is_told_in_zookeepers_words() {
    assert!(error(&format!("syncLimit=5\n{THREE}"), Some("0")).contains("initLimit is not set"));
    assert!(error(&format!("initLimit=5\n{THREE}"), Some("0")).contains("syncLimit is not set"));
    assert!(error(&format!("{LIMITS}{THREE}"), None).contains("myid file is missing: write"));
    assert!(
        error(&format!("{LIMITS}{THREE}"), Some("9"))
            .contains("My id 9 not in the peer list, which has 0, 1, 2, 3")
    );
    assert!(error(&format!("{LIMITS}{THREE}"), Some("x")).contains("serverid x is not a number"));
    assert!(
        error(&format!("initLimit=-1\nsyncLimit=5\n{THREE}"), Some("0"))
            .contains("initLimit: -1 is not allowed")
    );
    assert!(error(&format!("{LIMITS}{THREE}electionAlg=1"), Some("0")).contains("Only 3 is supported"));
}

#[test]
fn an_ensemble_that_tolerates_little_is_warned_of() {
    let servers = |count: i64| (0..count).map(|id| format!("server.{id}=h:1:2\n")).collect::<String>();
    assert_eq!(
        ensemble(&servers(2), "0").1,
        ["No server failure will be tolerated. You need at least 3 servers."]
    );
    let even = ["Non-optimal configuration, consider an odd number of servers."];
    assert_eq!(ensemble(&servers(4), "0").1, even);
    let (_, warnings) = ensemble(&format!("{}peerType=observer", servers(3)), "0");
    assert_eq!(
        warnings,
        [
            "Peer type from servers list (PARTICIPANT) doesn't match peerType (OBSERVER). Defaulting to servers list."
        ]
    );
}

#[test]
fn one_voter_is_an_ensemble_only_if_it_is_said() {
    assert_eq!(prove("server.1=a:1:2", None, None), Ok(None));
    let alone = format!("{LIMITS}standaloneEnabled=false\nserver.1=a:1:2");
    let (ensemble, _) = prove(&alone, None, Some("1")).expect("good").expect("an ensemble");
    assert!(ensemble.configurations.committed().verifier().contains_quorum(|_| true));
}

#[test]
fn what_clients_and_observers_get_is_set_by_the_keys_for_it() {
    let (usual, _) = ensemble(THREE, "0");
    assert_eq!(
        (usual.read_only_after, usual.new_sessions, usual.leader_serves, usual.observer_master_port),
        (None, NewSessions::Global, true, None)
    );
    assert!(usual.observer_master_addresses().is_empty());

    let text = format!(
        "{THREE}readonlymode.enabled=true\nlocalSessionsEnabled=true\nleaderServes=no\nobserverMasterPort=2777\n"
    );
    let (set, warnings) = ensemble(&text, "0");
    assert_eq!(set.read_only_after, Some(Duration::from_secs(2)), "though a tick is shorter");
    assert_eq!(set.new_sessions, NewSessions::Local { upgrades: false });
    assert!(!set.leader_serves && warnings.is_empty(), "{warnings:?}");
    let masters = set.observer_master_addresses();
    assert!(masters.keys().copied().eq([0, 1, 3].map(ServerId)), "observers are nobody's masters");
    assert_eq!((masters[&ServerId(1)][0].host.as_str(), masters[&ServerId(1)][0].port), ("b", 2777));

    let slow = format!("{THREE}readonlymode.enabled=true\nlocalSessionsUpgradingEnabled=true\n").replacen(
        "server.0",
        "tickTime=3000\nserver.0",
        1,
    );
    let (slow, warnings) = ensemble(&slow, "0");
    assert_eq!(slow.read_only_after, Some(Duration::from_secs(3)));
    assert_eq!(slow.new_sessions, NewSessions::Global, "upgrading alone changes nothing");
    assert!(warnings.iter().any(|text| text.contains("lets no client in")), "{warnings:?}");

    let wrong = error(&format!("{LIMITS}{THREE}observerMasterPort=70000\n"), Some("0"));
    assert!(wrong.contains("observerMasterPort") && wrong.contains("at most 65535"), "{wrong}");
    let both = format!("{LIMITS}{THREE}observerMasterPort=2777\nreconfigEnabled=true\n");
    assert!(error(&both, Some("0")).contains("do not work together"));
}

const STORES: &str = "ssl.quorum.keyStore.location=/own.p12\nssl.quorum.keyStore.password=geheim\n\
                      ssl.quorum.trustStore.location=/trusted.pem\n";

fn tls(lines: &str) -> (PeerTls, Vec<String>) {
    let (ensemble, warnings) = ensemble(&format!("{THREE}{STORES}{lines}"), "0");
    (ensemble.tls.expect("there is TLS"), warnings)
}

#[test]
fn servers_talk_in_plain_text_unless_they_are_told_otherwise() {
    assert_eq!(ensemble(&format!("{THREE}{STORES}"), "0").0.tls, None);
    let (set, warnings) = tls("sslQuorum=true\n");
    assert!(set.dials && !set.accepts_plain && !set.reloads && warnings.is_empty(), "{warnings:?}");
    let (key, trust) = (&set.options.key_store, &set.options.trust_store);
    assert_eq!((key.kind, trust.kind), (StoreKind::Pkcs12, StoreKind::Pem));
    assert_eq!(key.password, Password::Text("geheim".to_owned()));
    assert!(!format!("{set:?}").contains("geheim"));
    assert_eq!(set.options.versions, [TlsVersion::V1_3, TlsVersion::V1_2]);
    assert_eq!(set.options.client_auth, ClientAuth::Need);
    assert_eq!(set.options.detection, Duration::from_secs(5));
    let (set, _) = tls("portUnification=true\nsslQuorumReloadCertFiles=true\n");
    assert!(!set.dials && set.accepts_plain && set.reloads);
}

#[test]
fn host_names_are_verified_as_in_java_only_without_fips_mode() {
    let verifies = |lines: &str| {
        let (set, warnings) = tls(&format!("sslQuorum=true\n{lines}"));
        (set.options.verifies_servers, set.options.verifies_clients, warnings.len())
    };
    assert_eq!(verifies(""), (false, false, 0));
    assert_eq!(
        verifies("ssl.quorum.hostnameVerification=true"),
        (false, false, 1),
        "what was asked for is not done"
    );
    assert_eq!(verifies("fips-mode=false"), (true, true, 0));
    assert_eq!(verifies("fips-mode=false\nssl.quorum.clientHostnameVerification=false"), (true, false, 0));
    assert_eq!(verifies("fips-mode=false\nssl.quorum.hostnameVerification=false"), (false, false, 0));
}

#[test]
fn versions_of_tls_and_formats_of_files_are_those_of_java() {
    let versions = |lines: &str| tls(&format!("sslQuorum=true\n{lines}")).0.options.versions;
    assert_eq!(versions("ssl.quorum.protocol=TLSv1.2"), [TlsVersion::V1_2]);
    assert_eq!(versions("ssl.quorum.enabledProtocols=TLSv1.3"), [TlsVersion::V1_3]);
    let (set, warnings) = tls("sslQuorum=true\nssl.quorum.enabledProtocols=TLSv1.2,TLSv1.1\n");
    assert_eq!(set.options.versions, [TlsVersion::V1_2]);
    assert!(warnings[0].contains("no TLSv1.1"), "{warnings:?}");
    let (set, _) = tls("sslQuorum=true\nssl.quorum.keyStore.type=jks\nssl.quorum.keyStore.passwordPath=/p\n");
    assert_eq!(set.options.key_store.kind, StoreKind::Jks, "the name does not matter then");
    assert_eq!(set.options.key_store.password, Password::File("/p".to_owned()));
    let (set, _) = tls("sslQuorum=true\nssl.quorum.clientAuth=NONE\nssl.quorum.ciphersuites=A, B\n");
    assert_eq!(set.options.client_auth, ClientAuth::None);
    assert_eq!(set.options.cipher_suites, Some(vec!["A".to_owned(), "B".to_owned()]));
}

#[test]
fn tls_that_would_not_protect_or_not_work_is_refused() {
    let without = error(&format!("{LIMITS}{THREE}sslQuorum=true"), Some("0"));
    assert!(without.contains("ssl.quorum.keyStore.location is not set"), "{without}");
    for (lines, expected) in [
        ("ssl.quorum.trustStore.location=", "ssl.quorum.trustStore.location is not set"),
        ("ssl.quorum.keyStore.location=/own", "Unable to auto-detect store file type from file name: /own"),
        ("ssl.quorum.keyStore.location=/own.bcfks", "/own.bcfks is of the type BCFKS"),
        ("ssl.quorum.keyStore.type=DER", "\"DER\" is not allowed, it must be one of PEM, PKCS12, JKS, BCFKS"),
        ("ssl.quorum.clientAuth=maybe", "\"maybe\" is not allowed, it must be one of need, want, none"),
        ("ssl.quorum.protocol=SSLv9", "SSLv9 SSLContext not available"),
        ("ssl.quorum.enabledProtocols=TLSv1", "TLSv1 SSLContext not available"),
        ("ssl.quorum.crl=true", "cannot find out whether a certificate is revoked"),
        ("ssl.quorum.ocsp=true", "cannot find out whether a certificate is revoked"),
        ("ssl.quorum.context.supplier.class=org.example.C", "no JVM to run a class in"),
    ] {
        let error = error(&format!("{LIMITS}{THREE}{STORES}sslQuorum=true\n{lines}"), Some("0"));
        assert!(error.contains(expected), "{lines}: {error}");
    }
}
