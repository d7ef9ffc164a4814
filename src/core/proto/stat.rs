use crate::id::Zxid;
use crate::jute::Writer;

/// A znode's `Stat` as clients see it, 68 bytes on the wire (client-protocol §5, data records).
///
/// `cversion` counts creates and deletes of children; `ephemeral_owner` is zero for containers and
/// TTL nodes. The stored forms of both differ, see `tree`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "the fields are ZooKeeper's own")]
pub struct Stat {
    pub czxid: Zxid,
    pub mzxid: Zxid,
    pub ctime: i64,
    pub mtime: i64,
    pub version: i32,
    pub cversion: i32,
    pub aversion: i32,
    pub ephemeral_owner: i64,
    pub data_length: i32,
    pub num_children: i32,
    pub pzxid: Zxid,
}

impl Stat {
    /// Appends the 68 bytes.
    pub fn encode(&self, out: &mut Writer<'_>) {
        out.long(self.czxid.0);
        out.long(self.mzxid.0);
        out.long(self.ctime);
        out.long(self.mtime);
        out.int(self.version);
        out.int(self.cversion);
        out.int(self.aversion);
        out.long(self.ephemeral_owner);
        out.int(self.data_length);
        out.int(self.num_children);
        out.long(self.pzxid.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stat_takes_68_bytes_with_pzxid_last() {
        let mut out = Vec::new();
        Stat { czxid: Zxid(1), pzxid: Zxid(2), ..Stat::default() }.encode(&mut Writer::new(&mut out));
        assert_eq!(out.len(), 68);
        assert_eq!((out[7], out[67]), (1, 2));
    }
}
