use std::fmt::Display;
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::ops::Range;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use ringkeeper_core::config::{HostPort, PeerTls};
use thiserror::Error;
use tracing::{debug, error, info, warn};

use super::PeerStream;
use super::arrivals::{Arrival, Arrivals};
use super::tally::Tally;
use crate::tls::{Peeked, Tls, TlsError, explain, peek};

/// How what servers say to each other is protected; by default it is not.
#[derive(Clone, Default)]
pub struct Protection {
    guard: Option<Arc<Guard>>,
    /// The descriptors that are kept from clients.
    reserved: Option<Range<u64>>,
}

struct Guard {
    tls: Arc<Tls>,
    dials: bool,
    accepts_plain: bool,
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
        Ok(Protection { guard: Some(Arc::new(Guard { tls, dials, accepts_plain })), reserved: None })
    }

    /// Has connections of which is not known yet what they speak take only a part of these descriptors, which are kept
    /// from clients.
    pub fn sparing(self, reserved: Option<Range<u64>>) -> Protection {
        Protection { reserved, ..self }
    }

    pub(super) fn reserved(&self) -> Option<Range<u64>> {
        self.reserved.clone()
    }

    /// Makes of a connection to a server what this server is to say it through; blocks, for at most so long.
    pub(super) fn dial(
        &self,
        tcp: TcpStream,
        to: &HostPort,
        patience: Duration,
    ) -> Result<PeerStream, ConnectError> {
        let Some(guard) = self.guard.as_ref().filter(|guard| guard.dials) else {
            return Ok(PeerStream::plain(tcp));
        };
        let session = guard.tls.connect(&tcp, &to.host, patience.min(HANDSHAKE_TIMEOUT));
        let session = session.map_err(|failure| ConnectError::Unprotected(explain(&guard.tls, &failure)))?;
        debug!("{to} speaks {:?}", session.protocol_version());
        Ok(PeerStream::protected(tcp, session, guard.tls.options().prefix))
    }

    /// Hands on a connection that somebody has made to a port, when it is known what it speaks: that may be only after
    /// this returns. One that may not be is closed, and so is one that gives way to others meanwhile.
    pub(super) fn accept(
        &self,
        tcp: TcpStream,
        remote: SocketAddr,
        arrivals: &Arc<Arrivals>,
        accepted: &Arc<dyn Fn(PeerStream) + Send + Sync>,
    ) {
        let Some(guard) = &self.guard else { return accepted(PeerStream::plain(tcp)) };
        let arrival = arrivals.admit(tcp);
        let (of_thread, accepted) = (guard.clone(), accepted.clone());
        let started = thread::Builder::new().name("handshake".into()).spawn(move || {
            if let Some(stream) = of_thread.welcome(arrival, remote) {
                accepted(stream);
            }
        });
        if let Err(error) = started {
            warn!("{remote} is not let in: no thread can be started for it: {error}");
        }
    }
}

impl Guard {
    fn welcome(&self, arrival: Arrival, remote: SocketAddr) -> Option<PeerStream> {
        let patience = self.tls.options().detection;
        let peeked = peek(arrival.tcp(), patience);
        if arrival.gave_way() {
            return None;
        }
        match peeked.inspect_err(|error| debug!("{remote} is gone: {error}")).ok()? {
            Peeked::Tls => match self.tls.welcome(arrival.tcp(), remote, HANDSHAKE_TIMEOUT) {
                Ok(session) => {
                    let tcp = arrival.into_tcp()?;
                    info!("Accepted TLS connection from {remote} - {:?}", session.protocol_version());
                    Some(PeerStream::protected(tcp, session, self.tls.options().prefix))
                }
                Err(_) if arrival.gave_way() => None,
                Err(failure) => {
                    let why = explain(&self.tls, &failure);
                    tell(
                        &arrival.turned_away().failed,
                        format_args!("{remote} connects, and is not let in: {why}"),
                    );
                    None
                }
            },
            Peeked::Nothing => {
                debug!("{remote} connected, and said nothing");
                None
            }
            Peeked::Plain | Peeked::Silence if self.accepts_plain => {
                let tcp = arrival.into_tcp()?;
                info!("Accepted plaintext connection from {remote}");
                Some(PeerStream::plain(tcp))
            }
            Peeked::Plain => {
                tell(
                    &arrival.turned_away().plain,
                    format_args!(
                        "Blocked insecure connection attempt: {remote} speaks no TLS, and this server takes nothing \
                         else. Set sslQuorum=true there, or portUnification=true here until that is done"
                    ),
                );
                None
            }
            Peeked::Silence => {
                let ms = patience.as_millis();
                tell(
                    &arrival.turned_away().silent,
                    format_args!("{remote} connected, and has not begun to speak TLS within {ms} ms"),
                );
                None
            }
        }
    }
}

