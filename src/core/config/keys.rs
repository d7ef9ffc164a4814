/// A key that ZooKeeper knows (config §§4–9), or one of our own.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// Its name in zoo.cfg.
    pub name: &'static str,
    /// Where it may be set.
    pub place: Place,
    /// What this server makes of it.
    pub status: Status,
}

/// Where a key may be set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// zoo.cfg alone.
    Parser,
    /// zoo.cfg, or `-Dzookeeper.<name>`.
    Property,
    /// `-D<name>`; here also zoo.cfg.
    BareProperty,
}

/// What this server makes of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// It does what it says.
    Supported,
    /// Known, and without effect in this version; a warning names it and says what that means.
    NotYet(&'static str),
    /// It tunes the Java implementation, and means nothing here; a warning names it.
    JavaOnly,
}

impl Key {
    /// The key with this name in zoo.cfg. Names that end in `*` in the table stand for all that begin
    /// so.
    pub fn find(name: &str) -> Option<&'static Key> {
        let exact = KEYS.iter().find(|key| key.name == name);
        exact.or_else(|| {
            KEYS.iter().find(|key| key.name.strip_suffix('*').is_some_and(|prefix| name.starts_with(prefix)))
        })
    }
}

const fn key(name: &'static str, place: Place, status: Status) -> Key {
    Key { name, place, status }
}

use Place::{BareProperty, Parser, Property};
use Status::{JavaOnly, NotYet, Supported};

const ENSEMBLE: Status = NotYet("it concerns ensembles, and this version serves alone");
const TLS: Status = NotYet("TLS is not there yet, and no port is encrypted");
const SASL: Status = NotYet("SASL is not there yet, and no client can authenticate with it");
const THROTTLE: Status = NotYet("this throttle is not there yet, and does not limit anything");
const SNAPSHOTS: Status = NotYet("snapshots are not there yet; the log holds everything");
const HTTP: Status = NotYet("the HTTP admin server and metrics exporters are not there yet");

