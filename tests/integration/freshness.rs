//! What one client was told, every client of the server sees, whichever core serves it.

use ringkeeper_kit::wire::{Body, Client, Request};

use crate::peers::{is_java, peers};

/// Without [`Published`](ringkeeper::wiring::Published), this fails within the first few rounds.
#[test]
fn what_a_client_was_told_another_sees_at_once_whichever_shard_serves_it() {
    let mut settings = peers().pop().expect("the last one has its roles split");
    if !is_java() {
        settings = settings.config("ringkeeper.shards", SHARDS);
    }
    let server = settings.start();
    let client = || Client::connect(server.addr()).expect("a session");
    // New connections go to the shard that has the fewest, so these are on all of them.
    let (mut writer, mut readers) = (client(), [(); 2 * SHARDS].map(|()| client()));
    assert_eq!(writer.call(&Request::create("/told", b"", 0)).expect("a reply").err, 0);
    for round in 0..ROUNDS {
        let told = round.to_string().into_bytes();
        assert_eq!(writer.call(&Request::set_data("/told", &told, -1)).expect("a reply").err, 0);
        for reader in &mut readers {
            reader.send(&Request::get_data("/told", false)).expect("the request leaves");
        }
        for (number, reader) in readers.iter_mut().enumerate() {
            match reader.next_reply().expect("a reply").body {
                Body::Data(seen, _) => assert_eq!(seen, Some(told.clone()), "reader {number}, round {round}"),
                other => panic!("reader {number}: {other:?}"),
            }
        }
    }
}

const SHARDS: usize = 3;
const ROUNDS: usize = 3_000;
