//! Connections, limits and throttling (config §6).

use crate::config::Status::{self, Ensemble, IgnoredJvm, NotYet, Supported};
use crate::config::key::{AnyKey, Key};
use crate::config::kind::{Flag, Int, OptionalInt, Share, Text};

pub(in crate::config) static JUTE_MAX_BUFFER: Key<Int<i32>> = Key::bare(
    "jute.maxbuffer",
    Int::any(0xfffff).at_least(8),
    Supported,
    "bytes of the largest frame that is accepted",
);

pub(in crate::config) static JUTE_EXTRA_SIZE: Key<OptionalInt<i32>> = Key::property(
    "jute.maxbuffer.extrasize",
    OptionalInt::raised_to(1024),
    NotYet("records that are on disk are read whatever their size"),
    "bytes by which a record in a file may exceed jute.maxbuffer; jute.maxbuffer if unset",
);

pub(in crate::config) static MAX_CNXNS: Key<Int<i32>> =
    Key::property("maxCnxns", Int::any(0), Supported, "connections of all clients; 0: no limit");

pub(in crate::config) static GLOBAL_OUTSTANDING_LIMIT: Key<Int<i32>> = Key::property(
    "globalOutstandingLimit",
    Int::any(1000).at_least(1),
    Supported,
    "requests in process from which on connections that have one are not read",
);

pub(in crate::config) static TCP_KEEP_ALIVE: Key<Flag> =
    Key::property("clientTcpKeepAlive", Flag::or(false), Supported, "TCP keepalive on clients' connections");

pub(in crate::config) static SESSIONLESS_TIMEOUT: Key<Int<i32>> = Key::property(
    "nio.sessionlessCnxnTimeout",
    Int::any(10_000).at_least(1),
    Supported,
    "ms that a connection may stay without a session",
);

pub(in crate::config) static LARGE_REQUEST_MAX_BYTES: Key<Int<i32>> = Key::property(
    "largeRequestMaxBytes",
    Int::any(100 * 1024 * 1024).at_least(1),
    Supported,
    "bytes of all large requests in process",
);

pub(in crate::config) static LARGE_REQUEST_THRESHOLD: Key<Int<i32>> = Key::property(
    "largeRequestThreshold",
    Int::any(-1),
    Supported,
    "bytes from which a request is large; -1: none is",
);

pub(in crate::config) static READ_ONLY_MODE: Key<Flag> =
    Key::bare("readonlymode.enabled", Flag::or(false), Ensemble, "serve reads without a quorum");

pub(in crate::config) static CONTAINER_CHECK_INTERVAL: Key<Int<i32>> = Key::bare(
    "znode.container.checkIntervalMs",
    Int::any(60_000).at_least(1),
    Supported,
    "ms between searches for containers and TTL znodes to delete",
);

pub(in crate::config) static CONTAINER_MAX_PER_MINUTE: Key<Int<i32>> = Key::bare(
    "znode.container.maxPerMinute",
    Int::any(10_000).at_least(1),
    Supported,
    "containers and TTL znodes deleted in a minute",
);

pub(in crate::config) static CONTAINER_MAX_NEVER_USED: Key<Int<i64>> = Key::bare(
    "znode.container.maxNeverUsedIntervalMs",
    Int::any(0).at_least(0),
    Supported,
    "ms until a container that never had a child is deleted; 0: never",
);

pub(in crate::config) static THROTTLE_TOKENS: Key<Int<i32>> = Key::property(
    "connection_throttle_tokens",
    Int::any(0),
    Supported,
    "clients that may connect at once; 0: no limit",
);

pub(in crate::config) static THROTTLE_FILL_TIME: Key<Int<i32>> =
    Key::property("connection_throttle_fill_time", Int::any(1), Supported, "ms between refills");

pub(in crate::config) static THROTTLE_FILL_COUNT: Key<Int<i32>> =
    Key::property("connection_throttle_fill_count", Int::any(1), Supported, "tokens of a refill");

