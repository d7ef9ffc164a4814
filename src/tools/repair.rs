//! Cuts damaged ends off logs, and keeps what they were.
//!
//! What a crash leaves needs no repair: every start leaves it out. This is for what a start refuses, and for
//! Java, which refuses some of what its own crashes leave.
//!
//! | found | what is done |
//! |---|---|
//! | Java's log, torn or with a damaged last entry | the file is cut behind its last sound entry |
//! | Java's log without so much as a header | the file is set aside |
//! | our log, torn or with a damaged last batch | zeros from the first byte of that batch on |
//! | damage that sound transactions may follow | refused, unless they may be lost; then they are set aside |
//!
//! Before anything is changed, each file is copied, whole, to `before-repair-<time>` in its folder. A crash
//! during the repair leaves the copies, and a log that is damaged as before or repaired in part: running it
//! again goes on from there.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use ringkeeper_core::format::wal::BLOCK_LEN;
use ringkeeper_core::id::Zxid;

use super::files::{self, DataFile, Kind};
use super::logs::{self, Ending, LogReport};
use super::show::{Shown, Utc};
use super::{Finding, Form, ToolError, state, verify::verify};
use crate::preflight::lock::lock;

/// What may be done.
#[derive(Clone, Debug)]
pub struct RepairOptions {
    /// Where the logs are, if not with the snapshots.
    pub log_dir: Option<PathBuf>,
    /// Whether to do it, or only to say what would be done.
    pub go_ahead: bool,
    /// Whether transactions that follow damage may be lost.
    pub lose_later: bool,
}

/// Says what is to be repaired in a folder's logs and, if asked to, repairs it, under the folder's lock.
/// Afterwards says whether a server starts.
///
/// # Errors
///
/// If a server has the folder, sound transactions may follow the damage and must not be lost, or a file cannot
/// be read or written.
pub fn repair(path: &Path, options: &RepairOptions, out: &mut dyn Write) -> Result<Finding, ToolError> {
    if !path.is_dir() {
        return Err(ToolError::Refused(format!(
            "{} is no folder: what may be cut from a log depends on the files beside it",
            path.display()
        )));
    }
    let (snapshots, log_dir) =
        (files::folder(path), files::folder(options.log_dir.as_deref().unwrap_or(path)));
    let _locks = match options.go_ahead {
        true => lock_all(&[&log_dir, &snapshots])?,
        false => Vec::new(),
    };
    let plan = plan(&log_dir, &snapshots, options.lose_later)?;
    for step in &plan {
        writeln!(out, "{}", step.text(options.go_ahead)).map_err(ToolError::Output)?;
    }
    if plan.is_empty() {
        writeln!(out, "nothing to repair in the logs of {}", log_dir.display()).map_err(ToolError::Output)?;
    } else if !options.go_ahead {
        writeln!(out, "nothing has been changed; --yes does it").map_err(ToolError::Output)?;
        return Ok(Finding::Some);
    } else {
        let aside = perform(&plan, &log_dir)?;
        writeln!(out, "what was there before is kept in {}", aside.display()).map_err(ToolError::Output)?;
    }
    verify(&[path], options.log_dir.as_deref(), Form::Text, out)
}

/// Takes folders for this process, each once.
pub(super) fn lock_all(folders: &[&Path]) -> Result<Vec<File>, ToolError> {
    let mut canonical = Vec::new();
    for folder in folders {
        canonical.push(folder.canonicalize().map_err(ToolError::io("open", folder))?);
    }
    canonical.sort();
    canonical.dedup();
    canonical.iter().map(|folder| Ok(lock(folder)?)).collect()
}

/// Something to do to a file.
#[derive(Debug, PartialEq, Eq)]
struct Step {
    path: PathBuf,
    act: Act,
    why: String,
}

#[derive(Debug, PartialEq, Eq)]
enum Act {
    /// Make the file so long.
    Cut { len: u64 },
    /// Write zeros.
    Zero { from: u64, to: u64 },
    /// Move the file to the copies.
    SetAside,
}

