//! Many sessions that one thread drives without ever blocking: what they are told comes back as a list.

use std::net::{SocketAddr, TcpStream};
use std::os::fd::AsRawFd;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, SockaddrIn, SockaddrIn6, connect, socket};

use crate::client::Client;
use crate::engine::now;
use crate::latency::Recorder;
use crate::wire::{self, Identity};

/// The sessions, by number.
pub(crate) struct Fleet {
    epoll: Epoll,
    clients: Vec<Client<()>>,
    identities: Vec<Identity>,
    pinged_at: u64,
}

/// What a session was told.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) index: usize,
    /// When it was read, in ns of [`now`].
    pub(crate) at: u64,
    pub(crate) what: What,
}

/// A reply, or a watch's event.
#[derive(Debug)]
pub(crate) enum What {
    /// With ZooKeeper's code, and what stands behind the header.
    Reply(i32, Vec<u8>),
    Event,
}

/// A connection on its way to a session.
struct Opening {
    stream: TcpStream,
    /// Whose session it is to be; when it is open, whose it is.
    identity: Identity,
    asked: bool,
    input: Vec<u8>,
}

impl Fleet {
    /// Opens `count` sessions all at once, dealt out to the servers in turn. Returns also how long each
    /// handshake took, from when the first connection was begun.
    ///
    /// # Errors
    /// When they are not all open after `limit`.
    pub(crate) fn open(addrs: &[SocketAddr], count: usize, limit: Duration) -> Result<(Fleet, Recorder)> {
        Fleet::open_as(addrs, &vec![Identity::NEW; count], limit)
    }

    /// The same for sessions that exist.
    pub(crate) fn open_as(
        addrs: &[SocketAddr],
        identities: &[Identity],
        limit: Duration,
    ) -> Result<(Fleet, Recorder)> {
        let count = identities.len();
        allow_descriptors(count)?;
        let epoll = Epoll::new(EpollCreateFlags::empty())?;
        let mut recorder = Recorder::new();
        let begun = now();
        let mut openings: Vec<Option<Opening>> = Vec::with_capacity(count);
        let both = EpollFlags::EPOLLIN | EpollFlags::EPOLLOUT;
        for (index, addr) in addrs.iter().cycle().take(count).enumerate() {
            let stream = begin_to_connect(addr)?;
            epoll.add(&stream, EpollEvent::new(both, index as u64))?;
            let identity = identities[index];
            openings.push(Some(Opening { stream, identity, asked: false, input: Vec::new() }));
        }
        let mut clients: Vec<Option<(Client<()>, Identity)>> = (0..count).map(|_| None).collect();
        let mut left = count;
        while left > 0 {
            let waited = Duration::from_nanos(now() - begun);
            if waited > limit {
                bail!("{left} of {count} sessions are not open after {waited:.1?}");
            }
            for event in wait(&epoll, STEP)? {
                let index = event.data() as usize;
                let Some(opening) = openings[index].as_mut() else { continue };
                if !opening.go_on(&epoll, index).with_context(|| format!("session {index} of {count}"))? {
                    continue;
                }
                recorder.record(now() - begun);
                if let Some(opening) = openings[index].take() {
                    clients[index] = Some((Client::new(opening.stream)?, opening.identity));
                    left -= 1;
                }
            }
        }
        let (clients, identities): (Vec<Client<()>>, Vec<Identity>) = clients.into_iter().flatten().unzip();
        Ok((Fleet { epoll, clients, identities, pinged_at: now() }, recorder))
    }

    /// Whose sessions they are.
    pub(crate) fn identities(&self) -> &[Identity] {
        &self.identities
    }

    /// Sends a request of one session. `write` appends its frame, with the xid that it is given.
    pub(crate) fn ask(&mut self, index: usize, write: impl FnOnce(i32, &mut Vec<u8>)) -> Result<()> {
        self.clients[index].queue((), write);
        self.flush(index)
    }

    /// Waits for `limit` at most until there is something to tell, and returns it. Sessions that have long
    /// been silent are kept alive.
    pub(crate) fn listen(&mut self, limit: Duration) -> Result<Vec<Told>> {
        let mut told = Vec::new();
        for event in wait(&self.epoll, limit)? {
            let index = event.data() as usize;
            if event.events().contains(EpollFlags::EPOLLOUT) {
                self.flush(index)?;
            }
            let client = &mut self.clients[index];
            client.receive().with_context(|| format!("session {index}"))?;
            let at = now();
            let mut events = 0;
            client.take_frames(
                |(), reply| {
                    told.push(Told { index, at, what: What::Reply(reply.code, reply.body().to_vec()) });
                    Ok(())
                },
                || events += 1,
            )?;
            told.extend((0..events).map(|_| Told { index, at, what: What::Event }));
        }
        if now() > self.pinged_at + PING_EVERY.as_nanos() as u64 {
            self.ping_all()?;
        }
        Ok(told)
    }

