//! A server with delays of one's own choosing, to try the loads against.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;

use nix::libc;
use nix::sys::socket::{setsockopt, sockopt};

use crate::wire;

/// How much data each of the stub's znodes holds.
pub(crate) const DATA_LEN: usize = 100;

/// A server that hands each connection's requests, as they come, to a copy of `answer`, and replies to
/// those that it returns.
pub(crate) fn stub<A>(answer: A) -> SocketAddr
where
    A: FnMut(Vec<Vec<u8>>) -> Vec<Vec<u8>> + Clone + Send + 'static,
{
    stub_of(DATA_LEN, answer)
}

/// The same with znodes of `data_len` bytes.
pub(crate) fn stub_of<A>(data_len: usize, answer: A) -> SocketAddr
where
    A: FnMut(Vec<Vec<u8>>) -> Vec<Vec<u8>> + Clone + Send + 'static,
{
    start(0, data_len, answer)
}

/// The same as [`stub`], but the first connections, so many, are reset.
pub(crate) fn stub_behind_resets<A>(resets: usize, answer: A) -> SocketAddr
where
    A: FnMut(Vec<Vec<u8>>) -> Vec<Vec<u8>> + Clone + Send + 'static,
{
    start(resets, DATA_LEN, answer)
}

fn start<A>(resets: usize, data_len: usize, answer: A) -> SocketAddr
where
    A: FnMut(Vec<Vec<u8>>) -> Vec<Vec<u8>> + Clone + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming().take(resets) {
            // A socket that lingers for no time ends with a reset.
            let at_once = libc::linger { l_onoff: 1, l_linger: 0 };
            setsockopt(&stream.unwrap(), sockopt::Linger, &at_once).unwrap();
        }
        for stream in listener.incoming() {
            let (stream, answer) = (stream.unwrap(), answer.clone());
            thread::spawn(move || serve(stream, data_len, answer));
        }
    });
    addr
}

fn serve(mut stream: TcpStream, data_len: usize, mut answer: impl FnMut(Vec<Vec<u8>>) -> Vec<Vec<u8>>) {
    let mut input = Vec::new();
    let mut handshaken = false;
    loop {
        let mut chunk = [0; 4096];
        match stream.read(&mut chunk) {
            Ok(0) | Err(_) => return,
            Ok(len) => input.extend_from_slice(&chunk[..len]),
        }
        let mut requests = Vec::new();
        while let Some(frame) = wire::first_frame(&input).unwrap().map(<[u8]>::to_vec) {
            input.drain(..4 + frame.len());
            requests.push(frame);
        }
        let mut output = Vec::new();
        if !handshaken && !requests.is_empty() {
            requests.remove(0);
            wire::append_connect_response(&mut output);
            handshaken = true;
        }
        let closing = requests.pop_if(|request| *request == wire::close_request(i32::MAX)[4..]);
        let answered = if requests.is_empty() { Vec::new() } else { answer(requests) };
        for request in answered.into_iter().chain(closing) {
            wire::append_hollow_reply(&request, data_len, &mut output).unwrap();
        }
        stream.write_all(&output).unwrap();
    }
}
