use crate::config::Stale;
use crate::id::Zxid;
use crate::proto::OpCode;
use crate::time::Instant;

/// How long requests took, from their arrival to their reply, in microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Latency {
    /// How many requests were answered.
    pub count: u64,
    /// The sum of their latencies.
    pub total_us: u64,
    /// The smallest; 0 if there was none.
    pub min_us: u64,
    /// The largest.
    pub max_us: u64,
    /// The last one's.
    pub last_us: u64,
}

impl Latency {
    /// Adds one request.
    pub(super) fn record(&mut self, us: u64) {
        self.min_us = if self.count == 0 { us } else { self.min_us.min(us) };
        self.max_us = self.max_us.max(us);
        self.count += 1;
        self.total_us += us;
        self.last_us = us;
    }

    /// The average; 0 if there was no request.
    pub fn average_us(&self) -> f64 {
        if self.count == 0 { 0.0 } else { self.total_us as f64 / self.count as f64 }
    }

    /// Adds what another shard or connection counted; `last_us` stays.
    pub fn merge(&mut self, other: &Latency) {
        if other.count > 0 {
            self.min_us = if self.count == 0 { other.min_us } else { self.min_us.min(other.min_us) };
            self.max_us = self.max_us.max(other.max_us);
            self.count += other.count;
            self.total_us += other.total_us;
        }
    }
}

/// Sizes of replies in bytes, without the frame's length; -1 while there was none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "last, smallest, largest")]
pub struct ReplySizes {
    pub last: i64,
    pub min: i64,
    pub max: i64,
}

impl Default for ReplySizes {
    fn default() -> Self {
        ReplySizes { last: -1, min: -1, max: -1 }
    }
}

impl ReplySizes {
    pub(super) fn record(&mut self, len: usize) {
        let len = len as i64;
        self.min = if self.min < 0 { len } else { self.min.min(len) };
        self.max = self.max.max(len);
        self.last = len;
    }
}

/// What a shard counts over all its connections, until they are reset.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ShardStats {
    /// Frames and four-letter words received.
    pub received: u64,
    /// Replies and events sent.
    pub sent: u64,
    /// Bytes of the frames received, their lengths included.
    pub received_bytes: u64,
    /// Connections closed because no handshake came.
    pub sessionless_expired: u64,
    /// Connections closed because of a large request too many.
    pub large_requests_rejected: u64,
    /// How often the first request in line found no room (`request_throttle_wait_count`).
    pub throttle_waits: u64,
    /// Stale requests that were carried out all the same.
    pub stale_requests: u64,
    /// Stale requests that were not.
    pub stale_requests_dropped: u64,
    /// Requests whose answer came when they were stale.
    pub stale_replies: u64,
    /// Requests that failed because they waited in line for too long.
    pub throttled_ops: u64,
    /// How long requests were in line, if there may be one.
    pub line_time: Latency,
    /// Latencies of all requests.
    pub latency: Latency,
    /// Sizes of all replies.
    pub reply_sizes: ReplySizes,
}

/// What a connection counts, until it is reset.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct ConnStats {
    pub(super) received: u64,
    pub(super) sent: u64,
    pub(super) last_op: Option<OpCode>,
    pub(super) last_xid: Option<i32>,
    pub(super) last_zxid: Option<Zxid>,
    pub(super) last_reply: Instant,
    pub(super) latency: Latency,
}

/// A reply that was sent, as the counters see it.
pub(super) struct Sent {
    pub(super) xid: i32,
    pub(super) op: Option<OpCode>,
    pub(super) zxid: Zxid,
    pub(super) len: usize,
    pub(super) received: Instant,
    pub(super) now: Instant,
}

impl Sent {
    pub(super) fn count(&self, conn: &mut ConnStats, shard: &mut ShardStats) {
        let us = self.now.since(self.received).as_micros() as u64;
        conn.sent += 1;
        conn.last_op = self.op;
        if self.xid >= 0 {
            conn.last_xid = Some(self.xid);
        }
        conn.last_zxid = Some(self.zxid);
        conn.last_reply = self.now;
        conn.latency.record(us);
        shard.sent += 1;
        shard.latency.record(us);
        shard.reply_sizes.record(self.len);
    }

    /// Counts the reply as stale if it comes too late for its session.
    pub(super) fn count_if_stale(&self, stale: Stale, timeout_ms: i32, shard: &mut ShardStats) {
        if stale.session_timeout
            && self.op != Some(OpCode::CloseSession)
            && stale.is_late(self.received, timeout_ms, self.now)
        {
            shard.stale_replies += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn merged_latencies_are_those_of_one_counter() {
        let (mut one, mut other, mut both) = (Latency::default(), Latency::default(), Latency::default());
        for us in [5, 9, 2] {
            one.record(us);
            both.record(us);
        }
        for us in [1, 30] {
            other.record(us);
            both.record(us);
        }
        one.merge(&other);
        one.merge(&Latency::default());
        assert_eq!(Latency { last_us: 30, ..one }, both);
        assert_eq!(both.average_us(), 9.4);
    }
}
