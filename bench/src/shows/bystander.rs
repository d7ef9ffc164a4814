//! A client that reads at a steady pace while others do something large: what it notices.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};

use crate::engine::{Engine, Errors, Pacing, Queue, Work, ZooKeeper, now};
use crate::latency::Latency;
use crate::paths::Paths;
use crate::wire::Request;

/// Reads 500 times a second over four connections, until it is asked what it noticed.
pub(super) struct Bystander {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Result<Latency>>,
    begun: Instant,
}

impl Bystander {
    /// Starts reading a znode of `data_len` bytes, the first child below `parent`.
    /// Returns when it has begun.
    pub(super) fn start(addr: SocketAddr, parent: &str, data_len: usize) -> Result<Bystander> {
        let (begun, has_begun) = channel();
        let stop = Arc::new(AtomicBool::new(false));
        let (stopped, request) = (stop.clone(), Request::get(&Paths::flat(parent), data_len));
        let thread = thread::spawn(move || {
            let pacing = Pacing::Open { per_second: PER_SECOND };
            let limits = (Errors::End, u64::MAX);
            let mut engine = Engine::start(&[addr], CONNECTIONS, pacing, Reads(request), 1, limits)?;
            engine.record_from(engine.begins_at());
            // Whoever waits for it is gone only with the whole command.
            let _ = begun.send(());
            while !stopped.load(Ordering::Relaxed) {
                engine.go_on_until(now() + STEP, u64::MAX)?;
            }
            engine.finish()?.all().summary().context("the bystander has read nothing")
        });
        if has_begun.recv().is_err() {
            let ended = thread.join().map_err(|_| anyhow!("the bystander panicked"))?;
            return Err(ended.err().unwrap_or_else(|| anyhow!("the bystander ended early")));
        }
        Ok(Bystander { stop, thread, begun: Instant::now() })
    }

    /// Ends it, and tells its latencies. What it watched may have been short: it reads for a moment at least.
    pub(super) fn end(self) -> Result<Latency> {
        thread::sleep(READS_MIN.saturating_sub(self.begun.elapsed()));
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().map_err(|_| anyhow!("the bystander panicked"))?
    }
}

struct Reads(Request);

impl Work for Reads {
    type Link = ZooKeeper;

    fn ask(&mut self, _connection: usize, queue: &mut Queue<'_>) {
        let Reads(request) = self;
        queue.last(0, 0, Some(request.reply_len()), |xid, out| request.append(xid, 0, out));
    }
}

const PER_SECOND: u32 = 500;
const CONNECTIONS: usize = 4;
const READS_MIN: Duration = Duration::from_millis(500);
/// In ns.
const STEP: u64 = 50_000_000;
