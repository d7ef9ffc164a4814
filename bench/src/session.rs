//! One client session, used call by call: to open it, to prepare the tree, and to end it.

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use crate::engine::ANSWER_TIMEOUT;
use crate::wire::{self, Identity};

/// An open session on its own connection.
#[derive(Debug)]
pub(crate) struct Session {
    stream: TcpStream,
    identity: Identity,
}

impl Session {
    /// Connects and opens a new session.
    pub(crate) fn open(addr: SocketAddr) -> Result<Session> {
        Session::open_within(addr, ANSWER_TIMEOUT)
    }

    /// Who holds the session.
    pub(crate) fn identity(&self) -> Identity {
        self.identity
    }

    /// How long each call waits for its answer from now on.
    pub(crate) fn set_patience(&self, answer_timeout: Duration) -> Result<()> {
        Ok(self.stream.set_read_timeout(Some(answer_timeout))?)
    }

    /// The same with less patience, now and for each call.
    pub(crate) fn open_within(addr: SocketAddr, answer_timeout: Duration) -> Result<Session> {
        let (mut session, answer) = Session::shake_hands(addr, answer_timeout, &Identity::NEW)?;
        session.identity = wire::granted_session(&answer)?;
        Ok(session)
    }

    /// Takes a session to the server at `addr`; `None` if that can't be reached, or does not answer.
    ///
    /// # Errors
    /// When the server answers that there is no such session.
    pub(crate) fn take_up(
        addr: SocketAddr,
        answer_timeout: Duration,
        identity: &Identity,
    ) -> Result<Option<Session>> {
        let Ok((session, answer)) = Session::shake_hands(addr, answer_timeout, identity) else {
            return Ok(None);
        };
        let granted = wire::granted_session(&answer)?;
        ensure!(granted == *identity, "the server at {addr} gave another session than was asked for");
        Ok(Some(session))
    }

    fn shake_hands(
        addr: SocketAddr,
        answer_timeout: Duration,
        identity: &Identity,
    ) -> Result<(Session, Vec<u8>)> {
        let stream = TcpStream::connect_timeout(&addr, answer_timeout)
            .with_context(|| format!("cannot connect to {addr}"))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(answer_timeout))?;
        let mut session = Session { stream, identity: *identity };
        let answer = session.call(&wire::connect_request(SESSION_TIMEOUT_MS, identity))?;
        Ok((session, answer))
    }

    /// Creates an empty persistent node.
    pub(crate) fn create(&mut self, path: &str) -> Result<()> {
        let answer = self.call(&wire::create_request(1, path))?;
        wire::check_reply(&answer, 1).with_context(|| format!("cannot create {path}"))
    }

    /// Deletes a node, unless it is gone already.
    pub(crate) fn delete_if_there(&mut self, path: &str) -> Result<()> {
        let mut frame = Vec::new();
        wire::append_delete(1, path, &mut frame);
        let answer = self.call(&frame)?;
        let wire::Frame::Reply(reply) = wire::read_frame(&answer)? else { bail!("no reply came") };
        ensure!(matches!(reply.code, 0 | NO_NODE), "cannot delete {path}: ZooKeeper's error {}", reply.code);
        Ok(())
    }

    /// The names of a node's children.
    pub(crate) fn children(&mut self, path: &str) -> Result<Vec<String>> {
        let mut frame = Vec::new();
        wire::append_get_children(1, path, &mut frame);
        let answer = self.call(&frame)?;
        wire::check_reply(&answer, 1).with_context(|| format!("cannot list {path}"))?;
        wire::read_names(&answer[wire::REPLY_HEADER_LEN..])
    }

    /// Sets a node's data.
    pub(crate) fn set(&mut self, path: &str, data: &[u8]) -> Result<()> {
        let answer = self.call(&wire::set_request(1, path, data))?;
        wire::check_reply(&answer, 1).with_context(|| format!("cannot set {path}"))
    }

    /// Reads a node.
    ///
    /// # Errors
    /// Also when its data has not `data_len` bytes.
    pub(crate) fn get(&mut self, path: &str, data_len: usize) -> Result<()> {
        let answer = self.call(&wire::get_request(1, path))?;
        wire::check_reply(&answer, 1).with_context(|| format!("cannot read {path}"))?;
        ensure!(answer.len() == wire::get_reply_len(data_len), "{path} holds other data than was written");
        Ok(())
    }

    /// Creates nodes with the same data by one multi for each of `batches`, [`MULTIS_IN_FLIGHT`] at a time.
    pub(crate) fn create_all(
        &mut self,
        batches: impl Iterator<Item = Vec<String>>,
        data: &[u8],
    ) -> Result<()> {
        let mut in_flight: VecDeque<(i32, Vec<String>)> = VecDeque::new();
        for (xid, paths) in (1..).zip(batches) {
            if in_flight.len() == MULTIS_IN_FLIGHT {
                self.take_created(in_flight.pop_front())?;
            }
            self.send(&wire::multi_create_request(xid, &paths, data))?;
            in_flight.push_back((xid, paths));
        }
        while !in_flight.is_empty() {
            self.take_created(in_flight.pop_front())?;
        }
        Ok(())
    }

    fn take_created(&mut self, oldest: Option<(i32, Vec<String>)>) -> Result<()> {
        let Some((xid, paths)) = oldest else { return Ok(()) };
        let answer = self.receive()?;
        let first = paths.first().map_or("", String::as_str);
        wire::check_reply(&answer, xid).with_context(|| format!("cannot create {first} and others"))?;
        ensure!(
            answer.len() == wire::multi_create_reply_len(&paths),
            "a multi that creates {first} and others failed"
        );
        Ok(())
    }

    /// Ends the session, and waits until the server has confirmed it.
    pub(crate) fn close(mut self) -> Result<()> {
        let answer = self.call(&wire::close_request(CLOSE_XID))?;
        wire::check_reply(&answer, CLOSE_XID).context("cannot close the session")
    }

    /// Gives the connection away, the session still open.
    pub(crate) fn into_stream(self) -> TcpStream {
        self.stream
    }

    /// Takes a connection back from [`Session::into_stream`]; no reply may be outstanding on it. Whose
    /// session it is is forgotten.
    pub(crate) fn resume(stream: TcpStream) -> Result<Session> {
        stream.set_nonblocking(false)?;
        Ok(Session { stream, identity: Identity::NEW })
    }

    fn call(&mut self, frame: &[u8]) -> Result<Vec<u8>> {
        self.send(frame)?;
        self.receive()
    }

    fn send(&mut self, frame: &[u8]) -> Result<()> {
        self.stream.write_all(frame).context("cannot send a request")
    }

    fn receive(&mut self) -> Result<Vec<u8>> {
        let mut prefix = [0; 4];
        self.stream.read_exact(&mut prefix).context("the server did not answer")?;
        let mut answer = vec![0; wire::frame_len(prefix)?];
        self.stream.read_exact(&mut answer).context("the server's answer breaks off")?;
        Ok(answer)
    }
}

/// Longer than any pause of a load: sessions under load need no pings.
const SESSION_TIMEOUT_MS: i32 = 30_000;

/// Keeps the server busy while the next batch is made; what is in flight stays below a megabyte.
const MULTIS_IN_FLIGHT: usize = 16;

const NO_NODE: i32 = -101;

/// No load counts that far.
const CLOSE_XID: i32 = i32::MAX;
