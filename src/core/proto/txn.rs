use std::borrow::Cow;

use super::acl::AclRef;
use super::opcode::OpCode;
use crate::id::{SessionId, Zxid};
use crate::jute::{DecodeError, Reader, Writer};
use crate::time::WallTime;

/// What precedes every transaction in a log record and in a proposal (zab §9.1), 32 bytes
/// with the type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the fields are ZooKeeper's own")]
pub struct TxnHeader {
    pub client_id: SessionId,
    pub cxid: i32,
    pub zxid: Zxid,
    pub time: WallTime,
}

/// A change of the database, decided: applying it cannot fail any more (zab §9).
///
/// Type numbers are those of the operations, with -1 for a request that was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the fields are ZooKeeper's own")]
pub enum Txn<'a> {
    CreateSession {
        timeout_ms: i32,
    },
    /// `ephemerals` are the paths that go with the session; `None` in logs of 3.5 and older.
    CloseSession {
        ephemerals: Option<Vec<Cow<'a, str>>>,
    },
    Error {
        err: i32,
    },
    /// `parent_cversion` is the parent's count of creates after this one; -1 means one more than before.
    Create {
        kind: CreateKind,
        path: Cow<'a, str>,
        data: Option<Cow<'a, [u8]>>,
        acl: AclRef,
        parent_cversion: i32,
    },
    Delete {
        path: Cow<'a, str>,
    },
    /// The reaper's removal of an empty container or an outlived TTL node.
    DeleteContainer {
        path: Cow<'a, str>,
    },
    SetData {
        path: Cow<'a, str>,
        data: Option<Cow<'a, [u8]>>,
        version: i32,
    },
    Reconfig {
        path: Cow<'a, str>,
        data: Option<Cow<'a, [u8]>>,
        version: i32,
    },
    SetAcl {
        path: Cow<'a, str>,
        acl: AclRef,
        version: i32,
    },
    /// Only inside a multi.
    Check {
        path: Cow<'a, str>,
        version: i32,
    },
    /// If one of them is an error, none is applied.
    Multi(Vec<Txn<'a>>),
}

/// What a transaction says of the tree after it (zab §9.3): stands behind it in a proposal or log record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TxnDigest {
    /// How the digest was computed; only digests of one version can be compared.
    pub version: i32,
    /// The digest.
    pub tree_digest: i64,
}

impl TxnDigest {
    /// Appends the digest to a transaction.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let mut writer = Writer::new(out);
        writer.int(self.version);
        writer.long(self.tree_digest);
    }

    /// Reads the digest behind a transaction, if there is one. It may be missing, as whatever else follows.
    pub fn decode(reader: &mut Reader<'_>) -> Option<TxnDigest> {
        if reader.rest().len() < DIGEST_LEN {
            return None;
        }
        Some(TxnDigest { version: reader.int().ok()?, tree_digest: reader.long().ok()? })
    }
}

/// What kind of node a create makes, and by which transaction type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are ZooKeeper's own")]
pub enum CreateKind {
    Create { ephemeral: bool },
    Create2 { ephemeral: bool },
    Container,
    Ttl { ttl_ms: i64 },
}

impl TxnHeader {
    /// Appends the header and the transaction: the payload of a log record.
    pub fn encode(&self, txn: &Txn<'_>, out: &mut Vec<u8>) {
        let mut writer = Writer::new(out);
        writer.long(self.client_id.0);
        writer.int(self.cxid);
        writer.long(self.zxid.0);
        writer.long(self.time.0);
        writer.int(txn.type_number());
        txn.encode_record(out);
    }

    /// Reads the payload of a log record. Bytes after the transaction, such as a digest, are left in
    /// the reader.
    pub fn decode<'a>(reader: &mut Reader<'a>) -> Result<(TxnHeader, Txn<'a>), DecodeError> {
        let header = TxnHeader {
            client_id: SessionId(reader.long()?),
            cxid: reader.int()?,
            zxid: Zxid(reader.long()?),
            time: WallTime(reader.long()?),
        };
        let offset = reader.offset();
        let number = reader.int()?;
        Ok((header, Txn::decode_record(number, offset, reader)?))
    }
}

