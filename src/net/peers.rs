//! The ports on which servers meet: listening, connecting, and sockets that notice a peer that is gone.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use ringkeeper_core::config::HostPort;
use rustix::net::{Shutdown, shutdown, sockopt};
use tracing::{debug, info, warn};

use super::arrivals::Arrivals;
use super::{ConnectError, PeerStream, Protection, listen};
use crate::runtime::{Reason, fatal};

/// How long an attempt to connect may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// For all addresses of a name together, their handshakes among it.
    pub all: Duration,
    /// What a handshake has all the same once there is a connection: where `all` is short to find out soon who is there at
    /// all, it is no measure for how long two servers take to check each other's certificates.
    pub handshake_min: Duration,
}

impl Patience {
    /// For connecting and handshakes together.
    pub fn of(all: Duration) -> Patience {
        Patience { all, handshake_min: Duration::ZERO }
    }
}

/// Connects to a server: resolves its name anew, and tries one address after the other until one has done its handshake.
/// Nothing of that but the name service takes longer than there is patience for.
pub fn connect(
    address: &HostPort,
    patience: Patience,
    protection: &Protection,
) -> Result<PeerStream, ConnectError> {
    let until = Instant::now() + patience.all;
    let resolved = (address.host.as_str(), address.port).to_socket_addrs()?.take(RESOLVED_MAX);
    let resolved: Vec<SocketAddr> = resolved.collect();
    try_each(&resolved, until, Instant::now, |resolved, share| {
        let until = Instant::now() + share;
        let tcp = connect_to(resolved, share)?;
        let left = until.saturating_duration_since(Instant::now());
        protection.dial(tcp, address, left.max(patience.handshake_min))
    })
}

/// What one may take of the time that is left, if so many still have to be tried, it among them: one that does not
/// answer leaves the others theirs.
pub fn share(left: Duration, to_try: usize) -> Duration {
    left / u32::try_from(to_try.max(1)).unwrap_or(u32::MAX)
}

/// Gives each address its share of the time until one succeeds; `attempt` is told what that is.
fn try_each<T>(
    addresses: &[SocketAddr],
    until: Instant,
    now: impl Fn() -> Instant,
    mut attempt: impl FnMut(SocketAddr, Duration) -> Result<T, ConnectError>,
) -> Result<T, ConnectError> {
    let mut failure = None;
    for (tried, address) in addresses.iter().enumerate() {
        let patience = share(until.saturating_duration_since(now()), addresses.len() - tried);
        if patience.is_zero() {
            return Err(failure.unwrap_or_else(|| {
                io::Error::new(io::ErrorKind::TimedOut, "the name service has taken all of the time").into()
            }));
        }
        let error = match attempt(*address, patience) {
            Ok(connection) => return Ok(connection),
            Err(error) => error,
        };
        debug!("{address}: {error}");
        // That the two do not agree is for the operator to mend, and says more than that nobody answers elsewhere.
        if !matches!((&failure, &error), (Some(ConnectError::Unprotected(_)), ConnectError::Unreachable(_))) {
            failure = Some(error);
        }
    }
    Err(failure.unwrap_or_else(|| io::Error::new(io::ErrorKind::NotFound, "the name has no address").into()))
}

fn connect_to(address: SocketAddr, timeout: Duration) -> io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&address, timeout)?;
    if stream.local_addr()? == stream.peer_addr()? {
        // On the machine itself, a port that nobody listens on can be given to the one who asks for it.
        debug!("{address} is nobody's but this attempt's own");
        return Err(io::ErrorKind::ConnectionRefused.into());
    }
    prepare(&stream)?;
    Ok(stream)
}

/// The threads that listen on the addresses of one of this server's ports.
pub struct PeerPort {
    shared: Arc<Shared>,
}

