use std::collections::VecDeque;

use super::packet::Payload;
use crate::id::Zxid;
use crate::jute::Reader;
use crate::proto::TxnHeader;

/// A transaction as it is in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Logged {
    /// Its number.
    pub zxid: Zxid,
    /// Header, record and perhaps a digest.
    pub payload: Payload,
}

impl Logged {
    /// Whether a server of 3.4 can read it.
    pub(super) fn is_known_to_3_4(&self) -> bool {
        let read = TxnHeader::decode(&mut Reader::new(&self.payload));
        read.is_ok_and(|(_, txn)| txn.is_known_to_3_4())
    }
}

/// The last transactions of the history that all servers share, kept to bring learners up to date without
/// a look at the disk (zab §5). Bounded: what does not fit any more is forgotten, oldest first.
#[derive(Clone, Debug)]
pub struct History {
    /// What was last before the first entry.
    after: Zxid,
    entries: VecDeque<Logged>,
    len: usize,
    bounds: HistoryBounds,
}

/// How much of the history is kept.
#[derive(Clone, Copy, Debug)]
pub struct HistoryBounds {
    /// `zookeeper.commitLogCount`: how many transactions.
    pub count_max: usize,
    /// How many bytes of them; the newest is kept whatever it takes.
    pub len_max: usize,
}

impl Default for HistoryBounds {
    fn default() -> Self {
        HistoryBounds { count_max: 500, len_max: 64 << 20 }
    }
}

impl History {
    /// The history from this state on, which nothing has followed yet.
    pub fn new(after: Zxid, bounds: HistoryBounds) -> History {
        History { after, entries: VecDeque::new(), len: 0, bounds }
    }

    /// Forgets everything: the history goes on from this state.
    pub fn restart(&mut self, after: Zxid) {
        *self = History::new(after, self.bounds);
    }

    /// Adds the next transactions, and forgets nothing before more is [pushed](History::push).
    pub fn push_all(&mut self, entries: impl IntoIterator<Item = Logged>) {
        let last = self.last();
        for logged in entries.into_iter().skip_while(|logged| logged.zxid <= last) {
            self.len += logged.payload.len();
            self.entries.push_back(logged);
        }
    }

    /// Adds the next transaction. One that is not newer than the last is there already, and left out.
    pub fn push(&mut self, logged: Logged) {
        if logged.zxid <= self.last() {
            return;
        }
        self.len += logged.payload.len();
        self.entries.push_back(logged);
        while self.entries.len() > self.bounds.count_max.max(1)
            || (self.len > self.bounds.len_max && self.entries.len() > 1)
        {
            let Some(first) = self.entries.pop_front() else { break };
            self.len -= first.payload.len();
            self.after = first.zxid;
        }
    }

    /// Forgets what came after this state.
    pub fn truncate(&mut self, zxid: Zxid) {
        if zxid < self.after {
            return self.restart(zxid);
        }
        for dropped in self.entries.drain(self.position_after(zxid)..) {
            self.len -= dropped.payload.len();
        }
    }

    /// The state that the first entry follows: nothing before it is known.
    pub fn after(&self) -> Zxid {
        self.after
    }

    /// The last transaction's number.
    pub fn last(&self) -> Zxid {
        self.entries.back().map_or(self.after, |last| last.zxid)
    }

    /// The entries that follow a state.
    pub fn since(&self, zxid: Zxid) -> impl Iterator<Item = &Logged> {
        self.entries.range(self.position_after(zxid)..)
    }

    /// This history with what came before it, as read from the log; `None` if there is a gap between them.
    /// The log also has what is not committed yet: what is here already is not taken from it.
    pub(super) fn preceded_by(&self, before: LogExcerpt) -> Option<History> {
        let len_max = usize::MAX;
        let mut joined = History::new(before.after, HistoryBounds { count_max: len_max, len_max });
        let earlier = before.entries.into_iter().take_while(|logged| logged.zxid <= self.after);
        earlier.for_each(|logged| joined.push(logged));
        if joined.last() < self.after {
            return None;
        }
        self.entries.iter().cloned().for_each(|logged| joined.push(logged));
        Some(joined)
    }

