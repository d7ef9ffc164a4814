use super::error::ConfigError;
use super::key_table::connections::{
    GLOBAL_OUTSTANDING_LIMIT, JUTE_EXTRA_SIZE, JUTE_MAX_BUFFER, LARGE_REQUEST_MAX_BYTES,
    LARGE_REQUEST_THRESHOLD, MAX_CNXNS, SESSIONLESS_TIMEOUT, TCP_KEEP_ALIVE,
};
use super::key_table::parser::MAX_CLIENT_CNXNS;
use super::settings::Settings;

/// How much clients may take (config §6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// `maxClientCnxns`: connections of one client address; zero or below means no limit.
    pub max_client_cnxns: i32,
    /// `maxCnxns`: connections of all clients; zero or below means no limit.
    pub max_cnxns: i32,
    /// `jute.maxbuffer`: bytes of the largest frame that is accepted, at least 1.
    pub jute_max_buffer: i32,
    /// `jute.maxbuffer.extrasize`: bytes by which a record read from a file or a peer may exceed that.
    pub jute_extra_size: i32,
    /// `globalOutstandingLimit`: with more requests in process, connections that have one are not read.
    pub global_outstanding_limit: i32,
    /// `nio.sessionlessCnxnTimeout`: how long a connection may stay without a session.
    pub sessionless_cnxn_timeout_ms: i32,
    /// `clientTcpKeepAlive`: whether clients' connections have SO_KEEPALIVE.
    pub client_tcp_keep_alive: bool,
    /// `largeRequestThreshold` and `largeRequestMaxBytes`; `None` if no request counts as large.
    pub large_requests: Option<LargeRequests>,
}

/// A bound on what large requests may take together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LargeRequests {
    /// A request of more bytes than this is large.
    pub threshold: i32,
    /// Bytes of all large requests in process; the connection that exceeds it is closed.
    pub bytes_max: i32,
}

impl Limits {
    pub(super) fn prove(settings: &Settings<'_>) -> Result<Limits, ConfigError> {
        let jute_max_buffer = settings.get(&JUTE_MAX_BUFFER)?;
        let jute_extra_size = settings.get(&JUTE_EXTRA_SIZE)?;
        let threshold = settings.get(&LARGE_REQUEST_THRESHOLD)?;
        let bytes_max = settings.get(&LARGE_REQUEST_MAX_BYTES)?;
        Ok(Limits {
            max_client_cnxns: settings.get(&MAX_CLIENT_CNXNS)?,
            max_cnxns: settings.get(&MAX_CNXNS)?,
            jute_max_buffer,
            jute_extra_size: jute_extra_size.unwrap_or(jute_max_buffer.max(JUTE_EXTRA_SIZE_MIN)),
            global_outstanding_limit: settings.get(&GLOBAL_OUTSTANDING_LIMIT)?,
            sessionless_cnxn_timeout_ms: settings.get(&SESSIONLESS_TIMEOUT)?,
            client_tcp_keep_alive: settings.get(&TCP_KEEP_ALIVE)?,
            large_requests: (threshold > 0).then_some(LargeRequests { threshold, bytes_max }),
        })
    }

    /// Connections that one client address may have; `None` if any number.
    pub fn cnxns_per_client_max(&self) -> Option<usize> {
        usize::try_from(self.max_client_cnxns).ok().filter(|max| *max > 0)
    }

    /// Connections that all clients together may have; `None` if any number.
    pub fn cnxns_max(&self) -> Option<usize> {
        usize::try_from(self.max_cnxns).ok().filter(|max| *max > 0)
    }
}

const JUTE_EXTRA_SIZE_MIN: i32 = 1024;
