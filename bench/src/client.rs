//! One connection under load: requests go out in batches, replies come in order, events in between.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::os::fd::{AsFd, BorrowedFd};

use anyhow::{Context, Result, bail};
use nix::sys::epoll::{Epoll, EpollEvent, EpollFlags};

use crate::wire::{self, Frame, Reply};

/// A connection with an open session, used without ever blocking. Of each request it keeps an `A` until the
/// reply comes.
#[derive(Debug)]
pub(crate) struct Client<A> {
    stream: TcpStream,
    /// Reserved once, and again for a reply that is longer.
    input: Vec<u8>,
    filled: usize,
    output: Vec<u8>,
    interest: Interest,
    /// The unanswered requests, the oldest first.
    in_flight: VecDeque<A>,
    first_in_flight: i32,
}

/// What the kernel is asked to tell of a socket: what comes, and while it has not taken all that was to be sent,
/// also that it takes more.
#[derive(Debug, Default)]
pub(crate) struct Interest {
    blocked: bool,
}

impl Interest {
    /// Has it told as it is now `blocked` or not. The socket has this number in `epoll`.
    pub(crate) fn follow(
        &mut self,
        blocked: bool,
        epoll: &Epoll,
        socket: impl AsFd,
        number: usize,
    ) -> Result<()> {
        if blocked != self.blocked {
            self.blocked = blocked;
            let wanted =
                if blocked { EpollFlags::EPOLLIN | EpollFlags::EPOLLOUT } else { EpollFlags::EPOLLIN };
            epoll.modify(socket, &mut EpollEvent::new(wanted, number as u64))?;
        }
        Ok(())
    }
}

impl<A> Client<A> {
    /// Takes over a connection that has nothing in flight.
    pub(crate) fn new(stream: TcpStream) -> Result<Client<A>> {
        stream.set_nonblocking(true)?;
        Ok(Client {
            stream,
            input: Vec::new(),
            filled: 0,
            output: Vec::new(),
            interest: Interest::default(),
            in_flight: VecDeque::new(),
            first_in_flight: 1,
        })
    }

    /// Adds a request to what the next [`Client::flush`] sends. `write` appends its frame, with the xid that
    /// it is given.
    pub(crate) fn queue(&mut self, asked: A, write: impl FnOnce(i32, &mut Vec<u8>)) {
        let xid = self.first_in_flight + self.in_flight.len() as i32;
        write(xid, &mut self.output);
        self.in_flight.push_back(asked);
    }

    /// Adds a ping, whose answer counts for nothing.
    pub(crate) fn queue_ping(&mut self) {
        wire::append_ping(&mut self.output);
    }

    /// Sends what is queued, as far as the socket takes it; while it does not take all, `epoll`, where the
    /// connection has this number, also tells when it takes more.
    pub(crate) fn flush(&mut self, epoll: &Epoll, number: usize) -> Result<()> {
        let blocked = !self.send()?;
        self.interest.follow(blocked, epoll, &self.stream, number)
    }

    fn send(&mut self) -> Result<bool> {
        let mut sent = 0;
        while sent < self.output.len() {
            match self.stream.write(&self.output[sent..]) {
                Ok(len) => sent += len,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => {
                    let in_flight = self.in_flight.len();
                    return Err(error)
                        .with_context(|| format!("cannot send requests, {in_flight} being in flight"));
                }
            }
        }
        self.output.drain(..sent);
        Ok(self.output.is_empty())
    }

    /// Reads once what has come, without regard to how much more there is.
    pub(crate) fn receive(&mut self) -> Result<()> {
        if self.input.len() - self.filled < INPUT_LEN / 2 {
            // At first, and for a reply that is longer than what there is room for.
            let len = INPUT_LEN.max(2 * self.input.len());
            self.input.resize(len, 0);
        }
        match self.stream.read(&mut self.input[self.filled..]) {
            Ok(0) => bail!("the server closed a connection with {} requests in flight", self.in_flight.len()),
            Ok(len) => self.filled += len,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
            Err(error) => return Err(error).context("a connection under load broke"),
        }
        Ok(())
    }

    /// Takes the whole frames from what was received. Calls `on_reply` for each reply, with what was kept of
    /// its request, and `on_event` for each watch event. Returns how many replies there were.
    ///
    /// # Errors
    /// When a reply is not the one to the oldest request in flight, and those of `on_reply`.
    pub(crate) fn take_frames(
        &mut self,
        mut on_reply: impl FnMut(A, Reply<'_>) -> Result<()>,
        mut on_event: impl FnMut(),
    ) -> Result<u32> {
        let (mut taken, mut count) = (0, 0);
        while let Some(payload) = wire::first_frame(&self.input[taken..self.filled])? {
            taken += 4 + payload.len();
            match wire::read_frame(payload)? {
                Frame::Reply(reply) => {
                    let asked =
                        self.in_flight.pop_front().context("a reply came that nothing had asked for")?;
                    reply.check_xid(self.first_in_flight)?;
                    self.first_in_flight += 1;
                    count += 1;
                    on_reply(asked, reply)?;
                }
                Frame::Event => on_event(),
                Frame::Ping => {}
            }
        }
        self.input.copy_within(taken..self.filled, 0);
        self.filled -= taken;
        Ok(count)
    }

    /// How many requests wait for their reply.
    pub(crate) fn in_flight(&self) -> usize {
        self.in_flight.len()
    }

    /// The request that has waited longest.
    pub(crate) fn oldest(&self) -> Option<&A> {
        self.in_flight.front()
    }

    /// Gives up what is in flight.
    pub(crate) fn take_in_flight(&mut self) -> Vec<A> {
        self.in_flight.drain(..).collect()
    }

    /// Gives the connection back.
    pub(crate) fn into_stream(self) -> TcpStream {
        self.stream
    }
}

impl<A> AsFd for Client<A> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

/// Holds a turn's replies of the deepest ordinary load.
const INPUT_LEN: usize = 64 << 10;
