use proptest::prelude::*;

use super::*;
use crate::acl::DigestAlgorithm;

/// Proves `zoo.cfg` with this text, these `-D` flags on the command line, and nothing else.
fn prove_with(text: &str, flags: &str) -> Result<(Config, Vec<Notice>), ConfigError> {
    let raw = Raw::parse(text.as_bytes()).expect("no malformed escape");
    let mut defines = Defines::default();
    defines.add_flags(Origin::CommandLine, flags);
    Config::prove(&Sources {
        file: "zoo.cfg",
        raw: &raw,
        dynamic: None,
        next: None,
        defines: &defines,
        my_id: None,
    })
}

/// What a usable file begins with; what a test adds begins on line 3.
const HEAD: &str = "dataDir=/d\nclientPort=2181\n";

pub(super) fn config(text: &str) -> Config {
    let (config, _) = prove_with(&format!("{HEAD}{text}"), "").expect("a good configuration");
    config
}

fn config_with(text: &str, flags: &str) -> Config {
    let (config, _) = prove_with(&format!("{HEAD}{text}"), flags).expect("a good configuration");
    config
}

pub(super) fn error(text: &str) -> String {
    prove_with(&format!("{HEAD}{text}"), "").expect_err("a bad configuration").to_string()
}

fn notices(text: &str, flags: &str, severity: Severity) -> Vec<String> {
    let (_, notices) = prove_with(&format!("{HEAD}{text}"), flags).expect("a good configuration");
    notices.into_iter().filter(|notice| notice.severity == severity).map(|notice| notice.text).collect()
}

fn warnings(text: &str, flags: &str) -> Vec<String> {
    notices(text, flags, Severity::Warning)
}

#[test]
fn the_sample_file_of_the_distribution_is_accepted_without_a_warning() {
    let text = "tickTime=2000\ninitLimit=10\nsyncLimit=5\ndataDir=/tmp/zookeeper\nclientPort=2181\n";
    let (config, notices) = prove_with(text, "").expect("the sample file");
    assert!(notices.iter().all(|notice| notice.severity == Severity::Note), "{notices:?}");
    assert_eq!(config.sessions.min_timeout_ms, 4000);
    assert_eq!(config.sessions.max_timeout_ms, 40_000);
    assert_eq!(config.storage.data_dir.to_str(), Some("/tmp/zookeeper"));
    assert_eq!(config.storage.data_log_dir, config.storage.data_dir);
}

#[test]
fn what_is_not_set_has_zookeepers_default() {
    let config = config("");
    assert_eq!(
        config.sessions,
        Sessions { tick_ms: 3000, min_timeout_ms: 6000, max_timeout_ms: 60_000, handshake_ms: 10_000 }
    );
    assert_eq!(
        config.limits,
        Limits {
            connections_per_client: 60,
            connections: 0,
            frame_bytes: 1_048_575,
            record_extra_bytes: 1_048_575,
            outstanding: 1000,
            large_requests: None,
            connection_throttle: None,
            request_throttle: None,
            stale: Stale { closed_connection: true, session_timeout: false },
        }
    );
    assert_eq!(config.client_port, ClientPort { host: None, port: 2181, backlog: -1, keep_alive: false });
    assert_eq!(
        config.containers,
        Containers { check_interval_ms: 60_000, max_per_minute: 10_000, max_never_used_ms: 0 }
    );
    assert_eq!(config.layout, Layout { kind: LayoutKind::Auto, shards: None, cpus: vec![] });
    let Storage { segment_bytes, force_sync, sync_warning_ms, autocreate, .. } = config.storage;
    assert_eq!((segment_bytes, force_sync, sync_warning_ms, autocreate), (64 << 20, true, 1000, true));
    let security = config.security;
    assert!(!security.skip_acl && security.digest_enabled && !security.enforce_quota);
    assert!(!security.extended_types && !security.reconfig_enabled);
    assert_eq!((security.digest_algorithm, security.super_digest), (DigestAlgorithm::Sha1, None));
    assert!(config.admin.allows_word("srvr") && !config.admin.allows_word("ruok"));
}

