//! The command line of the offline tools.

use std::io::{self, BufWriter, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand, ValueEnum};
use ringkeeper_core::id::{SessionId, Zxid};

use crate::tools::{self, DataShown, Finding, Form, Only, ToolError};

/// What an operator does with data folders while no server has them.
#[derive(Debug, Subcommand)]
pub(super) enum Tool {
    /// Show what is in logs and snapshots, ours or Java's.
    ///
    /// One line for each transaction, session and znode, with the zxids and session ids in hexadecimal and
    /// times in UTC; a multi has a line more for each of its parts. With --json one object a line, whose
    /// `type` is file, transaction, session, znode, digest, last_zxid or end; data that is no text is in
    /// `data_base64` instead of `data`. A znode's cversion is as stored: it counts creations only. Takes
    /// little memory, whatever the size.
    #[command(after_help = STATUS_OF_FILES)]
    Dump {
        #[command(flatten)]
        files: Files,
        #[command(flatten)]
        form: FormArgs,
        /// How much of znodes' data to show: none, short (64 bytes; the default) or full (the default with
        /// --json).
        #[arg(long, value_name = "HOW_MUCH")]
        data: Option<DataArg>,
        /// Of a folder, only these files.
        #[arg(long, value_name = "FILES")]
        only: Option<OnlyArg>,
        /// Of logs, only transactions from this zxid on, in hexadecimal.
        #[arg(long, value_name = "ZXID", value_parser = zxid)]
        from: Option<Zxid>,
        /// Of logs, only transactions up to this zxid, in hexadecimal.
        #[arg(long, value_name = "ZXID", value_parser = zxid)]
        to: Option<Zxid>,
        /// Only what this session did, and its ephemerals; in hexadecimal.
        #[arg(long, value_name = "ID", value_parser = session)]
        session: Option<SessionId>,
        /// Only this znode and those below it.
        #[arg(long, value_name = "ZNODE", value_parser = znode)]
        path: Option<String>,
    },
    /// Check logs and snapshots, and whether a server can start from a folder.
    ///
    /// A line for each file; for one that is damaged, with the offset and what is wrong there. Offsets in a
    /// compressed snapshot are those in what it holds. For a folder, also what a server would start with.
    /// Snapshots are loaded whole, which takes the memory that a server takes.
    #[command(after_help = STATUS_OF_FILES)]
    Verify {
        #[command(flatten)]
        files: Files,
        #[command(flatten)]
        log_dir: LogDir,
        #[command(flatten)]
        form: FormArgs,
    },
    /// Compare two states: snapshots, or what a server would start with on two folders.
    ///
    /// Shows each znode and session that is only on the left (<) or only on the right (>), and what is
    /// different about those on both sides (!); then, by subtree, how many.
    #[command(after_help = "Exit status: 0 no difference, 1 different, 2 trouble.")]
    Compare {
        /// A snapshot, or a folder with its logs in it.
        left: PathBuf,
        /// Another one.
        right: PathBuf,
        #[command(flatten)]
        form: FormArgs,
        #[command(flatten)]
        top: Top,
        /// Leave out znodes whose data and ACL are the same.
        #[arg(long)]
        ignore_stat: bool,
        /// How many that differ to show one by one; 0 is all.
        #[arg(long, value_name = "COUNT", default_value_t = 100)]
        limit: usize,
        /// How many levels of subtrees to show.
        #[arg(long, value_name = "LEVELS", default_value_t = 2)]
        depth: usize,
        /// Show only subtrees whose bytes of data differ by so many, or the znodes as --znodes says.
        #[arg(long, value_name = "BYTES")]
        bytes: Option<u64>,
        /// Show only subtrees whose numbers of znodes differ by so many, or the bytes as --bytes says.
        #[arg(long, value_name = "COUNT")]
        znodes: Option<u64>,
    },
    /// Count znodes, bytes of data and ephemerals by subtree.
    #[command(after_help = "Exit status: 0, or 2 for trouble.")]
    Summary {
        #[command(flatten)]
        state: StateArgs,
        #[command(flatten)]
        top: Top,
        /// How many levels of subtrees to show.
        #[arg(long, value_name = "LEVELS", default_value_t = 2)]
        depth: usize,
        /// How many children of each to show, those with the most bytes; 0 is all.
        #[arg(long, value_name = "COUNT", default_value_t = 20)]
        top_children: usize,
    },
    /// Find the znodes with the most data, and those with the most children.
    #[command(after_help = "Exit status: 0, or 2 for trouble.")]
    Largest {
        #[command(flatten)]
        state: StateArgs,
        #[command(flatten)]
        top: Top,
        /// How many of each.
        #[arg(long, value_name = "COUNT", default_value_t = 20)]
        count: usize,
    },
    /// Cut the torn or damaged end of a folder's logs, ours and Java's, and keep a copy.
    ///
    /// Says what is to be done; does it only with --yes, under the folder's lock, and keeps each file as it
    /// was in `before-repair-<time>` beside it. A start leaves out by itself what a crash has torn: this is for
    /// what a start refuses, and for Java, which refuses some of what its own crashes leave. Afterwards
    /// checks the folder as `verify` does.
    #[command(after_help = "\
Exit status: 0 all is well (again), 1 there is something to repair or damage is left, 2 trouble or refused,
3 only torn ends of logs are left.")]
    Repair {
        #[command(flatten)]
        folder: FolderArgs,
        /// Do it.
        #[arg(long)]
        yes: bool,
        /// Only say what would be done, as without --yes.
        #[arg(long, conflicts_with = "yes")]
        dry_run: bool,
        /// Cut at damage even if sound transactions may follow it, which are then lost: set aside with the
        /// copies.
        #[arg(long)]
        lose_later: bool,
    },
    /// Write a folder from which a Java server goes on, with everything that is in our log.
    ///
    /// For a folder where ringkeeper was killed and not stopped: after a clean stop Java starts from the
    /// folder itself. The new folder gets the newest sound snapshot and Java's log of what came after it, is
    /// read back and compared, and then gets its name. The old one stays as it was; once Java has served from
    /// the new one, do not start ringkeeper on the old one again. To return, start ringkeeper on the folder
    /// that Java served from.
    #[command(after_help = "Exit status: 0, or 2 for trouble: then there is no new folder.")]
    Export {
        #[command(flatten)]
        folder: FolderArgs,
        /// Java's new dataDir, which must have no version-2 yet.
        #[arg(long, value_name = "FOLDER")]
        to: PathBuf,
        /// Java's new dataLogDir, if it is to be another.
        #[arg(long, value_name = "FOLDER")]
        to_log_dir: Option<PathBuf>,
        /// Start from an empty tree if there are only logs of Java's, and no snapshot, as with 3.4.
        #[arg(long)]
        trust_empty: bool,
    },
}

