use std::borrow::Cow;

use super::acl::RequestAcls;
use crate::id::Zxid;
use crate::jute::{DecodeError, Reader};

/// The header of every request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the fields are ZooKeeper's own")]
pub struct RequestHeader {
    pub xid: i32,
    /// The operation's number, which need not be a known one.
    pub op: i32,
}

impl RequestHeader {
    /// Its length in bytes.
    pub const LEN: usize = 8;

    /// Reads the header at the start of a frame.
    pub fn decode(reader: &mut Reader<'_>) -> Result<RequestHeader, DecodeError> {
        Ok(RequestHeader { xid: reader.int()?, op: reader.int()? })
    }
}

/// The create flags, an enumeration and not a set of bits (client-protocol §5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the names are ZooKeeper's own")]
pub enum CreateFlags {
    Persistent,
    Ephemeral,
    PersistentSequential,
    EphemeralSequential,
    Container,
    PersistentWithTtl,
    PersistentSequentialWithTtl,
}

impl CreateFlags {
    /// The flags with this number, 0 to 6.
    pub fn from_number(number: i32) -> Option<CreateFlags> {
        use CreateFlags::*;
        [
            Persistent,
            Ephemeral,
            PersistentSequential,
            EphemeralSequential,
            Container,
            PersistentWithTtl,
            PersistentSequentialWithTtl,
        ]
        .get(usize::try_from(number).ok()?)
        .copied()
    }

    /// Whether the server appends the parent's counter to the name.
    pub fn is_sequential(self) -> bool {
        use CreateFlags::*;
        matches!(self, PersistentSequential | EphemeralSequential | PersistentSequentialWithTtl)
    }

    /// Whether the node goes with its session.
    pub fn is_ephemeral(self) -> bool {
        matches!(self, CreateFlags::Ephemeral | CreateFlags::EphemeralSequential)
    }

    /// Whether the node goes when it is empty and has not been modified for its time to live.
    pub fn is_ttl(self) -> bool {
        matches!(self, CreateFlags::PersistentWithTtl | CreateFlags::PersistentSequentialWithTtl)
    }
}

/// create, create2, createContainer; with `ttl` also createTTL.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the fields are ZooKeeper's own")]
pub struct CreateRequest<'a> {
    pub path: Cow<'a, str>,
    pub data: Option<&'a [u8]>,
    pub acl: RequestAcls<'a>,
    /// The number as sent, see [`CreateFlags`].
    pub flags: i32,
    /// Time to live in milliseconds; only createTTL carries one.
    pub ttl_ms: Option<i64>,
}

impl<'a> CreateRequest<'a> {
    /// Reads the record of create, create2 or createContainer, and with `has_ttl` that of createTTL.
    pub fn decode(reader: &mut Reader<'a>, has_ttl: bool) -> Result<CreateRequest<'a>, DecodeError> {
        Ok(CreateRequest {
            path: reader.text()?,
            data: reader.buffer()?,
            acl: RequestAcls::decode(reader)?,
            flags: reader.int()?,
            ttl_ms: if has_ttl { Some(reader.long()?) } else { None },
        })
    }
}

/// delete and check: a path and the version that it must have, or -1 for any.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the fields are ZooKeeper's own")]
pub struct PathVersion<'a> {
    pub path: Cow<'a, str>,
    pub version: i32,
}

impl<'a> PathVersion<'a> {
    /// Reads the record.
    pub fn decode(reader: &mut Reader<'a>) -> Result<PathVersion<'a>, DecodeError> {
        Ok(PathVersion { path: reader.text()?, version: reader.int()? })
    }
}

/// setData.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the fields are ZooKeeper's own")]
pub struct SetDataRequest<'a> {
    pub path: Cow<'a, str>,
    pub data: Option<&'a [u8]>,
    pub version: i32,
}

impl<'a> SetDataRequest<'a> {
    /// Reads the record.
    pub fn decode(reader: &mut Reader<'a>) -> Result<SetDataRequest<'a>, DecodeError> {
        Ok(SetDataRequest { path: reader.text()?, data: reader.buffer()?, version: reader.int()? })
    }
}

/// setACL; `version` is that of the ACL.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the fields are ZooKeeper's own")]
pub struct SetAclRequest<'a> {
    pub path: Cow<'a, str>,
    pub acl: RequestAcls<'a>,
    pub version: i32,
}

impl<'a> SetAclRequest<'a> {
    /// Reads the record.
    pub fn decode(reader: &mut Reader<'a>) -> Result<SetAclRequest<'a>, DecodeError> {
        Ok(SetAclRequest { path: reader.text()?, acl: RequestAcls::decode(reader)?, version: reader.int()? })
    }
}

/// exists, getData, getChildren and getChildren2: a path, and whether to leave a watch on it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the fields are ZooKeeper's own")]
pub struct PathWatch<'a> {
    pub path: Cow<'a, str>,
    pub watch: bool,
}

