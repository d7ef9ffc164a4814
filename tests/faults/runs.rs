use std::env;
use std::fmt;
use std::thread;
use std::time::{Duration, Instant};

use ringkeeper_kit::server::Settings;
use rustix::process::Signal;

use crate::ensemble::{Ensemble, Serving};
use crate::load::Load;
use crate::network::{Links, Namespaces, Network, in_a_network_of_its_own};

#[test]
fn no_promise_to_clients_is_broken_while_three_servers_fail_in_turn() {
    run(&Links::among(3), 0);
}

#[test]
fn no_promise_to_clients_is_broken_while_five_servers_fail_in_turn() {
    run(&Links::among(5), 1);
}

#[test]
fn no_promise_to_clients_is_broken_while_namespaces_of_the_network_are_cut_off() {
    in_a_network_of_its_own(|| run(&Namespaces::among(3), 2));
}

/// What is done to an ensemble, and undone after a while.
#[derive(Clone, Copy, Debug)]
enum Fault {
    KillLeader,
    KillFollower,
    KillAll,
    /// SIGSTOP, then SIGCONT.
    FreezeLeader,
    FreezeFollower,
    IsolateLeader,
    IsolateFollower,
    /// A follower hears the leader and is not heard, or the reverse.
    Mute,
    Deafen,
    WipeFollower,
    StopLeader,
}

const ALL: [Fault; 11] = [
    Fault::KillLeader,
    Fault::FreezeLeader,
    Fault::IsolateLeader,
    Fault::WipeFollower,
    Fault::Mute,
    Fault::KillAll,
    Fault::FreezeFollower,
    Fault::Deafen,
    Fault::KillFollower,
    Fault::StopLeader,
    Fault::IsolateFollower,
];

/// Faults in turn for `FAULT_SECONDS`, under load: each of them first, then at random from `FAULT_SEED`. Only
/// that which `FAULT` names, if it does.
fn run(network: &impl Network, seed: u64) {
    let lasts = Duration::from_secs(setting("FAULT_SECONDS").unwrap_or(20));
    let seed = setting("FAULT_SEED").unwrap_or(seed);
    let mut random = fastrand::Rng::with_seed(seed);
    let only = env::var("FAULT").ok();
    let faults: Vec<Fault> = ALL
        .into_iter()
        .filter(|fault| only.as_ref().is_none_or(|name| *name == format!("{fault:?}")))
        .collect();
    let servers = network.server_count();
    let mut ensemble = Ensemble::prepare_in(network, brisk);
    ensemble.launch(0..servers);
    let mut leader = ensemble.until_all_serve().leader;
    let mut load = Load::start(ensemble.addrs(), CLIENTS, seed);
    let began = Instant::now();
    for count in 0.. {
        if began.elapsed() > lasts {
            break;
        }
        let fault =
            *faults.get(count).unwrap_or_else(|| random.choice(&faults).expect("FAULT names a fault"));
        let follower = (leader + 1 + random.usize(..servers - 1)) % servers;
        let held = Duration::from_millis(random.u64(100..4000));
        let before = load.operations();
        fault.inflict(&mut ensemble, network, leader, follower);
        thread::sleep(held);
        fault.undo(&mut ensemble, network, leader, follower);
        let Serving { leader: next, took, .. } = ensemble.until_all_serve();
        load.assert_well();
        say(format_args!(
            "{:6.1} s: {fault:?} (leader {leader}, follower {follower}) for {held:?}: all serve {took:?} later, \
             {} operations meanwhile",
            began.elapsed().as_secs_f64(),
            load.operations() - before
        ));
        leader = next;
        thread::sleep(BETWEEN_FAULTS);
    }
    say(format_args!("{}", load.finish()));
}

impl Fault {
    fn inflict(self, ensemble: &mut Ensemble, network: &impl Network, leader: usize, follower: usize) {
        match self {
            Fault::KillLeader => ensemble.kill(leader),
            Fault::KillFollower => ensemble.kill(follower),
            Fault::KillAll => (0..ensemble.len()).for_each(|id| ensemble.kill(id)),
            Fault::StopLeader => ensemble.stop(leader),
            Fault::FreezeLeader => ensemble.signal(leader, Signal::STOP),
            Fault::FreezeFollower => ensemble.signal(follower, Signal::STOP),
            Fault::IsolateLeader => network.isolate(&[leader]),
            Fault::IsolateFollower => network.isolate(&[follower]),
            Fault::Mute => network.cut(follower, leader),
            Fault::Deafen => network.cut(leader, follower),
            Fault::WipeFollower => {
                ensemble.kill(follower);
                ensemble.wipe(follower);
            }
        }
    }

    fn undo(self, ensemble: &mut Ensemble, network: &impl Network, leader: usize, follower: usize) {
        match self {
            Fault::KillLeader | Fault::StopLeader => ensemble.launch([leader]),
            Fault::KillFollower | Fault::WipeFollower => ensemble.launch([follower]),
            Fault::KillAll => ensemble.launch(0..ensemble.len()),
            Fault::FreezeLeader => ensemble.signal(leader, Signal::CONT),
            Fault::FreezeFollower => ensemble.signal(follower, Signal::CONT),
            Fault::IsolateLeader | Fault::IsolateFollower | Fault::Mute | Fault::Deafen => network.heal(),
        }
    }
}

/// Ticks so short that silence is noticed during a run.
fn brisk(settings: Settings) -> Settings {
    settings.config("tickTime", 500).config("syncLimit", 3)
}

fn setting(name: &str) -> Option<u64> {
    env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name}={text} is no number")))
}

#[expect(clippy::print_stderr, reason = "a run of minutes tells how it goes")]
fn say(what: fmt::Arguments<'_>) {
    eprintln!("{what}");
}

const CLIENTS: usize = 8;
const BETWEEN_FAULTS: Duration = Duration::from_millis(300);
