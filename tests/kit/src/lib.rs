//! What the tests share.
//!
//! Servers to start, all with one handle, [`server::Server`]: [`java::server`] for the real ZooKeeper that
//! `tests/setup` fetches, [`ringkeeper::server`] for the program under test; several that know each other are an
//! [`ensemble::Ensemble`]. A client to ask them with:
//! [`wire`].

pub mod deps;
pub mod ensemble;
pub mod java;
pub mod ports;
pub mod ringkeeper;
pub mod server;
pub mod wire;
