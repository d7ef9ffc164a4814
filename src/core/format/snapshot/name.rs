use std::fmt;

use super::compression::Compression;
use crate::format::name::parse_zxid;
use crate::id::Zxid;

/// What the name of a snapshot says: `snapshot.<zxid in hex>`, with `.gz` or `.snappy` if compressed.
///
/// Ordered by zxid. Prints as the name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SnapshotName {
    /// Everything up to here is in the snapshot.
    pub zxid: Zxid,
    /// How the file is compressed.
    pub compression: Compression,
}

impl SnapshotName {
    /// Reads a file's name; `None` if it is no snapshot's. Names with anything else behind the zxid are
    /// not: Java takes its own `snapshot.<zxid>.tmp` for a snapshot, which was not finished.
    pub fn parse(name: &str) -> Option<SnapshotName> {
        let rest = name.strip_prefix("snapshot.")?;
        let (hex, compression) = match rest.split_once('.') {
            None => (rest, Compression::None),
            Some((hex, "gz")) => (hex, Compression::Gzip),
            Some((hex, "snappy")) => (hex, Compression::Snappy),
            Some(_) => return None,
        };
        Some(SnapshotName { zxid: parse_zxid(hex)?, compression })
    }
}

impl fmt::Display for SnapshotName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "snapshot.{:x}{}", self.zxid.0, self.compression.extension())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_read_back_as_they_are_written() {
        for (text, zxid, compression) in [
            ("snapshot.0", 0, Compression::None),
            ("snapshot.100000001", 0x1_0000_0001, Compression::None),
            ("snapshot.7fffffffffffffff.gz", i64::MAX, Compression::Gzip),
            ("snapshot.ab.snappy", 0xab, Compression::Snappy),
        ] {
            let name = SnapshotName { zxid: Zxid(zxid), compression };
            assert_eq!(SnapshotName::parse(text), Some(name));
            assert_eq!(name.to_string(), text);
        }
        assert_eq!(SnapshotName::parse("snapshot.0A").map(|name| name.zxid), Some(Zxid(10)));
    }

    #[test]
    fn other_names_are_no_snapshots() {
        for text in [
            "snapshot",
            "snapshot.",
            "snapshot.x",
            "snapshot.-1",
            "snapshot.+1",
            "snapshot.8000000000000000",
            "snapshot.5.tmp",
            "snapshot.5.gz.tmp",
            "snapshot.5.GZ",
            "log.5",
            "asnapshot.5",
        ] {
            assert_eq!(SnapshotName::parse(text), None, "{text}");
        }
    }
}
