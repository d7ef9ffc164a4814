//! The edges of the client protocol, over raw sockets.
//!
//! What requests do is compared with real ZooKeeper's servers step by step in the interop tests; here is
//! what happens below and around requests: frames, the handshake, sessions, limits.

mod frames;
mod handshake;
mod limits;
mod sessions;
mod words;

use std::net::SocketAddr;
use std::time::Duration;

use ringkeeper_kit::wire::{Body, Client, Received, Request, Wire};

/// A client whose requests are answered, whatever others do meanwhile.
struct Bystander(Client);

impl Bystander {
    fn of(server: SocketAddr) -> Bystander {
        Bystander(Client::connect(server).expect("a session"))
    }

    /// Two round trips, of a read and of a write: the server has had the time to take notice of what
    /// others sent before.
    fn is_served(&mut self) {
        let read = self.0.call(&Request::exists("/", false)).expect("a reply");
        assert_eq!(read.err, 0);
        let write = self.0.call(&Request::set_data("/", b"", -1)).expect("a reply");
        assert_eq!(write.err, 0);
    }
}

/// Asserts that the server closes the connection and says nothing before.
fn assert_closed_without_a_word(wire: &mut Wire, what: &str) {
    let received = wire.receive(DEADLINE).expect("the socket can be read");
    assert_eq!(received, Received::Closed, "{what}");
}

fn data(client: &mut Client, path: &str) -> Option<Vec<u8>> {
    let reply = client.call(&Request::get_data(path, false)).expect("a reply");
    match reply.body {
        Body::Data(data, _) => data,
        other => panic!("getData of {path}: err {}, {other:?}", reply.err),
    }
}

/// Long enough for a loaded machine; nothing waits for it to pass.
const DEADLINE: Duration = Duration::from_secs(30);
