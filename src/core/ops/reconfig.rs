//! reconfig: which servers make up the ensemble (server-semantics §12).

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::database::Database;
use super::write::Asker;
use crate::config::{
    Configurations, HostPort, Membership, MembershipError, Problem, ReconfigRules, ServerLine,
};
use crate::error::Code;
use crate::id::{ServerId, Zxid};
use crate::jute::{DecodeError, Reader};
use crate::proto::{Txn, perms};

/// The node that shows the committed configuration.
pub const CONFIG_NODE: &str = "/zookeeper/config";

/// What a leader knows by which a reconfig is judged.
#[derive(Clone, Debug)]
pub struct ReconfigContext {
    /// The configurations that it goes by.
    pub configurations: Configurations,
    /// What a new one must be like.
    pub rules: ReconfigRules,
    /// The servers that have all of its history, itself among them.
    pub synced: BTreeSet<ServerId>,
}

/// What a client wants to be changed.
pub(super) struct ReconfigRequest<'r> {
    joining: Option<Cow<'r, str>>,
    leaving: Option<Cow<'r, str>>,
    members: Option<Cow<'r, str>>,
    version: i64,
}

impl<'r> ReconfigRequest<'r> {
    /// Reads the record: the servers that join, those that leave, the new list, and the version of the list
    /// that they change.
    pub(super) fn decode(reader: &mut Reader<'r>) -> Result<ReconfigRequest<'r>, DecodeError> {
        Ok(ReconfigRequest {
            joining: reader.ustring()?,
            leaving: reader.ustring()?,
            members: reader.ustring()?,
            version: reader.long()?,
        })
    }
}

/// Decides reconfig, which becomes the transaction `zxid` and gets that as its version. A server that stands
/// alone has nothing to reconfigure.
pub(super) fn decide<'r>(
    request: &ReconfigRequest<'_>,
    zxid: Zxid,
    db: &Database,
    asker: &Asker<'_>,
) -> Result<Txn<'r>, Code> {
    if !asker.settings.reconfig_enabled {
        return Err(Code::ReconfigDisabled);
    }
    asker.check_session()?;
    let context = asker.reconfig.ok_or(Code::Unimplemented)?;
    if context.configurations.is_pending() {
        return Err(Code::ReconfigInProgress);
    }
    let current = context.configurations.last_seen();
    if request.version != ANY_VERSION && request.version != current.version() {
        return Err(Code::BadVersion);
    }
    let wanted = match &request.members {
        Some(members) => replaced(members, context.rules)?,
        None => changed(current, request, context.rules)?,
    }
    .with_version(zxid.0);
    let voters_min = if context.rules.standalone_enabled { 2 } else { 1 };
    if wanted.verifier().voters().len() < voters_min {
        return Err(Code::BadArguments);
    }
    if !wanted.verifier().contains_quorum(|id| context.synced.contains(&id)) {
        return Err(Code::NewConfigNoQuorum);
    }
    asker.find(db, CONFIG_NODE, perms::WRITE)?;
    let data = Some(Cow::Owned(wanted.text().into_bytes()));
    Ok(Txn::Reconfig { path: CONFIG_NODE.into(), data, version: CONFIG_NODE_VERSION })
}

/// A new list of all servers.
fn replaced(members: &str, rules: ReconfigRules) -> Result<Membership, Code> {
    let wanted = Membership::parse(&members.replace(',', "\n"), rules.several_addresses).map_err(
        |error| match error {
            MembershipError::Value { problem, .. } => code_of(&problem),
            MembershipError::Malformed(_) => NO_NUMBER,
            MembershipError::Quorum(_) | MembershipError::ForeignKey { .. } | MembershipError::NoVoter => {
                Code::BadArguments
            }
        },
    )?;
    // What Java refuses as no configuration at all, it does not answer with BadArguments.
    let counts = (wanted.verifier().voters().len(), wanted.verifier().observers().len());
    match (counts, rules.standalone_enabled) {
        ((0, _), false) | ((0 | 1, 1..), true) => Err(NO_NUMBER),
        _ => Ok(wanted),
    }
}

/// The current servers without those that leave, and with those that join or come in place of others.
fn changed(
    current: &Membership,
    request: &ReconfigRequest<'_>,
    rules: ReconfigRules,
) -> Result<Membership, Code> {
    if current.is_hierarchical() {
        return Err(Code::BadArguments);
    }
    let mut servers = current.servers().clone();
    for leaving in list(request.leaving.as_deref()) {
        servers.remove(&ServerId(leaving.parse().map_err(|_| NO_NUMBER)?));
    }
    for joining in list(request.joining.as_deref()) {
        let line = joiner(joining, rules)?;
        if servers.values().any(|other| other.id != line.id && collide(&line, other)) {
            return Err(Code::BadArguments);
        }
        servers.insert(line.id, line);
    }
    of(servers)
}

fn of(servers: BTreeMap<ServerId, ServerLine>) -> Result<Membership, Code> {
    Membership::of(servers, None, 0).map_err(|_| Code::BadArguments)
}

/// `server.<id>=<line>`, with a port for clients.
fn joiner(text: &str, rules: ReconfigRules) -> Result<ServerLine, Code> {
    let parts: Vec<&str> = list_by(text, '=').collect();
    let [key, value] = parts[..] else { return Err(Code::BadArguments) };
    let id = key.rsplit_once('.').map_or(key, |(_, id)| id).parse().map_err(|_| NO_NUMBER)?;
    let line = ServerLine::parse(ServerId(id), value, rules.several_addresses)
        .map_err(|problem| code_of(&problem))?;
    if line.client.is_some() { Ok(line) } else { Err(Code::BadArguments) }
}

/// Whether two servers would listen at the same place. Places on the machine itself and wildcards may be on
/// different machines; names are compared as they are written.
fn collide(one: &ServerLine, other: &ServerLine) -> bool {
    let places = |line: &ServerLine| {
        let peers = line.addresses.iter().flat_map(|peer| {
            [peer.quorum_port, peer.election_port].map(|port| HostPort { host: peer.host.clone(), port })
        });
        peers.chain(line.client.clone()).filter(|place| !is_everywhere(&place.host)).collect::<Vec<_>>()
    };
    let theirs = places(other);
    places(one).iter().any(|place| theirs.contains(place))
}

fn is_everywhere(host: &str) -> bool {
    match host.parse::<IpAddr>() {
        Ok(address) => address.is_loopback() || address.is_unspecified(),
        Err(_) => host.eq_ignore_ascii_case("localhost"),
    }
}

fn list(text: Option<&str>) -> impl Iterator<Item = &str> {
    list_by(text.unwrap_or_default(), ',')
}

fn list_by(text: &str, separator: char) -> impl Iterator<Item = &str> {
    text.split(separator).map(str::trim).filter(|part| !part.is_empty())
}

/// Java answers what is no number, and no port, as it answers malformed requests.
fn code_of(problem: &Problem) -> Code {
    match problem {
        Problem::NotANumber { .. } | Problem::PortOutOfRange { .. } => NO_NUMBER,
        _ => Code::BadArguments,
    }
}

const NO_NUMBER: Code = Code::MarshallingError;
const ANY_VERSION: i64 = -1;
/// What the node's version is once it shows a configuration.
pub(super) const CONFIG_NODE_VERSION: i32 = -1;
