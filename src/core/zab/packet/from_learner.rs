use super::kind::{ACK, ACKEPOCH, FOLLOWERINFO, OBSERVERINFO, PING, REQUEST, REVALIDATE};
use super::raw::{LastIdentities, write_identities};
use super::{PROTOCOL_VERSION, PacketError, QuorumPacket, Split};
use crate::flow::ForwardedRequest;
use crate::id::{ServerId, SessionId, Zxid};
use crate::jute::{DecodeError, Reader, Writer};

/// What a learner says to its leader.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FromLearner {
    /// FOLLOWERINFO or OBSERVERINFO: the first packet of all.
    Info(LearnerInfo),
    /// ACKEPOCH: the new epoch is promised.
    AckEpoch {
        /// The last transaction in the learner's log.
        zxid: Zxid,
        /// The epoch that it was last in; `None` if it has promised this one before and must not count.
        current_epoch: Option<u32>,
    },
    /// ACK: everything up to this is on the learner's disk.
    Ack(Zxid),
    /// PING, an answer to the leader's.
    Ping {
        /// The leader's zxid, back.
        zxid: Zxid,
        /// The sessions that were heard since the last one, and their timeouts in milliseconds.
        touched: Vec<(SessionId, i32)>,
    },
    /// REVALIDATE: a session's client has come here.
    Revalidate {
        /// The session.
        session: SessionId,
        /// Its timeout in milliseconds.
        timeout_ms: i32,
    },
    /// REQUEST: what a client of the learner wants.
    Request(ForwardedRequest),
    /// A packet of a kind that learners do not send, which is passed over.
    Unknown(i32),
}

/// What a learner's bytes are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LearnerInput {
    /// What it says, in its order.
    pub packets: Vec<FromLearner>,
    /// How many bytes they take.
    pub consumed: usize,
    /// How many bytes there must be behind them before another look is of use; or what is wrong with those that
    /// are there.
    pub rest: Result<usize, PacketError>,
}

/// Who a learner is, and how far it got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LearnerInfo {
    /// Whether it votes.
    pub kind: LearnerKind,
    /// The epoch that it has promised last.
    pub accepted_epoch: u32,
    /// Its id; `None` if it does not say.
    pub id: Option<ServerId>,
    /// The protocol that it speaks.
    pub protocol_version: i32,
    /// The version of the members' configuration that it knows; `None` from 3.4.
    pub config_version: Option<i64>,
}

/// How a learner takes part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LearnerKind {
    /// It gets proposals and acknowledges them.
    Follower,
    /// It is told of what is committed.
    Observer,
}

impl FromLearner {
    /// What ZooKeeper calls a packet of this kind.
    pub fn name(&self) -> &'static str {
        match self {
            FromLearner::Info(_) => "FOLLOWERINFO or OBSERVERINFO",
            FromLearner::AckEpoch { .. } => "ACKEPOCH",
            FromLearner::Ack(_) => "ACK",
            FromLearner::Ping { .. } => "PING",
            FromLearner::Revalidate { .. } => "REVALIDATE",
            FromLearner::Request(_) => "REQUEST",
            FromLearner::Unknown(_) => "a packet of unknown kind",
        }
    }

    /// Appends the packet.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match self {
            FromLearner::Info(info) => info.encode(out),
            FromLearner::AckEpoch { zxid, current_epoch } => {
                let epoch = current_epoch.map_or(-1, |epoch| epoch as i32);
                QuorumPacket::new(ACKEPOCH, *zxid, Some(&epoch.to_be_bytes())).encode(out);
            }
            FromLearner::Ack(zxid) => QuorumPacket::new(ACK, *zxid, None).encode(out),
            FromLearner::Ping { zxid, touched } => {
                let mut data = Vec::with_capacity(touched.len() * TOUCH_LEN);
                touched.iter().for_each(|(session, timeout_ms)| touch(*session, *timeout_ms, &mut data));
                // Never null: Java leaders do not survive that (zab §16).
                QuorumPacket::new(PING, *zxid, Some(&data)).encode(out);
            }
            FromLearner::Revalidate { session, timeout_ms } => {
                let mut data = Vec::new();
                touch(*session, *timeout_ms, &mut data);
                QuorumPacket::new(REVALIDATE, NO_ZXID, Some(&data)).encode(out);
            }
            FromLearner::Request(request) => encode_request(request, out),
            FromLearner::Unknown(kind) => QuorumPacket::new(*kind, NO_ZXID, None).encode(out),
        }
    }

    /// Reads a packet that a learner sent.
    ///
    /// # Errors
    ///
    /// If its data is not what its kind says.
    pub fn decode(packet: QuorumPacket<'_>) -> Result<FromLearner, PacketError> {
        FromLearner::decode_next(packet, &mut LastIdentities::default())
    }

    /// As [`FromLearner::decode`], of a packet that comes after others.
    fn decode_next<'a>(
        packet: QuorumPacket<'a>,
        last: &mut LastIdentities<'a>,
    ) -> Result<FromLearner, PacketError> {
        let kind = packet.kind;
        let malformed = |error| PacketError::Malformed { kind, error };
        let data = packet.data.unwrap_or_default();
        let mut reader = Reader::new(data);
        Ok(match kind {
            FOLLOWERINFO | OBSERVERINFO => {
                FromLearner::Info(LearnerInfo::decode(&packet).map_err(malformed)?)
            }
            ACKEPOCH => {
                let current_epoch = u32::try_from(reader.int().map_err(malformed)?).ok();
                FromLearner::AckEpoch { zxid: packet.zxid, current_epoch }
            }
            ACK => FromLearner::Ack(packet.zxid),
            PING if !data.len().is_multiple_of(TOUCH_LEN) => {
                return Err(PacketError::DataLength { kind, len: data.len() });
            }
            PING => {
                let count = data.len() / TOUCH_LEN;
                let touched: Result<_, _> = (0..count).map(|_| read_touch(&mut reader)).collect();
                FromLearner::Ping { zxid: packet.zxid, touched: touched.map_err(malformed)? }
            }
            REVALIDATE => {
                let (session, timeout_ms) = read_touch(&mut reader).map_err(malformed)?;
                FromLearner::Revalidate { session, timeout_ms }
            }
            REQUEST => FromLearner::Request(decode_request(packet, last).map_err(malformed)?),
            _ => FromLearner::Unknown(kind),
        })
    }

    /// Takes all whole packets off a learner's bytes. No value in them may be longer than `value_len_max`. An
    /// acknowledgement that another follows at once is left out, for the other says all that it does.
    pub fn split_all(bytes: &[u8], value_len_max: usize) -> LearnerInput {
        let mut input = LearnerInput { packets: Vec::new(), consumed: 0, rest: Ok(0) };
        let mut last = LastIdentities::default();
        loop {
            let split = QuorumPacket::split(&bytes[input.consumed..], value_len_max);
            let (packet, len) = match split {
                Ok(Split::Whole(packet, len)) => (FromLearner::decode_next(packet, &mut last), len),
                Ok(Split::Partial(wanted)) => return LearnerInput { rest: Ok(wanted), ..input },
                Err(error) => return LearnerInput { rest: Err(error), ..input },
            };
            match packet {
                Ok(packet) => packet.push_onto(&mut input.packets),
                Err(error) => return LearnerInput { rest: Err(error), ..input },
            }
            input.consumed += len;
        }
    }

    fn push_onto(self, packets: &mut Vec<FromLearner>) {
        match (packets.last_mut(), &self) {
            // That of NEWLEADER, whose counter is 0, stands for itself.
            (Some(FromLearner::Ack(last)), FromLearner::Ack(next))
                if last.counter() > 0 && last.epoch() == next.epoch() && *last < *next =>
            {
                *last = *next;
            }
            _ => packets.push(self),
        }
    }
}

