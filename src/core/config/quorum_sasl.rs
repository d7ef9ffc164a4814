use std::collections::BTreeMap;

use super::error::ConfigError;
use super::key_table::parser::{
    LEARNER_REQUIRES_SASL, LEARNER_SECTION, QUORUM_SASL, SERVER_REQUIRES_SASL, SERVER_SECTION,
};
use super::key_table::security::LOGIN_FILE;
use super::settings::Settings;

/// How servers prove to each other by SASL that they belong to the ensemble (`quorum.auth.*`, config §4, zab §13).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuorumSasl {
    /// Whether this server logs in where it connects (`learnerRequireSasl`).
    pub learner_requires: bool,
    /// Whether it lets nobody in who does not (`serverRequireSasl`).
    pub server_requires: bool,
    /// The section of the log-in file by which it logs in.
    pub learner_section: String,
    /// The section with those who may log in here.
    pub server_section: String,
    /// The path of the log-in file, as it was given.
    pub login_file: Option<String>,
    /// What properties say, for those that stand in the log-in file.
    pub properties: BTreeMap<String, String>,
}

impl QuorumSasl {
    /// What the settings say; `None` if servers trust each other.
    pub(super) fn prove(settings: &Settings<'_>) -> Result<Option<QuorumSasl>, ConfigError> {
        if !settings.get(&QUORUM_SASL)? {
            return Ok(None);
        }
        let properties = settings.defines.iter();
        Ok(Some(QuorumSasl {
            learner_requires: settings.get(&LEARNER_REQUIRES_SASL)?,
            server_requires: settings.get(&SERVER_REQUIRES_SASL)?,
            learner_section: settings.get(&LEARNER_SECTION)?.unwrap_or_default(),
            server_section: settings.get(&SERVER_SECTION)?.unwrap_or_default(),
            login_file: settings.get(&LOGIN_FILE)?,
            properties: properties.map(|(name, value)| (name.to_owned(), value.text.clone())).collect(),
        }))
    }

    /// Where the log-in file is: Java takes a URL too, and a second `=` in front, which says that it takes the place
    /// of others.
    pub fn login_path(&self) -> Option<&str> {
        let given = self.login_file.as_deref()?;
        let given = given.strip_prefix('=').unwrap_or(given);
        let path = given.strip_prefix("file:").unwrap_or(given);
        Some(match path.strip_prefix("//") {
            Some(path) if path.starts_with('/') => path,
            _ => path,
        })
    }
}
