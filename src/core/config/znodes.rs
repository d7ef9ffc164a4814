use super::error::ConfigError;
use super::key_table::connections::{
    CONTAINER_CHECK_INTERVAL, CONTAINER_MAX_NEVER_USED, CONTAINER_MAX_PER_MINUTE,
};
use super::key_table::security::ENFORCE_QUOTA;
use super::key_table::storage::{EMULATE_353_TTL, EXTENDED_TYPES};
use super::settings::Settings;

/// Rules about znodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Znodes {
    /// `enforceQuota`: whether a write that exceeds a hard quota is refused.
    pub enforce_quota: bool,
    /// `extendedTypesEnabled`: whether there are TTL znodes.
    pub extended_types_enabled: bool,
    /// `emulate353TTLNodes`: whether TTL znodes are first read as ZooKeeper 3.5.3 wrote them.
    pub emulate_353_ttl_nodes: bool,
}

impl Znodes {
    pub(super) fn prove(settings: &Settings<'_>) -> Result<Znodes, ConfigError> {
        Ok(Znodes {
            enforce_quota: settings.get(&ENFORCE_QUOTA)?,
            extended_types_enabled: settings.get(&EXTENDED_TYPES)?,
            emulate_353_ttl_nodes: settings.get(&EMULATE_353_TTL)?,
        })
    }
}

/// When empty containers and outlived TTL znodes are deleted (server-semantics §5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Containers {
    /// `znode.container.checkIntervalMs`, at least 1: the time between two searches.
    pub check_interval_ms: i32,
    /// `znode.container.maxPerMinute`, at least 1: how many are deleted in a minute.
    pub per_minute_max: i32,
    /// `znode.container.maxNeverUsedIntervalMs`: when a container goes that never had a child; 0: never.
    pub never_used_interval_max_ms: i64,
}

impl Containers {
    pub(super) fn prove(settings: &Settings<'_>) -> Result<Containers, ConfigError> {
        Ok(Containers {
            check_interval_ms: settings.get(&CONTAINER_CHECK_INTERVAL)?,
            per_minute_max: settings.get(&CONTAINER_MAX_PER_MINUTE)?,
            never_used_interval_max_ms: settings.get(&CONTAINER_MAX_NEVER_USED)?,
        })
    }
}