impl Step {
    fn text(&self, done: bool) -> String {
        let Step { path, act, why } = self;
        let path = path.to_string_lossy();
        let would = if done { "" } else { "would be " };
        match act {
            Act::Cut { len } => format!("{}: {would}cut to {len} bytes: {why}", Shown(&path)),
            Act::Zero { from, to } => {
                format!("{}: {would}zeroed from offset {from} ({from:#x}) to {to}: {why}", Shown(&path))
            }
            Act::SetAside => format!("{}: {would}set aside: {why}", Shown(&path)),
        }
    }
}

fn plan(log_dir: &Path, snapshots: &Path, lose_later: bool) -> Result<Vec<Step>, ToolError> {
    let found = files::list(log_dir)?;
    let reports: Vec<(&DataFile, LogReport)> =
        logs::read(&found, &mut |_| Ok(()))?.into_iter().map(|(at, report)| (&found[at], report)).collect();
    if reports.iter().all(|(_, report)| report.ending == Ending::Whole) {
        return Ok(Vec::new());
    }
    let (java, ours): (Vec<_>, Vec<_>) =
        reports.into_iter().partition(|(file, _)| file.kind == Kind::JavaLog);
    // Files that no start reads, because a snapshot covers them, can only be made worse.
    let needed_from = state::load_base(snapshots)?.tree.last_zxid();
    let start = java.iter().rposition(|(file, _)| file.zxid <= Some(needed_from)).unwrap_or(0);
    let mut steps = plan_java(&java[start..], lose_later)?;
    steps.extend(plan_ours(&ours, lose_later)?);
    Ok(steps)
}

fn plan_java(files: &[(&DataFile, LogReport)], lose_later: bool) -> Result<Vec<Step>, ToolError> {
    let mut steps = Vec::new();
    for (at, (file, report)) in files.iter().enumerate() {
        let step = |act, why: &str| Step { path: file.path.clone(), act, why: why.into() };
        let next = files[at + 1..].iter().find_map(|(_, report)| report.zxids.map(|(first, _)| first));
        match &report.ending {
            Ending::Whole => {}
            Ending::Torn { offset: 0, .. } => steps.push(step(Act::SetAside, "it is empty")),
            Ending::Torn { offset, .. } => steps.push(step(Act::Cut { len: *offset }, IN_FLIGHT)),
            Ending::Damaged { offset, reason, is_followed } => {
                let is_last = !is_followed && *offset >= JAVA_HEADER_LEN && is_next(report, next);
                if !is_last && !lose_later {
                    return Err(must_not_lose(file, *offset, reason));
                }
                match *offset {
                    ..JAVA_HEADER_LEN => steps.push(step(Act::SetAside, reason)),
                    len => steps.push(step(Act::Cut { len }, reason)),
                }
                if !is_last {
                    steps.extend(files[at + 1..].iter().map(|(later, _)| set_aside(later)));
                    break;
                }
            }
        }
    }
    Ok(steps)
}

/// Whether nothing is missing between a file and what is behind it.
fn is_next(report: &LogReport, next: Option<Zxid>) -> bool {
    next.is_none_or(|next| report.zxids.is_some_and(|(_, last)| last.next() == next))
}

fn plan_ours(files: &[(&DataFile, LogReport)], lose_later: bool) -> Result<Vec<Step>, ToolError> {
    let mut steps = Vec::new();
    for (at, (file, report)) in files.iter().enumerate() {
        let step = |act, why: &str| Step { path: file.path.clone(), act, why: why.into() };
        let (offset, reason, is_followed) = match &report.ending {
            Ending::Whole => continue,
            Ending::Torn { offset, end } => {
                steps.push(step(Act::Zero { from: *offset, to: *end }, IN_FLIGHT));
                continue;
            }
            Ending::Damaged { offset, reason, is_followed } => (*offset, reason, *is_followed),
        };
        let later = &files[at + 1..];
        let is_last = !is_followed && offset > 0 && later.iter().all(|(_, report)| report.count == 0);
        if !is_last && !lose_later {
            return Err(must_not_lose(file, offset, reason));
        }
        // A segment that has the name of its first record must have that record.
        let goes_whole =
            offset == 0 || offset <= BLOCK_LEN as u64 && file.kind == Kind::Segment { is_named: true };
        if goes_whole {
            steps.push(step(Act::SetAside, reason));
        } else {
            let len = fs::metadata(&file.path).map_err(ToolError::io("open", &file.path))?.len();
            let why = format!("{reason}; if its transactions were acknowledged, they are lost");
            steps.push(step(Act::Zero { from: offset, to: len }, &why));
        }
        if goes_whole || !is_last {
            steps.extend(later.iter().map(|(later, _)| set_aside(later)));
        }
        break;
    }
    Ok(steps)
}

