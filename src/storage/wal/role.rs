use std::future::Future;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use glommio::Task;
use ringkeeper_core::durable::Durable;
use ringkeeper_core::format::wal::{BLOCK_LEN, Cursor, RecordBatch, SegmentHeader, encoded_len};
use ringkeeper_core::id::Zxid;
use thiserror::Error;

use super::Options;
use super::device::LogFile;
use super::preparer::{Coming, Preparer};
use super::probe::{Method, SyncBy};
use super::recover::Recovered;
use super::segment::Name;
use super::stats::WalStats;
use crate::runtime::{Reason, fatal};

/// Where the log gets its batches from. Their zxids increase from each batch to the next.
pub trait Batches {
    /// The next batch, once there is one; `None` when there will be none any more.
    fn next(&mut self) -> impl Future<Output = Option<RecordBatch>>;

    /// The next batch, if there is one now.
    fn try_next(&mut self) -> Option<RecordBatch>;
}

/// The log's role: the only writer of the log, and the only one that promises durability.
///
/// It lives on one executor, on a task queue that is not `Latency::Matters`: the segment thread wakes it
/// from outside. A write is submitted when the executor next turns to its ring, so an executor that the
/// log shares needs short turns.
pub struct Wal {
    dir: PathBuf,
    options: Options,
    method: Method,
    cursor: Cursor,
    active: Active,
    next: Option<Task<io::Result<Segment>>>,
    preparer: Preparer,
    stats: Arc<WalStats>,
}

impl Wal {
    /// Opens a recovered log for writing on the current executor.
    pub async fn open(recovered: Recovered) -> io::Result<Wal> {
        let Recovered { dir, options, method, cursor, active, is_empty, preparer, next, stats } = recovered;
        let file = LogFile::open(&active, method).await?;
        let next = next.map(|coming| open_when_made(coming, Name::Next.path_in(&dir), method, stats.clone()));
        let active = Active { path: active, file, is_empty, first: None };
        Ok(Wal { dir, options, method, cursor, active, next, preparer, stats })
    }

    /// Writes what `inbox` has until it is closed; then the last write has returned and the log is closed.
    ///
    /// One write is in flight at a time and carries everything that came during the one before it, up to
    /// `BATCH_LEN_MAX`. `on_durable` hears of each write that has returned. A write that fails is never
    /// tried again, for nobody can know what is on the disk then: it ends the process.
    pub async fn run(self, inbox: impl Batches, on_durable: impl FnMut(Durable)) -> Rest {
        match self.serve(inbox, on_durable).await {
            Ok(preparer) => Rest { _preparer: preparer },
            Err(failure) => fatal(Reason::LogWrite, failure),
        }
    }

    async fn serve(
        mut self,
        mut inbox: impl Batches,
        mut on_durable: impl FnMut(Durable),
    ) -> Result<Preparer, WriteFailure> {
        let mut held = None;
        while let Some(mut batch) = next_batch(held.take(), &mut inbox).await {
            held = gather(&mut batch, &mut inbox);
            if let Some(last) = batch.last() {
                self.write(&batch).await?;
                on_durable(Durable::promised_by_the_log(last));
            }
        }
        let Active { path, file, .. } = self.active;
        file.close().await.map_err(|what| WriteFailure { doing: "close", path, what })?;
        Ok(self.preparer)
    }

    async fn write(&mut self, batch: &RecordBatch) -> Result<(), WriteFailure> {
        if !self.cursor.fits(batch) {
            self.change_segment(batch).await?;
        }
        let len = encoded_len(batch);
        let begin = Instant::now();
        let cursor = &mut self.cursor;
        let written = self.active.file.write(len, |blocks| cursor.encode(batch, blocks)).await;
        written.map_err(|what| self.active.failed("write", what))?;
        self.count(batch, len, begin.elapsed());
        self.stats.on_room(self.cursor.room());
        if self.active.is_empty {
            self.active.is_empty = false;
            self.active.first = batch.first();
            self.next = Some(self.prepare_next(0));
        }
        Ok(())
    }

    fn count(&self, batch: &RecordBatch, len: usize, took: Duration) {
        let is_slow = took > self.options.slow_sync;
        self.stats.on_write(batch.count(), len, took, is_slow);
        if is_slow {
            let path = self.active.path.display();
            tracing::warn!("{path}: it took {took:?} until {len} bytes were durable; clients wait for that");
        }
    }

