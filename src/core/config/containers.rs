use super::error::ConfigError;
use super::key_table::connections::{
    CONTAINER_CHECK_INTERVAL, CONTAINER_MAX_NEVER_USED, CONTAINER_MAX_PER_MINUTE,
};
use super::settings::Settings;

/// When empty containers and outlived TTL nodes go (server-semantics §5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Containers {
    /// `znode.container.checkIntervalMs`, at least 1: the time between two searches.
    pub check_interval_ms: u64,
    /// `znode.container.maxPerMinute`, at least 1: how many go in a minute.
    pub max_per_minute: u32,
    /// `znode.container.maxNeverUsedIntervalMs`: when a container goes that never had a child; 0 is never.
    pub max_never_used_ms: u64,
}

impl Containers {
    pub(super) fn prove(settings: &Settings<'_>) -> Result<Containers, ConfigError> {
        Ok(Containers {
            check_interval_ms: settings.get(&CONTAINER_CHECK_INTERVAL)? as u64,
            max_per_minute: settings.get(&CONTAINER_MAX_PER_MINUTE)? as u32,
            max_never_used_ms: settings.get(&CONTAINER_MAX_NEVER_USED)? as u64,
        })
    }
}
