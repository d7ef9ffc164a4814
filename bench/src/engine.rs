//! The loop under all loads: one thread, one system call each to wait, to read and to write, whatever the
//! depth. Closed or open:
//!
//! - **closed**: each connection keeps a fixed number of operations in flight, and asks anew as soon as a
//!   reply comes. Latency counts from just before sending.
//! - **open**: operations go out at a fixed rate, whether or not the server keeps up, and their latency counts
//!   from when they were to be sent. So a server that stalls is charged for all that it kept waiting, not only
//!   for what happened to be in flight (the "coordinated omission" of closed loops). What the generator is
//!   late itself is recorded too: that much of each latency is not the server's.

mod link;
mod reconnect;

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{self, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};
use nix::time::{ClockId, clock_gettime};
use tracing::warn;

use crate::recording::{Recording, Second};
use crate::schedule::Schedule;

pub(crate) use link::{Asked, Failure, Link, Queue, Work, ZooKeeper};
use reconnect::Reconnector;

/// When to ask.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Pacing {
    Closed { outstanding: usize },
    Open { per_second: u32 },
}

/// What to do about errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Errors {
    /// The first one ends the load.
    End,
    /// They are counted by their code, and connections that break are opened anew.
    Count,
}

/// A load that runs.
pub(crate) struct Engine<W: Work> {
    epoll: Epoll,
    addrs: Vec<SocketAddr>,
    /// `None` while a connection is lost.
    links: Vec<Option<W::Link>>,
    work: W,
    errors: Errors,
    pace: Pace,
    asked: u64,
    asks_max: u64,
    recording: Recording,
    reconnector: Reconnector<W::Link>,
    on_second: Option<OnSecond>,
    stall_checked: u64,
}

type OnSecond = Box<dyn FnMut(&Second)>;

enum Pace {
    Closed {
        outstanding: usize,
    },
    Open {
        schedule: Schedule,
        /// Expires whenever a request may be due.
        timer: TimerFd,
        /// The connection whose turn it is.
        turn: usize,
    },
}

impl<W: Work> Engine<W> {
    /// Opens `connections` sessions, dealt out to the servers in turn, and begins: a closed loop with the
    /// first requests, an open one with the first request being due in a moment. The load asks no more than
    /// `asks_max` times.
    pub(crate) fn start(
        addrs: &[SocketAddr],
        connections: usize,
        pacing: Pacing,
        work: W,
        operations: usize,
        (errors, asks_max): (Errors, u64),
    ) -> Result<Engine<W>> {
        let epoll = Epoll::new(EpollCreateFlags::empty())?;
        let mut links = Vec::with_capacity(connections);
        for (index, &addr) in addrs.iter().cycle().take(connections).enumerate() {
            let link = W::Link::new(W::Link::open(addr, ANSWER_TIMEOUT)?)?;
            epoll.add(&link, EpollEvent::new(EpollFlags::EPOLLIN, index as u64))?;
            links.push(Some(link));
        }
        let reconnector = Reconnector::new()?;
        epoll.add(&reconnector, EpollEvent::new(EpollFlags::EPOLLIN, RECONNECTED))?;
        let pace = match pacing {
            Pacing::Closed { outstanding } => Pace::Closed { outstanding },
            Pacing::Open { per_second } => {
                let start = now() + AHEAD.as_nanos() as u64;
                let schedule = Schedule::new(start, per_second);
                let timer = TimerFd::new(timerfd::ClockId::CLOCK_MONOTONIC, TimerFlags::TFD_NONBLOCK)?;
                epoll.add(&timer, EpollEvent::new(EpollFlags::EPOLLIN, TIMER))?;
                let every = TimeSpec::from_duration(Duration::from_nanos(schedule.look_every()));
                let first = TimeSpec::from_duration(Duration::from_nanos(start));
                timer.set(Expiration::IntervalDelayed(first, every), TimerSetTimeFlags::TFD_TIMER_ABSTIME)?;
                Pace::Open { schedule, timer, turn: 0 }
            }
        };
        let mut engine = Engine {
            epoll,
            addrs: addrs.to_vec(),
            links,
            work,
            errors,
            pace,
            asked: 0,
            asks_max,
            recording: Recording::new(operations),
            reconnector,
            on_second: None,
            stall_checked: now(),
        };
        if let Pace::Closed { outstanding } = engine.pace {
            for index in 0..connections {
                engine.ask(index, outstanding as u64)?;
            }
        }
        Ok(engine)
    }

    /// Calls `on_second` with each second that is over, while the measurement lasts; it must be quick.
    pub(crate) fn set_on_second(&mut self, on_second: impl FnMut(&Second) + 'static) {
        self.on_second = Some(Box::new(on_second));
    }

    /// When an open loop's first request is due; a closed loop has begun.
    pub(crate) fn begins_at(&self) -> u64 {
        match &self.pace {
            Pace::Closed { .. } => now(),
            Pace::Open { schedule, .. } => schedule.next_due(),
        }
    }

