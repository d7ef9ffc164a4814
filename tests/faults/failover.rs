use std::time::{Duration, Instant};

use ringkeeper_kit::wire::{Request, create_mode};

use crate::ensemble::Ensemble;
use crate::session::{Connected, Session};

/// Prints how long it takes.
#[test]
fn after_the_leader_was_killed_the_next_write_is_acknowledged_in_the_same_session() {
    let mut ensemble = Ensemble::prepare(3, |settings| settings);
    ensemble.launch(0..3);
    let mut took: Vec<Duration> = (0..ROUNDS).map(|round| fail_over(&mut ensemble, round)).collect();
    took.sort_unstable();
    say(&format!("from kill -9 of the leader to the next acknowledged write: {took:?}"));
}

fn fail_over(ensemble: &mut Ensemble, round: usize) -> Duration {
    let (leader, _) = ensemble.until_all_serve();
    let addrs = ensemble.addrs();
    let others: Vec<usize> = (0..3).filter(|id| *id != leader).collect();
    let mut session = Session::new();
    assert_eq!(session.connect(addrs[others[0]]), Connected::Yes);
    let id = session.id();
    let write = |suffix| Request::create(format!("/round-{round}-{suffix}"), b"", create_mode::PERSISTENT);
    assert_eq!(session.call(&write("before")).map(|reply| reply.err), Some(0));

    let began = Instant::now();
    ensemble.kill(leader);
    let mut target = others.iter().cycle();
    let write = write("after");
    while !session.call(&write).is_some_and(|reply| matches!(reply.err, 0 | NODE_EXISTS)) {
        while session.connect(addrs[*target.next().expect("it goes round")]) == Connected::No {
            assert!(began.elapsed() < GIVEN_UP_AFTER, "no server serves");
        }
    }
    let took = began.elapsed();
    assert_eq!(session.id(), id, "the session was kept");
    ensemble.launch([leader]);
    took
}

#[expect(clippy::print_stderr, reason = "the times are what a run is for")]
fn say(what: &str) {
    eprintln!("{what}");
}

const ROUNDS: usize = 10;
const NODE_EXISTS: i32 = -110;
const GIVEN_UP_AFTER: Duration = Duration::from_secs(60);
