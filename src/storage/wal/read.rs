use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use ringkeeper_core::format::wal::{
    self as format, BLOCK_LEN, Corruption, Reason, Record, Recovery, RecoveryError, SegmentHeader,
};
use ringkeeper_core::id::Zxid;
use rustix::fs::Advice;
use thiserror::Error;

use super::segment::Name;

/// A log that has been read, and not changed in any way yet.
pub struct ReadLog {
    pub(super) dir: PathBuf,
    pub(super) files: Vec<SegmentFile>,
    pub(super) recovered: format::Recovered,
}

impl ReadLog {
    /// The zxid of the last record; [`Zxid::ZERO`] if there is none.
    pub fn last(&self) -> Zxid {
        self.recovered.chain.last
    }
}

/// A segment file with a sound header.
pub(super) struct SegmentFile {
    pub(super) path: PathBuf,
    pub(super) name: Name,
    pub(super) header: SegmentHeader,
}

/// Why a log can't be used. Nothing in it has been changed, unless the operating system refused something
/// while the log was made ready: then what a crash had torn may have been cut, and nothing else.
#[derive(Debug, Error)]
pub enum RecoverError {
    /// The operating system refused something.
    #[error("can't {doing} {}: {source}", file.display())]
    Io {
        /// What was tried.
        doing: &'static str,
        /// On which file or folder.
        file: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
    /// What was once synced has changed, or is gone.
    #[error("{}, {what}. {}", file.display(), advice(what.reason))]
    Corrupt {
        /// The damaged file.
        file: PathBuf,
        /// The damage in it.
        what: Corruption,
    },
    /// A file has the name of another.
    #[error(
        "{}: the first record in it is {first}, after which it was named. Give it the name wal.{:016x} again, \
         or put the file of that name back; nothing has been changed", file.display(), first.0
    )]
    Misnamed {
        /// The file.
        file: PathBuf,
        /// What it should be named after.
        first: Zxid,
    },
    /// A record is whole, and its reader makes nothing of it.
    #[error("{}, record {zxid} of the batch at offset {offset}: {source}", file.display())]
    Refused {
        /// The file.
        file: PathBuf,
        /// Where the record's batch starts.
        offset: u64,
        /// The record.
        zxid: Zxid,
        /// What its reader says.
        source: BoxError,
    },
}

/// Why the reader of a record refuses it.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Reads the log in `dir` (`<dataLogDir>/version-2`, which must exist) and hands each record to `each`, in
/// order. Changes nothing.
///
/// A log that has lost its older segments begins with a later record: `each` sees in [`Record::after`]
/// which state that continues, and refuses if there is no such state. Files that are not the log's own, such
/// as Java's `log.*`, are left alone.
pub fn read(
    dir: &Path,
    mut each: impl FnMut(Record<'_>) -> Result<(), BoxError>,
) -> Result<ReadLog, RecoverError> {
    let files = find_segments(dir)?;
    let mut recovery = Recovery::default();
    let mut bytes = Vec::new();
    for (index, file) in files.iter().enumerate() {
        bytes.clear();
        let opened = File::open(&file.path).map_err(io_error("open", &file.path))?;
        opened.take(file.header.len).read_to_end(&mut bytes).map_err(io_error("read", &file.path))?;
        if let Some(next) = files.get(index + 1) {
            // The disk reads it while `each` is busy with this one.
            let opened = File::open(&next.path).map_err(io_error("open", &next.path))?;
            rustix::fs::fadvise(&opened, 0, None, Advice::WillNeed)
                .map_err(|err| io_error("read", &next.path)(err.into()))?;
        }
        let is_named = matches!(file.name, Name::First(_));
        recovery.read(&bytes, is_named, &mut each).map_err(|err| match err {
            RecoveryError::Corrupt { segment, what } => {
                RecoverError::Corrupt { file: files[segment].path.clone(), what }
            }
            RecoveryError::Refused { segment, offset, zxid, source } => {
                RecoverError::Refused { file: files[segment].path.clone(), offset, zxid, source }
            }
        })?;
    }
    let recovered = recovery.finish();
    check_names(&files, &recovered.firsts)?;
    Ok(ReadLog { dir: dir.to_owned(), files, recovered })
}

/// The segments in a folder, in the order of their numbers.
fn find_segments(dir: &Path) -> Result<Vec<SegmentFile>, RecoverError> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(dir).map_err(io_error("list", dir))? {
        let entry = entry.map_err(io_error("list", dir))?;
        let path = entry.path();
        match entry.file_name().to_str().and_then(Name::parse) {
            None | Some(Name::Unfinished | Name::Spare(_)) => {}
            Some(name) => {
                let header = read_header(&path)?;
                let file = SegmentFile { path, name, header };
                if let Some(twin) = found.insert(header.number, file) {
                    return Err(twins(twin, &found[&header.number]));
                }
            }
        }
    }
    Ok(found.into_values().collect())
}

fn read_header(path: &Path) -> Result<SegmentHeader, RecoverError> {
    let mut block = Vec::with_capacity(BLOCK_LEN);
    let file = File::open(path).map_err(io_error("open", path))?;
    file.take(BLOCK_LEN as u64).read_to_end(&mut block).map_err(io_error("read", path))?;
    SegmentHeader::decode(&block).map_err(|what| RecoverError::Corrupt { file: path.to_owned(), what })
}

fn twins(one: SegmentFile, other: &SegmentFile) -> RecoverError {
    let what = Corruption {
        offset: 0,
        reason: Reason::SegmentNumber,
        stored: one.header.number,
        computed: other.header.number + 1,
        proof: None,
    };
    RecoverError::Corrupt { file: one.path, what }
}

/// Which segments may be retired is told by their names, so these must be true.
fn check_names(files: &[SegmentFile], firsts: &[Option<Zxid>]) -> Result<(), RecoverError> {
    for (file, first) in files.iter().zip(firsts) {
        if let (Name::First(named), Some(first)) = (file.name, *first)
            && named != first
        {
            return Err(RecoverError::Misnamed { file: file.path.clone(), first });
        }
    }
    Ok(())
}

pub(super) fn io_error(doing: &'static str, file: &Path) -> impl FnOnce(io::Error) -> RecoverError {
    move |source| RecoverError::Io { doing, file: file.to_owned(), source }
}

fn advice(reason: Reason) -> &'static str {
    match reason {
        Reason::Version => "Start the version of ringkeeper that wrote it",
        Reason::SegmentNumber => {
            "A file of the log is missing or comes twice. Put back what was moved or deleted; nothing has been \
             changed"
        }
        _ => {
            "The disk does not hold what it had confirmed, or the file was changed by other hands; nothing has \
             been changed now, and acknowledged writes may be lost. Check the disk. In an ensemble that has a \
             quorum without this server, move version-2 of dataDir and of dataLogDir away and start again: \
             the leader sends everything. Otherwise restore a backup"
        }
    }
}
