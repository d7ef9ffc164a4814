//! Whole ensembles in memory, from a seed.
//!
//! ```text
//!   clients --- network --- [ shards | seat: member, zab, prep | election | log, snapshots ] x 3 to 7
//!                 delay, breaks,                real machines                 torn, slow, full,
//!                 partitions                   clocks that drift               lost disks
//! ```
//!
//! Each server is made of the machines that production runs; what stands in for the glommio drivers only moves
//! things. [`checks`] has one checker for each promise. The same seed twice tells the same story.
//!
//! ```sh
//! SIM_SEED=7 cargo test --test simulation one_seed -- --ignored --nocapture               # one seed, with all that happens
//! SIM_SEEDS=0.. cargo test --release --test simulation forever -- --ignored --nocapture   # until one fails
//! # The same for ensembles whose servers change: one_reconfigured_seed, reconfigured_forever.
//! ```

mod bugs;
mod checks;
mod client;
mod deliver;
mod disk;
mod faults;
mod mischief;
mod network;
mod roles;
mod run;
mod scenarios;
mod server;
mod setup;
mod shards;
mod trace;
mod world;

use std::ops::Range;

use checks::Counts;
use run::{Story, tell, tell_all};
use setup::Setup;

/// What each run of the tests tries.
const SEEDS: u64 = 2000;
const RECONFIG_SEEDS: u64 = 300;

#[test]
fn every_promise_is_kept_whatever_goes_wrong() {
    let counts = tell_all(0..SEEDS);
    let Counts { writes, reads, syncs, events, sessions_lost, moves, read_only, upgrades, disks, .. } =
        counts;
    let few = [writes, reads, syncs, events, sessions_lost, moves, read_only, upgrades, disks];
    assert!(few.into_iter().all(|count| count > SEEDS / 4), "too little was put to the test: {counts:?}");
}

/// Server 2 was elected, lost its disk, and was back before the others had noticed.
#[test]
fn who_lost_its_disk_does_not_lead_by_votes_from_before() {
    assert_eq!(tell(18_645, false).failure, None);
}

#[test]
#[ignore = "tells all that happens in SIM_SEED"]
fn one_seed() {
    let seed = std::env::var("SIM_SEED").ok().and_then(|seed| seed.parse().ok());
    let story = tell(seed.expect("SIM_SEED is a number"), true);
    println!("{story:?}");
    assert_eq!(story.failure, None);
}

#[test]
#[ignore = "runs until a seed fails, or to the end of SIM_SEEDS=from..to"]
fn forever() {
    tell_all(seeds());
}

/// The seeds of SIM_SEEDS.
fn seeds() -> Range<u64> {
    let text = std::env::var("SIM_SEEDS").unwrap_or_else(|_| "0..".to_owned());
    let (from, to) = text.split_once("..").expect("SIM_SEEDS=from..to, or from..");
    let from = from.parse().expect("SIM_SEEDS begins with a number");
    from..to.parse().unwrap_or(u64::MAX)
}

#[test]
fn the_same_seed_tells_the_same_story() {
    let sum = |seed| tell(seed, false).sum;
    assert_eq!(sum(7), sum(7));
    assert_ne!(sum(7), sum(8));
}

#[test]
fn without_faults_everything_is_acknowledged_and_nobody_leaves() {
    for seed in 0..5 {
        let Story { failure, counts, epochs, .. } = run::play(Setup::calm(3, 1), seed, false);
        assert_eq!(failure, None, "seed {seed}");
        assert_eq!(epochs, 1, "seed {seed}: nobody had a reason to leave");
        assert!(
            counts.writes > 100 && counts.syncs > 30 && counts.events > 10 && counts.sessions_lost == 0,
            "seed {seed}: {counts:?}"
        );
    }
}

