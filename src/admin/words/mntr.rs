use std::fmt::{Display, Write};

use ringkeeper_core::member::MemberFigures;
use ringkeeper_core::shard::Latency;

use super::facts::{Facts, java_double};
use crate::admin::host;
use crate::version;

/// `mntr`: figures for monitoring, one a line, `zk_` before each key (admin §1). Only what is measured
/// is shown.
pub(super) fn answer(facts: &Facts<'_>) -> String {
    let (latency, sizes, log) = (facts.latency(), facts.reply_sizes(), facts.log());
    let mut lines = Lines(String::new());
    lines.add("version", version::FULL);
    lines.add("server_state", facts.mode());
    lines.add_known("peer_state", facts.peer_state());
    lines.add("avg_latency", java_double(latency.average_us() / 1000.0));
    lines.add("max_latency", latency.max_us / 1000);
    lines.add("min_latency", latency.min_us / 1000);
    lines.add("packets_received", facts.packets_received());
    lines.add("packets_sent", facts.packets_sent());
    lines.add("num_alive_connections", facts.connection_count());
    lines.add("outstanding_requests", facts.outstanding());
    lines.add("uptime", facts.uptime_ms());
    lines.add("znode_count", facts.node_count());
    lines.add("watch_count", facts.watch_count());
    lines.add("ephemerals_count", facts.ephemerals_count());
    lines.add("approximate_data_size", facts.approximate_data_size());
    lines.add("global_sessions", facts.global_sessions());
    lines.add("local_sessions", facts.local_sessions());
    lines.add_known("open_file_descriptor_count", host::open_descriptors());
    lines.add_known("max_file_descriptor_count", host::max_descriptors());
    lines.add("last_client_response_size", sizes.last);
    lines.add("max_client_response_size", sizes.max);
    lines.add("min_client_response_size", sizes.min);
    lines.add("bytes_received_count", facts.bytes_received());
    lines.add("sessionless_connections_expired", facts.sessionless_expired());
    lines.add("digest_mismatches_count", facts.digest_mismatches());
    lines.add("large_requests_rejected", facts.large_requests_rejected());
    let throttled = facts.throttled();
    lines.add("request_throttle_wait_count", throttled.waits);
    lines.add("stale_requests", throttled.stale_requests);
    lines.add("stale_requests_dropped", throttled.stale_requests_dropped);
    lines.add("stale_replies", throttled.stale_replies);
    lines.add("throttled_ops", throttled.throttled_ops);
    if facts.config().limits.request_throttle.is_some() {
        lines.add_times("request_throttle_queue_time_ms", &throttled.line_time);
    }
    lines.add("avg_fsynctime", java_double(average_ms(log.sync_us_sum, log.writes)));
    lines.add("min_fsynctime", log.sync_us_min / 1000);
    lines.add("max_fsynctime", log.sync_us_max / 1000);
    lines.add("cnt_fsynctime", log.writes);
    lines.add("sum_fsynctime", log.sync_us_sum / 1000);
    lines.add("fsync_threshold_exceed_count", log.slow_syncs);
    if let Some(member) = facts.member() {
        lines.add_member(&member);
    }
    lines.0
}

fn average_ms(sum_us: u64, count: u64) -> f64 {
    if count == 0 { 0.0 } else { sum_us as f64 / count as f64 / 1000.0 }
}

struct Lines(String);

impl Lines {
    fn add(&mut self, key: &str, value: impl Display) {
        let _ = writeln!(self.0, "zk_{key}\t{value}");
    }

    /// Adds a summary of times, in milliseconds.
    fn add_times(&mut self, key: &str, times: &Latency) {
        self.add(&format!("avg_{key}"), java_double(times.average_us() / 1000.0));
        self.add(&format!("min_{key}"), times.min_us / 1000);
        self.add(&format!("max_{key}"), times.max_us / 1000);
        self.add(&format!("cnt_{key}"), times.count);
        self.add(&format!("sum_{key}"), times.total_us / 1000);
    }

    fn add_member(&mut self, member: &MemberFigures) {
        self.add("quorum_size", member.quorum_size);
        self.add_known("synced_observers", member.synced_observers);
        let Some(leader) = &member.leader else { return };
        self.add("learners", leader.learners);
        self.add("synced_followers", leader.synced_followers);
        self.add("synced_non_voting_followers", leader.synced_non_voting_followers);
        self.add("synced_observers", leader.synced_observers);
        self.add("pending_syncs", leader.pending_syncs);
        self.add("leader_uptime", leader.uptime_ms);
        self.add("last_proposal_size", leader.proposal_sizes.last);
        self.add("max_proposal_size", leader.proposal_sizes.max);
        self.add("min_proposal_size", leader.proposal_sizes.min);
    }

    /// Adds a figure that the machine may not tell.
    fn add_known(&mut self, key: &str, value: Option<impl Display>) {
        if let Some(value) = value {
            self.add(key, value);
        }
    }
}
