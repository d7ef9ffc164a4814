//! Which files there are, and what each is.

use std::borrow::Cow;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use ringkeeper_core::format::java_log;
use ringkeeper_core::format::snapshot::{Compression, SnapshotName};
use ringkeeper_core::id::Zxid;

use super::ToolError;
use crate::storage::wal::SegmentName;

/// What a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// A snapshot, whoever wrote it.
    Snapshot(Compression),
    /// Java's log.
    JavaLog,
    /// A segment of our log.
    Segment {
        /// Whether its name is that of its first record.
        is_named: bool,
    },
}

/// A file to look at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct DataFile {
    pub(super) path: PathBuf,
    pub(super) kind: Kind,
    /// The zxid in its name, if its name says one.
    pub(super) zxid: Option<Zxid>,
}

impl DataFile {
    pub(super) fn is_snapshot(&self) -> bool {
        matches!(self.kind, Kind::Snapshot(_))
    }

    /// The path, for people and JSON.
    pub(super) fn name(&self) -> Cow<'_, str> {
        self.path.to_string_lossy()
    }

    /// What its kind is called.
    pub(super) fn format(&self) -> &'static str {
        match self.kind {
            Kind::Snapshot(Compression::None) => "snapshot",
            Kind::Snapshot(Compression::Gzip) => "snapshot-gzip",
            Kind::Snapshot(Compression::Snappy) => "snapshot-snappy",
            Kind::JavaLog => "java-log",
            Kind::Segment { .. } => "wal",
        }
    }
}

/// One file, or those of a folder: snapshots first, then Java's logs, then ours, each by zxid. A folder may
/// be `dataDir` or `dataLogDir`, or `version-2` in it.
pub(super) fn find(path: &Path) -> Result<Vec<DataFile>, ToolError> {
    let metadata = fs::metadata(path).map_err(ToolError::io("open", path))?;
    if !metadata.is_dir() {
        return Ok(vec![tell(path)?]);
    }
    let found = list(&folder(path))?;
    if found.is_empty() { Err(ToolError::Empty(path.to_owned())) } else { Ok(found) }
}

/// `version-2` in a folder, or the folder itself if it has none.
pub(super) fn folder(path: &Path) -> PathBuf {
    let inner = path.join("version-2");
    if inner.is_dir() { inner } else { path.to_owned() }
}

/// The files of a folder whose names say what they are.
pub(super) fn list(folder: &Path) -> Result<Vec<DataFile>, ToolError> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).map_err(ToolError::io("list", folder))? {
        let path = entry.map_err(ToolError::io("list", folder))?.path();
        found.extend(named(&path));
    }
    found.sort_by(|one, other| key(one).cmp(&key(other)));
    Ok(found)
}

/// What a file is by its name, or else by its content: somebody may have copied it elsewhere.
fn tell(path: &Path) -> Result<DataFile, ToolError> {
    if let Some(file) = named(path) {
        return Ok(file);
    }
    let mut start = Vec::new();
    let file = File::open(path).map_err(ToolError::io("open", path))?;
    file.take(8).read_to_end(&mut start).map_err(ToolError::io("read", path))?;
    let kind = match &start[..] {
        [b'Z', b'K', b'S', b'N', ..] => Kind::Snapshot(Compression::None),
        [b'Z', b'K', b'L', b'G', ..] => Kind::JavaLog,
        [b'R', b'K', b'W', b'L', ..] => Kind::Segment { is_named: false },
        start if Compression::Gzip.seems_whole(start) => Kind::Snapshot(Compression::Gzip),
        start if Compression::Snappy.seems_whole(start) => Kind::Snapshot(Compression::Snappy),
        _ => return Err(ToolError::Unknown(path.to_owned())),
    };
    Ok(DataFile { path: path.to_owned(), kind, zxid: None })
}

fn named(path: &Path) -> Option<DataFile> {
    let name = path.file_name()?.to_str()?;
    let file = |kind, zxid| Some(DataFile { path: path.to_owned(), kind, zxid });
    if let Some(name) = SnapshotName::parse(name) {
        return file(Kind::Snapshot(name.compression), Some(name.zxid));
    }
    if let Some(zxid) = java_log::parse_file_name(name) {
        return file(Kind::JavaLog, Some(zxid));
    }
    match SegmentName::parse(name)? {
        SegmentName::First(zxid) => file(Kind::Segment { is_named: true }, Some(zxid)),
        SegmentName::Next => file(Kind::Segment { is_named: false }, None),
        // Neither has content: one has none yet, the other none any more.
        SegmentName::Unfinished | SegmentName::Spare(_) => None,
    }
}

/// The order of files; what has no zxid in its name is the segment that is prepared, and comes last.
fn key(file: &DataFile) -> (u8, bool, Option<Zxid>, &Path) {
    let kind = match file.kind {
        Kind::Snapshot(_) => 0,
        Kind::JavaLog => 1,
        Kind::Segment { .. } => 2,
    };
    (kind, file.zxid.is_none(), file.zxid, &file.path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_lists_snapshots_then_javas_logs_then_ours_each_by_zxid() {
        let dir = tempfile::tempdir().unwrap();
        let inner = dir.path().join("version-2");
        fs::create_dir(&inner).unwrap();
        for name in [
            "wal.next",
            "wal.tmp",
            "wal.0000000000000010",
            "log.f",
            "log.10",
            "snapshot.a.gz",
            "snapshot.2",
            "snapshot.5.tmp",
            "acceptedEpoch",
        ] {
            fs::write(inner.join(name), "").unwrap();
        }
        let found = find(dir.path()).unwrap();
        assert_eq!(found, find(&inner).unwrap());
        let names: Vec<_> =
            found.iter().map(|file| file.path.file_name().unwrap().to_str().unwrap()).collect();
        let expected = ["snapshot.2", "snapshot.a.gz", "log.f", "log.10", "wal.0000000000000010", "wal.next"];
        assert_eq!(names, expected);
    }

    #[test]
    fn a_file_of_another_name_is_known_by_its_content_and_a_stranger_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("copy");
        for (content, kind) in [
            (&b"ZKSN"[..], Some(Kind::Snapshot(Compression::None))),
            (b"ZKLG\0\0", Some(Kind::JavaLog)),
            (b"\x1f\x8b\x08", Some(Kind::Snapshot(Compression::Gzip))),
            (b"", None),
            (b"PK", None),
        ] {
            fs::write(&path, content).unwrap();
            match (find(&path), kind) {
                (Ok(found), Some(kind)) => assert_eq!(found[0].kind, kind),
                (Err(ToolError::Unknown(named)), None) => assert_eq!(named, path),
                (other, _) => panic!("{other:?}"),
            }
        }
        assert!(matches!(find(&dir.path().join("absent")), Err(ToolError::Io { .. })));
    }
}
