use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ringkeeper_core::config::{Ensemble, HostPort};
use rustix::net::{Shutdown, shutdown, sockopt};
use tracing::{debug, info, warn};

use super::ToElection;
use crate::net::listen;
use crate::runtime::{Reason, Sender, fatal};

/// The threads that listen on this server's election addresses.
pub(super) struct Listening {
    shared: Arc<Shared>,
}

struct Shared {
    stopping: AtomicBool,
    listeners: Mutex<Vec<Arc<TcpListener>>>,
    sender: Sender<ToElection>,
    attempts_max: Option<u32>,
}

impl Listening {
    /// Starts to listen on each election address of this server, or on its port of all addresses.
    pub(super) fn start(ensemble: &Ensemble, sender: Sender<ToElection>) -> Listening {
        let own = ensemble.election_addresses().find(|(id, _)| *id == ensemble.my_id);
        let mut addresses = own.map(|(_, addresses)| addresses).unwrap_or_default();
        if ensemble.listens_on_all {
            let wildcard = IpAddr::from(Ipv4Addr::UNSPECIFIED).to_string();
            addresses.iter_mut().for_each(|address| address.host.clone_from(&wildcard));
            addresses.dedup();
        }
        let shared = Arc::new(Shared {
            stopping: AtomicBool::new(false),
            listeners: Mutex::default(),
            sender,
            attempts_max: ensemble.bind_attempts,
        });
        for address in addresses {
            let of_thread = shared.clone();
            let thread = std::thread::Builder::new().name("election port".into());
            if let Err(error) = thread.spawn(move || of_thread.listen_on(&address)) {
                fatal(Reason::ElectionPort, error);
            }
        }
        Listening { shared }
    }

    /// Stops listening.
    pub(super) fn stop(self) {
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
        info!("election port: {address}");
        while !self.stopping.load(Ordering::Acquire) {
            match listener.accept() {
                Ok((stream, remote)) => match prepare(&stream) {
                    Ok(()) => self.sender.post(ToElection::Accepted(stream)),
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
                fatal(
                    Reason::ElectionPort,
                    format_args!("{address}, tried {attempts} times: {problem}; {hint}"),
                );
            }
            warn!("the election port {address} can't be listened on yet: {problem}");
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
pub(super) fn prepare(stream: &TcpStream) -> io::Result<()> {
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
const AFTER_A_FAILED_ACCEPT: Duration = Duration::from_millis(100);
const AFTER_A_FAILED_BIND: Duration = Duration::from_secs(1);
const KEEP_ALIVE_IDLE: Duration = Duration::from_secs(15);
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(5);
const KEEP_ALIVE_PROBES: u32 = 3;
/// How long data may be on its way without being acknowledged.
const USER_TIMEOUT_MS: u32 = 20_000;
