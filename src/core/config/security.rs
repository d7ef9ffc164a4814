use super::error::{ConfigError, Problem};
use super::key_table::parser::RECONFIG_ENABLED;
use super::key_table::security::{
    DIGEST_ALG, DIGEST_ENABLED, EAGER_ACL_CHECK, ENFORCE_AUTH, ENFORCE_AUTH_SCHEMES, ENFORCE_QUOTA,
    REQUIRE_CLIENT_SASL, SKIP_ACL, SUPER_DIGEST,
};
use super::key_table::storage::{EMULATE_353_TTL, EXTENDED_TYPES};
use super::settings::Settings;
use crate::acl::DigestAlgorithm;

/// Who may do what (config §8).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Security {
    /// `skipACL=yes`: ACLs are not looked at.
    pub skip_acl: bool,
    /// `enableEagerACLCheck`: the server that a client is connected to looks at ACLs first. Not supported
    /// yet.
    pub eager_acl_check: bool,
    /// `DigestAuthenticationProvider.enabled`: whether there is a scheme `digest`.
    pub digest_enabled: bool,
    /// `DigestAuthenticationProvider.superDigest`: the digest id, user and hash, that is also `super`.
    pub super_digest: Option<String>,
    /// `DigestAuthenticationProvider.digestAlg`: how passwords of the scheme `digest` are hashed.
    pub digest_algorithm: DigestAlgorithm,
    /// `enforce.auth.schemes` if `enforce.auth.enabled`, else none: a connection without an identity of one
    /// of these may only authenticate.
    pub enforced_schemes: Vec<String>,
    /// `enforceQuota`: whether a write that exceeds a hard quota is refused.
    pub enforce_quota: bool,
    /// `extendedTypesEnabled`: whether there are TTL nodes.
    pub extended_types: bool,
    /// `emulate353TTLNodes`: whether TTL nodes are first read as ZooKeeper 3.5.3 wrote them. Not supported
    /// yet.
    pub emulate_353_ttl_nodes: bool,
    /// `reconfigEnabled`: otherwise a reconfig is refused as disabled.
    pub reconfig_enabled: bool,
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
            digest_enabled,
            super_digest: settings.get(&SUPER_DIGEST)?,
            digest_algorithm: settings.get(&DIGEST_ALG)?,
            enforced_schemes: enforced_schemes(settings, digest_enabled)?,
            enforce_quota: settings.get(&ENFORCE_QUOTA)?,
            extended_types: settings.get(&EXTENDED_TYPES)?,
            emulate_353_ttl_nodes: settings.get(&EMULATE_353_TTL)?,
            reconfig_enabled: settings.get(&RECONFIG_ENABLED)?,
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
