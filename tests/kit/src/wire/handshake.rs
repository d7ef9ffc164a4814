//! The handshake (client-protocol §3).

use super::jute::{Decoder, Encoder, Malformed};

/// What a client says first. The default is a new session, as a client since 3.4 asks for it, that outlives a busy moment of
/// the machine in which nothing is heard of it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are ZooKeeper's own")]
pub struct ConnectRequest {
    pub protocol_version: i32,
    pub last_zxid_seen: i64,
    /// Milliseconds; anything, also zero and less.
    pub timeout_ms: i32,
    /// 0 asks for a new session.
    pub session: i64,
    pub password: Option<Vec<u8>>,
    /// `None` is a client up to 3.3, which sends no such byte and gets none.
    pub read_only: Option<bool>,
}

impl Default for ConnectRequest {
    fn default() -> ConnectRequest {
        ConnectRequest {
            protocol_version: 0,
            last_zxid_seen: 0,
            timeout_ms: 30_000,
            session: 0,
            password: Some(vec![0; 16]),
            read_only: Some(false),
        }
    }
}

impl ConnectRequest {
    /// A request for the session that this response granted.
    pub fn again(granted: &ConnectResponse) -> ConnectRequest {
        ConnectRequest {
            timeout_ms: granted.timeout_ms,
            session: granted.session,
            password: granted.password.clone(),
            ..ConnectRequest::default()
        }
    }

    /// The payload of its frame.
    pub fn encode(&self) -> Vec<u8> {
        let mut to = Encoder::new();
        to.int(self.protocol_version).long(self.last_zxid_seen).int(self.timeout_ms);
        to.long(self.session).buffer(self.password.as_deref());
        if let Some(read_only) = self.read_only {
            to.bool(read_only);
        }
        to.finish()
    }
}

/// What the server answers. A refused session has `timeout_ms` 0.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are ZooKeeper's own")]
pub struct ConnectResponse {
    pub protocol_version: i32,
    pub timeout_ms: i32,
    pub session: i64,
    pub password: Option<Vec<u8>>,
    /// `None` if the server sent no such byte.
    pub read_only: Option<bool>,
}

impl ConnectResponse {
    /// Reads a frame's payload.
    pub fn decode(payload: &[u8]) -> Result<ConnectResponse, Malformed> {
        let mut from = Decoder::new(payload);
        let response = ConnectResponse {
            protocol_version: from.int()?,
            timeout_ms: from.int()?,
            session: from.long()?,
            password: from.buffer()?,
            read_only: if from.rest().is_empty() { None } else { Some(from.bool()?) },
        };
        from.end()?;
        Ok(response)
    }

    /// Whether the server granted the session.
    pub fn granted(&self) -> bool {
        self.timeout_ms > 0
    }
}
