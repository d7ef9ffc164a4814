//! Many sessions that one thread drives without ever blocking: what they are told comes back as a list.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::AsRawFd;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, SockaddrIn, SockaddrIn6, connect, socket};
use tracing::warn;

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

/// How sessions were opened.
pub(crate) struct Handshakes {
    /// How long each took, from when the first connection was begun.
    pub(crate) took: Recorder,
    /// How many connections the servers refused or reset before there was a session, and which were made again.
    pub(crate) turned_away: usize,
}

/// A connection on its way to a session.
struct Opening {
    addr: SocketAddr,
    /// `None` until it is made again.
    stream: Option<TcpStream>,
    /// Whose session it is to be; when it is open, whose it is.
    identity: Identity,
    asked: bool,
    input: Vec<u8>,
}

/// How far a connection has come.
enum Progress {
    Waits,
    /// Its session is open.
    Open(TcpStream, Identity),
    /// The server refused or reset it.
    TurnedAway(io::Error),
}

impl Fleet {
    /// Opens `count` sessions all at once, dealt out to the servers in turn. What a server refuses or resets before
    /// there is a session, as one does whose backlog is full, is tried again after [`AGAIN_AFTER`]. Those that are open
    /// are kept alive while others are not.
    ///
    /// # Errors
    /// When they are not all open after `limit`.
    pub(crate) fn open(addrs: &[SocketAddr], count: usize, limit: Duration) -> Result<(Fleet, Handshakes)> {
        Fleet::open_as(addrs, &vec![Identity::NEW; count], limit)
    }

    /// The same for sessions that exist.
    pub(crate) fn open_as(
        addrs: &[SocketAddr],
        identities: &[Identity],
        limit: Duration,
    ) -> Result<(Fleet, Handshakes)> {
        Fleet::open_pinging(addrs, identities, limit, PING_EVERY)
    }

