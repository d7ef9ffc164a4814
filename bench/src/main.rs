//! Measures ZooKeeper-compatible servers side by side, with the floors they stand on.
//!
//! | module         | what it is about                                                  |
//! |----------------|-------------------------------------------------------------------|
//! | `side_by_side` | a command: rounds, servers one after the other, the report kept   |
//! | `storage`      | a command: restarts, memory, bytes, snapshots under a paced mix   |
//! | `ensemble`     | a command: three servers of a kind, and a leader that is killed   |
//! | `ground`       | what commands share: places, programs, the reports' folder        |
//! | `load`         | the closed loop; `client`, `session` and `wire` below it          |
//! | `open_loop`    | the open loop, at a fixed rate; `mix` chooses the operations      |
//! | `server`       | servers under load, `members` three of them, `large_tree` data    |
//! |                | for them; `floor` is what they are compared with                  |
//! | `process`      | what a server used, `device` what reached the disk; `host` what   |
//! |                | it ran on; `affinity` where                                       |
//! | `summary`      | medians of the rounds; `goals` judges them, `report` shows them   |

mod affinity;
mod client;
mod device;
mod ensemble;
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
mod report;
mod server;
mod session;
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
        Command::EchoFloor { addr, data_len } => floor::echo::serve(addr, data_len),
        Command::Launch { words } => match server::launch(&words)? {},
        Command::DiskFloor { dir, seconds } => {
            let latency = floor::disk::measure(&dir, Duration::from_secs_f64(seconds))?;
            Ok(serde_json::to_writer(io::stdout(), &latency)?)
        }
    }
}
