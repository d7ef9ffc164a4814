use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use futures_lite::future::yield_now;
use ringkeeper_core::format::snapshot::SnapshotWriter;
use ringkeeper_core::tree::Frozen;

use crate::net::{PeerSocket, PeerStream};
use crate::runtime::{sleep, spawn};

/// A connection between two servers: what is to be sent, in order.
pub(super) struct Link {
    socket: PeerSocket,
    remote: SocketAddr,
    out: RefCell<VecDeque<Chunk>>,
    /// Bytes in `out`, without trees.
    waiting: Cell<usize>,
    is_writing: Cell<bool>,
    is_closed: Cell<bool>,
}

enum Chunk {
    Bytes(Vec<u8>),
    Tree(Box<SnapshotWriter>, Box<dyn FnOnce()>),
}

impl Link {
    /// Takes over a connected socket; an error if it has ended already.
    pub(super) fn new(stream: PeerStream) -> io::Result<Rc<Link>> {
        let remote = stream.peer_addr()?;
        Ok(Rc::new(Link {
            socket: PeerSocket::new(stream),
            remote,
            out: RefCell::default(),
            waiting: Cell::new(0),
            is_writing: Cell::new(false),
            is_closed: Cell::new(false),
        }))
    }

    /// The other end.
    pub(super) fn remote(&self) -> SocketAddr {
        self.remote
    }

    /// Appends what `write` writes to what the next flush sends.
    pub(super) fn push(&self, write: impl FnOnce(&mut Vec<u8>)) {
        let mut out = self.out.borrow_mut();
        if !matches!(out.back(), Some(Chunk::Bytes(_))) {
            out.push_back(Chunk::Bytes(Vec::new()));
        }
        if let Some(Chunk::Bytes(bytes)) = out.back_mut() {
            let before = bytes.len();
            write(bytes);
            self.waiting.set(self.waiting.get() + bytes.len() - before);
        }
    }

    /// Appends a whole tree; `done` hears when the last of it is about to leave.
    pub(super) fn push_tree(&self, tree: Frozen, done: impl FnOnce() + 'static) {
        let writer = Box::new(SnapshotWriter::for_learner(tree));
        self.out.borrow_mut().push_back(Chunk::Tree(writer, Box::new(done)));
    }

    /// Sends what there is, as far as the kernel takes it; a task sends the rest.
    pub(super) fn flush(self: &Rc<Link>) {
        if self.is_writing.get() || self.is_closed.get() {
            return;
        }
        self.send_now();
        if !self.out.borrow().is_empty() {
            self.is_writing.set(true);
            spawn(write(self.clone()));
        }
    }

    /// How many bytes wait to be sent.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.get()
    }

    /// Ends the connection; its reader says nothing more. What was pushed and not sent is lost.
    pub(super) fn close(&self) {
        if !self.is_closed.replace(true) {
            self.break_off();
        }
    }

    /// Ends the connection so that its reader sees that it has ended, and says so.
    fn break_off(&self) {
        self.out.borrow_mut().clear();
        self.waiting.set(0);
        self.socket.end();
    }

    pub(super) fn is_closed(&self) -> bool {
        self.is_closed.get()
    }

    fn send_now(&self) {
        let mut out = self.out.borrow_mut();
        while let Some(Chunk::Bytes(bytes)) = out.front_mut() {
            let sent = match self.socket.send_now(bytes) {
                Ok(sent) => sent,
                // The reader of the connection sees its end.
                Err(_) => bytes.len(),
            };
            self.waiting.set(self.waiting.get() - sent);
            if sent < bytes.len() {
                bytes.drain(..sent);
                return;
            }
            out.pop_front();
        }
    }

    /// Turns the tree that is next into bytes, a piece at a time. False if nothing is left to be sent.
    fn fill(&self) -> bool {
        let mut out = self.out.borrow_mut();
        let Some(first) = out.front_mut() else { return false };
        if let Chunk::Tree(tree, _) = first {
            let mut piece = Vec::with_capacity(PIECE_LEN * 2);
            let goes_on = tree.fill(&mut piece, PIECE_LEN);
            self.waiting.set(self.waiting.get() + piece.len());
            if !goes_on && let Some(Chunk::Tree(_, done)) = out.pop_front() {
                done();
            }
            out.push_front(Chunk::Bytes(piece));
        }
        true
    }
}

