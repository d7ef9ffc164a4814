use std::io;
use std::net::{SocketAddr, TcpStream};
use std::task::{Context, Poll};

use rustls::Connection;

use super::TlsSocket;
use crate::runtime::Socket;

/// A connection with another server, ready for what the two have to say: plain, or with a TLS session whose handshake
/// is done. It goes to the executor that will use it, and becomes a [`PeerSocket`] there.
#[derive(Debug)]
pub struct PeerStream {
    tcp: TcpStream,
    session: Option<Box<Session>>,
}

/// A session of TLS.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) connection: Connection,
    /// What the keys about it begin with, for messages.
    pub(super) prefix: &'static str,
}

impl PeerStream {
    /// What is said goes as it is.
    pub fn plain(tcp: TcpStream) -> PeerStream {
        PeerStream { tcp, session: None }
    }

    /// What is said goes through this session, about which the keys that begin with the prefix are.
    pub fn protected(tcp: TcpStream, connection: Connection, prefix: &'static str) -> PeerStream {
        PeerStream { tcp, session: Some(Box::new(Session { connection, prefix })) }
    }

    /// The other end; an error if the connection has ended already.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.tcp.peer_addr()
    }
}

/// A connected socket on one executor, plain or with TLS; the calls are those of [`Socket`].
///
/// What was to be sent and was not reported as sent must be given again, from there on, to the next call that sends:
/// with TLS it may be encrypted already.
pub enum PeerSocket {
    /// Bytes go as they are.
    Plain(Socket),
    /// Bytes go through a TLS session.
    Tls(Box<TlsSocket>),
}

impl PeerSocket {
    /// Takes over a connection, on the executor that will use it.
    pub fn new(stream: PeerStream) -> PeerSocket {
        let PeerStream { tcp, session } = stream;
        match session {
            None => PeerSocket::Plain(Socket::new(tcp)),
            Some(session) => PeerSocket::Tls(Box::new(TlsSocket::new(tcp, *session))),
        }
    }

    /// Reads what is there, or arranges for the task to be woken when there is something. Zero is the end.
    pub fn poll_recv(&self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        match self {
            PeerSocket::Plain(socket) => socket.poll_recv(cx, buffer),
            PeerSocket::Tls(socket) => socket.poll_recv(cx, buffer),
        }
    }

    /// Sends as much as the kernel takes without waiting, and returns how much that was.
    pub fn send_now(&self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            PeerSocket::Plain(socket) => socket.send_now(bytes),
            PeerSocket::Tls(socket) => socket.send_now(bytes),
        }
    }

    /// Sends what the kernel takes, or arranges for the task to be woken when it takes more.
    pub fn poll_send(&self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self {
            PeerSocket::Plain(socket) => socket.poll_send(cx, bytes),
            PeerSocket::Tls(socket) => socket.poll_send(cx, bytes),
        }
    }

    /// Ends both sides; a reader that waits sees the end.
    pub fn end(&self) {
        match self {
            PeerSocket::Plain(socket) => socket.end(),
            PeerSocket::Tls(socket) => socket.end(),
        }
    }
}
