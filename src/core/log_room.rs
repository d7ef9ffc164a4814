//! How much the log can still take, and what is refused when that is little.

/// What may be ordered, by the room that the log has.
///
/// A log that runs out of room ends the server. So writes are refused before it does, and what gives room
/// back, or ends sessions, later than what takes it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogRoom {
    /// Everything.
    #[default]
    Ample,
    /// Sessions begin and end, and nodes are deleted; nothing else is written.
    Low,
    /// Nothing that needs the log: no session begins or ends either, not even by its timeout.
    Spent,
}

/// Judges the room of a log.
#[derive(Clone, Copy, Debug)]
pub struct RoomJudge {
    segment_len: u64,
    room: LogRoom,
}

impl RoomJudge {
    /// For a log with segments of this length in bytes.
    pub fn new(segment_len: u64) -> RoomJudge {
        RoomJudge { segment_len: segment_len.max(1), room: LogRoom::Ample }
    }

    /// The room, if it is another than at the last call. `ahead` is how many bytes the log can take in
    /// segments that exist, `free` what the file system has for more of them.
    ///
    /// It takes a little more to come back than to stay, so that the answer does not flicker.
    pub fn judge(&mut self, ahead: u64, free: u64) -> Option<LogRoom> {
        let segments = free / self.segment_len;
        let bytes = ahead.saturating_add(segments.saturating_mul(self.segment_len));
        let low = (self.segment_len + self.segment_len / 2).max(LOW_MIN);
        let threshold = |bytes: u64, is_beyond: bool| if is_beyond { bytes + bytes / 4 } else { bytes };
        let room = if bytes < threshold(SPENT, self.room == LogRoom::Spent) {
            LogRoom::Spent
        } else if bytes < threshold(low, self.room >= LogRoom::Low) {
            LogRoom::Low
        } else {
            LogRoom::Ample
        };
        let is_other = room != self.room;
        self.room = room;
        is_other.then_some(room)
    }
}

/// What the log must be able to take while everything that was ordered before a refusal arrives there.
const SPENT: u64 = 8 << 20;
const LOW_MIN: u64 = 2 * SPENT;

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    #[test]
    fn a_disk_that_fills_up_is_low_before_it_is_spent_and_comes_back_with_some_to_spare() {
        let mut judge = RoomJudge::new(64 * MIB);
        assert_eq!(judge.judge(128 * MIB, 1000 * MIB), None, "it starts with ample room");
        assert_eq!(judge.judge(100 * MIB, 63 * MIB), None, "which is no segment, but there is one ahead");
        assert_eq!(judge.judge(90 * MIB, 63 * MIB), Some(LogRoom::Low));
        assert_eq!(judge.judge(100 * MIB, 63 * MIB), None, "not yet back");
        assert_eq!(judge.judge(7 * MIB, 63 * MIB), Some(LogRoom::Spent));
        assert_eq!(judge.judge(9 * MIB, 63 * MIB), None, "not yet back");
        assert_eq!(judge.judge(7 * MIB, 64 * MIB), Some(LogRoom::Low));
        assert_eq!(judge.judge(7 * MIB, 128 * MIB), Some(LogRoom::Ample));
        assert_eq!(judge.judge(7 * MIB, 128 * MIB), None);
    }

    #[test]
    fn short_segments_keep_as_much_for_what_is_under_way() {
        let mut judge = RoomJudge::new(MIB);
        assert_eq!(judge.judge(MIB, 15 * MIB), None);
        assert_eq!(judge.judge(MIB, 14 * MIB), Some(LogRoom::Low));
        assert_eq!(judge.judge(MIB, 6 * MIB), Some(LogRoom::Spent));
        assert_eq!(judge.judge(MIB, 100 * MIB), Some(LogRoom::Ample), "in one step");
    }
}
