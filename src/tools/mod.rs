//! Offline tools: what an operator does with data folders while no server has them.
//!
//! All of them read both formats of logs, and snapshots however they are compressed, and trust nothing in
//! them. Only [`repair()`] and [`export()`] write, and they take the folder's lock first.
//!
//! | tool | what it does |
//! |---|---|
//! | [`dump()`] | shows logs and snapshots, as text or one JSON object a line, in bounded memory |
//! | [`verify()`] | says for each file, and for the folder as a whole, whether a server can start from it |
//! | [`compare()`] | tells two states apart |
//! | [`summarise()`] | counts znodes and bytes by subtree |
//! | [`largest()`] | finds the znodes with the most data and the most children |
//! | [`repair()`] | cuts the damaged end of a log, and keeps a copy |
//! | [`export()`] | writes a folder that a Java server goes on from |
//!
//! A *state* is given as a snapshot, or as a folder: then it is what a server would start with, the newest
//! sound snapshot and what the logs hold after it.

mod compare;
mod dump;
mod export;
mod files;
mod largest;
mod logs;
mod repair;
mod show;
mod state;
mod summary;
mod verify;

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::preflight::LockError;
use crate::storage::recovery::RecoverError;

pub use compare::{CompareOptions, compare};
pub use dump::{DumpOptions, Only, dump};
pub use export::{ExportOptions, export};
pub use largest::{LargestOptions, largest};
pub use repair::{RepairOptions, repair};
pub use show::DataShown;
pub use summary::{SummaryOptions, summarise};
pub use verify::verify;

/// How a tool's answer is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// What a tool found: what its exit status says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Finding {
    /// Nothing is wrong, different or left to do.
    None,
    /// Only ends of logs are torn, as a crash leaves them: a start leaves them out by itself.
    Torn,
    /// Something is damaged or different, or should be repaired.
    Some,
}

/// Why a tool could not do its work.
#[derive(Debug, Error)]
#[allow(missing_docs, reason = "the texts say what each is")]
pub enum ToolError {
    #[error("cannot write the answer: {0}")]
    Output(#[source] io::Error),
    #[error("cannot {doing} {}: {source}", path.display())]
    Io { doing: &'static str, path: PathBuf, source: io::Error },
    #[error("{} is neither a log nor a snapshot, by its name or by its content", .0.display())]
    Unknown(PathBuf),
    #[error(
        "{} holds no log and no snapshot. Give dataDir or dataLogDir, its version-2, or a file", .0.display()
    )]
    Empty(PathBuf),
    #[error("{}, {reason}", path.display())]
    Damaged { path: PathBuf, offset: Option<u64>, reason: String },
    #[error(
        "{} is in use by a ringkeeper{}: stop it first", path.display(),
        pid.map(|pid| format!(", process {pid}")).unwrap_or_default()
    )]
    InUse { path: PathBuf, pid: Option<u32> },
    #[error(transparent)]
    Start(RecoverError),
    #[error("{0}")]
    Refused(String),
}

impl ToolError {
    fn io<'a>(doing: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> ToolError + 'a {
        move |source| ToolError::Io { doing, path: path.to_owned(), source }
    }
}

impl From<LockError> for ToolError {
    fn from(error: LockError) -> ToolError {
        match error {
            LockError::Held { path, pid } => ToolError::InUse { path, pid },
            LockError::Unusable { path, source } => ToolError::Io { doing: "lock", path, source },
        }
    }
}
