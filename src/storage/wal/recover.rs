use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ringkeeper_core::durable::Durable;
use ringkeeper_core::format::wal::{self as format, Cursor, Record, SegmentHeader, Sync};
use ringkeeper_core::id::Zxid;

use super::Options;
use super::preparer::{self, Coming, Preparer, WalHandle};
use super::probe::Method;
use super::read::{BoxError, ReadLog, RecoverError, SegmentFile, io_error, read};
use super::segment::{self, Name, Segments};
use super::stats::WalStats;
use crate::storage::disk::{Disk, Os};

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

    /// The promise for everything that was read, and for the state that the log was said to continue:
    /// [`Zxid::ZERO`] if there is neither.
    pub fn durable(&self) -> Durable {
        Durable::promised_by_the_log(self.cursor.chain().last)
    }

    /// How others tell the log, as long as it lives, what it need not keep any more.
    pub fn handle(&self) -> WalHandle {
        self.preparer.handle()
    }
}

/// Reads the log in `dir` with [`read`] and makes it ready to be written, as [`ReadLog::make_ready`] does, in
/// continuation of its last record.
pub fn recover(
    dir: &Path,
    options: Options,
    each: impl FnMut(Record<'_>) -> Result<(), BoxError>,
) -> Result<Recovered, RecoverError> {
    let log = read(dir, each)?;
    let state = log.last();
    log.make_ready(Arc::new(Os), options, state)
}

impl ReadLog {
    /// Makes the log ready to be written: cuts off what a crash has torn, with a warning, sees that all that
    /// was read is durable, asks the device how it is best written, and starts the thread that prepares
    /// segments. Blocks for as long as that takes. Call it before serving, from a thread that may run on any
    /// CPU.
    ///
    /// `state` is what the first record to be written continues. It may be beyond the log's end, if it came
    /// from a snapshot or from Java's log; then it must be durable there.
    ///
    /// # Panics
    ///
    /// If `state` is before the log's last record: cut that off first.
    pub fn make_ready(
        self,
        disk: Arc<dyn Disk>,
        options: Options,
        state: Zxid,
    ) -> Result<Recovered, RecoverError> {
        let method = Method::find(&self.dir, options.force_sync)
            .map_err(io_error("probe the device of", &self.dir))?;
        let segments = Segments::new(disk, &self.dir, method.access);
        let mended = self.mend(&segments)?;
        start(segments, options, method, mended, state)
    }

    /// Cuts off what a crash has torn, with a warning, gives the segment that has no name yet its own, and
    /// sees that all that was read is durable: whatever crash comes next, it will be read again.
    pub fn mend(mut self, segments: &Segments) -> Result<ReadLog, RecoverError> {
        let dir = &self.dir;
        segments.remove_unfinished().map_err(io_error("remove what was unfinished in", dir))?;
        cut(segments, &self.files, &self.recovered.cuts)?;
        for file in &self.files {
            // Also what a crashed server read back before it was durable must not be lost after this one did.
            let opened = File::open(&file.path).map_err(io_error("open", &file.path))?;
            segments.disk.sync(&opened).map_err(io_error("sync", &file.path))?;
            segment::drop_cached(&opened).map_err(io_error("sync", &file.path))?;
        }
        segments.disk.sync_dir(dir).map_err(io_error("sync", dir))?;
        if let Some((tail, _)) = self.recovered.tail
            && self.files[tail].name == Name::Next
            && let Some(first) = self.recovered.firsts[tail]
        {
            let (file, name) = (&mut self.files[tail], Name::First(first));
            segments.rename(Name::Next, name).map_err(io_error("name", &file.path))?;
            (file.path, file.name) = (name.path_in(dir), name);
        }
        self.recovered.cuts.clear();
        Ok(self)
    }
}

fn cut(segments: &Segments, files: &[SegmentFile], cuts: &[format::Cut]) -> Result<(), RecoverError> {
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
        segments.zero(path, cut.offset..cut.end).map_err(io_error("zero the torn end of", path))?;
    }
    Ok(())
}

fn start(
    segments: Segments,
    options: Options,
    method: Method,
    log: ReadLog,
    state: Zxid,
) -> Result<Recovered, RecoverError> {
    let ReadLog { dir, files, recovered } = log;
    let chain = recovered.chain;
    let sync = if options.force_sync { Sync::Promised } else { Sync::Waived };
    let is_empty = recovered.tail.is_none();
    let first = match recovered.spare {
        None if is_empty => Some(first_segment(&segments, options)?),
        _ => None,
    };
    let preparer = Preparer::start(segments).map_err(io_error("prepare segments in", &dir))?;

    let spare = recovered.spare.map(|spare| files[spare].header);
    let (mut cursor, active, next) = match recovered.tail {
        Some((tail, end)) => {
            let header = files[tail].header;
            let next = match spare {
                Some(spare) => preparer::ready(spare),
                None => preparer.prepare(None, header.number + 1, options.segment_len()),
            };
            (Cursor::resume(header, end, chain, sync), files[tail].path.clone(), Some(next))
        }
        None => {
            let header = first.or(spare).expect("an empty log has a prepared segment");
            (Cursor::at_start(header, chain, sync), Name::Next.path_in(&dir), None)
        }
    };
    cursor.skip_to(state);
    // Whoever watches the room looks before the log is open.
    let stats = Arc::<WalStats>::default();
    stats.on_room(cursor.room());
    if let Some(spare) = spare.filter(|_| !is_empty) {
        stats.on_next(spare.room());
    }
    Ok(Recovered { dir, options, method, cursor, active, is_empty, preparer, next, stats })
}

fn first_segment(segments: &Segments, options: Options) -> Result<SegmentHeader, RecoverError> {
    let dir = &segments.dir;
    segments.make(0, options.segment_len(), || Ok(())).map_err(io_error("make a log in", dir))
}
