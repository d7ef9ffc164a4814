use std::sync::atomic::Ordering;

use ringkeeper_core::config::{Config, Membership};
use ringkeeper_core::id::{SessionId, Zxid};
use ringkeeper_core::member::MemberFigures;
use ringkeeper_core::session::SessionsReport;
use ringkeeper_core::shard::{ConnReport, Latency, ReplySizes, ShardReport};
use ringkeeper_core::time::{Instant, WallTime};
use ringkeeper_core::watch::WatchSummary;

use crate::admin::desk::Reports;
use crate::admin::host::size_below;
use crate::admin::{CommitReport, DeskOptions};
use crate::storage::wal::WalFigures;
use crate::wiring::Mode;

/// What became of requests beyond the number that may be in process, over all shards.
#[derive(Default)]
pub(super) struct Throttled {
    pub(super) waits: u64,
    pub(super) stale_requests: u64,
    pub(super) stale_requests_dropped: u64,
    pub(super) stale_replies: u64,
    pub(super) throttled_ops: u64,
    /// How long requests waited, while there is a limit.
    pub(super) line_time: Latency,
}

/// What was reported, and what else the words show.
pub(in crate::admin) struct Facts<'a> {
    options: &'a DeskOptions,
    mode: Option<Mode>,
    reports: Vec<ShardReport>,
    commit: Option<CommitReport>,
    now: Instant,
    wall: WallTime,
}

