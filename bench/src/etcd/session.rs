//! A connection to etcd that is used call by call: to see whether a server serves, and for the keys of a load.

use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use bytes::Bytes;
use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use prost::Message;

use super::channel::Channel;
use super::client::decode;
use super::messages::{CompactionResponse, DeleteRangeResponse, Request, StatusResponse, TxnResponse};
use crate::client::Interest;

/// An open connection to a server that belongs to a cluster with a leader.
pub(crate) struct Session {
    channel: Channel,
    epoll: Epoll,
    interest: Interest,
    patience: Duration,
    version: String,
    leads: bool,
}

impl Session {
    /// Connects, and asks the server for its status. Each call waits for its answer so long.
    ///
    /// # Errors
    /// When it does not answer as etcd does, or knows of no leader.
    pub(crate) fn open(addr: SocketAddr, patience: Duration) -> Result<Session> {
        let stream = TcpStream::connect_timeout(&addr, patience)
            .with_context(|| format!("cannot connect to {addr}"))?;
        let channel = Channel::new(stream)?;
        let epoll = Epoll::new(EpollCreateFlags::empty())?;
        epoll.add(&channel, EpollEvent::new(EpollFlags::EPOLLIN, 0))?;
        let (interest, version) = (Interest::default(), String::new());
        let mut session = Session { channel, epoll, interest, patience, version, leads: false };
        let status: StatusResponse =
            session.call(Request::status()).with_context(|| format!("{addr} does not answer as etcd"))?;
        ensure!(status.leader != 0, "the server at {addr} knows of no leader");
        session.leads = status.header.is_some_and(|header| header.member_id == status.leader);
        session.version = status.version;
        Ok(session)
    }

    /// The release of the server.
    pub(crate) fn version(&self) -> &str {
        &self.version
    }

    /// Whether the server led when it was asked.
    pub(crate) fn leads(&self) -> bool {
        self.leads
    }

    /// Puts `keys` with the same value, some at once.
    pub(crate) fn put_all(&mut self, keys: impl Iterator<Item = String>, value: &Bytes) -> Result<()> {
        let each = (PUTS_LEN_MAX / (value.len() + KEY_LEN)).clamp(1, PUTS_MAX);
        let mut keys = keys.peekable();
        while keys.peek().is_some() {
            let mut calls = Vec::new();
            while calls.len() < CALLS_AT_ONCE && keys.peek().is_some() {
                calls.push(Request::put_all(keys.by_ref().take(each), value));
            }
            for answer in self.call_all(calls)? {
                let answer: TxnResponse = decode(answer)?;
                ensure!(answer.succeeded, "keys could not be put");
            }
        }
        Ok(())
    }

    /// Compacts the history, as clusters do from time to time, which ends what loading keys leaves behind: for each
    /// read, etcd 3.4 copies a buffer that stays as large as the largest batch of keys had made it, until a batch
    /// of writes has no keys in it.
    pub(crate) fn compact(&mut self) -> Result<()> {
        let status: StatusResponse = self.call(Request::status())?;
        let revision = status.header.map_or(0, |header| header.revision);
        let _: CompactionResponse = self.call(Request::compact(revision)).context("cannot compact")?;
        Ok(())
    }

    /// Deletes all keys that begin with `prefix`, which ends with a slash. Returns how many there were.
    pub(crate) fn delete_all(&mut self, prefix: &str) -> Result<u64> {
        let answer: DeleteRangeResponse =
            self.call(Request::delete_all(prefix)).with_context(|| format!("cannot delete {prefix}"))?;
        Ok(answer.deleted.unsigned_abs())
    }

    /// Gives the connection away.
    pub(super) fn into_channel(self) -> Channel {
        self.channel
    }

    fn call<M: Message + Default>(&mut self, request: Request) -> Result<M> {
        let answer = self.call_all(vec![request])?.pop().context("no answer came")?;
        decode(answer)
    }

    /// Calls all at once, and waits for all answers, which may come in another order than they were asked for.
    fn call_all(&mut self, requests: Vec<Request>) -> Result<Vec<Bytes>> {
        let begun = Instant::now();
        let count = requests.len();
        for request in requests {
            self.channel.call(request);
        }
        let mut answers = Vec::with_capacity(count);
        loop {
            let blocked = !self.channel.send()?;
            self.interest.follow(blocked, &self.epoll, &self.channel, 0)?;
            for (_, answer) in self.channel.take_answered() {
                match answer {
                    Ok(answer) => answers.push(answer),
                    Err(failure) => bail!("{}", failure.what),
                }
            }
            if answers.len() == count {
                return Ok(answers);
            }
            let left = self.patience.saturating_sub(begun.elapsed());
            ensure!(!left.is_zero(), "the server did not answer within {:?}", self.patience);
            match self.epoll.wait(&mut [EpollEvent::empty()], EpollTimeout::try_from(left + ONE_MS)?) {
                Ok(_) | Err(Errno::EINTR) => {}
                Err(error) => return Err(error).context("cannot wait for answers"),
            }
            self.channel.receive()?;
        }
    }
}

/// Below the 128 that a server takes in one transaction (--max-txn-ops).
const PUTS_MAX: usize = 100;
/// A third of what a server takes as one request (--max-request-bytes).
const PUTS_LEN_MAX: usize = 500_000;
/// What a put takes besides its value, at most about.
const KEY_LEN: usize = 400;
/// Keeps the server busy; what is in flight stays below some megabytes.
const CALLS_AT_ONCE: usize = 16;
/// Waiting is rounded down to whole milliseconds.
const ONE_MS: Duration = Duration::from_millis(1);
