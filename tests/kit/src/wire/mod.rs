//! A ZooKeeper client that speaks the wire protocol by hand.
//!
//! It is the tests' oracle, so it shares no code with ringkeeper: everything here is written from
//! client-protocol alone. It sends what it is told, however wrong, and reads what comes, however odd:
//!
//! * [`Wire`]: one TCP connection; bytes and frames, each read with a deadline.
//! * [`Client`]: a [`Wire`] with a session, one request at a time, events kept apart.
//! * [`Request`], [`Reply`], [`Event`]: the messages, strict on reading: a reply with bytes missing or
//!   left over is [`Body::Undecodable`].
//! * [`four_letter_word`]: the admin words on the client port.

mod client;
mod connection;
mod handshake;
mod jute;
mod records;
mod reply;
mod request;
mod words;

pub use client::Client;
pub use connection::{Received, Wire};
pub use handshake::{ConnectRequest, ConnectResponse};
pub use jute::{Decoder, Encoder, Malformed};
pub use records::{Acl, Stat, Text, open_acl, perms};
pub use reply::{Body, Event, Message, Reply, SubResult};
pub use request::{Request, create_mode, op, watch_mode, watcher_type};
pub use words::{four_letter_word, four_letter_word_in_pieces};
