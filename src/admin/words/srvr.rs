use std::fmt::Write;

use ringkeeper_core::zab::ProposalSizes;

use super::cons;
use super::facts::{Facts, java_double};
use crate::version;

/// `srvr`: what the server is and has done.
pub(super) fn srvr(facts: &Facts<'_>) -> String {
    let mut text = String::new();
    head(&mut text, facts);
    body(&mut text, facts);
    text
}

/// `stat`: `srvr` and the clients, in short.
pub(super) fn stat(facts: &Facts<'_>) -> String {
    let mut text = String::new();
    head(&mut text, facts);
    text.push_str("Clients:\n");
    facts.connections().for_each(|connection| cons::brief(&mut text, connection));
    text.push('\n');
    body(&mut text, facts);
    text
}

fn head(text: &mut String, facts: &Facts<'_>) {
    let _ = writeln!(text, "Zookeeper version: {}", version::FULL);
    if facts.is_read_only() {
        text.push_str("READ-ONLY mode; serving only read-only clients\n");
    }
}

fn body(text: &mut String, facts: &Facts<'_>) {
    let latency = facts.latency();
    let (min, max) = (latency.min_us / 1000, latency.max_us / 1000);
    let average = java_double(latency.average_us() / 1000.0);
    let _ = writeln!(text, "Latency min/avg/max: {min}/{average}/{max}");
    let _ = writeln!(text, "Received: {}", facts.packets_received());
    let _ = writeln!(text, "Sent: {}", facts.packets_sent());
    let _ = writeln!(text, "Connections: {}", facts.connection_count());
    let _ = writeln!(text, "Outstanding: {}", facts.outstanding());
    let _ = writeln!(text, "Zxid: {}", facts.last_zxid());
    let _ = writeln!(text, "Mode: {}", facts.mode());
    let _ = writeln!(text, "Node count: {}", facts.node_count());
    if let Some(leader) = facts.member().and_then(|member| member.leader) {
        let ProposalSizes { last, min, max } = leader.proposal_sizes;
        let _ = writeln!(text, "Proposal sizes last/min/max: {last}/{min}/{max}");
    }
}
