use std::collections::BTreeSet;

use super::error::ConfigError;
use super::key_table::admin::WHITELIST;
use super::key_table::connections::READ_ONLY_MODE;
use super::settings::Settings;

/// What operators may ask (admin §1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admin {
    /// `4lw.commands.whitelist`, with `srvr`; `None` is `*`.
    words: Option<BTreeSet<String>>,
}

impl Admin {
    /// Whether this four-letter word is answered.
    pub fn allows_word(&self, word: &str) -> bool {
        self.words.as_ref().is_none_or(|words| words.contains(word))
    }

    pub(super) fn prove(settings: &Settings<'_>) -> Result<Admin, ConfigError> {
        let text = settings.get(&WHITELIST)?.unwrap_or_default();
        let mut words: BTreeSet<_> = text.split(',').map(str::trim).filter(|word| !word.is_empty()).collect();
        words.insert("srvr");
        if settings.get(&READ_ONLY_MODE)? {
            words.insert("isro");
        }
        let all = words.contains("*");
        Ok(Admin { words: (!all).then(|| words.into_iter().map(str::to_owned).collect()) })
    }
}
