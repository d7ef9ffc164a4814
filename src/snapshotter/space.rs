use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ringkeeper_core::log_room::{LogRoom, RoomJudge};

use crate::storage::disk::free_bytes;
use crate::storage::wal::WalStats;

/// Watches how much the log can still take, and tells when that changes what may be written.
pub struct SpaceWatch {
    folder: PathBuf,
    judge: RoomJudge,
    log: Arc<WalStats>,
    tell: Box<dyn Fn(LogRoom) + Send>,
    /// What the log's segments could take at the last look.
    ahead: Option<u64>,
    /// When to look again if the log writes nothing.
    due: Option<Instant>,
}

impl SpaceWatch {
    /// Watches the log in `folder`, whose segments have this length in bytes.
    pub fn new(
        folder: PathBuf,
        segment_len: u64,
        log: Arc<WalStats>,
        tell: impl Fn(LogRoom) + Send + 'static,
    ) -> SpaceWatch {
        SpaceWatch {
            folder,
            judge: RoomJudge::new(segment_len),
            log,
            tell: Box::new(tell),
            ahead: None,
            due: None,
        }
    }

    /// Looks if the log has written since the last time, or if that is long ago: others may fill the disk, too.
    pub(super) fn look(&mut self, now: Instant) {
        let ahead = self.log.room();
        if self.ahead == Some(ahead) && self.due.is_some_and(|due| now < due) {
            return;
        }
        (self.ahead, self.due) = (Some(ahead), Some(now + LOOK_INTERVAL));
        // A file system that won't say is none that we can judge.
        let Some(free) = free_bytes(&self.folder) else { return };
        let Some(room) = self.judge.judge(ahead, free) else { return };
        let (folder, free) = (self.folder.display(), free >> 20);
        match room {
            LogRoom::Ample => tracing::info!("{folder} has {free} MiB free: everything is written again"),
            LogRoom::Low => tracing::error!(
                "{folder} has only {free} MiB free: creates and changes are refused (SystemError), reads and deletes \
                 go on. Make room"
            ),
            LogRoom::Spent => tracing::error!(
                "{folder} has only {free} MiB free and the log is nearly full: no session is begun or ended and \
                 nothing is written (SystemError), reads go on. Make room"
            ),
        }
        (self.tell)(room);
    }
}

/// How long after others have filled the disk, or made room, a server that writes nothing notices at the latest.
const LOOK_INTERVAL: Duration = Duration::from_millis(500);