    /// Goes on in the next segment. It is there, unless the device makes one more slowly than clients fill
    /// one; then they wait, for a segment never grows.
    async fn change_segment(&mut self, batch: &RecordBatch) -> Result<(), WriteFailure> {
        if self.method.sync == SyncBy::Nothing {
            // So that a hole is never followed by a whole segment.
            self.active.file.sync().await.map_err(|what| self.active.failed("sync", what))?;
        }
        let needed = (BLOCK_LEN + encoded_len(batch)) as u64;
        let next =
            self.next_segment(needed).await.map_err(|what| self.active.failed("make what follows", what))?;
        self.stats.on_next(0);
        self.cursor = Cursor::at_start(next.header, self.cursor.chain(), self.cursor.sync());
        let path = Name::Next.path_in(&self.dir);
        let full = std::mem::replace(&mut self.active, Active::empty(path, next.file));
        let Active { path, file, .. } = full;
        file.close().await.map_err(|what| WriteFailure { doing: "close", path, what })
    }

    async fn next_segment(&mut self, needed: u64) -> io::Result<Segment> {
        self.preparer.hurry();
        if let Some(next) = self.next.take()
            && let Ok(segment) = next.await
            && segment.header.len >= needed
        {
            return Ok(segment);
        }
        // None was asked for, or it is too short, or it could not be made: there may be room again.
        let next = self.prepare_next(needed);
        self.preparer.hurry();
        next.await
    }

    /// Has the segment made that follows the active one, or takes its place if it is empty.
    fn prepare_next(&self, len_min: u64) -> Task<io::Result<Segment>> {
        let number = self.cursor.segment().number + u64::from(!self.active.is_empty);
        let len = self.options.segment_len().max(len_min);
        let coming = self.preparer.prepare(self.active.first, number, len);
        open_when_made(coming, Name::Next.path_in(&self.dir), self.method, self.stats.clone())
    }
}

/// What is left of a log that is closed: the thread that makes its segments, which may be at a write still. Dropping
/// this waits for it, so do that where waiting for the disk is right; until then nobody else may change the folder.
pub struct Rest {
    _preparer: Preparer,
}

/// The segment that is being written.
struct Active {
    path: PathBuf,
    file: LogFile,
    is_empty: bool,
    /// Its first record, if it was empty when it was opened: what it is to be named after.
    first: Option<Zxid>,
}

impl Active {
    fn empty(path: PathBuf, file: LogFile) -> Active {
        Active { path, file, is_empty: true, first: None }
    }

    fn failed(&self, doing: &'static str, what: io::Error) -> WriteFailure {
        WriteFailure { doing, path: self.path.clone(), what }
    }
}

/// A segment that has been made, open for writing.
struct Segment {
    header: SegmentHeader,
    file: LogFile,
}

/// Opening takes several turns of the executor: it is done before the segment is needed.
fn open_when_made(
    coming: Coming,
    path: PathBuf,
    method: Method,
    stats: Arc<WalStats>,
) -> Task<io::Result<Segment>> {
    glommio::spawn_local(async move {
        let made =
            coming.await.map_err(|_| io::Error::other("the thread that makes log segments is gone"))?;
        let segment = Segment { header: made?, file: LogFile::open(&path, method).await? };
        stats.on_next(segment.header.room());
        Ok(segment)
    })
}

async fn next_batch(held: Option<RecordBatch>, inbox: &mut impl Batches) -> Option<RecordBatch> {
    match held {
        Some(batch) => Some(batch),
        None => inbox.next().await,
    }
}

/// Moves what is queued into `batch`, up to the bound. Returns the batch that would not fit.
fn gather(batch: &mut RecordBatch, inbox: &mut impl Batches) -> Option<RecordBatch> {
    while let Some(mut queued) = inbox.try_next() {
        if !batch.has_room_for(&queued) {
            return Some(queued);
        }
        batch.append(&mut queued);
    }
    None
}

/// Why the log can't go on. What the write carried was not acknowledged.
#[derive(Debug, Error)]
#[error("can't {doing} {}: {what}. Nothing of it was acknowledged. {}", path.display(), advice(what))]
pub struct WriteFailure {
    doing: &'static str,
    path: PathBuf,
    #[source]
    what: io::Error,
}

