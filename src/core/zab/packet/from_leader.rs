use super::kind::{
    COMMIT, COMMITANDACTIVATE, DIFF, INFORM, INFORMANDACTIVATE, LEADERINFO, NEWLEADER, PING, PROPOSAL,
    REVALIDATE, SNAP, SYNC, TRUNC, UPTODATE,
};
use super::{PROTOCOL_VERSION, PacketError, Payload, QuorumPacket};
use crate::id::{ServerId, SessionId, Zxid};
use crate::jute::{DecodeError, Reader, Writer};

/// What a leader says to its learners.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FromLeader {
    /// LEADERINFO: the epoch to promise.
    LeaderInfo {
        /// The new epoch.
        epoch: u32,
    },
    /// DIFF: what the learner has is right, and what it lacks follows. The zxid says nothing.
    Diff(Zxid),
    /// TRUNC: what the learner has beyond this zxid is not the ensemble's.
    Trunc(Zxid),
    /// SNAP: a whole tree as of this zxid follows, not as a packet.
    Snap(Zxid),
    /// NEWLEADER: the learner has all that there was before the epoch.
    NewLeader {
        /// The epoch's own zxid.
        zxid: Zxid,
        /// The members' configuration in text; `None` from 3.4.
        config: Option<Payload>,
    },
    /// UPTODATE: clients may be served.
    UpToDate,
    /// PROPOSAL: to be logged and acknowledged.
    Proposal {
        /// The transaction's zxid.
        zxid: Zxid,
        /// The transaction.
        payload: Payload,
    },
    /// COMMIT of the oldest proposal that is not committed.
    Commit(Zxid),
    /// COMMITANDACTIVATE: a commit after which the members change.
    CommitAndActivate {
        /// The transaction's zxid.
        zxid: Zxid,
        /// Who leads from here on.
        designated: ServerId,
    },
    /// INFORM: a transaction that is committed, for observers.
    Inform {
        /// The transaction's zxid.
        zxid: Zxid,
        /// The transaction.
        payload: Payload,
    },
    /// INFORMANDACTIVATE: the same, after which the members change.
    InformAndActivate {
        /// The transaction's zxid.
        zxid: Zxid,
        /// Who leads from here on.
        designated: ServerId,
        /// The transaction.
        payload: Payload,
    },
    /// PING, with the last zxid that was proposed.
    Ping(Zxid),
    /// REVALIDATE: whether a session may go on.
    Revalidated {
        /// The session.
        session: SessionId,
        /// Whether it is open.
        valid: bool,
    },
    /// SYNC: the learner's oldest sync is done.
    Sync,
    /// A packet of a kind that leaders do not send, which is passed over.
    Unknown(i32),
}

impl FromLeader {
    /// Appends the packet.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let plain = |kind, zxid| QuorumPacket::new(kind, zxid, None);
        match self {
            FromLeader::LeaderInfo { epoch } => {
                let version = PROTOCOL_VERSION.to_be_bytes();
                QuorumPacket::new(LEADERINFO, Zxid::new(*epoch, 0), Some(&version)).encode(out);
            }
            FromLeader::Diff(zxid) => plain(DIFF, *zxid).encode(out),
            FromLeader::Trunc(zxid) => plain(TRUNC, *zxid).encode(out),
            FromLeader::Snap(zxid) => plain(SNAP, *zxid).encode(out),
            FromLeader::NewLeader { zxid, config } => {
                QuorumPacket::new(NEWLEADER, *zxid, config.as_deref()).encode(out);
            }
            FromLeader::UpToDate => plain(UPTODATE, Zxid(-1)).encode(out),
            FromLeader::Proposal { zxid, payload } => {
                QuorumPacket::new(PROPOSAL, *zxid, Some(payload)).encode(out);
            }
            FromLeader::Commit(zxid) => plain(COMMIT, *zxid).encode(out),
            FromLeader::CommitAndActivate { zxid, designated } => {
                let data = designated.0.to_be_bytes();
                QuorumPacket::new(COMMITANDACTIVATE, *zxid, Some(&data)).encode(out);
            }
            FromLeader::Inform { zxid, payload } => {
                QuorumPacket::new(INFORM, *zxid, Some(payload)).encode(out);
            }
            FromLeader::InformAndActivate { zxid, designated, payload } => {
                let mut data = designated.0.to_be_bytes().to_vec();
                data.extend_from_slice(payload);
                QuorumPacket::new(INFORMANDACTIVATE, *zxid, Some(&data)).encode(out);
            }
            FromLeader::Ping(zxid) => plain(PING, *zxid).encode(out),
            FromLeader::Revalidated { session, valid } => {
                let mut data = Vec::new();
                let mut writer = Writer::new(&mut data);
                writer.long(session.0);
                writer.bool(*valid);
                QuorumPacket::new(REVALIDATE, Zxid(-1), Some(&data)).encode(out);
            }
            FromLeader::Sync => plain(SYNC, Zxid::ZERO).encode(out),
            FromLeader::Unknown(kind) => plain(*kind, Zxid(-1)).encode(out),
        }
    }

    /// Reads a packet that a leader sent.
    ///
    /// # Errors
    ///
    /// If its data is not what its kind says. What transactions hold is not looked into.
    pub fn decode(packet: &QuorumPacket<'_>) -> Result<FromLeader, PacketError> {
        let (kind, zxid) = (packet.kind, packet.zxid);
        let malformed = |error| PacketError::Malformed { kind, error };
        let mut reader = Reader::new(packet.data.unwrap_or_default());
        Ok(match kind {
            LEADERINFO => FromLeader::LeaderInfo { epoch: zxid.epoch() },
            DIFF => FromLeader::Diff(zxid),
            TRUNC => FromLeader::Trunc(zxid),
            SNAP => FromLeader::Snap(zxid),
            NEWLEADER => FromLeader::NewLeader { zxid, config: packet.data.map(Payload::from) },
            UPTODATE => FromLeader::UpToDate,
            PROPOSAL => FromLeader::Proposal { zxid, payload: transaction(kind, zxid, reader.rest())? },
            COMMIT => FromLeader::Commit(zxid),
            COMMITANDACTIVATE => {
                let designated = ServerId(reader.long().map_err(malformed)?);
                FromLeader::CommitAndActivate { zxid, designated }
            }
            INFORM => FromLeader::Inform { zxid, payload: transaction(kind, zxid, reader.rest())? },
            INFORMANDACTIVATE => {
                let designated = ServerId(reader.long().map_err(malformed)?);
                let payload = transaction(kind, zxid, reader.rest())?;
                FromLeader::InformAndActivate { zxid, designated, payload }
            }
            PING => FromLeader::Ping(zxid),
            REVALIDATE => {
                let session = SessionId(reader.long().map_err(malformed)?);
                FromLeader::Revalidated { session, valid: reader.bool().map_err(malformed)? }
            }
            SYNC => FromLeader::Sync,
            _ => FromLeader::Unknown(kind),
        })
    }
}

/// The data of a proposal, whose number must be the packet's.
fn transaction(kind: i32, zxid: Zxid, data: &[u8]) -> Result<Payload, PacketError> {
    let mut header = Reader::new(data);
    let inner = (|| {
        header.long()?;
        header.int()?;
        header.long()
    })()
    .map_err(|error: DecodeError| PacketError::Malformed { kind, error })?;
    if inner != zxid.0 {
        return Err(PacketError::OtherZxid { outer: zxid, inner: Zxid(inner) });
    }
    Ok(data.into())
}
