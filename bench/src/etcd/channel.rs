//! Unary gRPC calls over one HTTP/2 connection, moved on by whoever polls its socket.
//!
//! HTTP/2 is h2's. That needs a runtime for nothing: it is polled when the socket may have something, and
//! all that it would wait for shows as the socket being readable, or writable again. So the engine's one
//! thread drives such connections as it does ZooKeeper's, by the same epoll, and what it measures is the same.

use std::collections::VecDeque;
use std::future::Future;
use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::net::TcpStream;
use std::os::fd::{AsFd, BorrowedFd};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use anyhow::{Context as _, Result, bail};
use bytes::{BufMut, Bytes, BytesMut};
use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use h2::client::{self, Connection, ResponseFuture, SendRequest};
use h2::{Reason, RecvStream};
use http::{HeaderMap, header};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::messages::{Method, Request};
use crate::engine::{Failure, now};

/// What became of a call: the answer's message, or the status that came instead.
pub(super) type Answer = Result<Bytes, Failure>;

/// An HTTP/2 connection and the calls on it. Each call has a number, which counts up from 0.
pub(super) struct Channel {
    socket: Arc<Socket>,
    connection: Connection<Handle, Bytes>,
    sender: SendRequest<Bytes>,
    /// A request for each method, in the order of [`Method::ALL`].
    templates: Vec<http::Request<()>>,
    next_call: u64,
    /// Not handed over yet: the server bounds how many calls are open at once.
    waiting: VecDeque<(u64, Request)>,
    open: FuturesUnordered<BoxFuture<'static, (u64, Answer)>>,
    answered: Vec<(u64, Answer)>,
    connection_woken: Arc<Woken>,
    calls_woken: Arc<Woken>,
}

/// The socket below, and what happened to it since it was last looked at.
pub(super) struct Socket {
    pub(super) stream: TcpStream,
    /// Whether one more read is allowed.
    pub(super) may_read: AtomicBool,
    read_at: AtomicU64,
    /// Whether it did not take all that was to be sent.
    blocked: AtomicBool,
}

/// h2's end of the socket.
pub(super) struct Handle(pub(super) Arc<Socket>);

/// Whether somebody can go on.
#[derive(Default)]
struct Woken(AtomicBool);

impl Channel {
    /// Begins HTTP/2 on a connection that nothing was sent on.
    pub(super) fn new(stream: TcpStream) -> Result<Channel> {
        let authority = stream.peer_addr()?;
        let socket = Socket::new(stream)?;
        let mut builder = client::Builder::new();
        builder.initial_window_size(WINDOW_LEN).initial_connection_window_size(WINDOW_LEN).enable_push(false);
        let handshake = pin!(builder.handshake(Handle(socket.clone())));
        let Poll::Ready(opened) = handshake.poll(&mut Context::from_waker(Waker::noop())) else {
            bail!("a new socket did not take HTTP/2's greeting");
        };
        let (sender, connection) = opened.context("cannot begin HTTP/2")?;
        let template = |method: Method| {
            http::Request::post(format!("http://{authority}{}", method.path()))
                .version(http::Version::HTTP_2)
                .header(header::CONTENT_TYPE, "application/grpc")
                .header(header::TE, "trailers")
                .body(())
        };
        Ok(Channel {
            socket,
            connection,
            sender,
            templates: Method::ALL.into_iter().map(template).collect::<Result<_, _>>()?,
            next_call: 0,
            waiting: VecDeque::new(),
            open: FuturesUnordered::new(),
            answered: Vec::new(),
            connection_woken: Arc::default(),
            calls_woken: Arc::default(),
        })
    }

    /// Adds a call to what the next [`Channel::send`] sends. Returns its number.
    pub(super) fn call(&mut self, request: Request) -> u64 {
        let number = self.next_call;
        self.next_call += 1;
        self.waiting.push_back((number, request));
        number
    }

    /// Sends what is there to send, as far as the socket takes it. Returns whether it took all.
    pub(super) fn send(&mut self) -> Result<bool> {
        self.go_on()?;
        Ok(!self.socket.blocked.load(Ordering::Relaxed))
    }

    /// Reads once what has come, without regard to how much more there is. Returns when it was read.
    ///
    /// # Errors
    /// When the connection has ended.
    pub(super) fn receive(&mut self) -> Result<u64> {
        // Where nothing is there to read, no answer gets this time either.
        self.socket.read_at.store(now(), Ordering::Relaxed);
        self.socket.may_read.store(true, Ordering::Relaxed);
        let went_on = self.go_on();
        self.socket.may_read.store(false, Ordering::Relaxed);
        went_on?;
        Ok(self.socket.read_at.load(Ordering::Relaxed))
    }

    /// Takes what was answered, in the order of the answers.
    pub(super) fn take_answered(&mut self) -> Vec<(u64, Answer)> {
        std::mem::take(&mut self.answered)
    }

