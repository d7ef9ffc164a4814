//! One TCP connection: bytes out, frames in.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use super::handshake::{ConnectRequest, ConnectResponse};

/// A TCP connection to a server's client port. Nothing is sent that the test did not ask for.
#[derive(Debug)]
pub struct Wire {
    stream: TcpStream,
    inbox: Vec<u8>,
    read_timeout: Option<Duration>,
    closed: bool,
}

/// What came from the server before a deadline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Received {
    /// A frame's payload.
    Frame(Vec<u8>),
    /// The server closed or reset the connection. What it had sent of a frame is not told.
    Closed,
    /// Nothing whole, and the connection is open.
    Silence,
}

impl Wire {
    /// Connects by TCP, without a handshake.
    pub fn dial(server: SocketAddr) -> io::Result<Wire> {
        let stream = TcpStream::connect_timeout(&server, DIAL_DEADLINE)?;
        stream.set_nodelay(true)?;
        stream.set_write_timeout(Some(WRITE_DEADLINE))?;
        Ok(Wire { stream, inbox: Vec::new(), read_timeout: None, closed: false })
    }

    /// Sends the ConnectRequest and waits for the answer.
    ///
    /// `Ok(None)` if the server closed the connection instead. An answer that is not a
    /// ConnectResponse is an error of kind `InvalidData`, silence one of kind `TimedOut`.
    pub fn handshake(
        &mut self,
        request: &ConnectRequest,
        deadline: Duration,
    ) -> io::Result<Option<ConnectResponse>> {
        if self.send_frame(&request.encode()).is_err() {
            return Ok(None);
        }
        match self.receive(deadline)? {
            Received::Frame(payload) => ConnectResponse::decode(&payload)
                .map(Some)
                .map_err(|malformed| io::Error::new(io::ErrorKind::InvalidData, malformed)),
            Received::Closed => Ok(None),
            Received::Silence => Err(io::Error::new(io::ErrorKind::TimedOut, "no ConnectResponse came")),
        }
    }

    /// Sends a payload behind its length.
    pub fn send_frame(&mut self, payload: &[u8]) -> io::Result<()> {
        self.send_bytes(&frame(payload))
    }

    /// Sends bytes as they are, in one write.
    pub fn send_bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)
    }

    /// The next frame, waiting no longer than `deadline`. Whole frames that came before a close are
    /// told before the close.
    pub fn receive(&mut self, deadline: Duration) -> io::Result<Received> {
        let until = Instant::now() + deadline;
        loop {
            if let Some(payload) = self.take_frame() {
                return Ok(Received::Frame(payload));
            }
            if self.closed {
                return Ok(Received::Closed);
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() || !self.fill(left)? {
                return Ok(Received::Silence);
            }
        }
    }

    /// All bytes until the server closes, for answers that are not frames.
    pub fn receive_all(&mut self, deadline: Duration) -> io::Result<Vec<u8>> {
        let until = Instant::now() + deadline;
        while !self.closed {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() || !self.fill(left)? {
                return Err(io::Error::new(io::ErrorKind::TimedOut, "the server did not close"));
            }
        }
        Ok(std::mem::take(&mut self.inbox))
    }

    /// Another handle on the same socket, to write from another thread.
    pub fn writer(&self) -> io::Result<TcpStream> {
        self.stream.try_clone()
    }

    /// The address of this end, as the server sees the peer.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.stream.local_addr()
    }

    /// Closes the sending direction, after which a server closes the connection.
    pub fn end_sending(&mut self) -> io::Result<()> {
        self.stream.shutdown(Shutdown::Write)
    }

    /// Closes both directions, as a client does that dies.
    pub fn hang_up(self) {
        let _ = self.stream.shutdown(Shutdown::Both);
    }

    fn take_frame(&mut self) -> Option<Vec<u8>> {
        let (prefix, rest) = self.inbox.split_first_chunk::<4>()?;
        let len = u32::from_be_bytes(*prefix) as usize;
        let payload = rest.get(..len)?.to_vec();
        self.inbox.drain(..4 + len);
        Some(payload)
    }

    /// Reads once; false if nothing came in time.
    fn fill(&mut self, wait: Duration) -> io::Result<bool> {
        if self.read_timeout != Some(wait) {
            self.stream.set_read_timeout(Some(wait))?;
            self.read_timeout = Some(wait);
        }
        let mut chunk = [0; 16 * 1024];
        match self.stream.read(&mut chunk) {
            Ok(0) => self.closed = true,
            Ok(len) => self.inbox.extend_from_slice(&chunk[..len]),
            Err(error) => match error.kind() {
                io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => return Ok(false),
                io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => self.closed = true,
                io::ErrorKind::Interrupted => {}
                _ => return Err(error),
            },
        }
        Ok(true)
    }
}

/// A payload behind its length.
pub(super) fn frame(payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(4 + payload.len());
    bytes.extend_from_slice(&(payload.len() as u32).to_be_bytes());
    bytes.extend_from_slice(payload);
    bytes
}

const DIAL_DEADLINE: Duration = Duration::from_secs(10);
const WRITE_DEADLINE: Duration = Duration::from_secs(30);
