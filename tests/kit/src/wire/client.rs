//! A session over one connection.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use super::connection::{Received, Wire, frame};
use super::handshake::{ConnectRequest, ConnectResponse};
use super::reply::{Event, Message, Reply};
use super::request::Request;

/// A [`Wire`] whose handshake has granted a session.
///
/// Requests may be pipelined: replies are matched to them in order, and one that comes out of order is
/// an error. Events are kept until asked for. A closed connection is an error of kind
/// `UnexpectedEof`, a reply that does not come in time one of kind `TimedOut`.
#[derive(Debug)]
pub struct Client {
    wire: Wire,
    granted: ConnectResponse,
    next_xid: i32,
    waiting: VecDeque<(i32, i32)>,
    events: VecDeque<Event>,
    /// How many pings of [`Client::receive_alive`] have no reply yet.
    keep_alives: usize,
}

impl Client {
    /// A client with a new session of half a minute, if the server grants so much.
    pub fn connect(server: SocketAddr) -> io::Result<Client> {
        Client::connect_as(server, &ConnectRequest::default())
    }

    /// A client with the session asked for; a refusal is an error of kind `PermissionDenied`.
    pub fn connect_as(server: SocketAddr, request: &ConnectRequest) -> io::Result<Client> {
        let mut wire = Wire::dial(server)?;
        match wire.handshake(request, REPLY_DEADLINE)? {
            None => Err(closed()),
            Some(response) if !response.granted() => Err(io::Error::new(
                io::ErrorKind::PermissionDenied,
                format!("the server refused session 0x{:x}", request.session),
            )),
            Some(granted) => {
                let (waiting, events) = (VecDeque::new(), VecDeque::new());
                Ok(Client { wire, granted, next_xid: 1, waiting, events, keep_alives: 0 })
            }
        }
    }

    /// What the server granted: session, password and timeout.
    pub fn granted(&self) -> &ConnectResponse {
        &self.granted
    }

    /// Sends one request and waits for its reply.
    pub fn call(&mut self, request: &Request) -> io::Result<Reply> {
        self.send(request)?;
        self.next_reply()
    }

    /// Sends one request with the next xid.
    pub fn send(&mut self, request: &Request) -> io::Result<()> {
        self.send_all(std::slice::from_ref(request))
    }

    /// Sends several requests in one write.
    pub fn send_all(&mut self, requests: &[Request]) -> io::Result<()> {
        let mut bytes = Vec::new();
        for request in requests {
            let xid = self.next_xid;
            self.next_xid += 1;
            let expected = if matches!(request, Request::Ping) { PING_XID } else { xid };
            self.waiting.push_back((expected, request.opcode()));
            bytes.extend(frame(&request.encode(xid)));
        }
        self.wire.send_bytes(&bytes).map_err(|_| closed())
    }

    /// The reply to the oldest request that has none yet.
    pub fn next_reply(&mut self) -> io::Result<Reply> {
        let (xid, opcode) = self.waiting.front().copied().unwrap_or_default();
        loop {
            match self.receive_alive(opcode)? {
                Message::Event(event) => self.events.push_back(event),
                Message::Reply(reply) if reply.xid == xid => {
                    self.waiting.pop_front();
                    return Ok(reply);
                }
                other => return Err(invalid(format!("expected the reply to xid {xid}, got {other:?}"))),
            }
        }
    }