    fn open_pinging(
        addrs: &[SocketAddr],
        identities: &[Identity],
        limit: Duration,
        ping_every: Duration,
    ) -> Result<(Fleet, Handshakes)> {
        let count = identities.len();
        allow_descriptors(count)?;
        let epoll = Epoll::new(EpollCreateFlags::empty())?;
        let mut handshakes = Handshakes { took: Recorder::new(), turned_away: 0 };
        let begun = now();
        let of_all = addrs.iter().cycle().zip(identities);
        let opening = |(addr, identity): (&SocketAddr, &Identity)| Opening::new(*addr, *identity);
        let mut openings: Vec<Opening> = of_all.map(opening).collect();
        // Those that are to be connected, with the time for it.
        let mut to_connect: VecDeque<(u64, usize)> = (0..count).map(|index| (begun, index)).collect();
        let mut clients: Vec<Option<(Client<()>, Identity)>> = (0..count).map(|_| None).collect();
        let (mut left, mut last, mut pinged_at) = (count, None, begun);
        while left > 0 {
            let waited = Duration::from_nanos(now() - begun);
            if waited > limit {
                let turned_away = last.map_or(String::new(), |error: io::Error| {
                    let times = handshakes.turned_away;
                    format!("; the server turned connections away {times} times, at last with: {error}")
                });
                bail!("{left} of {count} sessions are not open after {waited:.1?}{turned_away}");
            }
            let mut results = Vec::new();
            while let Some(&(at, index)) = to_connect.front()
                && at <= now()
            {
                to_connect.pop_front();
                results.push((index, openings[index].connect(&epoll, index)));
            }
            for event in wait(&epoll, if to_connect.is_empty() { STEP } else { AGAIN_AFTER / 4 })? {
                let index = event.data() as usize;
                match &mut clients[index] {
                    None => results.push((index, openings[index].go_on(&epoll, index))),
                    Some((client, _)) => listen_for_pings(client, &epoll, index)
                        .with_context(|| format!("session {index} of {count}, while {left} are not open"))?,
                }
            }
            if now() > pinged_at + ping_every.as_nanos() as u64 {
                pinged_at = now();
                for (index, client) in clients.iter_mut().enumerate() {
                    if let Some((client, _)) = client {
                        client.queue_ping();
                        client.flush(&epoll, index)?;
                    }
                }
            }
            for (index, result) in results {
                match result.with_context(|| format!("session {index} of {count}"))? {
                    Progress::Waits => {}
                    Progress::Open(stream, identity) => {
                        handshakes.took.record(now() - begun);
                        clients[index] = Some((Client::new(stream)?, identity));
                        left -= 1;
                    }
                    Progress::TurnedAway(error) => {
                        openings[index] = Opening::new(openings[index].addr, identities[index]);
                        to_connect.push_back((now() + AGAIN_AFTER.as_nanos() as u64, index));
                        handshakes.turned_away += 1;
                        last = Some(error);
                    }
                }
            }
        }
        if let Some(error) = last {
            let times = handshakes.turned_away;
            warn!(
                "the server turned connections away {times} times, at last with: {error}; they were made again"
            );
        }
        let (clients, identities): (Vec<Client<()>>, Vec<Identity>) = clients.into_iter().flatten().unzip();
        Ok((Fleet { epoll, clients, identities, pinged_at }, handshakes))
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
    fn new(addr: SocketAddr, identity: Identity) -> Opening {
        Opening { addr, stream: None, identity, asked: false, input: Vec::new() }
    }

    fn connect(&mut self, epoll: &Epoll, index: usize) -> Result<Progress> {
        let stream = match begin_to_connect(&self.addr)? {
            Ok(stream) => stream,
            Err(error) => {
                return turned_away_or(error).with_context(|| format!("cannot connect to {}", self.addr));
            }
        };
        let both = EpollFlags::EPOLLIN | EpollFlags::EPOLLOUT;
        epoll.add(&stream, EpollEvent::new(both, index as u64))?;
        self.stream = Some(stream);
        Ok(Progress::Waits)
    }

    /// Does what can be done now.
    fn go_on(&mut self, epoll: &Epoll, index: usize) -> Result<Progress> {
        let Some(stream) = &mut self.stream else { return Ok(Progress::Waits) };
        if !self.asked {
            if let Some(error) = stream.take_error()? {
                return turned_away_or(error).context("cannot connect");
            }
            stream.set_nodelay(true)?;
            // So short a frame fits into an empty buffer.
            if let Err(error) = stream.write_all(&wire::connect_request(SESSION_TIMEOUT_MS, &self.identity)) {
                return turned_away_or(error);
            }
            epoll.modify(stream, &mut EpollEvent::new(EpollFlags::EPOLLIN, index as u64))?;
            self.asked = true;
            return Ok(Progress::Waits);
        }
        let mut chunk = [0; 256];
        match stream.read(&mut chunk) {
            Ok(0) => bail!("the server closed the connection during the handshake"),
            Ok(len) => self.input.extend_from_slice(&chunk[..len]),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
            Err(error) => return turned_away_or(error),
        }
        let Some(answer) = wire::first_frame(&self.input)? else { return Ok(Progress::Waits) };
        let granted = wire::granted_session(answer)?;
        let is_another = self.identity != Identity::NEW && self.identity != granted;
        ensure!(!is_another, "the server gave another session than was asked for");
        Ok(self.stream.take().map_or(Progress::Waits, |stream| Progress::Open(stream, granted)))
    }
}

/// What the error of a connection without a session means.
fn turned_away_or(error: io::Error) -> Result<Progress> {
    match error.kind() {
        // Whoever writes to a connection that was reset gets the last one.
        ErrorKind::ConnectionRefused | ErrorKind::ConnectionReset | ErrorKind::BrokenPipe => {
            Ok(Progress::TurnedAway(error))
        }
        _ => Err(error.into()),
    }
}

/// Takes what comes to a session that was asked for nothing but pings.
fn listen_for_pings(client: &mut Client<()>, epoll: &Epoll, index: usize) -> Result<()> {
    client.flush(epoll, index)?;
    client.receive()?;
    client.take_frames(|(), _| Ok(()), || {}).map(drop)
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

/// # Errors
/// When there can be no socket; the inner error is that of connecting.
fn begin_to_connect(addr: &SocketAddr) -> Result<io::Result<TcpStream>> {
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
    Ok(match begun {
        Ok(()) | Err(Errno::EINPROGRESS) => Ok(TcpStream::from(socket)),
        Err(error) => Err(error.into()),
    })
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
/// How soon a connection is made again that the server turned away.
pub(crate) const AGAIN_AFTER: Duration = Duration::from_millis(100);
const PING_EVERY: Duration = Duration::from_secs(8);
const REPLIES_WITHIN: Duration = Duration::from_secs(60);
const SESSION_TIMEOUT_MS: i32 = 30_000;
const DESCRIPTORS_BESIDES: u64 = 100;

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::thread;

    use ringkeeper_kit::ports::Port;

    use super::*;
    use crate::stub::{stub, stub_behind_resets};

    #[test]
    fn what_a_server_resets_is_tried_again_and_counted() {
        let addr = stub_behind_resets(7, |requests| requests);
        let (mut fleet, handshakes) = Fleet::open(&[addr], 20, PATIENCE).expect("open in the end");
        assert_eq!((handshakes.turned_away, fleet.identities().len()), (7, 20));
        for index in 0..20 {
            fleet.ask(index, |xid, out| wire::append_get(xid, "/n", false, out)).expect("connected");
        }
        fleet.replies(20).expect("each has its own connection");
    }

    #[test]
    fn who_is_open_is_kept_alive_while_others_are_not() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let addr = listener.local_addr().expect("bound");
        let server = thread::spawn(move || {
            let [mut first, mut second] = [(); 2].map(|()| listener.accept().expect("both connect").0);
            let mut response = Vec::new();
            wire::append_connect_response(&mut response);
            assert_ne!(frame(&mut first).len(), PING_LEN, "a connect request");
            first.write_all(&response).expect("connected");
            assert_eq!(frame(&mut first).len(), PING_LEN);
            second.write_all(&response).expect("connected");
            [first, second]
        });
        let every = Duration::from_millis(1);
        let opened = Fleet::open_pinging(&[addr], &[Identity::NEW; 2], PATIENCE, every);
        assert_eq!(opened.expect("open in the end").0.identities().len(), 2);
        server.join().expect("no panic");
    }

    /// Reads what is in a frame.
    fn frame(from: &mut TcpStream) -> Vec<u8> {
        let mut len = [0; 4];
        from.read_exact(&mut len).expect("connected");
        let mut payload = vec![0; u32::from_be_bytes(len) as usize];
        from.read_exact(&mut payload).expect("connected");
        payload
    }

    #[test]
    fn a_server_that_turns_nobody_away_counts_none() {
        let (_, handshakes) = Fleet::open(&[stub(|requests| requests)], 20, PATIENCE).expect("open");
        assert_eq!(handshakes.turned_away, 0);
    }

    #[test]
    fn who_refuses_for_ever_is_told_of_when_the_time_is_over() {
        let port = Port::claim();
        let addr = SocketAddr::from(([127, 0, 0, 1], port.number()));
        let error = Fleet::open(&[addr], 3, AGAIN_AFTER * 3).err().expect("nobody listens").to_string();
        assert!(error.contains("3 of 3 sessions are not open") && error.contains("refused"), "{error}");
    }

    const PATIENCE: Duration = Duration::from_secs(60);
    /// Its xid and its operation.
    const PING_LEN: usize = 8;
}