    /// Records from `from` on: of a closed loop what is answered, of an open one what is to be sent. What is
    /// in flight in a closed loop then counts from then, so that a stall that began earlier shows.
    pub(crate) fn record_from(&mut self, from: u64) {
        self.recording.open(from);
    }

    /// What was recorded.
    pub(crate) fn recording(&self) -> &Recording {
        &self.recording
    }

    /// Operations asked for so far.
    #[cfg(test)]
    pub(crate) fn asked(&self) -> u64 {
        self.asked
    }

    /// Goes on until `end`, or until `asks` operations have been asked for.
    pub(crate) fn go_on_until(&mut self, end: u64, asks: u64) -> Result<()> {
        loop {
            let next = match &self.pace {
                Pace::Closed { .. } => now(),
                Pace::Open { schedule, .. } => schedule.next_due(),
            };
            if next >= end || self.asked >= asks {
                return Ok(());
            }
            self.turn(end)?;
        }
    }

    /// Goes on until something was recorded.
    pub(crate) fn go_on_until_answered(&mut self) -> Result<()> {
        while self.recording.count() == 0 {
            self.turn(u64::MAX)?;
        }
        Ok(())
    }

    /// Asks nothing more, and waits for all replies.
    pub(crate) fn drain(&mut self) -> Result<()> {
        self.asks_max = self.asked;
        if let Pace::Open { timer, .. } = &self.pace {
            timer.unset()?;
        }
        while self.links.iter().flatten().any(|link| link.in_flight() > 0) {
            self.turn(0)?;
        }
        Ok(())
    }

    /// Waits for what is in flight, ends the sessions, and returns what was recorded.
    pub(crate) fn finish(mut self) -> Result<Recording> {
        self.drain()?;
        for link in self.links.into_iter().flatten() {
            let closed = link.close();
            match self.errors {
                Errors::End => closed?,
                // The server may be gone by now, which ends its sessions too.
                Errors::Count => drop(closed),
            }
        }
        Ok(self.recording)
    }

    /// Waits for something to do, and does it; sending comes first, replies can wait.
    fn turn(&mut self, end: u64) -> Result<()> {
        let mut events = [EpollEvent::empty(); EVENTS_PER_TURN_MAX];
        let left = Duration::from_nanos(end.saturating_sub(now())) + Duration::from_millis(1);
        let patience = if end == 0 { STALL_LOOK } else { STALL_LOOK.min(left) };
        let count = match self.epoll.wait(&mut events, EpollTimeout::try_from(patience)?) {
            Ok(count) => count,
            Err(Errno::EINTR) => 0,
            Err(error) => return Err(error).context("cannot wait for replies"),
        };
        self.send_due(end)?;
        for event in &events[..count] {
            match (event.data(), &self.pace) {
                (TIMER, Pace::Open { timer, .. }) => {
                    // It runs on only when it is read.
                    timer.wait().context("cannot read the timer")?;
                }
                (RECONNECTED, _) => self.take_reconnected()?,
                (index, _) => {
                    let served = self.serve(index as usize, event.events());
                    self.or_lose(index as usize, served)?;
                    self.send_due(end)?;
                }
            }
        }
        self.check_stall()
    }

    fn send_due(&mut self, end: u64) -> Result<()> {
        loop {
            let Pace::Open { schedule, turn, .. } = &mut self.pace else { return Ok(()) };
            // While nobody is connected, requests wait, and their time goes on.
            let count = self.links.len();
            let mut turns = (*turn..*turn + count).map(|index| index % count);
            let Some(index) = turns.find(|&index| self.links[index].is_some()) else { return Ok(()) };
            let sent_at = now();
            if self.asked >= self.asks_max {
                return Ok(());
            }
            let Some(intended) = schedule.take_due(sent_at, end) else { return Ok(()) };
            *turn = index + 1;
            self.queue(index, intended);
            let flushed = self.flush(index);
            self.or_lose(index, flushed)?;
            self.recording.sent(intended, sent_at);
        }
    }

    fn serve(&mut self, index: usize, events: EpollFlags) -> Result<()> {
        if events.contains(EpollFlags::EPOLLOUT) {
            self.flush(index)?;
        }
        // What was lost in this turn may still have an event.
        let Some(link) = self.links[index].as_mut() else { return Ok(()) };
        let received_at = link.receive()?;
        let Engine { work, recording, errors, on_second, pace, .. } = self;
        let mut ended = 0;
        let is_closed = matches!(pace, Pace::Closed { .. });
        link.take_replies(|asked, answer| {
            ended += u64::from(asked.last);
            let from = recording.from();
            let intended = match (is_closed, received_at >= from) {
                (true, true) => asked.intended.max(from),
                _ => asked.intended,
            };
            if let Err(failure) = answer {
                ensure!(*errors == Errors::Count, "{}", failure.what);
                recording.failed(asked.operation, failure.code, intended, received_at);
                return Ok(());
            }
            work.replied(index, asked.tag);
            if asked.last
                && let Some(second) = recording.succeeded(asked.operation, intended, received_at)
                && let Some(on_second) = on_second
            {
                on_second(second);
            }
            Ok(())
        })?;
        if is_closed { self.ask(index, ended) } else { Ok(()) }
    }

