use super::Sources;
use super::error::{ConfigError, Problem};
use super::key_table::connections::READ_ONLY_MODE;
use super::key_table::parser::RECONFIG_ENABLED;
use super::kind::{Int, Kind, Style};
use super::settings::Settings;
use crate::id::ServerId;

/// What this server is in an ensemble, and what it is when alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Membership {
    /// The content of `myid`, which a standalone server need not have.
    pub my_id: Option<ServerId>,
    /// `reconfigEnabled`: otherwise a reconfig is answered with `Code::ReconfigDisabled`.
    pub reconfig_enabled: bool,
    /// `readonlymode.enabled`: whether reads are served without a quorum.
    pub read_only_mode_enabled: bool,
}

impl Membership {
    pub(super) fn prove(sources: &Sources<'_>, settings: &Settings<'_>) -> Result<Membership, ConfigError> {
        Ok(Membership {
            my_id: sources.my_id.map(|content| my_id(content, settings)).transpose()?,
            reconfig_enabled: settings.get(&RECONFIG_ENABLED)?,
            read_only_mode_enabled: settings.get(&READ_ONLY_MODE)?,
        })
    }

    /// The id that `conf` and the metrics show; a standalone server shows 0, whatever its `myid` says.
    pub fn shown_id(&self) -> ServerId {
        ServerId(0)
    }
}

/// The first line of `myid`, which is a decimal number without blanks (config §3).
fn my_id(content: &str, settings: &Settings<'_>) -> Result<ServerId, ConfigError> {
    let first_line = content.split(['\n', '\r']).next().unwrap_or_default();
    Int::<i64>::any(0).parse("myid", first_line, Style::Parser).map(ServerId).map_err(|_| {
        settings
            .whole(Problem::MyId { text: if content.is_empty() { "null" } else { first_line }.to_owned() })
    })
}
