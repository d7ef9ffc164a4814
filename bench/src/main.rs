//! Measures ZooKeeper-compatible servers side by side, with the floors they stand on.

mod client;
mod latency;
mod load;
mod process;
mod session;
mod wire;

fn main() {}