#[derive(Args, Debug)]
pub(super) struct Files {
    /// Logs (wal.*, log.*), snapshots (plain, .gz, .snappy), or folders with them: dataDir, dataLogDir or
    /// version-2.
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
}

#[derive(Args, Debug)]
pub(super) struct FolderArgs {
    /// dataDir, or version-2 in it.
    folder: PathBuf,
    #[command(flatten)]
    log_dir: LogDir,
}

#[derive(Args, Debug)]
pub(super) struct StateArgs {
    /// A snapshot, or dataDir or version-2 in it: then what a server would start with.
    path: PathBuf,
    #[command(flatten)]
    log_dir: LogDir,
    #[command(flatten)]
    form: FormArgs,
}

#[derive(Args, Debug)]
pub(super) struct LogDir {
    /// dataLogDir, if it is not dataDir.
    #[arg(long, value_name = "FOLDER")]
    log_dir: Option<PathBuf>,
}

#[derive(Args, Debug)]
pub(super) struct Top {
    /// Only this znode and those below it.
    #[arg(long = "path", value_name = "ZNODE", default_value = "/", value_parser = znode)]
    znode: String,
}

#[derive(Args, Debug)]
pub(super) struct FormArgs {
    /// One JSON object a line.
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum DataArg {
    None,
    Short,
    Full,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum OnlyArg {
    Logs,
    Snapshots,
}

/// Runs a tool, and says how it ended.
pub(super) fn run(tool: Tool) -> ExitCode {
    let mut out = BufWriter::with_capacity(OUT_LEN, io::stdout().lock());
    let done = run_into(tool, &mut out).and_then(|finding| {
        out.flush().map_err(ToolError::Output)?;
        Ok(finding)
    });
    match done {
        Ok(Finding::None) => ExitCode::SUCCESS,
        Ok(Finding::Some) => ExitCode::from(SOME),
        Ok(Finding::Torn) => ExitCode::from(ONLY_TORN),
        // That nobody reads it to its end is no failure.
        Err(ToolError::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            // What was found up to here is worth having; nobody is left to tell if stderr is gone.
            let _ = out.flush();
            let _ = writeln!(io::stderr(), "ringkeeper: {error}");
            ExitCode::from(TROUBLE)
        }
    }
}

fn run_into(tool: Tool, out: &mut dyn Write) -> Result<Finding, ToolError> {
    match tool {
        Tool::Dump { files, form, data, only, from, to, session, path } => {
            let form = form.form();
            let data = match (data, form) {
                (Some(DataArg::None), _) => DataShown::None,
                (Some(DataArg::Short), _) | (None, Form::Text) => DataShown::Short,
                (Some(DataArg::Full), _) | (None, Form::Json) => DataShown::Full,
            };
            let only = only.map(|only| match only {
                OnlyArg::Logs => Only::Logs,
                OnlyArg::Snapshots => Only::Snapshots,
            });
            let options = tools::DumpOptions { form, data, only, from, to, session, path };
            tools::dump(&files.paths, &options, out)
        }
        Tool::Verify { files, log_dir, form } => {
            tools::verify(&files.paths, log_dir.log_dir.as_deref(), form.form(), out)
        }
        Tool::Compare { left, right, form, top, ignore_stat, limit, depth, bytes, znodes } => {
            let unless_other = |other: Option<u64>| if other.is_some() { u64::MAX } else { 0 };
            let options = tools::CompareOptions {
                form: form.form(),
                path: top.znode,
                stat: !ignore_stat,
                limit: unlimited_if_zero(limit),
                depth,
                bytes: bytes.unwrap_or(unless_other(znodes)),
                znodes: znodes.unwrap_or(unless_other(bytes)),
            };
            tools::compare(&left, &right, &options, out)
        }
        Tool::Summary { state, top, depth, top_children } => {
            let options = tools::SummaryOptions {
                form: state.form.form(),
                log_dir: state.log_dir.log_dir,
                path: top.znode,
                depth,
                top: unlimited_if_zero(top_children),
            };
            tools::summarise(&state.path, &options, out).map(|()| Finding::None)
        }
        Tool::Largest { state, top, count } => {
            let form = state.form.form();
            let options =
                tools::LargestOptions { form, log_dir: state.log_dir.log_dir, path: top.znode, count };
            tools::largest(&state.path, &options, out).map(|()| Finding::None)
        }
        Tool::Repair { folder, yes, dry_run: _, lose_later } => {
            let options = tools::RepairOptions { log_dir: folder.log_dir.log_dir, go_ahead: yes, lose_later };
            tools::repair(&folder.folder, &options, out)
        }
        Tool::Export { folder, to, to_log_dir, trust_empty } => {
            let options =
                tools::ExportOptions { log_dir: folder.log_dir.log_dir, to, to_log: to_log_dir, trust_empty };
            tools::export(&folder.folder, &options, out).map(|()| Finding::None)
        }
    }
}

impl FormArgs {
    fn form(&self) -> Form {
        if self.json { Form::Json } else { Form::Text }
    }
}

fn unlimited_if_zero(count: usize) -> usize {
    if count == 0 { usize::MAX } else { count }
}

fn zxid(text: &str) -> Result<Zxid, String> {
    hexadecimal(text).map(Zxid)
}

fn session(text: &str) -> Result<SessionId, String> {
    hexadecimal(text).map(SessionId)
}

fn hexadecimal(text: &str) -> Result<i64, String> {
    let digits = text.strip_prefix("0x").unwrap_or(text);
    u64::from_str_radix(digits, 16).map(|number| number as i64).map_err(|_| "is not hexadecimal".into())
}

/// A path as the tree knows it: no slash at its end.
fn znode(text: &str) -> Result<String, String> {
    match text.strip_suffix('/').unwrap_or(text) {
        "" if text == "/" => Ok("/".into()),
        path if path.starts_with('/') => Ok(path.into()),
        _ => Err("does not begin with /".into()),
    }
}

/// Something is damaged, different or to be done.
const SOME: u8 = 1;
/// The tool could not do its work.
const TROUBLE: u8 = 2;
/// Nothing but what a crash leaves.
const ONLY_TORN: u8 = 3;
const OUT_LEN: usize = 64 << 10;

const STATUS_OF_FILES: &str = "\
Exit status: 0 all is sound, 1 something is damaged, 2 trouble, 3 only ends of logs are torn, as a crash leaves
them: nobody was told of what was being written there, and a start leaves it out.";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_hexadecimal_with_or_without_a_prefix() {
        assert_eq!(zxid("0x10"), Ok(Zxid(16)));
        assert_eq!(session("ffffffffffffffff"), Ok(SessionId(-1)));
        assert!(zxid("").is_err() && zxid("0x").is_err() && zxid("xyz").is_err());
    }

    #[test]
    fn paths_begin_with_a_slash_and_do_not_end_with_one() {
        assert_eq!(znode("/").as_deref(), Ok("/"));
        assert_eq!(znode("/a/").as_deref(), Ok("/a"));
        assert!(znode("a").is_err() && znode("").is_err());
    }
}
