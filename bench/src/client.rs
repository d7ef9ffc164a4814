//! One connection under load: requests go out in batches, replies are checked and timed as they come.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::os::fd::{AsFd, BorrowedFd};

use anyhow::{Context, Result, bail, ensure};

use crate::wire::{self, Request};

/// A connection with an open session, used without ever blocking. Memory is reserved once. Of each request
/// it keeps an `A` until the reply comes.
#[derive(Debug)]
pub(crate) struct Client<A> {
    stream: TcpStream,
    input: Box<[u8]>,
    filled: usize,
    output: Vec<u8>,
    /// The unanswered requests, the oldest first.
    in_flight: VecDeque<A>,
    first_in_flight: i32,
}

impl<A> Client<A> {
    /// Takes over a connection that has nothing in flight.
    pub(crate) fn new(stream: TcpStream) -> Result<Client<A>> {
        stream.set_nonblocking(true)?;
        Ok(Client {
            stream,
            input: vec![0; INPUT_LEN].into_boxed_slice(),
            filled: 0,
            output: Vec::with_capacity(OUTPUT_LEN),
            in_flight: VecDeque::new(),
            first_in_flight: 1,
        })
    }

    /// Adds a request to what the next [`Client::flush`] sends.
    pub(crate) fn queue(&mut self, request: &Request, child: u32, asked: A) {
        let xid = self.first_in_flight + self.in_flight.len() as i32;
        request.append(xid, child, &mut self.output);
        self.in_flight.push_back(asked);
    }

    /// Sends what is queued, as far as the socket takes it. Returns whether that was all.
    pub(crate) fn flush(&mut self) -> Result<bool> {
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
        match self.stream.read(&mut self.input[self.filled..]) {
            Ok(0) => bail!("the server closed a connection with {} requests in flight", self.in_flight.len()),
            Ok(len) => self.filled += len,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
            Err(error) => return Err(error).context("a connection under load broke"),
        }
        Ok(())
    }

    /// Takes the whole replies from what was received, and calls `on_reply` with what was kept of each
    /// one's request. `reply_len` tells how long a successful reply is. Returns how many there were.
    ///
    /// # Errors
    /// When a reply is not the successful one to the oldest request in flight.
    pub(crate) fn take_replies(
        &mut self,
        reply_len: impl Fn(&A) -> usize,
        mut on_reply: impl FnMut(A),
    ) -> Result<u32> {
        let (mut taken, mut count) = (0, 0);
        while let Some(reply) = wire::first_frame(&self.input[taken..self.filled])? {
            wire::check_reply(reply, self.first_in_flight)?;
            let asked = self.in_flight.pop_front().context("a reply came that nothing had asked for")?;
            let (len, expected) = (reply.len(), reply_len(&asked));
            ensure!(len == expected, "a reply has {len} bytes instead of {expected}");
            self.first_in_flight += 1;
            on_reply(asked);
            taken += 4 + len;
            count += 1;
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

/// Holds a turn's replies of the deepest load; one that doesn't fit comes with the next read.
const INPUT_LEN: usize = 64 << 10;
const OUTPUT_LEN: usize = 64 << 10;
