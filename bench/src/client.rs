//! One connection under load: requests go out in batches, replies are checked and timed as they come.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::os::fd::{AsFd, BorrowedFd};

use anyhow::{Context, Result, bail, ensure};

use crate::wire::{self, Request};

/// A connection with an open session, used without ever blocking. Memory is reserved once.
#[derive(Debug)]
pub(crate) struct Client {
    stream: TcpStream,
    input: Box<[u8]>,
    filled: usize,
    output: Vec<u8>,
    /// When each unanswered request was sent, in ns, the oldest first.
    in_flight: VecDeque<u64>,
    first_in_flight: i32,
}

impl Client {
    /// Takes over a connection that has nothing in flight.
    pub(crate) fn new(stream: TcpStream) -> Result<Client> {
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

    /// Adds a request to what the next [`Client::flush`] sends. `now` is the time in ns that its latency
    /// counts from.
    pub(crate) fn queue(&mut self, request: &Request, child: u32, now: u64) {
        let xid = self.first_in_flight + self.in_flight.len() as i32;
        request.append(xid, child, &mut self.output);
        self.in_flight.push_back(now);
    }

    /// Sends what is queued.
    ///
    /// # Errors
    /// Also when the socket's buffer is full: the few kilobytes that a closed loop has in flight always
    /// fit, unless it is asked for a depth that measures the buffer and not the server.
    pub(crate) fn flush(&mut self) -> Result<()> {
        self.stream.write_all(&self.output).with_context(|| {
            format!("cannot send requests, {} of them being in flight", self.in_flight.len())
        })?;
        self.output.clear();
        Ok(())
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

    /// Takes the whole replies from what was received, and calls `on_reply` with the time that each one's
    /// request was sent. Returns how many there were.
    ///
    /// # Errors
    /// When a reply is not the successful one to the oldest request in flight.
    pub(crate) fn take_replies(&mut self, request: &Request, mut on_reply: impl FnMut(u64)) -> Result<u32> {
        let (mut taken, mut count) = (0, 0);
        while let Some(reply) = wire::first_frame(&self.input[taken..self.filled])? {
            wire::check_reply(reply, self.first_in_flight)?;
            let len = reply.len();
            ensure!(len == request.reply_len(), "a reply has {len} bytes instead of {}", request.reply_len());
            let sent = self.in_flight.pop_front().context("a reply came that nothing had asked for")?;
            self.first_in_flight += 1;
            on_reply(sent);
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

    /// Gives the connection back.
    pub(crate) fn into_stream(self) -> TcpStream {
        self.stream
    }
}

impl AsFd for Client {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

/// Holds a turn's replies of the deepest load; one that doesn't fit comes with the next read.
const INPUT_LEN: usize = 64 << 10;
const OUTPUT_LEN: usize = 64 << 10;
