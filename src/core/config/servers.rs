//! The `server.N` lines, as far as a server that runs alone must understand them (config §3).

use super::error::{ConfigError, Warning};
use super::raw::Raw;

/// Whether the configuration describes an ensemble, which this version does not serve in.
///
/// One voting server and `standaloneEnabled=true` make a standalone server, as in Java.
pub(super) fn refuse_ensembles(
    raw: &Raw,
    standalone_enabled: bool,
    warnings: &mut Vec<Warning>,
) -> Result<(), ConfigError> {
    let voters = server_values(raw).filter(|value| !is_observer(value)).count();
    let observers = server_values(raw).count() - voters;
    let contradiction =
        |reason: &str| ConfigError::Contradiction { file: raw.file().to_owned(), reason: reason.to_owned() };
    match (voters, observers) {
        (0, 0) if standalone_enabled => Ok(()),
        (0, 0) => Err(contradiction("standaloneEnabled = false then number of participants should be >0")),
        (0, _) => Err(contradiction("Observers w/o participants is an invalid configuration")),
        (1, 0) if standalone_enabled => {
            let text = "Invalid configuration, only one server specified (ignoring)";
            warnings.push(Warning(text.to_owned()));
            Ok(())
        }
        (1, _) if standalone_enabled => {
            Err(contradiction("Observers w/o quorum is an invalid configuration"))
        }
        _ => Err(ConfigError::Unsupported {
            file: raw.file().to_owned(),
            what: format!("an ensemble ({} server.N lines)", voters + observers),
        }),
    }
}

fn server_values(raw: &Raw) -> impl Iterator<Item = String> {
    let names = raw.keys().filter(|name| name.starts_with("server."));
    names.filter_map(|name| raw.parser_key(name)).map(|setting| setting.value)
}

fn is_observer(value: &str) -> bool {
    let addresses = value.split(';').next().unwrap_or_default();
    addresses.split('|').any(|address| address.to_ascii_lowercase().ends_with(":observer"))
}
