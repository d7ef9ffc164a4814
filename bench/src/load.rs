//! Closed loops of one operation, with what the servers used meanwhile.

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use clap::ValueEnum;
use serde::{Serialize, Serializer};

use crate::engine::{Engine, Errors, Pacing, Queue, Work, ZooKeeper, generator_cpu, now};
use crate::latency::Latency;
use crate::paths::Paths;
use crate::process::{MachineCpu, Probe, Usage};
use crate::session::Session;
use crate::wire::Request;

/// What a load asks for, over and over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Operation {
    /// getData without a watch.
    Read,
    /// setData at any version.
    Set,
    /// create of a persistent node with an open ACL.
    Create,
    /// Nine reads to one set, at random.
    Mixed,
}

/// How many connections, and how many requests each keeps in flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Shape {
    pub(crate) connections: usize,
    pub(crate) outstanding: usize,
}

/// What is asked for.
#[derive(Clone, Debug)]
pub(crate) struct Load {
    pub(crate) operation: Operation,
    pub(crate) shape: Shape,
    /// The znodes that are read, set or created.
    pub(crate) paths: Paths,
    /// How many of them there are to choose from, at random; creates count up from 0 instead.
    pub(crate) children: u32,
    /// Bytes of data in each.
    pub(crate) data_len: usize,
}

/// How long a load lasts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span {
    pub(crate) warmup: Duration,
    pub(crate) measure: Duration,
    /// Warm-up and measurement together end here at the latest, the warm-up at a quarter of it.
    pub(crate) requests_max: u64,
}

/// What a load found.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Measured {
    /// Replies that came while the measurement lasted.
    pub(crate) requests: u64,
    pub(crate) seconds: f64,
    /// Of the same. What was in flight when the measurement began counts from then: a stall that began
    /// earlier shows, and the time that taking the first samples took does not.
    pub(crate) latency: Latency,
    pub(crate) server: Usage,
    pub(crate) generator_cpu_ns: u64,
    /// The part of all CPUs' time that neither the server nor the generator used, and that was not idle.
    pub(crate) others_busy: f64,
}

/// Runs `load` against the servers at `addrs`, whose connections are dealt out in turn, and measures behind
/// the warm-up. `probe` is the servers'.
///
/// # Errors
/// Anything but the expected reply to each request, in order; or none for [`crate::engine::STALL_MAX`].
pub(crate) fn run(addrs: &[SocketAddr], load: &Load, span: &Span, probe: &Probe) -> Result<Measured> {
    let mut engine = start(addrs, load, span.requests_max)?;
    engine.go_on_until(after(span.warmup), span.requests_max / 4)?;

    let (before, machine) = (probe.sample()?, MachineCpu::now()?);
    engine.record_from(now());
    let (server_cpu, own_cpu, start) = (probe.cpu()?, generator_cpu()?, Instant::now());
    engine.go_on_until(after(span.measure), span.requests_max)?;
    // A disk may stand still for all that time.
    engine.go_on_until_answered()?;
    let elapsed = start.elapsed();
    let (server_cpu, own_cpu) = (probe.cpu()? - server_cpu, generator_cpu()? - own_cpu);
    let (requests, latency) = (engine.recording().count(), engine.recording().all().summary());
    let machine = MachineCpu::now()?.since(machine);
    let server = Usage::between(&before, &probe.sample()?, server_cpu);

    engine.finish()?;
    Ok(Measured {
        requests,
        seconds: elapsed.as_secs_f64(),
        latency: latency.context("no request was answered while measuring")?,
        server,
        generator_cpu_ns: own_cpu.as_nanos() as u64,
        others_busy: machine.busy_beyond(server_cpu + own_cpu),
    })
}

/// Creates `parent` with `children` children of `data_len` bytes.
pub(crate) fn populate(addr: SocketAddr, parent: &str, children: u32, data_len: usize) -> Result<()> {
    create_parent(addr, parent)?;
    let load = Load {
        operation: Operation::Create,
        shape: Shape { connections: 1, outstanding: 32 },
        paths: Paths::flat(parent),
        children,
        data_len,
    };
    ask(addr, &load, children.into())
}

/// Asks `requests` times, and measures nothing.
pub(crate) fn ask(addr: SocketAddr, load: &Load, requests: u64) -> Result<()> {
    let mut engine = start(&[addr], load, requests)?;
    engine.go_on_until(u64::MAX, requests)?;
    engine.finish().map(drop)
}

/// Creates an empty znode.
pub(crate) fn create_parent(addr: SocketAddr, path: &str) -> Result<()> {
    let mut session = Session::open(addr)?;
    session.create(path)?;
    session.close()
}

fn start(addrs: &[SocketAddr], load: &Load, requests_max: u64) -> Result<Engine<Choice>> {
    let Shape { connections, outstanding } = load.shape;
    let pacing = Pacing::Closed { outstanding };
    Engine::start(addrs, connections, pacing, Choice::of(load), 1, (Errors::End, requests_max))
}