#[test]
fn each_key_reaches_its_field() {
    assert_eq!(config("dataLogDir=/l").storage.data_log_dir.to_str(), Some("/l"));
    assert_eq!(config("clientPort=0").client_port.port, 0);
    assert_eq!(config("clientPortAddress=10.0.0.1").client_port.host.as_deref(), Some("10.0.0.1"));
    assert_eq!(config("clientPortListenBacklog=7").client_port.backlog, 7);
    assert!(config("clientTcpKeepAlive=TRUE").client_port.keep_alive);
    assert_eq!(config("tickTime=500").sessions.max_timeout_ms, 10_000);
    assert_eq!(config("minSessionTimeout=1").sessions.min_timeout_ms, 1);
    assert_eq!(config("maxSessionTimeout=99999").sessions.max_timeout_ms, 99_999);
    assert_eq!(config("nio.sessionlessCnxnTimeout=5").sessions.handshake_ms, 5);
    assert_eq!(config("maxClientCnxns=0").limits.connections_per_client, 0);
    assert_eq!(config("maxClientCnxns=-1").limits.connections_per_client, 0);
    assert_eq!(config("maxCnxns=500").limits.connections, 500);
    assert_eq!(config("jute.maxbuffer=4194304").limits.frame_bytes, 4 << 20);
    assert_eq!(config("jute.maxbuffer=100").limits.record_extra_bytes, 1024);
    assert_eq!(config("jute.maxbuffer.extrasize=2048").limits.record_extra_bytes, 2048);
    assert_eq!(config("globalOutstandingLimit=7").limits.outstanding, 7);
    assert_eq!(
        config("largeRequestThreshold=10\nlargeRequestMaxBytes=20").limits.large_requests,
        Some(LargeRequests { threshold: 10, bytes_max: 20 })
    );
    assert!(config("skipACL=yes").security.skip_acl);
    assert!(!config("skipACL=true").security.skip_acl);
    assert!(!config("DigestAuthenticationProvider.enabled=false").security.digest_enabled);
    let with_super = config("DigestAuthenticationProvider.superDigest=super:xQJmxLMiHGwaqBvst5y6rkB6HQs=");
    assert_eq!(with_super.security.super_digest.as_deref(), Some("super:xQJmxLMiHGwaqBvst5y6rkB6HQs="));
    let sha3 = config("DigestAuthenticationProvider.digestAlg=sha3-256");
    assert_eq!(sha3.security.digest_algorithm, DigestAlgorithm::Sha3Of256);
    assert_eq!(
        config("enforce.auth.enabled=true\nenforce.auth.schemes=digest, ip").security.enforced_schemes,
        ["digest", "ip"]
    );
    assert!(config("enforce.auth.schemes=sasl").security.enforced_schemes.is_empty());
    assert!(config("enforceQuota=true").security.enforce_quota);
    assert!(config("extendedTypesEnabled=true").security.extended_types);
    assert!(config("reconfigEnabled=true").security.reconfig_enabled);
    assert_eq!(config("preAllocSize=1024").storage.segment_bytes, 1 << 20);
    assert!(!config("forceSync=no").storage.force_sync);
    assert_eq!(config("fsync.warningthresholdms=20").storage.sync_warning_ms, 20);
    assert!(!config("datadir.autocreate=false").storage.autocreate);
    assert_eq!(config("snapCount=1").storage.snap_count, 2);
    assert_eq!(config("snapSizeLimitInKb=-1").storage.snap_size_limit_bytes, None);
    for (text, purge) in [
        ("", PurgeTime::WithSnapshots),
        ("autopurge.purgeInterval=24", PurgeTime::EveryMs(86_400_000)),
        ("autopurge.purgeInterval=0", PurgeTime::Never),
        ("autopurge.purgeInterval=-1", PurgeTime::Never),
    ] {
        assert_eq!(config(text).storage.purge, purge, "{text}");
    }
    assert_eq!(config("autopurge.snapRetainCount=1").storage.snap_retain_count, 3);
    assert_eq!(config("znode.container.checkIntervalMs=5").containers.check_interval_ms, 5);
    assert_eq!(config("znode.container.maxPerMinute=5").containers.max_per_minute, 5);
    assert_eq!(config("znode.container.maxNeverUsedIntervalMs=5").containers.max_never_used_ms, 5);
    let split = config("ringkeeper.layout=split\nringkeeper.shards=3\nringkeeper.cpus=0-4").layout;
    assert_eq!(split, Layout { kind: LayoutKind::Split, shards: Some(3), cpus: vec![0, 1, 2, 3, 4] });
    assert_eq!(config("ringkeeper.layout=Single").layout.kind, LayoutKind::Single);
}

