//! Writes a folder from which a Java server goes on.
//!
//! After a clean stop a folder needs no export: the last snapshot and Java's log hold everything.
//! After a kill, what came after the last snapshot is in our log alone, which Java cannot read. The export
//! holds the newest sound snapshot as it is, and everything after it in Java's log.
//!
//! It goes to a folder of its own, so that the two histories cannot be confused: Java goes on in the new
//! folder, which holds nothing of ours, and from which ringkeeper starts as from any folder of Java's. The old
//! folder stays as it was. Whoever went on with Java must not start ringkeeper on the old folder again: it
//! would serve the state before. Files that are copied from one folder into the other are found out: where
//! both logs have the same transaction, ringkeeper refuses to start.
//!
//! The folder gets its name, `version-2`, when all of it is on stable storage and was read back.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use ringkeeper_core::format::snapshot::Compression;
use ringkeeper_core::id::Zxid;
use ringkeeper_core::tree::{DataTree, Owner};

use super::compare::differences;
use super::files;
use super::repair::{copy_durably, lock_all, sync_dir};
use super::state::{self, Base, Replay};
use super::{ToolError, show::Shown};
use crate::storage::disk::Os;
use crate::storage::java_log::LogWriter;
use crate::storage::recovery::Folders;
use crate::storage::snapshot::{Draft, Pace, SharedPace, save};

/// From where to where.
#[derive(Clone, Debug)]
pub struct ExportOptions {
    /// Where the logs are, if not with the snapshots.
    pub log_dir: Option<PathBuf>,
    /// Java's new `dataDir`.
    pub to: PathBuf,
    /// Java's new `dataLogDir`, if it is to be another.
    pub to_log: Option<PathBuf>,
    /// Whether a log of Java's without any snapshot starts from an empty tree, as in folders of 3.4.
    pub trust_empty: bool,
}

/// Exports the state of a folder, under the folder's lock, and says what a Java server needs for it.
///
/// # Errors
///
/// If a server has the folder, or would not start on it; if there are data in the new folder; or if a file
/// cannot be read or written. The new folder is then left without `version-2`.
pub fn export(path: &Path, options: &ExportOptions, out: &mut dyn Write) -> Result<(), ToolError> {
    let (snapshots, logs) = (files::folder(path), files::folder(options.log_dir.as_deref().unwrap_or(path)));
    let _locks = lock_all(&[&snapshots, &logs])?;
    let target = Target::prepare(&options.to, options.to_log.as_deref().unwrap_or(&options.to))?;
    let base = state::load_base(&snapshots)?;
    write_base(&base, &target)?;
    let folders = Folders { snapshots: &snapshots, logs: &logs };
    let exported = write_log(base, folders, options.trust_empty, &target)?;
    copy_small_files(&snapshots, &options.to, &target)?;
    prove(&exported.tree, &target)?;
    target.finish()?;
    report(&exported, options, out).map_err(ToolError::Output)
}

/// The folders that are being made.
struct Target {
    snapshots: PathBuf,
    logs: PathBuf,
    /// What they become.
    finished: Vec<(PathBuf, PathBuf)>,
}

impl Target {
    fn prepare(to: &Path, to_log: &Path) -> Result<Target, ToolError> {
        let mut finished = Vec::new();
        for folder in [to_log, to] {
            let end = folder.join("version-2");
            if end.exists() {
                return Err(ToolError::Refused(format!(
                    "{} is there already: export to a folder that has no data. Nothing has been changed",
                    end.display()
                )));
            }
            let unfinished = folder.join(UNFINISHED);
            if finished.iter().any(|(other, _)| *other == unfinished) {
                continue;
            }
            if unfinished.exists() {
                // An export that was cut off has left it, or one is running.
                return Err(ToolError::Refused(format!(
                    "{} is there: an export was cut off. Remove it, if none is running",
                    unfinished.display()
                )));
            }
            fs::create_dir_all(&unfinished).map_err(ToolError::io("make", &unfinished))?;
            finished.push((unfinished, end));
        }
        Ok(Target { snapshots: to.join(UNFINISHED), logs: to_log.join(UNFINISHED), finished })
    }