impl<'a> Facts<'a> {
    pub(in crate::admin) fn gather(
        options: &'a DeskOptions,
        mode: Option<Mode>,
        reports: Reports,
    ) -> Facts<'a> {
        let Reports { shards, commit } = reports;
        Facts { options, mode, reports: shards, commit, now: options.clock.now(), wall: options.clock.wall() }
    }

    pub(super) fn config(&self) -> &Config {
        &self.options.config
    }

    /// The servers of the ensemble, if this server is a member of one.
    pub(super) fn membership(&self) -> Option<&Membership> {
        self.commit.as_ref()?.membership.as_deref()
    }

    /// Whether clients that want to write are turned away.
    pub(super) fn is_read_only(&self) -> bool {
        self.mode == Some(Mode::ReadOnly)
    }

    /// What the server is to its clients; nothing for a word that is answered by one that serves none.
    pub(super) fn mode(&self) -> String {
        self.mode.map_or_else(String::new, |mode| mode.to_string())
    }

    pub(super) fn client_port(&self) -> u16 {
        self.options.client_port.load(Ordering::Relaxed)
    }

    pub(super) fn connections(&self) -> impl Iterator<Item = &ConnReport> {
        self.reports.iter().flat_map(|report| &report.connections)
    }

    pub(super) fn connection_count(&self) -> usize {
        self.reports.iter().map(|report| report.connection_count).sum()
    }

    /// How many digests of the tree were not what others say of it.
    pub(super) fn digest_mismatches(&self) -> u64 {
        self.commit.as_ref().map_or(0, |commit| commit.digests.mismatches)
    }

    /// Some states, and the tree's digests then.
    pub(super) fn digest_log(&self) -> &[(Zxid, u64)] {
        self.commit.as_ref().map_or(&[], |commit| &commit.digests.log)
    }

    /// The open sessions, if they were reported.
    pub(super) fn sessions(&self) -> Option<&SessionsReport> {
        self.commit.as_ref()?.sessions.as_ref()
    }

    /// What this server is in its ensemble; `None` for a standalone one, and for one that has no leader.
    pub(super) fn peer_state(&self) -> Option<&'static str> {
        match self.mode? {
            Mode::Standalone | Mode::ReadOnly => None,
            Mode::Leader => Some("leading - broadcast"),
            Mode::Follower => Some("following - broadcast"),
            Mode::Observer => Some("observing - broadcast"),
        }
    }

    /// Figures of a member of an ensemble that has a leader.
    pub(super) fn member(&self) -> Option<MemberFigures> {
        self.peer_state()?;
        self.commit.as_ref()?.member
    }

    /// Sessions that this server alone knows.
    pub(super) fn local_sessions(&self) -> usize {
        self.commit.as_ref().and_then(|commit| commit.member).map_or(0, |member| member.local_sessions)
    }

    /// The paths in the data table of the watches, each with the session that watches it.
    pub(super) fn watched_paths(&self) -> impl Iterator<Item = (SessionId, &str)> {
        self.reports.iter().flat_map(|report| &report.watches).map(|(session, path)| (*session, &**path))
    }

    /// The ephemeral nodes, each with its session.
    pub(super) fn ephemerals(&self) -> impl Iterator<Item = (SessionId, &str)> {
        self.reports.iter().flat_map(|report| &report.ephemerals).map(|(session, path)| (*session, &**path))
    }

    pub(super) fn latency(&self) -> Latency {
        self.reports.iter().fold(Latency::default(), |mut all, report| {
            all.merge(&report.stats.latency);
            all
        })
    }

    pub(super) fn packets_received(&self) -> u64 {
        self.reports.iter().map(|report| report.stats.received).sum()
    }

    pub(super) fn packets_sent(&self) -> u64 {
        self.reports.iter().map(|report| report.stats.sent).sum()
    }

    pub(super) fn bytes_received(&self) -> u64 {
        self.reports.iter().map(|report| report.stats.received_bytes).sum()
    }

    pub(super) fn sessionless_expired(&self) -> u64 {
        self.reports.iter().map(|report| report.stats.sessionless_expired).sum()
    }

    pub(super) fn large_requests_rejected(&self) -> u64 {
        self.reports.iter().map(|report| report.stats.large_requests_rejected).sum()
    }

    /// What became of requests that had to wait.
    pub(super) fn throttled(&self) -> Throttled {
        self.reports.iter().map(|report| &report.stats).fold(Throttled::default(), |mut all, stats| {
            all.waits += stats.throttle_waits;
            all.stale_requests += stats.stale_requests;
            all.stale_requests_dropped += stats.stale_requests_dropped;
            all.stale_replies += stats.stale_replies;
            all.throttled_ops += stats.throttled_ops;
            all.line_time.merge(&stats.line_time);
            all
        })
    }

    /// The sizes of replies over all shards; the last one is some shard's last.
    pub(super) fn reply_sizes(&self) -> ReplySizes {
        let sizes = self.reports.iter().map(|report| report.stats.reply_sizes);
        sizes.filter(|sizes| sizes.last >= 0).fold(ReplySizes::default(), |all, sizes| ReplySizes {
            last: sizes.last,
            min: if all.min < 0 { sizes.min } else { all.min.min(sizes.min) },
            max: all.max.max(sizes.max),
        })
    }

    pub(super) fn outstanding(&self) -> usize {
        self.reports.iter().map(|report| report.outstanding).sum()
    }

    pub(super) fn watch_count(&self) -> usize {
        self.reports.iter().map(|report| report.watch_count).sum()
    }

    /// The data watches of all shards. A path that clients of several shards watch counts for each.
    pub(super) fn watches(&self) -> WatchSummary {
        let summaries = self.reports.iter().map(|report| report.watch_summary);
        summaries.fold(WatchSummary::default(), |all, summary| WatchSummary {
            connections: all.connections + summary.connections,
            paths: all.paths + summary.paths,
            watches: all.watches + summary.watches,
        })
    }

    /// The shard that has applied most, for what is the same on all of them.
    fn newest(&self) -> Option<&ShardReport> {
        self.reports.iter().max_by_key(|report| report.last_zxid)
    }

    pub(super) fn last_zxid(&self) -> Zxid {
        self.newest().map_or(Zxid::ZERO, |report| report.last_zxid)
    }

    pub(super) fn node_count(&self) -> usize {
        self.newest().map_or(0, |report| report.node_count)
    }

    pub(super) fn approximate_data_size(&self) -> u64 {
        self.newest().map_or(0, |report| report.approximate_data_size)
    }

    pub(super) fn ephemerals_count(&self) -> usize {
        self.newest().map_or(0, |report| report.ephemerals_count)
    }

    pub(super) fn global_sessions(&self) -> usize {
        self.newest().map_or(0, |report| report.global_sessions)
    }

    pub(super) fn uptime_ms(&self) -> u64 {
        self.now.ms()
    }

    pub(super) fn log(&self) -> WalFigures {
        self.options.wal.figures()
    }

    /// The time of day at an instant of the server's clock, in milliseconds since 1970.
    pub(super) fn wall_ms(&self, at: Instant) -> i64 {
        self.wall.0 - self.now.since(at).as_millis() as i64 + at.since(self.now).as_millis() as i64
    }

    pub(super) fn data_dir_size(&self) -> u64 {
        size_below(&self.options.config.storage.snap_dir())
    }

    pub(super) fn log_dir_size(&self) -> u64 {
        size_below(&self.options.config.storage.log_dir())
    }
}

/// A number as Java prints a double rounded to four places: always with a fraction, never with a tail of
/// zeros.
pub(super) fn java_double(value: f64) -> String {
    let rounded = (value * 10_000.0).round() / 10_000.0;
    if rounded != 0.0 && rounded.abs() < 0.001 {
        // Java goes over to an exponent here: 5.0E-4.
        let tenths = (rounded * 10_000.0).round();
        return format!("{tenths:.1}E-4");
    }
    format!("{rounded:?}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_look_as_java_prints_them() {
        let cases = [(0.0, "0.0"), (1.0, "1.0"), (0.75614, "0.7561"), (0.0005, "5.0E-4"), (12.5, "12.5")];
        for (value, expected) in cases {
            assert_eq!(java_double(value), expected);
        }
    }
}
