use super::error::ConfigError;
use super::key_table::connections::{
    GLOBAL_OUTSTANDING_LIMIT, JUTE_EXTRA_SIZE, JUTE_MAX_BUFFER, LARGE_REQUEST_MAX_BYTES,
    LARGE_REQUEST_THRESHOLD, MAX_CNXNS,
};
use super::key_table::parser::MAX_CLIENT_CNXNS;
use super::settings::Settings;
use super::throttle::{ConnectionThrottle, RequestThrottle, Stale};

/// How much clients may take (config §6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// `maxClientCnxns`: connections from one address; 0 is no limit.
    pub connections_per_client: usize,
    /// `maxCnxns`: connections in all; 0 is no limit.
    pub connections: usize,
    /// `jute.maxbuffer`: bytes of the longest frame, at least 8.
    pub frame_bytes: usize,
    /// `jute.maxbuffer.extrasize`: bytes by which a record read from a file or a peer may exceed that.
    pub record_extra_bytes: usize,
    /// `globalOutstandingLimit`: with more requests in process, connections that have one are not read; at least
    /// 1.
    pub outstanding: usize,
    /// `largeRequestThreshold` and `largeRequestMaxBytes`; `None` if no request counts as large.
    pub large_requests: Option<LargeRequests>,
    /// `connection_throttle_tokens` and what goes with it; `None` if clients connect as they like.
    pub connection_throttle: Option<ConnectionThrottle>,
    /// `request_throttle_max_requests` and what goes with it; `None` if any number may be in process.
    pub request_throttle: Option<RequestThrottle>,
    /// `request_stale_*`: which requests are dropped there, and counted as stale.
    pub stale: Stale,
}

/// A bound on what large requests may take together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LargeRequests {
    /// A request of more bytes than this is large; at least 1.
    pub threshold: usize,
    /// Bytes of all large requests in process; the connection that exceeds it is closed.
    pub bytes_max: usize,
}

impl Limits {
    pub(super) fn prove(settings: &Settings<'_>) -> Result<Limits, ConfigError> {
        let frame_bytes = settings.get(&JUTE_MAX_BUFFER)?;
        let record_extra_bytes = settings.get(&JUTE_EXTRA_SIZE)?;
        let threshold = settings.get(&LARGE_REQUEST_THRESHOLD)?;
        let bytes_max = settings.get(&LARGE_REQUEST_MAX_BYTES)?;
        Ok(Limits {
            connections_per_client: or_zero(settings.get(&MAX_CLIENT_CNXNS)?),
            connections: or_zero(settings.get(&MAX_CNXNS)?),
            frame_bytes: or_zero(frame_bytes),
            record_extra_bytes: or_zero(record_extra_bytes.unwrap_or(frame_bytes.max(EXTRA_BYTES_MIN))),
            outstanding: or_zero(settings.get(&GLOBAL_OUTSTANDING_LIMIT)?),
            connection_throttle: ConnectionThrottle::prove(settings)?,
            request_throttle: RequestThrottle::prove(settings)?,
            stale: Stale::prove(settings)?,
            large_requests: (threshold > 0)
                .then_some(LargeRequests { threshold: or_zero(threshold), bytes_max: or_zero(bytes_max) }),
        })
    }
}

/// In Java's limits a number below zero says the same as zero.
fn or_zero(value: i32) -> usize {
    usize::try_from(value).unwrap_or(0)
}

const EXTRA_BYTES_MIN: i32 = 1024;
