//! Measures ZooKeeper-compatible servers side by side, with the floors they stand on.
//!
//! | module         | what it is about                                                  |
//! |----------------|-------------------------------------------------------------------|
//! | `side_by_side` | a command: rounds, servers one after the other, the report kept   |
//! | `storage`      | a command: restarts, memory, bytes, snapshots under a paced mix   |
//! | `ensemble`     | a command: three servers of a kind, and a leader that is killed   |
//! | `drive`        | the commands load and compare: any load, on any servers           |
//! | `shows`        | a command: sessions, watches, children in large numbers           |
//! | `ground`       | what commands share: places, programs, the reports' folder        |
//! | `engine`       | the loop under all loads, closed or open, on a `schedule` of when |
//! |                | to ask; `client`, `session` and `wire` below it; what it finds is |
//! |                | a `recording`; `fleet` drives thousands of sessions instead       |
//! | `etcd`         | the same connection with etcd's protocol, for `drive`             |
//! | `load`         | closed loops with what servers used meanwhile                     |
//! | `open_loop`    | an open loop with the same; `mix` chooses the operations          |
//! | `server`       | servers under load, `members` three of them, `large_tree` data    |
//! |                | for them; `floor` is what they are compared with                  |
//! | `process`      | what a server used, `device` what reached the disk; `host` what   |
//! |                | it ran on; `affinity` where                                       |
//! | `summary`      | medians of the rounds; `goals` judges them, `report` shows them   |

mod affinity;
mod client;
mod device;
mod drive;
mod engine;
mod ensemble;
mod etcd;
mod fleet;
mod floor;
mod goals;
mod ground;
mod host;
mod large_tree;
mod latency;
mod load;
mod members;
mod mix;
mod open_loop;
mod paths;
mod process;
mod recording;
mod report;
mod schedule;
mod server;
mod session;
mod shows;
mod side_by_side;
mod storage;
#[cfg(test)]
mod stub;
mod summary;
mod wire;

use std::ffi::OsString;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;
use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(about, version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Measures ZooKeeper, ringkeeper and the floors under the same loads
    SideBySide(Box<side_by_side::Settings>),
    /// Measures what data costs: bytes on the disk, memory, restarts, snapshots under a paced mix
    Storage(Box<storage::Settings>),
    /// Measures ensembles of three: writes, a mix, and how long a killed leader is missed
    Ensemble(Box<ensemble::Settings>),
    /// Runs a load of your choice on any ZooKeeper-compatible servers, or on etcd
    Load(Box<drive::Settings>),
    /// Shows what large numbers do: sessions, watches, children, shards, growing trees
    Shows(Box<shows::Settings>),
    /// Compares two results of `load`: ratios, with the spread of their rounds
    Compare(drive::compare::Settings),
    /// Serves the echo floor; started by the other commands
    #[command(hide = true)]
    EchoFloor { addr: SocketAddr, data_len: usize },
    /// Runs a program that ends with its parent; started by the other commands
    #[command(hide = true)]
    Launch { words: Vec<OsString> },
    /// Measures the disk floor and prints it as JSON; started by the other commands
    #[command(hide = true)]
    DiskFloor { dir: PathBuf, seconds: f64 },
}

fn main() -> Result<()> {
    tracing_subscriber::fmt().with_writer(io::stderr).with_target(false).init();
    match Arguments::parse().command {
        Command::SideBySide(settings) => side_by_side::run(*settings),
        Command::Storage(settings) => storage::run(*settings),
        Command::Ensemble(settings) => ensemble::run(*settings),
        Command::Load(settings) => drive::run(&settings),
        Command::Shows(settings) => shows::run(*settings),
        Command::Compare(settings) => drive::compare::run(&settings),
        Command::EchoFloor { addr, data_len } => floor::echo::serve(addr, data_len),
        Command::Launch { words } => match server::launch(&words)? {},
        Command::DiskFloor { dir, seconds } => {
            let latency = floor::disk::measure(&dir, Duration::from_secs_f64(seconds))?;
            Ok(serde_json::to_writer(io::stdout(), &latency)?)
        }
    }
}