/// Says why a connection is closed, unless the same was just said of another one.
fn tell(tally: &Tally, why: impl Display) {
    match tally.add(Instant::now()) {
        Some(1) => warn!("{why}"),
        Some(count) => warn!("{why} ({} others like it since this was told last)", count - 1),
        None => debug!("{why}"),
    }
}

const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::net::TcpListener;
    use std::sync::mpsc::{self, Receiver};

    use ringkeeper_core::config::TlsOptions;

    use super::*;
    use crate::net::peers::{Patience, connect};
    use crate::tls::tests::of_fixtures;

    #[test]
    fn those_that_say_nothing_keep_no_server_out() {
        let (address, accepted) = listen(&protection());
        let mut silent = [(); SILENT].map(|()| TcpStream::connect(address).expect("listening"));
        let to = to(address);
        let tcp = TcpStream::connect(address).expect("listening");
        protection().dial(tcp, &to, PATIENCE).expect("a handshake");
        accepted.recv().expect("the server is let in");
        let oldest = silent[0].read(&mut [0]).expect("closed in good order");
        assert_eq!(oldest, 0, "the one that has been silent for longest gave way");
    }

    #[test]
    fn a_handshake_takes_no_longer_than_there_is_time() {
        let (address, _accepted) = listen(&protection());
        let tcp = TcpStream::connect(address).expect("listening");
        let error = protection().dial(tcp, &to(address), Duration::ZERO).expect_err("there is none");
        assert!(error.to_string().contains("has not completed the handshake of TLS in time"), "{error}");
    }

    #[test]
    fn a_handshake_may_take_longer_than_connecting_may() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let to = to(listener.local_addr().expect("bound"));
        let all = Duration::from_secs(2);
        let slow = thread::spawn(move || {
            let (tcp, remote) = listener.accept().expect("somebody connects");
            // What is waited for is the end of the time to connect.
            thread::sleep(all);
            Tls::load(of_fixtures()).expect("good").welcome(&tcp, remote, PATIENCE).expect("a handshake");
        });
        connect(&to, Patience { all, handshake_min: PATIENCE }, &protection()).expect("a handshake");
        slow.join().expect("no panic");
    }

    /// Of a server that waits as long as it takes.
    fn protection() -> Protection {
        let tls = Tls::load(TlsOptions { detection: PATIENCE, ..of_fixtures() }).expect("good");
        Protection {
            guard: Some(Arc::new(Guard { tls: Arc::new(tls), dials: true, accepts_plain: true })),
            reserved: None,
        }
    }

    /// A port that has room for so many that say nothing, and for no more, and what is accepted there.
    fn listen(protection: &Protection) -> (SocketAddr, Receiver<PeerStream>) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("bound");
        let (sender, accepted) = mpsc::channel();
        let accept: Arc<dyn Fn(PeerStream) + Send + Sync> = Arc::new(move |stream| {
            let _ = sender.send(stream);
        });
        let (protection, arrivals) = (protection.clone(), Arrivals::new("port", SILENT, None));
        thread::spawn(move || {
            while let Ok((tcp, remote)) = listener.accept() {
                protection.accept(tcp, remote, &arrivals, &accept);
            }
        });
        (address, accepted)
    }

    fn to(address: SocketAddr) -> HostPort {
        HostPort { host: address.ip().to_string(), port: address.port() }
    }

    const SILENT: usize = 4;
    const PATIENCE: Duration = Duration::from_secs(600);
}
