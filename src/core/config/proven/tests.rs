use super::*;

fn prove(text: &str) -> Result<(Config, Vec<Warning>), ConfigError> {
    Config::prove(&Raw::from_file("zoo.cfg", text.as_bytes()), None)
}

fn config(text: &str) -> Config {
    prove(&format!("dataDir=/d\nclientPort=2181\n{text}")).expect("a good configuration").0
}

fn error(text: &str) -> String {
    prove(&format!("dataDir=/d\nclientPort=2181\n{text}")).expect_err("a bad configuration").to_string()
}

fn warnings(text: &str) -> Vec<String> {
    let (_, warnings) = prove(&format!("dataDir=/d\nclientPort=2181\n{text}")).expect("a configuration");
    warnings.into_iter().map(|warning| warning.to_string()).collect()
}

#[test]
fn the_sample_file_of_the_distribution_is_accepted_without_a_warning() {
    let text = "tickTime=2000\ninitLimit=10\nsyncLimit=5\ndataDir=/tmp/zookeeper\nclientPort=2181\n";
    let (config, warnings) = prove(text).expect("the sample file");
    assert_eq!(warnings, []);
    assert_eq!((config.sessions.min_timeout_ms, config.sessions.max_timeout_ms), (4000, 40_000));
    assert_eq!(config.storage.data_dir, config.storage.data_log_dir);
    assert_eq!((config.limits.connections_per_client, config.limits.frame_bytes), (60, 0xf_ffff));
}

#[test]
fn a_bad_value_is_named_with_its_file_and_line() {
    assert_eq!(
        error("tickTime=2000 # x"),
        "zoo.cfg, line 3: tickTime=2000 # x: For input string: \"2000 # x\""
    );
    assert!(error("standaloneEnabled=yes").contains("Choose 'true' or 'false.'"));
    assert!(error("clientPort=70000").contains("65535"));
    assert!(error("tickTime=0").contains("tickTime is not set"));
    assert!(error("minSessionTimeout=5\nmaxSessionTimeout=4").contains("must not be larger"));
    assert!(error("electionAlg=1").contains("Only 3 is supported."));
    assert!(error("peerType=king").contains("Unrecognised peertype: king"));
    assert!(error("ringkeeper.layout=wide").contains("auto, single or split"));
    assert!(error("ringkeeper.shards=2").contains("needs ringkeeper.layout=split"));
    assert!(error("enforce.auth.enabled=true").contains("must be  configured."));
    assert!(error("enforce.auth.enabled=true\nenforce.auth.schemes=sasl").contains("not available"));
}

#[test]
fn what_must_be_there_and_is_not_is_named() {
    let error = |text| prove(text).expect_err("incomplete").to_string();
    assert_eq!(error("clientPort=1"), "zoo.cfg: dataDir is not set");
    assert!(error("dataDir=/d\nclientPortAddress=h").contains("clientPortAddress is set but clientPort"));
}

#[test]
fn an_ensemble_is_refused_and_never_served_alone() {
    let two = "server.1=a:2888:3888\nserver.2=b:2888:3888";
    assert!(error(two).contains("an ensemble (2 server.N lines) is not supported"));
    assert!(error("standaloneEnabled=false\nserver.1=a:1:2").contains("is not supported"));
    assert!(error("server.1=a:1:2:observer").contains("Observers w/o participants"));
    assert!(warnings("server.1=a:1:2")[0].contains("only one server specified (ignoring)"));
}

#[test]
fn a_property_s_bad_number_is_the_default_with_a_warning() {
    assert_eq!(config("globalOutstandingLimit=lots").limits.outstanding, 1000);
    assert!(warnings("globalOutstandingLimit=lots")[0].contains("zoo.cfg, line 3: globalOutstandingLimit"));
    assert_eq!(config("globalOutstandingLimit=0x10").limits.outstanding, 16);
}

#[test]
fn keys_without_effect_are_named_and_strangers_are_not() {
    let warnings = warnings("snapCount=5\nnio.numWorkerThreads=3\nmyOwn=1\nsecureClientPort=2281");
    assert_eq!(warnings.len(), 3, "{warnings:?}");
    assert!(warnings.iter().any(|warning| warning.contains("secureClientPort") && warning.contains("TLS")));
}

#[test]
fn the_names_without_a_prefix_are_taken_from_both_places() {
    assert_eq!(config("jute.maxbuffer=4096").limits.frame_bytes, 4096);
    let raw = Raw::from_file("zoo.cfg", b"dataDir=/d\nclientPort=1")
        .with_properties([("jute.maxbuffer".into(), "8192".into())]);
    let (config, _) = Config::prove(&raw, None).expect("a good configuration");
    assert_eq!(config.limits.frame_bytes, 8192);
}

#[test]
fn srvr_is_always_answered() {
    let admin = config("4lw.commands.whitelist=stat, ruok").admin;
    assert!(admin.allows_word("srvr") && admin.allows_word("ruok") && admin.allows_word("stat"));
    assert!(!admin.allows_word("mntr"));
    assert!(config("4lw.commands.whitelist=*").admin.allows_word("mntr"));
    assert!(!config("").admin.allows_word("ruok"));
}

#[test]
fn the_short_start_form_has_defaults_of_its_own() {
    let raw = Raw::from_arguments(&["2181".into(), "/d".into()]);
    let (config, _) = Config::prove(&raw, None).expect("a good configuration");
    assert_eq!((config.sessions.tick_ms, config.limits.connections_per_client), (3000, 0));
}

#[test]
fn a_myid_that_is_no_number_is_told_as_java_tells_it() {
    let raw = Raw::from_file("zoo.cfg", b"dataDir=/d\nclientPort=1");
    let refused = Config::prove(&raw, Some("one\n")).expect_err("not a number");
    assert!(refused.to_string().contains("serverid one is not a number"));
}