impl LearnerInfo {
    fn encode(&self, out: &mut Vec<u8>) {
        let mut data = Vec::new();
        let mut writer = Writer::new(&mut data);
        if let Some(id) = self.id {
            writer.long(id.0);
            writer.int(self.protocol_version);
            self.config_version.into_iter().for_each(|version| writer.long(version));
        }
        let kind = match self.kind {
            LearnerKind::Follower => FOLLOWERINFO,
            LearnerKind::Observer => OBSERVERINFO,
        };
        let data = self.id.map(|_| &data[..]);
        QuorumPacket::new(kind, Zxid::new(self.accepted_epoch, 0), data).encode(out);
    }

    /// How much there is says how old the learner is (zab §2).
    fn decode(packet: &QuorumPacket<'_>) -> Result<LearnerInfo, DecodeError> {
        let kind = match packet.kind {
            FOLLOWERINFO => LearnerKind::Follower,
            _ => LearnerKind::Observer,
        };
        let data = packet.data.unwrap_or_default();
        let mut reader = Reader::new(data);
        let id = if data.is_empty() { None } else { Some(ServerId(reader.long()?)) };
        let protocol_version = if data.len() >= 12 { reader.int()? } else { BEFORE_3_4 };
        let config_version = if data.len() >= 20 { Some(reader.long()?) } else { None };
        // -1 is what a Java server says that does not trust its database: it has promised nothing.
        let accepted_epoch = Some(packet.zxid.epoch()).filter(|epoch| *epoch != u32::MAX).unwrap_or(0);
        Ok(LearnerInfo { kind, accepted_epoch, id, protocol_version, config_version })
    }

    /// Whether the learner takes LEADERINFO and ACKEPOCH, as all since 3.4 do.
    pub fn is_supported(&self) -> bool {
        self.protocol_version >= PROTOCOL_VERSION
    }
}

fn encode_request(request: &ForwardedRequest, out: &mut Vec<u8>) {
    let mut writer = Writer::new(out);
    writer.int(REQUEST);
    writer.long(NO_ZXID.0);
    writer.int((REQUEST_HEADER_LEN + request.record.len()) as i32);
    writer.long(request.session.0);
    writer.int(request.cxid);
    writer.int(request.op);
    writer.raw(&request.record);
    write_identities(request.identities.as_deref(), &mut writer);
}

fn decode_request<'a>(
    packet: QuorumPacket<'a>,
    last: &mut LastIdentities<'a>,
) -> Result<ForwardedRequest, DecodeError> {
    let mut reader = Reader::new(packet.data.unwrap_or_default());
    Ok(ForwardedRequest {
        session: SessionId(reader.long()?),
        cxid: reader.int()?,
        op: reader.int()?,
        record: reader.rest().into(),
        identities: packet.identities.map(|identities| last.list(identities)).transpose()?,
    })
}

fn touch(session: SessionId, timeout_ms: i32, out: &mut Vec<u8>) {
    let mut writer = Writer::new(out);
    writer.long(session.0);
    writer.int(timeout_ms);
}

fn read_touch(reader: &mut Reader<'_>) -> Result<(SessionId, i32), DecodeError> {
    Ok((SessionId(reader.long()?), reader.int()?))
}

const NO_ZXID: Zxid = Zxid(-1);
const TOUCH_LEN: usize = 12;
const REQUEST_HEADER_LEN: usize = 16;
const BEFORE_3_4: i32 = 1;