impl<'a> Txn<'a> {
    /// The path that a transaction in the payload of a log record begins with, as it came: no more is looked at. A multi
    /// has none, nor have transactions of sessions.
    pub fn path_ahead(payload: &'a [u8]) -> Option<&'a [u8]> {
        let mut reader = Reader::new(payload.get(TYPE_AT..)?);
        let has_path = matches!(
            OpCode::from_number(reader.int().ok()?)?,
            OpCode::Create
                | OpCode::Create2
                | OpCode::CreateContainer
                | OpCode::CreateTtl
                | OpCode::Delete
                | OpCode::DeleteContainer
                | OpCode::SetData
                | OpCode::SetAcl
        );
        has_path.then(|| reader.buffer().ok().flatten())?
    }

    /// The type number that the header carries.
    pub fn type_number(&self) -> i32 {
        match self {
            Txn::CreateSession { .. } => OpCode::CreateSession.number(),
            Txn::CloseSession { .. } => OpCode::CloseSession.number(),
            Txn::Error { .. } => ERROR,
            Txn::Create { kind, .. } => match kind {
                CreateKind::Create { .. } => OpCode::Create.number(),
                CreateKind::Create2 { .. } => OpCode::Create2.number(),
                CreateKind::Container => OpCode::CreateContainer.number(),
                CreateKind::Ttl { .. } => OpCode::CreateTtl.number(),
            },
            Txn::Delete { .. } => OpCode::Delete.number(),
            Txn::DeleteContainer { .. } => OpCode::DeleteContainer.number(),
            Txn::SetData { .. } => OpCode::SetData.number(),
            Txn::Reconfig { .. } => OpCode::Reconfig.number(),
            Txn::SetAcl { .. } => OpCode::SetAcl.number(),
            Txn::Check { .. } => OpCode::Check.number(),
            Txn::Multi(_) => OpCode::Multi.number(),
        }
    }

    /// Whether a server of 3.4 can read it. One that cannot takes its connection to the leader for broken.
    pub fn is_known_to_3_4(&self) -> bool {
        match self {
            Txn::Create { kind, .. } => matches!(kind, CreateKind::Create { .. }),
            Txn::DeleteContainer { .. } | Txn::Reconfig { .. } => false,
            Txn::Multi(parts) => parts.iter().all(Txn::is_known_to_3_4),
            _ => true,
        }
    }

    fn encode_record(&self, out: &mut Vec<u8>) {
        let mut writer = Writer::new(out);
        match self {
            Txn::CreateSession { timeout_ms } => writer.int(*timeout_ms),
            Txn::CloseSession { ephemerals: None } => {}
            Txn::CloseSession { ephemerals: Some(paths) } => {
                writer.int(paths.len() as i32);
                paths.iter().for_each(|path| writer.text(path));
            }
            Txn::Error { err } => writer.int(*err),
            Txn::Create { kind, path, data, acl, parent_cversion } => {
                writer.text(path);
                writer.buffer(data.as_deref());
                acl.encode(&mut writer);
                match kind {
                    CreateKind::Create { ephemeral } | CreateKind::Create2 { ephemeral } => {
                        writer.bool(*ephemeral);
                        writer.int(*parent_cversion);
                    }
                    CreateKind::Container => writer.int(*parent_cversion),
                    CreateKind::Ttl { ttl_ms } => {
                        writer.int(*parent_cversion);
                        writer.long(*ttl_ms);
                    }
                }
            }
            Txn::Delete { path } | Txn::DeleteContainer { path } => writer.text(path),
            Txn::SetData { path, data, version } | Txn::Reconfig { path, data, version } => {
                writer.text(path);
                writer.buffer(data.as_deref());
                writer.int(*version);
            }
            Txn::SetAcl { path, acl, version } => {
                writer.text(path);
                acl.encode(&mut writer);
                writer.int(*version);
            }
            Txn::Check { path, version } => {
                writer.text(path);
                writer.int(*version);
            }
            Txn::Multi(txns) => {
                writer.int(txns.len() as i32);
                for txn in txns {
                    Writer::new(out).int(txn.type_number());
                    let start = out.len();
                    Writer::new(out).int(0);
                    txn.encode_record(out);
                    let len = (out.len() - start - 4) as i32;
                    out[start..start + 4].copy_from_slice(&len.to_be_bytes());
                }
            }
        }
    }

    fn decode_record(number: i32, offset: usize, reader: &mut Reader<'a>) -> Result<Txn<'a>, DecodeError> {
        let unknown = DecodeError::BadValue { offset, what: "transaction type", value: number };
        if number == ERROR {
            return Ok(Txn::Error { err: reader.int()? });
        }
        let op = OpCode::from_number(number).ok_or(unknown)?;
        Ok(match op {
            OpCode::CreateSession => Txn::CreateSession { timeout_ms: reader.int()? },
            OpCode::CloseSession => Txn::CloseSession { ephemerals: closed_paths(reader)? },
            OpCode::Create | OpCode::Create2 | OpCode::CreateContainer | OpCode::CreateTtl => {
                Txn::decode_create(op, reader)?
            }
            OpCode::Delete => Txn::Delete { path: reader.text()? },
            OpCode::DeleteContainer => Txn::DeleteContainer { path: reader.text()? },
            OpCode::SetData | OpCode::Reconfig => {
                let path = reader.text()?;
                let data = reader.buffer()?.map(Cow::Borrowed);
                let version = reader.int()?;
                match op {
                    OpCode::SetData => Txn::SetData { path, data, version },
                    _ => Txn::Reconfig { path, data, version },
                }
            }
            OpCode::SetAcl => {
                Txn::SetAcl { path: reader.text()?, acl: AclRef::decode(reader)?, version: reader.int()? }
            }
            OpCode::Check => Txn::Check { path: reader.text()?, version: reader.int()? },
            OpCode::Multi => Txn::Multi(decode_multi(reader)?),
            _ => return Err(unknown),
        })
    }

    fn decode_create(op: OpCode, reader: &mut Reader<'a>) -> Result<Txn<'a>, DecodeError> {
        let path = new_path(reader)?;
        let data = reader.buffer()?.map(Cow::Borrowed);
        let acl = AclRef::decode(reader)?;
        let (kind, parent_cversion) = match op {
            OpCode::CreateContainer => (CreateKind::Container, reader.int()?),
            OpCode::CreateTtl => {
                let parent_cversion = reader.int()?;
                (CreateKind::Ttl { ttl_ms: reader.long()? }, parent_cversion)
            }
            _ => {
                let ephemeral = reader.bool()?;
                // Logs of 3.3 end here.
                let parent_cversion = if reader.rest().is_empty() { -1 } else { reader.int()? };
                match op {
                    OpCode::Create => (CreateKind::Create { ephemeral }, parent_cversion),
                    _ => (CreateKind::Create2 { ephemeral }, parent_cversion),
                }
            }
        };
        Ok(Txn::Create { kind, path, data, acl, parent_cversion })
    }
}

/// Where a node is to be. Whoever logged the transaction has judged its path by the rules for clients; what breaks
/// a tree, and the snapshots of it, is not taken from anybody.
fn new_path<'a>(reader: &mut Reader<'a>) -> Result<Cow<'a, str>, DecodeError> {
    let offset = reader.offset();
    let path = reader.text()?;
    match path.starts_with('/') && !path.ends_with('/') && !path.contains("//") {
        true => Ok(path),
        false => Err(DecodeError::BadPath { offset }),
    }
}

/// A closeSession's paths. Their list may be absent; what then follows can be a digest, which is told
/// by its length and version (zab §9.1, reading rules).
fn closed_paths<'a>(reader: &mut Reader<'a>) -> Result<Option<Vec<Cow<'a, str>>>, DecodeError> {
    let rest = reader.rest();
    if rest.is_empty() || (rest.len() == DIGEST_LEN && rest.starts_with(&DIGEST_VERSION.to_be_bytes())) {
        return Ok(None);
    }
    let Some(count) = reader.count(4)? else { return Ok(None) };
    (0..count).map(|_| reader.text()).collect::<Result<_, _>>().map(Some)
}