fn set_aside(file: &DataFile) -> Step {
    Step { path: file.path.clone(), act: Act::SetAside, why: "it follows what is damaged".into() }
}

fn must_not_lose(file: &DataFile, offset: u64, reason: &str) -> ToolError {
    ToolError::Refused(format!(
        "{}, at offset {offset} ({offset:#x}) {reason}. Sound transactions may follow that, which a cut would \
         lose: put a good copy of the file back if there is one, or start this server without data if others \
         of its ensemble have a quorum. --lose-later cuts all the same, and sets aside what follows. Nothing \
         has been changed",
        file.path.display()
    ))
}

/// Copies first, then changes, the last files first: at every moment what is left is a log with a shorter end.
fn perform(plan: &[Step], log_dir: &Path) -> Result<PathBuf, ToolError> {
    let aside = make_aside(log_dir)?;
    let copies = plan.iter().filter(|step| step.act != Act::SetAside);
    for Step { path, .. } in copies {
        let copy = aside.join(path.file_name().unwrap_or_default());
        copy_durably(path, &copy)?;
    }
    sync_dir(&aside)?;
    sync_dir(log_dir)?;
    for Step { path, act, .. } in plan.iter().rev() {
        match act {
            Act::Cut { len } => change(path, |file| file.set_len(*len))?,
            Act::Zero { from, to } => change(path, |file| zero(file, *from, *to))?,
            Act::SetAside => {
                let kept = aside.join(path.file_name().unwrap_or_default());
                fs::rename(path, &kept).map_err(ToolError::io("set aside", path))?;
            }
        }
        sync_dir(&aside)?;
        sync_dir(log_dir)?;
    }
    Ok(aside)
}

/// A new folder, whose name no server takes for anything.
fn make_aside(log_dir: &Path) -> Result<PathBuf, ToolError> {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let time = Utc(now.as_millis() as i64).to_string().replace([':', '-'], "");
    let aside = log_dir.join(format!("before-repair-{time}"));
    fs::create_dir(&aside).map_err(ToolError::io("make", &aside))?;
    Ok(aside)
}

/// Copies a file; the copy is on stable storage when this returns.
pub(super) fn copy_durably(from: &Path, to: &Path) -> Result<(), ToolError> {
    fs::copy(from, to).and_then(|_| File::open(to)?.sync_all()).map_err(ToolError::io("copy to", to))
}

/// Has the disk keep the names in a folder.
pub(super) fn sync_dir(folder: &Path) -> Result<(), ToolError> {
    File::open(folder).and_then(|opened| opened.sync_all()).map_err(ToolError::io("sync", folder))
}

fn change(path: &Path, how: impl FnOnce(&File) -> io::Result<()>) -> Result<(), ToolError> {
    let opened = OpenOptions::new().write(true).open(path);
    opened.and_then(|file| how(&file).and_then(|()| file.sync_all())).map_err(ToolError::io("change", path))
}

fn zero(file: &File, from: u64, to: u64) -> io::Result<()> {
    let zeros = vec![0; ZERO_LEN];
    let mut at = from;
    while at < to {
        let len = zeros.len().min((to - at) as usize);
        file.write_all_at(&zeros[..len], at)?;
        at += len as u64;
    }
    Ok(())
}

const IN_FLIGHT: &str = "what was being written when the server ended; nobody was told of it";
/// Before it there is no entry.
const JAVA_HEADER_LEN: u64 = 16;
const ZERO_LEN: usize = 256 << 10;
