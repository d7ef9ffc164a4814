//! What a time in a Stat must satisfy.

/// The wall times between which a server gave out its zxids.
///
/// Two servers' times cannot be compared. Instead each time is compared with its zxid: the ctime of a
/// node is the time of the transaction that its czxid names, its mtime that of its mzxid, and a
/// transaction's time lies between the sending of its request and the arrival of its reply. A time
/// that does is shown as "right", so a server that stamps zero, seconds, the time of another
/// transaction or of a restart is told from one that is right. The built-in nodes have zxid 0, time 0.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    spans: Vec<Span>,
}

#[derive(Debug)]
struct Span {
    upto_zxid: i64,
    from_ms: i64,
    to_ms: i64,
}

impl Ledger {
    /// All zxids after the ones recorded before, up to this one, were given out in this time.
    pub(crate) fn record(&mut self, upto_zxid: i64, from_ms: i64, to_ms: i64) {
        if self.spans.last().is_none_or(|last| last.upto_zxid < upto_zxid) {
            self.spans.push(Span { upto_zxid, from_ms, to_ms });
        }
    }

    /// "right", or the time and what is wrong with it.
    pub(crate) fn render(&self, zxid: i64, time_ms: i64) -> String {
        if zxid == 0 {
            return time_ms.to_string();
        }
        match self.spans.get(self.spans.partition_point(|span| span.upto_zxid < zxid)) {
            None => format!("{time_ms} of an unknown zxid"),
            Some(span) if (span.from_ms - COARSE_CLOCK_MS..=span.to_ms).contains(&time_ms) => "right".into(),
            Some(span) => format!("{time_ms} not in {}..={}", span.from_ms, span.to_ms),
        }
    }
}

/// How old the time of a server may be that reads a coarse clock, or reads it once per turn.
const COARSE_CLOCK_MS: i64 = 50;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_right_only_in_the_span_of_its_zxid() {
        let mut ledger = Ledger::default();
        ledger.record(10, 1_000, 1_100);
        ledger.record(10, 9_000, 9_100);
        ledger.record(12, 2_000, 2_100);
        assert_eq!(ledger.render(10, 1_100), "right");
        assert_eq!(ledger.render(11, 2_000), "right");
        assert_ne!(ledger.render(12, 1_100), "right");
        assert_ne!(ledger.render(12, 2_101), "right");
        assert_ne!(ledger.render(13, 2_000), "right");
        assert_eq!(ledger.render(0, 0), "0");
        assert_ne!(ledger.render(10, 0), "right");
    }
}
