//! Ensembles of real processes that are restarted, killed, stopped in their tracks and cut off from each other.

mod ensemble;
mod failover;
mod load;
mod network;
mod register;
mod restarts;
mod runs;
mod session;
mod wiped;
