use std::fmt;

use thiserror::Error;

use super::raw::MalformedEscape;
use crate::id::ServerId;
use crate::quorum::QuorumError;

/// Where a setting was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// A line of the configuration file; the first is 1.
    Line(u32),
    /// An argument of a start as `port dataDir [tickTime] [maxClientCnxns]`; the first is 1.
    Argument(u8),
    /// A `-D` in the environment variable SERVER_JVMFLAGS.
    ServerJvmFlags,
    /// A `-D` in the environment variable JVMFLAGS.
    JvmFlags,
    /// A `-D` on the command line.
    CommandLine,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Line(number) => write!(f, "line {number}"),
            Origin::Argument(number) => write!(f, "argument {number}"),
            Origin::ServerJvmFlags => f.write_str("SERVER_JVMFLAGS"),
            Origin::JvmFlags => f.write_str("JVMFLAGS"),
            Origin::CommandLine => f.write_str("command line"),
        }
    }
}

/// Why no server starts from a configuration: which file, where in it, and what is wrong. The operator's
/// to correct; the process ends with exit status 2 (config §2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// The configuration, as it was named to us.
    pub file: String,
    /// Where the offending setting was made; `None` if something is missing or does not fit together.
    pub origin: Option<Origin>,
    /// The offending key.
    pub key: Option<String>,
    /// What is wrong.
    pub problem: Problem,
}

impl ConfigError {
    /// A file that could not be taken as a whole, or settings that do not fit together.
    pub fn whole(file: &str, problem: impl Into<Problem>) -> ConfigError {
        ConfigError { file: file.to_owned(), origin: None, key: None, problem: problem.into() }
    }
}

impl From<(&str, MalformedEscape)> for ConfigError {
    fn from((file, malformed): (&str, MalformedEscape)) -> ConfigError {
        let origin = Some(Origin::Line(malformed.line));
        ConfigError { file: file.to_owned(), origin, key: None, problem: Problem::Malformed(malformed) }
    }
}

impl std::error::Error for ConfigError {}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Error processing {}", self.file)?;
        if let Some(origin) = self.origin {
            write!(f, ", {origin}")?;
        }
        if let Some(key) = &self.key {
            write!(f, ", {key}")?;
        }
        write!(f, ": {}", self.problem)
    }
}

