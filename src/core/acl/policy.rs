use sha1::Sha1;
use sha2::{Sha224, Sha256, Sha384, Sha512, Sha512_224, Sha512_256};
use sha3::{Digest, Sha3_224, Sha3_256, Sha3_384, Sha3_512};

use crate::proto::Identity;

/// What the server's configuration says about authentication and ACLs.
#[derive(Clone, Debug)]
pub struct Policy {
    /// `skipACL`: every check of a permission passes.
    pub skip_acl: bool,
    /// `DigestAuthenticationProvider.enabled`: without it digest is an unknown scheme.
    pub digest_enabled: bool,
    /// `DigestAuthenticationProvider.digestAlg`.
    pub digest_algorithm: DigestAlgorithm,
    /// `DigestAuthenticationProvider.superDigest`: who is allowed everything, as `user:hash`.
    pub super_digest: Option<Box<str>>,
    /// `enforce.auth.schemes`: a connection must have an identity of one of them; empty asks for none.
    pub enforced_schemes: Vec<Box<str>>,
}

impl Policy {
    /// Whether a connection with these identities is authenticated as far as `enforce.auth` asks for.
    pub fn admits(&self, identities: &[Identity]) -> bool {
        self.enforced_schemes.is_empty()
            || identities.iter().any(|identity| self.enforced_schemes.contains(&identity.scheme))
    }
}

impl Default for Policy {
    fn default() -> Self {
        Policy {
            skip_acl: false,
            digest_enabled: true,
            digest_algorithm: DigestAlgorithm::Sha1,
            super_digest: None,
            enforced_schemes: Vec::new(),
        }
    }
}

/// How a digest identity's password is hashed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are those of the algorithms")]
pub enum DigestAlgorithm {
    #[default]
    Sha1,
    Sha224,
    Sha256,
    Sha384,
    Sha512,
    Sha512Of224,
    Sha512Of256,
    Sha3Of224,
    Sha3Of256,
    Sha3Of384,
    Sha3Of512,
}

impl DigestAlgorithm {
    /// The algorithm with this name, as Java spells it; upper and lower case are the same.
    pub fn from_name(name: &str) -> Option<DigestAlgorithm> {
        use DigestAlgorithm::*;
        Some(match name.to_ascii_uppercase().as_str() {
            "SHA" | "SHA1" | "SHA-1" => Sha1,
            "SHA224" | "SHA-224" => Sha224,
            "SHA256" | "SHA-256" => Sha256,
            "SHA384" | "SHA-384" => Sha384,
            "SHA512" | "SHA-512" => Sha512,
            "SHA512/224" | "SHA-512/224" => Sha512Of224,
            "SHA512/256" | "SHA-512/256" => Sha512Of256,
            "SHA3-224" => Sha3Of224,
            "SHA3-256" => Sha3Of256,
            "SHA3-384" => Sha3Of384,
            "SHA3-512" => Sha3Of512,
            _ => return None,
        })
    }

    /// The hash of `bytes`.
    pub(super) fn hash(self, bytes: &[u8]) -> Vec<u8> {
        match self {
            DigestAlgorithm::Sha1 => Sha1::digest(bytes).to_vec(),
            DigestAlgorithm::Sha224 => Sha224::digest(bytes).to_vec(),
            DigestAlgorithm::Sha256 => Sha256::digest(bytes).to_vec(),
            DigestAlgorithm::Sha384 => Sha384::digest(bytes).to_vec(),
            DigestAlgorithm::Sha512 => Sha512::digest(bytes).to_vec(),
            DigestAlgorithm::Sha512Of224 => Sha512_224::digest(bytes).to_vec(),
            DigestAlgorithm::Sha512Of256 => Sha512_256::digest(bytes).to_vec(),
            DigestAlgorithm::Sha3Of224 => Sha3_224::digest(bytes).to_vec(),
            DigestAlgorithm::Sha3Of256 => Sha3_256::digest(bytes).to_vec(),
            DigestAlgorithm::Sha3Of384 => Sha3_384::digest(bytes).to_vec(),
            DigestAlgorithm::Sha3Of512 => Sha3_512::digest(bytes).to_vec(),
        }
    }
}
