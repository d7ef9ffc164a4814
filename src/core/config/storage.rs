use std::path::{Path, PathBuf};

use super::error::{ConfigError, Problem};
use super::key_table::parser::{DATA_DIR, DATA_LOG_DIR, PURGE_INTERVAL, SNAP_RETAIN_COUNT};
use super::key_table::storage::{
    DATADIR_AUTOCREATE, DB_AUTOCREATE, DIGEST_ENABLED, FORCE_SYNC, FSYNC_WARNING_THRESHOLD, PRE_ALLOC_SIZE,
    SERIALIZE_LAST_ZXID, SNAP_COUNT, SNAP_SIZE_LIMIT, SNAPSHOT_COMPRESSION, SNAPSHOT_TRUST_EMPTY,
};
use super::notice::Notice;
use super::settings::Settings;
use crate::format::snapshot::Compression;
use crate::purge::RETAIN_MIN;

/// Where data lies and how it is written (config §5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Storage {
    /// `dataDir`, as given: may be relative to the current folder.
    pub data_dir: PathBuf,
    /// `dataLogDir`, or the same.
    pub data_log_dir: PathBuf,
    /// `datadir.autocreate`: whether missing folders are made.
    pub autocreate: bool,
    /// `db.autocreate`: whether a member of an ensemble may vote when its folders are empty, without the
    /// [marker](Storage::initialize_marker) that says that they should be.
    pub trust_new: bool,
    /// `preAllocSize`, in bytes: how much of the log is prepared ahead.
    pub segment_bytes: u64,
    /// `forceSync`: whether a write must reach the device before it is acknowledged.
    pub force_sync: bool,
    /// `fsync.warningthresholdms`: a write to the log that takes longer is worth a warning.
    pub sync_warning_ms: u64,
    /// `snapshot.trust.empty`: whether a log of Java's without any snapshot starts from an empty tree.
    pub trust_empty: bool,
    /// `snapCount`, at least 2: a snapshot is due after about so many transactions.
    pub snap_count: u32,
    /// `snapSizeLimitInKb`, in bytes: or after about so much of the log; `None` is no limit.
    pub snap_size_limit_bytes: Option<u64>,
    /// `snapshot.compression.method`.
    pub snapshot_compression: Compression,
    /// `digest.enabled`: whether the tree's digest is kept, written and compared.
    pub digest: bool,
    /// `serializeLastProcessedZxid.enabled`: whether snapshots say their zxid.
    pub serialize_last_zxid: bool,
    /// `autopurge.purgeInterval`: when old snapshots go.
    pub purge: PurgeTime,
    /// `autopurge.snapRetainCount`, at least 3: how many snapshots stay.
    pub snap_retain_count: u32,
}

/// When old snapshots go. The log's own segments are recycled whatever is said here: nobody else could.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PurgeTime {
    /// With each new one, and Java's files are never touched: what holds if nobody says anything.
    WithSnapshots,
    /// At the start and then in this interval, Java's files included, as Java does it.
    EveryMs(u64),
    /// Never: somebody else does it.
    Never,
}

impl Storage {
    pub(super) fn prove(settings: &Settings<'_>, notices: &mut Vec<Notice>) -> Result<Storage, ConfigError> {
        let given = |path: Option<String>| path.filter(|path| !path.is_empty());
        let data_dir = given(settings.get(&DATA_DIR)?);
        let data_dir = data_dir.ok_or_else(|| settings.whole(Problem::DataDirNotSet))?;
        let data_log_dir = given(settings.get(&DATA_LOG_DIR)?);
        warn_if_relative(&data_dir, notices);
        if let Some(path) = &data_log_dir {
            warn_if_relative(path, notices);
        }
        let force_sync = settings.get(&FORCE_SYNC)?;
        if !force_sync {
            let text = "forceSync=no: acknowledged writes may be lost when the machine fails";
            notices.push(Notice::warning(text));
        }
        let snap_size_limit_kib = settings.get(&SNAP_SIZE_LIMIT)?;
        Ok(Storage {
            data_log_dir: PathBuf::from(data_log_dir.as_ref().unwrap_or(&data_dir)),
            data_dir: PathBuf::from(data_dir),
            autocreate: settings.get(&DATADIR_AUTOCREATE)?,
            trust_new: settings.get(&DB_AUTOCREATE)?,
            segment_bytes: settings.get(&PRE_ALLOC_SIZE)? as u64 * 1024,
            force_sync,
            sync_warning_ms: settings.get(&FSYNC_WARNING_THRESHOLD)? as u64,
            trust_empty: settings.get(&SNAPSHOT_TRUST_EMPTY)?,
            snap_count: settings.get(&SNAP_COUNT)? as u32,
            snap_size_limit_bytes: (snap_size_limit_kib > 0).then(|| snap_size_limit_kib as u64 * 1024),
            snapshot_compression: settings.get(&SNAPSHOT_COMPRESSION)?,
            digest: settings.get(&DIGEST_ENABLED)?,
            serialize_last_zxid: settings.get(&SERIALIZE_LAST_ZXID)?,
            purge: purge_time(settings.get(&PURGE_INTERVAL)?),
            snap_retain_count: snap_retain_count(settings.get(&SNAP_RETAIN_COUNT)?, notices),
        })
    }
}

impl Storage {
    /// The folder of snapshots and epochs: `version-2` in `dataDir`.
    pub fn snap_dir(&self) -> PathBuf {
        self.data_dir.join(VERSION_DIR)
    }

    /// The file that says, once, that an empty database is what the operator wants: `initialize` in `dataLogDir`.
    pub fn initialize_marker(&self) -> PathBuf {
        self.data_log_dir.join("initialize")
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

fn purge_time(interval_ms: Option<i64>) -> PurgeTime {
    match interval_ms.map(u64::try_from) {
        None => PurgeTime::WithSnapshots,
        Some(Err(_) | Ok(0)) => PurgeTime::Never,
        Some(Ok(interval)) => PurgeTime::EveryMs(interval),
    }
}

fn snap_retain_count(given: i32, notices: &mut Vec<Notice>) -> u32 {
    if given < SNAP_RETAIN_COUNT_MIN {
        let text =
            format!("Invalid autopurge.snapRetainCount: {given}. Defaulting to {SNAP_RETAIN_COUNT_MIN}");
        notices.push(Notice::warning(text));
    }
    given.max(SNAP_RETAIN_COUNT_MIN) as u32
}

const VERSION_DIR: &str = "version-2";
const SNAP_RETAIN_COUNT_MIN: i32 = RETAIN_MIN as i32;
