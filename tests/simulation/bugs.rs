//! Bugs that are put in on purpose, each of which must be caught, and by the checker whose business it is.

use crate::checks::{durability, ephemerals, history, leaders, progress, session_order, watches};
use crate::deliver::PROTOCOL;
use crate::mischief::Mischief;
use crate::run::{is_loud, play};
use crate::setup::Setup;

/// Runs seeds until one fails: that must be one of `promises` that was broken.
fn is_caught(change: impl Fn(&mut Setup), promises: &[&str]) {
    for seed in 0..SEEDS_MAX {
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut setup = Setup::of(&mut rng);
        change(&mut setup);
        if let Some(failure) = play(setup, rng.u64(..), is_loud(seed)).failure {
            assert!(promises.contains(&failure.promise), "seed {seed} fails otherwise: {failure}");
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
    mischief_is_caught(Mischief::SkipTruncate, &[history::PROMISE, NO_PANIC]);
}

#[test]
fn votes_for_whoever_has_less() {
    mischief_is_caught(Mischief::WrongVoteOrder, &[progress::PROMISE]);
}

#[test]
fn a_commit_that_is_lost_when_a_learner_comes_again() {
    mischief_is_caught(Mischief::LoseCommitOnReconnect, &[history::PROMISE, progress::PROMISE, PROTOCOL]);
}

#[test]
fn an_event_behind_what_it_tells_of() {
    mischief_is_caught(Mischief::EventAfterData, &[watches::PROMISE]);
}

#[test]
fn an_ephemeral_that_outlives_its_session() {
    mischief_is_caught(
        Mischief::KeepEphemeral,
        &[session_order::PROMISE, ephemerals::PROMISE, watches::PROMISE],
    );
}

const NO_PANIC: &str = "no machine panics";
const SEEDS_MAX: u64 = 300;
