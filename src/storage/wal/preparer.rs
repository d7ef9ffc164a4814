use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::mpsc;
use std::thread::{self, JoinHandle};
use std::time::Instant;

use futures_channel::oneshot;
use ringkeeper_core::format::wal::SegmentHeader;
use ringkeeper_core::id::Zxid;

use super::probe::Access;
use super::segment::{self, Name};

/// Makes segments ahead of need, on an ordinary thread, at a pace that leaves the device to the log.
///
/// Start it where threads may run on any CPU: a thread that an executor starts shares the executor's CPU.
/// Dropping this waits for the thread, which gives up at its next chunk.
pub(super) struct Preparer {
    jobs: Option<mpsc::Sender<Job>>,
    pace: Arc<Pace>,
    thread: Option<JoinHandle<()>>,
}

/// A segment that is being made.
pub(super) type Coming = oneshot::Receiver<io::Result<SegmentHeader>>;

/// A segment that is there already.
pub(super) fn ready(header: SegmentHeader) -> Coming {
    let (reply, coming) = oneshot::channel();
    reply.send(Ok(header)).expect("the receiver is at hand");
    coming
}

impl Preparer {
    pub(super) fn start(dir: &Path, access: Access) -> io::Result<Preparer> {
        let (jobs, queue) = mpsc::channel();
        let pace = Arc::new(Pace::default());
        let worker = Worker { dir: dir.to_owned(), access, pace: pace.clone() };
        let thread = thread::Builder::new().name("wal-prepare".into()).spawn(move || worker.run(queue))?;
        Ok(Preparer { jobs: Some(jobs), pace, thread: Some(thread) })
    }

    /// Makes a segment of this number and length and calls it [`Name::Next`]. Before that the segment that
    /// has this name now is named after its first record, if there is one: `first`, which is durable.
    pub(super) fn prepare(&self, first: Option<Zxid>, number: u64, len: u64) -> Coming {
        let (reply, coming) = oneshot::channel();
        self.pace.hurry.store(false, Relaxed);
        let job = Job { first, number, len, reply };
        // If the thread is gone, so is the job's sender, and that is what the receiver then says.
        let _ = self.jobs.as_ref().map(|jobs| jobs.send(job));
        coming
    }

    /// The log is waiting: whatever is being made is made as fast as the device can.
    pub(super) fn hurry(&self) {
        self.pace.hurry.store(true, Relaxed);
    }
}

impl Drop for Preparer {
    fn drop(&mut self) {
        self.pace.stop.store(true, Relaxed);
        self.jobs = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread that prepares log segments panicked");
        }
    }
}

struct Job {
    first: Option<Zxid>,
    number: u64,
    len: u64,
    reply: oneshot::Sender<io::Result<SegmentHeader>>,
}

#[derive(Default)]
struct Pace {
    hurry: AtomicBool,
    stop: AtomicBool,
}

struct Worker {
    dir: PathBuf,
    access: Access,
    pace: Arc<Pace>,
}

impl Worker {
    fn run(self, queue: mpsc::Receiver<Job>) {
        for job in queue {
            let made = self.name(job.first).and_then(|()| self.make(job.number, job.len));
            if let Err(err) = &made
                && !self.pace.stop.load(Relaxed)
            {
                let dir = self.dir.display();
                tracing::error!(
                    "can't prepare the next log segment in {dir}: {err}. The current one is written to its \
                     end, then this is tried once more, then the server stops: make room or fix the disk."
                );
            }
            // Nobody may be waiting any more: the log has stopped.
            let _ = job.reply.send(made);
        }
    }

    fn name(&self, first: Option<Zxid>) -> io::Result<()> {
        let Some(first) = first else { return Ok(()) };
        let name = Name::First(first);
        if name.path_in(&self.dir).try_exists()? {
            // An earlier job for the same active segment got as far as this.
            return Ok(());
        }
        // The name is a proof that the records are durable, also where forceSync=no waives the promise.
        File::open(Name::Next.path_in(&self.dir))?.sync_data()?;
        segment::rename(&self.dir, Name::Next, name)
    }

    fn make(&self, number: u64, len: u64) -> io::Result<SegmentHeader> {
        let mut start = Instant::now();
        segment::create(&self.dir, number, len, self.access, || {
            if self.pace.stop.load(Relaxed) {
                return Err(io::Error::new(io::ErrorKind::Interrupted, "the server stops"));
            }
            if !self.pace.hurry.load(Relaxed) {
                thread::sleep(start.elapsed() * REST_PER_WORK);
            }
            start = Instant::now();
            Ok(())
        })
    }
}

/// How long the device is left alone after each chunk, in terms of how long the chunk took. A segment then
/// takes a third of a second, several times less than a busy server needs to fill one. Measured on a
/// virtual disk, commits beside it have a p50 of 139 µs instead of 124; without any rest it is 316.
const REST_PER_WORK: u32 = 3;

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn made(coming: Coming) -> io::Result<SegmentHeader> {
        glommio::LocalExecutor::default().run(coming).expect("the thread answers each job")
    }

    #[test]
    fn the_segment_before_gets_its_name_first() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(Name::Next.path_in(dir.path()), b"with records").unwrap();
        let preparer = Preparer::start(dir.path(), Access::Buffered).unwrap();
        let coming = preparer.prepare(Some(Zxid(7)), 3, 1 << 20);
        let header = made(coming).unwrap();
        assert_eq!((header.number, header.len), (3, 1 << 20));
        assert_eq!(fs::read(Name::First(Zxid(7)).path_in(dir.path())).unwrap(), b"with records");
        assert_eq!(fs::metadata(Name::Next.path_in(dir.path())).unwrap().len(), 1 << 20);
    }

    #[test]
    fn a_second_job_leaves_the_name_given_by_the_first() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(Name::First(Zxid(7)).path_in(dir.path()), b"with records").unwrap();
        fs::write(Name::Next.path_in(dir.path()), b"too short").unwrap();
        let preparer = Preparer::start(dir.path(), Access::Buffered).unwrap();
        let coming = preparer.prepare(Some(Zxid(7)), 3, 1 << 20);
        assert_eq!(made(coming).unwrap().number, 3);
        assert_eq!(fs::read(Name::First(Zxid(7)).path_in(dir.path())).unwrap(), b"with records");
    }

    #[test]
    fn a_folder_that_is_gone_is_reported_to_who_waits() {
        let dir = tempfile::tempdir().unwrap();
        let preparer = Preparer::start(&dir.path().join("absent"), Access::Buffered).unwrap();
        let coming = preparer.prepare(None, 0, 1 << 20);
        let err = made(coming).expect_err("no folder");
        assert_eq!(err.kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn stopping_ends_the_work_and_leaves_no_segment() {
        let dir = tempfile::tempdir().unwrap();
        let preparer = Preparer::start(dir.path(), Access::Buffered).unwrap();
        let mut coming = preparer.prepare(None, 0, 1 << 30);
        drop(preparer);
        assert!(coming.try_recv().unwrap().expect("answered before the thread ended").is_err());
        assert!(!Name::Next.path_in(dir.path()).exists());
    }
}
