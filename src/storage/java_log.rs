//! Java's transaction logs: read at a start; cut off where a leader says so ([`cut_off`]); and written for a
//! Java server to go on from ([`LogWriter`]).

mod cut;
mod writer;

use std::fs::{self, File};
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

pub use cut::cut_off;
pub use writer::LogWriter;

use ringkeeper_core::format::java_log::{self, Author, End, LogReader};
use ringkeeper_core::id::Zxid;
use thiserror::Error;
use tracing::{info, warn};

use super::disk::Disk;
use super::mapped::Mapped;

/// The entries of all `log.*` files in a folder, from some zxid on, in order.
pub struct JavaLog {
    /// What has not been read yet, the next file last.
    files: Vec<PathBuf>,
    current: Option<Current>,
    after: Zxid,
    taken: usize,
    /// What was opened, to be made durable.
    opened: Vec<PathBuf>,
}

/// One entry of the log.
pub struct Entry<'a> {
    /// Its zxid.
    pub zxid: Zxid,
    /// Header and transaction.
    pub payload: &'a [u8],
    /// Its file.
    pub path: &'a Path,
    /// Where in it the payload starts.
    pub offset: usize,
    /// Whether nothing of this file was taken before it.
    pub begins: bool,
}

struct Current {
    path: PathBuf,
    /// None where nothing was written.
    author: Option<Author>,
    is_taken: bool,
    file: Mapped,
    /// Where the entries' payloads are, the next one last.
    entries: Vec<(Zxid, Range<usize>)>,
}

/// What is wrong with a file, and where.
pub type Damage = java_log::LogError;

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
        source: Damage,
    },
    /// A file does not continue what was read before it.
    #[error(
        "{}: its first entry that is needed is {first}, but the state before it ends at {state}: what is between \
         is in no file here. A snapshot after {state} is damaged (then a warning above names it) or missing, or \
         an older log.* is: put it back. Nothing has been changed",
        path.display()
    )]
    Gap {
        /// The file.
        path: PathBuf,
        /// Up to where there is everything.
        state: Zxid,
        /// What comes next.
        first: Zxid,
    },
    /// An entry has the zxid of one that was there before, or a lower one.
    #[error(
        "{}: at offset {offset} ({offset:#x}) the transaction {zxid} comes behind {state}: the files are of two \
         histories. Move those of the one away that is not to be. Nothing has been changed", path.display()
    )]
    Back {
        /// The file.
        path: PathBuf,
        /// Where the entry's payload starts.
        offset: usize,
        /// The last that came before.
        state: Zxid,
        /// What comes behind it.
        zxid: Zxid,
    },
}

impl JavaLog {
    /// Finds the files that can hold anything after this zxid.
    pub fn open(dir: &Path, after: Zxid) -> Result<JavaLog, JavaLogError> {
        let mut files = files(dir).map_err(|source| JavaLogError::Io { path: dir.to_owned(), source })?;
        let start = files.iter().rposition(|(first, _)| *first <= after).unwrap_or(0);
        let files = files.drain(start..).rev().map(|(_, path)| path).collect();
        Ok(JavaLog { files, current: None, after, taken: 0, opened: Vec::new() })
    }

    /// The zxid of the next entry.
    pub fn next_zxid(&mut self) -> Result<Option<Zxid>, JavaLogError> {
        while self.current.as_ref().is_none_or(|current| current.entries.is_empty()) {
            if let Some(done) = self.current.take() {
                done.check()?;
            }
            let Some(path) = self.files.pop() else { return Ok(None) };
            self.current = Some(read(&path, self.after)?);
            self.opened.push(path);
        }
        Ok(self.current.as_ref().and_then(|current| current.entries.last()).map(|(zxid, _)| *zxid))
    }

    /// The next entry's payload.
    pub fn next_payload(&mut self) -> Result<Option<&[u8]>, JavaLogError> {
        self.next_zxid()?;
        let next = self.current.as_ref().and_then(|current| Some((current, current.entries.last()?)));
        Ok(next.map(|(current, (_, at))| &current.file[at.clone()]))
    }

