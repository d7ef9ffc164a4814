//! What the engine needs of a connection, whatever protocol it speaks, and of the work that is done on it.

use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::time::Duration;

use anyhow::{Result, ensure};
use nix::sys::epoll::Epoll;

use super::now;
use crate::client::Client;
use crate::session::Session;

/// What connections ask for, and what becomes of it.
pub(crate) trait Work {
    /// What it is asked over.
    type Link: Link;

    /// Queues the next operation of a connection: one request or several, of which the last one counts.
    fn ask(&mut self, connection: usize, queue: &mut Queue<'_, Self::Link>);

    /// A request that was queued with `tag` succeeded.
    fn replied(&mut self, _connection: usize, _tag: u32) {}

    /// A connection is lost, with all that was in flight on it.
    fn lost(&mut self, _connection: usize) {}
}

/// A connection under load, used without ever blocking.
pub(crate) trait Link: AsFd + Sized + 'static {
    /// What is known of a successful reply beforehand.
    type Expected: Copy;
    /// A connection that is open, and not under load yet.
    type Session: Send + 'static;

    /// Opens one at a server that serves.
    fn open(addr: SocketAddr, patience: Duration) -> Result<Self::Session>;

    /// Takes it under load.
    fn new(session: Self::Session) -> Result<Self>;

    /// Sends what is queued, as far as the socket takes it; while it does not take all, `epoll`, where the
    /// connection has this number, also tells when it takes more.
    fn flush(&mut self, epoll: &Epoll, number: usize) -> Result<()>;

    /// Reads once what has come. Returns when it was read, in ns of [`now`].
    ///
    /// # Errors
    /// When the connection has ended.
    fn receive(&mut self) -> Result<u64>;

    /// Takes the replies that are whole.
    ///
    /// # Errors
    /// When a reply says that its request succeeded, but is not as expected; and those of `on_reply`.
    fn take_replies(
        &mut self,
        on_reply: impl FnMut(Asked<Self::Expected>, Result<(), Failure>) -> Result<()>,
    ) -> Result<()>;

    /// How many requests wait for their reply.
    fn in_flight(&self) -> usize;

    /// The request that has waited longest.
    fn oldest(&self) -> Option<&Asked<Self::Expected>>;

    /// Gives up what is in flight.
    fn take_in_flight(&mut self) -> Vec<Asked<Self::Expected>>;

    /// Ends the session; nothing may be in flight.
    fn close(self) -> Result<()>;
}

/// A request that waits for its reply.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked<E> {
    pub(super) operation: usize,
    pub(super) tag: u32,
    pub(crate) expected: E,
    /// Whether the operation ends with it.
    pub(super) last: bool,
    /// In ns of the monotonic clock, like all times here.
    pub(super) intended: u64,
}

/// The answer of a server that did not do what it was asked for.
#[derive(Debug)]
pub(crate) struct Failure {
    /// ZooKeeper's error codes are negative, gRPC's positive.
    pub(crate) code: i32,
    pub(crate) what: String,
}

/// Where [`Work::ask`] puts requests.
pub(crate) struct Queue<'a, L: Link = ZooKeeper> {
    pub(super) link: &'a mut L,
    pub(super) intended: u64,
}

/// A connection with ZooKeeper's protocol. Of a successful reply the length of its payload is expected, where
/// that is known.
pub(crate) type ZooKeeper = Client<Asked<Option<usize>>>;

impl<L: Link> Queue<'_, L> {
    /// The connection, and what it has to keep of a request that ends its operation.
    pub(crate) fn add_last(
        &mut self,
        operation: usize,
        tag: u32,
        expected: L::Expected,
    ) -> (&mut L, Asked<L::Expected>) {
        (&mut *self.link, Asked { operation, tag, expected, last: true, intended: self.intended })
    }
}

impl Queue<'_> {
    /// Adds a request that ends its operation. `write` appends its frame, with the xid that it is given.
    pub(crate) fn last(
        &mut self,
        operation: usize,
        tag: u32,
        reply_len: Option<usize>,
        write: impl FnOnce(i32, &mut Vec<u8>),
    ) {
        let (client, asked) = self.add_last(operation, tag, reply_len);
        client.queue(asked, write);
    }

    /// Adds a request that another one of the same operation follows.
    pub(crate) fn first(
        &mut self,
        operation: usize,
        reply_len: Option<usize>,
        write: impl FnOnce(i32, &mut Vec<u8>),
    ) {
        let (client, asked) = self.add_last(operation, 0, reply_len);
        client.queue(Asked { last: false, ..asked }, write);
    }
}

impl Link for ZooKeeper {
    type Expected = Option<usize>;
    type Session = Session;

    fn open(addr: SocketAddr, patience: Duration) -> Result<Session> {
        Session::open_within(addr, patience)
    }

    fn new(session: Session) -> Result<ZooKeeper> {
        Client::new(session.into_stream())
    }

    fn flush(&mut self, epoll: &Epoll, number: usize) -> Result<()> {
        Client::flush(self, epoll, number)
    }

    fn receive(&mut self) -> Result<u64> {
        Client::receive(self)?;
        Ok(now())
    }

    fn take_replies(
        &mut self,
        mut on_reply: impl FnMut(Asked<Option<usize>>, Result<(), Failure>) -> Result<()>,
    ) -> Result<()> {
        self.take_frames(
            |asked, reply| {
                if let Err(error) = reply.check_code() {
                    return on_reply(asked, Err(Failure { code: reply.code, what: error.to_string() }));
                }
                let (len, expected) = (reply.payload.len(), asked.expected);
                ensure!(
                    expected.is_none_or(|expected| expected == len),
                    "a reply has {len} bytes instead of {}",
                    expected.unwrap_or(0)
                );
                on_reply(asked, Ok(()))
            },
            || {},
        )
        .map(drop)
    }

    fn in_flight(&self) -> usize {
        Client::in_flight(self)
    }

    fn oldest(&self) -> Option<&Asked<Option<usize>>> {
        Client::oldest(self)
    }

    fn take_in_flight(&mut self) -> Vec<Asked<Option<usize>>> {
        Client::take_in_flight(self)
    }

    fn close(self) -> Result<()> {
        Session::resume(self.into_stream())?.close()
    }
}
