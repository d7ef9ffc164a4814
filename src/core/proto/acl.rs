use std::borrow::Cow;
use std::hash::{Hash, Hasher};
use std::ops::Deref;
use std::sync::LazyLock;

use triomphe::Arc;

use crate::jute::{DecodeError, Reader, Writer};

/// Permission bits of an ACL entry.
pub mod perms {
    /// Read data, children and (with its ACL) be told of changes.
    pub const READ: i32 = 1;
    /// Set data.
    pub const WRITE: i32 = 2;
    /// Create children.
    pub const CREATE: i32 = 4;
    /// Delete children.
    pub const DELETE: i32 = 8;
    /// Set the ACL.
    pub const ADMIN: i32 = 16;
    /// All of them.
    pub const ALL: i32 = 31;
}

/// One entry of a stored access control list. Bits of `perms` beyond [`perms::ALL`] are kept as given.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the fields are ZooKeeper's own")]
pub struct Acl {
    pub perms: i32,
    pub scheme: Box<str>,
    pub id: Box<str>,
}

impl Acl {
    /// Appends the entry with `id` as it stands.
    pub fn encode(&self, out: &mut Writer<'_>) {
        out.int(self.perms);
        out.text(&self.scheme);
        out.text(&self.id);
    }

    /// Reads an entry of a stored list, where nothing may be null.
    pub fn decode(reader: &mut Reader<'_>) -> Result<Acl, DecodeError> {
        Ok(Acl { perms: reader.int()?, scheme: reader.text()?.into(), id: reader.text()?.into() })
    }
}

/// A stored access control list: immutable and shared by every node that has it. The list that lets everybody
/// do everything, which most nodes have, is not counted, so that cores don't contend for its count.
#[derive(Clone, Debug)]
pub struct AclRef(Option<Arc<Box<[Acl]>>>);

impl AclRef {
    /// A list of its own; `acl::Interner` makes equal lists share one.
    pub fn new(entries: impl Into<Box<[Acl]>>) -> AclRef {
        let entries = entries.into();
        AclRef((entries[..] != OPEN[..]).then(|| Arc::new(entries)))
    }

    /// The list that lets everybody do everything.
    pub fn open() -> AclRef {
        AclRef(None)
    }

    /// Whether nothing but `self` holds the list.
    pub fn is_unshared(&self) -> bool {
        self.0.as_ref().is_some_and(Arc::is_unique)
    }

    /// Appends the list as jute's vector of entries.
    pub fn encode(&self, out: &mut Writer<'_>) {
        if self.0.is_none() {
            return out.raw(OPEN_ENCODED);
        }
        out.int(self.len() as i32);
        self.iter().for_each(|entry| entry.encode(out));
    }

    /// Reads a stored list, where null counts as empty.
    pub fn decode(reader: &mut Reader<'_>) -> Result<AclRef, DecodeError> {
        if reader.rest().starts_with(OPEN_ENCODED) {
            reader.skip(OPEN_ENCODED.len())?;
            return Ok(AclRef::open());
        }
        let count = reader.count(ENCODED_LEN_MIN)?.unwrap_or(0);
        let entries: Vec<Acl> = (0..count).map(|_| Acl::decode(reader)).collect::<Result<_, _>>()?;
        Ok(AclRef::new(entries))
    }
}

impl Deref for AclRef {
    type Target = [Acl];

    fn deref(&self) -> &[Acl] {
        self.0.as_deref().map_or(&OPEN[..], |entries| entries)
    }
}

impl PartialEq for AclRef {
    fn eq(&self, other: &AclRef) -> bool {
        match (&self.0, &other.0) {
            (Some(own), Some(others)) => Arc::ptr_eq(own, others) || own == others,
            (own, others) => own.is_none() && others.is_none(),
        }
    }
}

impl Eq for AclRef {}

impl Hash for AclRef {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

/// Who a connection is, under one scheme: what an auth packet, an address or a certificate proved.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the fields are ZooKeeper's own")]
pub struct Identity {
    pub scheme: Box<str>,
    pub id: Box<str>,
}

/// One entry of an ACL list in a request, before it is checked: scheme and id may be null.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the fields are ZooKeeper's own")]
pub struct RequestAcl<'a> {
    pub perms: i32,
    pub scheme: Option<Cow<'a, str>>,
    pub id: Option<Cow<'a, str>>,
}

impl<'a> RequestAcl<'a> {
    fn decode(reader: &mut Reader<'a>) -> Result<RequestAcl<'a>, DecodeError> {
        Ok(RequestAcl { perms: reader.int()?, scheme: reader.ustring()?, id: reader.ustring()? })
    }
}

/// The ACL list of a request, found to be well-formed and not looked into any further: most requests
/// carry one of very few lists, and their bytes are enough to know them again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestAcls<'a>(&'a [u8]);

impl<'a> RequestAcls<'a> {
    /// Reads a list, which may be null.
    pub fn decode(reader: &mut Reader<'a>) -> Result<RequestAcls<'a>, DecodeError> {
        let start = reader.rest();
        let before = reader.offset();
        for _ in 0..reader.count(ENCODED_LEN_MIN)?.unwrap_or(0) {
            reader.int()?;
            reader.buffer()?;
            reader.buffer()?;
        }
        Ok(RequestAcls(&start[..reader.offset() - before]))
    }

    /// Whether the list is null.
    pub fn is_null(&self) -> bool {
        self.0 == (-1i32).to_be_bytes()
    }

    /// The list as the request carries it, its count included.
    pub fn bytes(&self) -> &'a [u8] {
        self.0
    }

    /// The entries; none if the list is null.
    pub fn entries(&self) -> impl Iterator<Item = RequestAcl<'a>> + use<'a> {
        let mut reader = Reader::new(self.0);
        let count = reader.count(ENCODED_LEN_MIN).ok().flatten().unwrap_or(0);
        (0..count).map_while(move |_| RequestAcl::decode(&mut reader).ok())
    }
}

static OPEN: LazyLock<[Acl; 1]> =
    LazyLock::new(|| [Acl { perms: perms::ALL, scheme: "world".into(), id: "anyone".into() }]);
/// As it is encoded, which most transactions have.
const OPEN_ENCODED: &[u8] = b"\0\0\0\x01\0\0\0\x1f\0\0\0\x05world\0\0\0\x06anyone";
const ENCODED_LEN_MIN: usize = 12;
const _: () = assert!(size_of::<AclRef>() == 8);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_open_list_is_known_by_its_bytes_and_every_other_is_read() {
        let list = |perms, id: &str| [Acl { perms, scheme: "world".into(), id: id.into() }];
        for entries in [list(31, "anyone"), list(30, "anyone"), list(31, "anyonE")] {
            let mut bytes = Vec::new();
            let mut out = Writer::new(&mut bytes);
            AclRef::new(entries.clone()).encode(&mut out);
            out.int(7);
            let mut entry_by_entry = 1i32.to_be_bytes().to_vec();
            entries[0].encode(&mut Writer::new(&mut entry_by_entry));
            assert_eq!(bytes[..bytes.len() - 4], entry_by_entry);
            let mut reader = Reader::new(&bytes);
            let read = AclRef::decode(&mut reader).expect("a list");
            assert_eq!((&read[..], read == AclRef::open()), (&entries[..], entries == *OPEN));
            assert_eq!(reader.int(), Ok(7), "what follows");
        }
    }
}
