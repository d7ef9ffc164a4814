use std::fs;
use std::io;

use p12_keystore::error::Error as Pkcs12Error;
use p12_keystore::{KeyStore, KeyStoreEntry, Pkcs12ImportPolicy};
use pkcs8::der::{Decode, Encode};
use pkcs8::{ObjectIdentifier, PrivateKeyInfoRef};
use ringkeeper_core::config::{Password, Store, StoreKind};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivateSec1KeyDer};
use sec1::{EcParameters, EcPrivateKey};
use thiserror::Error;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::{jks, pem_file};

/// A key, and the certificate for it with those of who signed it.
pub(super) struct Identity {
    pub(super) chain: Vec<CertificateDer<'static>>,
    pub(super) key: PrivateKeyDer<'static>,
}

/// Why a file with keys or certificates cannot be used; the operator's to correct.
#[derive(Debug, Error)]
#[error("{key}={file}: {problem}")]
pub struct StoreError {
    key: &'static str,
    file: String,
    problem: StoreProblem,
}

/// What is wrong with a file with keys or certificates.
#[derive(Debug, Error)]
pub(super) enum StoreProblem {
    #[error("it cannot be read: {0}")]
    Unreadable(io::Error),
    #[error("the file {file} with its password cannot be read: {source}")]
    PasswordUnreadable { file: String, source: io::Error },
    #[error("its password is wrong, or the file is damaged: correct .password, or what .passwordPath names")]
    WrongPassword,
    #[error("its key is encrypted: set .password or .passwordPath")]
    NeedsPassword,
    #[error("it is no such file, or it is damaged: {0}")]
    Malformed(String),
    #[error("there is no private key with a certificate in it")]
    NoKey,
    #[error(
        "there is no certificate in it that is trusted; in a PKCS12 or JKS file that is one that was put there with \
         `keytool -importcert`"
    )]
    NothingTrusted,
    #[error("what is in it cannot be used: {0}")]
    Unusable(rustls::Error),
}

impl Identity {
    /// Java writes a key on an elliptic curve without its public part, which is wanted to sign; the certificate has it.
    fn completed(self) -> Identity {
        let key = self.key_with_public_part();
        Identity { key: key.map_or(self.key, PrivateKeyDer::from), ..self }
    }

    /// `None` if the key is of another kind, or has its public part.
    fn key_with_public_part(&self) -> Option<PrivateSec1KeyDer<'static>> {
        let PrivateKeyDer::Pkcs8(whole) = &self.key else { return None };
        let info = PrivateKeyInfoRef::try_from(whole.secret_pkcs8_der()).ok()?;
        let key = EcPrivateKey::from_der(info.private_key.as_bytes()).ok()?;
        if info.algorithm.oid != ELLIPTIC_CURVES || key.public_key.is_some() {
            return None;
        }
        let (_, certificate) = X509Certificate::from_der(self.chain.first()?).ok()?;
        let public_key = Some(&certificate.public_key().subject_public_key.data[..]);
        let parameters = info.algorithm.parameters_oid().ok().map(EcParameters::NamedCurve);
        let key = EcPrivateKey { public_key, parameters, ..key };
        key.to_der().ok().map(PrivateSec1KeyDer::from)
    }
}

impl StoreError {
    pub(super) fn of(store: &Store, problem: StoreProblem) -> StoreError {
        StoreError { key: store.key, file: store.location.clone(), problem }
    }
}

/// Everything that was found in a file.
#[derive(Default)]
pub(super) struct Found {
    pub(super) identities: Vec<Identity>,
    pub(super) trusted: Vec<CertificateDer<'static>>,
}

/// The key and certificate in a file; the first, if there are several. A key without a certificate is none.
pub(super) fn identity(store: &Store) -> Result<Identity, StoreError> {
    let found = open(store).and_then(|(bytes, password)| match store.kind {
        StoreKind::Pem => pem_file::identity(&bytes, &password),
        _ => {
            let mut identities = archive(&bytes, &password)?.identities.into_iter();
            identities.find(|identity| !identity.chain.is_empty()).ok_or(StoreProblem::NoKey)
        }
    });
    found.map(Identity::completed).map_err(|problem| StoreError::of(store, problem))
}

/// The certificates in a file that are trusted: in a PEM file all, else those that are marked so.
pub(super) fn trusted(store: &Store) -> Result<Vec<CertificateDer<'static>>, StoreError> {
    let found = open(store).and_then(|(bytes, password)| {
        let trusted = match store.kind {
            StoreKind::Pem => pem_file::certificates(&bytes)?,
            _ => archive(&bytes, &password)?.trusted,
        };
        if trusted.is_empty() { Err(StoreProblem::NothingTrusted) } else { Ok(trusted) }
    });
    found.map_err(|problem| StoreError::of(store, problem))
}

fn open(store: &Store) -> Result<(Vec<u8>, String), StoreProblem> {
    let password = match &store.password {
        Password::Text(text) => text.clone(),
        Password::File(file) => {
            let unreadable = |source| StoreProblem::PasswordUnreadable { file: file.clone(), source };
            let text = fs::read_to_string(file).map_err(unreadable)?;
            text.strip_suffix('\n').unwrap_or(&text).to_owned()
        }
    };
    Ok((fs::read(&store.location).map_err(StoreProblem::Unreadable)?, password))
}

/// Java reads a JKS file where PKCS12 is said, and the other way around: keytool has made PKCS12 files of both names
/// since Java 9.
fn archive(bytes: &[u8], password: &str) -> Result<Found, StoreProblem> {
    if jks::is_one(bytes) {
        return jks::read(bytes, password);
    }
    let store =
        KeyStore::from_pkcs12(bytes, password, Pkcs12ImportPolicy::Strict).map_err(|error| match error {
            Pkcs12Error::MacError(_) => StoreProblem::WrongPassword,
            error => StoreProblem::Malformed(error.to_string()),
        })?;
    let mut found = Found::default();
    for (_, entry) in store.entries() {
        match entry {
            KeyStoreEntry::PrivateKeyChain(chain) => {
                let key = PrivateKeyDer::try_from(chain.key().as_der().to_vec())
                    .map_err(|why| StoreProblem::Malformed(why.to_owned()))?;
                let chain = chain.certs().iter().map(|cert| cert.as_der().to_vec().into()).collect();
                found.identities.push(Identity { chain, key });
            }
            KeyStoreEntry::Certificate(cert) => found.trusted.push(cert.as_der().to_vec().into()),
            KeyStoreEntry::Secret(_) => {}
        }
    }
    Ok(found)
}

/// id-ecPublicKey
const ELLIPTIC_CURVES: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
