//! A server that speaks gRPC as etcd does, with delays of one's own choosing, to try the loads against.

use std::future::Future;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, Waker};
use std::thread;

use bytes::Bytes;
use h2::server::{Builder, Connection, SendResponse};
use http::{HeaderMap, HeaderValue, Response};
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use prost::Message;

use super::channel::{Handle, Socket, framed};
use super::messages::{KeyValue, Method, RangeResponse, ResponseHeader, StatusResponse};

/// How much data each of the stub's keys holds.
pub(super) const DATA_LEN: usize = 100;

/// A call that waits for its answer.
pub(super) struct Call(SendResponse<Bytes>);

/// A server that hands each connection's reads, as they come, to a copy of `answer`, and answers those that it
/// returns. It takes no more than `calls_max` at once on each connection.
pub(super) fn stub<A>(calls_max: u32, answer: A) -> SocketAddr
where
    A: FnMut(Vec<Call>) -> Vec<Call> + Clone + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let (stream, answer) = (stream.unwrap(), answer.clone());
            thread::spawn(move || serve(stream, calls_max, answer));
        }
    });
    addr
}

fn serve(stream: TcpStream, calls_max: u32, mut answer: impl FnMut(Vec<Call>) -> Vec<Call>) {
    let socket = Socket::new(stream).unwrap();
    let epoll = Epoll::new(EpollCreateFlags::empty()).unwrap();
    epoll.add(&socket.stream, EpollEvent::new(EpollFlags::EPOLLIN, 0)).unwrap();
    let wait = || {
        let _ = epoll.wait(&mut [EpollEvent::empty()], EpollTimeout::NONE);
    };
    let mut builder = Builder::new();
    builder.max_concurrent_streams(calls_max).initial_connection_window_size(1 << 30);
    let mut handshake = Box::pin(builder.handshake(Handle(socket.clone())));
    let mut connection = loop {
        socket.may_read.store(true, Ordering::Relaxed);
        match handshake.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(connection) => break connection.unwrap(),
            Poll::Pending => wait(),
        }
    };
    loop {
        socket.may_read.store(true, Ordering::Relaxed);
        let Some(calls) = accept(&mut connection) else { return };
        let answered = if calls.is_empty() { Vec::new() } else { answer(calls) };
        answered.into_iter().for_each(Call::succeed);
        socket.may_read.store(false, Ordering::Relaxed);
        // What was answered goes out, and nothing comes in.
        if accept(&mut connection).is_none() {
            return;
        }
        wait();
    }
}

/// The reads that came; what a server says of itself is told at once. `None` when the connection has ended.
fn accept(connection: &mut Connection<Handle, Bytes>) -> Option<Vec<Call>> {
    let mut calls = Vec::new();
    loop {
        match connection.poll_accept(&mut Context::from_waker(Waker::noop())) {
            Poll::Pending => return Some(calls),
            Poll::Ready(Some(Ok((request, respond)))) if request.uri().path() == Method::Status.path() => {
                let header = Some(ResponseHeader { member_id: 1, revision: 1 });
                let status = StatusResponse { header, version: "stub".into(), leader: 1 };
                reply(respond, &status);
            }
            Poll::Ready(Some(Ok((_, respond)))) => calls.push(Call(respond)),
            Poll::Ready(Some(Err(_)) | None) => return None,
        }
    }
}

impl Call {
    fn succeed(self) {
        let kvs = vec![KeyValue { key: "k".into(), value: vec![b'd'; DATA_LEN].into() }];
        reply(self.0, &RangeResponse { kvs, ..RangeResponse::default() });
    }
}

fn reply(mut respond: SendResponse<Bytes>, message: &impl Message) {
    let head = Response::builder().header("content-type", "application/grpc").body(()).unwrap();
    let trailers =
        HeaderMap::from_iter([(http::HeaderName::from_static("grpc-status"), HeaderValue::from(0))]);
    // Who has gone wants no answer any more.
    if let Ok(mut body) = respond.send_response(head, false) {
        let _ = body.send_data(framed(&message.encode_to_vec()), false);
        let _ = body.send_trailers(trailers);
    }
}
