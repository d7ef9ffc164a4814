use std::io;
use std::net::TcpStream;
use std::rc::Rc;
use std::task::{Context, Poll};

use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, Shutdown, recv, send, shutdown};

use super::readiness::Registration;

/// A connected TCP socket on one executor; copies are the same socket.
///
/// Both directions try the system call at once, so that a turn's replies leave without another task; who would have
/// to wait is woken through the executor's one wait for all sockets.
#[derive(Clone)]
pub struct Socket(Rc<Inner>);

struct Inner {
    /// What became of registering it. Dropped before the socket.
    registration: Result<Registration, io::Error>,
    stream: TcpStream,
}

impl Socket {
    /// Takes over a connected socket, on the executor that will use it.
    pub fn new(stream: TcpStream) -> Socket {
        Socket(Rc::new(Inner { registration: Registration::of(&stream), stream }))
    }

    /// Reads what is there, or arranges for the task to be woken when there is something. Zero is the
    /// end. The buffer is needed only for the attempt, so connections that wait hold none.
    pub fn poll_recv(&self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        let len = buffer.len();
        let recv = || recv(&self.0.stream, &mut *buffer, RecvFlags::DONTWAIT).map(|(read, _)| read);
        self.registration()?.poll_recv(cx, len, recv)
    }

    /// Sends as much as the kernel takes without waiting, and returns how much that was.
    pub fn send_now(&self, bytes: &[u8]) -> io::Result<usize> {
        let mut sent = 0;
        while sent < bytes.len() {
            match send(&self.0.stream, &bytes[sent..], SendFlags::DONTWAIT | SendFlags::NOSIGNAL) {
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
        match self.send_now(bytes) {
            Ok(0) if !bytes.is_empty() => {
                self.registration()?.wake_when_writable(cx);
                Poll::Pending
            }
            sent => Poll::Ready(sent),
        }
    }

    /// Ends the writing side: the peer sees the end after what was sent. Reading goes on.
    pub fn end_writing(&self) {
        // A socket whose peer has gone has nothing left to end.
        let _ = shutdown(&self.0.stream, Shutdown::Write);
    }

    /// Ends both sides; a reader that waits sees the end.
    pub fn end(&self) {
        let _ = shutdown(&self.0.stream, Shutdown::Both);
    }

    fn registration(&self) -> io::Result<&Registration> {
        self.0.registration.as_ref().map_err(|error| io::Error::new(error.kind(), error.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::future::{Future, poll_fn};
    use std::io::{Read, Write};
    use std::net::TcpListener;
    use std::thread;

    use super::*;
    use crate::runtime::{Bell, Executor, ExecutorOptions, spawn};

    /// Two ends of a connection.
    fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
        let client = TcpStream::connect(listener.local_addr().expect("its address")).expect("connected");
        (listener.accept().expect("accepted").0, client)
    }

    /// What becomes of our end on an executor of its own.
    fn on_executor<F, T>(ours: TcpStream, run: impl FnOnce(Socket) -> F + Send + 'static) -> T
    where
        F: Future<Output = T> + 'static,
        T: Send + 'static,
    {
        let executor = Executor::new(ExecutorOptions::default());
        let running = executor.start(move || async move { run(Socket::new(ours)).await });
        running.expect("an executor").join().expect("it ended")
    }

    async fn recv(socket: &Socket, len: usize) -> io::Result<Vec<u8>> {
        let mut buffer = vec![0; len];
        let read = poll_fn(|cx| socket.poll_recv(cx, &mut buffer)).await?;
        buffer.truncate(read);
        Ok(buffer)
    }

    async fn recv_all(socket: &Socket, len: usize) -> io::Result<Vec<u8>> {
        let mut all = Vec::new();
        loop {
            match recv(socket, len).await? {
                none if none.is_empty() => return Ok(all),
                some => all.extend(some),
            }
        }
    }

    #[test]
    fn an_end_that_comes_together_with_the_last_bytes_is_told_after_them() {
        for len in [1, 3, 5, 100] {
            let (ours, mut client) = pair();
            client.write_all(b"hello").expect("sent");
            drop(client);
            let read = on_executor(ours, move |socket| async move { recv_all(&socket, len).await });
            assert_eq!(read.expect("no error"), b"hello", "read {len} at a time");
        }
    }

    #[test]
    fn a_reader_that_waits_is_woken_by_each_arrival_and_by_the_end() {
        let (ours, mut client) = pair();
        let echo = thread::spawn(move || {
            for number in 0..1000u32 {
                client.write_all(&number.to_be_bytes()).expect("sent");
                let mut answer = [0; 4];
                client.read_exact(&mut answer).expect("answered");
                assert_eq!(answer, number.to_be_bytes());
            }
        });
        let count = on_executor(ours, |socket| async move {
            let mut count = 0;
            loop {
                match recv(&socket, 64).await.expect("read") {
                    none if none.is_empty() => return count,
                    some => {
                        assert_eq!(socket.send_now(&some).expect("sent"), some.len());
                        count += 1;
                    }
                }
            }
        });
        echo.join().expect("all were answered");
        assert_eq!(count, 1000);
    }

    #[test]
    fn a_writer_that_waits_is_woken_when_the_peer_reads_again() {
        const LEN: usize = 32 << 20; // More than the kernel takes for a peer that does not read.
        let (ours, mut client) = pair();
        let (begin, may_begin) = std::sync::mpsc::channel();
        let reader = thread::spawn(move || {
            may_begin.recv().expect("the writer waits");
            let mut all = Vec::new();
            client.read_to_end(&mut all).expect("read");
            all
        });
        on_executor(ours, move |socket| async move {
            let bytes: Vec<u8> = (0..LEN).map(|at| (at / 4096) as u8).collect();
            let mut sent = socket.send_now(&bytes).expect("sent");
            assert!(sent < LEN, "the kernel takes all of it");
            begin.send(()).expect("there is a reader");
            while sent < LEN {
                sent += poll_fn(|cx| socket.poll_send(cx, &bytes[sent..])).await.expect("sent");
            }
            socket.end_writing();
        });
        let all = reader.join().expect("the reader ended");
        assert!(all.len() == LEN && all.iter().enumerate().all(|(at, byte)| *byte == (at / 4096) as u8));
    }

    #[test]
    fn a_reader_that_waits_sees_that_its_own_side_ends_the_connection() {
        let (ours, client) = pair();
        let read = on_executor(ours, |socket| async move {
            let (other, has_waited) = (socket.clone(), Rc::new(Cell::new(false)));
            let waits = has_waited.clone();
            spawn(async move {
                assert!(waits.get(), "the reader was first");
                other.end();
            });
            let mut buffer = [0; 8];
            poll_fn(|cx| {
                let read = socket.poll_recv(cx, &mut buffer);
                has_waited.set(true);
                read
            })
            .await
        });
        assert_eq!(read.expect("no error"), 0);
        drop(client);
    }

    #[test]
    fn an_executor_ends_though_somebody_waits_for_a_socket() {
        let (ours, client) = pair();
        on_executor(ours, |socket| async move {
            let has_waited = Rc::new(Bell::default());
            let waits = has_waited.clone();
            spawn(async move {
                let mut buffer = [0; 8];
                let read = poll_fn(|cx| {
                    let read = socket.poll_recv(cx, &mut buffer);
                    waits.ring();
                    read
                });
                unreachable!("{:?} was read", read.await);
            });
            has_waited.wait().await;
        });
        drop(client);
    }
}
