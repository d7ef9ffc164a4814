use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::net::{Shutdown, shutdown};
use tracing::{debug, info, warn};

use super::admission::{Admission, Admitted};

/// A client's connection on its way to a shard.
#[derive(Debug)]
pub struct Accepted {
    /// The socket.
    pub socket: TcpStream,
    /// Who is there.
    pub peer: SocketAddr,
    /// Its place among the connections.
    pub admitted: Admitted,
}

/// The one place that accepts client connections: an ordinary thread per port, since accepting is rare
/// and must neither wait for a busy shard nor let the kernel deal connections unevenly.
pub struct Acceptor {
    listener: Arc<TcpListener>,
    stopping: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Acceptor {
    /// Starts to accept; each connection that is let in goes to `deal`.
    pub fn start(
        listener: TcpListener,
        admission: Arc<Admission>,
        keep_alive: bool,
        deal: impl Fn(Accepted) + Send + 'static,
    ) -> io::Result<Acceptor> {
        let listener = Arc::new(listener);
        let stopping = Arc::new(AtomicBool::new(false));
        let (accepting, until) = (listener.clone(), stopping.clone());
        let thread = std::thread::Builder::new()
            .name("acceptor".into())
            .spawn(move || accept_all(&accepting, &until, &admission, keep_alive, deal))?;
        Ok(Acceptor { listener, stopping, thread })
    }

    /// Stops accepting; who waited to be accepted is turned away by the kernel.
    pub fn stop(self) {
        self.stopping.store(true, Ordering::Release);
        // Shutting a listening socket down wakes the thread that waits in accept.
        if shutdown(&*self.listener, Shutdown::Both).is_ok() {
            let _ = self.thread.join();
        }
    }
}

fn accept_all(
    listener: &TcpListener,
    stopping: &AtomicBool,
    admission: &Arc<Admission>,
    keep_alive: bool,
    deal: impl Fn(Accepted),
) {
    loop {
        let accepted = listener.accept();
        if stopping.load(Ordering::Acquire) {
            return;
        }
        let (socket, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => continue,
            Err(error) => {
                // Out of descriptors or memory: the connection stays in the backlog until some are free.
                warn!("cannot accept a connection: {error}; trying again (see `ulimit -n`)");
                std::thread::sleep(AFTER_A_FAILED_ACCEPT);
                continue;
            }
        };
        match admission.admit(peer.ip(), socket.as_raw_fd()) {
            Ok(admitted) => match prepare(&socket, keep_alive) {
                Ok(()) => deal(Accepted { socket, peer, admitted }),
                Err(error) => debug!("{peer} is gone before it was served: {error}"),
            },
            Err(refusal) => info!("{peer} is turned away: {refusal}"),
        }
    }
}

fn prepare(socket: &TcpStream, keep_alive: bool) -> io::Result<()> {
    socket.set_nodelay(true)?;
    rustix::net::sockopt::set_socket_keepalive(socket, keep_alive)?;
    Ok(())
}

const AFTER_A_FAILED_ACCEPT: Duration = Duration::from_millis(100);
