//! Ensemble tuning (config §7).

use crate::config::Status::{Ensemble, IgnoredJvm, MemberNotYet};
use crate::config::key::{AnyKey, Key};
use crate::config::kind::{Flag, Int, Text, Word};

pub(in crate::config) static CNX_TIMEOUT: Key<Int<i32>> =
    Key::property("cnxTimeout", Int::<i32>::any(5000), Ensemble, "ms to connect to an election port");

pub(in crate::config) static QUORUM_CNXN_TIMEOUT: Key<Int<i32>> =
    Key::property("quorumCnxnTimeoutMs", Int::<i32>::any(-1), Ensemble, "ms to greet there; -1: syncLimit");

pub(in crate::config) static ELECTION_PORT_BIND_RETRY: Key<Int<i32>> = Key::property(
    "electionPortBindRetry",
    Int::<i32>::any(3),
    Ensemble,
    "tries to listen for elections; 0: for ever",
);

pub(in crate::config) static MIN_NOTIFICATION_INTERVAL: Key<Int<i32>> = Key::property(
    "fastleader.minNotificationInterval",
    Int::<i32>::any(200),
    Ensemble,
    "ms between votes at first",
);

pub(in crate::config) static MAX_NOTIFICATION_INTERVAL: Key<Int<i32>> = Key::property(
    "fastleader.maxNotificationInterval",
    Int::<i32>::any(60_000),
    Ensemble,
    "ms between votes at most",
);

pub(in crate::config) static LEADER_SERVES: Key<Word> =
    Key::property("leaderServes", Word::turns_off("no"), Ensemble, "no: a leader serves no clients");

pub(in crate::config) static SNAP_SYNCS_MAX: Key<Int<i32>> = Key::property(
    "leader.maxConcurrentSnapSyncs",
    Int::<i32>::any(10).at_least(1),
    Ensemble,
    "observers sent the whole tree at once",
);

pub(in crate::config) static DIFF_SYNCS_MAX: Key<Int<i32>> = Key::property(
    "leader.maxConcurrentDiffSyncs",
    Int::<i32>::any(100).at_least(1),
    Ensemble,
    "observers sent what they missed at once",
);

pub(in crate::config) static KEYS: &[&dyn AnyKey] = &[
    &LEADER_SERVES,
    &CNX_TIMEOUT,
    &QUORUM_CNXN_TIMEOUT,
    &ELECTION_PORT_BIND_RETRY,
    &MIN_NOTIFICATION_INTERVAL,
    &MAX_NOTIFICATION_INTERVAL,
    &Key::property("tcpKeepAlive", Flag::or(false), MemberNotYet, "TCP keepalive on election connections"),
    &Key::bare("leader.nodelay", Flag::or(true), MemberNotYet, "TCP_NODELAY towards learners"),
    &Key::bare("follower.nodelay", Flag::or(true), MemberNotYet, "TCP_NODELAY towards the leader"),
    &Key::property(
        "leader.maxTimeToWaitForEpoch",
        Int::<i32>::any(-1),
        MemberNotYet,
        "ms to gather a quorum's epochs",
    ),
    &SNAP_SYNCS_MAX,
    &DIFF_SYNCS_MAX,
    &Key::property(
        "leaderConnectDelayDuringRetryMs",
        Int::<i32>::any(100),
        MemberNotYet,
        "ms between tries to connect",
    ),
    &Key::property(
        "leader.ackLoggingFrequency",
        Int::<i32>::any(1000),
        IgnoredJvm,
        "acknowledgements per log line",
    ),
    &Key::property("leader.closeSocketAsync", Flag::or(false), IgnoredJvm, "a thread to close sockets"),
    &Key::property("learner.closeSocketAsync", Flag::or(false), IgnoredJvm, "a thread to close sockets"),
    &Key::property("learner.asyncSending", Flag::or(false), IgnoredJvm, "a thread for packets to the leader"),
    &Key::property(
        "observer.reconnectDelayMs",
        Int::<i32>::any(0),
        MemberNotYet,
        "ms until an observer returns",
    ),
    &Key::property(
        "observer.election.DelayMs",
        Int::<i32>::any(200),
        MemberNotYet,
        "ms until an observer looks",
    ),
    &Key::property(
        "observerMaster.sizeLimit",
        Int::<i32>::any(33_554_432),
        MemberNotYet,
        "bytes kept for observers",
    ),
    &Key::property("follower.skipLearnerRequestToNextProcessor", Flag::or(false), IgnoredJvm, "a short cut"),
    &Key::property(
        "forward_learner_requests_to_commit_processor_disabled",
        Flag::or(false),
        IgnoredJvm,
        "a short cut",
    ),
    &Key::property(
        "messageTracker.Enabled",
        Flag::or(false),
        IgnoredJvm,
        "keep the last packets for the log",
    ),
    &Key::property("messageTracker.BufferSize", Int::<i32>::any(10), IgnoredJvm, "how many packets to keep"),
    &Key::property("testingonly.initialZxid", Text::optional(), IgnoredJvm, "a zxid to start at, in tests"),
    &Key::property(
        "test.allowDiscontinuousProposals",
        Flag::or(false),
        IgnoredJvm,
        "for ZooKeeper's own tests",
    ),
];
