use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use rustix::net::{RecvFlags, recv};
use rustls::{Connection, Error};

use super::context::Tls;

/// What a connection begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peeked {
    /// A record of TLS.
    Tls,
    /// Something else.
    Plain,
    /// It ended before there was anything.
    Nothing,
    /// Nothing has come in time.
    Silence,
}

/// Waits for the first bytes of a connection, leaves them where they are, and says what they look like. What is
/// shorter than the head of a record is no TLS, as in Java.
pub fn peek(stream: &TcpStream, patience: Duration) -> io::Result<Peeked> {
    let mut head = [0; RECORD_HEAD_LEN];
    stream.set_read_timeout(Some(patience))?;
    let peeked = recv(stream, &mut head, RecvFlags::PEEK | RecvFlags::WAITALL);
    stream.set_read_timeout(None)?;
    match peeked.map_err(io::Error::from) {
        Ok((0, _)) => Ok(Peeked::Nothing),
        Ok((len, _)) if len == head.len() && is_record(head) => Ok(Peeked::Tls),
        Ok(_) => Ok(Peeked::Plain),
        Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
            Ok(Peeked::Silence)
        }
        Err(error) => Err(error),
    }
}

/// The kinds of records are few, their version begins with 3, and none is empty.
fn is_record([kind, major, _, len_high, len_low]: [u8; RECORD_HEAD_LEN]) -> bool {
    (20..=24).contains(&kind) && major == 3 && (len_high, len_low) != (0, 0)
}

impl Tls {
    /// Does the handshake on a connection that this server has made, to this name or address.
    pub fn connect(&self, stream: &TcpStream, host: &str, patience: Duration) -> Result<Connection, Failure> {
        let session = self.dial(host, stream.peer_addr()?).map_err(Failure::Tls)?;
        complete(session.into(), stream, patience)
    }

    /// Does the handshake on a connection that somebody has made to this server.
    pub fn welcome(
        &self,
        stream: &TcpStream,
        remote: SocketAddr,
        patience: Duration,
    ) -> Result<Connection, Failure> {
        let session = self.accept(remote).map_err(Failure::Tls)?;
        complete(session.into(), stream, patience)
    }
}

/// How a handshake failed.
#[derive(Debug)]
pub enum Failure {
    /// The connection has ended, or was silent for too long.
    Io(io::Error),
    /// One side does not take what the other says.
    Tls(Error),
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Failure {
        match error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) {
            Some(inner) => Failure::Tls(inner.clone()),
            None => Failure::Io(error),
        }
    }
}

fn complete(mut session: Connection, stream: &TcpStream, patience: Duration) -> Result<Connection, Failure> {
    let mut timed = Timed { stream, until: Instant::now() + patience };
    while session.is_handshaking() || session.wants_write() {
        if let Err(error) = session.complete_io(&mut timed) {
            // The other side is told why, if it still listens.
            while session.wants_write() && session.write_tls(&mut timed).is_ok_and(|len| len > 0) {}
            return Err(error.into());
        }
    }
    stream.set_read_timeout(None)?;
    stream.set_write_timeout(None)?;
    Ok(session)
}

/// A stream that has to be done in time, however much comes.
struct Timed<'a> {
    stream: &'a TcpStream,
    until: Instant,
}

impl Timed<'_> {
    fn left(&self) -> io::Result<Option<Duration>> {
        let left = self.until.saturating_duration_since(Instant::now());
        if left.is_zero() { Err(io::ErrorKind::TimedOut.into()) } else { Ok(Some(left)) }
    }
}

impl Read for Timed<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.stream.set_read_timeout(self.left()?)?;
        self.stream.read(buffer)
    }
}

impl Write for Timed<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.set_write_timeout(self.left()?)?;
        self.stream.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

const RECORD_HEAD_LEN: usize = 5;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_servers_say_first_without_tls_is_no_record_of_it() {
        assert!(is_record([0x16, 3, 1, 2, 0]), "a client's hello");
        assert!(!is_record([0, 0, 0, 11, 0]), "FOLLOWERINFO");
        assert!(!is_record([0xff, 0xff, 0xff, 0xff, 0xff]), "an initial message with addresses");
        assert!(!is_record([0, 0, 0, 0, 0]), "one of 3.4");
        assert!(!is_record([0x16, 3, 1, 0, 0]), "an empty record");
    }
}
