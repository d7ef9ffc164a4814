//! Storage and the write path (config §5).

use crate::config::Status::{self, Ensemble, IgnoredJvm, MemberNotYet, NotYet, Supported};
use crate::config::key::{AnyKey, Key};
use crate::config::kind::{Choice, Factor, Flag, Int, Text, Word};
use crate::format::snapshot::Compression;

pub(in crate::config) static DB_AUTOCREATE: Key<Flag> =
    Key::property("db.autocreate", Flag::or(true), Ensemble, "whether a server with no data may vote");

pub(in crate::config) static DATADIR_AUTOCREATE: Key<Flag> =
    Key::property("datadir.autocreate", Flag::or(true), Supported, "create missing data folders");

pub(in crate::config) static FORCE_SYNC: Key<Word> = Key::property(
    "forceSync",
    Word::turns_off("no"),
    Supported,
    "no: acknowledge writes that are not on the device yet",
);

pub(in crate::config) static PRE_ALLOC_SIZE: Key<Int<i64>> = Key::property(
    "preAllocSize",
    Int::any(64 << 10).raised_to(1 << 10).at_most(1 << 22),
    Supported,
    "KiB of the log that are prepared ahead",
);

pub(in crate::config) static SNAP_COUNT: Key<Int<i32>> =
    Key::property("snapCount", Int::any(100_000).raised_to(2), Supported, "writes between snapshots, about");

pub(in crate::config) static SNAP_SIZE_LIMIT: Key<Int<i64>> = Key::property(
    "snapSizeLimitInKb",
    Int::any(4_194_304).at_most(i64::MAX / 1024),
    Supported,
    "KiB of log between snapshots, about; 0: no limit",
);

pub(in crate::config) static SNAPSHOT_COMPRESSION: Key<Choice<Compression>> = Key::property(
    "snapshot.compression.method",
    Choice::of(
        Compression::None,
        &[("", Compression::None), ("gz", Compression::Gzip), ("snappy", Compression::Snappy)],
    ),
    Supported,
    "how snapshots are compressed: gz, snappy, or not at all",
);

pub(in crate::config) static FSYNC_WARNING_THRESHOLD: Key<Int<i64>> = Key::property(
    "fsync.warningthresholdms",
    Int::any(1000).at_least(0),
    Supported,
    "ms from which a write to the log is slow enough for a warning",
)
.also_bare();

pub(in crate::config) static EXTENDED_TYPES: Key<Flag> =
    Key::property("extendedTypesEnabled", Flag::or(false), Supported, "znodes with a time to live");

pub(in crate::config) static EMULATE_353_TTL: Key<Flag> = Key::property(
    "emulate353TTLNodes",
    Flag::or(false),
    NotYet("nodes with that layout are not recognised"),
    "read TTL znodes as 3.5.3 wrote them",
);

pub(in crate::config) static SNAPSHOT_TRUST_EMPTY: Key<Flag> = Key::property(
    "snapshot.trust.empty",
    Flag::or(false),
    Supported,
    "start from Java's logs without a snapshot, as 3.4 may leave them",
);

pub(in crate::config) static COMMIT_LOG_COUNT: Key<Int<i32>> = Key::property(
    "commitLogCount",
    Int::any(500).raised_to(500),
    Ensemble,
    "writes kept in memory for peers that lag",
);

pub(in crate::config) static SNAPSHOT_SIZE_FACTOR: Key<Factor> = Key::property(
    "snapshotSizeFactor",
    Factor,
    Ensemble,
    "how much of the log is sent to a peer that lags, by the size of a snapshot; 0: all, below 0: nothing",
);

pub(in crate::config) static FORCE_SNAPSHOT_SYNC: Key<Flag> =
    Key::property("forceSnapshotSync", Flag::or(false), Ensemble, "send learners snapshots only");

pub(in crate::config) static SERIALIZE_LAST_ZXID: Key<Flag> = Key::property(
    "serializeLastProcessedZxid.enabled",
    Flag::or(true),
    Supported,
    "write the last zxid into snapshots",
);

pub(in crate::config) static DIGEST_ENABLED: Key<Flag> = Key::property(
    "digest.enabled",
    Flag::or(true),
    Supported,
    "digests of the tree in log, proposals and snapshots, compared wherever they are read",
);

pub(in crate::config) static KEYS: &[&dyn AnyKey] = &[
    &DATADIR_AUTOCREATE,
    &FORCE_SYNC,
    &PRE_ALLOC_SIZE,
    &SNAP_COUNT,
    &SNAP_SIZE_LIMIT,
    &Key::property("txnLogSizeLimitInKb", Int::<i64>::any(-1), NO_FILES, "KiB of one log file; -1: no limit"),
    &FSYNC_WARNING_THRESHOLD,
    &EXTENDED_TYPES,
    &EMULATE_353_TTL,
    &Key::property(
        "flushDelay",
        Int::<i64>::any(0),
        NO_DELAY,
        "ms to wait for more writes to flush together",
    ),
    &Key::property("maxWriteQueuePollTime", Text::optional(), IgnoredJvm, "ms that the log's thread polls"),
    &Key::property(
        "maxBatchSize",
        Int::<i64>::any(1000),
        NO_DELAY,
        "writes that are flushed together at most",
    ),
    &COMMIT_LOG_COUNT,
    &SNAPSHOT_SIZE_FACTOR,
    &SNAPSHOT_COMPRESSION,
    &SNAPSHOT_TRUST_EMPTY,
    &SERIALIZE_LAST_ZXID,
    &DIGEST_ENABLED,
    &DB_AUTOCREATE,
    &Key::property(
        "closeSessionTxn.enabled",
        Flag::or(true),
        MemberNotYet,
        "list ephemerals when a session closes",
    ),
    &Key::property("maxResponseCacheSize", Int::<i32>::any(400), IgnoredJvm, "replies that are cached"),
    &Key::property(
        "maxGetChildrenResponseCacheSize",
        Int::<i32>::any(400),
        IgnoredJvm,
        "replies that are cached",
    ),
    &FORCE_SNAPSHOT_SYNC,
];

const NO_FILES: Status = NotYet("the log has files of preAllocSize");
const NO_DELAY: Status =
    NotYet("a flush carries what came during the flush before it, without a delay or a count");
