use std::io::{self, Write as _};
use std::time::{Duration, Instant};

use crate::ensemble::Ensemble;

#[test]
fn three_servers_serve_again_whatever_the_order_of_their_restart() {
    restart_in_all_orders(3);
}

#[test]
fn five_servers_serve_again_whatever_the_order_of_their_restart() {
    restart_in_all_orders(5);
}

#[test]
fn eleven_servers_serve_again_whatever_the_order_of_their_restart() {
    restart_in_all_orders(11);
}

fn restart_in_all_orders(count: usize) {
    let mut ensemble = Ensemble::prepare(count, |settings| settings);
    ensemble.launch(0..count);
    say(count, "first start", "ascending", ensemble.until_all_serve().took);
    for (name, order) in orders(count) {
        one_at_a_time(&mut ensemble, name, &order);
        all_together(&mut ensemble, name, &order);
    }
}

/// Each server is stopped and started, and serves, before the next one is. Only the leader's restart moves the
/// ensemble to another epoch.
fn one_at_a_time(ensemble: &mut Ensemble, name: &str, order: &[usize]) {
    let began = Instant::now();
    let mut slowest = Duration::ZERO;
    for id in order {
        let before = ensemble.until_all_serve();
        ensemble.stop(*id);
        ensemble.launch([*id]);
        let after = ensemble.until_all_serve();
        slowest = slowest.max(after.took);
        if *id != before.leader {
            let said = format!("server {id} did not lead, and its restart");
            assert_eq!(after.leader, before.leader, "{said} made another one lead");
            assert_eq!(after.epoch, before.epoch, "{said} began an epoch");
        }
    }
    say(ensemble.len(), "one at a time", name, began.elapsed());
    say(ensemble.len(), "slowest of them", name, slowest);
}

fn all_together(ensemble: &mut Ensemble, name: &str, order: &[usize]) {
    order.iter().for_each(|id| ensemble.stop(*id));
    ensemble.launch(order.iter().copied());
    say(ensemble.len(), "all together", name, ensemble.until_all_serve().took);
}

fn orders(count: usize) -> [(&'static str, Vec<usize>); 4] {
    let mut random: Vec<usize> = (0..count).collect();
    fastrand::Rng::with_seed(count as u64).shuffle(&mut random);
    [
        ("ascending", (0..count).collect()),
        ("descending", (0..count).rev().collect()),
        ("smallest last", (1..count).chain([0]).collect()),
        ("random", random),
    ]
}

/// Past the test's captured output: the times are what a run is for.
fn say(count: usize, how: &str, order: &str, took: Duration) {
    let line = format!("{count} servers, {how}, {order}: {:.2} s\n", took.as_secs_f64());
    io::stderr().write_all(line.as_bytes()).expect("stderr is open");
}