    /// The next entry, unless it is after `upto`.
    pub fn next_upto(&mut self, upto: Zxid) -> Result<Option<Entry<'_>>, JavaLogError> {
        self.next_zxid()?;
        let Some(current) = &mut self.current else { return Ok(None) };
        let Some((zxid, at)) = current.entries.pop_if(|(zxid, _)| *zxid <= upto) else {
            return Ok(None);
        };
        self.taken += 1;
        let begins = !std::mem::replace(&mut current.is_taken, true);
        let (path, offset) = (current.path.as_path(), at.start);
        Ok(Some(Entry { zxid, payload: &current.file[at], path, offset, begins }))
    }

    /// Makes the files that were read durable: Java may have died before it had done so itself.
    pub fn sync(&self, disk: &dyn Disk) -> io::Result<()> {
        for path in &self.opened {
            disk.sync(&File::open(path)?)?;
        }
        Ok(())
    }

    /// How many entries were taken.
    pub fn taken(&self) -> usize {
        self.taken
    }
}

/// The files of Java's log in a folder, each with the zxid in its name, in order.
pub fn files(dir: &Path) -> io::Result<Vec<(Zxid, PathBuf)>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if let Some(first) = entry.file_name().to_str().and_then(java_log::parse_file_name) {
            files.push((first, entry.path()));
        }
    }
    files.sort();
    Ok(files)
}

/// The zxid of the last entry; `None` if there is none.
pub fn last_zxid(dir: &Path) -> Result<Option<Zxid>, JavaLogError> {
    last_where(dir, |_| true)
}

/// The zxid of the last entry that Java wrote itself; `None` if there is none.
pub fn javas_last_zxid(dir: &Path) -> Result<Option<Zxid>, JavaLogError> {
    last_where(dir, |author| author == Author::Java)
}

/// The files that ringkeeper wrote, each with the zxid of its last entry.
pub fn handed_over(dir: &Path) -> Result<Vec<(Zxid, PathBuf)>, JavaLogError> {
    let mut found = Vec::new();
    for (_, path) in files(dir).map_err(|source| JavaLogError::Io { path: dir.to_owned(), source })? {
        let current = read(&path, Zxid(i64::MIN))?;
        if let (Some(Author::Ringkeeper), Some((last, _))) = (current.author, current.entries.first()) {
            found.push((*last, path));
        }
    }
    Ok(found)
}

fn last_where(dir: &Path, is_meant: impl Fn(Author) -> bool) -> Result<Option<Zxid>, JavaLogError> {
    let files = files(dir).map_err(|source| JavaLogError::Io { path: dir.to_owned(), source })?;
    for (_, path) in files.iter().rev() {
        let current = read(path, Zxid(i64::MIN))?;
        let last = current.entries.first().filter(|_| current.author.is_some_and(&is_meant));
        if let Some((last, _)) = last {
            return Ok(Some(*last));
        }
    }
    Ok(None)
}

impl Current {
    /// Whether the disk gave all that was taken.
    fn check(&self) -> Result<(), JavaLogError> {
        self.file.check().map_err(|source| JavaLogError::Io { path: self.path.clone(), source })
    }
}

/// The entries of a file with later zxids.
fn read(path: &Path, after: Zxid) -> Result<Current, JavaLogError> {
    let file = Mapped::open(path).map_err(|source| JavaLogError::Io { path: path.to_owned(), source })?;
    let mut entries = Vec::new();
    let read = match LogReader::is_unwritten(&file) {
        true => Ok((None, None)),
        false => collect(&file, after, &mut entries),
    };
    entries.reverse();
    let mut current = Current { path: path.to_owned(), author: None, is_taken: false, file, entries };
    // What seems damaged may just not have been read.
    current.check()?;
    let (author, end) = read.map_err(|source| JavaLogError::Damaged { path: path.to_owned(), source })?;
    current.author = author;
    match end {
        None => {
            info!("{} has no entries: Java ended before it wrote any", path.display());
        }
        Some(End::Torn) => {
            warn!("{}: the last entry was not finished when Java ended, and is left out", path.display());
        }
        _ => {}
    }
    Ok(current)
}

fn collect(
    file: &[u8],
    after: Zxid,
    entries: &mut Vec<(Zxid, Range<usize>)>,
) -> Result<(Option<Author>, Option<End>), Damage> {
    let mut reader = LogReader::new(file)?;
    while let Some(entry) = reader.next_entry()? {
        if entry.zxid > after {
            let start = entry.payload.as_ptr().addr() - file.as_ptr().addr();
            entries.push((entry.zxid, start..start + entry.payload.len()));
        }
    }
    Ok((Some(reader.author()), reader.end()))
}
