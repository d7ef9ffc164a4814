//! Whole ensembles of real processes: ringkeeper and Java servers of several releases, in every role.
//!
//! `ENSEMBLE_TESTS=all` adds what takes longer: the same with older releases.

mod away;
mod local_sessions;
mod mixed;
mod observe;
mod observer_masters;
mod read_only;
mod reconfig;
mod replacement;
mod words;
mod work;

use ringkeeper_kit::ensemble::{Ensemble, Kind};

/// An ensemble with the program under test, not started yet.
fn ensemble(voters: &[Kind], observers: &[Kind]) -> Ensemble {
    Ensemble::new(env!("CARGO_BIN_EXE_ringkeeper"), voters, observers)
}

/// Whether the long tests are wanted.
fn all_wanted() -> bool {
    std::env::var("ENSEMBLE_TESTS").is_ok_and(|wanted| wanted == "all")
}
