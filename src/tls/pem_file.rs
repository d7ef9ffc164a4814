//! PEM: the key and its certificates in one file, as text.

use pem::Pem;
use pkcs8::EncryptedPrivateKeyInfoRef;
use rustls::pki_types::{
    CertificateDer, PrivateKeyDer, PrivatePkcs1KeyDer, PrivatePkcs8KeyDer, PrivateSec1KeyDer,
};

use super::store::{Identity, StoreProblem};

/// The first key of a file, and all its certificates.
pub(super) fn identity(bytes: &[u8], password: &str) -> Result<Identity, StoreProblem> {
    let blocks = parse(bytes)?;
    let keys = blocks.iter().find(|block| block.tag().ends_with("PRIVATE KEY"));
    let key = key(keys.ok_or(StoreProblem::NoKey)?, password)?;
    let chain: Vec<_> = certificates_of(blocks);
    if chain.is_empty() { Err(StoreProblem::NoKey) } else { Ok(Identity { chain, key }) }
}

/// All certificates of a file.
pub(super) fn certificates(bytes: &[u8]) -> Result<Vec<CertificateDer<'static>>, StoreProblem> {
    Ok(certificates_of(parse(bytes)?))
}

fn parse(bytes: &[u8]) -> Result<Vec<Pem>, StoreProblem> {
    pem::parse_many(bytes).map_err(|error| StoreProblem::Malformed(error.to_string()))
}

fn certificates_of(blocks: Vec<Pem>) -> Vec<CertificateDer<'static>> {
    let certificates = blocks.into_iter().filter(|block| CERTIFICATES.contains(&block.tag()));
    certificates.map(|block| block.into_contents().into()).collect()
}

fn key(block: &Pem, password: &str) -> Result<PrivateKeyDer<'static>, StoreProblem> {
    if block.headers().get("DEK-Info").is_some() {
        return Err(StoreProblem::Malformed(OLD_ENCRYPTION.to_owned()));
    }
    let der = block.contents().to_vec();
    Ok(match block.tag() {
        "RSA PRIVATE KEY" => PrivatePkcs1KeyDer::from(der).into(),
        "EC PRIVATE KEY" => PrivateSec1KeyDer::from(der).into(),
        "ENCRYPTED PRIVATE KEY" if password.is_empty() => return Err(StoreProblem::NeedsPassword),
        "ENCRYPTED PRIVATE KEY" => {
            let sealed = EncryptedPrivateKeyInfoRef::try_from(der.as_slice())
                .map_err(|_| StoreProblem::Malformed(OLD_ENCRYPTION.to_owned()))?;
            let key = sealed.decrypt(password).map_err(|_| StoreProblem::WrongPassword)?;
            PrivatePkcs8KeyDer::from(key.as_bytes().to_vec()).into()
        }
        _ => PrivatePkcs8KeyDer::from(der).into(),
    })
}

const CERTIFICATES: [&str; 3] = ["CERTIFICATE", "X509 CERTIFICATE", "TRUSTED CERTIFICATE"];
const OLD_ENCRYPTION: &str = "its key is encrypted in a way that this server does not have: make it anew with `openssl \
     pkcs8 -topk8 -v2 aes-256-cbc`";
