use std::cell::{Cell, RefCell};
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::task::{Context, Poll, ready};

use rustls::Connection;
use tracing::warn;

use super::stream::Session;
use crate::runtime::Socket;
use crate::tls::explain_session;

/// A connected socket with a TLS session, on one executor.
///
/// ```text
///   send: bytes --> session --> sealed --> kernel     A batch of bytes is reported as sent when all of it that is
///                                                     sealed has gone to the kernel, and never in part.
///   recv: kernel --> session --> bytes
/// ```
pub struct TlsSocket {
    socket: Socket,
    session: RefCell<Connection>,
    /// What is sealed and has not left.
    sealed: RefCell<Sealed>,
    arrived: RefCell<Arrived>,
    has_failed: Cell<bool>,
    remote: String,
    prefix: &'static str,
}

/// What has come and has not gone to the session, which takes no more than it can hold.
#[derive(Default)]
struct Arrived {
    bytes: Vec<u8>,
    len: usize,
    taken: usize,
}

#[derive(Default)]
struct Sealed {
    bytes: Vec<u8>,
    /// How much of `bytes` has left.
    gone: usize,
    /// How many of the bytes that are to be sent it stands for.
    of: usize,
}

impl TlsSocket {
    /// Takes over a connected socket and its session, the handshake of which is done.
    pub(super) fn new(stream: TcpStream, session: Session) -> TlsSocket {
        let remote = stream.peer_addr().map_or_else(|_| "a server".to_owned(), |remote| remote.to_string());
        TlsSocket {
            remote,
            prefix: session.prefix,
            socket: Socket::new(stream),
            session: RefCell::new(session.connection),
            sealed: RefCell::default(),
            arrived: RefCell::default(),
            has_failed: Cell::new(false),
        }
    }

    /// Reads what is there, or arranges for the task to be woken when there is something. Zero is the end.
    pub fn poll_recv(&self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        let mut arrived = self.arrived.borrow_mut();
        loop {
            match self.session.borrow_mut().reader().read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                read => return Poll::Ready(read),
            }
            if arrived.taken == arrived.len {
                arrived.bytes.resize(ARRIVED_LEN, 0);
                let read = self.socket.poll_recv(cx, &mut arrived.bytes);
                if read.is_pending() {
                    // A connection that waits holds no buffer.
                    arrived.bytes = Vec::new();
                }
                (arrived.len, arrived.taken) = (ready!(read)?, 0);
            }
            self.take(&mut arrived)?;
        }
    }

    /// Sends a batch of what there is, as far as the kernel takes it without waiting.
    pub fn send_now(&self, bytes: &[u8]) -> io::Result<usize> {
        let mut done = 0;
        while done < bytes.len() {
            self.seal(&bytes[done..])?;
            let mut sealed = self.sealed.borrow_mut();
            sealed.gone += self.socket.send_now(&sealed.bytes[sealed.gone..])?;
            match sealed.finish() {
                Some(of @ 1..) => done += of,
                _ => break,
            }
        }
        Ok(done)
    }

    /// Sends a batch of what there is, or arranges for the task to be woken when the kernel takes more.
    pub fn poll_send(&self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.seal(bytes)?;
        let mut sealed = self.sealed.borrow_mut();
        loop {
            if let Some(of) = sealed.finish() {
                return Poll::Ready(Ok(of));
            }
            let sent = ready!(self.socket.poll_send(cx, &sealed.bytes[sealed.gone..]))?;
            if sent == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            sealed.gone += sent;
        }
    }

    /// Says so, as far as that leaves at once, and ends both sides; a reader that waits sees the end.
    pub fn end(&self) {
        if !self.has_failed.get() && self.sealed.borrow().bytes.is_empty() {
            let mut session = self.session.borrow_mut();
            session.send_close_notify();
            let mut farewell = Vec::new();
            if session.write_tls(&mut farewell).is_ok() {
                let _ = self.socket.send_now(&farewell);
            }
        }
        self.socket.end();
    }

    /// Hands to the session as much of what has come as it takes; none is the end.
    fn take(&self, arrived: &mut Arrived) -> io::Result<()> {
        let mut session = self.session.borrow_mut();
        arrived.taken += session.read_tls(&mut &arrived.bytes[arrived.taken..arrived.len])?;
        let processed = session.process_new_packets();
        if session.wants_write() {
            self.answer(&mut session)?;
        }
        processed.map(drop).map_err(|error| {
            self.has_failed.set(true);
            warn!("{}: {}: its connection is closed", self.remote, explain_session(self.prefix, &error));
            io::Error::new(io::ErrorKind::InvalidData, error)
        })
    }

    /// What the session has to say by itself leaves behind what is sealed already.
    fn answer(&self, session: &mut Connection) -> io::Result<()> {
        let mut sealed = self.sealed.borrow_mut();
        while session.wants_write() {
            session.write_tls(&mut sealed.bytes)?;
        }
        let waits_for_nobody = sealed.of == 0;
        sealed.gone += self.socket.send_now(&sealed.bytes[sealed.gone..])?;
        if waits_for_nobody {
            sealed.finish();
        }
        Ok(())
    }

    /// Seals a batch, unless there is one that has not left.
    fn seal(&self, bytes: &[u8]) -> io::Result<()> {
        let mut sealed = self.sealed.borrow_mut();
        if sealed.of > 0 || bytes.is_empty() {
            return Ok(());
        }
        let mut session = self.session.borrow_mut();
        let (before, of) =
            (sealed.bytes.len(), session.writer().write(&bytes[..bytes.len().min(BATCH_LEN_MAX)])?);
        while session.wants_write() {
            session.write_tls(&mut sealed.bytes)?;
        }
        if sealed.bytes.len() - before < of {
            return Err(self.worn_out());
        }
        sealed.of = of;
        Ok(())
    }

    /// The session takes bytes and seals none: with the cipher suites of TLS 1.2 that have a limit, its keys have been
    /// used as often as they may be, and it has none to follow them.
    fn worn_out(&self) -> io::Error {
        if !self.has_failed.replace(true) {
            warn!(
                "{}: the keys of this TLS session have sealed as much as they may: the connection is closed and made \
                 anew; with TLSv1.3, or with ChaCha20, they last",
                self.remote
            );
            self.socket.end();
        }
        io::Error::other("the keys of the TLS session are used up")
    }
}

