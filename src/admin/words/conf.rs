use std::time::Duration;

use ringkeeper_core::config::{Ensemble, Membership, Part, PeerAddress};

use super::facts::Facts;

/// `conf`: what the server was configured with.
pub(super) fn answer(facts: &Facts<'_>) -> String {
    let config = facts.config();
    let values = [
        ("clientPort", facts.client_port().to_string()),
        ("secureClientPort", "-1".into()),
        ("dataDir", config.storage.snap_dir().display().to_string()),
        ("dataDirSize", facts.data_dir_size().to_string()),
        ("dataLogDir", config.storage.log_dir().display().to_string()),
        ("dataLogSize", facts.log_dir_size().to_string()),
        ("tickTime", config.sessions.tick_ms.to_string()),
        ("maxClientCnxns", config.limits.connections_per_client.to_string()),
        ("minSessionTimeout", config.sessions.min_timeout_ms.to_string()),
        ("maxSessionTimeout", config.sessions.max_timeout_ms.to_string()),
        ("clientPortListenBacklog", config.client_port.backlog.to_string()),
        ("serverId", config.ensemble.as_ref().map_or("0".into(), |ensemble| ensemble.my_id.to_string())),
    ];
    let text = values.map(|(key, value)| format!("{key}={value}\n")).concat();
    match config.ensemble.as_ref().zip(facts.membership()) {
        Some((ensemble, membership)) => text + &member(ensemble, membership, facts.is_read_only()),
        None => text,
    }
}

/// What a member of an ensemble has besides; without a leader, the servers are not listed.
fn member(ensemble: &Ensemble, membership: &Membership, is_read_only: bool) -> String {
    let ports = |port: fn(&PeerAddress) -> u16| {
        let own = membership.line(ensemble.my_id).into_iter().flat_map(|line| &line.addresses);
        own.map(|address| port(address).to_string()).collect::<Vec<_>>().join("|")
    };
    let is_observer = membership.part(ensemble.my_id) == Part::Observer;
    let ticks = |limit: Duration| limit.as_millis() / ensemble.tick.as_millis().max(1);
    let values = [
        ("initLimit", ticks(ensemble.init_limit).to_string()),
        ("syncLimit", ticks(ensemble.sync_limit).to_string()),
        ("electionAlg", "3".into()),
        ("electionPort", ports(|address| address.election_port)),
        ("quorumPort", ports(|address| address.quorum_port)),
        ("peerType", u8::from(is_observer).to_string()),
    ];
    let text = values.map(|(key, value)| format!("{key}={value}\n")).concat();
    if is_read_only { text } else { format!("{text}membership: \n{}", membership.text()) }
}
