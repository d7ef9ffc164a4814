//! The election port over real sockets, among ringkeepers and with Java servers.

mod java;
mod member;
mod restarts;