pub(in crate::config) static THROTTLE_FREEZE_TIME: Key<Int<i32>> = Key::property(
    "connection_throttle_freeze_time",
    Int::any(-1),
    Supported,
    "ms between changes of the drop rate; -1: there is none",
);

pub(in crate::config) static THROTTLE_DROP_INCREASE: Key<Share> = Key::property(
    "connection_throttle_drop_increase",
    Share::or("0.02"),
    Supported,
    "step up of the drop rate",
)
.refusing();

pub(in crate::config) static THROTTLE_DROP_DECREASE: Key<Share> = Key::property(
    "connection_throttle_drop_decrease",
    Share::or("0.002"),
    Supported,
    "step down of the drop rate",
)
.refusing();

pub(in crate::config) static THROTTLE_DECREASE_RATIO: Key<Share> = Key::property(
    "connection_throttle_decrease_ratio",
    Share::or("0"),
    Supported,
    "part of the tokens that may be gone where it steps down",
)
.refusing();

pub(in crate::config) static THROTTLE_WEIGHT_ENABLED: Key<Flag> = Key::property(
    "connection_throttle_weight_enabled",
    Flag::or(false),
    Supported,
    "whether kinds of sessions weigh differently",
);

pub(in crate::config) static THROTTLE_GLOBAL_WEIGHT: Key<Int<i32>> = Key::property(
    "connection_throttle_global_session_weight",
    Int::any(3),
    Supported,
    "tokens of a new session",
);

pub(in crate::config) static THROTTLE_RENEW_WEIGHT: Key<Int<i32>> =
    Key::property("connection_throttle_renew_session_weight", Int::any(2), Supported, "tokens of a return");

pub(in crate::config) static THROTTLE_LOCAL_WEIGHT: Key<Int<i32>> = Key::property(
    "connection_throttle_local_session_weight",
    Int::any(1),
    Supported,
    "tokens of a local session",
);

pub(in crate::config) static REQUESTS_MAX: Key<Int<i32>> = Key::property(
    "request_throttle_max_requests",
    Int::any(0),
    Supported,
    "requests in process beyond which others wait in line; 0: no limit",
);

pub(in crate::config) static REQUEST_STALL_TIME: Key<Int<i32>> = Key::property(
    "request_throttle_stall_time",
    Int::any(100),
    Supported,
    "ms until the first in line is looked at again if no other request is done",
);

pub(in crate::config) static REQUEST_DROP_STALE: Key<Flag> = Key::property(
    "request_throttle_drop_stale",
    Flag::or(true),
    Supported,
    "drop stale requests that wait in line",
);

pub(in crate::config) static STALE_LATENCY_CHECK: Key<Flag> = Key::property(
    "request_stale_latency_check",
    Flag::or(false),
    Supported,
    "requests older than their session's timeout are stale",
);

pub(in crate::config) static STALE_CONNECTION_CHECK: Key<Flag> = Key::property(
    "request_stale_connection_check",
    Flag::or(true),
    Supported,
    "requests of closed connections are stale",
);

pub(in crate::config) static THROTTLED_OP_WAIT_TIME: Key<Int<i32>> = Key::property(
    "throttled_op_wait_time",
    Int::any(0),
    Supported,
    "ms in line after which a request fails with ThrottledOp; 0: never",
);

