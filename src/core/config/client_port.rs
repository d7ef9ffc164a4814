use std::fmt;

use super::error::{ConfigError, Problem};
use super::key_table::connections::TCP_KEEP_ALIVE;
use super::key_table::parser::{
    CLIENT_PORT, CLIENT_PORT_ADDRESS, LISTEN_BACKLOG, SECURE_CLIENT_PORT, SECURE_CLIENT_PORT_ADDRESS,
};
use super::members::{ServerLine, written};
use super::settings::Settings;

/// Where clients connect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientPort {
    /// `clientPortAddress`, or the host in the server's own line: a name or an IP address, not resolved;
    /// `None` means all addresses of the machine, of both families.
    pub host: Option<String>,
    /// `clientPort`, or the port in the server's own line; 0 leaves the choice to the kernel.
    pub port: u16,
    /// `clientPortListenBacklog`; below 1 the choice is the server's.
    pub backlog: i32,
    /// `clientTcpKeepAlive`: whether clients' connections have SO_KEEPALIVE.
    pub keep_alive: bool,
}

/// An address to listen on, as a server line gives it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostPort {
    /// A name or an IP address, not resolved and without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
}

impl ClientPort {
    pub(super) fn prove(
        settings: &Settings<'_>,
        own_line: Option<&ServerLine>,
    ) -> Result<ClientPort, ConfigError> {
        if settings.get(&SECURE_CLIENT_PORT)?.is_none() && settings.is_set(&SECURE_CLIENT_PORT_ADDRESS) {
            return Err(settings.error(&SECURE_CLIENT_PORT_ADDRESS, Problem::SecureAddressWithoutPort));
        }
        let host = settings.get(&CLIENT_PORT_ADDRESS)?;
        let (host, port) = match (settings.get(&CLIENT_PORT)?, own_line) {
            (None, _) if host.is_some() => {
                return Err(settings.error(&CLIENT_PORT_ADDRESS, Problem::ClientAddressWithoutPort));
            }
            (None, None) => return Err(settings.whole(Problem::ClientPortNotSet)),
            (None, Some(line)) => match &line.client {
                Some(client) => (Some(client.host.clone()), client.port),
                None => return Err(settings.whole(Problem::ClientPortNotSet)),
            },
            (Some(port), own_line) => merge(settings, host, port, own_line)?,
        };
        let backlog = settings.get(&LISTEN_BACKLOG)?;
        Ok(ClientPort { host, port, backlog, keep_alive: settings.get(&TCP_KEEP_ALIVE)? })
    }
}

/// The client address of the server's own line holds, and must not contradict the configuration file.
fn merge(
    settings: &Settings<'_>,
    host: Option<String>,
    port: u16,
    own_line: Option<&ServerLine>,
) -> Result<(Option<String>, u16), ConfigError> {
    let Some((line, client)) = own_line.and_then(|line| Some((line, line.client.as_ref()?))) else {
        return Ok((host, port));
    };
    let is_wildcard = matches!(host.as_deref(), None | Some("0.0.0.0" | "::" | "[::]"));
    if port != client.port || !(is_wildcard || host.as_deref().map(written).as_ref() == Some(&client.host)) {
        let fixed = HostPort { host: host.unwrap_or_else(|| "0.0.0.0".to_owned()), port };
        return Err(settings.whole(Problem::ClientAddressMismatch {
            id: line.id.0,
            fixed: fixed.to_string(),
            dynamic: client.to_string(),
        }));
    }
    Ok((Some(client.host.clone()), client.port))
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.contains(':') {
            true => write!(f, "[{}]:{}", self.host, self.port),
            false => write!(f, "{}:{}", self.host, self.port),
        }
    }
}