fn advice(what: &io::Error) -> &'static str {
    match what.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "Make room on this filesystem and start again"
        }
        _ => "Check the disk before this server is started again",
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::collections::VecDeque;
    use std::path::Path;

    use glommio::LocalExecutor;
    use ringkeeper_core::id::Zxid;

    use super::*;
    use crate::storage::disk::Access;
    use crate::storage::wal::recover;

    /// An inbox that is filled beforehand and then closed.
    struct Queued(VecDeque<RecordBatch>);

    impl Batches for Queued {
        async fn next(&mut self) -> Option<RecordBatch> {
            self.try_next()
        }

        fn try_next(&mut self) -> Option<RecordBatch> {
            self.0.pop_front()
        }
    }

    fn queued(lens: &[usize]) -> Queued {
        let batch = |(zxid, &len): (i64, &usize)| {
            let mut batch = RecordBatch::new();
            batch.push(Zxid(zxid), |out| out.resize(out.len() + len, 7));
            batch
        };
        Queued((1..).zip(lens).map(batch).collect())
    }

    async fn open(dir: &Path) -> Wal {
        Wal::open(recover(dir, Options::default(), |_| Ok(())).unwrap()).await.unwrap()
    }

    fn durable(upto: i64) -> Durable {
        Durable::promised_by_the_log(Zxid(upto))
    }

    #[test]
    fn what_is_queued_shares_a_write_up_to_the_bound() {
        let dir = tempfile::tempdir().unwrap();
        LocalExecutor::default().run(async {
            let wal = open(dir.path()).await;
            let stats = wal.stats.clone();
            let mut heard = Vec::new();
            let inbox = queued(&[10, 10, 700_000, 600_000, 2_000_000, 10]);
            wal.serve(inbox, |durable| heard.push(durable)).await.unwrap();
            assert_eq!(heard, [3, 4, 5, 6].map(durable));
            assert_eq!((stats.figures().writes, stats.figures().records), (4, 6));
        });
    }

    #[test]
    fn an_empty_batch_is_no_write_and_no_promise() {
        let dir = tempfile::tempdir().unwrap();
        LocalExecutor::default().run(async {
            let wal = open(dir.path()).await;
            let stats = wal.stats.clone();
            let mut heard = Vec::new();
            let mut inbox = queued(&[10]);
            inbox.0.push_front(RecordBatch::new());
            inbox.0.push_back(RecordBatch::new());
            wal.serve(inbox, |durable| heard.push(durable)).await.unwrap();
            assert_eq!((heard, stats.figures().writes), (vec![durable(1)], 1));
        });
    }

    #[test]
    fn through_the_page_cache_the_log_is_the_same() {
        let dir = tempfile::tempdir().unwrap();
        for sync in [SyncBy::Write, SyncBy::Fdatasync, SyncBy::Nothing] {
            LocalExecutor::default().run(async {
                let mut recovered = recover(dir.path(), Options::default(), |_| Ok(())).unwrap();
                recovered.method = Method { access: Access::Buffered, sync };
                let start = recovered.durable().upto().0;
                let mut batch = RecordBatch::new();
                batch.push(Zxid(start + 1), |out| out.extend_from_slice(b"record"));
                let inbox = Queued(VecDeque::from([batch]));
                Wal::open(recovered).await.unwrap().serve(inbox, |_| {}).await.unwrap();
            });
        }
        let mut records = Vec::new();
        recover(dir.path(), Options::default(), |record| {
            records.push((record.zxid.0, record.payload.to_vec()));
            Ok(())
        })
        .unwrap();
        assert_eq!(records, [1, 2, 3].map(|zxid| (zxid, b"record".to_vec())));
    }

    #[test]
    fn a_full_disk_ends_the_log_and_acknowledges_nothing_more() {
        let dir = tempfile::tempdir().unwrap();
        LocalExecutor::default().run(async {
            let mut wal = open(dir.path()).await;
            let method = Method { access: Access::Buffered, sync: SyncBy::Write };
            wal.active.path = "/dev/full".into();
            wal.active.file = LogFile::open(&wal.active.path, method).await.unwrap();
            let heard = RefCell::new(Vec::new());
            let failure = wal.serve(queued(&[10]), |durable| heard.borrow_mut().push(durable)).await;
            let message = failure.err().expect("no space").to_string();
            assert!(message.starts_with("can't write /dev/full: "), "{message}");
            assert!(message.ends_with("Make room on this filesystem and start again"), "{message}");
            assert!(heard.borrow().is_empty());
        });
    }

    #[test]
    fn a_segment_that_could_not_be_made_is_tried_once_more_when_it_is_needed() {
        let dir = tempfile::tempdir().unwrap();
        LocalExecutor::default().run(async {
            let mut wal = open(dir.path()).await;
            let failed = glommio::spawn_local(async { Err(io::ErrorKind::StorageFull.into()) });
            wal.next = Some(failed);
            wal.active.is_empty = false;
            let segment = wal.next_segment(1).await.expect("there is room now");
            assert_eq!(segment.header.number, 1);
        });
    }

    #[test]
    fn a_record_longer_than_a_segment_gets_a_segment_of_its_own() {
        let dir = tempfile::tempdir().unwrap();
        let options = Options { segment_len: 1 << 20, ..Options::default() };
        let lens = [3_000_000, 10, 2_000_000, 10];
        LocalExecutor::default().run(async {
            let wal = Wal::open(recover(dir.path(), options, |_| Ok(())).unwrap()).await.unwrap();
            wal.serve(queued(&lens), |_| {}).await.unwrap();
        });
        let mut read = Vec::new();
        recover(dir.path(), options, |record| {
            read.push((record.zxid, record.payload.len()));
            Ok(())
        })
        .unwrap();
        assert_eq!(read, (1..).map(Zxid).zip(lens).collect::<Vec<_>>());
    }
}
