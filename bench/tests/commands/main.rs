//! The bench's commands, as their user runs them: each whole, and small.

mod command;
mod ensemble;
mod etcd;
mod load;
mod scenarios;
mod shows;
mod storage;
