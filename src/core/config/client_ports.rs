use std::fmt;

use super::error::{ConfigError, Problem};
use super::key_table::parser::{
    CLIENT_PORT, CLIENT_PORT_ADDRESS, LISTEN_BACKLOG, SECURE_CLIENT_PORT, SECURE_CLIENT_PORT_ADDRESS,
};
use super::members::ServerLine;
use super::settings::Settings;

/// Where clients connect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientPorts {
    /// `clientPort` and `clientPortAddress`, else what the server's own line says; `None` serves nobody.
    pub plain: Option<HostPort>,
    /// `secureClientPort` and `secureClientPortAddress`. Not supported yet.
    pub secure: Option<HostPort>,
    /// `clientPortListenBacklog` as given; below 1 the choice is the server's.
    pub listen_backlog: i32,
}

/// An address to listen on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostPort {
    /// A name or an IP address, not resolved; `None` means all addresses of the machine, of both families.
    pub host: Option<String>,
    /// 0 lets the kernel choose.
    pub port: u16,
}

impl ClientPorts {
    pub(super) fn prove(
        settings: &Settings<'_>,
        own_line: Option<&ServerLine>,
    ) -> Result<ClientPorts, ConfigError> {
        let plain = settings.get(&CLIENT_PORT)?;
        let secure = settings.get(&SECURE_CLIENT_PORT)?;
        if plain.is_none() && settings.is_set(&CLIENT_PORT_ADDRESS) {
            return Err(settings.error(&CLIENT_PORT_ADDRESS, Problem::ClientAddressWithoutPort));
        }
        if secure.is_none() && settings.is_set(&SECURE_CLIENT_PORT_ADDRESS) {
            return Err(settings.error(&SECURE_CLIENT_PORT_ADDRESS, Problem::SecureAddressWithoutPort));
        }
        let host = settings.get(&CLIENT_PORT_ADDRESS)?;
        let secure_host = settings.get(&SECURE_CLIENT_PORT_ADDRESS)?;
        let plain = plain.map(|port| HostPort { host, port });
        Ok(ClientPorts {
            plain: merge(settings, plain, own_line)?,
            secure: secure.map(|port| HostPort { host: secure_host, port }),
            listen_backlog: settings.get(&LISTEN_BACKLOG)?,
        })
    }

    /// Connections that may wait to be accepted.
    pub fn backlog(&self) -> u32 {
        u32::try_from(self.listen_backlog).ok().filter(|backlog| *backlog > 0).unwrap_or(BACKLOG_DEFAULT)
    }
}

/// The client address of the server's own line holds, and must not contradict the configuration file.
fn merge(
    settings: &Settings<'_>,
    fixed: Option<HostPort>,
    own_line: Option<&ServerLine>,
) -> Result<Option<HostPort>, ConfigError> {
    let Some((line, dynamic)) = own_line.and_then(|line| Some((line, line.client.as_ref()?))) else {
        return Ok(fixed);
    };
    if let Some(fixed) = &fixed {
        let same_host = fixed.is_wildcard() || fixed.host == dynamic.host;
        if fixed.port != dynamic.port || !same_host {
            return Err(settings.whole(Problem::ClientAddressMismatch {
                id: line.id.0,
                fixed: fixed.to_string(),
                dynamic: dynamic.to_string(),
            }));
        }
    }
    Ok(Some(dynamic.clone()))
}

impl HostPort {
    fn is_wildcard(&self) -> bool {
        matches!(self.host.as_deref(), None | Some("0.0.0.0" | "::" | "[::]"))
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.as_deref() {
            Some(host) if host.contains(':') && !host.starts_with('[') => write!(f, "[{host}]:{}", self.port),
            Some(host) => write!(f, "{host}:{}", self.port),
            None => write!(f, "0.0.0.0:{}", self.port),
        }
    }
}

/// More than Java's 50: connections come back all at once after a restart. The kernel lowers it to
/// `net.core.somaxconn`.
const BACKLOG_DEFAULT: u32 = 4096;