/// Every key, once.
pub const KEYS: &[Key] = &[
    // Client ports and sessions.
    key("clientPort", Parser, Supported),
    key("clientPortAddress", Parser, Supported),
    key("clientPortListenBacklog", Parser, Supported),
    key("maxClientCnxns", Parser, Supported),
    key("maxCnxns", Property, Supported),
    key("tickTime", Parser, Supported),
    key("minSessionTimeout", Parser, Supported),
    key("maxSessionTimeout", Parser, Supported),
    key("clientTcpKeepAlive", Property, Supported),
    key("nio.sessionlessCnxnTimeout", Property, Supported),
    key("jute.maxbuffer", BareProperty, Supported),
    key("globalOutstandingLimit", Property, Supported),
    key("localSessionsEnabled", Parser, NotYet("all sessions are global")),
    key("localSessionsUpgradingEnabled", Parser, NotYet("all sessions are global")),
    key("largeRequestMaxBytes", Property, THROTTLE),
    key("largeRequestThreshold", Property, THROTTLE),
    key("connection_throttle_*", Property, THROTTLE),
    key("request_throttle_*", Property, THROTTLE),
    key("request_throttler.shutdownTimeout", Property, JavaOnly),
    key("request_stale_*", Property, THROTTLE),
    key("throttled_op_wait_time", Property, THROTTLE),
    key("serverCnxnFactory", Property, JavaOnly),
    // The tree and who may do what.
    key("skipACL", Property, Supported),
    key("enforceQuota", Property, Supported),
    key("extendedTypesEnabled", Property, Supported),
    key("emulate353TTLNodes", Property, NotYet("nodes with the 3.5.3 layout are not recognised")),
    key("DigestAuthenticationProvider.enabled", Property, Supported),
    key("DigestAuthenticationProvider.superDigest", Property, Supported),
    key("DigestAuthenticationProvider.digestAlg", Property, Supported),
    key("enforce.auth.enabled", Property, Supported),
    key("enforce.auth.schemes", Property, Supported),
    key("enableEagerACLCheck", Property, NotYet("the server that orders a write checks it")),
    key("reconfigEnabled", Parser, Supported),
    key("znode.container.checkIntervalMs", BareProperty, Supported),
    key("znode.container.maxPerMinute", BareProperty, Supported),
    key("znode.container.maxNeverUsedIntervalMs", BareProperty, Supported),
    // Storage.
    key("dataDir", Parser, Supported),
    key("dataLogDir", Parser, Supported),
    key("preAllocSize", Property, Supported),
    key("forceSync", Property, Supported),
    key("fsync.warningthresholdms", Property, Supported),
    key("datadir.autocreate", Property, Supported),
    key("snapCount", Property, SNAPSHOTS),
    key("snapSizeLimitInKb", Property, SNAPSHOTS),
    key("snapshot.compression.method", Property, SNAPSHOTS),
    key("snapshot.trust.empty", Property, SNAPSHOTS),
    key("serializeLastProcessedZxid.enabled", Property, SNAPSHOTS),
    key("autopurge.*", Parser, SNAPSHOTS),
    key("digest.enabled", Property, NotYet("the tree's digest is not kept")),
    key("db.autocreate", Property, ENSEMBLE),
    key("txnLogSizeLimitInKb", Property, JavaOnly),
    key("flushDelay", Property, JavaOnly),
    key("maxWriteQueuePollTime", Property, JavaOnly),
    key("maxBatchSize", Property, JavaOnly),
    key("closeSessionTxn.enabled", Property, JavaOnly),
    key("maxResponseCacheSize", Property, JavaOnly),
    key("maxGetChildrenResponseCacheSize", Property, JavaOnly),
    // Administration.
    key("4lw.commands.whitelist", Property, Supported),
    key("admin.*", Property, HTTP),
    key("metricsProvider.*", Parser, HTTP),
    key("audit.*", Property, NotYet("nothing is audited")),
    // The layout of this server's own threads.
    key("ringkeeper.layout", Property, Supported),
    key("ringkeeper.shards", Property, Supported),
    key("ringkeeper.cpus", Property, Supported),
    // Ensembles.
    key("server.*", Parser, Supported),
    key("standaloneEnabled", Parser, Supported),
    key("group.*", Parser, ENSEMBLE),
    key("weight.*", Parser, ENSEMBLE),
    key("initLimit", Parser, Supported),
    key("syncLimit", Parser, Supported),
    key("electionAlg", Parser, Supported),
    key("peerType", Parser, Supported),
    key("connectToLearnerMasterLimit", Parser, ENSEMBLE),
    key("quorumListenOnAllIPs", Parser, ENSEMBLE),
    key("syncEnabled", Parser, ENSEMBLE),
    key("observerMasterPort", Parser, ENSEMBLE),
    key("dynamicConfigFile", Parser, ENSEMBLE),
    key("multiAddress.*", Parser, ENSEMBLE),
    key("oraclePath", Parser, ENSEMBLE),
    key("leaderServes", Property, ENSEMBLE),
    key("cnxTimeout", Property, ENSEMBLE),
    key("quorumCnxnTimeoutMs", Property, ENSEMBLE),
    key("electionPortBindRetry", Property, ENSEMBLE),
    key("fastleader.*", Property, ENSEMBLE),
    key("tcpKeepAlive", Property, ENSEMBLE),
    key("commitLogCount", Property, ENSEMBLE),
    key("snapshotSizeFactor", Property, ENSEMBLE),
    key("forceSnapshotSync", Property, ENSEMBLE),
    key("readonlymode.enabled", BareProperty, ENSEMBLE),
    key("leader.nodelay", BareProperty, ENSEMBLE),
    key("follower.nodelay", BareProperty, ENSEMBLE),
    key("leader.*", Property, ENSEMBLE),
    key("follower.*", Property, JavaOnly),
    key("learner.*", Property, JavaOnly),
    key("leaderConnectDelayDuringRetryMs", Property, ENSEMBLE),
    key("observer.*", Property, ENSEMBLE),
    key("observerMaster.sizeLimit", Property, ENSEMBLE),
    key("testingonly.initialZxid", Property, ENSEMBLE),
    // TLS and SASL.
    key("secureClientPort", Parser, TLS),
    key("secureClientPortAddress", Parser, TLS),
    key("sslQuorum", Parser, TLS),
    key("sslQuorumReloadCertFiles", Parser, TLS),
    key("portUnification", Parser, TLS),
    key("ssl.*", Property, TLS),
    key("client.portUnification", Property, TLS),
    key("client.certReload", Property, TLS),
    key("fips-mode", Property, TLS),
    key("X509AuthenticationProvider.*", Property, TLS),
    key("authProvider.*", Property, NotYet("only the schemes world, auth, digest, ip and super are there")),
    key("quorum.auth.*", Parser, SASL),
    key("quorum.cnxn.threads.size", Parser, JavaOnly),
    key("java.security.auth.login.config", BareProperty, SASL),
    key("requireKerberosConfig", Property, JavaOnly),
    key("sessionRequireClientSASLAuth", Property, SASL),
    key("allowSaslFailedClients", Property, SASL),
    key("letAnySaslUserDoX", Property, SASL),
    key("superUser*", Property, SASL),
    key("SASLAuthenticationProvider.superPassword", Property, SASL),
    key("kerberos.*", Property, SASL),
    key("security.auth_to_local", Property, SASL),
    key("sasl.serverconfig", Property, SASL),
    key("ensembleAuthName", Property, NotYet("the scheme `ensemble` is not there yet")),
    key("IPAuthenticationProvider.usexforwardedfor", Property, HTTP),
    // The Java implementation's own.
    key("jvm.pause.*", Parser, JavaOnly),
    key("nio.*", Property, JavaOnly),
    key("netty.*", Property, JavaOnly),
    key("intBufferStartingSizeBytes", Property, JavaOnly),
    key("commitProcessor.*", Property, JavaOnly),
    key("watchManagerName", Property, JavaOnly),
    key("watcherClean*", Property, JavaOnly),
    key("maxInProcessingDeadWatchers", Property, JavaOnly),
    key("bitHashCacheSize", Property, JavaOnly),
    key("messageTracker.*", Property, JavaOnly),
    key("pathStats.*", Property, JavaOnly),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_stands_in_the_table_once() {
        for (at, key) in KEYS.iter().enumerate() {
            assert!(KEYS[at + 1..].iter().all(|other| other.name != key.name), "{} twice", key.name);
        }
    }

    #[test]
    fn an_exact_name_wins_over_a_prefix() {
        assert_eq!(Key::find("nio.sessionlessCnxnTimeout").map(|key| key.status), Some(Supported));
        assert_eq!(Key::find("nio.numSelectorThreads").map(|key| key.status), Some(JavaOnly));
        assert_eq!(Key::find("server.1").map(|key| key.status), Some(Supported));
        assert!(Key::find("myOwnKey").is_none());
    }
}
