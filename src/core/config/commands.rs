use std::collections::BTreeSet;

use super::error::ConfigError;
use super::key_table::admin::WHITELIST;
use super::key_table::connections::READ_ONLY_MODE;
use super::settings::Settings;

/// Which four-letter words are answered (admin §1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Whitelist {
    /// All that there are.
    All,
    /// These, `srvr` always among them.
    Only(BTreeSet<String>),
}

impl Whitelist {
    /// Whether a word is answered.
    pub fn allows(&self, word: &str) -> bool {
        match self {
            Whitelist::All => true,
            Whitelist::Only(words) => words.contains(word),
        }
    }

    pub(super) fn prove(settings: &Settings<'_>) -> Result<Whitelist, ConfigError> {
        let text = settings.get(&WHITELIST)?.unwrap_or_default();
        let mut words: BTreeSet<_> = text.split(',').map(str::trim).filter(|word| !word.is_empty()).collect();
        if words.contains("*") {
            return Ok(Whitelist::All);
        }
        words.insert("srvr");
        if settings.get(&READ_ONLY_MODE)? {
            words.insert("isro");
        }
        Ok(Whitelist::Only(words.into_iter().map(str::to_owned).collect()))
    }
}
