//! The open loop: requests go out at a fixed rate, whether or not the server keeps up, and their latency
//! counts from when they were to be sent. So a server that stalls is charged for all that it kept waiting,
//! not only for what happened to be in flight (the "coordinated omission" of closed loops).
//!
//! One thread, woken by a timer for each request and by each reply. What it is late itself is recorded too:
//! that much of each latency is not the server's.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{self, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};
use nix::time::{ClockId, clock_gettime};
use serde::Serialize;

use crate::client::Client;
use crate::latency::{Latency, Recorder};
use crate::load::{STALL_MAX, generator_cpu};
use crate::mix::{Kind, Mix};
use crate::process::{MachineCpu, Probe, Usage};
use crate::session::Session;

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
/// Anything but the expected reply to each request, in order; or no reply at all for [`STALL_MAX`].
pub(crate) fn run(
    addrs: &[SocketAddr],
    mix: Mix,
    pace: &Pace,
    probe: &Probe,
    on_window: impl FnOnce() -> Result<()>,
) -> Result<Paced> {
    let mut schedule = Schedule::start(addrs, mix, pace)?;
    let window_at = schedule.start + pace.warmup.as_nanos() as u64;
    schedule.go_on_until(window_at.saturating_sub(AHEAD.as_nanos() as u64))?;
    on_window()?;
    let (before, machine) = (probe.sample()?, MachineCpu::now()?);
    let (server_cpu, own_cpu) = (probe.cpu()?, generator_cpu()?);
    schedule.record_from = window_at;
    schedule.go_on_until(window_at + pace.measure.as_nanos() as u64)?;

    let (server_cpu, own_cpu) = (probe.cpu()? - server_cpu, generator_cpu()? - own_cpu);
    let server = Usage::between(&before, &probe.sample()?, server_cpu);
    let machine = MachineCpu::now()?.since(machine);
    schedule.drain()?;
    let seconds = (now()? - window_at) as f64 / 1e9;
    let (reads, writes) = (schedule.reads.summary(), schedule.writes.summary());
    let lateness = schedule.lateness.summary();
    schedule.finish()?;
    Ok(Paced {
        reads: reads.context("nothing was read while measuring")?,
        writes: writes.context("nothing was written while measuring")?,
        lateness: lateness.context("nothing was sent while measuring")?,
        seconds,
        server,
        generator_cpu_ns: own_cpu.as_nanos() as u64,
        others_busy: machine.busy_beyond(server_cpu + own_cpu),
    })
}

/// A request that waits for its reply.
#[derive(Clone, Copy, Debug)]
struct Asked {
    /// In ns of the monotonic clock, like all times here.
    intended: u64,
    kind: Kind,
    child: u32,
}

struct Schedule {
    epoll: Epoll,
    clients: Vec<Client<Asked>>,
    /// Whether the socket took all that was queued; otherwise the kernel is asked to tell when it takes more.
    flushed: Vec<bool>,
    mix: Mix,
    /// Expires whenever a request is due.
    timer: TimerFd,
    start: u64,
    interval: u64,
    sent: u64,
    /// Requests that are to be sent before are not recorded.
    record_from: u64,
    reads: Recorder,
    writes: Recorder,
    lateness: Recorder,
}

impl Schedule {
    /// Connects, and makes the first request due in a moment.
    fn start(addrs: &[SocketAddr], mix: Mix, pace: &Pace) -> Result<Schedule> {
        let epoll = Epoll::new(EpollCreateFlags::empty())?;
        let mut clients = Vec::with_capacity(pace.connections);
        for (index, &addr) in addrs.iter().cycle().take(pace.connections).enumerate() {
            let client = Client::new(Session::open(addr)?.into_stream())?;
            epoll.add(&client, EpollEvent::new(EpollFlags::EPOLLIN, index as u64))?;
            clients.push(client);
        }
        let timer = TimerFd::new(timerfd::ClockId::CLOCK_MONOTONIC, TimerFlags::TFD_NONBLOCK)?;
        epoll.add(&timer, EpollEvent::new(EpollFlags::EPOLLIN, TIMER))?;
        let start = now()? + AHEAD.as_nanos() as u64;
        let interval = NS_PER_SECOND / u64::from(pace.per_second);
        let every = TimeSpec::from_duration(Duration::from_nanos(interval));
        let first = TimeSpec::from_duration(Duration::from_nanos(start));
        timer.set(Expiration::IntervalDelayed(first, every), TimerSetTimeFlags::TFD_TIMER_ABSTIME)?;
        Ok(Schedule {
            epoll,
            flushed: vec![true; clients.len()],
            clients,
            mix,
            timer,
            start,
            interval,
            sent: 0,
            record_from: u64::MAX,
            reads: Recorder::new(),
            writes: Recorder::new(),
            lateness: Recorder::new(),
        })
    }

