//! Data folders to restart from, made once for each server and size of the tree: one as a clean stop leaves
//! it, and one as a kill does, with writes behind the last snapshot.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde::Serialize;

use super::Bench;
use crate::ground;
use crate::large_tree::{self, WITHOUT_SNAPSHOTS, tree};
use crate::load::{self, Load, Operation, Shape};
use crate::process::Memory;
use crate::server::{Folder, Server, Subject};

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
            Subject::Ringkeeper | Subject::Echo | Subject::Etcd => None,
        };
        Ok(Occupied { subject, znodes, moment, memory, live_heap_bytes })
    }
}

fn stopped(bench: &Bench, subject: Subject, znodes: u32, memory: &mut Vec<Occupied>) -> Result<Folder> {
    let folder = Folder::fresh(bench.root.path().join(format!("{subject}-{znodes}-clean")))?;
    let server = bench.open(subject, znodes, &folder, WITHOUT_SNAPSHOTS)?;
    memory.push(Occupied::look(bench, subject, znodes, Moment::Empty, &server)?);
    large_tree::load(&server, znodes, &bench.data())?;
    memory.push(Occupied::look(bench, subject, znodes, Moment::Loaded, &server)?);
    large_tree::keep(server, subject, &folder, || bench.open(subject, znodes, &folder, WITHOUT_SNAPSHOTS))?;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_live_heap_is_the_total_of_the_histogram() {
        let histogram = "  1:  11  2222  [B (java.base)\nTotal       123456      7890123\n\n";
        assert_eq!(histogram_total(histogram), Some(7_890_123));
        assert_eq!(histogram_total("no histogram"), None);
    }
}
