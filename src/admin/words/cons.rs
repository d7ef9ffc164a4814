use std::fmt::Write;

use ringkeeper_core::id::Zxid;
use ringkeeper_core::shard::ConnReport;

use super::facts::Facts;
use super::java_address;

/// `cons`: each connection, with its session.
pub(super) fn answer(facts: &Facts<'_>) -> String {
    let mut text = String::new();
    for connection in facts.connections() {
        head(&mut text, connection);
        if let Some(session) = &connection.session {
            let latency = &session.latency;
            let _ = write!(text, ",sid={},lop={}", session.id, session.last_op);
            let _ = write!(text, ",est={},to={}", facts.wall_ms(connection.established), session.timeout_ms);
            if let Some(xid) = session.last_xid {
                let _ = write!(text, ",lcxid=0x{xid:x}");
            }
            let _ = write!(text, ",lzxid={}", session.last_zxid.unwrap_or(Zxid(-1)));
            let _ = write!(text, ",lresp={},llat={}", session.last_reply.ms(), latency.last_us / 1000);
            let (min, max) = (latency.min_us / 1000, latency.max_us / 1000);
            let average = latency.average_us() as u64 / 1000;
            let _ = write!(text, ",minlat={min},avglat={average},maxlat={max}");
        }
        text.push_str(")\n");
    }
    text.push('\n');
    text
}

/// A connection as `stat` shows it.
pub(super) fn brief(text: &mut String, connection: &ConnReport) {
    head(text, connection);
    text.push_str(")\n");
}

fn head(text: &mut String, connection: &ConnReport) {
    let ConnReport { peer, interest, queued, received, sent, .. } = connection;
    let peer = java_address(*peer);
    let _ = write!(text, " /{peer}[{interest:x}](queued={queued},recved={received},sent={sent}");
}
