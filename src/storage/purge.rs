//! Old snapshots go, and the log is told what it need not keep.
//!
//! | `autopurge.purgeInterval` | snapshots                                             | Java's files | our log |
//! |---------------------------|-------------------------------------------------------|--------------|---------|
//! | not set                   | with each new one, all but the newest `snapRetainCount` | stay       | recycled |
//! | 0 or less                 | stay                                                  | stay         | recycled |
//! | more                      | at the start and in that interval, the same           | go as with Java | recycled |
//!
//! Our log is always recycled behind the second newest snapshot, after each new one. Whoever sets the
//! interval to 0 does so because Java's default is 0, or because a script of theirs purges; such a script
//! knows nothing of our log, which would grow until the disk is full. Every snapshot stays in that case, and
//! so does what Java's own purge looks at.
//!
//! What a clean stop wrote to Java's log ([`super::hand_over`]) is part of our log, and goes as that does.
//!
//! A snapshot counts only when its checksum holds, and when it has been made durable: Java's own are written
//! without a sync. What may go is decided in [`ringkeeper_core::purge`].

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ringkeeper_core::config::PurgeTime;
use ringkeeper_core::format::snapshot::{SnapshotName, check_seal};
use ringkeeper_core::id::Zxid;
use ringkeeper_core::purge::{Files, Rules, Scope, plan};

use super::disk::Disk;
use super::java_log;
use super::mapped::Mapped;
use super::snapshot;

/// How to purge.
#[derive(Clone, Debug)]
pub struct PurgeOptions {
    /// Where snapshots lie: `version-2` in `dataDir`.
    pub snapshots: PathBuf,
    /// Where logs lie: `version-2` in `dataLogDir`.
    pub logs: PathBuf,
    /// `autopurge.purgeInterval`.
    pub time: PurgeTime,
    /// `autopurge.snapRetainCount`.
    pub retain: usize,
}

/// Removes what is not needed any more. Any thread may run it that may wait for a disk, one at a time; what
/// fails is reported, and tried again the next time.
pub struct Purge {
    options: PurgeOptions,
    disk: Arc<dyn Disk>,
    release: Box<dyn Fn(Zxid) + Send + Sync>,
    known: Mutex<Known>,
}

/// What one run has done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Purged {
    /// The files that are gone.
    pub removed: Vec<PathBuf>,
    /// Up to where the log was released.
    pub released: Option<Zxid>,
}

impl Purge {
    /// `release` lets our log go up to a zxid: it is [`WalHandle::release`](super::wal::WalHandle::release).
    pub fn new(
        options: PurgeOptions,
        disk: Arc<dyn Disk>,
        release: impl Fn(Zxid) + Send + Sync + 'static,
    ) -> Purge {
        Purge { options, disk, release: Box::new(release), known: Mutex::default() }
    }

    /// How often to call [`Purge::run`]; `None` is never.
    pub fn interval(&self) -> Option<Duration> {
        match self.options.time {
            PurgeTime::EveryMs(ms) => Some(Duration::from_millis(ms)),
            PurgeTime::WithSnapshots | PurgeTime::Never => None,
        }
    }

    /// What follows each new snapshot: the log is released, and older snapshots go if they go with new ones.
    pub fn after_snapshot(&self) -> Purged {
        self.purge(match self.options.time {
            PurgeTime::WithSnapshots => Scope::Ours,
            PurgeTime::EveryMs(_) | PurgeTime::Never => Scope::Nothing,
        })
    }

    /// The whole purge: at the start, and whenever [`Purge::interval`] has passed.
    pub fn run(&self) -> Purged {
        self.purge(match self.options.time {
            PurgeTime::WithSnapshots => Scope::Ours,
            PurgeTime::EveryMs(_) => Scope::All,
            PurgeTime::Never => Scope::Nothing,
        })
    }

    fn purge(&self, scope: Scope) -> Purged {
        // A run that panicked has left nothing half known.
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        self.try_purge(scope, &mut known).unwrap_or_else(|error| {
            tracing::warn!(
                "nothing was purged: {}: {error}. The server goes on, and this is tried again; until then \
                 snapshots and log take more room",
                self.options.snapshots.display()
            );
            Purged::default()
        })
    }

