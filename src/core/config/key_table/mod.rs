//! The table of keys, one entry each, by the sections of config.md.

pub(super) mod admin;
pub(super) mod connections;
pub(super) mod ensemble;
pub(super) mod own;
pub(super) mod parser;
pub(super) mod security;
pub(super) mod storage;
pub(super) mod tls;

use super::key::AnyKey;

/// Every key that is known, by the sections of the specification. Keys that are whole names come before
/// those that stand for several (`ssl.*`), as [`find`] needs them.
pub fn all() -> impl Iterator<Item = &'static dyn AnyKey> {
    let tables = [
        parser::KEYS,
        storage::KEYS,
        connections::KEYS,
        ensemble::KEYS,
        security::KEYS,
        tls::KEYS,
        admin::KEYS,
        own::KEYS,
    ];
    tables.into_iter().flatten().copied()
}

/// The key that a name in `zoo.cfg` means, if it is known.
pub fn find(name: &str) -> Option<&'static dyn AnyKey> {
    all().find(|key| key.covers(name))
}

/// The working spelling of a name that ZooKeeper's documentation gives and its server ignores (config §1).
pub(super) fn working_name(documented: &str) -> Option<&'static str> {
    MISNAMED.iter().find(|(name, _)| *name == documented).map(|(_, working)| *working)
}

const MISNAMED: &[(&str, &str)] = &[
    ("connectionMaxTokens", "connection_throttle_tokens"),
    ("connectionTokenFillTime", "connection_throttle_fill_time"),
    ("connectionTokenFillCount", "connection_throttle_fill_count"),
    ("connectionFreezeTime", "connection_throttle_freeze_time"),
    ("connectionDropIncrease", "connection_throttle_drop_increase"),
    ("connectionDropDecrease", "connection_throttle_drop_decrease"),
    ("connectionDecreaseRatio", "connection_throttle_decrease_ratio"),
    ("requestThrottleLimit", "request_throttle_max_requests"),
    ("requestThrottleStallTime", "request_throttle_stall_time"),
    ("requestThrottleDropStale", "request_throttle_drop_stale"),
    ("requestStaleLatencyCheck", "request_stale_latency_check"),
    ("requestStaleConnectionCheck", "request_stale_connection_check"),
    ("throttledOpWaitTime", "throttled_op_wait_time"),
    ("advancedFlowControlEnabled", "netty.advancedFlowControl.enabled"),
    ("outstandingHandshake.limit", "netty.server.outstandingHandshake.limit"),
    ("maxConcurrentSnapSyncs", "leader.maxConcurrentSnapSyncs"),
    ("maxConcurrentDiffSyncs", "leader.maxConcurrentDiffSyncs"),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::config::{Place, Status};

    #[test]
    fn each_name_stands_in_the_table_once_and_is_found_there() {
        let mut seen = BTreeSet::new();
        for key in all() {
            assert!(seen.insert(key.name()), "{} is there twice", key.name());
            let sample = key.name().replace('*', "1");
            let found = find(&sample).expect(&sample);
            assert_eq!(found.name(), key.name(), "{sample} is covered by an entry before it");
        }
    }

    #[test]
    fn each_default_is_a_good_value_and_is_recognised_as_the_default() {
        for key in all() {
            let Some(default) = key.default_text() else { continue };
            assert_eq!(key.check(key.name(), &default), Ok(()), "{}", key.name());
            assert!(key.is_default(&default), "{}", key.name());
        }
    }

    #[test]
    fn each_key_says_what_it_is_for() {
        for key in all() {
            assert!(key.help().len() > 8, "{}", key.name());
            assert!(!key.allowed().is_empty(), "{}", key.name());
            if let Status::NotYet(reason) = key.status() {
                assert!(reason.len() > 8, "{}", key.name());
            }
        }
    }

    #[test]
    fn the_working_spellings_are_keys() {
        for (documented, working) in MISNAMED {
            assert!(find(working).is_some(), "{working}");
            assert!(find(documented).is_none(), "{documented} works");
        }
    }

    #[test]
    fn java_properties_have_the_prefix_that_java_gives_them() {
        let property = |name: &str| find(name).expect(name).java_property();
        assert_eq!(property("snapCount").as_deref(), Some("zookeeper.snapCount"));
        assert_eq!(property("jute.maxbuffer").as_deref(), Some("jute.maxbuffer"));
        assert_eq!(
            property("jute.maxbuffer.extrasize").as_deref(),
            Some("zookeeper.jute.maxbuffer.extrasize")
        );
        assert_eq!(property("tickTime"), None);
        let bare: Vec<_> =
            all().filter(|key| key.place() == Place::BareProperty).map(|key| key.name()).collect();
        assert_eq!(
            bare,
            [
                "jute.maxbuffer",
                "readonlymode.enabled",
                "znode.container.checkIntervalMs",
                "znode.container.maxPerMinute",
                "znode.container.maxNeverUsedIntervalMs",
                "leader.nodelay",
                "follower.nodelay",
                "java.security.auth.login.config",
            ]
        );
    }
}
