//! The open loop of the storage command: its mix at a fixed rate, with what the server used meanwhile.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result};
use serde::Serialize;

use crate::engine::{AHEAD, Engine, Errors, Pacing, Queue, Work, ZooKeeper, generator_cpu, now};
use crate::latency::{Latency, Recorder};
use crate::mix::{Kind, Mix};
use crate::process::{MachineCpu, Probe, Usage};

/// How often to ask, for how long, and over how many connections, in turn.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    pub(crate) per_second: u32,
    pub(crate) connections: usize,
    pub(crate) warmup: Duration,
    pub(crate) measure: Duration,
}

/// What an open loop found. Everything is of the requests that were to be sent while the measurement lasted,
/// however late they were answered.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Paced {
    pub(crate) reads: Latency,
    pub(crate) writes: Latency,
    /// How much later than intended requests were handed to their socket.
    pub(crate) lateness: Latency,
    /// From the beginning of the measurement to the last of its replies.
    pub(crate) seconds: f64,
    pub(crate) server: Usage,
    pub(crate) generator_cpu_ns: u64,
    /// The part of all CPUs' time that neither the server nor the generator used, and that was not idle.
    pub(crate) others_busy: f64,
}

/// Asks the servers at `addrs` for what `mix` chooses. `probe` is the servers'; `on_window` is called shortly
/// before the measurement begins, and must be quick.
///
/// # Errors
/// Anything but the expected reply to each request, in order; or none for [`crate::engine::STALL_MAX`].
pub(crate) fn run(
    addrs: &[SocketAddr],
    mix: Mix,
    pace: &Pace,
    probe: &Probe,
    on_window: impl FnOnce() -> Result<()>,
) -> Result<Paced> {
    let pacing = Pacing::Open { per_second: pace.per_second };
    let mut engine =
        Engine::start(addrs, pace.connections, pacing, mix, Kind::ALL.len(), (Errors::End, u64::MAX))?;
    let window_at = engine.begins_at() + pace.warmup.as_nanos() as u64;
    engine.go_on_until(window_at.saturating_sub(AHEAD.as_nanos() as u64), u64::MAX)?;
    on_window()?;
    let (before, machine) = (probe.sample()?, MachineCpu::now()?);
    let (server_cpu, own_cpu) = (probe.cpu()?, generator_cpu()?);
    engine.record_from(window_at);
    engine.go_on_until(window_at + pace.measure.as_nanos() as u64, u64::MAX)?;

    let (server_cpu, own_cpu) = (probe.cpu()? - server_cpu, generator_cpu()? - own_cpu);
    let server = Usage::between(&before, &probe.sample()?, server_cpu);
    let machine = MachineCpu::now()?.since(machine);
    engine.drain()?;
    let seconds = (now() - window_at) as f64 / 1e9;
    let recording = engine.finish()?;
    let latency = |is_write: bool| {
        let mut sum = Recorder::new();
        for kind in Kind::ALL.into_iter().filter(|kind| kind.is_write() == is_write) {
            sum.add(recording.operation(kind as usize).0);
        }
        sum.summary()
    };
    Ok(Paced {
        reads: latency(false).context("nothing was read while measuring")?,
        writes: latency(true).context("nothing was written while measuring")?,
        lateness: recording.lateness().summary().context("nothing was sent while measuring")?,
        seconds,
        server,
        generator_cpu_ns: own_cpu.as_nanos() as u64,
        others_busy: machine.busy_beyond(server_cpu + own_cpu),
    })
}

impl Work for Mix {
    type Link = ZooKeeper;

    fn ask(&mut self, _connection: usize, queue: &mut Queue<'_>) {
        let (kind, child) = self.next();
        let tag = if kind == Kind::Create { child } else { NOTHING_CREATED };
        let request = self.request(kind);
        let reply_len = Some(request.reply_len());
        queue.last(kind as usize, tag, reply_len, |xid, out| request.append(xid, child, out));
    }

    fn replied(&mut self, _connection: usize, tag: u32) {
        if tag != NOTHING_CREATED {
            self.created(tag);
        }
    }
}