    /// Sends all that is due before `end`.
    fn go_on_until(&mut self, end: u64) -> Result<()> {
        while self.next_due() < end {
            self.turn(end)?;
        }
        Ok(())
    }

    /// Sends nothing more, and waits for all replies.
    fn drain(&mut self) -> Result<()> {
        self.timer.unset()?;
        while self.clients.iter().any(|client| client.in_flight() > 0) {
            self.turn(0)?;
        }
        Ok(())
    }

    fn finish(self) -> Result<()> {
        for client in self.clients {
            Session::resume(client.into_stream())?.close()?;
        }
        Ok(())
    }

    /// Waits for something to do, and does it; sending comes first, replies can wait.
    fn turn(&mut self, end: u64) -> Result<()> {
        let mut events = [EpollEvent::empty(); EVENTS_PER_TURN_MAX];
        let count = match self.epoll.wait(&mut events, EpollTimeout::try_from(STALL_MAX)?) {
            Ok(0) => bail!("the server has not answered anything for {STALL_MAX:?}"),
            Ok(count) => count,
            Err(Errno::EINTR) => 0,
            Err(error) => return Err(error).context("cannot wait for replies"),
        };
        self.send_due(end)?;
        for event in &events[..count] {
            if event.data() == TIMER {
                // It runs on only when it is read.
                self.timer.wait().context("cannot read the timer")?;
            } else {
                self.serve(event.data() as usize, event.events())?;
                self.send_due(end)?;
            }
        }
        Ok(())
    }

    fn send_due(&mut self, end: u64) -> Result<()> {
        let mut now = now()?;
        while self.next_due() <= now && self.next_due() < end {
            let intended = self.next_due();
            let index = (self.sent % self.clients.len() as u64) as usize;
            let (kind, child) = self.mix.next();
            self.sent += 1;
            self.clients[index].queue(self.mix.request(kind), child, Asked { intended, kind, child });
            self.flush(index)?;
            if intended >= self.record_from {
                self.lateness.record(now - intended);
            }
            now = self::now()?;
        }
        self.check_stall(now)
    }

    fn serve(&mut self, index: usize, events: EpollFlags) -> Result<()> {
        if events.contains(EpollFlags::EPOLLOUT) {
            self.flush(index)?;
        }
        self.clients[index].receive()?;
        let now = now()?;
        let Schedule { clients, mix, reads, writes, record_from, .. } = self;
        let requests = mix;
        let mut created = Vec::new();
        clients[index].take_replies(
            |asked| requests.request(asked.kind).reply_len(),
            |asked| {
                if asked.kind == Kind::Create {
                    created.push(asked.child);
                }
                if asked.intended >= *record_from {
                    let recorder = if asked.kind.is_write() { &mut *writes } else { &mut *reads };
                    recorder.record(now - asked.intended);
                }
            },
        )?;
        created.into_iter().for_each(|child| self.mix.created(child));
        Ok(())
    }

    fn flush(&mut self, index: usize) -> Result<()> {
        let flushed = self.clients[index].flush()?;
        if flushed != self.flushed[index] {
            self.flushed[index] = flushed;
            let wanted =
                if flushed { EpollFlags::EPOLLIN } else { EpollFlags::EPOLLIN | EpollFlags::EPOLLOUT };
            self.epoll.modify(&self.clients[index], &mut EpollEvent::new(wanted, index as u64))?;
        }
        Ok(())
    }

    /// While requests go out, the timer keeps the wait from ending by itself.
    fn check_stall(&self, now: u64) -> Result<()> {
        let oldest = |client: &Client<Asked>| Some(now.saturating_sub(client.oldest()?.intended));
        let waits = self.clients.iter().filter_map(oldest).map(Duration::from_nanos);
        if waits.clone().any(|wait| wait > STALL_MAX) {
            bail!(
                "the server does not keep up: of {} requests sent {} wait for their reply, and the oldest of \
                 each connection that waits have done so for {:.1?}",
                self.sent,
                self.clients.iter().map(Client::in_flight).sum::<usize>(),
                waits.collect::<Vec<_>>()
            );
        }
        Ok(())
    }

    fn next_due(&self) -> u64 {
        self.start + self.sent * self.interval
    }
}

/// The clock that the timer runs by, in ns.
fn now() -> Result<u64> {
    Ok(Duration::from(clock_gettime(ClockId::CLOCK_MONOTONIC)?).as_nanos() as u64)
}

/// Time for what has to be done before requests go out, and before they count: taking samples makes the
/// generator late for a moment.
const AHEAD: Duration = Duration::from_millis(20);

const EVENTS_PER_TURN_MAX: usize = 64;
const NS_PER_SECOND: u64 = 1_000_000_000;

/// No connection has this number.
const TIMER: u64 = u64::MAX;

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
        let span = Span { warmup: Duration::ZERO, measure: STALL_MAX, requests_max: 2000 };
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