pub(in crate::config) static KEYS: &[&dyn AnyKey] = &[
    &JUTE_MAX_BUFFER,
    &JUTE_EXTRA_SIZE,
    &MAX_CNXNS,
    &GLOBAL_OUTSTANDING_LIMIT,
    &TCP_KEEP_ALIVE,
    &SESSIONLESS_TIMEOUT,
    &LARGE_REQUEST_MAX_BYTES,
    &LARGE_REQUEST_THRESHOLD,
    &READ_ONLY_MODE,
    &CONTAINER_CHECK_INTERVAL,
    &CONTAINER_MAX_PER_MINUTE,
    &CONTAINER_MAX_NEVER_USED,
    &THROTTLE_TOKENS,
    &THROTTLE_FILL_TIME,
    &THROTTLE_FILL_COUNT,
    &THROTTLE_FREEZE_TIME,
    &THROTTLE_DROP_INCREASE,
    &THROTTLE_DROP_DECREASE,
    &THROTTLE_DECREASE_RATIO,
    &THROTTLE_WEIGHT_ENABLED,
    &THROTTLE_GLOBAL_WEIGHT,
    &THROTTLE_RENEW_WEIGHT,
    &THROTTLE_LOCAL_WEIGHT,
    &REQUESTS_MAX,
    &REQUEST_STALL_TIME,
    &REQUEST_DROP_STALE,
    &STALE_LATENCY_CHECK,
    &STALE_CONNECTION_CHECK,
    &Key::property(
        "request_throttler.shutdownTimeout",
        Int::<i32>::any(10_000),
        IgnoredJvm,
        "ms to drain at a stop",
    ),
    &THROTTLED_OP_WAIT_TIME,
    &Key::property("nio.numSelectorThreads", Text::optional(), IgnoredJvm, "threads that poll connections"),
    &Key::property("nio.numWorkerThreads", Text::optional(), IgnoredJvm, "threads that read connections"),
    &Key::property(
        "nio.directBufferBytes",
        Int::<i32>::any(65_536),
        IgnoredJvm,
        "bytes of a thread's buffer",
    ),
    &Key::property(
        "nio.shutdownTimeout",
        Int::<i32>::any(5000),
        IgnoredJvm,
        "ms to wait for threads at a stop",
    ),
    &Key::property(
        "serverCnxnFactory",
        Text::or("org.apache.zookeeper.server.NIOServerCnxnFactory"),
        IgnoredJvm,
        "class that serves connections",
    ),
    &Key::property("netty.advancedFlowControl.enabled", Flag::or(false), IgnoredJvm, "flow control of Netty"),
    &Key::property(
        "netty.server.outstandingHandshake.limit",
        Int::<i32>::any(-1),
        NO_TLS,
        "TLS handshakes at once",
    ),
    &Key::property(
        "netty.server.earlyDropSecureConnectionHandshakes",
        Flag::or(false),
        NO_TLS,
        "drop before TLS",
    ),
    &Key::property(
        "intBufferStartingSizeBytes",
        Int::<i32>::any(1024),
        IgnoredJvm,
        "bytes of a buffer at first",
    ),
    &Key::property(
        "commitProcessor.numWorkerThreads",
        Text::optional(),
        IgnoredJvm,
        "threads that answer reads",
    ),
    &Key::property(
        "commitProcessor.maxReadBatchSize",
        Int::<i32>::any(-1),
        IgnoredJvm,
        "reads between commits",
    ),
    &Key::property(
        "commitProcessor.maxCommitBatchSize",
        Int::<i32>::any(1),
        IgnoredJvm,
        "commits between reads",
    ),
    &Key::property(
        "commitProcessor.shutdownTimeout",
        Int::<i32>::any(5000),
        IgnoredJvm,
        "ms to wait at a stop",
    ),
    &Key::property("watchManagerName", Text::optional(), IgnoredJvm, "class that keeps watches"),
    &Key::property(
        "watcherCleanThreadsNum",
        Int::<i32>::any(2),
        IgnoredJvm,
        "threads that remove dead watches",
    ),
    &Key::property(
        "watcherCleanThreshold",
        Int::<i32>::any(1000),
        IgnoredJvm,
        "dead watches until they are removed",
    ),
    &Key::property(
        "watcherCleanIntervalInSeconds",
        Int::<i32>::any(600),
        IgnoredJvm,
        "seconds until they are removed",
    ),
    &Key::property("maxInProcessingDeadWatchers", Int::<i32>::any(-1), IgnoredJvm, "dead watches at once"),
    &Key::property(
        "bitHashCacheSize",
        Int::<i32>::any(10),
        IgnoredJvm,
        "cache of the optimized watch manager",
    ),
    &Key::property(
        "pathStats.*",
        Text::optional(),
        NotYet("requests are not counted by path"),
        "requests by path",
    ),
];

const NO_TLS: Status = NotYet("there is no TLS");
