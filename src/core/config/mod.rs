//! Configuration, in two steps: [`Raw`] is `zoo.cfg` as written, [`Config`] is proven.
//!
//! The steps are pure: the server crate reads the files and the environment and hands in what they hold.
//! Each key is one entry of the table that [`keys`] goes through: name, where it may be set, default,
//! bounds, help, its Java property, and what this version makes of it. The rules are those of config.md;
//! where they leave a key without effect silently, a [`Notice`] says so.

mod client_ports;
mod commands;
mod defines;
mod error;
mod key;
mod key_table;
mod kind;
mod limits;
mod members;
mod membership;
mod notice;
mod placement;
mod raw;
mod security;
mod sessions;
mod settings;
mod storage;
mod znodes;

pub use client_ports::{ClientPorts, HostPort};
pub use commands::Whitelist;
pub use defines::Defines;
pub use error::{ConfigError, Origin, Problem};
pub use key::{AnyKey, Place, Status};
pub use key_table::{all as keys, find as find_key};
pub use limits::{LargeRequests, Limits};
pub use members::{PeerAddress, ServerLine};
pub use membership::Membership;
pub use notice::{Notice, Severity};
pub use placement::{Layout, Placement};
pub use raw::{MalformedEscape, Raw, RawValue};
pub use security::{DigestAlg, Security};
pub use sessions::Sessions;
pub use storage::Storage;
pub use znodes::{Containers, Znodes};

use members::Members;
use settings::Settings;

/// A configuration that a server can start from: each value within its bounds, and fitting the others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Where clients connect.
    pub client_ports: ClientPorts,
    /// The tick and the limits of session timeouts.
    pub sessions: Sessions,
    /// How much clients may take.
    pub limits: Limits,
    /// Who may do what.
    pub security: Security,
    /// Where and how data is kept.
    pub storage: Storage,
    /// Rules about znodes.
    pub znodes: Znodes,
    /// When containers and TTL znodes are deleted.
    pub containers: Containers,
    /// Which four-letter words are answered.
    pub whitelist: Whitelist,
    /// What this server is in an ensemble, and alone.
    pub membership: Membership,
    /// Which cores the server runs on.
    pub placement: Placement,
}

/// All that a configuration is made from.
#[derive(Clone, Copy, Debug)]
pub struct Sources<'a> {
    /// The configuration file as errors name it.
    pub file: &'a str,
    /// What it holds.
    pub raw: &'a Raw,
    /// Name and content of the file that `dynamicConfigFile` names, if it names one.
    pub dynamic: Option<(&'a str, &'a Raw)>,
    /// The Java system properties given.
    pub defines: &'a Defines,
    /// The content of the file `myid` in `dataDir`, if it is there.
    pub my_id: Option<&'a str>,
}

impl Config {
    /// Proves a configuration, or says what is wrong with it. The notices are for the log.
    pub fn prove(sources: &Sources<'_>) -> Result<(Config, Vec<Notice>), ConfigError> {
        let settings = Settings { file: sources.file, raw: sources.raw, defines: sources.defines };
        let mut notices = settings.examine()?;
        let members = Members::prove(sources, &settings, &mut notices)?;
        let membership = Membership::prove(sources, &settings)?;
        let own_line = membership.my_id.and_then(|id| members.line(id));
        let config = Config {
            client_ports: ClientPorts::prove(&settings, own_line)?,
            sessions: Sessions::prove(&settings)?,
            limits: Limits::prove(&settings)?,
            security: Security::prove(&settings)?,
            storage: Storage::prove(&settings, &mut notices)?,
            znodes: Znodes::prove(&settings)?,
            containers: Containers::prove(&settings)?,
            whitelist: Whitelist::prove(&settings)?,
            membership,
            placement: Placement::prove(&settings)?,
        };
        Ok((config, notices))
    }
}

#[cfg(test)]
mod tests;
