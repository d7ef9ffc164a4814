use std::net::IpAddr;

use thiserror::Error;

use crate::config::HostPort;
use crate::id::ServerId;

/// What the side that dialled says first (election §2.1).
///
/// | form | bytes |
/// |---|---|
/// | old, of 3.4 | the sender's id, 8 bytes, not negative |
/// | V1, since 3.5 | -65536 (8 bytes), id (8), length (4), `host:port` |
/// | V2, since 3.6 with several addresses | -65535 (8 bytes), id (8), length (4), `host:port` joined by pipes |
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InitialMessage {
    /// Who dials.
    pub server: ServerId,
    /// Where the sender listens for elections, to be called back there. Empty if it did not say, or
    /// nothing that can be dialled.
    pub addresses: Vec<HostPort>,
}

/// Why what was said first is no initial message; the connection is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum InitialMessageError {
    /// It is TLS.
    #[error(
        "it speaks TLS, and this server does not: set sslQuorum or portUnification here, or take sslQuorum away there"
    )]
    Tls,
    /// Neither an id nor a version that is known.
    #[error("it begins with {number}, which is neither a server's id nor a known version of the protocol")]
    UnknownVersion {
        /// The first number.
        number: i64,
    },
    /// The addresses' length cannot be.
    #[error("it announces {len} bytes of addresses, they must be from 1 to {ADDRESSES_LEN_MAX}")]
    BadLen {
        /// The length.
        len: i32,
    },
    /// The id of observers without one, which nobody can call back.
    #[error("it has the id of an anonymous observer; give each observer an id of its own")]
    Anonymous,
}

impl InitialMessage {
    /// Appends the message, to be sent in one write: Java reads the addresses with a single call.
    ///
    /// Addresses that only mean "here", such as 0.0.0.0, are left out; if none is left the old form is
    /// sent, which every version answers by dialling the address in its own configuration.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let addresses: Vec<_> = self.addresses.iter().filter(|address| !is_wildcard(&address.host)).collect();
        // A negative id has no old form. The wildcard is then said, and left out by who reads it.
        let addresses = match addresses.len() {
            0 if self.server.0 >= 0 => {
                out.extend(self.server.0.to_be_bytes());
                return;
            }
            0 => self.addresses.iter().collect(),
            _ => addresses,
        };
        let version = if addresses.len() > 1 { V2 } else { V1 };
        let text = addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join("|");
        out.extend(version.to_be_bytes());
        out.extend(self.server.0.to_be_bytes());
        out.extend((text.len() as i32).to_be_bytes());
        out.extend(text.as_bytes());
    }

    /// Reads the message from the start of `bytes` and says how long it is; `None` if it is not there as
    /// a whole. Addresses that cannot be dialled are left out.
    pub fn decode(bytes: &[u8]) -> Result<Option<(InitialMessage, usize)>, InitialMessageError> {
        let Some(first) = long_at(bytes, 0) else { return Ok(None) };
        if bytes.starts_with(&HANDSHAKE_OF_TLS) {
            return Err(InitialMessageError::Tls);
        }
        if first >= 0 {
            let message = InitialMessage { server: real(first)?, addresses: Vec::new() };
            return Ok(Some((message, OLD_LEN)));
        }
        if first != V1 && first != V2 {
            return Err(InitialMessageError::UnknownVersion { number: first });
        }
        let (Some(id), Some(len)) = (long_at(bytes, 8), bytes.get(16..HEAD_LEN)) else { return Ok(None) };
        let server = real(id)?;
        let len = i32::from_be_bytes([len[0], len[1], len[2], len[3]]);
        let text_len = match usize::try_from(len) {
            Ok(text_len) if (1..=ADDRESSES_LEN_MAX).contains(&text_len) => text_len,
            _ => return Err(InitialMessageError::BadLen { len }),
        };
        let Some(text) = bytes.get(HEAD_LEN..HEAD_LEN + text_len) else { return Ok(None) };
        let text = String::from_utf8_lossy(text);
        let addresses = text.split('|').filter_map(address).filter(|address| !is_wildcard(&address.host));
        let message = InitialMessage { server, addresses: addresses.take(ADDRESSES_MAX).collect() };
        Ok(Some((message, HEAD_LEN + text_len)))
    }
}

/// Whether a host stands for all addresses of a machine.
pub(super) fn is_wildcard(host: &str) -> bool {
    host.parse::<IpAddr>().is_ok_and(|address| address.is_unspecified())
}

fn real(id: i64) -> Result<ServerId, InitialMessageError> {
    match id {
        i64::MAX => Err(InitialMessageError::Anonymous),
        id => Ok(ServerId(id)),
    }
}

/// `host:port`; an IPv6 address stands in brackets, which early versions left out.
fn address(text: &str) -> Option<HostPort> {
    let (host, port) = text.rsplit_once(':')?;
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    let port = port.parse().ok().filter(|port| *port != 0)?;
    (!host.is_empty()).then(|| HostPort { host: host.to_owned(), port })
}

fn long_at(bytes: &[u8], offset: usize) -> Option<i64> {
    bytes.get(offset..)?.first_chunk().map(|chunk| i64::from_be_bytes(*chunk))
}

