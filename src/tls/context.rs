use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use ringkeeper_core::config::{ClientAuth, TlsOptions, TlsVersion};
use rustls::client::Resumption;
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::ServerName;
use rustls::server::NoServerSessionStorage;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{
    ClientConfig, ClientConnection, ServerConfig, ServerConnection, SupportedCipherSuite,
    SupportedProtocolVersion, version,
};
use thiserror::Error;
use tracing::warn;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::host_names::Peer;
use super::store::{self, StoreError, StoreProblem};
use super::verifier::{OfClient, OfServer, Trust};

/// What TLS needs: this server's key, whom it trusts, and the versions that it speaks.
pub struct Tls {
    options: TlsOptions,
    provider: Arc<CryptoProvider>,
    versions: Vec<&'static SupportedProtocolVersion>,
    material: Mutex<Material>,
}

/// What was read from files.
#[derive(Clone)]
struct Material {
    own: Arc<CertifiedKey>,
    trust: Arc<Trust>,
}

/// Why there is no TLS; the operator's to correct.
#[derive(Debug, Error)]
#[allow(missing_docs, reason = "the texts say what each is")]
pub enum TlsError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(
        "{prefix}ciphersuites={names}: this server has none of them that goes with the versions of TLS; it has {known}"
    )]
    CipherSuites { prefix: &'static str, names: String, known: String },
}

impl Tls {
    /// Reads the files that the options name.
    pub fn load(options: TlsOptions) -> Result<Tls, TlsError> {
        let versions = options.versions.iter().map(|version| match version {
            TlsVersion::V1_2 => &version::TLS12,
            TlsVersion::V1_3 => &version::TLS13,
        });
        let versions: Vec<_> = versions.collect();
        let provider = Arc::new(provider(&options, &versions)?);
        let material = Mutex::new(Material::load(&options, &provider)?);
        Ok(Tls { options, provider, versions, material })
    }

    /// Reads the files anew, for connections to come. If that fails, what was read before holds.
    pub fn reload(&self) -> Result<(), StoreError> {
        let material = Material::load(&self.options, &self.provider)?;
        *self.material.lock().unwrap_or_else(PoisonError::into_inner) = material;
        Ok(())
    }

    /// What was asked for.
    pub fn options(&self) -> &TlsOptions {
        &self.options
    }

    /// A session with a server that this one has connected to, by this name or address.
    pub(super) fn dial(&self, host: &str, remote: SocketAddr) -> Result<ClientConnection, rustls::Error> {
        let Material { own, trust } = self.material();
        let name = host.parse::<IpAddr>().is_err().then(|| host.to_owned());
        let host = self.options.verifies_servers.then(|| self.peer(name.clone(), remote));
        let mut config = ClientConfig::builder_with_provider(self.provider.clone())
            .with_protocol_versions(&self.versions)?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(OfServer { trust, host }))
            .with_client_cert_resolver(Arc::new(SingleCertAndKey::from(own)));
        // A session that is resumed verifies nobody anew.
        config.resumption = Resumption::disabled();
        let said = name.and_then(|name| ServerName::try_from(name).ok());
        ClientConnection::new(Arc::new(config), said.unwrap_or_else(|| remote.ip().into()))
    }

    /// A session with whoever has connected from this address.
    pub(super) fn accept(&self, remote: SocketAddr) -> Result<ServerConnection, rustls::Error> {
        let Material { own, trust } = self.material();
        let host = self.options.verifies_clients.then(|| self.peer(None, remote));
        let config = ServerConfig::builder_with_provider(self.provider.clone())
            .with_protocol_versions(&self.versions)?;
        let config = match self.options.client_auth {
            ClientAuth::None => config.with_no_client_auth(),
            auth => {
                let is_needed = auth == ClientAuth::Need;
                config.with_client_cert_verifier(Arc::new(OfClient { trust, host, is_needed }))
            }
        };
        let mut config = config.with_cert_resolver(Arc::new(SingleCertAndKey::from(own)));
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        config.ignore_client_order = true;
        ServerConnection::new(Arc::new(config))
    }

    fn peer(&self, name: Option<String>, remote: SocketAddr) -> Peer {
        Peer { address: remote.ip().to_canonical(), name, looks_up: self.options.reverse_look_up }
    }

    fn material(&self) -> Material {
        self.material.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Material {
    fn load(options: &TlsOptions, provider: &Arc<CryptoProvider>) -> Result<Material, StoreError> {
        let identity = store::identity(&options.key_store)?;
        warn_of_age(&identity.chain[0], options);
        let unusable = |store| move |error| StoreError::of(store, StoreProblem::Unusable(error));
        let own = CertifiedKey::from_der(identity.chain, identity.key, provider)
            .map_err(unusable(&options.key_store))?;
        let trusted = store::trusted(&options.trust_store)?;
        let trust = Trust::new(trusted, provider.clone()).map_err(unusable(&options.trust_store))?;
        Ok(Material { own: Arc::new(own), trust: Arc::new(trust) })
    }
}

/// Others refuse a certificate that is too old, and say so only there.
fn warn_of_age(certificate: &[u8], options: &TlsOptions) {
    let Ok((_, certificate)) = X509Certificate::from_der(certificate) else { return };
    let validity = certificate.validity();
    if !validity.is_valid() {
        warn!(
            "{}={}: this server's certificate is valid from {} to {}: others will not talk to it",
            options.key_store.key, options.key_store.location, validity.not_before, validity.not_after
        );
    }
}

/// What the operator's choice of cipher suites leaves of what there is.
fn provider(
    options: &TlsOptions,
    versions: &[&'static SupportedProtocolVersion],
) -> Result<CryptoProvider, TlsError> {
    let mut provider = ring::default_provider();
    provider.cipher_suites.sort_by_key(wears_out);
    let Some(wanted) = &options.cipher_suites else { return Ok(provider) };
    let suites = &mut provider.cipher_suites;
    let known: Vec<String> = suites.iter().map(|suite| standard_name(suite.suite())).collect();
    for name in wanted.iter().filter(|name| !known.contains(name)) {
        warn!("{}ciphersuites: this server has no {name}", options.prefix);
    }
    suites.retain(|suite| {
        wanted.contains(&standard_name(suite.suite()))
            && versions.iter().any(|version| *version == suite.version())
    });
    suites.sort_by_key(|suite| wanted.iter().position(|name| *name == standard_name(suite.suite())));
    match suites.is_empty() {
        true => Err(TlsError::CipherSuites {
            prefix: options.prefix,
            names: wanted.join(","),
            known: known.join(", "),
        }),
        false => Ok(provider),
    }
}

/// Whether a connection ends after so and so many records: keys are renewed by TLS 1.3 alone, and those of AES-GCM
/// must not be used for more than 2^24.
fn wears_out(suite: &SupportedCipherSuite) -> bool {
    match suite {
        SupportedCipherSuite::Tls12(suite) => suite.common.confidentiality_limit < u64::MAX,
        SupportedCipherSuite::Tls13(_) => false,
    }
}

/// The name in the standard, which is Java's too.
fn standard_name(suite: rustls::CipherSuite) -> String {
    format!("{suite:?}").replacen("TLS13_", "TLS_", 1)
}
