#![no_main]
//! Whatever arrives at the election port, in whatever pieces, costs at most its own connection: other
//! servers are still heard, and what is kept of it is bounded.

use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;
use ringkeeper_core::config::{ElectionTiming, HostPort};
use ringkeeper_core::election::{ConnectionAction, Connections, InitialMessage, Notification};
use ringkeeper_core::id::ServerId;
use ringkeeper_core::time::Instant;

#[derive(Arbitrary, Debug)]
struct Input {
    /// Bytes after a good initial message of this server, or from the start.
    greets_as: Option<i8>,
    pieces: Vec<Vec<u8>>,
}

fuzz_target!(|input: Input| {
    for piece in &input.pieces {
        let _ = InitialMessage::decode(piece);
        let _ = Notification::decode(piece);
    }
    let address = |id: i64| HostPort { host: format!("zk{id}"), port: 3888 };
    let peers = (0..5).map(|id| (ServerId(id), vec![address(id)]));
    let mut connections =
        Connections::new(ServerId(2), vec![address(2)], peers, ElectionTiming::default());
    let (mut out, mut now) = (Vec::new(), Instant::from_ms(1));
    let link = connections.on_accepted(now, &mut out);
    if let Some(id) = input.greets_as {
        let greeting = InitialMessage { server: ServerId(id.into()), addresses: vec![address(id.into())] };
        connections.on_received(link, &encoded(&greeting), now, &mut out);
    }
    for piece in &input.pieces {
        now = Instant::from_ms(now.ms() + 700);
        connections.on_received(link, piece, now, &mut out);
        connections.on_timeout(now, &mut out);
    }
    out.clear();
    let good = connections.on_accepted(now, &mut out);
    let greeting = InitialMessage { server: ServerId(4), addresses: vec![address(4)] };
    connections.on_received(good, &encoded(&greeting), now, &mut out);
    assert!(out.contains(&ConnectionAction::Connected { peer: ServerId(4) }));
});

fn encoded(message: &InitialMessage) -> Vec<u8> {
    let mut bytes = Vec::new();
    message.encode(&mut bytes);
    bytes
}
