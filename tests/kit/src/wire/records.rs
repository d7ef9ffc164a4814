//! Data records (client-protocol §5).

use std::fmt;

use super::jute::{Decoder, Encoder, Malformed};

/// A ustring or buffer as it is on the wire: any bytes, or null.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Text(Option<Vec<u8>>);

impl Text {
    /// The null string.
    pub const NULL: Text = Text(None);

    /// A string of these bytes; they need not be UTF-8.
    pub fn from_bytes(bytes: Option<Vec<u8>>) -> Text {
        Text(bytes)
    }

    /// The bytes, unless null.
    pub fn bytes(&self) -> Option<&[u8]> {
        self.0.as_deref()
    }

    /// The string for people: null is `<null>`, what is not UTF-8 is replaced.
    pub fn lossy(&self) -> String {
        self.bytes().map_or_else(|| "<null>".into(), |bytes| String::from_utf8_lossy(bytes).into_owned())
    }
}

impl From<&[u8]> for Text {
    fn from(bytes: &[u8]) -> Text {
        Text(Some(bytes.to_vec()))
    }
}

impl From<Vec<u8>> for Text {
    fn from(bytes: Vec<u8>) -> Text {
        Text(Some(bytes))
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Text {
        Text(Some(text.as_bytes().to_vec()))
    }
}

impl From<String> for Text {
    fn from(text: String) -> Text {
        Text(Some(text.into_bytes()))
    }
}

impl From<&String> for Text {
    fn from(text: &String) -> Text {
        text.as_str().into()
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.bytes() {
            None => f.write_str("null"),
            Some(bytes) => match std::str::from_utf8(bytes) {
                Ok(text) => write!(f, "{text:?}"),
                Err(_) => write!(f, "b\"{}\"", bytes.escape_ascii()),
            },
        }
    }
}

/// One entry of an access control list.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Acl {
    /// Permission bits, see [`perms`].
    pub perms: i32,
    /// `world`, `auth`, `digest`, `ip`, …
    pub scheme: Text,
    /// Who, in the words of the scheme.
    pub id: Text,
}

impl Acl {
    /// An entry.
    pub fn new(perms: i32, scheme: impl Into<Text>, id: impl Into<Text>) -> Acl {
        Acl { perms, scheme: scheme.into(), id: id.into() }
    }

    pub(super) fn encode(&self, to: &mut Encoder) {
        to.int(self.perms).text(&self.scheme).text(&self.id);
    }

    pub(super) fn decode(from: &mut Decoder<'_>) -> Result<Acl, Malformed> {
        Ok(Acl { perms: from.int()?, scheme: from.text()?, id: from.text()? })
    }
}

impl fmt::Debug for Acl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}:{:?}:{}", self.scheme, self.id, self.perms)
    }
}

/// The list that lets anyone do everything.
pub fn open_acl() -> Option<Vec<Acl>> {
    Some(vec![Acl::new(perms::ALL, "world", "anyone")])
}

/// Permission bits.
#[allow(missing_docs, reason = "the names are ZooKeeper's own")]
pub mod perms {
    pub const READ: i32 = 1;
    pub const WRITE: i32 = 2;
    pub const CREATE: i32 = 4;
    pub const DELETE: i32 = 8;
    pub const ADMIN: i32 = 16;
    pub const ALL: i32 = 31;
}

/// What the server says of a node.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
#[allow(missing_docs, reason = "the names are ZooKeeper's own")]
pub struct Stat {
    pub czxid: i64,
    pub mzxid: i64,
    pub ctime: i64,
    pub mtime: i64,
    pub version: i32,
    pub cversion: i32,
    pub aversion: i32,
    pub ephemeral_owner: i64,
    pub data_length: i32,
    pub num_children: i32,
    pub pzxid: i64,
}

impl Stat {
    pub(super) fn decode(from: &mut Decoder<'_>) -> Result<Stat, Malformed> {
        Ok(Stat {
            czxid: from.long()?,
            mzxid: from.long()?,
            ctime: from.long()?,
            mtime: from.long()?,
            version: from.int()?,
            cversion: from.int()?,
            aversion: from.int()?,
            ephemeral_owner: from.long()?,
            data_length: from.int()?,
            num_children: from.int()?,
            pzxid: from.long()?,
        })
    }
}
