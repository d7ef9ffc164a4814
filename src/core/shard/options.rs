use std::time::Duration;

use crate::acl::Policy;
use crate::config::{ConnectionThrottle, LargeRequests, RequestThrottle, Stale};

/// What a [`super::Shard`] must know of the server's configuration, and its bounds.
#[derive(Clone, Debug)]
pub struct ShardOptions {
    /// ACLs and authentication.
    pub policy: Policy,
    /// `minSessionTimeout`.
    pub session_timeout_ms_min: i32,
    /// `maxSessionTimeout`.
    pub session_timeout_ms_max: i32,
    /// `jute.maxbuffer`: the longest frame that a client may send.
    pub jute_max_buffer: usize,
    /// This shard's share of `globalOutstandingLimit`: with more requests in process, a connection that
    /// has one of them is not read from until it gets a reply.
    pub outstanding_max: usize,
    /// `nio.sessionlessCnxnTimeout`: connections without a handshake go after this, rounded up to its
    /// next multiple.
    pub sessionless_timeout: Duration,
    /// With so many bytes of output waiting for the socket, a connection is not read from.
    pub output_pause_len: usize,
    /// With more than so many bytes of output waiting for the socket, a connection is closed when there
    /// is more for it.
    pub output_len_max: usize,
    /// With so many bytes of requests in process, a connection is not read from.
    pub pending_len_max: usize,
    /// `largeRequestThreshold`, and this shard's share of `largeRequestMaxBytes`: a connection whose large request
    /// exceeds that, with those in process, is closed.
    pub large_requests: Option<LargeRequests>,
    /// This shard's share of what clients may connect (`connection_throttle_tokens`).
    pub connection_throttle: Option<ConnectionThrottle>,
    /// This shard's share of how many requests may be in process (`request_throttle_max_requests`); others wait in line.
    pub request_throttle: Option<RequestThrottle>,
    /// `request_stale_*`: which requests count as stale.
    pub stale: Stale,
    /// With more than about so many bytes of watches, a connection is closed.
    pub watches_len_max: usize,
    /// Seeds hashes of what clients choose; they must not know it.
    pub seed: u64,
}

impl Default for ShardOptions {
    /// ZooKeeper's own defaults, for one shard and a tickTime of 2 s.
    fn default() -> Self {
        ShardOptions {
            policy: Policy::default(),
            session_timeout_ms_min: 4_000,
            session_timeout_ms_max: 40_000,
            jute_max_buffer: 0xfffff,
            outstanding_max: 1_000,
            sessionless_timeout: Duration::from_secs(10),
            output_pause_len: 1 << 20,
            output_len_max: 64 << 20,
            pending_len_max: 4 << 20,
            large_requests: None,
            connection_throttle: None,
            request_throttle: None,
            stale: Stale::default(),
            watches_len_max: 256 << 20,
            seed: 0,
        }
    }
}