fn decode_multi<'a>(reader: &mut Reader<'a>) -> Result<Vec<Txn<'a>>, DecodeError> {
    let count = reader.count(8)?.unwrap_or(0);
    (0..count)
        .map(|_| {
            let offset = reader.offset();
            let number = reader.int()?;
            let record = reader.buffer()?.ok_or(DecodeError::UnexpectedNull { offset })?;
            if number == OpCode::Multi.number() {
                return Err(DecodeError::BadValue { offset, what: "part of a multi", value: number });
            }
            Txn::decode_record(number, offset, &mut Reader::new(record))
        })
        .collect()
}

const ERROR: i32 = -1;
const DIGEST_LEN: usize = 12;
/// Where the type number is in a payload.
const TYPE_AT: usize = 28;
const DIGEST_VERSION: i32 = 2;

#[cfg(test)]
mod tests {
    use super::*;

    fn round_trip(txn: Txn<'_>) {
        let header = TxnHeader { client_id: SessionId(7), cxid: 3, zxid: Zxid(9), time: WallTime(11) };
        let mut bytes = Vec::new();
        header.encode(&txn, &mut bytes);
        let mut reader = Reader::new(&bytes);
        assert_eq!(TxnHeader::decode(&mut reader), Ok((header, txn)));
        assert!(reader.rest().is_empty());
    }

