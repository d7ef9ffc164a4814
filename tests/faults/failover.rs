use std::net::SocketAddr;
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
    let leader = ensemble.until_all_serve().leader;
    let addrs = ensemble.addrs();
    let others: Vec<usize> = (0..3).filter(|id| *id != leader).collect();
    let mut session = Session::new();
    let write = |suffix| Request::create(format!("/round-{round}-{suffix}"), b"", create_mode::PERSISTENT);
    until_written(&mut session, &write("before"), &[addrs[others[0]]]);
    let id = session.id();

    let began = Instant::now();
    ensemble.kill(leader);
    until_written(&mut session, &write("after"), &[addrs[others[0]], addrs[others[1]]]);
    let took = began.elapsed();
    assert_eq!(session.id(), id, "the session was kept");
    ensemble.launch([leader]);
    took
}

/// Sends a create until it is answered, where the session is connected or else to these servers in turn.
fn until_written(session: &mut Session, create: &Request, servers: &[SocketAddr]) {
    let (began, mut targets) = (Instant::now(), servers.iter().cycle());
    while !session.call(create).is_some_and(|reply| matches!(reply.err, 0 | NODE_EXISTS)) {
        while session.connect(*targets.next().expect("it goes round")) == Connected::No {
            assert!(began.elapsed() < GIVEN_UP_AFTER, "no server serves");
        }
    }
}

#[expect(clippy::print_stderr, reason = "the times are what a run is for")]
fn say(what: &str) {
    eprintln!("{what}");
}

const ROUNDS: usize = 10;
const NODE_EXISTS: i32 = -110;
const GIVEN_UP_AFTER: Duration = Duration::from_secs(60);
