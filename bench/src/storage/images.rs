//! Data folders to restart from, made once for each server and size of the tree: one as a clean stop leaves
//! it, and one as a kill does, with writes behind the last snapshot.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use serde::Serialize;
use tracing::info;

use super::{Bench, TREE, WITHOUT_SNAPSHOTS, tree};
use crate::ground;
use crate::load::{self, Load, Shape};
use crate::mix;
use crate::paths::GROUP_SIZE;
use crate::process::Memory;
use crate::server::{Folder, Server, Subject};
use crate::session::Session;
use crate::wire::Operation;

/// The folders of one server with one tree.
pub(super) struct Images {
    pub(super) subject: Subject,
    pub(super) znodes: u32,
    clean: Folder,
    killed: Folder,
}

/// How a server ended, and so what it left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Ended {
    /// By SIGTERM: a snapshot has everything.
    Stopped,
    /// By SIGKILL: the log has writes that the newest snapshot lacks.
    Killed,
}

/// How much memory a server held.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Occupied {
    pub(crate) subject: Subject,
    pub(crate) znodes: u32,
    pub(crate) moment: Moment,
    pub(crate) memory: Memory,
    /// What Java's heap holds alive.
    pub(crate) live_heap_bytes: Option<u64>,
}

/// When memory was looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Moment {
    /// Just started, no znodes yet.
    Empty,
    /// The tree was created through the wire.
    Loaded,
    /// The tree was read from the disk.
    Restarted,
}

impl Images {
    /// Loads a tree of `znodes` through the wire, and makes the folders. `memory` gets what the server held.
    pub(super) fn make(
        bench: &Bench,
        subject: Subject,
        znodes: u32,
        memory: &mut Vec<Occupied>,
    ) -> Result<Images> {
        let clean = stopped(bench, subject, znodes, memory).context("making the image of a clean stop")?;
        let killed = killed(bench, subject, znodes, &clean).context("making the image of a kill")?;
        Ok(Images { subject, znodes, clean, killed })
    }

    /// A copy at `path` of what a server left that ended like this. It is in the page cache.
    pub(super) fn copy(&self, ended: Ended, path: PathBuf) -> Result<Folder> {
        let image = match ended {
            Ended::Stopped => &self.clean,
            Ended::Killed => &self.killed,
        };
        let copy = image.copy_data(path)?;
        ground::settle(copy.path())?;
        Ok(copy)
    }
}

impl Occupied {
    /// Looks at the server. Java's collector runs after the process was looked at.
    pub(super) fn look(
        bench: &Bench,
        subject: Subject,
        znodes: u32,
        moment: Moment,
        server: &Server,
    ) -> Result<Occupied> {
        let memory = server.probe()?.memory()?;
        let live_heap_bytes = match subject {
            Subject::Java => live_heap(&bench.settings.ground.java, server.pid())?,
            Subject::Ringkeeper | Subject::Echo => None,
        };
        Ok(Occupied { subject, znodes, moment, memory, live_heap_bytes })
    }
}

fn stopped(bench: &Bench, subject: Subject, znodes: u32, memory: &mut Vec<Occupied>) -> Result<Folder> {
    let folder = Folder::fresh(bench.root.path().join(format!("{subject}-{znodes}-clean")))?;
    let server = bench.open(subject, znodes, &folder, WITHOUT_SNAPSHOTS)?;
    memory.push(Occupied::look(bench, subject, znodes, Moment::Empty, &server)?);
    let begun = Instant::now();
    load_tree(bench, &server, znodes)?;
    info!("{subject}: loaded in {:.1} s", begun.elapsed().as_secs_f64());
    memory.push(Occupied::look(bench, subject, znodes, Moment::Loaded, &server)?);
    server.stop()?;
    if subject == Subject::Java {
        // It writes no snapshot when it stops, but one whenever it starts.
        bench.open(subject, znodes, &folder, WITHOUT_SNAPSHOTS)?.stop()?;
        // And it reads the whole log before that snapshot at every start. After a bulk load that is the
        // whole tree a second time, while in service it is never more than snapCount writes.
        remove_all_but_the_newest_log(&folder.data().join("version-2"))?;
    }
    Ok(folder)
}