#[test]
fn each_bad_value_is_answered_with_the_line_the_key_and_what_is_wrong() {
    let number = "For input string: \"x\"";
    let table: &[(&str, &str)] = &[
        ("clientPort=x", number),
        ("clientPort=70000", "port out of range:70000 (it must be from 0 to 65535)"),
        ("clientPort=-1", "port out of range:-1"),
        ("secureClientPort=x", number),
        ("clientPortListenBacklog=x", number),
        ("tickTime=2000 # ms", "For input string: \"2000 # ms\" (a comment needs a line of its own)"),
        ("tickTime=", "For input string: \"\""),
        ("tickTime=99999999999", "For input string: \"99999999999\""),
        ("tickTime=0", "tickTime is not set"),
        ("tickTime=-5", "-5 is not allowed, it must be at least 1"),
        ("minSessionTimeout=x", number),
        ("maxSessionTimeout=0x10", "For input string: \"0x10\""),
        ("maxClientCnxns=x", number),
        ("initLimit=x", number),
        ("syncLimit=x", number),
        ("connectToLearnerMasterLimit=x", number),
        ("observerMasterPort=x", number),
        ("electionAlg=x", number),
        ("electionAlg=0", "Invalid electionAlg value. Only 3 is supported."),
        ("peerType=king", "Unrecognised peertype: king"),
        ("autopurge.snapRetainCount=x", number),
        ("autopurge.purgeInterval=1w", "Illegal time interval suffix: 1w"),
        ("standaloneEnabled=yes", "Invalid option yes for standaloneEnabled. Choose 'true' or 'false.'"),
        ("reconfigEnabled=1", "Invalid option 1 for reconfigEnabled. Choose 'true' or 'false.'"),
        ("localSessionsEnabled=on", "Invalid option on for localSessionsEnabled."),
        ("sslQuorum=on", "Invalid option on for sslQuorum."),
        ("quorum.auth.enableSasl=on", "Invalid option on for quorum.auth.enableSasl."),
        ("quorum.cnxn.threads.size=x", number),
        ("multiAddress.enabled=on", "Invalid option on for multiAddress.enabled."),
        ("jvm.pause.sleep.time.ms=x", number),
        ("metricsProvider.className=No", "metrics provider class was not found"),
        ("clientPortListenBacklog=1\\u00b2", "For input string: \"1²\""),
        ("DigestAuthenticationProvider.digestAlg=ROT13", "ROT13 is no digest algorithm of this server"),
        ("enforce.auth.enabled=true", "zookeeper.enforce.auth.schemes must be  configured."),
        ("sessionRequireClientSASLAuth=true", "Authentication scheme sasl is not available. This version"),
        ("clientPortAddress=h\nclientPort=", "For input string: \"\""),
        (
            "quorum.auth.learnerRequireSasl=true",
            "quorum.auth.enableSasl is disabled, so cannot enable quorum.auth.learnerRequireSasl",
        ),
        (
            "quorum.auth.serverRequireSasl=true",
            "quorum.auth.enableSasl is disabled, so cannot enable quorum.auth.serverRequireSasl",
        ),
        (
            "quorum.auth.enableSasl=true\nquorum.auth.serverRequireSasl=true",
            "quorum.auth.learnerRequireSasl is disabled, so cannot enable quorum.auth.serverRequireSasl",
        ),
        ("ringkeeper.layout=wide", "\"wide\" is not allowed, it must be one of auto, single, split"),
        ("ringkeeper.shards=2", "ringkeeper.shards is for ringkeeper.layout=split only, the layout is auto"),
        ("ringkeeper.shards=0", "0 is not allowed, it must be from 1 to 64"),
        ("ringkeeper.cpus=0,0", "CPU 0 is named twice"),
        ("ringkeeper.cpu=0", "none of ringkeeper's: it has ringkeeper.layout, ringkeeper.shards"),
        ("server.x=h:1:2", number),
        ("server.1=h:1", "h:1 does not have the form server_config or server_config;client_config"),
        ("server.1=h:1:1", "Client and election port must be different!"),
    ];
    for (text, expected) in table {
        let error = error(text);
        let line = 2 + text.lines().count();
        let key = text.lines().last().and_then(|line| line.split('=').next()).expect("a key");
        let start = format!("Error processing zoo.cfg, line {line}, {key}: ");
        assert!(error.starts_with(&start), "{text}: {error}");
        assert!(error.contains(expected), "{text}: {error}");
    }
}

