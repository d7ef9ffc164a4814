//! A server is killed at any moment and started again: nothing that it acknowledged may be missing.
//!
//! Writers keep up to eight writes in flight each: creates, sequential ones also in a parent that all
//! share, sets, deletes, multis, some of them failing, and ends of sessions. The server is killed
//! (SIGKILL) after a random number of acknowledgements, sometimes once more while it recovers. After the
//! restart each writer attaches its session again and compares its nodes with its own model:
//!
//! * all acknowledged writes are there, with the Stat that was told, times included;
//! * of the writes in flight those up to some point are there wholly, and of the rest nothing;
//! * sequence numbers and zxids go on, and no zxid that any client saw is given out again;
//! * sessions live, with their ephemerals; closed ones are over.
//!
//! `CRASH_SEED` and `CRASH_ROUNDS` choose the writes and how often the server is killed. A seed gives the
//! same writes; the moment of the kill depends on the machine.

mod check;
mod model;
mod writer;

use std::collections::HashSet;
use std::env;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use fastrand::Rng;
use ringkeeper_kit::server::Server;
use ringkeeper_kit::wire::{Client, Request};

use self::check::{Shared, recover};
use self::model::SHARED;
use self::writer::Writer;
use crate::peers::peers;

#[test]
fn what_was_acknowledged_outlives_any_kill() {
    let seed = number("CRASH_SEED").unwrap_or_else(|| fastrand::u64(..));
    let rounds = number("CRASH_ROUNDS").unwrap_or(ROUNDS);
    for peer in peers() {
        // A server whose test panics shows the end of its log.
        let settings = peer.config("maxSessionTimeout", SESSION_TIMEOUT_MS).config("snapCount", SNAP_COUNT);
        let mut server = settings.config("preAllocSize", SEGMENT_KIB).start();
        if let Err(failure) = kill_again_and_again(&mut server, seed, rounds) {
            panic!("CRASH_SEED={seed}: {failure}");
        }
    }
}

fn kill_again_and_again(server: &mut Server, seed: u64, rounds: u64) -> Result<(), String> {
    let mut rng = Rng::with_seed(seed);
    let mut reader = Client::connect(server.addr()).map_err(|error| error.to_string())?;
    reader.call(&Request::create(SHARED, b"", 0)).map_err(|error| error.to_string())?;
    let mut writers: Vec<Writer> = (0..WRITERS)
        .map(|name| Writer::new(name, seed, server.addr()).map_err(|error| error.to_string()))
        .collect::<Result<_, _>>()?;
    let mut shared = Shared::default();
    let mut zxids = HashSet::new();
    for round in 0..rounds {
        write_until_killed(server, &mut writers, rng.usize(..ACKNOWLEDGEMENTS_MAX))
            .map_err(|failure| format!("round {round}, before the kill: {failure}"))?;
        for zxid in writers.iter().flat_map(|writer| &writer.acknowledged) {
            if !zxids.insert(*zxid) {
                return Err(format!("round {round}: zxid {zxid:#x} was acknowledged twice"));
            }
        }
        if rng.u32(..5) == 0 {
            server.launch();
            // Not waited for anything: the moment is to be random.
            thread::sleep(Duration::from_millis(rng.u64(..RECOVERY_MS_MAX)));
            server.kill();
        }
        server.start();
        check_all(server, &mut writers, &mut shared)
            .map_err(|failure| format!("round {round}, after the kill: {failure}"))?;
    }
    Ok(())
}

fn write_until_killed(server: &mut Server, writers: &mut [Writer], acks: usize) -> Result<(), String> {
    let address = server.addr();
    let (sender, receiver) = mpsc::channel();
    thread::scope(|scope| {
        let writing: Vec<_> = writers
            .iter_mut()
            .map(|writer| {
                let sender = sender.clone();
                scope.spawn(move || writer.work(address, &sender))
            })
            .collect();
        drop(sender);
        // Ends early if all writers have given up.
        let acknowledged = receiver.iter().take(acks).count();
        server.kill();
        drop(receiver);
        for writer in writing {
            writer.join().map_err(|_| "a writer panicked".to_string())??;
        }
        if acknowledged < acks {
            return Err(format!("all connections broke after {acknowledged} writes, without a kill"));
        }
        Ok(())
    })
}

fn check_all(server: &Server, writers: &mut [Writer], shared: &mut Shared) -> Result<(), String> {
    let mut reader = Client::connect(server.addr()).map_err(|error| format!("a new session: {error}"))?;
    shared.read(&mut reader, writers)?;
    let zxid_seen = writers.iter().map(|writer| writer.zxid_seen).max().unwrap_or_default();
    for writer in writers {
        recover(writer, server.addr(), shared, zxid_seen)?;
    }
    reader.close().map_err(|error| format!("closing a session: {error}"))?;
    Ok(())
}

fn number(variable: &str) -> Option<u64> {
    let text = env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable}={text}: expected a number")))
}

/// For each layout, so that it is 120 in all.
const ROUNDS: u64 = 60;
/// Sessions must end by a closeSession alone.
const SESSION_TIMEOUT_MS: u32 = 3_600_000;
/// So few that snapshots are being written at most kills.
const SNAP_COUNT: u32 = 50;
/// So little that segments are recycled at many.
const SEGMENT_KIB: u32 = 1024;
const WRITERS: usize = 5;
const ACKNOWLEDGEMENTS_MAX: usize = 300;
const RECOVERY_MS_MAX: u64 = 40;
