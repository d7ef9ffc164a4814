//! `storage`: what data costs, server beside server: bytes on the disk for each write, memory for each
//! znode, the time a restart takes, and what snapshots do to everybody else.
//!
//! | module      | what it is about                                             |
//! |-------------|--------------------------------------------------------------|
//! | `images`    | data folders to restart from: after a stop, after a kill     |
//! | `restarts`  | how long restarts take, and how much memory the servers need |
//! | `footprint` | what reaches the disk for each write                         |
//! | `mixed`     | a mix at a fixed rate, with and without snapshots            |
//! | `goals`     | judges it; `report` shows it                                 |

mod footprint;
mod goals;
mod images;
mod mixed;
mod report;
mod restarts;

use std::fmt;
use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::builder::ArgPredicate;
use clap::{Args, ValueEnum};
use serde::Serialize;
use tracing::info;

use crate::affinity::Cpus;
use crate::goals::Goal;
use crate::ground::{self, Ground};
use crate::host::{self, Host};
use crate::paths::Paths;
use crate::server::{Folder, Programs, Server, Subject};
use crate::side_by_side::seconds;

/// What the operator can choose.
#[derive(Args, Clone, Debug, Serialize)]
pub(crate) struct Settings {
    /// Small and short, to try the command itself: its figures mean nothing
    #[arg(long)]
    pub(crate) quick: bool,
    /// What to measure
    #[arg(long, value_delimiter = ',', default_values_t = [Part::Bytes, Part::Restart, Part::Mixed])]
    pub(crate) parts: Vec<Part>,
    /// Servers to measure
    #[arg(long, value_delimiter = ',', default_values_t = [Subject::Java, Subject::Ringkeeper])]
    pub(crate) subjects: Vec<Subject>,
    /// Znodes in the trees that are restarted; the mix runs on the first
    #[arg(
        long,
        value_delimiter = ',',
        num_args = 1..,
        default_values_t = ZNODES,
        default_values_if_quick = true
    )]
    pub(crate) znodes: Vec<u32>,
}
