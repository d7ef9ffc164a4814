use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ringkeeper_core::durable::Durable;
use ringkeeper_core::format::wal::{
    self as format, BLOCK_LEN, Corruption, Cursor, Reason, Recovery, RecoveryError, SegmentHeader, Sync,
};
use ringkeeper_core::id::Zxid;
use rustix::fs::Advice;
use thiserror::Error;

use super::Options;
use super::preparer::{self, Coming, Preparer};
use super::probe::{Access, Method};
use super::segment::{self, Name};
use super::stats::WalStats;

/// A log that has been read, is durable as far as it was read, and is ready to be written.
pub struct Recovered {
    pub(super) dir: PathBuf,
    pub(super) options: Options,
    pub(super) method: Method,
    pub(super) cursor: Cursor,
    pub(super) active: PathBuf,
    /// Whether the active segment has no record, and so no name, yet.
    pub(super) is_empty: bool,
    pub(super) preparer: Preparer,
    pub(super) next: Option<Coming>,
    pub(super) stats: Arc<WalStats>,
}

impl Recovered {
    /// What the log will do, for other threads to read.
    pub fn stats(&self) -> Arc<WalStats> {
        self.stats.clone()
    }

    /// The promise for everything that was read: [`Zxid::ZERO`] for an empty log.
    pub fn durable(&self) -> Durable {
        Durable::promised_by_the_log(self.cursor.chain().last)
    }
}

/// Why a log can't be used. Nothing in it has been changed.
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
pub type BoxError = Box<dyn std::error::Error + Send + std::marker::Sync>;

/// Reads the log in `dir` (`<dataLogDir>/version-2`, which must exist), hands each record to `each`, in
/// order, and makes the log ready to be written: cuts off what a crash has torn, with a warning, sees that
/// all that was read is durable, asks the device how it is best written, and starts the thread that
/// prepares segments.
///
/// Blocks for as long as that takes. Call it before serving, from a thread that may run on any CPU. Files
/// that are not its own, such as Java's `log.*`, are left alone.
pub fn recover(
    dir: &Path,
    options: Options,
    each: impl FnMut(Zxid, &[u8]) -> Result<(), BoxError>,
) -> Result<Recovered, RecoverError> {
    let files = find_segments(dir)?;
    let recovered = read(&files, each)?;
    cut(&files, &recovered.cuts)?;
    for file in &files {
        // Also what a crashed server read back before it was durable must not be lost after this one did.
        let opened = File::open(&file.path).map_err(io_error("open", &file.path))?;
        opened.sync_data().map_err(io_error("sync", &file.path))?;
        segment::drop_cached(&opened).map_err(io_error("sync", &file.path))?;
    }
    make_ready(dir, options, files, recovered)
}

/// A segment file with a sound header.
struct SegmentFile {
    path: PathBuf,
    name: Name,
    header: SegmentHeader,
}

/// The segments in a folder, in the order of their numbers.
fn find_segments(dir: &Path) -> Result<Vec<SegmentFile>, RecoverError> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(dir).map_err(io_error("list", dir))? {
        let entry = entry.map_err(io_error("list", dir))?;
        let path = entry.path();
        match entry.file_name().to_str().and_then(Name::parse) {
            None => {}
            Some(Name::Unfinished) => fs::remove_file(&path).map_err(io_error("remove", &path))?,
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

fn read(
    files: &[SegmentFile],
    mut each: impl FnMut(Zxid, &[u8]) -> Result<(), BoxError>,
) -> Result<format::Recovered, RecoverError> {
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
    Ok(recovery.finish())
}

fn cut(files: &[SegmentFile], cuts: &[format::Cut]) -> Result<(), RecoverError> {
    for cut in cuts {
        let path = &files[cut.segment].path;
        tracing::warn!(
            "{}: the write at offset {} was not finished when the server stopped; nobody was told that it was. \
             It is discarded, up to offset {}.{}",
            path.display(),
            cut.offset,
            cut.end,
            if cut.holes {
                " Later writes are discarded with it: that is the risk of forceSync=no."
            } else {
                ""
            }
        );
        let file = OpenOptions::new().write(true).open(path).map_err(io_error("open", path))?;
        segment::zero(&file, cut.offset..cut.end).map_err(io_error("zero the torn end of", path))?;
    }
    Ok(())
}

fn make_ready(
    dir: &Path,
    options: Options,
    mut files: Vec<SegmentFile>,
    recovered: format::Recovered,
) -> Result<Recovered, RecoverError> {
    let method = Method::find(dir, options.force_sync).map_err(io_error("probe the device of", dir))?;
    let chain = recovered.chain;
    let sync = if options.force_sync { Sync::Promised } else { Sync::Waived };

    if let Some((tail, _)) = recovered.tail
        && files[tail].name == Name::Next
        && let Some(first) = recovered.firsts[tail]
    {
        let name = Name::First(first);
        segment::rename(dir, Name::Next, name).map_err(io_error("name", &files[tail].path))?;
        files[tail].path = name.path_in(dir);
    }
    let preparer = Preparer::start(dir, method.access).map_err(io_error("prepare segments in", dir))?;

    let (cursor, active, next) = match (recovered.tail, recovered.spare) {
        (Some((tail, end)), spare) => {
            let header = files[tail].header;
            let next = match spare {
                Some(spare) => preparer::ready(files[spare].header),
                None => preparer.prepare(None, header.number + 1, options.segment_len()),
            };
            (Cursor::resume(header, end, chain, sync), files[tail].path.clone(), Some(next))
        }
        (None, spare) => {
            let header = match spare {
                Some(spare) => files[spare].header,
                None => first_segment(dir, options, method.access)?,
            };
            (Cursor::at_start(header, chain, sync), Name::Next.path_in(dir), None)
        }
    };
    let is_empty = recovered.tail.is_none();
    Ok(Recovered {
        dir: dir.to_owned(),
        options,
        method,
        cursor,
        active,
        is_empty,
        preparer,
        next,
        stats: Arc::default(),
    })
}

fn first_segment(dir: &Path, options: Options, access: Access) -> Result<SegmentHeader, RecoverError> {
    segment::create(dir, 0, options.segment_len(), access, || Ok(())).map_err(io_error("make a log in", dir))
}

fn io_error(doing: &'static str, file: &Path) -> impl FnOnce(io::Error) -> RecoverError {
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
