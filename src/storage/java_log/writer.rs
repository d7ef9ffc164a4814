use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use ringkeeper_core::format::java_log::{self, Author};
use ringkeeper_core::id::Zxid;

use crate::storage::disk::{Access, Disk};

/// Writes Java's log, a file after the other. The files have their names once [`LogWriter::finish`] has returned.
pub struct LogWriter<'d> {
    disk: &'d dyn Disk,
    dir: PathBuf,
    current: Option<Current>,
    /// Files that are whole and durable, by the name that they are to have.
    whole: Vec<(PathBuf, PathBuf)>,
    count: u64,
    longest: usize,
}

struct Current {
    unfinished: PathBuf,
    path: PathBuf,
    file: File,
    unwritten: Vec<u8>,
    len: u64,
}

impl<'d> LogWriter<'d> {
    /// A writer of files in this folder.
    pub fn new(disk: &'d dyn Disk, dir: &Path) -> LogWriter<'d> {
        LogWriter { disk, dir: dir.to_owned(), current: None, whole: Vec::new(), count: 0, longest: 0 }
    }

    /// Writes the next transaction: header and record.
    pub fn push(&mut self, zxid: Zxid, payload: &[u8]) -> io::Result<()> {
        if self.current.as_ref().is_some_and(|current| current.end() >= FILE_LEN) {
            self.close()?;
        }
        let current = match &mut self.current {
            Some(current) => current,
            None => {
                let unfinished = self.dir.join(format!("{UNFINISHED}{}", self.whole.len()));
                let file = self.disk.create(&unfinished, Access::Buffered)?;
                let path = self.dir.join(java_log::file_name(zxid));
                let mut unwritten = Vec::new();
                java_log::encode_header_by(Author::Ringkeeper, &mut unwritten);
                self.current.insert(Current { unfinished, path, file, unwritten, len: 0 })
            }
        };
        java_log::encode_entry(payload, &mut current.unwritten);
        if current.unwritten.len() >= WRITE_LEN {
            current.write(self.disk)?;
        }
        self.count += 1;
        self.longest = self.longest.max(payload.len());
        Ok(())
    }

    /// How many transactions were written.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// How long the longest of them is, in bytes.
    pub fn longest(&self) -> usize {
        self.longest
    }

    /// Gives the files their names, from the first on. When this returns all of it is durable.
    pub fn finish(mut self) -> io::Result<()> {
        self.close()?;
        for (unfinished, path) in &self.whole {
            self.disk.rename(unfinished, path)?;
            self.disk.sync_dir(&self.dir)?;
        }
        Ok(())
    }

    fn close(&mut self) -> io::Result<()> {
        let Some(mut current) = self.current.take() else { return Ok(()) };
        current.write(self.disk)?;
        self.disk.sync(&current.file)?;
        self.whole.push((current.unfinished, current.path));
        Ok(())
    }
}

impl Current {
    fn end(&self) -> u64 {
        self.len + self.unwritten.len() as u64
    }

    fn write(&mut self, disk: &dyn Disk) -> io::Result<()> {
        disk.write_at(&self.file, &self.unwritten, self.len)?;
        self.len = self.end();
        self.unwritten.clear();
        Ok(())
    }
}

/// Neither we nor Java take such a file for a log. What a crash leaves of one is overwritten the next time.
const UNFINISHED: &str = "ringkeeper.log.unfinished.";
/// Java writes files of about this length.
const FILE_LEN: u64 = 64 << 20;
const WRITE_LEN: usize = 1 << 20;