impl Sealed {
    /// How many bytes were sent with this batch, if all of it has left; then there is none.
    fn finish(&mut self) -> Option<usize> {
        if self.gone < self.bytes.len() {
            return None;
        }
        self.gone = 0;
        self.bytes.clear();
        Some(std::mem::take(&mut self.of))
    }
}

/// What is sealed at once: as much as the session buffers.
const BATCH_LEN_MAX: usize = 64 << 10;
/// A whole record of TLS, and what is around it.
const ARRIVED_LEN: usize = (16 << 10) + 512;

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::net::TcpListener;
    use std::thread;
    use std::time::Duration;

    use super::*;
    use crate::net::{PeerSocket, PeerStream};
    use crate::runtime::{Executor, ExecutorOptions};
    use crate::tls::Tls;
    use crate::tls::tests::of_fixtures;

    #[test]
    fn what_is_sent_comes_back_whole_though_the_peer_takes_it_slowly() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("bound");
        let peer = thread::spawn(move || {
            let (stream, remote) = listener.accept().expect("somebody connects");
            echo(stream, |stream| {
                Tls::load(of_fixtures()).expect("good").welcome(stream, remote, PATIENCE).expect("good")
            });
        });
        let tcp = TcpStream::connect(address).expect("listening");
        let tls = Tls::load(of_fixtures()).expect("good");
        let session = tls.connect(&tcp, "127.0.0.1", PATIENCE).expect("a handshake");
        let executor = Executor::new(ExecutorOptions::default()).start(|| async {
            let socket = PeerSocket::new(PeerStream::protected(tcp, session, "ssl.quorum."));
            let sent: Vec<u8> = (0..LEN).map(|number| (number % 251) as u8).collect();
            let mut done = socket.send_now(&sent).expect("connected");
            assert!(done < LEN, "the kernel holds less");
            while done < LEN {
                done += poll_fn(|cx| socket.poll_send(cx, &sent[done..])).await.expect("connected");
            }
            let (mut came, mut buffer) = (Vec::<u8>::new(), vec![0; 10_000]);
            loop {
                match poll_fn(|cx| socket.poll_recv(cx, &mut buffer)).await.expect("connected") {
                    0 => return assert!(came == sent, "{} bytes came", came.len()),
                    len => came.extend(&buffer[..len]),
                }
            }
        });
        executor.expect("an executor").join().expect("no panic");
        peer.join().expect("no panic");
    }

    /// Takes everything, a little at a time, then sends it back and says that this was all.
    fn echo(mut stream: TcpStream, handshake: impl FnOnce(&mut TcpStream) -> Connection) {
        let mut session = handshake(&mut stream);
        let (mut taken, mut buffer) = (Vec::new(), vec![0; 1000]);
        while taken.len() < LEN {
            match session.reader().read(&mut buffer) {
                Ok(len) => taken.extend(&buffer[..len]),
                Err(_) => drop(session.complete_io(&mut stream).expect("connected")),
            }
        }
        for part in taken.chunks(20_000) {
            session.writer().write_all(part).expect("room");
            while session.wants_write() {
                session.write_tls(&mut stream).expect("connected");
            }
        }
        session.send_close_notify();
        session.write_tls(&mut stream).expect("connected");
    }

    /// More than all buffers on the way hold.
    const LEN: usize = 16 << 20;
    const PATIENCE: Duration = Duration::from_secs(60);
}
