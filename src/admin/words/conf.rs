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
        ("serverId", "0".into()),
    ];
    values.map(|(key, value)| format!("{key}={value}\n")).concat()
}