    /// The next event, if one is here or comes in time.
    pub fn next_event(&mut self, deadline: Duration) -> io::Result<Option<Event>> {
        if let Some(event) = self.events.pop_front() {
            return Ok(Some(event));
        }
        match self.receive(0, deadline) {
            Ok(Message::Event(event)) => Ok(Some(event)),
            Ok(other) => Err(invalid(format!("expected an event, got {other:?}"))),
            Err(error) if error.kind() == io::ErrorKind::TimedOut => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The events that came while replies were awaited.
    pub fn take_events(&mut self) -> Vec<Event> {
        self.events.drain(..).collect()
    }

    /// Waits until the server closes the connection; events and replies before that are dropped.
    pub fn await_close(&mut self, deadline: Duration) -> io::Result<()> {
        loop {
            match self.wire.receive(deadline)? {
                Received::Frame(_) => {}
                Received::Closed => return Ok(()),
                Received::Silence => return Err(timed_out("the server did not close the connection")),
            }
        }
    }

    /// Ends the session.
    pub fn close(mut self) -> io::Result<Reply> {
        self.call(&Request::CloseSession)
    }

    /// Drops the connection; the session lives on.
    pub fn hang_up(self) -> ConnectResponse {
        self.wire.hang_up();
        self.granted
    }

    /// The connection, for bytes that are no request.
    pub fn wire(&mut self) -> &mut Wire {
        &mut self.wire
    }

    /// Waits for a reply, with pings, as every client library does. Java from 3.6.0 to 3.8.0 may even need them:
    /// of its commit processor it is reported that it can let a request lie until the next one comes (ZOOKEEPER-4537).
    fn receive_alive(&mut self, opcode: i32) -> io::Result<Message> {
        for _ in 0..KEEP_ALIVES {
            match self.receive(opcode, REPLY_DEADLINE / (KEEP_ALIVES + 1)) {
                Err(error) if error.kind() == io::ErrorKind::TimedOut => {
                    self.wire.send_bytes(&frame(&Request::Ping.encode(PING_XID))).map_err(|_| closed())?;
                    self.keep_alives += 1;
                }
                received => return received,
            }
        }
        self.receive(opcode, REPLY_DEADLINE / (KEEP_ALIVES + 1))
    }

    fn receive(&mut self, opcode: i32, deadline: Duration) -> io::Result<Message> {
        loop {
            match self.wire.receive(deadline)? {
                Received::Frame(payload)
                    if self.keep_alives > 0 && payload.starts_with(&PING_XID.to_be_bytes()) =>
                {
                    self.keep_alives -= 1;
                }
                Received::Frame(payload) => return Ok(Message::decode(&payload, opcode)),
                Received::Closed => return Err(closed()),
                Received::Silence => return Err(timed_out("no frame came")),
            }
        }
    }
}

fn closed() -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, "the server closed the connection")
}

fn timed_out(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, what)
}

fn invalid(what: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

const PING_XID: i32 = -2;

/// Long enough for a loaded machine; a server that needs it has failed.
const REPLY_DEADLINE: Duration = Duration::from_secs(20);
/// How many pings are sent while a reply is awaited.
const KEEP_ALIVES: u32 = 3;

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::{Ipv4Addr, TcpListener, TcpStream};
    use std::thread;

    use super::*;
    use crate::wire::Encoder;

    #[test]
    fn a_client_pings_while_it_waits_and_takes_no_ping_s_reply_for_another() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let addr = listener.local_addr().expect("its number");
        let server = thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("a client");
            next_frame(&mut stream);
            send(&mut stream, Encoder::new().int(0).int(30_000).long(7).buffer(Some(&[0; 16])).bool(false));
            for xid in [1, 2] {
                assert!(next_frame(&mut stream).starts_with(&i32::to_be_bytes(xid)));
                if xid == 1 {
                    assert!(next_frame(&mut stream).starts_with(&PING_XID.to_be_bytes()));
                }
                send(&mut stream, Encoder::new().int(xid).long(5).int(-101));
                if xid == 1 {
                    send(&mut stream, Encoder::new().int(PING_XID).long(5).int(0));
                }
            }
        });
        let mut client = Client::connect(addr).expect("a session");
        for xid in [1, 2] {
            let reply = client.call(&Request::exists("/a", false)).expect("a reply");
            assert_eq!((reply.xid, reply.err), (xid, -101));
        }
        server.join().expect("no panic");
    }

    fn next_frame(stream: &mut TcpStream) -> Vec<u8> {
        let mut len = [0; 4];
        stream.read_exact(&mut len).expect("a length");
        let mut payload = vec![0; u32::from_be_bytes(len) as usize];
        stream.read_exact(&mut payload).expect("a payload");
        payload
    }

    fn send(stream: &mut TcpStream, payload: &mut Encoder) {
        stream.write_all(&frame(&std::mem::take(payload).finish())).expect("an open connection");
    }
}