#[test]
fn what_is_missing_or_does_not_fit_together_is_named() {
    let table: &[(&str, &str)] = &[
        ("clientPort=1", "dataDir is not set"),
        ("dataDir=\nclientPort=1", "dataDir is not set"),
        ("dataDir=/d", "clientPort is not set"),
        ("dataDir=/d\nclientPortAddress=h", "clientPortAddress is set but clientPort is not set"),
        (
            "dataDir=/d\nclientPort=1\nsecureClientPortAddress=h",
            "secureClientPortAddress is set but secureClientPort is not set",
        ),
        (
            "dataDir=/d\nclientPort=1\nminSessionTimeout=5\nmaxSessionTimeout=4",
            "minSessionTimeout must not be larger than maxSessionTimeout",
        ),
        (
            "dataDir=/d\nclientPort=1\nmaxSessionTimeout=100",
            "minSessionTimeout must not be larger than maxSessionTimeout (6000 ms and 100 ms)",
        ),
        (
            "dataDir=/d\nclientPort=1\nenforce.auth.enabled=true\nenforce.auth.schemes=digest,sasl",
            "Authentication scheme sasl is not available.",
        ),
        (
            "dataDir=/d\nclientPort=1\nDigestAuthenticationProvider.enabled=false\n\
             enforce.auth.enabled=true\nenforce.auth.schemes=digest",
            "Authentication scheme digest is not available.",
        ),
    ];
    for (text, expected) in table {
        let error = prove_with(text, "").expect_err(text).to_string();
        assert!(error.starts_with("Error processing zoo.cfg"), "{error}");
        assert!(error.contains(expected), "{text}: {error}");
    }
}

#[test]
fn a_property_comes_from_the_file_before_the_command_line() {
    let outstanding = |text, flags| config_with(text, flags).limits.outstanding;
    assert_eq!(outstanding("", "-Dzookeeper.globalOutstandingLimit=7"), 7);
    assert_eq!(outstanding("globalOutstandingLimit=8", "-Dzookeeper.globalOutstandingLimit=7"), 8);
    assert_eq!(outstanding("", "-DglobalOutstandingLimit=7"), 1000);
    assert_eq!(outstanding("zookeeper.globalOutstandingLimit=8", ""), 1000);
    assert_eq!(outstanding("", "-Dzookeeper.globalOutstandingLimit=0x10"), 16);
}

#[test]
fn names_without_a_prefix_are_taken_from_both_places() {
    let frame = |text, flags| config_with(text, flags).limits.frame_bytes;
    assert_eq!(frame("jute.maxbuffer=4096", ""), 4096);
    assert_eq!(frame("", "-Djute.maxbuffer=8192"), 8192);
    assert_eq!(frame("jute.maxbuffer=4096", "-Djute.maxbuffer=8192"), 4096);
    assert_eq!(frame("", "-Dzookeeper.jute.maxbuffer=8192"), 1_048_575);
    let sync_warning = |flags| config_with("", flags).storage.sync_warning_ms;
    assert_eq!(sync_warning("-Dfsync.warningthresholdms=5"), 5);
    assert_eq!(sync_warning("-Dfsync.warningthresholdms=5 -Dzookeeper.fsync.warningthresholdms=6"), 6);
}

#[test]
fn a_parser_key_cannot_be_a_property_and_says_so() {
    let flags = "-Dzookeeper.tickTime=1 -DtickTime=2";
    assert_eq!(config_with("", flags).sessions.tick_ms, 3000);
    assert_eq!(
        warnings("", flags),
        [
            "-Dzookeeper.tickTime (command line) has no effect: tickTime is read from the configuration file only"
        ]
    );
}