    /// Gives the folders their names, that of the snapshots last.
    fn finish(&self) -> Result<(), ToolError> {
        for (unfinished, end) in &self.finished {
            sync_dir(unfinished)?;
            fs::rename(unfinished, end).map_err(ToolError::io("rename to", end))?;
            if let Some(above) = end.parent() {
                sync_dir(above)?;
            }
        }
        Ok(())
    }
}

impl Drop for Target {
    /// Leaves nothing of an export that failed.
    fn drop(&mut self) {
        for (unfinished, _) in &self.finished {
            // It is gone if all went well; if it cannot be removed, the next export says so.
            let _ = fs::remove_dir_all(unfinished);
        }
    }
}

/// Java starts from no log without a snapshot.
fn write_base(base: &Base, target: &Target) -> Result<(), ToolError> {
    if let Some(path) = &base.path {
        return copy_durably(path, &target.snapshots.join(path.file_name().unwrap_or_default()));
    }
    let (frozen, pace) = (base.tree.freeze(), SharedPace::new(Pace::Full));
    let saved = save(&Os, &target.snapshots, frozen, Compression::None, &pace, Draft::Own);
    saved.map(|_| ()).map_err(ToolError::io("write a snapshot in", &target.snapshots))
}

struct Exported {
    tree: DataTree,
    count: u64,
    longest: usize,
    base: Zxid,
}

fn write_log(
    base: Base,
    folders: Folders<'_>,
    trust_empty: bool,
    target: &Target,
) -> Result<Exported, ToolError> {
    let after = base.tree.last_zxid();
    let mut log = LogWriter::new(&Os, &target.logs);
    let failed = || ToolError::io("write Java's log in", &target.logs);
    let replayed =
        Replay::run(base, folders, trust_empty, |zxid, payload| log.push(zxid, payload).map_err(failed()))?;
    let (count, longest) = (log.count(), log.longest());
    log.finish().map_err(failed())?;
    Ok(Exported { tree: replayed.into_tree(), count, longest, base: after })
}

/// What an ensemble's server is besides its data.
fn copy_small_files(snapshots: &Path, to: &Path, target: &Target) -> Result<(), ToolError> {
    for name in ["currentEpoch", "acceptedEpoch"] {
        let from = snapshots.join(name);
        if from.exists() {
            copy_durably(&from, &target.snapshots.join(name))?;
        }
    }
    let (from, to) = (snapshots.with_file_name("myid"), to.join("myid"));
    if from.exists() && !to.exists() {
        copy_durably(&from, &to)?;
    }
    Ok(())
}

/// That what was written is what was read.
fn prove(tree: &DataTree, target: &Target) -> Result<(), ToolError> {
    let written = state::load(&target.snapshots, Some(&target.logs))?;
    let same = written.tree.last_zxid() == tree.last_zxid();
    match same && differences(tree, &written.tree, "/", true).is_empty() {
        true => Ok(()),
        false => Err(ToolError::Refused(
            "what was written is not what was read: the disk of the new folder is not to be trusted".into(),
        )),
    }
}

fn report(exported: &Exported, options: &ExportOptions, out: &mut dyn Write) -> std::io::Result<()> {
    let Exported { tree, count, longest, base } = exported;
    writeln!(
        out,
        "{}: {} znodes and {} sessions at {}: the snapshot at {base}, and {count} transactions in Java's log",
        Shown(&options.to.to_string_lossy()),
        tree.node_count() - 1,
        tree.sessions().len(),
        tree.last_zxid()
    )?;
    writeln!(out, "dataDir={}", options.to.display())?;
    if let Some(to_log) = &options.to_log {
        writeln!(out, "dataLogDir={}", to_log.display())?;
    }
    if tree.expendables().any(|found| matches!(found.owner(), Owner::Ttl(_))) {
        writeln!(
            out,
            "Java needs -Dzookeeper.extendedTypesEnabled=true: there are znodes with a time to live"
        )?;
    }
    if *longest > JAVA_MAXBUFFER {
        writeln!(out, "Java needs -Djute.maxbuffer={longest} or more: so long is the longest transaction")?;
    }
    writeln!(
        out,
        "Once Java serves from there, do not start ringkeeper on the old folder again: it would serve the state of now"
    )
}

const UNFINISHED: &str = "version-2.unfinished";
/// Java's `jute.maxbuffer` by default.
const JAVA_MAXBUFFER: usize = 0xf_ffff;