    /// Listens until each of these sessions has a reply, and returns all that was told.
    ///
    /// # Errors
    /// Also when a reply is an error, or one is missing for long.
    pub(crate) fn replies(&mut self, count: usize) -> Result<Vec<Told>> {
        let (mut all, mut replies) = (Vec::new(), 0);
        let begun = now();
        while replies < count {
            for told in self.listen(STEP)? {
                if let What::Reply(code, _) = told.what {
                    replies += 1;
                    if code != 0 {
                        bail!("session {} got ZooKeeper's error {code}", told.index);
                    }
                }
                all.push(told);
            }
            let waited = Duration::from_nanos(now() - begun);
            if waited > REPLIES_WITHIN {
                bail!("{replies} of {count} replies came in {waited:.1?}");
            }
        }
        Ok(all)
    }

    /// Sends a ping of each session.
    pub(crate) fn ping_all(&mut self) -> Result<()> {
        self.pinged_at = now();
        for index in 0..self.clients.len() {
            self.clients[index].queue_ping();
            self.flush(index)?;
        }
        Ok(())
    }

    fn flush(&mut self, index: usize) -> Result<()> {
        self.clients[index].flush(&self.epoll, index)
    }
}

impl Opening {
    /// Does what can be done now. Returns whether the session is open.
    fn go_on(&mut self, epoll: &Epoll, index: usize) -> Result<bool> {
        use std::io::{ErrorKind, Read, Write};
        if !self.asked {
            if let Some(error) = self.stream.take_error()? {
                return Err(error).context("cannot connect");
            }
            self.stream.set_nodelay(true)?;
            // So short a frame fits into an empty buffer.
            self.stream.write_all(&wire::connect_request(SESSION_TIMEOUT_MS, &self.identity))?;
            epoll.modify(&self.stream, &mut EpollEvent::new(EpollFlags::EPOLLIN, index as u64))?;
            self.asked = true;
            return Ok(false);
        }
        let mut chunk = [0; 256];
        match self.stream.read(&mut chunk) {
            Ok(0) => bail!("the server closed the connection during the handshake"),
            Ok(len) => self.input.extend_from_slice(&chunk[..len]),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
            Err(error) => return Err(error.into()),
        }
        let Some(answer) = wire::first_frame(&self.input)? else { return Ok(false) };
        let granted = wire::granted_session(answer)?;
        let is_another = self.identity != Identity::NEW && self.identity != granted;
        ensure!(!is_another, "the server gave another session than was asked for");
        self.identity = granted;
        Ok(true)
    }
}

fn wait(epoll: &Epoll, limit: Duration) -> Result<Vec<EpollEvent>> {
    let mut events = vec![EpollEvent::empty(); EVENTS_PER_TURN_MAX];
    match epoll.wait(&mut events, EpollTimeout::try_from(limit)?) {
        Ok(count) => events.truncate(count),
        Err(Errno::EINTR) => events.clear(),
        Err(error) => return Err(error).context("cannot wait for replies"),
    }
    Ok(events)
}

fn begin_to_connect(addr: &SocketAddr) -> Result<TcpStream> {
    let make = |family| {
        let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
        socket(family, SockType::Stream, flags, None).context("cannot make another socket")
    };
    let (socket, begun) = match *addr {
        SocketAddr::V4(addr) => {
            let socket = make(AddressFamily::Inet)?;
            let begun = connect(socket.as_raw_fd(), &SockaddrIn::from(addr));
            (socket, begun)
        }
        SocketAddr::V6(addr) => {
            let socket = make(AddressFamily::Inet6)?;
            let begun = connect(socket.as_raw_fd(), &SockaddrIn6::from(addr));
            (socket, begun)
        }
    };
    match begun {
        Ok(()) | Err(Errno::EINPROGRESS) => Ok(TcpStream::from(socket)),
        Err(error) => Err(error).with_context(|| format!("cannot connect to {addr}")),
    }
}

/// Each session takes a file descriptor.
pub(crate) fn allow_descriptors(sessions: usize) -> Result<()> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    let wanted = sessions as u64 + DESCRIPTORS_BESIDES;
    if soft < wanted {
        let message = || {
            format!("{sessions} sessions need {wanted} file descriptors, and this process may have {hard}")
        };
        setrlimit(Resource::RLIMIT_NOFILE, wanted, hard).with_context(message)?;
    }
    Ok(())
}

const EVENTS_PER_TURN_MAX: usize = 256;
const STEP: Duration = Duration::from_millis(100);
const PING_EVERY: Duration = Duration::from_secs(8);
const REPLIES_WITHIN: Duration = Duration::from_secs(60);
const SESSION_TIMEOUT_MS: i32 = 30_000;
const DESCRIPTORS_BESIDES: u64 = 100;