/// No znode has this number.
const NOTHING_CREATED: u32 = u32::MAX;

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;
    use crate::load::{self, Load, Operation, Shape, Span};
    use crate::paths::Paths;
    use crate::stub::{DATA_LEN, stub, stub_of};

    /// The stub answers this many requests at once, then is silent for a while.
    const BEFORE_STALL: usize = 500;
    const STALL: Duration = Duration::from_secs(1);

    #[test]
    fn a_stall_is_charged_to_all_that_it_kept_waiting() {
        let paced = run(&[stalling()], mix(), &pace(1000, 1, 2.0), &own_probe(), || Ok(())).unwrap();
        // Of 2 000 requests in 2 s, the 1 000 that were to be sent during the stall waited for its end, the
        // first of them for all of it. A sleep may take longer, never shorter: the bounds hold anywhere.
        assert_eq!(paced.reads.count + paced.writes.count, 2000);
        for latency in [paced.reads, paced.writes] {
            assert!(latency.max_us >= 0.97 * STALL.as_secs_f64() * 1e6, "{paced:?}");
            assert!(latency.p999_us >= 0.97 * STALL.as_secs_f64() * 1e6, "{paced:?}");
            assert!(latency.p99_us >= 0.95 * STALL.as_secs_f64() * 1e6, "{paced:?}");
            assert!(latency.p90_us >= 0.7 * STALL.as_secs_f64() * 1e6, "{paced:?}");
            assert!(latency.mean_us >= 0.2 * STALL.as_secs_f64() * 1e6, "{paced:?}");
        }
    }

    #[test]
    fn a_closed_loop_sees_the_same_stall_once() {
        let load = Load {
            operation: Operation::Read,
            shape: Shape { connections: 1, outstanding: 1 },
            paths: Paths::flat("/stub"),
            children: 10,
            data_len: DATA_LEN,
        };
        let span = Span { warmup: Duration::ZERO, measure: Duration::MAX, requests_max: 2000 };
        let measured = load::run(&[stalling()], &load, &span, &own_probe()).unwrap();
        assert!(measured.latency.max_us >= STALL.as_secs_f64() * 1e6, "{measured:?}");
        // Twenty requests would have to take so long; only one waited for the stall.
        assert!(measured.latency.p99_us < STALL.as_secs_f64() * 1e6, "{measured:?}");
    }

    #[test]
    fn a_delay_of_every_reply_is_in_every_latency() {
        const DELAY: Duration = Duration::from_millis(3);
        let addr = stub(|batch| {
            thread::sleep(DELAY);
            batch
        });
        let paced = run(&[addr], mix(), &pace(400, 4, 1.0), &own_probe(), || Ok(())).unwrap();
        let least = 0.999 * DELAY.as_secs_f64() * 1e6;
        assert!(paced.reads.min_us >= least && paced.writes.min_us >= least, "{paced:?}");
        assert!(paced.seconds >= 0.99);
    }

    #[test]
    fn what_the_socket_does_not_take_at_once_is_sent_later() {
        const LONG: usize = 16 << 10;
        // Nothing is read from the connection for a second, and 25 MiB are to be sent meanwhile.
        let mut asleep = true;
        let addr = stub_of(LONG, move |batch| {
            if std::mem::take(&mut asleep) {
                thread::sleep(STALL);
            }
            batch
        });
        let mix = Mix::new(&Paths::grouped("/stub"), 1000, &[b'd'; LONG]);
        let paced = run(&[addr], mix, &pace(4000, 1, 1.0), &own_probe(), || Ok(())).unwrap();
        assert_eq!(paced.reads.count + paced.writes.count, 4000);
        assert!(paced.writes.p90_us >= 0.05 * STALL.as_secs_f64() * 1e6, "{paced:?}");
    }

    #[test]
    fn a_generator_that_is_late_says_so() {
        let late = Duration::from_millis(200);
        let on_window = || {
            thread::sleep(late);
            Ok(())
        };
        let paced = run(&[stub(|batch| batch)], mix(), &pace(1000, 2, 0.5), &own_probe(), on_window).unwrap();
        assert!(paced.lateness.max_us >= 0.999 * (late - AHEAD).as_secs_f64() * 1e6, "{paced:?}");
        assert!(paced.reads.max_us.max(paced.writes.max_us) >= paced.lateness.max_us, "{paced:?}");
    }

    fn stalling() -> SocketAddr {
        let mut answered = 0;
        stub(move |batch| {
            let before = answered;
            answered += batch.len();
            if (before..answered).contains(&BEFORE_STALL) {
                thread::sleep(STALL);
            }
            batch
        })
    }

    fn mix() -> Mix {
        Mix::new(&Paths::grouped("/stub"), 1000, &[b'd'; DATA_LEN])
    }

    fn pace(per_second: u32, connections: usize, seconds: f64) -> Pace {
        let measure = Duration::from_secs_f64(seconds);
        Pace { per_second, connections, warmup: Duration::ZERO, measure }
    }

    fn own_probe() -> Probe {
        Probe::new(std::process::id()).unwrap()
    }
}
