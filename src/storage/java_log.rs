//! Java's transaction logs, as far as a start needs them: read, never changed.

use std::fs;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

use ringkeeper_core::format::java_log::{self, End, LogReader};
use ringkeeper_core::id::Zxid;
use thiserror::Error;
use tracing::{info, warn};

use super::mapped::Mapped;

/// The entries of all `log.*` files in a folder, from some zxid on, in order.
pub struct JavaLog {
    /// What has not been read yet, the next file last.
    files: Vec<PathBuf>,
    current: Option<Current>,
    after: Zxid,
    taken: usize,
}

/// One entry.
pub struct Taken<'a> {
    /// The file that it is in.
    pub path: &'a Path,
    /// Where its payload starts.
    pub offset: usize,
    /// The zxid in its header.
    pub zxid: Zxid,
    /// Header and transaction.
    pub payload: &'a [u8],
}

struct Current {
    path: PathBuf,
    file: Mapped,
    /// Where the entries' payloads are, the next one last.
    entries: Vec<(Zxid, Range<usize>)>,
}

/// Why Java's log cannot be read.
#[derive(Debug, Error)]
pub enum JavaLogError {
    /// The kernel refuses something.
    #[error("cannot read {}: {source}", path.display())]
    Io {
        /// Which file or folder.
        path: PathBuf,
        /// What the kernel says.
        source: io::Error,
    },
    /// Something is damaged that no crash of Java leaves behind.
    #[error(
        "{}: {source}. No crash leaves that behind; put a good copy of the file back. Nothing has been changed",
        path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What, and where.
        source: java_log::LogError,
    },
}

impl JavaLog {
    /// Finds the files that can hold anything after this zxid.
    pub fn open(dir: &Path, after: Zxid) -> Result<JavaLog, JavaLogError> {
        let io_error = |source| JavaLogError::Io { path: dir.to_owned(), source };
        let mut files = Vec::new();
        for entry in fs::read_dir(dir).map_err(io_error)? {
            let entry = entry.map_err(io_error)?;
            if let Some(first) = entry.file_name().to_str().and_then(java_log::parse_file_name) {
                files.push((first, entry.path()));
            }
        }
        files.sort();
        let start = files.iter().rposition(|(first, _)| *first <= after).unwrap_or(0);
        let files = files.drain(start..).rev().map(|(_, path)| path).collect();
        Ok(JavaLog { files, current: None, after, taken: 0 })
    }

    /// The zxid of the next entry.
    pub fn next_zxid(&mut self) -> Result<Option<Zxid>, JavaLogError> {
        while self.current.as_ref().is_none_or(|current| current.entries.is_empty()) {
            let Some(path) = self.files.pop() else { return Ok(None) };
            self.current = Some(read(path, self.after)?);
        }
        Ok(self.current.as_ref().and_then(|current| current.entries.last()).map(|(zxid, _)| *zxid))
    }

    /// The next entry, unless it is not before `limit`.
    pub fn next_before(&mut self, limit: Option<Zxid>) -> Result<Option<Taken<'_>>, JavaLogError> {
        self.next_zxid()?;
        let Some(current) = &mut self.current else { return Ok(None) };
        match current.entries.pop_if(|(zxid, _)| limit.is_none_or(|limit| *zxid < limit)) {
            Some((zxid, at)) => {
                self.taken += 1;
                let (path, offset) = (current.path.as_path(), at.start);
                Ok(Some(Taken { path, offset, zxid, payload: &current.file[at] }))
            }
            None => Ok(None),
        }
    }

    /// How many entries were taken.
    pub fn taken(&self) -> usize {
        self.taken
    }
}

/// The entries of a file with later zxids.
fn read(path: PathBuf, after: Zxid) -> Result<Current, JavaLogError> {
    let file = match Mapped::open(&path) {
        Ok(file) => file,
        Err(source) => return Err(JavaLogError::Io { path, source }),
    };
    let mut entries = Vec::new();
    if LogReader::is_unwritten(&file) {
        info!("{} has no entries: Java ended before it wrote any", path.display());
        return Ok(Current { path, file, entries });
    }
    match collect(&file, after, &mut entries) {
        Ok(Some(End::Torn)) => {
            warn!("{}: the last entry was not finished when Java ended, and is left out", path.display());
        }
        Ok(_) => {}
        Err(source) => return Err(JavaLogError::Damaged { path, source }),
    }
    entries.reverse();
    Ok(Current { path, file, entries })
}

fn collect(
    file: &[u8],
    after: Zxid,
    entries: &mut Vec<(Zxid, Range<usize>)>,
) -> Result<Option<End>, java_log::LogError> {
    let mut reader = LogReader::new(file)?;
    while let Some(entry) = reader.next_entry()? {
        if entry.zxid > after {
            let start = entry.payload.as_ptr().addr() - file.as_ptr().addr();
            entries.push((entry.zxid, start..start + entry.payload.len()));
        }
    }
    Ok(reader.end())
}
