use std::fmt;
use std::time::Duration;

use super::error::{ConfigError, Problem};
use super::key::AnyKey;
use super::key_table::parser::{PORT_UNIFICATION, SSL_QUORUM, SSL_QUORUM_RELOAD};
use super::key_table::tls::{FIPS_MODE, QUORUM, StoreKeys, TlsKeys};
use super::notice::Notice;
use super::settings::Settings;

/// How what servers say to each other is protected (config §9).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerTls {
    /// `sslQuorum`: this server speaks TLS where it connects.
    pub dials: bool,
    /// `portUnification`: who connects may speak TLS or not; else only TLS is let in.
    pub accepts_plain: bool,
    /// `sslQuorumReloadCertFiles`: files that change are read anew.
    pub reloads: bool,
    /// `ssl.quorum.*`.
    pub options: TlsOptions,
}

/// How one kind of connection is protected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsOptions {
    /// What the keys that say so begin with, for messages: `ssl.quorum.`.
    pub prefix: &'static str,
    /// This server's key and certificate.
    pub key_store: Store,
    /// Whose certificates are trusted.
    pub trust_store: Store,
    /// `enabledProtocols`, or what `protocol` stands for; at least one.
    pub versions: Vec<TlsVersion>,
    /// `ciphersuites`, by their names in TLS; `None` for all that there are.
    pub cipher_suites: Option<Vec<String>>,
    /// `clientAuth`.
    pub client_auth: ClientAuth,
    /// Whether a server that this one connects to must have a certificate for its host.
    pub verifies_servers: bool,
    /// Whether who connects must have one for the host it connects from.
    pub verifies_clients: bool,
    /// `allowReverseDnsLookup`: whether the name of an address is looked up for that.
    pub reverse_look_up: bool,
    /// `handshakeDetectionTimeoutMillis`: how long to wait for the bytes that tell TLS from plain text.
    pub detection: Duration,
}

/// A file with keys or certificates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Store {
    /// The key that names the file, for messages.
    pub key: &'static str,
    /// `location`.
    pub location: String,
    /// `password` or `passwordPath`.
    pub password: Password,
    /// `type`, or what the file's name ends with.
    pub kind: StoreKind,
}

/// The format of a file with keys or certificates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreKind {
    /// Text, `.pem`.
    Pem,
    /// `.p12`.
    Pkcs12,
    /// Java's own, `.jks`. As in Java, the file may also be PKCS12, and one of that kind may be this.
    Jks,
    /// Bouncy Castle's, `.bcfks`, which this server cannot read.
    Bcfks,
}

/// What opens a file with keys.
#[derive(Clone, PartialEq, Eq)]
pub enum Password {
    /// This text; empty if there is none.
    Text(String),
    /// The content of this file, without an end of line.
    File(String),
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Password::Text(_) => f.write_str("Text(..)"),
            Password::File(path) => f.debug_tuple("File").field(path).finish(),
        }
    }
}

/// A version of TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsVersion {
    /// TLSv1.2
    V1_2,
    /// TLSv1.3
    V1_3,
}

/// Whether who connects must say who it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientAuth {
    /// With a certificate that is trusted.
    Need,
    /// If it has a certificate, it must be trusted.
    Want,
    /// It is not asked.
    None,
}

impl PeerTls {
    /// `None` if everything is plain.
    pub(super) fn prove(
        settings: &Settings<'_>,
        notices: &mut Vec<Notice>,
    ) -> Result<Option<PeerTls>, ConfigError> {
        let (dials, accepts_plain) = (settings.get(&SSL_QUORUM)?, settings.get(&PORT_UNIFICATION)?);
        if !dials && !accepts_plain {
            return Ok(None);
        }
        let mut options = TlsOptions::prove(settings, &QUORUM, notices)?;
        if settings.get(&FIPS_MODE)? {
            (options.verifies_servers, options.verifies_clients) = (false, false);
            let asked = settings.is_set(&QUORUM.host_names) && settings.get(&QUORUM.host_names)?;
            notices.push(match asked {
                true => Notice::warning(NAMES_NOT_VERIFIED),
                false => Notice::note(NAMES_NOT_VERIFIED),
            });
        }
        Ok(Some(PeerTls { dials, accepts_plain, reloads: settings.get(&SSL_QUORUM_RELOAD)?, options }))
    }
}

