//! What each part of the server is told of the configuration.

use std::collections::BTreeMap;
use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use ringkeeper_core::acl::Policy;
use ringkeeper_core::config::{Config, ConnectionThrottle, Ensemble, LargeRequests, Part};
use ringkeeper_core::id::ServerId;
use ringkeeper_core::member::{MemberOptions, ROLLOVER_AT};
use ringkeeper_core::ops::Settings;
use ringkeeper_core::prep::{PipelineOptions, ReaperOptions};
use ringkeeper_core::session::NewSessions;
use ringkeeper_core::shard::ShardOptions;
use ringkeeper_core::snap_trigger::TriggerOptions;
use ringkeeper_core::tree::TreeOptions;
use ringkeeper_core::zab::{Timing, ZabOptions};

use crate::member::MemberRoleOptions;
use crate::snapshotter::SnapshotterOptions;
use crate::storage::purge::PurgeOptions;
use crate::storage::wal;
use crate::topology::Topology;

pub(super) fn tree(config: &Config) -> TreeOptions {
    TreeOptions {
        extended_types: config.security.extended_types,
        digest: config.storage.digest,
        seed: seed(),
    }
}

pub(super) fn pipeline(config: &Config, topology: &Topology) -> PipelineOptions {
    let Config { containers, security, .. } = config;
    PipelineOptions {
        server: config.ensemble.as_ref().map_or(STANDALONE, |ensemble| ensemble.my_id),
        shards: topology.shards,
        tick_ms: config.sessions.tick_ms,
        new_sessions: config.ensemble.as_ref().map_or(NewSessions::Global, |ensemble| ensemble.new_sessions),
        settings: Settings {
            policy: policy(config),
            extended_types: security.extended_types,
            enforce_quota: security.enforce_quota,
            reconfig_enabled: security.reconfig_enabled,
            has_old_peers: false,
        },
        reaper: ReaperOptions {
            check_interval_ms: containers.check_interval_ms,
            per_minute_max: containers.max_per_minute.into(),
            never_used_ms_max: containers.max_never_used_ms,
        },
    }
}

/// What a member of an ensemble must know to lead and to follow.
pub(super) fn member(config: &Config, ensemble: &Ensemble, topology: &Topology) -> MemberOptions {
    let ticks = |limit: Duration| (limit.as_millis() / ensemble.tick.as_millis().max(1)) as u32;
    let timing = Timing {
        tick_ms: config.sessions.tick_ms,
        init_limit: ticks(ensemble.init_limit),
        sync_limit: ticks(ensemble.sync_limit),
    };
    let zab = ZabOptions {
        id: ensemble.my_id,
        configurations: ensemble.configurations.clone(),
        reconfig: ensemble.reconfig,
        timing,
        force_snapshot_sync: ensemble.force_snapshot_sync,
        confirm_syncs: true,
        sync_limits: ensemble.sync_limits,
        has_oracle: ensemble.oracle.is_some(),
    };
    MemberOptions {
        zab,
        pipeline: pipeline(config, topology),
        rollover_at: ROLLOVER_AT,
        read_only_after: ensemble.read_only_after,
        has_observers: ensemble.observer_master_port.is_some(),
    }
}

/// What its driver must know of the others.
pub(super) fn member_role(config: &Config, ensemble: &Ensemble) -> MemberRoleOptions {
    let is_observer = ensemble.configurations.committed().part(ensemble.my_id) == Part::Observer;
    MemberRoleOptions {
        id: ensemble.my_id,
        leader_serves: ensemble.leader_serves,
        observer_masters: match is_observer {
            true => ensemble.observer_master_addresses(),
            false => BTreeMap::new(),
        },
        connect_patience: ensemble.init_limit,
        tree: tree(config),
        value_len_max: config.limits.frame_bytes.max(PEER_VALUE_LEN_MIN),
    }
}

pub(super) fn shard(config: &Config, topology: &Topology) -> ShardOptions {
    ShardOptions {
        policy: policy(config),
        session_timeout_ms_min: config.sessions.min_timeout_ms,
        session_timeout_ms_max: config.sessions.max_timeout_ms,
        jute_max_buffer: config.limits.frame_bytes,
        outstanding_max: (config.limits.outstanding / topology.shards).max(1),
        large_requests: config
            .limits
            .large_requests
            .map(|large| LargeRequests { bytes_max: (large.bytes_max / topology.shards).max(1), ..large }),
        connection_throttle: connection_throttle(config).map(|whole| whole.part_of(topology.shards)),
        request_throttle: config.limits.request_throttle.map(|whole| whole.part_of(topology.shards)),
        stale: config.limits.stale,
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
        has_last_zxid: storage.serialize_last_zxid,
        trigger: TriggerOptions {
            transactions: storage.snap_count.into(),
            log_bytes: storage.snap_size_limit_bytes,
        },
        seed: seed(),
        is_settled: config.ensemble.is_none(),
    }
}

pub(super) fn wal(config: &Config) -> wal::Options {
    let storage = &config.storage;
    wal::Options {
        segment_len: storage.segment_bytes,
        force_sync: storage.force_sync,
        slow_sync: Duration::from_millis(storage.sync_warning_ms),
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

fn connection_throttle(config: &Config) -> Option<ConnectionThrottle> {
    let throttle = config.limits.connection_throttle?;
    match config.ensemble.as_ref().map(|ensemble| ensemble.new_sessions) {
        Some(NewSessions::Local { .. }) => Some(throttle.of_local_sessions()),
        _ => Some(throttle),
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

/// A transaction is longer than its request, and the end of a session lists all its nodes.
const PEER_VALUE_LEN_MIN: usize = 256 << 20;
