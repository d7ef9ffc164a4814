use std::fmt;
use std::net::Ipv6Addr;

use crate::config::client_port::HostPort;
use crate::config::error::Problem;
use crate::config::kind::{Kind, PeerType, Port, Style};
use crate::id::ServerId;

/// A server of an ensemble, as its line in the configuration says (config §3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerLine {
    /// The server's `myid`.
    pub id: ServerId,
    /// Where other servers reach it, at least one.
    pub addresses: Vec<PeerAddress>,
    /// Whether it only follows, without a vote.
    pub observer: bool,
    /// Where its clients connect, if the line says so.
    pub client: Option<HostPort>,
    /// Where its clients connect with TLS, if the line says so.
    pub secure_client: Option<HostPort>,
}

/// One address of a server for its peers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerAddress {
    /// A name or an IP address, not resolved and without brackets; one of IPv6 with all its groups, as Java writes it.
    pub host: String,
    /// Where a leader listens for learners.
    pub quorum_port: u16,
    /// Where it listens for elections; not the same as the quorum port.
    pub election_port: u16,
}

impl ServerLine {
    /// Reads `address[|address…][;[client host:]client port][;[secure host:]secure port]`, an address
    /// being `host:quorum port:election port[:role]`. A host in brackets may contain colons.
    /// More than one address needs `several_addresses`.
    pub fn parse(id: ServerId, text: &str, several_addresses: bool) -> Result<ServerLine, Problem> {
        let form = || Problem::ServerForm { text: text.to_owned() };
        let (addresses, client, secure_client) = match split(text, ';')[..] {
            [addresses] => (addresses, None, None),
            [addresses, client] => (addresses, client_address(client, form)?, None),
            [addresses, client, secure] => {
                (addresses, client_address(client, form)?, client_address(secure, form)?)
            }
            _ => return Err(form()),
        };
        let mut line = ServerLine { id, addresses: Vec::new(), observer: false, client, secure_client };
        let addresses = split(addresses, '|');
        if addresses.len() > 1 && !several_addresses {
            return Err(Problem::MultiAddressDisabled { id: id.0 });
        }
        let mut role = None;
        for address in addresses {
            let (address, observer) = peer_address(id, address, form)?;
            line.addresses.push(address);
            match (role, observer) {
                (Some(first), Some(other)) if first != other => {
                    let (first, other) = (role_name(first), role_name(other));
                    return Err(Problem::RolesDiffer { first, other });
                }
                _ => role = role.or(observer),
            }
        }
        if line.addresses.is_empty() {
            return Err(form());
        }
        line.observer = role.unwrap_or(false);
        Ok(line)
    }
}

/// As ZooKeeper writes the line in configurations that servers tell each other (config §3).
impl fmt::Display for ServerLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut addresses: Vec<&PeerAddress> = self.addresses.iter().collect();
        addresses.sort_by(|one, other| one.host.cmp(&other.host));
        for (index, address) in addresses.into_iter().enumerate() {
            let separator = if index == 0 { "" } else { "|" };
            write!(f, "{separator}{address}")?;
        }
        f.write_str(if self.observer { ":observer" } else { ":participant" })?;
        self.client.iter().try_for_each(|client| write!(f, ";{client}"))
    }
}

impl fmt::Display for PeerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let quorum = HostPort { host: self.host.clone(), port: self.quorum_port };
        write!(f, "{quorum}:{}", self.election_port)
    }
}

fn client_address(text: &str, form: impl Fn() -> Problem) -> Result<Option<HostPort>, Problem> {
    let (host, port) = match host_and_ports(text)?[..] {
        [] => return Ok(None),
        [port] => ("0.0.0.0", port),
        [host, port] => (host, port),
        _ => return Err(form()),
    };
    Ok(Some(HostPort { host: written(host), port: port_number(host, port)? }))
}

/// An address and, if it names a role, whether that is an observer's.
fn peer_address(
    id: ServerId,
    text: &str,
    form: impl Fn() -> Problem,
) -> Result<(PeerAddress, Option<bool>), Problem> {
    let (host, quorum_port, election_port, role) = match host_and_ports(text)?[..] {
        [host, quorum_port, election_port] => (host, quorum_port, election_port, None),
        [host, quorum_port, election_port, role] => (host, quorum_port, election_port, Some(role)),
        _ => return Err(form()),
    };
    let quorum_port = port_number(host, quorum_port)?;
    let election_port = port_number(host, election_port)?;
    if quorum_port == election_port {
        return Err(Problem::SamePorts { id: id.0 });
    }
    let observer = role.map(|role| PeerType.parse("peerType", role, Style::Parser)).transpose()?;
    Ok((PeerAddress { host: written(host), quorum_port, election_port }, observer))
}

/// As Java writes a host when servers tell each other of it: servers must agree to the letter.
pub(in crate::config) fn written(host: &str) -> String {
    match host.parse::<Ipv6Addr>() {
        Ok(address) => address.segments().map(|segment| format!("{segment:x}")).join(":"),
        Err(_) => host.to_owned(),
    }
}

