mod line;

use std::collections::BTreeMap;

pub use line::{PeerAddress, ServerLine};

use super::error::{ConfigError, Problem};
use super::key::AnyKey;
use super::key_table::parser::{
    DYNAMIC_CONFIG_FILE, LEARNER_REQUIRES_SASL, MULTI_ADDRESS_ENABLED, QUORUM_SASL, SERVER_REQUIRES_SASL,
    STANDALONE_ENABLED,
};
use super::kind::{Int, Kind, Style};
use super::notice::Notice;
use super::settings::Settings;
use super::{Raw, Sources};
use crate::id::ServerId;

/// The servers that a configuration names, by id.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Members {
    lines: BTreeMap<ServerId, ServerLine>,
}

impl Members {
    /// Reads the server lines, from the dynamic file if there is one, and refuses what is not standalone
    /// (config §3).
    pub(super) fn prove(
        sources: &Sources<'_>,
        settings: &Settings<'_>,
        notices: &mut Vec<Notice>,
    ) -> Result<Members, ConfigError> {
        refuse_half_sasl(settings)?;
        if settings.is_set(&DYNAMIC_CONFIG_FILE) {
            refuse_members(sources)?;
        }
        if let Some((file, dynamic)) = sources.dynamic {
            refuse_others(file, dynamic)?;
        }
        let (file, raw) = sources.dynamic.unwrap_or((sources.file, sources.raw));
        let several_addresses = settings.get(&MULTI_ADDRESS_ENABLED)?;
        let mut members = Members::default();
        for (key, value) in raw.in_order() {
            let Some(id) = key.strip_prefix("server.") else { continue };
            let line = Int::<i64>::any(0)
                .parse(key, id, Style::Parser)
                .and_then(|id| ServerLine::parse(ServerId(id), &value.text, several_addresses))
                .map_err(|problem| {
                    let (file, key) = (file.to_owned(), Some(key.to_owned()));
                    ConfigError { file, origin: Some(value.origin), key, problem }
                })?;
            members.lines.insert(line.id, line);
        }
        let standalone_enabled = settings.get(&STANDALONE_ENABLED)?;
        members
            .refuse_ensemble(standalone_enabled, notices)
            .map_err(|problem| ConfigError::whole(file, problem))?;
        Ok(members)
    }

    /// The line of a server.
    pub(super) fn line(&self, id: ServerId) -> Option<&ServerLine> {
        self.lines.get(&id)
    }

    fn refuse_ensemble(&self, standalone_enabled: bool, notices: &mut Vec<Notice>) -> Result<(), Problem> {
        let voters: Vec<_> = self.lines.values().filter(|line| !line.observer).map(|line| line.id).collect();
        let observers = self.lines.len() - voters.len();
        match (voters.len(), standalone_enabled) {
            (0, false) => Err(Problem::NoParticipants),
            (0, true) if observers > 0 => Err(Problem::ObserversOnly),
            (0, true) => Ok(()),
            (1, true) if observers > 0 => Err(Problem::ObserversWithoutQuorum),
            (1, true) => {
                notices.push(Notice::warning("Invalid configuration, only one server specified (ignoring)"));
                Ok(())
            }
            _ => {
                let names: Vec<_> = voters.iter().map(|id| format!("server.{id}")).collect();
                let mut voters = format!("voting: {}", names.join(", "));
                if !standalone_enabled {
                    voters.insert_str(0, "standaloneEnabled=false, ");
                }
                Err(Problem::EnsembleNotSupported { voters })
            }
        }
    }
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

fn is_member_key(key: &str) -> bool {
    ["server.", "group", "weight"].into_iter().any(|start| key.starts_with(start))
}
