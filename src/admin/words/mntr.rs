use std::fmt::Write;

use super::facts::{Facts, java_float};
use crate::admin::host;
use crate::version;

/// `mntr`: figures for monitoring, one a line, `zk_` before each key (admin §1). Only what is measured
/// is shown.
pub(super) fn answer(facts: &Facts<'_>) -> String {
    let latency = facts.latency();
    let replies = facts.response_sizes();
    let sync = facts.log_sync();
    let mut lines = Lines(String::new());
    lines.add("version", version::full());
    lines.add("server_state", "standalone");
    lines.add("avg_latency", java_float(latency.average_ms()));
    lines.add("max_latency", latency.max_ms());
    lines.add("min_latency", latency.min_ms());
    lines.add("packets_received", facts.packets_received());
    lines.add("packets_sent", facts.packets_sent());
    lines.add("num_alive_connections", facts.connections().count());
    lines.add("outstanding_requests", facts.outstanding());
    lines.add("uptime", facts.uptime_ms());
    lines.add("znode_count", facts.node_count());
    lines.add("watch_count", facts.watch_count());
    lines.add("ephemerals_count", facts.ephemerals_count());
    lines.add("approximate_data_size", facts.approximate_data_size());
    lines.add("global_sessions", facts.global_sessions());
    lines.add("local_sessions", 0);
    if let Some(open) = host::open_descriptors() {
        lines.add("open_file_descriptor_count", open);
    }
    if let Some(max) = host::max_descriptors() {
        lines.add("max_file_descriptor_count", max);
    }
    lines.add("last_client_response_size", replies.last);
    lines.add("max_client_response_size", replies.max);
    lines.add("min_client_response_size", replies.min);
    lines.add("bytes_received_count", facts.bytes_received());
    lines.add("avg_fsynctime", java_float(sync.average_ms));
    lines.add("min_fsynctime", sync.min_ms);
    lines.add("max_fsynctime", sync.max_ms);
    lines.add("cnt_fsynctime", sync.count);
    lines.add("sum_fsynctime", sync.sum_ms);
    lines.0
}

struct Lines(String);

impl Lines {
    fn add(&mut self, key: &str, value: impl std::fmt::Display) {
        let _ = writeln!(self.0, "zk_{key}\t{value}");
    }
}