    #[test]
    fn every_transaction_reads_back_as_it_was_written() {
        let path = || Cow::Borrowed("/a");
        let data = || Some(Cow::Borrowed(&b"x"[..]));
        let create =
            |kind| Txn::Create { kind, path: path(), data: data(), acl: AclRef::open(), parent_cversion: 4 };
        round_trip(Txn::CreateSession { timeout_ms: 4000 });
        round_trip(Txn::CloseSession { ephemerals: None });
        round_trip(Txn::CloseSession { ephemerals: Some(vec![path(), path()]) });
        round_trip(Txn::Error { err: -101 });
        round_trip(create(CreateKind::Create { ephemeral: true }));
        round_trip(create(CreateKind::Create2 { ephemeral: false }));
        round_trip(create(CreateKind::Container));
        round_trip(create(CreateKind::Ttl { ttl_ms: 5 }));
        round_trip(Txn::Delete { path: path() });
        round_trip(Txn::DeleteContainer { path: path() });
        round_trip(Txn::SetData { path: path(), data: None, version: 2 });
        round_trip(Txn::Reconfig { path: path(), data: data(), version: -1 });
        round_trip(Txn::SetAcl { path: path(), acl: AclRef::new([]), version: 1 });
        round_trip(Txn::Multi(vec![
            Txn::Check { path: path(), version: 0 },
            Txn::Delete { path: path() },
            Txn::Error { err: -2 },
        ]));
    }

    #[test]
    fn a_transaction_is_looked_ahead_to_by_the_path_that_it_begins_with() {
        let path = || Cow::Borrowed("/a");
        let payload_of = |txn: Txn<'_>| {
            let mut bytes = Vec::new();
            let header = TxnHeader { client_id: SessionId(7), cxid: 3, zxid: Zxid(9), time: WallTime(11) };
            header.encode(&txn, &mut bytes);
            bytes
        };
        let ttl = CreateKind::Ttl { ttl_ms: 5 };
        for txn in [
            Txn::Create { kind: ttl, path: path(), data: None, acl: AclRef::open(), parent_cversion: 4 },
            Txn::SetData { path: path(), data: None, version: 2 },
            Txn::SetAcl { path: path(), acl: AclRef::new([]), version: 1 },
            Txn::Delete { path: path() },
        ] {
            let payload = payload_of(txn);
            assert_eq!(Txn::path_ahead(&payload), Some(&b"/a"[..]));
            for cut in 0..TYPE_AT + 10 {
                assert_eq!(Txn::path_ahead(&payload[..cut]), None, "cut at {cut}");
            }
        }
        for txn in [
            Txn::CreateSession { timeout_ms: 4 },
            Txn::CloseSession { ephemerals: Some(vec![path()]) },
            Txn::Error { err: -101 },
            Txn::Multi(vec![Txn::Delete { path: path() }]),
        ] {
            assert_eq!(Txn::path_ahead(&payload_of(txn)), None);
        }
    }

    /// Found by fuzzing: a node at `//` was made, and the snapshot that had it could not be read.
    #[test]
    fn a_node_is_made_at_no_path_that_no_snapshot_could_hold() {
        for path in ["", "/", "a", "a/b", "//", "//a", "/a/", "/a//b"] {
            let (kind, path) = (CreateKind::Create { ephemeral: false }, Cow::Borrowed(path));
            let txn = Txn::Create { kind, path, data: None, acl: AclRef::open(), parent_cversion: 1 };
            let header = TxnHeader { client_id: SessionId(7), cxid: 3, zxid: Zxid(9), time: WallTime(11) };
            let mut bytes = Vec::new();
            header.encode(&txn, &mut bytes);
            let refused = TxnHeader::decode(&mut Reader::new(&bytes)).map(|_| ());
            assert_eq!(refused, Err(DecodeError::BadPath { offset: 32 }), "{txn:?}");
        }
    }

    #[test]
    fn a_digest_after_a_bare_close_session_is_not_taken_for_paths() {
        let header = TxnHeader { client_id: SessionId(7), cxid: 3, zxid: Zxid(9), time: WallTime(11) };
        let mut bytes = Vec::new();
        header.encode(&Txn::CloseSession { ephemerals: None }, &mut bytes);
        let digest = TxnDigest { version: 2, tree_digest: 0x51c6_d660 };
        digest.encode(&mut bytes);
        let mut reader = Reader::new(&bytes);
        let (_, txn) = TxnHeader::decode(&mut reader).expect("a log record");
        assert_eq!(txn, Txn::CloseSession { ephemerals: None });
        assert_eq!(TxnDigest::decode(&mut reader), Some(digest));
        assert_eq!(TxnDigest::decode(&mut reader), None);
    }

    #[test]
    fn a_multi_within_a_multi_is_refused_and_does_not_recurse() {
        let mut bytes = vec![0; 28];
        bytes.extend(14i32.to_be_bytes());
        bytes.extend(1i32.to_be_bytes());
        bytes.extend(14i32.to_be_bytes());
        bytes.extend(0i32.to_be_bytes());
        assert!(matches!(
            TxnHeader::decode(&mut Reader::new(&bytes)),
            Err(DecodeError::BadValue { value: 14, .. })
        ));
    }
}