/// What is wrong with a configuration. Where ZooKeeper has a text for it, the text is ZooKeeper's
/// (config §2), sometimes followed by what to do.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[allow(missing_docs, reason = "the text of each says what it is")]
pub enum Problem {
    #[error(transparent)]
    Malformed(#[from] MalformedEscape),
    #[error("For input string: \"{text}\"{}", hint(.text))]
    NotANumber { text: String },
    #[error("{value} is not allowed, it must be {allowed}")]
    OutOfBounds { value: i64, allowed: String },
    #[error("port out of range:{value} (it must be from 0 to 65535)")]
    PortOutOfRange { value: i32 },
    #[error("Invalid option {text} for {key}. Choose 'true' or 'false.'{}", hint(.text))]
    NotABool { key: String, text: String },
    #[error("\"{text}\" is not allowed, it must be {allowed}{}", hint(.text))]
    NotAChoice { text: String, allowed: String },
    #[error("Illegal time interval suffix: {text}")]
    IntervalSuffix { text: String },
    #[error("Invalid electionAlg value. Only 3 is supported.")]
    ElectionAlg,
    #[error("Unrecognised peertype: {text}")]
    PeerType { text: String },
    #[error(
        "{text} is no digest algorithm of this server, which has SHA1, SHA-224 to SHA-512 and SHA3-224 to SHA3-512"
    )]
    DigestAlgorithm { text: String },
    #[error("metrics provider class was not found (it is {text})")]
    MetricsProvider { text: String },
    #[error("\"{text}\" is no list of CPUs such as 0,2-5: {why}")]
    CpuList { text: String, why: String },

    #[error("{path} file is missing")]
    FileMissing { path: String },
    #[error("{path} cannot be read: {why}")]
    FileUnreadable { path: String, why: String },
    #[error("dataDir is not set")]
    DataDirNotSet,
    #[error("tickTime is not set (it is 0; it must be at least 1 ms)")]
    TickTimeNotSet,
    #[error("clientPort is not set: this server would serve nobody")]
    ClientPortNotSet,
    #[error("clientPortAddress is set but clientPort is not set")]
    ClientAddressWithoutPort,
    #[error("secureClientPortAddress is set but secureClientPort is not set")]
    SecureAddressWithoutPort,
    #[error("minSessionTimeout must not be larger than maxSessionTimeout ({min} ms and {max} ms)")]
    SessionTimeouts { min: i32, max: i32 },
    #[error("serverid {text} is not a number (first line of the file myid in dataDir)")]
    MyId { text: String },
    #[error("zookeeper.enforce.auth.enabled is true zookeeper.enforce.auth.schemes must be  configured.")]
    EnforceWithoutSchemes,
    #[error("Authentication scheme {scheme} is not available.")]
    SchemeNotAvailable { scheme: String },
    #[error(
        "Authentication scheme sasl is not available. This version of ringkeeper has no SASL, and starting \
         would let in clients that should be refused: remove the key, or protect the port with \
         enforce.auth.enabled and enforce.auth.schemes=digest"
    )]
    SaslRequired,
    #[error("{needed} is disabled, so cannot enable {key}")]
    QuorumAuthNeeds { key: &'static str, needed: &'static str },
    #[error("this key is none of ringkeeper's: it has {known}")]
    UnknownOwnKey { known: String },
    #[error("ringkeeper.shards is for ringkeeper.layout=split only, the layout is {layout}")]
    ShardsWithoutSplit { layout: &'static str },

    #[error("parameter: {key} must be in a separate dynamic config file")]
    MemberInStaticFile { key: String },
    #[error("Unrecognised parameter: {key}")]
    ForeignInDynamicFile { key: String },
    #[error("dynamic file shouldn't have version inside")]
    VersionInDynamicFile,
    #[error(
        "{text} does not have the form server_config or server_config;client_config where server_config is \
         the pipe separated list of host:port:port or host:port:port:type and client_config is \
         host:clientPort;host:secureClientPort or clientPort or host:clientPort or ';secureClientPort' or \
         ';host:secureClientPort'"
    )]
    ServerForm { text: String },
    #[error("{text} starts with '[' but has no matching ']:'")]
    NoClosingBracket { text: String },
    #[error("{text} doesn't have a port after colon")]
    NoPortAfterColon { text: String },
    #[error("Address unresolved: {host}:{port}")]
    ServerPort { host: String, port: String },
    #[error(
        "Client and election port must be different! Please update the configuration file on server.{id}"
    )]
    SamePorts { id: i64 },
    #[error("Multiple address feature is disabled, but multiple addresses were specified for sid {id}")]
    MultiAddressDisabled { id: i64 },
    #[error("Multiple addresses should have similar roles: {first} vs {other}")]
    RolesDiffer { first: &'static str, other: &'static str },
    #[error(transparent)]
    Quorum(#[from] QuorumError),
    #[error("Observers w/o participants is an invalid configuration")]
    ObserversOnly,
    #[error("Observers w/o quorum is an invalid configuration")]
    ObserversWithoutQuorum,
    #[error("standaloneEnabled = false then number of participants should be >0")]
    NoParticipants,
    #[error(
        "client address for this server (id = {id}) in static config file is {fixed} is different from \
         client address found in dynamic file: {dynamic}"
    )]
    ClientAddressMismatch { id: i64, fixed: String, dynamic: String },
    #[error("initLimit is not set (ticks that a learner has to connect and sync; 10 is usual)")]
    InitLimitNotSet,
    #[error("syncLimit is not set (ticks that leader and learners may be silent; 5 is usual)")]
    SyncLimitNotSet,
    #[error(
        "myid file is missing: write this server's id, the number in its server. line, into the file myid in \
         dataDir"
    )]
    MyIdMissing,
    #[error(
        "My id {id} not in the peer list, which has {known}: correct the file myid in dataDir or the server. \
         lines"
    )]
    NotInPeerList { id: ServerId, known: String },
    #[error(
        "an oracle decides between two servers of a majority, not between groups: remove oraclePath, or the lines \
         group. and weight. (ZooKeeper ignores them here)"
    )]
    OracleOfGroups,
    #[error("{key} is not set, and servers cannot talk with TLS without it: name the file")]
    TlsStoreMissing { key: &'static str },
    #[error(
        "Unable to auto-detect store file type from file name: {location} (it ends with none of .pem, .p12, .jks: \
         say what it is with .type in place of .location)"
    )]
    TlsStoreKind { location: String },
    #[error(
        "{location} is of the type BCFKS, which only Bouncy Castle reads: make a PKCS12 file of it, with `keytool \
         -importkeystore`"
    )]
    TlsBcfks { location: String },
    #[error("{text} SSLContext not available (this server has TLSv1.2 and TLSv1.3)")]
    TlsVersions { text: String },
    #[error(
        "this server cannot find out whether a certificate is revoked, and does not let in who should be kept out: \
         remove the key, and take who is not to be trusted any more out of the trust store"
    )]
    TlsRevocation,
    #[error(
        "this server has no JVM to run a class in: remove the key, and name files with keyStore. and trustStore."
    )]
    TlsSupplier,
    #[error(
        "observerMasterPort and reconfigEnabled=true do not work together in this version of ringkeeper, which would \
         not tell such observers of a reconfig: remove one of them"
    )]
    ObserverMastersReconfigured,
}

/// A note for those who expect a comment behind a value.
fn hint(text: &str) -> &'static str {
    if text.contains('#') { " (a comment needs a line of its own)" } else { "" }
}