#[test]
fn ringkeepers_own_keys_are_strict_as_properties_too() {
    let own = config_with("", "-Dzookeeper.ringkeeper.layout=single").layout;
    assert_eq!(own.kind, LayoutKind::Single);
    for (flags, expected) in [
        ("-Dzookeeper.ringkeeper.layout=wide", "command line, ringkeeper.layout: \"wide\" is not allowed"),
        ("-Dzookeeper.ringkeeper.lay=single", "ringkeeper.lay: this key is none of ringkeeper's"),
    ] {
        let error = prove_with(HEAD, flags).expect_err(flags).to_string();
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn a_property_that_cannot_be_read_is_its_default_with_a_warning() {
    for text in ["globalOutstandingLimit=lots", "globalOutstandingLimit=0", "globalOutstandingLimit="] {
        assert_eq!(config(text).limits.outstanding, 1000, "{text}");
        let [warning] = &warnings(text, "")[..] else { panic!("one warning for {text}") };
        assert!(warning.starts_with("zoo.cfg, line 3: globalOutstandingLimit: "), "{warning}");
        assert!(warning.ends_with("the default holds, 1000"), "{warning}");
    }
    let [warning] = &warnings("", "-Dzookeeper.maxCnxns=many")[..] else { panic!("one warning") };
    assert!(warning.starts_with("-Dzookeeper.maxCnxns (command line): "), "{warning}");
}

#[test]
fn what_has_no_effect_is_named_once_and_only_if_it_asks_for_something() {
    let table: &[(&str, &str)] = &[
        (
            "secureClientPort=2281",
            "secureClientPort is not supported by this version yet and has no effect: \
          there is no TLS, nothing listens on this port",
        ),
        ("ssl.keyStore.location=/k.jks", "ssl.keyStore.location is not supported"),
        ("authProvider.1=org.apache.zookeeper.server.auth.SASLAuthenticationProvider", "authProvider.1"),
        ("java.security.auth.login.config=/j", "there is no SASL for clients"),
        ("autopurge.snapRetainCount=2", "Invalid autopurge.snapRetainCount: 2. Defaulting to 3"),
        ("admin.serverPort=9090", "no administration over HTTP"),
        (
            "metricsProvider.className=org.apache.zookeeper.metrics.prometheus.PrometheusMetricsProvider",
            "metricsProvider.className is not supported",
        ),
        ("metricsProvider.httpPort=7000", "metricsProvider.httpPort is not supported"),
        ("pathStats.slotCapacity=5", "requests are not counted by path"),
        ("nio.numWorkerThreads=3", "is about the Java server's inside"),
        ("jvm.pause.monitor=true", "is about the Java server's inside"),
        ("zookeeper.snapCount=5", "in this file its name is snapCount"),
        ("requestThrottleLimit=5", "the name that works is request_throttle_max_requests"),
        ("forceSync=no", "acknowledged writes may be lost"),
        ("dataLogDir=logs", "logs is relative. Prepend ./ to indicate that you're sure!"),
    ];
    for (text, expected) in table {
        let warnings = warnings(text, "");
        assert!(warnings.iter().any(|warning| warning.contains(expected)), "{text}: {warnings:?}");
    }
    let silent = "admin.enableServer=false\nsnapCount=100000\nautopurge.purgeInterval=0\nautopurge.snapRetainCount=3\n\
        skipACL=no\nclientTcpKeepAlive=true\ninitLimit=10\nsyncLimit=5\nelectionAlg=3\nleaderServes=yes\n\
        myOwnKey=1\ndataLogDir=./logs\nmaxClientCnxns=0\nsslQuorum=false\n4lw.commands.whitelist=*\n\
        metricsProvider.className=org.apache.zookeeper.metrics.impl.DefaultMetricsProvider\n";
    assert_eq!(warnings(silent, "-Dzookeeper.log.dir=/l -Djava.awt.headless=true"), [""; 0]);
}

#[test]
fn a_property_overridden_by_the_file_is_not_complained_about() {
    assert_eq!(warnings("maxCnxns=5", "-Dzookeeper.maxCnxns=many"), [""; 0]);
    let notes = notices("maxCnxns=5", "-Dzookeeper.maxCnxns=many", Severity::Note);
    assert_eq!(notes, ["-Dzookeeper.maxCnxns (command line) is overridden by maxCnxns in zoo.cfg"]);
}

#[test]
fn unknown_keys_are_silent_but_for_a_note() {
    let notes = notices("myOwnKey=1", "-Dzookeeper.mine=2", Severity::Note);
    assert_eq!(
        notes,
        [
            "zoo.cfg, line 3: myOwnKey is not known, it became the property zookeeper.myOwnKey",
            "-Dzookeeper.mine (command line) is not known",
        ]
    );
}

#[test]
fn no_notice_gives_a_value_away() {
    let text = "ssl.keyStore.password=geheim\nDigestAuthenticationProvider.superDigest=geheim\nnoKey=geheim\n\
        SASLAuthenticationProvider.superPassword=geheim";
    let (_, notices) = prove_with(&format!("{HEAD}{text}"), "-Dzookeeper.any=geheim").expect("usable");
    assert!(notices.iter().all(|notice| !notice.text.contains("geheim")), "{notices:?}");
}

#[test]
fn srvr_is_always_answered_and_a_star_answers_everything() {
    let admin = config("4lw.commands.whitelist=stat, ruok,").admin;
    assert!(admin.allows_word("srvr") && admin.allows_word("ruok") && admin.allows_word("stat"));
    assert!(!admin.allows_word("mntr") && !admin.allows_word("isro") && !admin.allows_word(""));
    assert!(config("4lw.commands.whitelist=ruok, *").admin.allows_word("mntr"));
    assert!(config("readonlymode.enabled=true").admin.allows_word("isro"));
}

#[test]
fn what_is_no_ensemble_and_no_standalone_server_is_refused() {
    let limits = "initLimit=5\nsyncLimit=2";
    assert!(
        error("server.1=a:1:2:observer").contains("Observers w/o participants is an invalid configuration")
    );
    assert!(error("server.1=a:1:2\nserver.2=b:1:2:observer").contains("Observers w/o quorum"));
    assert!(error("standaloneEnabled=false").contains("number of participants should be >0"));
    let without_id = error(&format!("{limits}\nserver.1=a:2888:3888\nserver.2=b:2888:3888"));
    assert!(without_id.contains("myid"), "a member is never served alone: {without_id}");
}

#[test]
fn one_voter_is_standalone_with_javas_warning() {
    assert_eq!(
        warnings("server.1=a:2888:3888", ""),
        ["Invalid configuration, only one server specified (ignoring)"]
    );
}

/// Proves `zoo.cfg` with a dynamic file and a `myid`.
fn prove_member(text: &str, dynamic: Option<&str>, my_id: Option<&str>) -> Result<Config, String> {
    let raw = Raw::parse(text.as_bytes()).expect("no malformed escape");
    let dynamic = dynamic.map(|text| Raw::parse(text.as_bytes()).expect("no malformed escape"));
    let sources = Sources {
        file: "zoo.cfg",
        raw: &raw,
        dynamic: dynamic.as_ref().map(|raw| ("zoo.cfg.dynamic", raw)),
        next: None,
        defines: &Defines::default(),
        my_id,
    };
    Config::prove(&sources).map(|(config, _)| config).map_err(|error| error.to_string())
}

#[test]
fn my_id_is_the_first_line_alone() {
    let my_id = |content| prove_member(HEAD, None, Some(content)).map(|config| config.my_id);
    assert_eq!(my_id("7"), Ok(Some(ServerId(7))));
    assert_eq!(my_id("7\nx"), Ok(Some(ServerId(7))));
    assert_eq!(my_id("-3\r\n"), Ok(Some(ServerId(-3))));
    for (content, shown) in [("one\n", "one"), (" 7", " 7"), ("7 ", "7 "), ("\n7", ""), ("", "null")] {
        let error = my_id(content).expect_err(content);
        assert!(error.contains(&format!("serverid {shown} is not a number")), "{content:?}: {error}");
    }
}

#[test]
fn the_own_line_s_client_address_holds_and_must_not_contradict_the_file() {
    let address = |text: &str, my_id| {
        prove_member(&format!("dataDir=/d\n{text}"), None, my_id)
            .map(|config| (config.client_port.host, config.client_port.port))
    };
    let line = "server.1=h:2888:3888;10.0.0.1:2181\n";
    let from_line = Ok((Some("10.0.0.1".to_owned()), 2181));
    assert_eq!(address(line, Some("1")), from_line);
    assert_eq!(address(&format!("{line}clientPort=2181"), Some("1")), from_line);
    assert_eq!(address(&format!("{line}clientPort=99"), Some("2")), Ok((None, 99)));
    assert!(address(line, None).unwrap_err().contains("clientPort is not set"));
    assert_eq!(
        address(&format!("{line}clientPort=99"), Some("1")).unwrap_err(),
        "Error processing zoo.cfg: client address for this server (id = 1) in static config file is 0.0.0.0:99 \
         is different from client address found in dynamic file: 10.0.0.1:2181"
    );
    assert!(address(&format!("{line}clientPort=2181\nclientPortAddress=h"), Some("1")).is_err());
    let v6 = "server.1=[fd::1]:2888:3888;[fd::1]:2181\nclientPort=2181\nclientPortAddress=fd:0::1";
    assert_eq!(address(v6, Some("1")), Ok((Some("fd:0:0:0:0:0:0:1".to_owned()), 2181)));
}

#[test]
fn a_dynamic_file_names_servers_and_nothing_else() {
    let head = format!("{HEAD}dynamicConfigFile=zoo.cfg.dynamic\n");
    assert!(prove_member(&head, Some("server.1=h:1:2"), None).is_ok());
    let limits = format!("{head}initLimit=5\nsyncLimit=2\n");
    let member = prove_member(&limits, Some("server.1=h:1:2\nserver.2=i:1:2"), Some("2")).expect("a member");
    assert_eq!(member.ensemble.map(|ensemble| ensemble.configurations.committed().servers().len()), Some(2));
    for (dynamic, expected) in [
        ("server.1=h:1:2\ntickTime=5", "zoo.cfg.dynamic, line 2, tickTime: Unrecognised parameter: tickTime"),
        ("version=5", "zoo.cfg.dynamic, line 1, version: dynamic file shouldn't have version inside"),
        ("server.1=h", "zoo.cfg.dynamic, line 1, server.1: h does not have the form"),
    ] {
        let error = prove_member(&head, Some(dynamic), None).unwrap_err();
        assert!(error.contains(expected), "{error}");
    }
    let both = prove_member(&format!("{head}server.1=h:1:2"), Some("server.1=h:1:2"), None).unwrap_err();
    assert!(
        both.ends_with(
            "zoo.cfg, line 4, server.1: parameter: server.1 must be in a separate dynamic config file"
        ),
        "{both}"
    );
}

#[test]
fn a_start_by_arguments_has_a_tick_and_a_limit_of_its_own() {
    let prove = |raw: &Raw| {
        let defines = Defines::default();
        let sources =
            Sources { file: "arguments", raw, dynamic: None, next: None, defines: &defines, my_id: None };
        Config::prove(&sources).map(|(config, _)| config)
    };
    let config = prove(&Raw::from_arguments("2181", "/d", None, None)).expect("two arguments");
    assert_eq!((config.client_port.port, config.sessions.tick_ms), (2181, 3000));
    assert_eq!(config.limits.connections_per_client, 0);
    let config = prove(&Raw::from_arguments("1", "/d", Some("50"), Some("9"))).expect("four arguments");
    assert_eq!((config.sessions.tick_ms, config.limits.connections_per_client), (50, 9));
    let error = prove(&Raw::from_arguments("1", "/d", Some("x"), None)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "Error processing arguments, argument 3, tickTime: For input string: \"x\""
    );
}

#[test]
fn a_malformed_escape_names_file_and_line() {
    let malformed = Raw::parse(b"dataDir=/d\nclientPort=\\u1").unwrap_err();
    assert_eq!(
        ConfigError::from(("zoo.cfg", malformed)).to_string(),
        "Error processing zoo.cfg, line 2: Malformed \\uxxxx encoding."
    );
}

proptest! {
    #[test]
    fn no_file_and_no_flags_make_it_panic(
        lines in proptest::collection::vec(
            (proptest::sample::select(keys().map(|key| key.name()).collect::<Vec<_>>()), "(-1|0|9223372036854775807|-9223372036854775808|2147483647|[-+0-9a-zA-Z#:;|,.\\[\\] ]{0,12})"),
            0..12,
        ),
        flags in "[-D=a-z.' \"]{0,40}",
        my_id in proptest::option::of("[-0-9a\n]{0,4}"),
    ) {
        let mut text = HEAD.to_owned();
        for (name, value) in lines {
            text.push_str(&format!("{}={value}\n", name.replace('*', "1")));
        }
        let raw = Raw::parse(text.as_bytes()).expect("no escape in there");
        let mut defines = Defines::default();
        defines.add_flags(Origin::JvmFlags, &flags);
        let sources =
            Sources { file: "zoo.cfg", raw: &raw, dynamic: None, next: None, defines: &defines, my_id: my_id.as_deref() };
        if let Err(error) = Config::prove(&sources) {
            prop_assert!(error.to_string().starts_with("Error processing zoo.cfg"));
        }
    }

    #[test]
    fn arbitrary_bytes_are_proven_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        if let Ok(raw) = Raw::parse(&bytes) {
            let defines = Defines::default();
            let sources = Sources { file: "zoo.cfg", raw: &raw, dynamic: None, next: None, defines: &defines, my_id: None };
            let _ = Config::prove(&sources);
        }
    }
}