    fn try_purge(&self, scope: Scope, known: &mut Known) -> io::Result<Purged> {
        let files = self.files(scope, known)?;
        let rules = Rules { retain: self.options.retain, scope };
        let plan = plan(&files, rules, |path| known.is_whole(path, &*self.disk));
        let dir = &self.options.snapshots;
        // A snapshot counts as soon as it has its name, which must not be lost either.
        self.disk.sync_dir(dir)?;
        let mut purged = Purged { removed: Vec::new(), released: plan.release };
        if let Some(upto) = plan.release {
            (self.release)(upto);
        }
        for (path, why) in plan.remove {
            match self.disk.remove(&path) {
                Ok(()) => {
                    tracing::info!("{} is removed: {why}", path.display());
                    purged.removed.push(path);
                }
                Err(error) => tracing::warn!("{} should go, but can't be removed: {error}", path.display()),
            }
        }
        known.forget_all_but(&files.snapshots);
        Ok(purged)
    }

    fn files(&self, scope: Scope, known: &mut Known) -> io::Result<Files<PathBuf>> {
        let snapshots = snapshot::names(&self.options.snapshots)?;
        let handed_over = known.handed_over(&self.options.logs);
        let java_logs = match scope {
            Scope::All => {
                let is_ours = |path: &PathBuf| handed_over.iter().any(|(_, ours)| ours == path);
                let all = java_log::files(&self.options.logs)?.into_iter();
                all.filter(|(_, path)| !is_ours(path)).collect()
            }
            Scope::Ours | Scope::Nothing => Vec::new(),
        };
        let java_ends = match scope {
            Scope::Ours => known.java_ends(&self.options.logs),
            Scope::All | Scope::Nothing => None,
        };
        Ok(Files { snapshots, java_logs, handed_over, java_ends })
    }
}

/// What was found out before and need not be again.
#[derive(Debug, Default)]
struct Known {
    snapshots: HashMap<PathBuf, Checked>,
    /// Nobody writes to Java's log while this server has the folder.
    java_ends: Option<Option<Zxid>>,
    handed_over: Option<Vec<(Zxid, PathBuf)>>,
}

#[derive(Debug)]
struct Checked {
    /// Device, inode, length and time of change: what tells a file from another.
    identity: (u64, u64, u64, i64, i64),
    is_whole: bool,
}

impl Known {
    /// Whether the snapshot's sum holds, and it will be there after a crash.
    fn is_whole(&mut self, path: &Path, disk: &dyn Disk) -> bool {
        match self.check(path, disk) {
            Ok(is_whole) => is_whole,
            Err(error) => {
                tracing::warn!("{} does not count as a snapshot: {error}", path.display());
                false
            }
        }
    }

    fn check(&mut self, path: &Path, disk: &dyn Disk) -> io::Result<bool> {
        let file = File::open(path)?;
        let meta = file.metadata()?;
        let identity = (meta.dev(), meta.ino(), meta.len(), meta.ctime(), meta.ctime_nsec());
        if let Some(checked) = self.snapshots.get(path).filter(|checked| checked.identity == identity) {
            return Ok(checked.is_whole);
        }
        disk.sync(&file)?;
        let name = path.file_name().and_then(|name| name.to_str()).and_then(SnapshotName::parse);
        let Some(name) = name else { return Ok(false) };
        let sealed = match meta.len() {
            0 => Err("it is empty".to_owned()),
            _ => {
                let mapped = Mapped::open(path)?;
                let sealed = check_seal(name.compression, &mapped).map_err(|error| error.to_string());
                mapped.check()?;
                sealed
            }
        };
        if let Err(reason) = &sealed {
            tracing::warn!("{} is damaged and not counted as a snapshot: {reason}", path.display());
        }
        let is_whole = sealed.is_ok();
        self.snapshots.insert(path.to_owned(), Checked { identity, is_whole });
        Ok(is_whole)
    }

    /// If it cannot be told where Java's log ends, every snapshot may be Java's.
    fn java_ends(&mut self, dir: &Path) -> Option<Zxid> {
        *self.java_ends.get_or_insert_with(|| match java_log::javas_last_zxid(dir) {
            Ok(last) => last,
            Err(error) => {
                tracing::warn!("{error}. All snapshots stay, since they may be Java's");
                Some(Zxid(i64::MAX))
            }
        })
    }

    /// Those of the files that are still there.
    fn handed_over(&mut self, dir: &Path) -> Vec<(Zxid, PathBuf)> {
        let found = self.handed_over.get_or_insert_with(|| {
            java_log::handed_over(dir).unwrap_or_else(|error| {
                tracing::warn!("{error}. What ringkeeper wrote to Java's log stays");
                Vec::new()
            })
        });
        found.retain(|(_, path)| path.exists());
        found.clone()
    }

    fn forget_all_but(&mut self, snapshots: &[(SnapshotName, PathBuf)]) {
        self.snapshots.retain(|path, _| snapshots.iter().any(|(_, there)| there == path));
    }
}