    /// The entry or start before `zxid`, whether `zxid` itself is there, and the entry after it.
    pub(super) fn around(&self, zxid: Zxid) -> Around {
        let next = self.position_after(zxid);
        let at_or_before = match next.checked_sub(1) {
            Some(position) => self.entries[position].zxid,
            None => self.after,
        };
        Around { at_or_before, next: self.entries.get(next).map(|logged| logged.zxid) }
    }

    fn position_after(&self, zxid: Zxid) -> usize {
        self.entries.partition_point(|logged| logged.zxid <= zxid)
    }
}

/// What of the history is around a zxid.
pub(super) struct Around {
    /// The last that is not after it.
    pub(super) at_or_before: Zxid,
    /// The first after it.
    pub(super) next: Option<Zxid>,
}

/// Transactions read from the log on disk, without a gap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogExcerpt {
    /// The number of a record, or of a snapshot's state, that the first entry follows.
    pub after: Zxid,
    /// The records after it.
    pub entries: Vec<Logged>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn logged(zxid: i64) -> Logged {
        Logged { zxid: Zxid(zxid), payload: [0; 10][..].into() }
    }

    fn history(count_max: usize, zxids: std::ops::RangeInclusive<i64>) -> History {
        let mut history = History::new(Zxid(zxids.start() - 1), HistoryBounds { count_max, len_max: 1000 });
        zxids.for_each(|zxid| history.push(logged(zxid)));
        history
    }

    fn zxids(history: &History, since: i64) -> Vec<i64> {
        history.since(Zxid(since)).map(|logged| logged.zxid.0).collect()
    }

    #[test]
    fn the_oldest_go_first_when_the_window_is_full() {
        let mut kept = history(3, 1..=5);
        assert_eq!((kept.after(), kept.last(), zxids(&kept, 0)), (Zxid(2), Zxid(5), vec![3, 4, 5]));
        kept.push(Logged { zxid: Zxid(6), payload: vec![0; 2000].into() });
        assert_eq!((kept.after(), zxids(&kept, 0)), (Zxid(5), vec![6]));
    }

    #[test]
    fn what_is_added_at_once_is_kept_whole_until_more_comes() {
        let mut kept = history(3, 1..=3);
        kept.push_all((3..=6).map(logged));
        assert_eq!((kept.after(), zxids(&kept, 0)), (Zxid(0), vec![1, 2, 3, 4, 5, 6]));
        kept.push(logged(7));
        assert_eq!((kept.after(), zxids(&kept, 0)), (Zxid(4), vec![5, 6, 7]));
    }

    #[test]
    fn what_is_truncated_is_forgotten() {
        let mut kept = history(9, 3..=6);
        kept.truncate(Zxid(4));
        assert_eq!((kept.after(), zxids(&kept, 0)), (Zxid(2), vec![3, 4]));
        kept.truncate(Zxid(1));
        assert_eq!((kept.after(), kept.last(), zxids(&kept, 0)), (Zxid(1), Zxid(1), vec![]));
    }

    #[test]
    fn an_excerpt_of_the_log_goes_before_without_repetition_or_not_at_all() {
        let kept = history(9, 5..=7);
        let excerpt = |zxids: &[i64]| LogExcerpt {
            after: Zxid(1),
            entries: zxids.iter().copied().map(logged).collect(),
        };
        let joined = kept.preceded_by(excerpt(&[2, 3, 4, 5])).expect("no gap");
        assert_eq!((joined.after(), zxids(&joined, 0)), (Zxid(1), vec![2, 3, 4, 5, 6, 7]));
        assert!(kept.preceded_by(excerpt(&[2, 3])).is_none());
        let joined = kept.preceded_by(excerpt(&[2, 3, 4, 5, 6, 7, 8])).expect("no gap");
        assert_eq!(joined.last(), Zxid(7), "8 is in the log, but not committed");
    }
}
