//! Replies and notifications (client-protocol §4, §5, §7, §8).

use super::jute::{Decoder, Malformed};
use super::records::{Acl, Stat, Text};
use super::request::op;

/// A frame from the server, after the handshake.
#[derive(Clone, Debug, PartialEq)]
pub enum Message {
    /// The answer to a request.
    Reply(Reply),
    /// A watch event.
    Event(Event),
    /// A frame without a whole ReplyHeader.
    Junk(Vec<u8>),
}

impl Message {
    /// Reads a frame's payload; the body of a reply is read as that of `opcode`.
    pub fn decode(payload: &[u8], opcode: i32) -> Message {
        let mut from = Decoder::new(payload);
        let Ok((xid, zxid, err)) = decode_header(&mut from) else {
            return Message::Junk(payload.to_vec());
        };
        if xid == NOTIFICATION_XID
            && let Ok(event) = Event::decode(zxid, err, from.clone())
        {
            return Message::Event(event);
        }
        Message::Reply(Reply { xid, zxid, err, body: Body::decode(opcode, err, from) })
    }
}

/// The answer to a request.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "the names are ZooKeeper's own")]
pub struct Reply {
    pub xid: i32,
    pub zxid: i64,
    pub err: i32,
    pub body: Body,
}

/// A watch event. `err` is 0 and `state` 3 (SyncConnected) from any server that is right.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs, reason = "the names are ZooKeeper's own")]
pub struct Event {
    pub path: Text,
    pub kind: i32,
    pub state: i32,
    pub zxid: i64,
    pub err: i32,
}

impl Event {
    fn decode(zxid: i64, err: i32, mut from: Decoder<'_>) -> Result<Event, Malformed> {
        let (kind, state, path) = (from.int()?, from.int()?, from.text()?);
        from.end()?;
        Ok(Event { path, kind, state, zxid, err })
    }
}

/// What follows the ReplyHeader.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "named after the records of client-protocol §5")]
pub enum Body {
    Nothing,
    Path(Text),
    PathStat(Text, Stat),
    Data(Option<Vec<u8>>, Stat),
    Stat(Stat),
    Acl(Vec<Acl>, Stat),
    Children(Vec<Text>),
    ChildrenStat(Vec<Text>, Stat),
    Results(Vec<SubResult>),
    Paths(Vec<Text>),
    Number(i32),
    /// (scheme, user) pairs of whoAmI.
    Identities(Vec<(Text, Text)>),
    Token(Option<Vec<u8>>),
    /// Not the record that the opcode calls for: bytes missing, left over, or a body beside an error.
    Undecodable(Vec<u8>),
}

impl Body {
    fn decode(opcode: i32, err: i32, from: Decoder<'_>) -> Body {
        let all = from.rest();
        let mut rest = from;
        let body = if err == 0 { Body::decode_record(opcode, &mut rest) } else { Ok(Body::Nothing) };
        match (body, rest.end()) {
            (Ok(body), Ok(())) => body,
            _ => Body::Undecodable(all.to_vec()),
        }
    }

    fn decode_record(opcode: i32, from: &mut Decoder<'_>) -> Result<Body, Malformed> {
        Ok(match opcode {
            op::CREATE | op::SYNC => Body::Path(from.text()?),
            op::CREATE2 | op::CREATE_CONTAINER | op::CREATE_TTL => {
                Body::PathStat(from.text()?, Stat::decode(from)?)
            }
            op::EXISTS | op::SET_DATA | op::SET_ACL => Body::Stat(Stat::decode(from)?),
            op::GET_DATA | op::RECONFIG => Body::Data(from.buffer()?, Stat::decode(from)?),
            op::GET_ACL => Body::Acl(from.vector(Acl::decode)?, Stat::decode(from)?),
            op::GET_CHILDREN => Body::Children(from.vector(Decoder::text)?),
            op::GET_CHILDREN2 => Body::ChildrenStat(from.vector(Decoder::text)?, Stat::decode(from)?),
            op::MULTI | op::MULTI_READ => Body::Results(decode_results(from)?),
            op::GET_EPHEMERALS => Body::Paths(from.vector(Decoder::text)?),
            op::GET_ALL_CHILDREN_NUMBER | op::ADD_WATCH => Body::Number(from.int()?),
            op::WHO_AM_I => Body::Identities(from.vector(|from| Ok((from.text()?, from.text()?)))?),
            op::SASL => Body::Token(from.buffer()?),
            _ => Body::Nothing,
        })
    }
}

/// One result of a multi or multiRead.
#[derive(Clone, Debug, PartialEq)]
pub enum SubResult {
    /// The type in the MultiHeader and the record of that type.
    Done(i32, Body),
    /// The error of this sub-operation: 0 before the one that failed, -2 after it.
    Failed(i32),
}

fn decode_results(from: &mut Decoder<'_>) -> Result<Vec<SubResult>, Malformed> {
    let mut results = Vec::new();
    loop {
        let (kind, done, err) = (from.int()?, from.bool()?, from.int()?);
        match (kind, done) {
            (-1, true) if err == -1 => return Ok(results),
            (_, true) => return Err(Malformed("a terminator of (-1, true, -1)")),
            (-1, false) => {
                let code = from.int()?;
                if code != err {
                    return Err(Malformed("the error of the MultiHeader again in the ErrorResponse"));
                }
                results.push(SubResult::Failed(code));
            }
            (kind, false) if err == 0 => {
                results.push(SubResult::Done(kind, Body::decode_record(kind, from)?))
            }
            _ => return Err(Malformed("err 0 in the MultiHeader of a result")),
        }
    }
}

fn decode_header(from: &mut Decoder<'_>) -> Result<(i32, i64, i32), Malformed> {
    Ok((from.int()?, from.long()?, from.int()?))
}

const NOTIFICATION_XID: i32 = -1;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Encoder;

    #[test]
    fn a_reply_with_a_byte_too_many_or_too_few_is_not_decodable() {
        let good = Encoder::new().int(1).long(2).int(0).buffer(Some(b"/a")).finish();
        assert_eq!(body(&good, op::CREATE), Body::Path("/a".into()));
        let long = [good.as_slice(), &[0]].concat();
        assert!(matches!(body(&long, op::CREATE), Body::Undecodable(_)));
        assert!(matches!(body(&good[..good.len() - 1], op::CREATE), Body::Undecodable(_)));
    }

    #[test]
    fn an_error_with_a_body_is_not_decodable() {
        let reply = Encoder::new().int(1).long(2).int(-101).buffer(Some(b"/a")).finish();
        assert!(matches!(body(&reply, op::CREATE), Body::Undecodable(_)));
    }

    #[test]
    fn a_notification_is_told_from_a_reply_by_its_xid() {
        let frame = Encoder::new().int(-1).long(7).int(0).int(3).int(3).buffer(Some(b"/a")).finish();
        let event = Event { path: "/a".into(), kind: 3, state: 3, zxid: 7, err: 0 };
        assert_eq!(Message::decode(&frame, op::PING), Message::Event(event));
        assert_eq!(Message::decode(&frame[..9], op::PING), Message::Junk(frame[..9].to_vec()));
    }

    fn body(payload: &[u8], opcode: i32) -> Body {
        match Message::decode(payload, opcode) {
            Message::Reply(reply) => reply.body,
            other => panic!("not a reply: {other:?}"),
        }
    }
}
