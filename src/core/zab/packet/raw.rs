use std::sync::Arc;

use thiserror::Error;

use crate::id::Zxid;
use crate::jute::{DecodeError, Reader, Writer};
use crate::proto::Identity;

/// A packet of the quorum port as it is on the wire (zab §1): nothing frames it but itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuorumPacket<'a> {
    /// What kind of packet it is, [`super::kind`].
    pub kind: i32,
    /// What the kind says.
    pub zxid: Zxid,
    /// What the kind says; null and empty differ.
    pub data: Option<&'a [u8]>,
    /// Who a forwarded request's client is.
    pub identities: Option<Identities<'a>>,
}

/// Who a client is, found to be well-formed and looked into no further: many requests carry the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identities<'a> {
    count: i32,
    /// What follows the count.
    entries: &'a [u8],
}

/// The identities that were decoded last, for the next request whose are the same.
#[derive(Default)]
pub(super) struct LastIdentities<'a>(Option<(Identities<'a>, Arc<[Identity]>)>);

/// What the first bytes of a stream are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Split<'a> {
    /// No whole packet: the stream must have at least so many bytes before another look is of use.
    Partial(usize),
    /// A packet, and how many bytes it takes.
    Whole(QuorumPacket<'a>, usize),
}

/// Why a peer's bytes are no packet, or not one that this peer may send. The connection is of no use after it.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum PacketError {
    /// The packet or its data is not what its kind says.
    #[error("the peer sent a malformed packet of kind {kind}: {error}")]
    Malformed {
        /// The packet's kind; zero if it could not be read so far.
        kind: i32,
        /// What is wrong.
        error: DecodeError,
    },
    /// The first bytes are those of TLS.
    #[error(
        "the peer speaks TLS, and this server does not: set sslQuorum or portUnification here, or take sslQuorum away \
         there"
    )]
    Tls,
    /// A packet's data has a length that its kind does not know.
    #[error("the peer sent a packet of kind {kind} with {len} bytes of data")]
    DataLength {
        /// The packet's kind.
        kind: i32,
        /// How many bytes there are.
        len: usize,
    },
    /// A proposal's number is not that of its transaction.
    #[error("the peer sent transaction {inner} as {outer}")]
    OtherZxid {
        /// The packet's.
        outer: Zxid,
        /// The transaction's.
        inner: Zxid,
    },
}

impl<'a> QuorumPacket<'a> {
    /// A packet without identities.
    pub(super) fn new(kind: i32, zxid: Zxid, data: Option<&'a [u8]>) -> QuorumPacket<'a> {
        QuorumPacket { kind, zxid, data, identities: None }
    }

    /// Appends the packet.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let mut writer = Writer::new(out);
        writer.int(self.kind);
        writer.long(self.zxid.0);
        writer.buffer(self.data);
        match self.identities {
            None => writer.int(-1),
            Some(Identities { count, entries }) => {
                writer.int(count);
                writer.raw(entries);
            }
        }
    }

    /// Takes the first packet off a stream. No value in it may be longer than `value_len_max`.
    ///
    /// # Errors
    ///
    /// If the bytes can't be the start of a packet, or claim a length beyond the bound.
    pub fn split(bytes: &'a [u8], value_len_max: usize) -> Result<Split<'a>, PacketError> {
        let mut reader = Reader::new(bytes);
        match QuorumPacket::decode(&mut reader, value_len_max) {
            Ok(packet) => Ok(Split::Whole(packet, reader.offset())),
            Err(_) if bytes.starts_with(&HANDSHAKE_OF_TLS) => Err(PacketError::Tls),
            Err(DecodeError::Truncated { wanted, .. }) => Ok(Split::Partial(bytes.len() + wanted)),
            Err(error) => {
                let kind = Reader::new(bytes).int().unwrap_or(0);
                Err(PacketError::Malformed { kind, error })
            }
        }
    }

    fn decode(reader: &mut Reader<'a>, value_len_max: usize) -> Result<QuorumPacket<'a>, DecodeError> {
        let kind = reader.int()?;
        let zxid = Zxid(reader.long()?);
        let data = bounded(reader, value_len_max)?;
        let offset = reader.offset();
        let identities = match reader.int()? {
            -1 => None,
            len if !(0..=IDENTITIES_MAX).contains(&len) => {
                return Err(DecodeError::BadLength { offset, len });
            }
            count => {
                let (rest, start) = (reader.rest(), reader.offset());
                for _ in 0..2 * count {
                    text(reader)?;
                }
                Some(Identities { count, entries: &rest[..reader.offset() - start] })
            }
        };
        Ok(QuorumPacket { kind, zxid, data, identities })
    }
}

/// The end of a packet: on whose behalf it is.
pub(super) fn write_identities(identities: Option<&[Identity]>, writer: &mut Writer<'_>) {
    let Some(identities) = identities else { return writer.int(-1) };
    writer.int(identities.len() as i32);
    for identity in identities {
        writer.text(&identity.scheme);
        writer.text(&identity.id);
    }
}

impl Identities<'_> {
    fn list(&self) -> Result<Arc<[Identity]>, DecodeError> {
        let mut reader = Reader::new(self.entries);
        let mut text = || text(&mut reader).map(|bytes| String::from_utf8_lossy(bytes).into());
        (0..self.count).map(|_| Ok(Identity { scheme: text()?, id: text()? })).collect()
    }
}

impl<'a> LastIdentities<'a> {
    /// These, decoded now or before.
    pub(super) fn list(&mut self, identities: Identities<'a>) -> Result<Arc<[Identity]>, DecodeError> {
        if let Some((_, list)) = self.0.as_ref().filter(|(last, _)| *last == identities) {
            return Ok(list.clone());
        }
        let list = identities.list()?;
        self.0 = Some((identities, list.clone()));
        Ok(list)
    }
}

/// A scheme or an id.
fn text<'a>(reader: &mut Reader<'a>) -> Result<&'a [u8], DecodeError> {
    let offset = reader.offset();
    bounded(reader, IDENTITY_LEN_MAX)?.ok_or(DecodeError::UnexpectedNull { offset })
}

/// A byte string, refused by its length before its bytes have come.
fn bounded<'a>(reader: &mut Reader<'a>, len_max: usize) -> Result<Option<&'a [u8]>, DecodeError> {
    let offset = reader.offset();
    match reader.clone().int()? {
        len if len > 0 && len as usize > len_max => Err(DecodeError::BadLength { offset, len }),
        _ => reader.buffer(),
    }
}

/// How many identities one request's client may have.
const IDENTITIES_MAX: i32 = 1000;
const IDENTITY_LEN_MAX: usize = 64 << 10;
/// How the first record of TLS begins. No kind of packet is so large.
const HANDSHAKE_OF_TLS: [u8; 2] = [0x16, 3];
