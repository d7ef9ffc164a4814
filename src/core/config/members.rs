mod line;

pub(in crate::config) use line::written;
pub use line::{PeerAddress, ServerLine};

use super::error::{ConfigError, Problem};
use super::key::AnyKey;
use super::key_table::parser::{
    DYNAMIC_CONFIG_FILE, LEARNER_REQUIRES_SASL, MULTI_ADDRESS_ENABLED, QUORUM_SASL, SERVER_REQUIRES_SASL,
};
use super::membership::{Membership, MembershipBuilder, is_member_key};
use super::notice::Notice;
use super::settings::Settings;
use super::{Raw, Sources};
use crate::id::ServerId;

/// The servers that a configuration names, by id, and which of them decide.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Members {
    /// The file that names them.
    pub(super) file: String,
    pub(super) membership: Membership,
}

impl Members {
    /// Reads the lines of servers, groups and weights, from the dynamic file if there is one (config §3).
    pub(super) fn prove(sources: &Sources<'_>, settings: &Settings<'_>) -> Result<Members, ConfigError> {
        refuse_half_sasl(settings)?;
        if settings.is_set(&DYNAMIC_CONFIG_FILE) {
            refuse_members(sources)?;
        }
        if let Some((file, dynamic)) = sources.dynamic {
            refuse_others(file, dynamic)?;
        }
        let (file, raw) = sources.dynamic.unwrap_or((sources.file, sources.raw));
        let several_addresses = settings.get(&MULTI_ADDRESS_ENABLED)?;
        let mut builder = MembershipBuilder::default();
        for (key, value) in raw.in_order() {
            builder.take(key, &value.text, several_addresses).map_err(|problem| {
                let (file, key) = (file.to_owned(), Some(key.to_owned()));
                ConfigError { file, origin: Some(value.origin), key, problem }
            })?;
        }
        let version = sources.dynamic.map_or(0, |(file, _)| version_of(file));
        let membership = builder.build(version).map_err(|error| ConfigError::whole(file, error))?;
        Ok(Members { file: file.to_owned(), membership })
    }

    /// Whether these are the servers of an ensemble; otherwise this is a standalone server.
    pub(super) fn are_an_ensemble(&self, standalone_enabled: bool) -> Result<bool, ConfigError> {
        let (voters, observers) = {
            let verifier = self.membership.verifier();
            (verifier.voters().len(), verifier.observers().len())
        };
        let refuse = |problem| Err(ConfigError::whole(&self.file, problem));
        match (voters, standalone_enabled) {
            (0, false) => refuse(Problem::NoParticipants),
            (0, true) if observers > 0 => refuse(Problem::ObserversOnly),
            (1, true) if observers > 0 => refuse(Problem::ObserversWithoutQuorum),
            (0 | 1, true) => Ok(false),
            _ => Ok(true),
        }
    }

    /// Says that a single server's line means nothing.
    pub(super) fn warn_of_one(&self, notices: &mut Vec<Notice>) {
        if !self.membership.servers().is_empty() {
            notices.push(Notice::warning("Invalid configuration, only one server specified (ignoring)"));
        }
    }

    /// The line of a server.
    pub(super) fn line(&self, id: ServerId) -> Option<&ServerLine> {
        self.membership.line(id)
    }
}

/// The version that a dynamic file's name ends with, in hexadecimal; other names have none.
fn version_of(file: &str) -> i64 {
    file.rsplit_once('.').and_then(|(_, version)| i64::from_str_radix(version, 16).ok()).unwrap_or(0)
}

/// What servers may demand of each other's SASL depends on one another; checked in standalone too.
fn refuse_half_sasl(settings: &Settings<'_>) -> Result<(), ConfigError> {
    for (key, needed) in [
        (&SERVER_REQUIRES_SASL, &QUORUM_SASL),
        (&LEARNER_REQUIRES_SASL, &QUORUM_SASL),
        (&SERVER_REQUIRES_SASL, &LEARNER_REQUIRES_SASL),
    ] {
        if settings.get(key)? && !settings.get(needed)? {
            let problem = Problem::QuorumAuthNeeds { key: key.name(), needed: needed.name() };
            return Err(settings.error(key, problem));
        }
    }
    Ok(())
}

/// With a dynamic file, the configuration file itself must not name servers.
fn refuse_members(sources: &Sources<'_>) -> Result<(), ConfigError> {
    for (key, value) in sources.raw.in_order() {
        if is_member_key(key) {
            let problem = Problem::MemberInStaticFile { key: key.to_owned() };
            let (file, key) = (sources.file.to_owned(), Some(key.to_owned()));
            return Err(ConfigError { file, origin: Some(value.origin), key, problem });
        }
    }
    Ok(())
}

/// A dynamic file names servers and nothing else; the version is in its name.
fn refuse_others(file: &str, dynamic: &Raw) -> Result<(), ConfigError> {
    for (key, value) in dynamic.in_order() {
        let problem = match key {
            "version" => Problem::VersionInDynamicFile,
            key if !is_member_key(key) => Problem::ForeignInDynamicFile { key: key.to_owned() },
            _ => continue,
        };
        let (file, key) = (file.to_owned(), Some(key.to_owned()));
        return Err(ConfigError { file, origin: Some(value.origin), key, problem });
    }
    Ok(())
}
