use super::error::{ConfigError, Problem};
use super::key_table::security::{
    DIGEST_ALG, DIGEST_ENABLED, EAGER_ACL_CHECK, ENFORCE_AUTH, ENFORCE_AUTH_SCHEMES, REQUIRE_CLIENT_SASL,
    SKIP_ACL, SUPER_DIGEST,
};
use super::settings::Settings;

/// Who may do what (config §8).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Security {
    /// `skipACL`: whether ACLs are not looked at.
    pub skip_acl: bool,
    /// `enableEagerACLCheck`: whether the server that a client is connected to looks at ACLs first.
    pub eager_acl_check: bool,
    /// `enforce.auth.schemes` if `enforce.auth.enabled`: a connection without an identity of one of these
    /// schemes may only authenticate. Empty if not enforced.
    pub enforced_schemes: Vec<String>,
    /// `DigestAuthenticationProvider.enabled`: whether there is a scheme `digest`.
    pub digest_enabled: bool,
    /// `DigestAuthenticationProvider.digestAlg`: how passwords of that scheme are hashed.
    pub digest_alg: DigestAlg,
    /// `DigestAuthenticationProvider.superDigest`: the digest id, user and hash, that is also `super`.
    pub super_digest: Option<String>,
}

/// A hash of the scheme `digest`. The names are those of Java's security providers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it all")]
pub enum DigestAlg {
    Md5,
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

impl Security {
    pub(super) fn prove(settings: &Settings<'_>) -> Result<Security, ConfigError> {
        if settings.get(&REQUIRE_CLIENT_SASL)? {
            return Err(settings.error(&REQUIRE_CLIENT_SASL, Problem::SaslRequired));
        }
        let digest_enabled = settings.get(&DIGEST_ENABLED)?;
        Ok(Security {
            skip_acl: settings.get(&SKIP_ACL)?,
            eager_acl_check: settings.get(&EAGER_ACL_CHECK)?,
            enforced_schemes: enforced_schemes(settings, digest_enabled)?,
            digest_enabled,
            digest_alg: settings.get(&DIGEST_ALG)?,
            super_digest: settings.get(&SUPER_DIGEST)?,
        })
    }
}

fn enforced_schemes(settings: &Settings<'_>, digest_enabled: bool) -> Result<Vec<String>, ConfigError> {
    if !settings.get(&ENFORCE_AUTH)? {
        return Ok(Vec::new());
    }
    let text = settings.get(&ENFORCE_AUTH_SCHEMES)?.unwrap_or_default();
    let schemes: Vec<_> = text.split(',').map(str::trim).filter(|scheme| !scheme.is_empty()).collect();
    if schemes.is_empty() {
        return Err(settings.error(&ENFORCE_AUTH, Problem::EnforceWithoutSchemes));
    }
    let available = |scheme: &str| scheme == "ip" || (scheme == "digest" && digest_enabled);
    if let Some(scheme) = schemes.iter().find(|scheme| !available(scheme)) {
        let problem = Problem::SchemeNotAvailable { scheme: (*scheme).to_owned() };
        return Err(settings.error(&ENFORCE_AUTH_SCHEMES, problem));
    }
    Ok(schemes.into_iter().map(str::to_owned).collect())
}

impl DigestAlg {
    pub(super) const NAMES: &[(&str, DigestAlg)] = &[
        ("SHA1", DigestAlg::Sha1),
        ("SHA-1", DigestAlg::Sha1),
        ("SHA", DigestAlg::Sha1),
        ("MD5", DigestAlg::Md5),
        ("SHA-224", DigestAlg::Sha224),
        ("SHA224", DigestAlg::Sha224),
        ("SHA-256", DigestAlg::Sha256),
        ("SHA256", DigestAlg::Sha256),
        ("SHA-384", DigestAlg::Sha384),
        ("SHA384", DigestAlg::Sha384),
        ("SHA-512", DigestAlg::Sha512),
        ("SHA512", DigestAlg::Sha512),
        ("SHA-512/224", DigestAlg::Sha512Of224),
        ("SHA512/224", DigestAlg::Sha512Of224),
        ("SHA-512/256", DigestAlg::Sha512Of256),
        ("SHA512/256", DigestAlg::Sha512Of256),
        ("SHA3-224", DigestAlg::Sha3Of224),
        ("SHA3-256", DigestAlg::Sha3Of256),
        ("SHA3-384", DigestAlg::Sha3Of384),
        ("SHA3-512", DigestAlg::Sha3Of512),
    ];
}