/// How the first record of TLS begins. As an id it would be one that nobody has.
const HANDSHAKE_OF_TLS: [u8; 2] = [0x16, 3];
const V1: i64 = -65536;
const V2: i64 = -65535;
const OLD_LEN: usize = 8;
const HEAD_LEN: usize = 20;
/// The longest text of addresses that Java takes.
const ADDRESSES_LEN_MAX: usize = 2048;
/// More addresses than any server has; those after are not dialled.
const ADDRESSES_MAX: usize = 16;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn message(server: i64, addresses: &[(&str, u16)]) -> InitialMessage {
        let address = |(host, port): &(&str, u16)| HostPort { host: (*host).to_owned(), port: *port };
        InitialMessage { server: ServerId(server), addresses: addresses.iter().map(address).collect() }
    }

    fn encoded(message: &InitialMessage) -> Vec<u8> {
        let mut bytes = Vec::new();
        message.encode(&mut bytes);
        bytes
    }

    #[test]
    fn the_form_of_3_5_is_as_java_writes_it() {
        let mut expected =
            vec![0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 15];
        expected.extend(b"127.0.0.1:31132");
        let sent = message(2, &[("127.0.0.1", 31132)]);
        assert_eq!(encoded(&sent), expected);
        assert_eq!(InitialMessage::decode(&expected), Ok(Some((sent, 35))));
    }

    #[test]
    fn each_form_is_read_as_it_was_written_however_it_arrives() {
        for sent in [
            message(0, &[]),
            message(7, &[]),
            message(0, &[("zk0", 3888)]),
            message(-3, &[("zk0", 3888)]),
            message(1, &[("2001:db8::1", 3888)]),
            message(1, &[("zk1", 3888), ("2001:db8::1", 3889)]),
        ] {
            let mut bytes = encoded(&sent);
            for len in 0..bytes.len() {
                assert_eq!(InitialMessage::decode(&bytes[..len]), Ok(None), "{sent:?} up to {len}");
            }
            let len = bytes.len();
            bytes.extend([0, 0, 0, 44]);
            assert_eq!(InitialMessage::decode(&bytes), Ok(Some((sent, len))));
        }
    }

    #[test]
    fn several_addresses_are_joined_by_pipes_under_a_version_of_their_own() {
        let bytes = encoded(&message(1, &[("a", 1), ("::1", 2)]));
        assert_eq!(bytes[..8], (-65535i64).to_be_bytes());
        assert_eq!(&bytes[20..], b"a:1|[::1]:2");
    }

    #[test]
    fn a_wildcard_is_never_advertised_and_never_believed() {
        assert_eq!(encoded(&message(1, &[("0.0.0.0", 3888)])), 1i64.to_be_bytes());
        assert_eq!(encoded(&message(1, &[("::", 3888), ("a", 3888)]))[20..], *b"a:3888");
        let negative = encoded(&message(-1, &[("0.0.0.0", 3888)]));
        assert_eq!(negative[20..], *b"0.0.0.0:3888");
        assert_eq!(InitialMessage::decode(&negative).unwrap().unwrap().0, message(-1, &[]));
    }

    fn with_text(text: &[u8]) -> Vec<u8> {
        let mut bytes = [V1.to_be_bytes(), 1i64.to_be_bytes()].concat();
        bytes.extend((text.len() as i32).to_be_bytes());
        bytes.extend(text);
        bytes
    }

    #[test]
    fn addresses_that_cannot_be_dialled_are_left_out() {
        for text in ["nonsense", "host:", "host:0", ":3888", "host:99999", "[::]:3888", "\u{0}"] {
            let read = InitialMessage::decode(&with_text(text.as_bytes())).expect(text).expect("whole");
            assert_eq!(read.0, message(1, &[]), "{text}");
        }
        let read = InitialMessage::decode(&with_text(b"2001:db8::1:3888")).unwrap().unwrap().0;
        assert_eq!(read, message(1, &[("2001:db8::1", 3888)]));
    }

    #[test]
    fn what_java_refuses_is_refused() {
        let refused = |bytes: &[u8]| InitialMessage::decode(bytes).expect_err("refused");
        let unknown = InitialMessageError::UnknownVersion { number: -65537 };
        assert_eq!(refused(&(-65537i64).to_be_bytes()), unknown);
        assert_eq!(refused(&i64::MAX.to_be_bytes()), InitialMessageError::Anonymous);
        assert_eq!(refused(&[0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3]), InitialMessageError::Tls);
        assert_eq!(refused(&with_text(b"")), InitialMessageError::BadLen { len: 0 });
        assert_eq!(refused(&with_text(&[b'a'; 2049])), InitialMessageError::BadLen { len: 2049 });
        let mut negative = with_text(b"a");
        negative[16..20].copy_from_slice(&(-1i32).to_be_bytes());
        assert_eq!(refused(&negative), InitialMessageError::BadLen { len: -1 });
    }

    proptest! {
        #[test]
        fn no_bytes_are_too_strange(bytes in prop::collection::vec(any::<u8>(), 0..80), first in any::<bool>()) {
            let head = if first { V1 } else { V2 }.to_be_bytes();
            for bytes in [bytes.clone(), [&head[..], &bytes].concat()] {
                if let Ok(Some((message, len))) = InitialMessage::decode(&bytes) {
                    prop_assert!(len <= bytes.len() && message.addresses.len() <= ADDRESSES_MAX);
                }
            }
        }
    }
}