    /// A closed loop's next requests.
    fn ask(&mut self, index: usize, count: u64) -> Result<()> {
        let count = count.min(self.asks_max - self.asked);
        let sent_at = now();
        for _ in 0..count {
            self.queue(index, sent_at);
        }
        self.flush(index)
    }

    fn queue(&mut self, index: usize, intended: u64) {
        self.asked += 1;
        if let Some(link) = self.links[index].as_mut() {
            self.work.ask(index, &mut Queue { link, intended });
        }
    }

    fn flush(&mut self, index: usize) -> Result<()> {
        self.links[index].as_mut().map_or(Ok(()), |link| link.flush(&self.epoll, index))
    }

    /// Where errors are counted, what breaks a connection only loses it.
    fn or_lose(&mut self, index: usize, result: Result<()>) -> Result<()> {
        let Err(error) = result else { return Ok(()) };
        if self.errors == Errors::End {
            return Err(error);
        }
        warn!("connection {index}: {error:#}");
        self.lose(index);
        Ok(())
    }

    fn lose(&mut self, index: usize) {
        let Some(mut link) = self.links[index].take() else { return };
        let lost_at = now();
        for asked in link.take_in_flight().into_iter().filter(|asked| asked.last) {
            self.recording.failed(asked.operation, CONNECTION_LOSS, asked.intended, lost_at);
        }
        self.work.lost(index);
        self.reconnector.reconnect(index, &self.addrs);
    }

    fn take_reconnected(&mut self) -> Result<()> {
        for (index, session) in self.reconnector.take()? {
            let link = W::Link::new(session?)?;
            self.epoll.add(&link, EpollEvent::new(EpollFlags::EPOLLIN, index as u64))?;
            self.links[index] = Some(link);
            if let Pace::Closed { outstanding } = self.pace {
                let asked = self.ask(index, outstanding as u64);
                self.or_lose(index, asked)?;
            }
        }
        Ok(())
    }

    fn check_stall(&mut self) -> Result<()> {
        let looked_at = now();
        if looked_at < self.stall_checked + STALL_LOOK.as_nanos() as u64 {
            return Ok(());
        }
        self.stall_checked = looked_at;
        let wait = |link: &W::Link| Some(looked_at.saturating_sub(link.oldest()?.intended));
        let waits: Vec<(usize, Duration)> = self
            .links
            .iter()
            .enumerate()
            .filter_map(|(index, link)| Some((index, Duration::from_nanos(wait(link.as_ref()?)?))))
            .collect();
        for &(index, wait) in &waits {
            if wait > LOSE_AFTER && self.errors == Errors::Count {
                warn!("connection {index}: no answer for {wait:.1?}");
                self.lose(index);
            } else if wait > STALL_MAX {
                let waits: Vec<Duration> = waits.iter().map(|(_, wait)| *wait).collect();
                bail!(
                    "the server does not keep up: of {} operations asked for some wait for their reply, the \
                     oldest of each connection that waits for {waits:.1?}",
                    self.asked
                );
            }
        }
        Ok(())
    }
}

/// The clock that timers run by, in ns.
pub(crate) fn now() -> u64 {
    let now = clock_gettime(ClockId::CLOCK_MONOTONIC).expect("Linux has a monotonic clock");
    Duration::from(now).as_nanos() as u64
}

/// The CPU time of the calling thread.
pub(crate) fn generator_cpu() -> Result<Duration> {
    Ok(clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID)?.into())
}

/// Time for what has to be done before requests go out, and before they count: taking samples makes the
/// generator late for a moment.
pub(crate) const AHEAD: Duration = Duration::from_millis(20);

/// Long, because a server under test may be starting or collecting garbage; bounded, so that no run hangs.
pub(crate) const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// No server is silent for so long unless it hangs.
pub(crate) const STALL_MAX: Duration = Duration::from_secs(20);

/// How long a client library waits before it looks for another server: two thirds of a session's timeout
/// would be 20 s.
const LOSE_AFTER: Duration = Duration::from_secs(15);

const STALL_LOOK: Duration = Duration::from_millis(200);
const EVENTS_PER_TURN_MAX: usize = 64;

/// ZooKeeper's code for it, which only clients use; gRPC's are all positive.
const CONNECTION_LOSS: i32 = -4;

/// No connection has these numbers.
const TIMER: u64 = u64::MAX;
const RECONNECTED: u64 = u64::MAX - 1;

#[cfg(test)]
mod tests;
