//! Data folders that hold a large tree, made once and copied for each server that starts with it.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Result, ensure};
use tracing::info;

use crate::mix;
use crate::paths::{GROUP_SIZE, Paths};
use crate::server::{Folder, Server, Subject};
use crate::session::Session;

/// Creates `znodes` znodes that hold `data`, in few round trips: as multis, each of them one transaction.
pub(crate) fn load(server: &Server, znodes: u32, data: &[u8]) -> Result<()> {
    let begun = Instant::now();
    let mut session = Session::open(server.addr())?;
    session.create(TREE)?;
    let groups: Vec<String> =
        (0..mix::groups(znodes)).map(|group| tree().group(group * GROUP_SIZE)).collect();
    session.create_all(groups.chunks(CREATES_PER_MULTI as usize).map(<[String]>::to_vec), &[])?;
    let batches = (0..znodes).step_by(CREATES_PER_MULTI as usize).map(|first| {
        let end = znodes.min(first + CREATES_PER_MULTI);
        (first..end).map(|child| tree().path(child)).collect()
    });
    session.create_all(batches, data)?;
    session.close()?;
    info!("loaded {znodes} znodes in {:.1} s", begun.elapsed().as_secs_f64());
    Ok(())
}

/// Stops a server that has just loaded its tree, such that `folder` holds a snapshot of everything. `open`
/// starts it once more.
pub(crate) fn keep(
    server: Server,
    subject: Subject,
    folder: &Folder,
    open: impl FnOnce() -> Result<Server>,
) -> Result<()> {
    server.stop()?;
    if subject == Subject::Java {
        // It writes no snapshot when it stops, but one whenever it starts.
        open()?.stop()?;
        // And it reads the whole log before that snapshot at every start. After a bulk load that is the
        // whole tree a second time, while in service it is never more than snapCount writes.
        remove_all_but_the_newest_log(&folder.data().join("version-2"))?;
    }
    Ok(())
}

/// Where all znodes of a tree are.
pub(crate) fn tree() -> Paths {
    Paths::grouped(TREE)
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

/// The parent of its groups.
pub(crate) const TREE: &str = "/znodes";

/// No snapshots by count or size, and none taken away.
pub(crate) const WITHOUT_SNAPSHOTS: &str =
    "snapCount=2000000000\nsnapSizeLimitInKb=-1\nautopurge.purgeInterval=0\n";

/// A multi of some tens of kilobytes, far below the megabyte that ZooKeeper takes.
const CREATES_PER_MULTI: u32 = 250;

#[cfg(test)]
mod tests {
    use super::*;

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