fn killed(bench: &Bench, subject: Subject, znodes: u32, clean: &Folder) -> Result<Folder> {
    let folder = clean.copy_data(bench.root.path().join(format!("{subject}-{znodes}-killed")))?;
    let server = bench.open(subject, znodes, &folder, WITHOUT_SNAPSHOTS)?;
    let load = Load {
        operation: Operation::Set,
        shape: Shape { connections: 16, outstanding: 32 },
        paths: tree(),
        children: znodes,
        data_len: bench.settings.data_len.into(),
    };
    load::ask(server.addr(), &load, bench.settings.tail.into())?;
    drop(server);
    Ok(folder)
}

/// Creates the tree in few round trips: as multis, each of them one transaction.
fn load_tree(bench: &Bench, server: &Server, znodes: u32) -> Result<()> {
    let mut session = Session::open(server.addr())?;
    session.create(TREE)?;
    let groups: Vec<String> =
        (0..mix::groups(znodes)).map(|group| tree().group(group * GROUP_SIZE)).collect();
    session.create_all(groups.chunks(CREATES_PER_MULTI as usize).map(<[String]>::to_vec), &[])?;
    let batches = (0..znodes).step_by(CREATES_PER_MULTI as usize).map(|first| {
        let end = znodes.min(first + CREATES_PER_MULTI);
        (first..end).map(|child| tree().path(child)).collect()
    });
    session.create_all(batches, &bench.data())?;
    session.close()
}

fn remove_all_but_the_newest_log(version_dir: &Path) -> Result<()> {
    let mut logs: Vec<(u64, PathBuf)> = Vec::new();
    for entry in fs::read_dir(version_dir)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if let Some(zxid) = name.strip_prefix("log.").and_then(|hex| u64::from_str_radix(hex, 16).ok()) {
            logs.push((zxid, path));
        }
    }
    logs.sort();
    ensure!(logs.len() > 1, "Java was to have begun a new log in {}", version_dir.display());
    logs.pop();
    logs.iter().try_for_each(|(_, path)| Ok(fs::remove_file(path)?))
}

/// What the heap of the Java process `pid` holds alive, by the tool beside `java`; `None` where there is none.
fn live_heap(java: &Path, pid: u32) -> Result<Option<u64>> {
    let mut jcmd = Command::new(java.with_file_name("jcmd"));
    let Ok(output) = jcmd.args([&pid.to_string(), "GC.class_histogram"]).output() else { return Ok(None) };
    ensure!(output.status.success(), "jcmd failed: {}", String::from_utf8_lossy(&output.stderr));
    Ok(histogram_total(&String::from_utf8_lossy(&output.stdout)))
}

/// The bytes in the last line, which is like `Total  1234  56789`.
fn histogram_total(histogram: &str) -> Option<u64> {
    let total = histogram.lines().rev().find_map(|line| line.strip_prefix("Total"))?;
    total.split_ascii_whitespace().nth(1)?.parse().ok()
}

/// A multi of some tens of kilobytes, far below the megabyte that ZooKeeper takes.
const CREATES_PER_MULTI: u32 = 250;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_live_heap_is_the_total_of_the_histogram() {
        let histogram = "  1:  11  2222  [B (java.base)\nTotal       123456      7890123\n\n";
        assert_eq!(histogram_total(histogram), Some(7_890_123));
        assert_eq!(histogram_total("no histogram"), None);
    }

    #[test]
    fn of_the_logs_only_the_newest_stays() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["log.9", "log.1f", "log.a", "snapshot.a"] {
            fs::write(dir.path().join(name), "").unwrap();
        }
        remove_all_but_the_newest_log(dir.path()).unwrap();
        let mut left: Vec<_> =
            fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        left.sort();
        assert_eq!(left, ["log.1f", "snapshot.a"]);
        assert!(remove_all_but_the_newest_log(dir.path()).is_err());
    }
}
