use std::fs;
use std::path::{Path, PathBuf};

use ringkeeper_core::format::java_log::{Entry, LogReader};
use ringkeeper_core::id::Zxid;

use super::{Damage, JavaLogError, files};
use crate::storage::disk::{Access, Disk};

/// Drops every entry after `zxid` from Java's log in `dir`.
///
/// What Java wrote is kept in the folder, under a name that nobody takes for a log's: a file of which all goes is
/// renamed, and of one that loses its end there is a whole copy before a shorter one takes its place. So a Java
/// server that comes back finds what one would have made of the same TRUNC, and a start of ours needs to know of
/// nothing but the files.
///
/// When this returns it is durable. A crash before leaves the log as it was, or without some of its last
/// entries, but with every one up to `zxid`: files go from the last on, each durably before the next.
///
/// # Errors
///
/// If something in the log is damaged, when nothing has been changed, or what the operating system says.
pub fn cut_off(disk: &dyn Disk, dir: &Path, zxid: Zxid) -> Result<(), JavaLogError> {
    let files = files(dir).map_err(io(dir))?;
    let mut cuts = Vec::new();
    for (first, path) in files.into_iter().rev() {
        match first > zxid {
            true => cuts.push(Cut { path, shorter: None }),
            false => {
                let bytes = fs::read(&path).map_err(io(&path))?;
                let shorter = upto(&bytes, zxid).map_err(|source| damaged(&path, source))?;
                if let Some(shorter) = shorter {
                    cuts.push(Cut { path, shorter: Some(shorter) });
                }
                // An older file is as a crash left it, or it ends before this one begins.
                break;
            }
        }
    }
    for cut in &cuts {
        cut.perform(disk, dir)?;
        tracing::warn!("{}: its entries after {zxid} are dropped, and kept aside", cut.path.display());
    }
    Ok(())
}

/// What is done with one file.
struct Cut {
    path: PathBuf,
    /// What takes its place.
    shorter: Option<Vec<u8>>,
}

impl Cut {
    fn perform(&self, disk: &dyn Disk, dir: &Path) -> Result<(), JavaLogError> {
        let Cut { path, shorter } = self;
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let aside = dir.join(format!("{OUTVOTED}{name}"));
        let moved =
            |from: &Path, to: &Path| disk.rename(from, to).and_then(|()| disk.sync_dir(dir)).map_err(io(to));
        let Some(shorter) = shorter else { return moved(path, &aside) };
        let unfinished = dir.join(UNFINISHED);
        let write = |bytes: &[u8]| {
            let file = disk.create(&unfinished, Access::Buffered)?;
            disk.write_at(&file, bytes, 0)?;
            disk.sync(&file)
        };
        let whole = fs::read(path).map_err(io(path))?;
        // After a cut before this one, or a crash, there is a longer copy already.
        if !fs::read(&aside).is_ok_and(|kept| kept.starts_with(&whole)) {
            write(&whole).map_err(io(&unfinished))?;
            moved(&unfinished, &aside)?;
        }
        write(shorter).map_err(io(&unfinished))?;
        moved(&unfinished, path)
    }
}

/// The file without the entries after `zxid`; `None` if there are none.
fn upto(file: &[u8], zxid: Zxid) -> Result<Option<Vec<u8>>, Damage> {
    if LogReader::is_unwritten(file) {
        return Ok(None);
    }
    let (mut reader, mut end) = (LogReader::new(file)?, None);
    while let Some(Entry { offset, zxid: entry, .. }) = reader.next_entry()? {
        if entry > zxid {
            end = end.or(Some(offset));
        }
    }
    Ok(end.map(|end| file[..end].to_vec()))
}

fn io(path: &Path) -> impl FnOnce(std::io::Error) -> JavaLogError {
    let path = path.to_owned();
    |source| JavaLogError::Io { path, source }
}

fn damaged(path: &Path, source: Damage) -> JavaLogError {
    JavaLogError::Damaged { path: path.to_owned(), source }
}

/// Neither we nor Java take these for logs.
const OUTVOTED: &str = "ringkeeper.outvoted.";
const UNFINISHED: &str = "ringkeeper.log.unfinished";
