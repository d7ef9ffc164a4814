//! Measures ZooKeeper-compatible servers side by side, with the floors they stand on.

fn main() {}
