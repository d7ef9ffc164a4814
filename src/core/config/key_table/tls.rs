//! TLS (config §9): `ssl.` for clients, `ssl.quorum.` between servers.

use crate::config::Status::{self, Ensemble, IgnoredJvm, MemberNotYet, NotYet};
use crate::config::key::{AnyKey, Key};
use crate::config::kind::{Choice, Flag, Int, Text};
use crate::config::tls::{ClientAuth, StoreKind};

/// The keys that say how one kind of connection is protected; their names begin with the same prefix.
pub(in crate::config) struct TlsKeys {
    pub(in crate::config) prefix: &'static str,
    pub(in crate::config) key_store: StoreKeys,
    pub(in crate::config) trust_store: StoreKeys,
    pub(in crate::config) protocol: Key<Text>,
    pub(in crate::config) enabled_protocols: Key<Text>,
    pub(in crate::config) cipher_suites: Key<Text>,
    pub(in crate::config) client_auth: Key<Choice<ClientAuth>>,
    pub(in crate::config) host_names: Key<Flag>,
    pub(in crate::config) client_host_names: Key<Flag>,
    pub(in crate::config) reverse_look_up: Key<Flag>,
    pub(in crate::config) crl: Key<Flag>,
    pub(in crate::config) ocsp: Key<Flag>,
    pub(in crate::config) supplier: Key<Text>,
    pub(in crate::config) detection_ms: Key<Int<i32>>,
}

/// The keys about one file with certificates.
pub(in crate::config) struct StoreKeys {
    pub(in crate::config) location: Key<Text>,
    pub(in crate::config) password: Key<Text>,
    pub(in crate::config) password_path: Key<Text>,
    pub(in crate::config) kind: Key<Choice<Option<StoreKind>>>,
}

pub(in crate::config) static QUORUM: TlsKeys = TlsKeys {
    prefix: "ssl.quorum.",
    key_store: StoreKeys {
        location: text("ssl.quorum.keyStore.location", "file with this server's key and certificate"),
        password: text("ssl.quorum.keyStore.password", "password of that file"),
        password_path: text("ssl.quorum.keyStore.passwordPath", "file with the password of that file"),
        kind: store_kind("ssl.quorum.keyStore.type"),
    },
    trust_store: StoreKeys {
        location: text("ssl.quorum.trustStore.location", "file with the certificates that are trusted"),
        password: text("ssl.quorum.trustStore.password", "password of that file"),
        password_path: text("ssl.quorum.trustStore.passwordPath", "file with the password of that file"),
        kind: store_kind("ssl.quorum.trustStore.type"),
    },
    protocol: text("ssl.quorum.protocol", "version of TLS; TLSv1.3 stands for TLSv1.2 too"),
    enabled_protocols: text("ssl.quorum.enabledProtocols", "versions of TLS, by commas"),
    cipher_suites: text("ssl.quorum.ciphersuites", "names of cipher suites, by commas"),
    client_auth: Key::property(
        "ssl.quorum.clientAuth",
        Choice::of(ClientAuth::Need, CLIENT_AUTH),
        Ensemble,
        "whether who connects must have a certificate",
    )
    .refusing(),
    host_names: Key::property(
        "ssl.quorum.hostnameVerification",
        Flag::or(true),
        Ensemble,
        "whether a certificate must be for the server that has it; with fips-mode=false",
    ),
    client_host_names: Key::property(
        "ssl.quorum.clientHostnameVerification",
        Flag::or(true),
        Ensemble,
        "whether that goes for who connects, too",
    ),
    reverse_look_up: Key::property(
        "ssl.quorum.allowReverseDnsLookup",
        Flag::or(true),
        Ensemble,
        "whether to look up the name of an address for that",
    ),
    crl: Key::property("ssl.quorum.crl", Flag::or(false), Ensemble, "look at lists of revoked certificates"),
    ocsp: Key::property("ssl.quorum.ocsp", Flag::or(false), Ensemble, "ask whether certificates are revoked"),
    supplier: text("ssl.quorum.context.supplier.class", "class that makes TLS contexts"),
    detection_ms: Key::property(
        "ssl.quorum.handshakeDetectionTimeoutMillis",
        Int::<i32>::any(5000).at_least(1),
        Ensemble,
        "ms to wait for the first bytes of a connection",
    ),
};

/// Whether ZooKeeper's own verification of host names is off; servers do without it then (config §9).
pub(in crate::config) static FIPS_MODE: Key<Flag> =
    Key::property("fips-mode", Flag::or(true), Ensemble, "no verification of other servers' host names");

pub(in crate::config) static KEYS: &[&dyn AnyKey] = &[
    &Key::property("ssl.sslProvider", Text::or("JDK"), IgnoredJvm, "who implements TLS"),
    &Key::property(
        "ssl.context.supplier.class",
        Text::optional(),
        IgnoredJvm,
        "class that makes TLS contexts",
    ),
    &QUORUM.key_store.location,
    &QUORUM.key_store.password,
    &QUORUM.key_store.password_path,
    &QUORUM.key_store.kind,
    &QUORUM.trust_store.location,
    &QUORUM.trust_store.password,
    &QUORUM.trust_store.password_path,
    &QUORUM.trust_store.kind,
    &QUORUM.protocol,
    &QUORUM.enabled_protocols,
    &QUORUM.cipher_suites,
    &QUORUM.client_auth,
    &QUORUM.host_names,
    &QUORUM.client_host_names,
    &QUORUM.reverse_look_up,
    &QUORUM.crl,
    &QUORUM.ocsp,
    &QUORUM.supplier,
    &QUORUM.detection_ms,
    &Key::property("ssl.quorum.*", Text::optional(), MemberNotYet, "nothing that is known between servers"),
    &Key::property("ssl.*", Text::optional(), NO_TLS, "TLS for clients"),
    &Key::property("client.portUnification", Flag::or(false), NO_TLS, "TLS and plain on secureClientPort"),
    &Key::property("client.certReload", Flag::or(false), NO_TLS, "reread the certificates for clients"),
    &FIPS_MODE,
];

const fn text(name: &'static str, help: &'static str) -> Key<Text> {
    Key::property(name, Text::optional(), Ensemble, help)
}

const fn store_kind(name: &'static str) -> Key<Choice<Option<StoreKind>>> {
    Key::property(
        name,
        Choice::of(None, STORE_KINDS),
        Ensemble,
        "format of that file, if its name does not say it",
    )
    .refusing()
}

const CLIENT_AUTH: &[(&str, ClientAuth)] = &[
    ("need", ClientAuth::Need),
    ("want", ClientAuth::Want),
    ("none", ClientAuth::None),
    ("", ClientAuth::Need),
];

const STORE_KINDS: &[(&str, Option<StoreKind>)] = &[
    ("PEM", Some(StoreKind::Pem)),
    ("PKCS12", Some(StoreKind::Pkcs12)),
    ("JKS", Some(StoreKind::Jks)),
    ("BCFKS", Some(StoreKind::Bcfks)),
    ("", None),
];

const NO_TLS: Status = NotYet("there is no TLS for clients");