#[test]
fn one_voter_is_its_own_quorum() {
    for seed in 0..50 {
        let mut rng = fastrand::Rng::with_seed(seed);
        let setup = Setup { voters: 1, observers: 1, groups: &[], ..Setup::of(&mut rng) };
        assert_eq!(run::play(setup, seed, run::is_loud(seed)).failure, None, "seed {seed}");
    }
}

#[test]
fn epochs_that_are_numbered_out_go_over_into_the_next_without_a_loss() {
    for seed in 0..10 {
        let Story { failure, counts, epochs, .. } =
            run::play(Setup { rollover_at: 100, ..Setup::calm(3, 0) }, seed, false);
        assert_eq!(failure, None, "seed {seed}");
        assert!(epochs > 2, "seed {seed}: {epochs} epochs");
        assert_eq!(counts.sessions_lost, 0, "seed {seed}");
    }
}

#[test]
fn servers_come_go_and_change_their_roles() {
    for seed in 0..20 {
        let setup = Setup::calm(3, 2).reconfigurable();
        let Story { failure, memberships, .. } = run::play(setup, seed, run::is_loud(seed));
        assert_eq!(failure, None, "seed {seed}");
        assert!(memberships > 3, "seed {seed}: only {memberships} configurations were agreed on");
    }
}

#[test]
fn whatever_goes_wrong_during_reconfigs_everybody_agrees_on_who_decides() {
    run::play_all(0..RECONFIG_SEEDS, "one_reconfigured_seed", reconfigured);
}

/// Followers that did not vote yet, and whose votes a reconfig under way needed, had more of the history than any server
/// that might lead: of one, two or three voters, with one to four others.
#[test]
fn who_may_not_lead_gets_no_further_than_those_who_may() {
    for seed in [10_093, 28_252, 37_171, 1_035_352] {
        assert_eq!(tell_reconfigured(seed, false).failure, None, "seed {seed}");
    }
}

/// A server that the proposal named, and the activated configuration did not, told nobody where it was. Those with larger
/// ids, who had to call it back, did not know the proposal.
#[test]
fn whom_only_a_proposal_names_is_called_back() {
    assert_eq!(tell_reconfigured(1_005_276, false).failure, None);
}

/// The log had a reconfig before the disk had the first configuration. When others told of that, the reconfig was
/// forgotten, and yet committed with the log. In the second, what was not published yet was forgotten so.
#[test]
fn what_the_log_proposes_is_not_forgotten_for_a_configuration_that_others_tell() {
    for seed in [8625, 3_011_416] {
        assert_eq!(tell_reconfigured(seed, false).failure, None, "seed {seed}");
    }
}

/// When everything was compared in the end, a leader had ordered the end of a session that nobody had logged yet.
#[test]
fn what_is_under_way_in_the_end_is_waited_for() {
    for seed in [27_481, 107_320] {
        assert_eq!(tell_reconfigured(seed, false).failure, None, "seed {seed}");
    }
}

#[test]
#[ignore = "runs until a seed fails, or to the end of SIM_SEEDS=from..to"]
fn reconfigured_forever() {
    run::play_all(seeds(), "one_reconfigured_seed", reconfigured);
}

#[test]
#[ignore = "tells all that happens in SIM_SEED"]
fn one_reconfigured_seed() {
    let seed = std::env::var("SIM_SEED").ok().and_then(|seed| seed.parse().ok());
    let story = tell_reconfigured(seed.expect("SIM_SEED is a number"), true);
    println!("{story:?}");
    assert_eq!(story.failure, None);
}

/// What comes of a seed with an ensemble that is reconfigured.
fn tell_reconfigured(seed: u64, is_loud: bool) -> Story {
    let mut rng = fastrand::Rng::with_seed(seed);
    let setup = reconfigured(&mut rng);
    run::play(setup, rng.u64(..), is_loud)
}

/// What a seed makes of an ensemble that is reconfigured.
fn reconfigured(rng: &mut fastrand::Rng) -> Setup {
    Setup { voters: 3, observers: 2, ..Setup::of(rng) }.reconfigurable()
}
