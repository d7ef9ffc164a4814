//! Keys of ZooKeeper's parser (config §4): in `zoo.cfg` only, a bad value ends the start.

use crate::config::Status::{Ensemble, IgnoredJvm, MemberNotYet, NotYet, Supported};
use crate::config::key::{AnyKey, Key};
use crate::config::kind::{ElectionAlg, Flag, Int, Interval, MetricsProvider, PeerType, Port, Text};

pub(in crate::config) static DATA_DIR: Key<Text> =
    Key::parser("dataDir", Text::optional(), Supported, "folder of myid and, in version-2, snapshots");

pub(in crate::config) static DATA_LOG_DIR: Key<Text> = Key::parser(
    "dataLogDir",
    Text::optional(),
    Supported,
    "folder of the log, in version-2; dataDir if unset",
);

pub(in crate::config) static CLIENT_PORT: Key<Port> =
    Key::parser("clientPort", Port, Supported, "port for clients; 0 lets the kernel choose a free one");

pub(in crate::config) static CLIENT_PORT_ADDRESS: Key<Text> =
    Key::parser("clientPortAddress", Text::optional(), Supported, "address of clientPort; all if unset");

pub(in crate::config) static SECURE_CLIENT_PORT: Key<Port> = Key::parser(
    "secureClientPort",
    Port,
    NotYet("there is no TLS, nothing listens on this port"),
    "port for clients with TLS",
);

pub(in crate::config) static SECURE_CLIENT_PORT_ADDRESS: Key<Text> = Key::parser(
    "secureClientPortAddress",
    Text::optional(),
    NotYet("there is no TLS"),
    "address of secureClientPort; all if unset",
);

pub(in crate::config) static LISTEN_BACKLOG: Key<Int<i32>> = Key::parser(
    "clientPortListenBacklog",
    Int::any(-1),
    Supported,
    "connections that may wait to be accepted; -1 leaves the choice to the server",
);

pub(in crate::config) static TICK_TIME: Key<Int<i32>> =
    Key::parser("tickTime", Int::any(3000), Supported, "a tick in ms: session limits and expiry go by it");

pub(in crate::config) static MAX_CLIENT_CNXNS: Key<Int<i32>> =
    Key::parser("maxClientCnxns", Int::any(60), Supported, "connections of one client address; 0: no limit");

pub(in crate::config) static MIN_SESSION_TIMEOUT: Key<Int<i32>> =
    Key::parser("minSessionTimeout", Int::any(-1), Supported, "shortest session timeout in ms; -1: 2 ticks");

pub(in crate::config) static MAX_SESSION_TIMEOUT: Key<Int<i32>> =
    Key::parser("maxSessionTimeout", Int::any(-1), Supported, "longest session timeout in ms; -1: 20 ticks");

pub(in crate::config) static DYNAMIC_CONFIG_FILE: Key<Text> =
    Key::parser("dynamicConfigFile", Text::optional(), Supported, "file of the server lines");

pub(in crate::config) static STANDALONE_ENABLED: Key<Flag> =
    Key::parser("standaloneEnabled", Flag::or(true), Supported, "whether one server line means standalone");

pub(in crate::config) static RECONFIG_ENABLED: Key<Flag> =
    Key::parser("reconfigEnabled", Flag::or(false), Supported, "whether clients may ask for a reconfig");

pub(in crate::config) static SNAP_RETAIN_COUNT: Key<Int<i32>> = Key::parser(
    "autopurge.snapRetainCount",
    Int::any(3),
    Supported,
    "snapshots that a purge keeps, at least 3",
);

pub(in crate::config) static PURGE_INTERVAL: Key<Interval> = Key::parser(
    "autopurge.purgeInterval",
    Interval,
    Supported,
    "hours between purges, or with a unit (ms, s, m, h, d); 0: never; not set: with each snapshot, and Java's \
     files are kept",
);

pub(in crate::config) static MULTI_ADDRESS_ENABLED: Key<Flag> =
    Key::parser("multiAddress.enabled", Flag::or(false), Ensemble, "several addresses of one server");

pub(in crate::config) static QUORUM_SASL: Key<Flag> =
    Key::parser("quorum.auth.enableSasl", Flag::or(false), Ensemble, "SASL between servers");

pub(in crate::config) static LEARNER_SECTION: Key<Text> = Key::parser(
    "quorum.auth.learner.saslLoginContext",
    Text::or("QuorumLearner"),
    Ensemble,
    "section of the log-in file: as whom to log in",
);

pub(in crate::config) static SERVER_SECTION: Key<Text> = Key::parser(
    "quorum.auth.server.saslLoginContext",
    Text::or("QuorumServer"),
    Ensemble,
    "section of the log-in file: who may log in",
);

pub(in crate::config) static SSL_QUORUM: Key<Flag> =
    Key::parser("sslQuorum", Flag::or(false), Ensemble, "TLS between servers");

pub(in crate::config) static PORT_UNIFICATION: Key<Flag> =
    Key::parser("portUnification", Flag::or(false), Ensemble, "TLS and plain on the ports between servers");

pub(in crate::config) static SSL_QUORUM_RELOAD: Key<Flag> =
    Key::parser("sslQuorumReloadCertFiles", Flag::or(false), Ensemble, "reread the certificates for peers");

pub(in crate::config) static LEARNER_REQUIRES_SASL: Key<Flag> =
    Key::parser("quorum.auth.learnerRequireSasl", Flag::or(false), Ensemble, "learners insist on SASL");

pub(in crate::config) static SERVER_REQUIRES_SASL: Key<Flag> =
    Key::parser("quorum.auth.serverRequireSasl", Flag::or(false), Ensemble, "leaders insist on SASL");

