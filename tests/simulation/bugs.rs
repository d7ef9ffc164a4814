//! Bugs that are put in on purpose, each of which must be caught, and by the checker whose business it is.

use crate::checks::{
    acknowledged, durability, ephemerals, history, leaders, progress, session_order, sync, watches,
};
use crate::deliver::PROTOCOL;
use crate::mischief::Mischief;
use crate::run::{is_loud, play};
use crate::scenarios::{leave_a_leader, serving};
use crate::setup::{Fault, Setup};

/// Runs seeds until one fails: that must be one of `promises` that was broken.
fn is_caught(change: impl Fn(&mut Setup), promises: &[&str]) {
    for seed in 0..SEEDS_MAX {
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut setup = Setup::of(&mut rng);
        change(&mut setup);
        if let Some(failure) = play(setup, rng.u64(..), is_loud(seed)).failure {
            let is_expected = promises.contains(&failure.promise)
                && (failure.promise != NO_PANIC || PANICS.iter().any(|panic| failure.text.contains(panic)));
            assert!(is_expected, "seed {seed} fails otherwise: {failure}");
            return;
        }
    }
    panic!("nobody noticed in {SEEDS_MAX} seeds");
}

fn mischief_is_caught(mischief: Mischief, promises: &[&str]) {
    is_caught(|setup| setup.mischief = mischief, promises);
}

#[test]
fn an_acknowledgement_before_the_disk_has_it() {
    mischief_is_caught(Mischief::AcknowledgeBeforeDurable, &[durability::PROMISE]);
}

#[test]
fn an_epoch_that_is_not_written() {
    mischief_is_caught(Mischief::ForgetEpochs, &[durability::PROMISE, leaders::PROMISE]);
}

#[test]
fn a_log_that_is_not_cut_off() {
    mischief_is_caught(Mischief::SkipTruncate, &[history::PROMISE, durability::PROMISE, NO_PANIC]);
}

#[test]
fn votes_for_whoever_has_less() {
    mischief_is_caught(Mischief::WrongVoteOrder, &[progress::PROMISE]);
}

#[test]
fn a_commit_that_is_lost_when_a_learner_comes_again() {
    mischief_is_caught(Mischief::LoseCommitOnReconnect, &[history::PROMISE, progress::PROMISE, PROTOCOL]);
}

/// Chance would hardly find this: it takes a leader without followers at which nobody writes, for what waits for a
/// quorum holds up all that is asked for behind it.
#[test]
fn a_sync_that_nobody_has_confirmed() {
    for seed in 0..10 {
        let mut world = serving(Setup { confirm_syncs: false, ..Setup::calm(3, 0) }, seed);
        leave_a_leader(&mut world);
        let promise = world.failure.map(|failure| failure.promise);
        assert_eq!(promise, Some(sync::PROMISE), "seed {seed}");
    }
}

#[test]
fn an_event_behind_what_it_tells_of() {
    mischief_is_caught(Mischief::EventAfterData, &[watches::PROMISE]);
}

#[test]
fn an_ephemeral_that_outlives_its_session() {
    mischief_is_caught(
        Mischief::KeepEphemeral,
        // A shard's tree notices where the next node does not get the place that it was given.
        &[session_order::PROMISE, ephemerals::PROMISE, watches::PROMISE, history::PROMISE, NO_PANIC],
    );
}

#[test]
fn a_vote_of_a_server_that_has_lost_its_disk() {
    let lost = |setup: &mut Setup| {
        (setup.mischief, setup.autocreate) = (Mischief::TrustNothing, false);
        setup.faults.extend([Fault::Wipe, Fault::Kill, Fault::Wipe]);
    };
    is_caught(lost, &[acknowledged::PROMISE, history::PROMISE, leaders::PROMISE, durability::PROMISE]);
}

const NO_PANIC: &str = "no machine panics";
/// The only panics that may catch a bug: of a tree that lacks, or has, what others have given a place, and of a
/// log that still has what was to be cut off.
const PANICS: [&str; 2] = ["is not the next free", "in the log"];
const SEEDS_MAX: u64 = 300;