    /// Does all that can be done without waiting.
    fn go_on(&mut self) -> Result<()> {
        self.socket.blocked.store(false, Ordering::Relaxed);
        let (for_connection, for_calls) =
            (Waker::from(self.connection_woken.clone()), Waker::from(self.calls_woken.clone()));
        let mut connection_context = Context::from_waker(&for_connection);
        let mut calls_context = Context::from_waker(&for_calls);
        loop {
            self.hand_over(&mut connection_context)?;
            match Pin::new(&mut self.connection).poll(&mut connection_context) {
                Poll::Pending => {}
                Poll::Ready(Ok(())) => {
                    bail!("the server closed a connection with {} calls open", self.open.len())
                }
                Poll::Ready(Err(error)) => {
                    return Err(error)
                        .with_context(|| format!("a connection broke with {} calls open", self.open.len()));
                }
            }
            while let Poll::Ready(Some(answer)) = self.open.poll_next_unpin(&mut calls_context) {
                self.answered.push(answer);
            }
            // Both are asked: each is to forget that it was woken.
            if !(self.connection_woken.take() | self.calls_woken.take()) {
                return Ok(());
            }
        }
    }

    /// Gives h2 the calls that the server takes by now.
    fn hand_over(&mut self, context: &mut Context<'_>) -> Result<()> {
        while !self.waiting.is_empty() {
            match self.sender.poll_ready(context) {
                Poll::Ready(ready) => ready.context("the connection takes no more calls")?,
                Poll::Pending => break,
            }
            let Some((number, request)) = self.waiting.pop_front() else { break };
            let head = self.templates[request.method as usize].clone();
            let (response, mut body) = self.sender.send_request(head, false).context("cannot call")?;
            body.send_data(framed(&request.message), true).context("cannot send a message")?;
            self.open.push(Box::pin(async move { (number, answer(response).await) }));
        }
        Ok(())
    }
}

impl Socket {
    pub(super) fn new(stream: TcpStream) -> Result<Arc<Socket>> {
        stream.set_nonblocking(true)?;
        stream.set_nodelay(true)?;
        let [may_read, blocked] = [(); 2].map(|()| AtomicBool::new(false));
        Ok(Arc::new(Socket { stream, may_read, read_at: AtomicU64::new(0), blocked }))
    }
}

impl AsFd for Channel {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.stream.as_fd()
    }
}

/// The message behind what gRPC puts before each: whether it is compressed, and its length.
pub(super) fn framed(message: &[u8]) -> Bytes {
    let mut frame = BytesMut::with_capacity(PREFIX_LEN + message.len());
    frame.put_u8(0);
    frame.put_u32(message.len() as u32);
    frame.put_slice(message);
    frame.freeze()
}

/// The message in the body of an answer.
fn unframed(mut body: Bytes) -> Answer {
    match body.first_chunk::<PREFIX_LEN>() {
        Some(&[0, len @ ..]) if u32::from_be_bytes(len) as usize == body.len() - PREFIX_LEN => {
            Ok(body.split_off(PREFIX_LEN))
        }
        _ => Err(failure(INTERNAL, format!("an answer of {} bytes is no plain gRPC message", body.len()))),
    }
}

/// Waits for the whole answer to a call: its head, its message, and the status behind it.
async fn answer(response: ResponseFuture) -> Answer {
    let (head, mut body) = response.await.map_err(|error| broken(&error))?.into_parts();
    if head.status != http::StatusCode::OK {
        return Err(failure(UNKNOWN, format!("the server answers with HTTP's status {}", head.status)));
    }
    // A call that fails at once has its status in the head.
    if head.headers.contains_key(STATUS) {
        check_status(&head.headers)?;
    }
    let message = read_body(&mut body).await.map_err(|error| broken(&error))?;
    let trailers = body.trailers().await.map_err(|error| broken(&error))?;
    match trailers {
        Some(trailers) => check_status(&trailers)?,
        None => return Err(failure(INTERNAL, "an answer ends without a status".to_owned())),
    }
    unframed(message)
}

async fn read_body(body: &mut RecvStream) -> Result<Bytes, h2::Error> {
    let mut whole = Bytes::new();
    while let Some(part) = body.data().await {
        let part = part?;
        body.flow_control().release_capacity(part.len())?;
        whole = if whole.is_empty() {
            part
        } else {
            let mut joined = BytesMut::from(whole);
            joined.extend_from_slice(&part);
            joined.freeze()
        };
    }
    Ok(whole)
}