impl<'a> PathWatch<'a> {
    /// Reads the record.
    pub fn decode(reader: &mut Reader<'a>) -> Result<PathWatch<'a>, DecodeError> {
        Ok(PathWatch { path: reader.text()?, watch: reader.bool()? })
    }
}

/// What precedes each part of a multi or multiRead, and with `done` ends it (client-protocol §7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the fields are ZooKeeper's own")]
pub struct MultiHeader {
    pub op: i32,
    pub done: bool,
    pub err: i32,
}

impl MultiHeader {
    /// Reads the header.
    pub fn decode(reader: &mut Reader<'_>) -> Result<MultiHeader, DecodeError> {
        Ok(MultiHeader { op: reader.int()?, done: reader.bool()?, err: reader.int()? })
    }
}

/// An auth packet (client-protocol §9).
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the fields are ZooKeeper's own")]
pub struct AuthPacket<'a> {
    pub scheme: Option<Cow<'a, str>>,
    pub auth: Option<&'a [u8]>,
}

impl<'a> AuthPacket<'a> {
    /// Reads the record; its first field, a type, has never meant anything.
    pub fn decode(reader: &mut Reader<'a>) -> Result<AuthPacket<'a>, DecodeError> {
        reader.int()?;
        Ok(AuthPacket { scheme: reader.ustring()?, auth: reader.buffer()? })
    }
}

/// setWatches and setWatches2: what a client watched before it lost its connection.
///
/// A list may be null, which ends the request with an error, but only when its turn comes.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the fields are ZooKeeper's own")]
pub struct SetWatches<'a> {
    pub relative_zxid: Zxid,
    pub data: Option<Vec<Cow<'a, str>>>,
    pub exist: Option<Vec<Cow<'a, str>>>,
    pub child: Option<Vec<Cow<'a, str>>>,
    /// Empty in setWatches, as the next one.
    pub persistent: Option<Vec<Cow<'a, str>>>,
    pub persistent_recursive: Option<Vec<Cow<'a, str>>>,
}

impl<'a> SetWatches<'a> {
    /// Reads the record of setWatches, or with `has_persistent` that of setWatches2.
    pub fn decode(reader: &mut Reader<'a>, has_persistent: bool) -> Result<SetWatches<'a>, DecodeError> {
        Ok(SetWatches {
            relative_zxid: Zxid(reader.long()?),
            data: paths(reader)?,
            exist: paths(reader)?,
            child: paths(reader)?,
            persistent: if has_persistent { paths(reader)? } else { Some(Vec::new()) },
            persistent_recursive: if has_persistent { paths(reader)? } else { Some(Vec::new()) },
        })
    }
}

/// How addWatch watches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the names are ZooKeeper's own")]
pub enum AddWatchMode {
    Persistent,
    PersistentRecursive,
}

impl AddWatchMode {
    /// The mode with this number.
    pub fn from_number(number: i32) -> Option<AddWatchMode> {
        match number {
            0 => Some(AddWatchMode::Persistent),
            1 => Some(AddWatchMode::PersistentRecursive),
            _ => None,
        }
    }
}

/// Which watches checkWatches and removeWatches mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the names are ZooKeeper's own")]
pub enum WatcherType {
    Children,
    Data,
    Any,
    Persistent,
    PersistentRecursive,
}

impl WatcherType {
    /// The type with this number.
    pub fn from_number(number: i32) -> Option<WatcherType> {
        use WatcherType::*;
        [Children, Data, Any, Persistent, PersistentRecursive]
            .get(usize::try_from(number).ok()?.checked_sub(1)?)
            .copied()
    }
}

/// Reads the record of addWatch: a path and a number.
pub fn path_and_mode<'a>(reader: &mut Reader<'a>) -> Result<(Cow<'a, str>, i32), DecodeError> {
    Ok((reader.text()?, reader.int()?))
}

fn paths<'a>(reader: &mut Reader<'a>) -> Result<Option<Vec<Cow<'a, str>>>, DecodeError> {
    let Some(count) = reader.count(PATH_LEN_MIN)? else { return Ok(None) };
    (0..count).map(|_| reader.text()).collect::<Result<_, _>>().map(Some)
}

const PATH_LEN_MIN: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_enumerations_end_where_zookeeper_s_do() {
        assert_eq!(CreateFlags::from_number(6), Some(CreateFlags::PersistentSequentialWithTtl));
        assert_eq!(CreateFlags::from_number(7), None);
        assert_eq!(CreateFlags::from_number(-1), None);
        assert_eq!(WatcherType::from_number(1), Some(WatcherType::Children));
        assert_eq!(WatcherType::from_number(5), Some(WatcherType::PersistentRecursive));
        assert_eq!((WatcherType::from_number(0), WatcherType::from_number(6)), (None, None));
    }
}
