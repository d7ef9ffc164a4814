use std::io;
use std::net::{SocketAddr, TcpListener, ToSocketAddrs};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use ringkeeper_core::config::HostPort;
use tracing::{error, info};

use super::{Acceptor, listen};
use crate::runtime::{Reason, fatal};

/// The client port, which a reconfig can move while the server runs. Who is connected stays connected.
pub struct ClientDoor {
    /// How to accept on a listener.
    start: Box<dyn Fn(TcpListener) -> io::Result<Acceptor> + Send + Sync>,
    backlog: u32,
    port: Arc<AtomicU16>,
    state: Mutex<State>,
}

struct State {
    acceptor: Option<Acceptor>,
    /// Where it listens, or listened last.
    place: SocketAddr,
    /// How often the port has been moved: what is not the last move is given up.
    moves: u64,
    stopped: bool,
}

impl ClientDoor {
    /// Accepts on this listener for now. `port` always has the port's number.
    pub fn open(
        listener: TcpListener,
        backlog: u32,
        port: Arc<AtomicU16>,
        start: impl Fn(TcpListener) -> io::Result<Acceptor> + Send + Sync + 'static,
    ) -> io::Result<Arc<ClientDoor>> {
        let place = listener.local_addr()?;
        let acceptor = Some(start(listener)?);
        let state = Mutex::new(State { acceptor, place, moves: 0, stopped: false });
        Ok(Arc::new(ClientDoor { start: Box::new(start), backlog, port, state }))
    }

    /// Listens there instead, if it is elsewhere. A place that cannot be had is tried again until it can, or another
    /// is wanted; meanwhile nobody new is served.
    pub fn move_to(self: &Arc<Self>, address: HostPort) {
        let mut state = self.state();
        state.moves += 1;
        let (moves, door) = (state.moves, self.clone());
        drop(state);
        let work = move || {
            while let Err(problem) = door.go_to(&address, moves) {
                error!("the client port {address} can't be listened on: {problem}; trying again");
                thread::sleep(AFTER_A_FAILURE);
            }
        };
        if let Err(error) = thread::Builder::new().name("client port".into()).spawn(work) {
            fatal(Reason::Panic, format_args!("no thread can be started to move the client port: {error}"));
        }
    }

    /// Nobody is let in any more.
    pub fn stop(&self) {
        let acceptor = {
            let mut state = self.state();
            state.stopped = true;
            state.acceptor.take()
        };
        acceptor.into_iter().for_each(Acceptor::stop);
    }

    fn go_to(&self, address: &HostPort, moves: u64) -> Result<(), String> {
        let mut resolved = (address.host.as_str(), address.port)
            .to_socket_addrs()
            .map_err(|error| format!("the name {} can't be resolved: {error}", address.host))?;
        let place: SocketAddr = resolved.next().ok_or_else(|| format!("{} has no address", address.host))?;
        let mut state = self.state();
        let is_there = state.acceptor.is_some() && state.place == place;
        if state.stopped || state.moves != moves || is_there {
            return Ok(());
        }
        state.acceptor.take().into_iter().for_each(Acceptor::stop);
        let listener = listen(place, self.backlog).map_err(|error| error.to_string())?;
        state.acceptor = Some((self.start)(listener).map_err(|error| error.to_string())?);
        state.place = place;
        self.port.store(place.port(), Ordering::Relaxed);
        info!("client port: {place}");
        Ok(())
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

const AFTER_A_FAILURE: Duration = Duration::from_secs(1);
