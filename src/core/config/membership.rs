use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;

use thiserror::Error;

use super::client_port::HostPort;
use super::error::Problem;
use super::kind::{Int, Kind, Style};
use super::members::{PeerAddress, ServerLine};
use super::raw::{MalformedEscape, Raw};
use crate::id::ServerId;
use crate::quorum::{Groups, QuorumError, QuorumVerifier};

/// One configuration of an ensemble: who its servers are, where they are, what each is, and which of them
/// decide; ZooKeeper's "quorum verifier" (zab §12.2).
///
/// The version is the zxid of the reconfig that made it, the zxid that opened the first epoch, or 0 for one
/// that no leader has established yet. The larger one holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Membership {
    servers: BTreeMap<ServerId, ServerLine>,
    groups: Option<Groups>,
    verifier: Arc<QuorumVerifier>,
}

/// What a server is in a configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// It votes.
    Voter,
    /// It only follows.
    Observer,
    /// It does not belong to the ensemble. It may follow all the same, and what it acknowledges doesn't count.
    None,
}

/// Gathers the lines of a configuration, in any order.
#[derive(Debug, Default)]
pub(super) struct MembershipBuilder {
    servers: BTreeMap<ServerId, ServerLine>,
    groups: Option<Groups>,
}

/// Why a text is no configuration of an ensemble.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum MembershipError {
    /// It is no text of keys and values.
    #[error(transparent)]
    Malformed(#[from] MalformedEscape),
    /// A value is wrong.
    #[error("{key}: {problem}")]
    Value {
        /// Where.
        key: String,
        /// What about it.
        problem: Problem,
    },
    /// A key does not belong there.
    #[error("Unrecognised parameter: {key}")]
    ForeignKey {
        /// Which.
        key: String,
    },
    /// The groups don't fit the servers.
    #[error(transparent)]
    Quorum(#[from] QuorumError),
    /// Nobody would decide.
    #[error("the configuration names no server that votes")]
    NoVoter,
}

impl MembershipBuilder {
    /// Takes a line; `false` if it is none of a server, a group or a weight.
    pub(super) fn take(&mut self, key: &str, text: &str, several_addresses: bool) -> Result<bool, Problem> {
        if let Some(id) = key.strip_prefix("server.") {
            let line = ServerLine::parse(ServerId(number(key, id)?), text, several_addresses)?;
            self.servers.insert(line.id, line);
        } else if is_member_key(key) {
            read_group_or_weight(key, text, self.groups.get_or_insert_default())?;
        } else {
            return Ok(false);
        }
        Ok(true)
    }

    /// The configuration.
    pub(super) fn build(self, version: i64) -> Result<Membership, QuorumError> {
        Membership::of(self.servers, self.groups, version)
    }
}

impl Membership {
    /// The configuration of these servers; without groups, majorities decide.
    pub fn of(
        servers: BTreeMap<ServerId, ServerLine>,
        groups: Option<Groups>,
        version: i64,
    ) -> Result<Membership, QuorumError> {
        let of_role = |observer: bool| {
            servers.values().filter(move |line| line.observer == observer).map(|line| line.id)
        };
        let verifier = match &groups {
            None => QuorumVerifier::majority(of_role(false), of_role(true)),
            Some(groups) => QuorumVerifier::hierarchical(of_role(false), of_role(true), groups)?,
        };
        Ok(Membership { verifier: Arc::new(verifier.with_version(version)), servers, groups })
    }

    /// Reads a configuration as servers tell it, or as a client wants it: the lines of servers, groups,
    /// weights, and perhaps the version. `several_addresses` as in [`ServerLine::parse`].
    pub fn parse(text: &str, several_addresses: bool) -> Result<Membership, MembershipError> {
        let raw = Raw::parse(&latin_1(text))?;
        let (mut builder, mut version) = (MembershipBuilder::default(), 0);
        for (key, value) in raw.in_order() {
            let wrong = |problem| MembershipError::Value { key: key.to_owned(), problem };
            if key == VERSION {
                version = i64::from_str_radix(&value.text, 16)
                    .map_err(|_| wrong(Problem::NotANumber { text: value.text.clone() }))?;
            } else if !builder.take(key, &value.text, several_addresses).map_err(wrong)? {
                return Err(MembershipError::ForeignKey { key: key.to_owned() });
            }
        }
        Ok(builder.build(version)?)
    }

    /// Reads a configuration that another server tells, in which somebody must decide.
    pub fn of_peer(text: &[u8]) -> Result<Membership, MembershipError> {
        let membership = Membership::parse(&String::from_utf8_lossy(text), true)?;
        let nobody_votes = membership.verifier.voters().len() == 0;
        if nobody_votes { Err(MembershipError::NoVoter) } else { Ok(membership) }
    }

    /// The same servers under another version.
    pub fn with_version(&self, version: i64) -> Membership {
        let verifier = Arc::new((*self.verifier).clone().with_version(version));
        Membership { verifier, ..self.clone() }
    }

    /// The version.
    pub fn version(&self) -> i64 {
        self.verifier.version()
    }

    /// Who decides.
    pub fn verifier(&self) -> &Arc<QuorumVerifier> {
        &self.verifier
    }

    /// The servers, by id.
    pub fn servers(&self) -> &BTreeMap<ServerId, ServerLine> {
        &self.servers
    }

    /// The line of a server.
    pub fn line(&self, id: ServerId) -> Option<&ServerLine> {
        self.servers.get(&id)
    }

    /// What a server is.
    pub fn part(&self, id: ServerId) -> Part {
        match self.servers.get(&id) {
            None => Part::None,
            Some(line) if line.observer => Part::Observer,
            Some(_) => Part::Voter,
        }
    }

    /// Whether groups decide, and not a majority.
    pub fn is_hierarchical(&self) -> bool {
        self.groups.is_some()
    }

    /// Whether another configuration is the same but for its version.
    pub fn has_same_servers(&self, other: &Membership) -> bool {
        self.servers == other.servers && self.groups == other.groups
    }

    /// Where a server listens for elections, as its line says.
    pub fn election_addresses(&self, id: ServerId) -> Vec<HostPort> {
        self.addresses(id, |peer| peer.election_port)
    }

    /// Where a server listens for its learners if it leads.
    pub fn quorum_addresses(&self, id: ServerId) -> Vec<HostPort> {
        self.addresses(id, |peer| peer.quorum_port)
    }

    fn addresses(&self, id: ServerId, port: fn(&PeerAddress) -> u16) -> Vec<HostPort> {
        let address = |peer: &PeerAddress| HostPort { host: peer.host.clone(), port: port(peer) };
        self.line(id).map(|line| line.addresses.iter().map(address).collect()).unwrap_or_default()
    }

    /// The configuration as servers tell it to each other, and as `/zookeeper/config` shows it
    /// (election §3.1): the version in the last line, which nothing ends.
    pub fn text(&self) -> String {
        let mut text = self.lines().fold(String::new(), |text, line| text + &line + "\n");
        let written = write!(text, "{VERSION}={:x}", self.version());
        debug_assert!(written.is_ok(), "a string takes everything");
        text
    }

    /// The content of a dynamic configuration file: the lines sorted as text, the version only where the
    /// file's name does not tell it (zab §12.2).
    pub fn file_text(&self, with_version: bool) -> String {
        let version = with_version.then(|| format!("{VERSION}={:x}", self.version()));
        let mut lines: Vec<String> = self.lines().chain(version).collect();
        lines.sort();
        lines.join("\n")
    }

    fn lines(&self) -> impl Iterator<Item = String> {
        let servers = self.servers.values().map(|line| format!("server.{}={line}", line.id));
        let groups = self.groups.iter().flat_map(Groups::groups).map(|(group, servers)| {
            let servers: Vec<_> = servers.iter().map(ToString::to_string).collect();
            format!("group.{group}={}", servers.join(":"))
        });
        let weights = self.groups.iter().flat_map(Groups::weights);
        servers.chain(groups).chain(weights.map(|(id, weight)| format!("weight.{id}={weight}")))
    }
}

pub(super) fn is_member_key(key: &str) -> bool {
    ["server.", "group", "weight"].into_iter().any(|start| key.starts_with(start))
}

/// `group.<group>=<id>:<id>...` or `weight.<id>=<weight>`.
fn read_group_or_weight(key: &str, text: &str, groups: &mut Groups) -> Result<(), Problem> {
    let id = number(key, key.split_once('.').map_or(key, |(_, id)| id))?;
    if key.starts_with("weight") {
        groups.weigh(ServerId(id), number(key, text)?);
        return Ok(());
    }
    for server in text.split(':') {
        groups.add(ServerId(number(key, server)?), id)?;
    }
    Ok(())
}

fn number(key: &str, text: &str) -> Result<i64, Problem> {
    Int::<i64>::any(0).parse(key, text, Style::Parser)
}

/// The text as a file has it, whose bytes are read as ISO-8859-1.
fn latin_1(text: &str) -> Vec<u8> {
    text.chars().map(|char| u8::try_from(char).unwrap_or(b'?')).collect()
}

const VERSION: &str = "version";

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TEXT: &str = "server.1=a:2888:3888:participant;0.0.0.0:2181\nserver.2=b:2888:3888:participant\n\
                        server.10=[0:0:0:0:0:0:0:1]:1:2:observer\ngroup.1=1\ngroup.2=2\nweight.2=3\nversion=10000000a";

    #[test]
    fn a_configuration_is_told_as_it_was_read_and_written_as_java_sorts_it() {
        let membership = Membership::parse(TEXT, false).expect("good");
        assert_eq!(membership.text(), TEXT);
        assert_eq!(membership.version(), 0x1_0000_000a);
        let sorted = "group.1=1\ngroup.2=2\nserver.10=[0:0:0:0:0:0:0:1]:1:2:observer\n\
                      server.1=a:2888:3888:participant;0.0.0.0:2181\nserver.2=b:2888:3888:participant\n";
        assert_eq!(membership.file_text(false), format!("{sorted}weight.2=3"));
        assert_eq!(membership.file_text(true), format!("{sorted}version=10000000a\nweight.2=3"));
        let part = |id| membership.part(ServerId(id));
        assert_eq!((part(1), part(10), part(3)), (Part::Voter, Part::Observer, Part::None));
        let renamed = membership.with_version(7);
        assert!(renamed.has_same_servers(&membership) && renamed.version() == 7);
        assert_eq!(membership.quorum_addresses(ServerId(10))[0].to_string(), "[0:0:0:0:0:0:0:1]:1");
        assert_eq!(membership.election_addresses(ServerId(3)), []);
    }

    #[test]
    fn what_is_no_configuration_is_told_apart() {
        let error = |text| Membership::of_peer(text).expect_err("wrong").to_string();
        assert_eq!(error(b"tickTime=5"), "Unrecognised parameter: tickTime");
        assert_eq!(error(b"version=x"), "version: For input string: \"x\"");
        assert_eq!(error(b"server.1=a:1"), Membership::parse("server.1=a:1", true).unwrap_err().to_string());
        assert_eq!(error(b"server.1=a:1:2\ngroup.1=2"), "Server 1is not in a group");
        assert_eq!(error(b"server.1=a:1:2:observer"), "the configuration names no server that votes");
        assert!(error(b"a=\\u12").contains("Malformed"));
    }

    proptest! {
        #[test]
        fn no_bytes_are_too_strange_and_what_is_read_is_told_alike(
            bytes in prop::collection::vec(any::<u8>(), 0..80),
            lines in prop::collection::vec("(server|group|weight)\\.[0-9]{1,2}=[a-z0-9.:;|]{0,20}", 0..4),
        ) {
            let text = lines.join("\n");
            for told in [&bytes[..], text.as_bytes()] {
                if let Ok(membership) = Membership::of_peer(told) {
                    let again = Membership::of_peer(membership.text().as_bytes());
                    prop_assert_eq!(again.map(|again| again.text()), Ok(membership.text()));
                }
            }
        }
    }
}
