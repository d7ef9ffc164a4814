//! What the simulator of whole ensembles (`tests/simulation`) does not look at.

mod observers;
mod read_only;
mod reconfigs;
mod sent_away;
mod server;
mod turns;