/// Sends what is left until nothing is.
async fn write(link: Rc<Link>) {
    while link.fill() {
        let sent = poll_fn(|cx| match link.out.borrow().front() {
            Some(Chunk::Bytes(bytes)) => link.socket.poll_send(cx, bytes),
            _ => std::task::Poll::Ready(Ok(0)),
        });
        match sent.await {
            Ok(sent) => link.sent(sent),
            Err(_) => link.break_off(),
        }
        // Whoever takes a whole tree has one piece a turn.
        yield_now().await;
    }
    link.is_writing.set(false);
}

impl Link {
    fn sent(&self, len: usize) {
        let mut out = self.out.borrow_mut();
        let Some(Chunk::Bytes(bytes)) = out.front_mut() else { return };
        self.waiting.set(self.waiting.get() - len);
        if len == bytes.len() {
            out.pop_front();
        } else {
            bytes.drain(..len);
        }
    }
}

/// Reads until the connection ends. `take` gets all bytes that are not done with, and says how many of them
/// are now and how many there must be for another look; `None` to stop.
///
/// Memory is taken in proportion to what has come, whatever the peer says is still to come; and nothing is
/// read while `is_behind` says that what was read before waits to be looked at.
pub(super) fn read(
    link: Rc<Link>,
    mut take: impl FnMut(&[u8]) -> Option<Taken> + 'static,
    is_behind: impl Fn() -> bool + 'static,
    ended: impl FnOnce() + 'static,
) {
    spawn(async move {
        let (mut bytes, mut len, mut wanted) = (vec![0; READ_LEN], 0, 0);
        loop {
            while is_behind() {
                sleep(BEHIND_PAUSE).await;
            }
            let read = poll_fn(|cx| link.socket.poll_recv(cx, &mut bytes[len..])).await;
            if link.is_closed() {
                return;
            }
            match read {
                Ok(read) if read > 0 => len += read,
                _ => return ended(),
            }
            if len >= wanted {
                let Some(taken) = take(&bytes[..len]) else { return };
                bytes.copy_within(taken.done..len, 0);
                (len, wanted) = (len - taken.done, taken.wanted);
            }
            let room = room_for(len, wanted);
            if bytes.len() < room || bytes.len() > room.max(READ_LEN) * 4 {
                bytes.resize(room, 0);
                bytes.shrink_to(room);
            }
            yield_now().await;
        }
    });
}

/// What became of the bytes that have come.
pub(super) struct Taken {
    pub(super) done: usize,
    pub(super) wanted: usize,
}

/// How much to have room for when so much has come and so much is wanted: never more than twice what has come,
/// and a read.
fn room_for(len: usize, wanted: usize) -> usize {
    wanted.clamp(len + READ_LEN / 2, 2 * len + READ_LEN)
}

/// What may wait to be looked at by the commit role, of all that it is told: in the worst case, so many reads.
pub(super) const BACKLOG_MAX: usize = 1_000;
const BEHIND_PAUSE: Duration = Duration::from_millis(1);
const READ_LEN: usize = 64 << 10;
const PIECE_LEN: usize = 64 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_that_announces_much_and_sends_little_gets_little_memory() {
        assert_eq!(room_for(0, 1 << 30), READ_LEN);
        assert_eq!(room_for(1 << 20, 1 << 30), (2 << 20) + READ_LEN);
        assert_eq!(room_for(1 << 20, (1 << 20) + READ_LEN), (1 << 20) + READ_LEN, "no more than is wanted");
        assert!(room_for(100, 0) >= 100 + READ_LEN / 2, "always room for another read");
    }
}