pub(in crate::config) static INIT_LIMIT: Key<Int<i32>> =
    Key::parser("initLimit", Int::<i32>::any(0), Ensemble, "ticks that a learner has to connect and sync");

pub(in crate::config) static SYNC_LIMIT: Key<Int<i32>> =
    Key::parser("syncLimit", Int::<i32>::any(0), Ensemble, "ticks of silence between leader and learner");

pub(in crate::config) static QUORUM_LISTEN_ON_ALL_IPS: Key<Flag> =
    Key::parser("quorumListenOnAllIPs", Flag::or(false), Ensemble, "listen for peers on all addresses");

pub(in crate::config) static PEER_TYPE: Key<PeerType> =
    Key::parser("peerType", PeerType, Ensemble, "participant or observer; the server lines decide");

pub(in crate::config) static OBSERVER_MASTER_PORT: Key<Int<i32>> = Key::parser(
    "observerMasterPort",
    Int::<i32>::any(0),
    Ensemble,
    "port of followers for observers; 0: none",
);

pub(in crate::config) static ORACLE_PATH: Key<Text> =
    Key::parser("oraclePath", Text::optional(), Ensemble, "file that lets one of two servers go on alone");

pub(in crate::config) static LOCAL_SESSIONS: Key<Flag> =
    Key::parser("localSessionsEnabled", Flag::or(false), Ensemble, "sessions known to one server only");

pub(in crate::config) static LOCAL_SESSIONS_UPGRADING: Key<Flag> = Key::parser(
    "localSessionsUpgradingEnabled",
    Flag::or(false),
    Ensemble,
    "make local sessions global on need",
);

pub(in crate::config) static KEYS: &[&dyn AnyKey] = &[
    &DATA_DIR,
    &DATA_LOG_DIR,
    &CLIENT_PORT,
    &CLIENT_PORT_ADDRESS,
    &SECURE_CLIENT_PORT,
    &SECURE_CLIENT_PORT_ADDRESS,
    &LISTEN_BACKLOG,
    &TICK_TIME,
    &MAX_CLIENT_CNXNS,
    &MIN_SESSION_TIMEOUT,
    &MAX_SESSION_TIMEOUT,
    &DYNAMIC_CONFIG_FILE,
    &STANDALONE_ENABLED,
    &RECONFIG_ENABLED,
    &SNAP_RETAIN_COUNT,
    &PURGE_INTERVAL,
    &MULTI_ADDRESS_ENABLED,
    &Key::parser(
        "server.*",
        Text::optional(),
        Supported,
        "a server of the ensemble: host:port:port[:role][;port]",
    ),
    &Key::parser(
        "group*",
        Text::optional(),
        Ensemble,
        "ids of the servers of a group, for quorums of groups",
    ),
    &Key::parser("weight*", Text::optional(), Ensemble, "weight of a server's vote within its group"),
    &INIT_LIMIT,
    &SYNC_LIMIT,
    &Key::parser(
        "connectToLearnerMasterLimit",
        Int::<i32>::any(0),
        MemberNotYet,
        "ticks to connect; 0: initLimit",
    ),
    &Key::parser("electionAlg", ElectionAlg, Ensemble, "the way to elect a leader; only 3 is left"),
    &QUORUM_LISTEN_ON_ALL_IPS,
    &PEER_TYPE,
    &Key::parser("syncEnabled", Flag::or(true), MemberNotYet, "whether an observer writes log and snapshots"),
    &OBSERVER_MASTER_PORT,
    &LOCAL_SESSIONS,
    &LOCAL_SESSIONS_UPGRADING,
    &SSL_QUORUM,
    &PORT_UNIFICATION,
    &SSL_QUORUM_RELOAD,
    &QUORUM_SASL,
    &LEARNER_REQUIRES_SASL,
    &SERVER_REQUIRES_SASL,
    &LEARNER_SECTION,
    &SERVER_SECTION,
    &Key::parser(
        "quorum.auth.kerberos.servicePrincipal",
        Text::or("zkquorum/localhost"),
        NotYet("there is no Kerberos"),
        "Kerberos principal of peers; _HOST is the peer's host",
    ),
    &Key::parser(
        "quorum.cnxn.threads.size",
        Int::<i32>::any(20),
        IgnoredJvm,
        "threads that connect to peers",
    ),
    &Key::parser(
        "multiAddress.reachabilityCheckEnabled",
        Flag::or(true),
        MemberNotYet,
        "probe a peer's addresses",
    ),
    &Key::parser(
        "multiAddress.reachabilityCheckTimeoutMs",
        Int::<i32>::any(1000),
        MemberNotYet,
        "ms for such a probe",
    ),
    &ORACLE_PATH,
    &Key::parser(
        "metricsProvider.className",
        MetricsProvider,
        NotYet("no metrics are published over HTTP"),
        "class that publishes metrics",
    ),
    &Key::parser(
        "metricsProvider.*",
        Text::optional(),
        NotYet("no metrics are published over HTTP"),
        "settings of the class that publishes metrics",
    ),
    &Key::parser("jvm.pause.monitor", Flag::or(false), IgnoredJvm, "log pauses of the JVM"),
    &Key::parser("jvm.pause.info-threshold.ms", Int::<i64>::any(1000), IgnoredJvm, "a pause worth a note"),
    &Key::parser(
        "jvm.pause.warn-threshold.ms",
        Int::<i64>::any(10_000),
        IgnoredJvm,
        "a pause worth a warning",
    ),
    &Key::parser("jvm.pause.sleep.time.ms", Int::<i64>::any(500), IgnoredJvm, "how often to look for pauses"),
];