/// So much later than now.
fn after(span: Duration) -> u64 {
    now().saturating_add(u64::try_from(span.as_nanos()).unwrap_or(u64::MAX))
}

/// Chooses what to ask next.
enum Choice {
    /// Of one of so many znodes at random.
    Random(Request, fastrand::Rng, u32),
    /// Of one znode after the other.
    CountingUp(Request, u32),
    /// A read, or else a set.
    Mixed([Request; 2], fastrand::Rng, u32),
}

impl Shape {
    /// All requests in flight.
    pub(crate) fn in_flight(self) -> usize {
        self.connections * self.outstanding
    }
}

impl FromStr for Shape {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Shape> {
        let (connections, outstanding) = text.split_once('x').context("a shape is like 16x32")?;
        let shape = Shape {
            connections: connections.parse().context("connections: not a number")?,
            outstanding: outstanding.parse().context("requests in flight: not a number")?,
        };
        ensure!((1..=CONNECTIONS_MAX).contains(&shape.connections), "1 to {CONNECTIONS_MAX} connections");
        ensure!(
            (1..=OUTSTANDING_MAX).contains(&shape.outstanding),
            "1 to {OUTSTANDING_MAX} requests in flight on each"
        );
        Ok(shape)
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}x{}", self.connections, self.outstanding)
    }
}

impl Serialize for Shape {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Work for Choice {
    type Link = ZooKeeper;

    fn ask(&mut self, _connection: usize, queue: &mut Queue<'_>) {
        let (request, child) = self.next();
        queue.last(0, 0, Some(request.reply_len()), |xid, out| request.append(xid, child, out));
    }
}

impl Choice {
    fn of(load: &Load) -> Choice {
        let Load { operation, paths, children, data_len, .. } = load;
        let data = vec![b'd'; *data_len];
        let random = fastrand::Rng::with_seed(SEED);
        let (get, set) = (Request::get(paths, *data_len), Request::set(paths, &data));
        match operation {
            Operation::Read => Choice::Random(get, random, *children),
            Operation::Set => Choice::Random(set, random, *children),
            Operation::Create => Choice::CountingUp(Request::create(paths, &data), 0),
            Operation::Mixed => Choice::Mixed([get, set], random, *children),
        }
    }

    fn next(&mut self) -> (&Request, u32) {
        match self {
            Choice::Random(request, random, children) => (request, random.u32(..*children)),
            Choice::CountingUp(request, next) => {
                *next += 1;
                (request, *next - 1)
            }
            Choice::Mixed([get, set], random, children) => {
                let request = if random.u32(..SETS_ONE_IN) == 0 { set } else { get };
                (request, random.u32(..*children))
            }
        }
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(match self {
            Operation::Read => "read",
            Operation::Set => "set",
            Operation::Create => "create",
            Operation::Mixed => "mixed",
        })
    }
}

/// Not for meeting limits of a server, but for being a load that one thread can make.
pub(crate) const CONNECTIONS_MAX: usize = 1024;

/// Keeps what is in flight on a connection well below any socket's buffer.
const OUTSTANDING_MAX: usize = 128;

/// How many operations of a mix there are to one set.
const SETS_ONE_IN: u32 = 10;

/// The same znodes in the same order for every server.
const SEED: u64 = 0x7a6b;

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::thread;

    use super::*;
    use crate::stub::{DATA_LEN, stub};

    #[test]
    fn latency_and_count_are_those_of_a_server_with_a_known_delay() {
        const DELAY: Duration = Duration::from_millis(2);
        let addr = stub(|batch| {
            thread::sleep(DELAY);
            batch
        });
        let load = load(Operation::Read, Shape { connections: 2, outstanding: 1 });
        let span = Span { warmup: DELAY * 5, measure: DELAY * 50, requests_max: u64::MAX };
        let measured = run(&[addr], &load, &span, &own_probe()).unwrap();
        // A sleep may take longer, never shorter: these bounds hold on any machine. Only the two requests
        // that were in flight when the measurement began may count for less.
        let Latency { count, mean_us, p50_us, max_us, .. } = measured.latency;
        let whole = count.saturating_sub(2) as f64 * DELAY.as_secs_f64() * 1e6;
        assert!(mean_us * count as f64 >= 0.999 * whole, "{measured:?}");
        assert!(max_us >= p50_us);
        assert!(measured.seconds >= (DELAY * 50).as_secs_f64());
        let turns_max = measured.seconds / DELAY.as_secs_f64() + 1.0;
        assert!(measured.requests as f64 <= 2.0 * turns_max, "{measured:?}");
        assert_eq!(count, measured.requests);
    }