struct Shared {
    what: &'static str,
    stopping: AtomicBool,
    listeners: Mutex<Vec<Arc<TcpListener>>>,
    accepted: Arc<dyn Fn(PeerStream) + Send + Sync>,
    protection: Protection,
    arrivals: Arc<Arrivals>,
    attempts_max: Option<u32>,
}

impl PeerPort {
    /// Starts to listen on this server's own addresses, as its `server.` line has them, or, with
    /// `quorumListenOnAllIPs`, on their ports of all addresses. `what` names the port to the operator;
    /// `attempts_max` is how often to try to bind an address, for ever if none: after that the process ends.
    pub fn listen(
        what: &'static str,
        mut addresses: Vec<HostPort>,
        listens_on_all: bool,
        attempts_max: Option<u32>,
        protection: Protection,
        accepted: impl Fn(PeerStream) + Send + Sync + 'static,
    ) -> PeerPort {
        if listens_on_all {
            let wildcard = Ipv4Addr::UNSPECIFIED.to_string();
            addresses.iter_mut().for_each(|address| address.host.clone_from(&wildcard));
            addresses.dedup();
        }
        let shared = Arc::new(Shared {
            what,
            stopping: AtomicBool::new(false),
            listeners: Mutex::default(),
            accepted: Arc::new(accepted),
            arrivals: Arrivals::new(what, ARRIVALS_MAX, protection.reserved()),
            protection,
            attempts_max,
        });
        for address in addresses {
            let of_thread = shared.clone();
            let thread = std::thread::Builder::new().name(what.into());
            if let Err(error) = thread.spawn(move || of_thread.listen_on(&address)) {
                fatal(Reason::ElectionPort, error);
            }
        }
        PeerPort { shared }
    }

    /// Stops listening.
    pub fn stop(self) {
        let listeners = self.shared.listeners.lock().unwrap_or_else(PoisonError::into_inner);
        self.shared.stopping.store(true, Ordering::Release);
        for listener in listeners.iter() {
            // Shutting a listening socket down wakes the thread that waits in accept.
            let _ = shutdown(listener, Shutdown::Both);
        }
    }
}

impl Shared {
    fn listen_on(&self, address: &HostPort) {
        let Some(listener) = self.bind(address) else { return };
        info!("{}: {address}", self.what);
        while !self.stopping.load(Ordering::Acquire) {
            match listener.accept() {
                Ok((stream, remote)) => match prepare(&stream) {
                    Ok(()) => self.protection.accept(stream, remote, &self.arrivals, &self.accepted),
                    Err(error) => debug!("{remote} is gone before it was served: {error}"),
                },
                Err(_) if self.stopping.load(Ordering::Acquire) => return,
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                Err(error) => {
                    warn!("cannot accept a server's connection: {error}; trying again (see `ulimit -n`)");
                    std::thread::sleep(AFTER_A_FAILED_ACCEPT);
                }
            }
        }
    }

    /// Resolves and binds, as often as the operator wants.
    fn bind(&self, address: &HostPort) -> Option<Arc<TcpListener>> {
        let mut attempts = 0;
        loop {
            let problem = match try_bind(address) {
                Ok(listener) => return self.register(listener),
                Err(problem) => problem,
            };
            attempts += 1;
            if self.attempts_max.is_some_and(|most| attempts >= most) {
                let hint = "correct this server's server. line, or see electionPortBindRetry";
                let what = self.what;
                fatal(
                    Reason::ElectionPort,
                    format_args!("{what} {address}, tried {attempts} times: {problem}; {hint}"),
                );
            }
            warn!("the {} {address} can't be listened on yet: {problem}", self.what);
            std::thread::sleep(AFTER_A_FAILED_BIND);
            if self.stopping.load(Ordering::Acquire) {
                return None;
            }
        }
    }

    /// `None` if this server has stopped meanwhile.
    fn register(&self, listener: TcpListener) -> Option<Arc<TcpListener>> {
        let listener = Arc::new(listener);
        let mut listeners = self.listeners.lock().unwrap_or_else(PoisonError::into_inner);
        let is_wanted = !self.stopping.load(Ordering::Acquire);
        is_wanted.then(|| listeners.push(listener.clone()))?;
        Some(listener)
    }
}

