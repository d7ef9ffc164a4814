//! The real ZooKeeper, from what `tests/setup` fetched.

use std::ffi::OsString;

use crate::deps;
use crate::server::Settings;

/// A release of ZooKeeper that `tests/setup` fetches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Release {
    /// 3.4.14
    V3_4,
    /// 3.5.10
    V3_5,
    /// 3.6.4
    V3_6,
    /// 3.7.2
    V3_7,
    /// 3.8.0, as Debian 12 has it.
    V3_8,
    /// 3.8.6, which `tests/setup --all` fetches.
    V3_8_6,
    /// 3.9.2, which `tests/setup --all` fetches.
    V3_9_2,
    /// 3.9.5: the reference.
    V3_9,
}

/// A standalone server of the reference, not started yet.
///
/// # Panics
/// When `tests/setup` did not run; the message says so.
pub fn server() -> Settings {
    server_of(Release::V3_9)
}

/// A standalone server of a release, not started yet.
///
/// # Panics
/// When `tests/setup` did not run; the message says so.
pub fn server_of(release: Release) -> Settings {
    let mut before: Vec<OsString> = JVM_OPTIONS.iter().map(OsString::from).collect();
    before.push("-cp".into());
    before.push(deps::java_classpath(release));
    Settings::new("java".into(), [before, vec![SERVER_MAIN.into()]])
}

const SERVER_MAIN: &str = "org.apache.zookeeper.server.quorum.QuorumPeerMain";

/// Made for starting soon and taking little memory, not for throughput.
const JVM_OPTIONS: &[&str] = &[
    "-Xmx512m",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-Xshare:auto",
    "-Dfile.encoding=UTF-8",
    "-Dorg.slf4j.simpleLogger.showDateTime=true",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_java_server_serves_stops_and_comes_back_with_its_data() {
        let mut server = server().config("tickTime", "500").start();
        assert_eq!(server.word("ruok").expect("an answer"), "imok");
        assert!(server.word("conf").expect("an answer").contains("\ntickTime=500\n"));
        let addr = server.addr();
        // The JVM dies of the signal's number when asked to stop.
        assert_eq!(server.stop().code(), Some(143));
        assert!(server.word("ruok").is_err());
        server.start();
        assert_eq!(server.addr(), addr);
        server.kill();
        assert!(server.word("ruok").is_err());
    }

    #[test]
    fn a_server_that_refuses_its_configuration_shows_its_log() {
        let refused = server().config("tickTime", "soon").try_start().err().expect("no server");
        assert_eq!(refused.status.and_then(|status| status.code()), Some(2));
        assert!(refused.log.contains("Invalid config, exiting abnormally"), "{}", refused.log);
    }
}
