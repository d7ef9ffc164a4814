use std::io;
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use ringkeeper_core::config::{HostPort, PeerTls};
use thiserror::Error;
use tracing::{debug, error, info, warn};

use super::PeerStream;
use crate::tls::{Peeked, Tls, TlsError, explain, peek};

/// How what servers say to each other is protected; by default it is not.
#[derive(Clone, Default)]
pub struct Protection(Option<Arc<Guard>>);

struct Guard {
    tls: Arc<Tls>,
    dials: bool,
    accepts_plain: bool,
    /// Handshakes that others have begun and that are not done.
    under_way: AtomicUsize,
}

/// Why there is no connection to a server.
#[derive(Debug, Error)]
pub enum ConnectError {
    /// It cannot be reached.
    #[error(transparent)]
    Unreachable(#[from] io::Error),
    /// It is there, and this server and it do not agree on TLS.
    #[error("{0}")]
    Unprotected(String),
}

impl Protection {
    /// Reads keys and certificates, and if so wanted, reads them anew when they change. Without options everything
    /// is plain.
    pub fn load(options: Option<&PeerTls>) -> Result<Protection, TlsError> {
        let Some(options) = options else { return Ok(Protection::default()) };
        let tls = Arc::new(Tls::load(options.options.clone())?);
        if options.reloads
            && let Err(error) = tls.watch()
        {
            error!(
                "keys and certificates are not read anew when they change: no thread can be started: {error}"
            );
        }
        match options.dials {
            true => info!("Using TLS encrypted quorum communication"),
            false => info!("Using insecure (non-TLS) quorum communication"),
        }
        info!("Port unification {}", if options.accepts_plain { "enabled" } else { "disabled" });
        let PeerTls { dials, accepts_plain, .. } = *options;
        Ok(Protection(Some(Arc::new(Guard { tls, dials, accepts_plain, under_way: AtomicUsize::new(0) }))))
    }

    /// Makes of a connection to a server what this server is to say it through; blocks.
    pub(super) fn dial(&self, mut tcp: TcpStream, to: &HostPort) -> Result<PeerStream, ConnectError> {
        let Some(guard) = self.0.as_ref().filter(|guard| guard.dials) else {
            return Ok(PeerStream::plain(tcp));
        };
        let session = guard.tls.connect(&mut tcp, &to.host, HANDSHAKE_TIMEOUT);
        let session = session.map_err(|failure| ConnectError::Unprotected(explain(&guard.tls, &failure)))?;
        debug!("{to} speaks {:?}", session.protocol_version());
        Ok(PeerStream::protected(tcp, session, guard.tls.options().prefix))
    }

    /// Hands on a connection that somebody has made, when it is known what it speaks: that may be only after this
    /// returns. One that may not be is closed.
    pub(super) fn accept(
        &self,
        tcp: TcpStream,
        remote: SocketAddr,
        accepted: &Arc<dyn Fn(PeerStream) + Send + Sync>,
    ) {
        let Some(guard) = &self.0 else { return accepted(PeerStream::plain(tcp)) };
        if guard.under_way.fetch_add(1, Ordering::Relaxed) >= UNDER_WAY_MAX {
            guard.under_way.fetch_sub(1, Ordering::Relaxed);
            return warn!(
                "{remote} is not let in: {UNDER_WAY_MAX} others have connected and not said yet whether they speak TLS"
            );
        }
        let (of_thread, accepted) = (guard.clone(), accepted.clone());
        let started = thread::Builder::new().name("handshake".into()).spawn(move || {
            if let Some(stream) = of_thread.welcome(tcp, remote) {
                accepted(stream);
            }
            of_thread.under_way.fetch_sub(1, Ordering::Relaxed);
        });
        if let Err(error) = started {
            guard.under_way.fetch_sub(1, Ordering::Relaxed);
            warn!("{remote} is not let in: no thread can be started for it: {error}");
        }
    }
}

impl Guard {
    fn welcome(&self, mut tcp: TcpStream, remote: SocketAddr) -> Option<PeerStream> {
        let patience = self.tls.options().detection;
        let peeked = peek(&tcp, patience).inspect_err(|error| debug!("{remote} is gone: {error}")).ok()?;
        match peeked {
            Peeked::Tls => match self.tls.welcome(&mut tcp, remote, HANDSHAKE_TIMEOUT) {
                Ok(session) => {
                    info!("Accepted TLS connection from {remote} - {:?}", session.protocol_version());
                    Some(PeerStream::protected(tcp, session, self.tls.options().prefix))
                }
                Err(failure) => {
                    warn!("{remote} connects, and is not let in: {}", explain(&self.tls, &failure));
                    None
                }
            },
            Peeked::Nothing => {
                debug!("{remote} connected, and said nothing");
                None
            }
            Peeked::Plain | Peeked::Silence if self.accepts_plain => {
                info!("Accepted plaintext connection from {remote}");
                Some(PeerStream::plain(tcp))
            }
            Peeked::Plain => {
                warn!(
                    "Blocked insecure connection attempt: {remote} speaks no TLS, and this server takes nothing else. \
                     Set sslQuorum=true there, or portUnification=true here until that is done"
                );
                None
            }
            Peeked::Silence => {
                warn!(
                    "{remote} connected, and has not begun to speak TLS within {} ms",
                    patience.as_millis()
                );
                None
            }
        }
    }
}

/// More than an ensemble has servers: those that say nothing are let go in time.
const UNDER_WAY_MAX: usize = 256;
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
