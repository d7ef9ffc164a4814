use std::thread;
use std::time::Instant;

use super::*;
use crate::paths::Paths;
use crate::stub::{DATA_LEN, stub};
use crate::wire::Request;

/// Reads one znode after the other, as two operations in turn.
struct Reads {
    request: Request,
    asked: u32,
    replies: u32,
}

impl Work for Reads {
    type Link = ZooKeeper;

    fn ask(&mut self, _connection: usize, queue: &mut Queue<'_>) {
        let (request, child) = (&self.request, self.asked % 10);
        let reply_len = Some(request.reply_len());
        queue.last(self.asked as usize % 2, child, reply_len, |xid, out| request.append(xid, child, out));
        self.asked += 1;
    }

    fn replied(&mut self, _connection: usize, tag: u32) {
        assert_eq!(tag, self.replies % 10, "one connection's replies come in order");
        self.replies += 1;
    }
}

fn reads() -> Reads {
    Reads { request: Request::get(&Paths::flat("/stub"), DATA_LEN), asked: 0, replies: 0 }
}

#[test]
fn both_operations_are_recorded_apart_and_second_by_second() {
    // A second of one reply each 10 ms at least, so the first second is over when 201 have come.
    let addr = stub(|batch| {
        thread::sleep(Duration::from_millis(10));
        batch
    });
    let pacing = Pacing::Closed { outstanding: 1 };
    let mut engine = Engine::start(&[addr], 1, pacing, reads(), 2, (Errors::End, 201)).unwrap();
    let seconds_over = std::rc::Rc::new(std::cell::Cell::new(0));
    let count = seconds_over.clone();
    engine.set_on_second(move |second| {
        assert_eq!(second.second, count.get());
        count.set(count.get() + 1);
    });
    engine.record_from(now());
    engine.go_on_until(u64::MAX, 201).unwrap();
    let recording = engine.finish().unwrap();
    let counts = [0, 1].map(|operation| recording.operation(operation).0.summary().unwrap().count);
    assert_eq!(counts, [101, 100]);
    assert!(seconds_over.get() >= 2);
    let seconds = recording.into_seconds();
    assert_eq!(seconds.iter().map(|second| second.counts.iter().sum::<u64>()).sum::<u64>(), 201);
    assert!(seconds.iter().all(|second| second.counts.iter().sum::<u64>() <= 101));
}

#[test]
fn where_errors_are_counted_a_lost_connection_is_opened_anew_at_another_server() {
    // The first server breaks every connection at its third batch; the second one is well.
    let mut left = 3;
    let broken = stub(move |batch| {
        left -= 1;
        if left == 0 { panic!("the end of this connection") } else { batch }
    });
    let well = stub(|batch| batch);
    let pacing = Pacing::Closed { outstanding: 1 };
    let mut work = reads();
    work.replies = 0;
    let mut engine =
        Engine::start(&[broken, well], 1, pacing, Lossy(reads()), 2, (Errors::Count, 500)).unwrap();
    engine.record_from(now());
    let begun = Instant::now();
    engine.go_on_until(u64::MAX, 500).unwrap();
    let recording = engine.finish().unwrap();
    let errors: Vec<u64> =
        [0, 1].iter().flat_map(|&operation| recording.operation(operation).1.values().copied()).collect();
    assert_eq!(errors.iter().sum::<u64>(), 1, "only what was in flight is lost");
    assert!(recording.operation(0).1.keys().all(|code| *code == CONNECTION_LOSS));
    assert_eq!(recording.count(), 499);
    assert!(begun.elapsed() < STALL_MAX);
}

/// Does not count on order over lost connections.
struct Lossy(Reads);

impl Work for Lossy {
    type Link = ZooKeeper;

    fn ask(&mut self, connection: usize, queue: &mut Queue<'_>) {
        self.0.ask(connection, queue);
    }
}

#[test]
fn an_open_loop_counts_from_the_intended_time_however_many_connections_there_are() {
    // Each reply takes 5 ms of the connection's time, and one connection can't do 400 a second: the queue
    // grows, and so do latencies, although each answer is as quick as the first.
    let addr = stub(|batch| {
        thread::sleep(Duration::from_millis(5) * batch.len() as u32);
        batch
    });
    let pacing = Pacing::Open { per_second: 400 };
    let mut engine = Engine::start(&[addr], 1, pacing, reads(), 2, (Errors::End, u64::MAX)).unwrap();
    let from = engine.begins_at();
    engine.record_from(from);
    engine.go_on_until(from + 1_000_000_000, u64::MAX).unwrap();
    let recording = engine.finish().unwrap();
    // 400 requests take 2 s at least, and the last of them was to be sent at the end of the first.
    assert_eq!(recording.count(), 400);
    assert!(recording.all().summary().unwrap().max_us >= 990_000.0);
    assert!(recording.all().summary().unwrap().p50_us >= 490_000.0);
}
