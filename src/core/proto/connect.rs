use crate::id::{SessionId, Zxid};
use crate::jute::{DecodeError, Reader, Writer};

/// The length of a session's password.
pub const PASSWORD_LEN: usize = 16;

/// A session's password (client-protocol §3).
pub type Password = [u8; PASSWORD_LEN];

/// The first frame of a client connection (client-protocol §3). It has no header.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the fields are ZooKeeper's own")]
pub struct ConnectRequest<'a> {
    pub protocol_version: i32,
    pub last_zxid_seen: Zxid,
    pub timeout_ms: i32,
    pub session: SessionId,
    pub password: Option<&'a [u8]>,
    /// Whether the client accepts a read-only server; `None` from clients of 3.3 and older, which
    /// don't send the field and don't expect it in the response.
    pub read_only: Option<bool>,
}

impl<'a> ConnectRequest<'a> {
    /// Reads the frame; bytes after the last field are ignored.
    pub fn decode(frame: &'a [u8]) -> Result<ConnectRequest<'a>, DecodeError> {
        let mut reader = Reader::new(frame);
        Ok(ConnectRequest {
            protocol_version: reader.int()?,
            last_zxid_seen: Zxid(reader.long()?),
            timeout_ms: reader.int()?,
            session: SessionId(reader.long()?),
            password: reader.buffer()?,
            read_only: if reader.rest().is_empty() { None } else { Some(reader.bool()?) },
        })
    }
}

/// The answer to a [`ConnectRequest`]. A refused session has `timeout_ms`, `session` and password zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the fields are ZooKeeper's own")]
pub struct ConnectResponse {
    pub timeout_ms: i32,
    pub session: SessionId,
    pub password: Password,
    /// As in the request: `None` leaves the field out.
    pub read_only: Option<bool>,
}

impl ConnectResponse {
    /// What a client is told whose session is unknown, expired or not his.
    pub fn refused(read_only: Option<bool>) -> ConnectResponse {
        ConnectResponse { timeout_ms: 0, session: SessionId::NONE, password: [0; PASSWORD_LEN], read_only }
    }

    /// Appends the response, without the frame's length.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let mut writer = Writer::new(out);
        writer.int(0);
        writer.int(self.timeout_ms);
        writer.long(self.session.0);
        writer.buffer(Some(&self.password));
        if let Some(read_only) = self.read_only {
            writer.bool(read_only);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_of_3_3_gets_36_bytes_and_a_newer_one_37() {
        let len = |read_only| {
            let mut out = Vec::new();
            ConnectResponse::refused(read_only).encode(&mut out);
            out.len()
        };
        assert_eq!((len(None), len(Some(false))), (36, 37));
    }

    #[test]
    fn the_read_only_field_may_be_absent_and_what_follows_it_is_ignored() {
        let mut frame = vec![0; 24];
        frame.extend((-1i32).to_be_bytes());
        assert_eq!(ConnectRequest::decode(&frame).map(|request| request.read_only), Ok(None));
        frame.extend([1, 9, 9]);
        assert_eq!(ConnectRequest::decode(&frame).map(|request| request.read_only), Ok(Some(true)));
    }
}
