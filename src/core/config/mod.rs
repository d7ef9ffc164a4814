//! Configuration, in two steps: [`Raw`] is `zoo.cfg` as written, [`Config`] is proven.
//!
//! The steps are pure: the server crate reads the files and the environment and hands in what they hold.
//! Each key is one entry of the table that [`keys`] goes through: name, where it may be set, default,
//! bounds, help, its Java property, and what this version makes of it. The rules are those of config.md;
//! where they leave a key without effect silently, a [`Notice`] says so.

mod admin;
mod client_port;
mod configurations;
mod containers;
mod defines;
mod election_timing;
mod ensemble;
mod error;
mod key;
mod key_table;
mod kind;
mod layout;
mod limits;
mod members;
mod membership;
mod my_id;
mod notice;
mod quorum_sasl;
mod raw;
mod security;
mod sessions;
mod settings;
mod static_file;
mod storage;
mod sync_limits;
mod throttle;
mod tls;

pub use admin::Admin;
pub use client_port::{ClientPort, HostPort};
pub use configurations::Configurations;
pub use containers::Containers;
pub use defines::Defines;
pub use election_timing::ElectionTiming;
pub use ensemble::{Ensemble, ReconfigRules};
pub use error::{ConfigError, Origin, Problem};
pub use key::{AnyKey, Place, Status};
pub use key_table::{all as keys, find as find_key};
pub use kind::SnapshotSizeFactor;
pub use layout::{Layout, LayoutKind};
pub use limits::{LargeRequests, Limits};
pub use members::{PeerAddress, ServerLine};
pub use membership::{Membership, MembershipError, Part};
pub use notice::{Notice, Severity};
pub use quorum_sasl::QuorumSasl;
pub use raw::{MalformedEscape, Raw, RawValue};
pub use security::Security;
pub use sessions::Sessions;
pub use static_file::pointing_to;
pub use storage::{PurgeTime, Storage};
pub use sync_limits::SyncLimits;
pub use throttle::{ConnectionThrottle, RequestThrottle, Stale, ThrottleWeights};
pub use tls::{ClientAuth, Password, PeerTls, Store, StoreKind, TlsOptions, TlsVersion};

use key_table::security::LOGIN_FILE;
use members::Members;
use settings::Settings;

use crate::id::ServerId;

/// A configuration that a server can start from: each value within its bounds, and fitting the others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Where data lies and how it is written.
    pub storage: Storage,
    /// Where clients connect.
    pub client_port: ClientPort,
    /// Sessions, and the server's grain of time.
    pub sessions: Sessions,
    /// How much clients may take.
    pub limits: Limits,
    /// Who may do what.
    pub security: Security,
    /// When empty containers and outlived TTL nodes go.
    pub containers: Containers,
    /// What operators may ask.
    pub admin: Admin,
    /// Which role runs where.
    pub layout: Layout,
    /// The ensemble that this server is a member of; `None` for a standalone one.
    pub ensemble: Option<Ensemble>,
    /// What the file `myid` says. A standalone server need not have it, and shows 0 whatever it says.
    pub my_id: Option<ServerId>,
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
    /// Name and content of the file with the configuration proposed last, [`NEXT_SUFFIX`], if there is one
    /// beside a dynamic file.
    pub next: Option<(&'a str, &'a Raw)>,
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
        let members = Members::prove(sources, &settings)?;
        let ensemble = match Ensemble::prove(sources)? {
            Some((ensemble, its_notices)) => {
                notices = its_notices;
                Some(ensemble)
            }
            None => {
                members.warn_of_one(&mut notices);
                None
            }
        };
        notices.retain(|notice| notice.concerns(ensemble.is_some()));
        let uses_login_file = ensemble.as_ref().is_some_and(|ensemble| ensemble.sasl.is_some());
        if !uses_login_file && settings.is_set(&LOGIN_FILE) {
            notices.push(Notice::warning(NO_USE_OF_LOGIN_FILE));
        }
        let my_id = my_id::prove(sources)?;
        let own_line = my_id.and_then(|id| members.line(id));
        let config = Config {
            storage: Storage::prove(&settings, &mut notices)?,
            client_port: ClientPort::prove(&settings, own_line)?,
            sessions: Sessions::prove(&settings)?,
            limits: Limits::prove(&settings)?,
            security: Security::prove(&settings)?,
            containers: Containers::prove(&settings)?,
            admin: Admin::prove(&settings)?,
            layout: Layout::prove(&settings)?,
            ensemble,
            my_id,
        };
        Ok((config, notices))
    }
}

const NO_USE_OF_LOGIN_FILE: &str = "java.security.auth.login.config has no effect but with quorum.auth.enableSasl=true: \
     there is no SASL for clients in this version";

/// What the name of the file with the configuration proposed last ends with, behind the configuration file's.
pub const NEXT_SUFFIX: &str = ".dynamic.next";

#[cfg(test)]
mod ensemble_tests;
#[cfg(test)]
mod tests;
