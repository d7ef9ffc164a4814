use std::path::{Path, PathBuf};

use super::error::{ConfigError, Problem};
use super::key_table::parser::{DATA_DIR, DATA_LOG_DIR, PURGE_INTERVAL, SNAP_RETAIN_COUNT};
use super::key_table::storage::{
    DATADIR_AUTOCREATE, FORCE_SYNC, FSYNC_WARNING_THRESHOLD, PRE_ALLOC_SIZE, SNAP_COUNT, SNAP_SIZE_LIMIT,
    TXN_LOG_SIZE_LIMIT,
};
use super::notice::Notice;
use super::settings::Settings;

/// Where and how data is kept (config §5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Storage {
    /// `dataDir`, as given: may be relative to the current folder.
    pub data_dir: PathBuf,
    /// `dataLogDir`, else the same as `data_dir`.
    pub data_log_dir: PathBuf,
    /// `datadir.autocreate`: whether missing folders are created.
    pub autocreate: bool,
    /// `fsync.warningthresholdms`: a write to the log that takes longer is worth a warning.
    pub fsync_warning_threshold_ms: i64,
    /// `forceSync`. Not supported yet: every acknowledged write is on disk.
    pub force_sync: bool,
    /// `preAllocSize` in KiB. Not supported yet.
    pub pre_alloc_size_kib: i64,
    /// `txnLogSizeLimitInKb`; none if not above zero. Not supported yet.
    pub txn_log_size_limit_kib: i64,
    /// `snapCount`, at least 2. Not supported yet.
    pub snap_count: i32,
    /// `snapSizeLimitInKb`; none if not above zero. Not supported yet.
    pub snap_size_limit_kib: i64,
    /// `autopurge.purgeInterval`; never if not above zero. Not supported yet.
    pub purge_interval_ms: i64,
    /// `autopurge.snapRetainCount`, at least 3. Not supported yet.
    pub snap_retain_count: i32,
}

impl Storage {
    pub(super) fn prove(settings: &Settings<'_>, notices: &mut Vec<Notice>) -> Result<Storage, ConfigError> {
        let data_dir = settings.get(&DATA_DIR)?.filter(|path| !path.is_empty());
        let data_dir = data_dir.ok_or_else(|| settings.whole(Problem::DataDirNotSet))?;
        let data_log_dir = settings.get(&DATA_LOG_DIR)?.filter(|path| !path.is_empty());
        warn_if_relative(&data_dir, notices);
        if let Some(path) = &data_log_dir {
            warn_if_relative(path, notices);
        }
        let snap_retain_count = settings.get(&SNAP_RETAIN_COUNT)?;
        if snap_retain_count < SNAP_RETAIN_COUNT_MIN {
            notices.push(Notice::warning(format!(
                "Invalid autopurge.snapRetainCount: {snap_retain_count}. Defaulting to {SNAP_RETAIN_COUNT_MIN}"
            )));
        }
        Ok(Storage {
            data_log_dir: PathBuf::from(data_log_dir.as_ref().unwrap_or(&data_dir)),
            data_dir: PathBuf::from(data_dir),
            autocreate: settings.get(&DATADIR_AUTOCREATE)?,
            fsync_warning_threshold_ms: settings.get(&FSYNC_WARNING_THRESHOLD)?,
            force_sync: settings.get(&FORCE_SYNC)?,
            pre_alloc_size_kib: settings.get(&PRE_ALLOC_SIZE)?,
            txn_log_size_limit_kib: settings.get(&TXN_LOG_SIZE_LIMIT)?,
            snap_count: settings.get(&SNAP_COUNT)?,
            snap_size_limit_kib: settings.get(&SNAP_SIZE_LIMIT)?,
            purge_interval_ms: settings.get(&PURGE_INTERVAL)?,
            snap_retain_count: snap_retain_count.max(SNAP_RETAIN_COUNT_MIN),
        })
    }

    /// The folder of snapshots and epochs: `version-2` in `dataDir`.
    pub fn snap_dir(&self) -> PathBuf {
        self.data_dir.join(VERSION_DIR)
    }

    /// The folder of the log: `version-2` in `dataLogDir`.
    pub fn log_dir(&self) -> PathBuf {
        self.data_log_dir.join(VERSION_DIR)
    }
}

fn warn_if_relative(path: &str, notices: &mut Vec<Notice>) {
    if !Path::new(path).is_absolute() && !path.starts_with("./") {
        notices
            .push(Notice::warning(format!("{path} is relative. Prepend ./ to indicate that you're sure!")));
    }
}

const VERSION_DIR: &str = "version-2";
const SNAP_RETAIN_COUNT_MIN: i32 = 3;