impl TlsOptions {
    fn prove(
        settings: &Settings<'_>,
        keys: &'static TlsKeys,
        notices: &mut Vec<Notice>,
    ) -> Result<TlsOptions, ConfigError> {
        for key in [&keys.crl, &keys.ocsp] {
            if settings.get(key)? {
                return Err(settings.error(key, Problem::TlsRevocation));
            }
        }
        if settings.get(&keys.supplier)?.is_some() {
            return Err(settings.error(&keys.supplier, Problem::TlsSupplier));
        }
        let verifies_servers = settings.get(&keys.host_names)?;
        Ok(TlsOptions {
            prefix: keys.prefix,
            key_store: Store::prove(settings, &keys.key_store)?,
            trust_store: Store::prove(settings, &keys.trust_store)?,
            versions: versions(settings, keys, notices)?,
            cipher_suites: settings.get(&keys.cipher_suites)?.map(|text| list(&text)),
            client_auth: settings.get(&keys.client_auth)?,
            verifies_servers,
            verifies_clients: verifies_servers && settings.get(&keys.client_host_names)?,
            reverse_look_up: settings.get(&keys.reverse_look_up)?,
            detection: Duration::from_millis(settings.get(&keys.detection_ms)?.unsigned_abs().into()),
        })
    }
}

impl Store {
    fn prove(settings: &Settings<'_>, keys: &'static StoreKeys) -> Result<Store, ConfigError> {
        let location = settings.get(&keys.location)?.filter(|location| !location.is_empty());
        let Some(location) = location else {
            let problem = Problem::TlsStoreMissing { key: keys.location.name() };
            return Err(settings.whole(problem));
        };
        let kind = match settings.get(&keys.kind)?.or_else(|| StoreKind::of(&location)) {
            Some(StoreKind::Bcfks) => {
                return Err(settings.error(&keys.location, Problem::TlsBcfks { location }));
            }
            Some(kind) => kind,
            None => return Err(settings.error(&keys.location, Problem::TlsStoreKind { location })),
        };
        let password = match settings.get(&keys.password_path)?.filter(|path| !path.is_empty()) {
            Some(path) => Password::File(path),
            None => Password::Text(settings.get(&keys.password)?.unwrap_or_default()),
        };
        Ok(Store { key: keys.location.name(), location, password, kind })
    }
}

impl StoreKind {
    /// The format that the end of a file's name stands for; case matters, as in Java.
    fn of(location: &str) -> Option<StoreKind> {
        match location.rsplit_once('.')?.1 {
            "jks" => Some(StoreKind::Jks),
            "pem" => Some(StoreKind::Pem),
            "p12" => Some(StoreKind::Pkcs12),
            "bcfks" => Some(StoreKind::Bcfks),
            _ => None,
        }
    }
}

fn versions(
    settings: &Settings<'_>,
    keys: &'static TlsKeys,
    notices: &mut Vec<Notice>,
) -> Result<Vec<TlsVersion>, ConfigError> {
    let protocol = settings.get(&keys.protocol)?;
    let of_protocol = match protocol.as_deref() {
        None | Some("TLSv1.3" | "TLS") => vec![TlsVersion::V1_3, TlsVersion::V1_2],
        Some("TLSv1.2") => vec![TlsVersion::V1_2],
        Some(text) => {
            let problem = Problem::TlsVersions { text: text.to_owned() };
            return Err(settings.error(&keys.protocol, problem));
        }
    };
    let Some(text) = settings.get(&keys.enabled_protocols)? else { return Ok(of_protocol) };
    let mut versions = Vec::new();
    for name in list(&text) {
        match name.as_str() {
            "TLSv1.3" => versions.push(TlsVersion::V1_3),
            "TLSv1.2" => versions.push(TlsVersion::V1_2),
            _ => notices.push(Notice::warning(format!(
                "{}: this server has no {name}, it has TLSv1.2 and TLSv1.3",
                keys.enabled_protocols.name()
            ))),
        }
    }
    match versions.is_empty() {
        true => Err(settings.error(&keys.enabled_protocols, Problem::TlsVersions { text })),
        false => Ok(versions),
    }
}

fn list(text: &str) -> Vec<String> {
    text.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

const NAMES_NOT_VERIFIED: &str = "that a server's certificate is for the host it is on is not verified, as with \
     ZooKeeper 3.9 where fips-mode is on, which is its default: any certificate that ssl.quorum.trustStore.location \
     trusts will do. Set fips-mode=false to have host names verified";
