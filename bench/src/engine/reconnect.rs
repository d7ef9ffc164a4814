//! Opens connections anew beside the load, which goes on with those that are left.

use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use nix::sys::eventfd::{EfdFlags, EventFd};

use super::Link;

/// Threads that connect, and a descriptor that is readable when one has.
pub(super) struct Reconnector<L: Link> {
    wake: Arc<EventFd>,
    sender: Sender<Opened<L>>,
    receiver: Receiver<Opened<L>>,
}

/// The number of a connection, and its new session.
type Opened<L> = (usize, Result<<L as Link>::Session>);

impl<L: Link> Reconnector<L> {
    pub(super) fn new() -> Result<Reconnector<L>> {
        let (sender, receiver) = channel();
        let wake = EventFd::from_value_and_flags(0, EfdFlags::EFD_NONBLOCK | EfdFlags::EFD_CLOEXEC)?;
        Ok(Reconnector { wake: Arc::new(wake), sender, receiver })
    }

    /// Begins to open a new session for the connection with this number, at whichever server gives one.
    pub(super) fn reconnect(&self, index: usize, addrs: &[SocketAddr]) {
        let (wake, sender) = (self.wake.clone(), self.sender.clone());
        // Clients of one server spread over all that are left.
        let mut addrs = addrs.to_vec();
        let first = (index + 1) % addrs.len();
        addrs.rotate_left(first);
        thread::spawn(move || {
            let session = open_any::<L>(&addrs);
            // Nobody listens any more when the load is over.
            if sender.send((index, session)).is_ok() {
                let _ = wake.write(1);
            }
        });
    }

    /// The sessions that were opened.
    pub(super) fn take(&self) -> Result<Vec<Opened<L>>> {
        self.wake.read()?;
        Ok(self.receiver.try_iter().collect())
    }
}

impl<L: Link> AsFd for Reconnector<L> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.wake.as_fd()
    }
}

fn open_any<L: Link>(addrs: &[SocketAddr]) -> Result<L::Session> {
    let begun = Instant::now();
    let mut refusal = None;
    while begun.elapsed() < GIVEN_UP_AFTER {
        for &addr in addrs {
            match L::open(addr, PATIENCE) {
                Ok(session) => return Ok(session),
                Err(error) => refusal = Some(error),
            }
        }
        thread::sleep(PAUSE);
    }
    Err(refusal.context("there is no server to connect to")?)
        .with_context(|| format!("no server gave a session for {GIVEN_UP_AFTER:?}"))
}

const PATIENCE: Duration = Duration::from_secs(1);
const PAUSE: Duration = Duration::from_millis(5);
const GIVEN_UP_AFTER: Duration = Duration::from_secs(60);
