use std::cell::RefCell;
use std::io;
use std::net::TcpStream;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use futures_lite::io::{AsyncRead, AsyncWrite};
use rustix::io::Errno;
use rustix::net::{SendFlags, Shutdown, send, shutdown};

/// A connected TCP socket on one executor; copies are the same socket.
///
/// Reading waits through the executor's ring. Writing tries the system call at once, so that a turn's
/// replies leave without another task; only for a peer that does not keep up does somebody wait.
#[derive(Clone)]
pub struct Socket {
    stream: Rc<RefCell<glommio::net::TcpStream>>,
}

impl Socket {
    /// Takes over a connected socket, on the executor that will use it.
    pub fn new(stream: TcpStream) -> Socket {
        Socket { stream: Rc::new(RefCell::new(socket2::Socket::from(stream).into())) }
    }

    /// Reads what is there, or arranges for the task to be woken when there is something. Zero is the
    /// end. The buffer is needed only for the attempt, so connections that wait hold none.
    pub fn poll_recv(&self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.stream.borrow_mut()).poll_read(cx, buffer)
    }

    /// Sends as much as the kernel takes without waiting, and returns how much that was.
    pub fn send_now(&self, bytes: &[u8]) -> io::Result<usize> {
        let mut sent = 0;
        while sent < bytes.len() {
            let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
            match self.with_descriptor(|socket| send(socket, &bytes[sent..], flags)) {
                Ok(taken) => sent += taken,
                Err(Errno::AGAIN) => break,
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(sent)
    }

    /// Sends what the kernel takes, or arranges for the task to be woken when it takes more.
    pub fn poll_send(&self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.stream.borrow_mut()).poll_write(cx, bytes)
    }

    /// Ends the writing side: the peer sees the end after what was sent. Reading goes on.
    pub fn end_writing(&self) {
        // A socket whose peer has gone has nothing left to end.
        let _ = self.with_descriptor(|socket| shutdown(socket, Shutdown::Write));
    }

    /// Ends both sides; a reader that waits sees the end.
    pub fn end(&self) {
        let _ = self.with_descriptor(|socket| shutdown(socket, Shutdown::Both));
    }

    #[allow(unsafe_code, reason = "glommio's sockets lend their descriptor only as a number")]
    fn with_descriptor<R>(&self, call: impl FnOnce(BorrowedFd<'_>) -> R) -> R {
        let stream = self.stream.borrow();
        // SAFETY: the descriptor is open as long as the stream, which is borrowed until the call returns.
        call(unsafe { BorrowedFd::borrow_raw(stream.as_raw_fd()) })
    }
}