/// Sets up a socket so that a peer that has gone without a word is noticed.
fn prepare(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    sockopt::set_socket_keepalive(stream, true)?;
    sockopt::set_tcp_keepidle(stream, KEEP_ALIVE_IDLE)?;
    sockopt::set_tcp_keepintvl(stream, KEEP_ALIVE_INTERVAL)?;
    sockopt::set_tcp_keepcnt(stream, KEEP_ALIVE_PROBES)?;
    sockopt::set_tcp_user_timeout(stream, USER_TIMEOUT_MS)?;
    Ok(())
}

fn try_bind(address: &HostPort) -> Result<TcpListener, String> {
    let mut resolved = (address.host.as_str(), address.port)
        .to_socket_addrs()
        .map_err(|error| format!("the name {} can't be resolved: {error}", address.host))?;
    let first: SocketAddr = resolved.next().ok_or_else(|| format!("{} has no address", address.host))?;
    listen(first, BACKLOG).map_err(|error| error.to_string())
}

const BACKLOG: u32 = 128;
/// More than an ensemble has servers.
const ARRIVALS_MAX: usize = 256;
/// How many addresses of one name are tried.
const RESOLVED_MAX: usize = 8;
const AFTER_A_FAILED_ACCEPT: Duration = Duration::from_millis(100);
const AFTER_A_FAILED_BIND: Duration = Duration::from_secs(1);
const KEEP_ALIVE_IDLE: Duration = Duration::from_secs(15);
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(5);
const KEEP_ALIVE_PROBES: u32 = 3;
/// How long data may be on its way without being acknowledged.
const USER_TIMEOUT_MS: u32 = 20_000;

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[test]
    fn who_does_not_answer_leaves_the_others_their_time() {
        let start = Instant::now();
        let (clock, mut given) = (Cell::new(start), Vec::new());
        let tried = try_each(
            &addresses(3),
            start + SECOND * 6,
            || clock.get(),
            |address, patience| {
                given.push((address.port(), patience));
                clock.set(clock.get() + patience);
                if address.port() == 3 { Ok(()) } else { Err(disagree("no certificate")) }
            },
        );
        tried.expect("the last answers");
        assert_eq!(given, [(1, SECOND * 2), (2, SECOND * 2), (3, SECOND * 2)]);
    }

    #[test]
    fn the_time_ends_the_attempt_and_the_cause_is_told() {
        let start = Instant::now();
        let clock = Cell::new(start);
        let tell = |attempt: &mut dyn FnMut(u16) -> ConnectError| {
            let tried = try_each(
                &addresses(2),
                start + SECOND,
                || clock.get(),
                |address, _| Err::<(), _>(attempt(address.port())),
            );
            tried.expect_err("nobody answers").to_string()
        };
        let told = tell(&mut |port| if port == 1 { disagree("no certificate") } else { nobody() });
        assert_eq!(told, "no certificate");
        let told = tell(&mut |port| if port == 2 { disagree("no certificate") } else { nobody() });
        assert_eq!(told, "no certificate");
        let told = tell(&mut |port| {
            assert_eq!(port, 1, "there is no time for another");
            clock.set(start + SECOND);
            disagree("too slow")
        });
        assert_eq!(told, "too slow");
        let told = tell(&mut |port| panic!("{port} is tried though there is no time"));
        assert!(told.contains("name service"), "{told}");
    }

    fn addresses(count: u16) -> Vec<SocketAddr> {
        (1..=count).map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, port))).collect()
    }

    fn disagree(why: &str) -> ConnectError {
        ConnectError::Unprotected(why.to_owned())
    }

    fn nobody() -> ConnectError {
        io::Error::from(io::ErrorKind::ConnectionRefused).into()
    }

    const SECOND: Duration = Duration::from_secs(1);
}
