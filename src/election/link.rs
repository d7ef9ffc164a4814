use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::net::SocketAddr;
use std::rc::Rc;

use futures_lite::future::yield_now;
use ringkeeper_core::election::LinkId;

use super::driver::Driver;
use crate::net::{PeerSocket, PeerStream};
use crate::runtime::spawn;

/// A connection with another server.
pub(super) struct Link {
    socket: PeerSocket,
    pub(super) remote: SocketAddr,
    /// The rest of a message that the peer did not take at once; a task is at it.
    rest: RefCell<Vec<u8>>,
    closing: Cell<bool>,
}

/// What became of a message.
pub(super) enum Sent {
    Whole,
    /// [`Driver::on_written`] is called when it is.
    Later,
    Broken,
}

impl Link {
    /// Takes over a connected socket; `None` if it has ended already.
    pub(super) fn new(stream: PeerStream) -> Option<Link> {
        let remote = stream.peer_addr().ok()?;
        let (rest, closing) = (RefCell::default(), Cell::new(false));
        Some(Link { socket: PeerSocket::new(stream), remote, rest, closing })
    }

    /// Sends a message in one write, or what is left of it by a task.
    pub(super) fn send(self: &Rc<Link>, driver: &Rc<Driver>, id: LinkId, mut bytes: Vec<u8>) -> Sent {
        let is_busy = !self.rest.borrow().is_empty();
        let sent = if is_busy { Ok(0) } else { self.socket.send_now(&bytes) };
        match sent {
            Err(_) => Sent::Broken,
            Ok(sent) if sent == bytes.len() => Sent::Whole,
            Ok(sent) => {
                bytes.drain(..sent);
                self.rest.borrow_mut().append(&mut bytes);
                if !is_busy {
                    spawn(write(driver.clone(), id, self.clone()));
                }
                Sent::Later
            }
        }
    }

    /// Ends the connection once all is sent that was to be.
    pub(super) fn close(&self) {
        self.closing.set(true);
        if self.rest.borrow().is_empty() {
            self.socket.end();
        }
    }
}

/// Starts the task that reads a connection until its end.
pub(super) fn read(driver: &Rc<Driver>, id: LinkId, link: &Rc<Link>) {
    let (driver, link) = (driver.clone(), link.clone());
    spawn(async move {
        let mut buffer = vec![0; READ_LEN];
        loop {
            match poll_fn(|cx| link.socket.poll_recv(cx, &mut buffer)).await {
                _ if link.closing.get() => return,
                Ok(0) | Err(_) => return driver.on_closed(id),
                Ok(len) => driver.on_received(id, &buffer[..len]),
            }
            // Whoever sends without end has one read a turn.
            yield_now().await;
        }
    });
}

/// Sends the rest of a message. The machine, or TCP's own limit, ends a connection that takes too long.
async fn write(driver: Rc<Driver>, id: LinkId, link: Rc<Link>) {
    while !link.rest.borrow().is_empty() {
        let sent = poll_fn(|cx| link.socket.poll_send(cx, &link.rest.borrow())).await;
        match sent {
            Ok(sent) => drop(link.rest.borrow_mut().drain(..sent)),
            Err(_) => {
                link.rest.borrow_mut().clear();
                return link.socket.end();
            }
        }
    }
    match link.closing.get() {
        true => link.socket.end(),
        false => driver.on_written(id),
    }
}

/// Notifications are short; a long one takes several reads.
const READ_LEN: usize = 4 << 10;
