//! Whether a certificate is for the host at the other end, by ZooKeeper's rules.
//!
//! The address is tried first, and then the name: that by which this server connected, or else, if that is allowed,
//! the one that a reverse look-up gives. If a certificate has alternative names those count, and otherwise the common
//! name of its subject. One `*` stands for any part of a name without a dot.

use std::net::IpAddr;

use tracing::debug;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

/// Who is at the other end.
#[derive(Clone, Debug)]
pub struct Peer {
    /// Its address.
    pub address: IpAddr,
    /// The name by which this server connected to it.
    pub name: Option<String>,
    /// Whether the name of its address may be looked up.
    pub looks_up: bool,
}

impl Peer {
    /// Whether a certificate is for this host, or what it is for instead.
    pub(super) fn verify(&self, certificate: &[u8]) -> Result<(), String> {
        let names = Names::of(certificate)?;
        if names.cover_address(self.address) {
            return Ok(());
        }
        let name = self.name.clone().or_else(|| self.look_up());
        match name {
            Some(name) if names.cover_name(&name) => Ok(()),
            Some(name) => {
                Err(format!("its certificate is for {names}, and not for {} or {name}", self.address))
            }
            None => Err(format!("its certificate is for {names}, and not for {}", self.address)),
        }
    }

    fn look_up(&self) -> Option<String> {
        if !self.looks_up {
            return None;
        }
        let found = dns_lookup::lookup_addr(&self.address);
        found.inspect_err(|error| debug!("{} has no name: {error}", self.address)).ok()
    }
}

/// What a certificate is for.
struct Names {
    addresses: Vec<IpAddr>,
    names: Vec<String>,
    /// What counts if there is neither of the others.
    common: Option<String>,
}

impl Names {
    fn of(certificate: &[u8]) -> Result<Names, String> {
        const MALFORMED: &str = "its certificate cannot be read";
        let (_, certificate) = X509Certificate::from_der(certificate).map_err(|_| MALFORMED)?;
        let alternative = certificate.subject_alternative_name().map_err(|_| MALFORMED)?;
        let mut names = Names { addresses: Vec::new(), names: Vec::new(), common: None };
        for name in alternative.iter().flat_map(|extension| &extension.value.general_names) {
            match name {
                GeneralName::DNSName(name) => names.names.push((*name).to_owned()),
                GeneralName::IPAddress(bytes) => names.addresses.extend(address(bytes)),
                _ => {}
            }
        }
        if names.addresses.is_empty() && names.names.is_empty() {
            let common = certificate.subject().iter_common_name().last();
            names.common = common.and_then(|name| name.as_str().ok()).map(str::to_owned);
        }
        Ok(names)
    }

    fn cover_address(&self, address: IpAddr) -> bool {
        self.addresses.contains(&address)
            || self.common.as_ref().is_some_and(|common| matches(&address.to_string(), common))
    }

    fn cover_name(&self, name: &str) -> bool {
        self.names.iter().chain(&self.common).any(|pattern| matches(name, pattern))
    }
}

impl std::fmt::Display for Names {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let addresses = self.addresses.iter().map(ToString::to_string);
        let all: Vec<String> = addresses.chain(self.names.iter().chain(&self.common).cloned()).collect();
        if all.is_empty() { f.write_str("no host at all") } else { f.write_str(&all.join(", ")) }
    }
}

fn matches(host: &str, pattern: &str) -> bool {
    let (host, pattern) = (host.to_lowercase(), pattern.to_lowercase());
    let Some((start, end)) = pattern.split_once('*') else { return host == pattern };
    let middle = host.strip_prefix(start).and_then(|rest| rest.strip_suffix(end));
    middle.is_some_and(|middle| !middle.contains('.'))
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    match bytes.len() {
        4 => <[u8; 4]>::try_from(bytes).ok().map(IpAddr::from),
        16 => <[u8; 16]>::try_from(bytes).ok().map(IpAddr::from),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_one_part_of_a_name() {
        assert!(matches("zk1.example.org", "ZK1.example.ORG"));
        assert!(matches("zk1.example.org", "*.example.org"));
        assert!(matches("zk1.example.org", "zk*.example.org"));
        assert!(!matches("a.zk1.example.org", "*.example.org"));
        assert!(!matches("example.org", "*.example.org"));
        assert!(!matches("aa", "aa*aa"), "the two ends do not overlap");
    }
}