/// What gRPC's trailers say.
fn check_status(trailers: &HeaderMap) -> Result<(), Failure> {
    let text = |name| trailers.get(name).and_then(|value| value.to_str().ok());
    match text(STATUS).and_then(|status| status.parse().ok()) {
        Some(0) => Ok(()),
        Some(code) => {
            let message = text(MESSAGE).unwrap_or("no reason given");
            Err(failure(code, format!("the server answers with gRPC's status {code}: {message}")))
        }
        None => Err(failure(INTERNAL, "an answer has a status that is none of gRPC's".to_owned())),
    }
}

/// The status that gRPC has for a call that HTTP/2 ended.
fn broken(error: &h2::Error) -> Failure {
    let code = match error.reason() {
        Some(Reason::REFUSED_STREAM) => UNAVAILABLE,
        Some(Reason::CANCEL) => CANCELLED,
        Some(Reason::ENHANCE_YOUR_CALM) => RESOURCE_EXHAUSTED,
        Some(Reason::INADEQUATE_SECURITY) => PERMISSION_DENIED,
        Some(_) => INTERNAL,
        None => UNAVAILABLE,
    };
    failure(code, format!("the call broke: {error}"))
}

pub(super) fn failure(code: i32, what: String) -> Failure {
    Failure { code, what }
}

impl Woken {
    fn take(&self) -> bool {
        self.0.swap(false, Ordering::Relaxed)
    }
}

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Handle {
    fn write(&self, write: impl Fn(&TcpStream) -> io::Result<usize>) -> Poll<io::Result<usize>> {
        loop {
            match write(&self.0.stream) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.0.blocked.store(true, Ordering::Relaxed);
                    return Poll::Pending;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                result => return Poll::Ready(result),
            }
        }
    }
}

/// Pending registers no waker anywhere: whoever owns the channel polls the socket.
impl AsyncRead for Handle {
    fn poll_read(
        self: Pin<&mut Self>,
        _context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let socket = &self.0;
        if !socket.may_read.load(Ordering::Relaxed) {
            return Poll::Pending;
        }
        loop {
            match (&socket.stream).read(buffer.initialize_unfilled()) {
                Ok(len) => {
                    buffer.advance(len);
                    socket.read_at.store(now(), Ordering::Relaxed);
                    socket.may_read.store(false, Ordering::Relaxed);
                    return Poll::Ready(Ok(()));
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Poll::Pending,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }
}

impl AsyncWrite for Handle {
    fn poll_write(self: Pin<&mut Self>, _context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.write(|mut stream| stream.write(bytes))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        _context: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.write(|mut stream| stream.write_vectored(parts))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.0.stream.shutdown(std::net::Shutdown::Write))
    }
}

/// What gRPC puts before a message.
const PREFIX_LEN: usize = 5;

/// More than a turn's answers, so that no answer waits for the generator.
const WINDOW_LEN: u32 = 8 << 20;

const STATUS: &str = "grpc-status";
const MESSAGE: &str = "grpc-message";

/// Of gRPC's status codes.
const CANCELLED: i32 = 1;
const UNKNOWN: i32 = 2;
pub(super) const NOT_FOUND: i32 = 5;
pub(super) const ALREADY_EXISTS: i32 = 6;
const PERMISSION_DENIED: i32 = 7;
const RESOURCE_EXHAUSTED: i32 = 8;
const INTERNAL: i32 = 13;
const UNAVAILABLE: i32 = 14;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_has_a_prefix_of_five_bytes_that_must_fit_it() {
        assert_eq!(framed(b"abc"), &b"\0\0\0\0\x03abc"[..]);
        assert_eq!(unframed(framed(b"abc")).unwrap(), &b"abc"[..]);
        assert_eq!(unframed(framed(b"")).unwrap(), &b""[..]);
        for bad in [&b""[..], b"\0\0\0\0", b"\x01\0\0\0\x03abc", b"\0\0\0\0\x04abc", b"\0\0\0\0\x02abc"] {
            assert_eq!(unframed(Bytes::from_static(bad)).unwrap_err().code, INTERNAL, "{bad:?}");
        }
    }

    #[test]
    fn the_status_is_what_the_trailers_say() {
        let trailers = |pairs: &[(&'static str, &'static str)]| -> HeaderMap {
            let header = |(name, value): &(&'static str, &'static str)| {
                (http::HeaderName::from_static(name), http::HeaderValue::from_static(value))
            };
            pairs.iter().map(header).collect()
        };
        check_status(&trailers(&[("grpc-status", "0"), ("grpc-message", "")])).unwrap();
        let failed =
            check_status(&trailers(&[("grpc-status", "14"), ("grpc-message", "etcdserver: leader changed")]))
                .unwrap_err();
        assert_eq!(failed.code, UNAVAILABLE);
        assert!(failed.what.ends_with("14: etcdserver: leader changed"), "{}", failed.what);
        for bad in [&[][..], &[("grpc-status", "fine")]] {
            assert_eq!(check_status(&trailers(bad)).unwrap_err().code, INTERNAL);
        }
    }
}