    #[test]
    fn each_connection_keeps_exactly_its_depth_in_flight() {
        const DEPTH: usize = 4;
        // Answers only when the depth is reached, so a loop that sent less would stall, and all at once,
        // so that one that sent more would show.
        let mut waiting = Vec::new();
        let addr = stub(move |batch| {
            waiting.extend(batch);
            assert!(waiting.len() <= DEPTH, "{} requests in flight", waiting.len());
            if waiting.len() == DEPTH { std::mem::take(&mut waiting) } else { Vec::new() }
        });
        let load = load(Operation::Set, Shape { connections: 1, outstanding: DEPTH });
        let mut engine = start(&[addr], &load, 1000).unwrap();
        engine.go_on_until(u64::MAX, 1000).unwrap();
        assert_eq!(engine.asked(), 1000);
        engine.finish().unwrap();
    }

    #[test]
    fn a_load_ends_at_its_number_of_requests_and_warms_up_with_a_quarter_of_them() {
        let addr = stub(|batch| batch);
        let load = load(Operation::Create, Shape { connections: 1, outstanding: 1 });
        let span = Span { warmup: Duration::MAX, measure: Duration::from_secs(3600), requests_max: 400 };
        let measured = run(&[addr], &load, &span, &own_probe()).unwrap();
        // The 100th and the 400th request are in flight when the measurement begins and ends.
        assert_eq!(measured.requests, 300);
    }

    #[test]
    fn a_measurement_lasts_until_something_is_answered() {
        const DELAY: Duration = Duration::from_millis(20);
        let addr = stub(|batch| {
            thread::sleep(DELAY);
            batch
        });
        let load = load(Operation::Set, Shape { connections: 1, outstanding: 1 });
        let span = Span { warmup: Duration::ZERO, measure: Duration::ZERO, requests_max: u64::MAX };
        let measured = run(&[addr], &load, &span, &own_probe()).unwrap();
        assert!(measured.requests == 1 && measured.seconds > 0.0, "{measured:?}");
    }

    #[test]
    fn replies_in_the_wrong_order_end_the_load() {
        let addr = stub(|mut batch| {
            batch.reverse();
            batch
        });
        let load = load(Operation::Read, Shape { connections: 1, outstanding: 2 });
        let mut engine = start(&[addr], &load, 1000).unwrap();
        let error = engine.go_on_until(u64::MAX, 1000).unwrap_err();
        assert!(error.to_string().contains("came instead"), "{error:#}");
    }

    #[test]
    fn a_server_that_closes_the_connection_ends_the_load() {
        let mut left = 10;
        let addr = stub(move |batch| {
            left -= 1;
            assert!(left > 0, "the end of this stub");
            batch
        });
        let load = load(Operation::Read, Shape { connections: 1, outstanding: 1 });
        let mut engine = start(&[addr], &load, 1000).unwrap();
        let error = engine.go_on_until(u64::MAX, 1000).unwrap_err();
        assert!(error.to_string().contains("closed a connection"), "{error:#}");
    }

    #[test]
    fn a_mix_reads_nine_times_for_each_set() {
        let mut choice = Choice::of(&load(Operation::Mixed, Shape { connections: 1, outstanding: 1 }));
        let get_len = Request::get(&Paths::flat("/stub"), DATA_LEN).reply_len();
        let gets = (0..10_000).filter(|_| choice.next().0.reply_len() == get_len).count();
        assert!((8800..9200).contains(&gets), "{gets}");
    }

    #[test]
    fn connections_are_dealt_out_to_all_servers() {
        let seen = |hits: &Arc<AtomicUsize>| {
            let hits = hits.clone();
            stub(move |batch| {
                hits.fetch_add(batch.len(), Ordering::Relaxed);
                batch
            })
        };
        let hits: [Arc<AtomicUsize>; 3] = Default::default();
        let addrs: Vec<SocketAddr> = hits.iter().map(seen).collect();
        let load = load(Operation::Set, Shape { connections: 3, outstanding: 2 });
        start(&addrs, &load, 6).unwrap().finish().unwrap();
        // Besides, each session's end is a request, which the stub answers itself.
        assert_eq!(hits.map(|hits| hits.load(Ordering::Relaxed)), [2, 2, 2]);
    }

    #[test]
    fn a_shape_reads_as_it_is_written() {
        let shape: Shape = "16x32".parse().unwrap();
        assert_eq!(shape, Shape { connections: 16, outstanding: 32 });
        assert_eq!(shape.to_string(), "16x32");
        for bad in ["16", "0x1", "1x0", "x", "1x129", "-1x1"] {
            assert!(bad.parse::<Shape>().is_err(), "{bad}");
        }
    }

    fn load(operation: Operation, shape: Shape) -> Load {
        Load { operation, shape, paths: Paths::flat("/stub"), children: 10, data_len: DATA_LEN }
    }

    fn own_probe() -> Probe {
        Probe::new(std::process::id()).unwrap()
    }
}
