//! What loads on etcd measure, told by servers with known delays.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use super::messages::Read;
use super::stub::{DATA_LEN, stub};
use super::{Client, Expected, Request};
use crate::engine::{Engine, Errors, Pacing, Queue, Work};
use crate::recording::Recording;

/// Reads one key after the other.
#[derive(Default)]
struct Reads {
    asked: u32,
    answered: BTreeSet<u32>,
}

impl Work for Reads {
    type Link = Client;

    fn ask(&mut self, _connection: usize, queue: &mut Queue<'_, Client>) {
        let request = Request::get(&format!("/{}", self.asked), Read::Serializable);
        queue.call(0, self.asked, Expected::Value(DATA_LEN), request);
        self.asked += 1;
    }

    fn replied(&mut self, _connection: usize, tag: u32) {
        assert!(
            tag < self.asked && self.answered.insert(tag),
            "{tag} was answered twice, or never asked for"
        );
    }
}

/// Asks so often on one connection, and records all of it.
fn run(addrs: &[SocketAddr], pacing: Pacing, asks: u64, errors: Errors) -> Recording {
    let mut engine = Engine::start(addrs, 1, pacing, Reads::default(), 1, (errors, asks)).unwrap();
    engine.record_from(engine.begins_at());
    engine.go_on_until(u64::MAX, asks).unwrap();
    engine.finish().unwrap()
}

#[test]
fn a_delay_of_every_answer_is_in_every_latency() {
    const DELAY: Duration = Duration::from_millis(3);
    let addr = stub(100, |calls| {
        thread::sleep(DELAY);
        calls
    });
    let recording = run(&[addr], Pacing::Closed { outstanding: 2 }, 100, Errors::End);
    let latency = recording.operation(0).0.summary().unwrap();
    assert_eq!(latency.count, 100);
    // Only the first may have been on its way when recording began.
    assert!(latency.mean_us * 100.0 >= 0.999 * 98.0 * DELAY.as_secs_f64() * 1e6, "{latency:?}");
}

#[test]
fn an_open_loop_counts_from_the_intended_time() {
    // Each answer takes 5 ms, and nobody can do 400 a second: the queue grows, and so do latencies, although each
    // answer is as quick as the first.
    let addr = stub(100, |calls| {
        thread::sleep(Duration::from_millis(5) * calls.len() as u32);
        calls
    });
    let pacing = Pacing::Open { per_second: 400 };
    let mut engine = Engine::start(&[addr], 1, pacing, Reads::default(), 1, (Errors::End, u64::MAX)).unwrap();
    let from = engine.begins_at();
    engine.record_from(from);
    engine.go_on_until(from + 1_000_000_000, u64::MAX).unwrap();
    let latency = engine.finish().unwrap().all().summary().unwrap();
    // 400 answers take 2 s at least, and the last of the requests was to be sent at the end of the first.
    assert_eq!(latency.count, 400);
    assert!(latency.max_us >= 990_000.0 && latency.p50_us >= 490_000.0, "{latency:?}");
}

#[test]
fn answers_in_any_order_and_more_calls_than_a_server_takes_at_once_find_their_requests() {
    const AT_ONCE: usize = 3;
    let waiting = Arc::new(Mutex::new(Vec::new()));
    let addr = stub(AT_ONCE as u32, move |calls| {
        let mut waiting = waiting.lock().unwrap();
        waiting.extend(calls);
        assert!(waiting.len() <= AT_ONCE, "{} calls at once", waiting.len());
        // Answers only when all of them are there, so a loop that sent less would stall.
        if waiting.len() < AT_ONCE {
            return Vec::new();
        }
        waiting.drain(..).rev().collect()
    });
    let recording = run(&[addr], Pacing::Closed { outstanding: 9 }, 300, Errors::End);
    assert_eq!(recording.count(), 300);
}

#[test]
fn a_lost_connection_is_opened_anew_at_another_server() {
    let mut left = 3;
    let broken = stub(100, move |calls| {
        left -= 1;
        if left == 0 { panic!("the end of this connection") } else { calls }
    });
    let well = stub(100, |calls| calls);
    let recording = run(&[broken, well], Pacing::Closed { outstanding: 1 }, 200, Errors::Count);
    assert_eq!(
        recording.operation(0).1.values().copied().collect::<Vec<u64>>(),
        [1],
        "only what was in flight"
    );
    assert!(recording.operation(0).1.contains_key(&-4));
    assert_eq!(recording.count(), 199);
}
