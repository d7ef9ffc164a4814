use std::collections::BTreeMap;
use std::fmt;

use super::error::ConfigError;
use super::key_table::parser::{
    LEARNER_REQUIRES_SASL, LEARNER_SECTION, QUORUM_SASL, SERVER_REQUIRES_SASL, SERVER_SECTION,
};
use super::key_table::security::LOGIN_FILE;
use super::settings::Settings;

/// How servers prove to each other by SASL that they belong to the ensemble (`quorum.auth.*`, config §4, zab §13).
#[derive(Clone, PartialEq, Eq)]
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

/// Without what the properties are: passwords are among them.
impl fmt::Debug for QuorumSasl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QuorumSasl")
            .field("learner_requires", &self.learner_requires)
            .field("server_requires", &self.server_requires)
            .field("learner_section", &self.learner_section)
            .field("server_section", &self.server_section)
            .field("login_file", &self.login_file)
            .field("properties", &self.properties.keys())
            .finish()
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_printed_of_it_has_no_passwords() {
        let sasl = QuorumSasl {
            learner_requires: false,
            server_requires: false,
            learner_section: String::new(),
            server_section: String::new(),
            login_file: None,
            properties: BTreeMap::from([("zookeeper.ssl.password".to_owned(), "secret".to_owned())]),
        };
        let text = format!("{sasl:?}");
        assert!(text.contains("ssl.password") && !text.contains("secret"), "{text}");
    }
}
