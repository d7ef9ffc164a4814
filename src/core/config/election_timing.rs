use std::time::Duration;

/// How long things take on the election port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ElectionTiming {
    /// Until a vote is told again for the first time, `fastleader.minNotificationInterval`.
    pub min_notification: Duration,
    /// The most that the time between notifications grows to. Lower than ZooKeeper's 60 s, so that a
    /// healed network is noticed soon (election §2.6).
    pub max_notification: Duration,
    /// How long a proposal that has a quorum waits for a better one.
    pub finalize_wait: Duration,
    /// To resolve a name and connect, `cnxTimeout`.
    pub connect: Duration,
    /// For an accepted connection to say whose it is.
    pub greeting: Duration,
    /// For a message to leave this machine; a peer that takes nothing for so long is given up.
    pub write: Duration,
}

impl Default for ElectionTiming {
    fn default() -> ElectionTiming {
        ElectionTiming {
            min_notification: Duration::from_millis(200),
            max_notification: Duration::from_secs(5),
            finalize_wait: Duration::from_millis(200),
            connect: Duration::from_secs(5),
            greeting: Duration::from_secs(5),
            write: Duration::from_secs(5),
        }
    }
}
