//! Whole ensembles of real processes: ringkeeper and Java servers of several releases, in every role.
//!
//! What takes longer, or has releases that say nothing new, is run with `-- --ignored`.

mod away;
mod certificates;
mod descriptors;
mod digests;
mod hostile;
mod java_logs;
mod large_data;
mod lists;
mod local_sessions;
mod many_observers;
mod mixed;
mod observe;
mod observer_masters;
mod old_peers;
mod oracle;
mod orphaned;
mod read_only;
mod reconfig;
mod replacement;
mod restarts;
mod rollback;
mod sasl;
mod sessions;
mod strangers;
mod takeover;
mod throttle;
mod through_java;
mod tls;
mod wiped;
mod words;
mod work;

use ringkeeper_kit::ensemble::{Ensemble, Kind};

/// An ensemble with the program under test, not started yet.
fn ensemble(voters: &[Kind], observers: &[Kind]) -> Ensemble {
    Ensemble::new(env!("CARGO_BIN_EXE_ringkeeper"), voters, observers)
}
