//! What each part of the server is told of the configuration.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use ringkeeper_core::acl::Policy;
use ringkeeper_core::config::Config;
use ringkeeper_core::id::ServerId;
use ringkeeper_core::ops::Settings;
use ringkeeper_core::prep::{PipelineOptions, ReaperOptions};
use ringkeeper_core::shard::ShardOptions;
use ringkeeper_core::snap_trigger::TriggerOptions;
use ringkeeper_core::tree::TreeOptions;

use crate::snapshotter::SnapshotterOptions;
use crate::storage::purge::PurgeOptions;
use crate::topology::Topology;

pub(super) fn tree(config: &Config) -> TreeOptions {
    TreeOptions { extended_types: config.security.extended_types, seed: seed() }
}

pub(super) fn pipeline(config: &Config, topology: &Topology) -> PipelineOptions {
    let Config { containers, security, .. } = config;
    PipelineOptions {
        server: STANDALONE,
        shards: topology.shards,
        tick_ms: config.sessions.tick_ms,
        settings: Settings {
            policy: policy(config),
            extended_types: security.extended_types,
            enforce_quota: security.enforce_quota,
            reconfig_enabled: security.reconfig_enabled,
        },
        reaper: ReaperOptions {
            check_interval_ms: containers.check_interval_ms,
            per_minute_max: containers.max_per_minute.into(),
            never_used_ms_max: containers.max_never_used_ms,
        },
    }
}

pub(super) fn shard(config: &Config, topology: &Topology) -> ShardOptions {
    ShardOptions {
        policy: policy(config),
        session_timeout_ms_min: config.sessions.min_timeout_ms,
        session_timeout_ms_max: config.sessions.max_timeout_ms,
        jute_max_buffer: config.limits.frame_bytes,
        outstanding_max: (config.limits.outstanding / topology.shards).max(1),
        sessionless_timeout: Duration::from_millis(config.sessions.handshake_ms),
        seed: seed(),
        ..ShardOptions::default()
    }
}

pub(super) fn snapshotter(config: &Config) -> SnapshotterOptions {
    let storage = &config.storage;
    SnapshotterOptions {
        folder: storage.snap_dir(),
        compression: storage.snapshot_compression,
        trigger: TriggerOptions {
            transactions: storage.snap_count.into(),
            log_bytes: storage.snap_size_limit_bytes,
        },
        seed: seed(),
    }
}

pub(super) fn purge(config: &Config) -> PurgeOptions {
    let storage = &config.storage;
    PurgeOptions {
        snapshots: storage.snap_dir(),
        logs: storage.log_dir(),
        time: storage.purge,
        retain: storage.snap_retain_count as usize,
    }
}

fn policy(config: &Config) -> Policy {
    let security = &config.security;
    Policy {
        skip_acl: security.skip_acl,
        digest_enabled: security.digest_enabled,
        digest_algorithm: security.digest_algorithm,
        super_digest: security.super_digest.as_deref().map(Box::from),
        enforced_schemes: security.enforced_schemes.iter().map(|scheme| scheme.as_str().into()).collect(),
    }
}

/// A number that clients cannot guess.
fn seed() -> u64 {
    RandomState::new().hash_one(0)
}

/// A standalone server's sessions are those of server 1.
const STANDALONE: ServerId = ServerId(1);