/// The parts between colons, except those of a host in brackets.
fn host_and_ports(text: &str) -> Result<Vec<&str>, Problem> {
    let Some(bracketed) = text.strip_prefix('[') else { return Ok(split(text, ':')) };
    let (host, ports) =
        bracketed.split_once("]:").ok_or_else(|| Problem::NoClosingBracket { text: text.to_owned() })?;
    if ports.is_empty() {
        return Err(Problem::NoPortAfterColon { text: text.to_owned() });
    }
    let mut parts = vec![host];
    parts.extend(split(ports, ':'));
    Ok(parts)
}

fn port_number(host: &str, text: &str) -> Result<u16, Problem> {
    match Port.parse("port", text, Style::Parser) {
        Ok(Some(port)) => Ok(port),
        Err(problem @ Problem::PortOutOfRange { .. }) => Err(problem),
        _ => Err(Problem::ServerPort { host: host.to_owned(), port: text.to_owned() }),
    }
}

/// Java's `split`: empty parts at the end don't count.
fn split(text: &str, separator: char) -> Vec<&str> {
    let mut parts: Vec<_> = text.split(separator).collect();
    while parts.last().is_some_and(|part| part.is_empty()) {
        parts.pop();
    }
    parts
}

fn role_name(observer: bool) -> &'static str {
    if observer { "OBSERVER" } else { "PARTICIPANT" }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<ServerLine, String> {
        ServerLine::parse(ServerId(1), text, true).map_err(|problem| problem.to_string())
    }

    fn client(host: &str, port: u16) -> Option<HostPort> {
        Some(HostPort { host: host.to_owned(), port })
    }

    #[test]
    fn each_form_of_a_line_is_read() {
        // text, host of the first address, observer, client, secure client
        type Expected = (&'static str, bool, Option<HostPort>, Option<HostPort>);
        let table: &[(&str, Expected)] = &[
            ("h:2888:3888", ("h", false, None, None)),
            ("h:2888:3888:OBSERVER", ("h", true, None, None)),
            ("h:2888:3888;2181", ("h", false, client("0.0.0.0", 2181), None)),
            ("h:2888:3888;", ("h", false, None, None)),
            ("h:2888:3888:participant;10.0.0.1:2181", ("h", false, client("10.0.0.1", 2181), None)),
            ("h:2888:3888;2181;2281", ("h", false, client("0.0.0.0", 2181), client("0.0.0.0", 2281))),
            ("h:2888:3888;;s:2281", ("h", false, None, client("s", 2281))),
            ("h1:2888:3888:observer|h2:2889:3889;2181", ("h1", true, client("0.0.0.0", 2181), None)),
            (
                "[2001:0db8::1]:2888:3888;[::]:2181",
                ("2001:db8:0:0:0:0:0:1", false, client("0:0:0:0:0:0:0:0", 2181), None),
            ),
            ("[fe80::1%lo]:2888:3888", ("fe80::1%lo", false, None, None)),
        ];
        for (text, (host, observer, plain, secure)) in table {
            let line = parse(text).expect(text);
            assert_eq!((line.addresses[0].host.as_str(), line.observer), (*host, *observer), "{text}");
            assert_eq!((&line.client, &line.secure_client), (plain, secure), "{text}");
        }
        let two = parse("h1:2888:3888|h2:2889:3889").unwrap();
        let second = PeerAddress { host: "h2".to_owned(), quorum_port: 2889, election_port: 3889 };
        assert_eq!(two.addresses[1], second);
    }

    #[test]
    fn each_wrong_form_is_answered_in_zookeepers_words() {
        for (text, expected) in [
            ("h:2888", "h:2888 does not have the form server_config"),
            ("", " does not have the form server_config"),
            (";2181", ";2181 does not have the form"),
            ("h:1:2:participant:x", "does not have the form"),
            ("h:1:2;3;4;5", "does not have the form"),
            ("h:1:2;a:b:3", "does not have the form"),
            ("h:x:2", "Address unresolved: h:x"),
            ("h:1:70000", "port out of range:70000"),
            ("h:1:2;c:p", "Address unresolved: c:p"),
            (
                "h:1:1",
                "Client and election port must be different! Please update the configuration file on server.1",
            ),
            ("h:1:2:leader", "Unrecognised peertype: leader"),
            ("[::1:1:2", "[::1:1:2 starts with '[' but has no matching ']:'"),
            ("[::1]:", "[::1]: doesn't have a port after colon"),
            ("a:1:2:observer|b:1:2:participant", "similar roles: OBSERVER vs PARTICIPANT"),
        ] {
            let error = parse(text).expect_err(text);
            assert!(error.contains(expected), "{text:?}: {error}");
        }
        let several = ServerLine::parse(ServerId(7), "a:1:2|b:1:2", false).unwrap_err();
        assert_eq!(
            several.to_string(),
            "Multiple address feature is disabled, but multiple addresses were specified for sid 7"
        );
    }
}
