//! One ringkeeper in a process of its own, seen from outside.

mod config;
mod crash;
mod freshness;
mod operator;
mod peers;
mod protocol;
mod settings;
mod snapshots;
mod tools;
