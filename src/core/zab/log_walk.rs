use super::history::{History, HistoryBounds, LogExcerpt, Logged};
use crate::id::Zxid;

/// Gathers the history from the logs on disk, whose records are handed to it in order.
///
/// A log may lack what the server got otherwise: a whole tree from its leader, say. So each record says what it
/// follows, and where that is not the record before it, the history begins anew.
pub struct LogWalk {
    history: Option<History>,
    /// What is not after this is only needed to begin with.
    from: Zxid,
    upto: Zxid,
    last: Option<Zxid>,
    bounds: HistoryBounds,
}

impl LogWalk {
    /// A walk to `upto`, of which what follows `from` is wanted, and of that no more than fits.
    pub fn new(from: Zxid, upto: Zxid, bounds: HistoryBounds) -> LogWalk {
        LogWalk { history: None, from, upto, last: None, bounds }
    }

    /// The next record, and the state that it follows, if that is known.
    pub fn push(&mut self, follows: Option<Zxid>, zxid: Zxid, payload: &[u8]) {
        if zxid > self.upto || self.last.is_some_and(|last| zxid <= last) {
            return;
        }
        let is_next = follows.is_some() && follows == self.last;
        self.last = Some(zxid);
        let history = match &mut self.history {
            Some(history) if is_next => history,
            // What came before the record is unknown, but not that it came.
            history => history.insert(History::new(follows.unwrap_or(zxid), self.bounds)),
        };
        match zxid <= self.from {
            true => history.restart(zxid),
            false => history.push(Logged { zxid, payload: payload.into() }),
        }
    }

    /// The last record.
    pub fn last(&self) -> Option<Zxid> {
        self.last
    }

    /// Whether there is no room for more.
    pub fn is_full(&self) -> bool {
        let len = self.history.as_ref().map_or(0, |history| history.since(Zxid(i64::MIN)).count());
        len >= self.bounds.count_max
    }

    /// The last of the history, with `state` at its end: nothing before that if the logs do not lead there.
    pub fn into_history(self, state: Zxid) -> History {
        let bounds = self.bounds;
        self.history.filter(|history| history.last() == state).unwrap_or_else(|| History::new(state, bounds))
    }

    /// What follows `from`; `None` if the logs do not have all of it, or it does not fit.
    pub fn into_excerpt(self) -> Option<LogExcerpt> {
        let history = self.history.filter(|history| history.after() <= self.from)?;
        Some(LogExcerpt { after: history.after(), entries: history.since(self.from).cloned().collect() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: HistoryBounds = HistoryBounds { count_max: 100, len_max: 1000 };

    /// Each record with what it follows.
    fn walk(from: i64, upto: i64, bounds: HistoryBounds, records: &[(Option<i64>, i64)]) -> LogWalk {
        let mut walk = LogWalk::new(Zxid(from), Zxid(upto), bounds);
        for (follows, zxid) in records {
            walk.push(follows.map(Zxid), Zxid(*zxid), &[0; 10]);
        }
        walk
    }

    fn zxids(entries: &[Logged]) -> Vec<i64> {
        entries.iter().map(|logged| logged.zxid.0).collect()
    }

    const CHAIN: [(Option<i64>, i64); 4] = [(Some(10), 11), (Some(11), 12), (Some(12), 13), (Some(13), 14)];

    #[test]
    fn an_excerpt_has_what_follows_a_state_that_the_log_knows() {
        for (from, after, rest) in [(10, 10, vec![11, 12, 13]), (12, 12, vec![13]), (13, 13, vec![])] {
            let excerpt = walk(from, 13, ALL, &CHAIN).into_excerpt().expect("no gap");
            assert_eq!((excerpt.after, zxids(&excerpt.entries)), (Zxid(after), rest), "{from}");
        }
        assert_eq!(walk(9, 13, ALL, &CHAIN).into_excerpt(), None, "the log begins later");
        let none = LogWalk::new(Zxid(9), Zxid(13), ALL);
        assert_eq!(none.into_excerpt(), None);
    }

    /// What is before it may be of a leader that found no quorum, after which another sent its tree: in the simulator
    /// such a transaction was sent on to a learner.
    #[test]
    fn what_comes_before_a_gap_is_of_no_use() {
        let gap = [(Some(10), 11), (Some(15), 16), (Some(16), 17)];
        assert_eq!(walk(11, 17, ALL, &gap).into_excerpt(), None);
        let excerpt = walk(15, 17, ALL, &gap).into_excerpt().expect("15 is what 16 follows");
        assert_eq!(zxids(&excerpt.entries), [16, 17]);
        let history = walk(0, 17, ALL, &gap).into_history(Zxid(17));
        assert_eq!((history.after(), history.last()), (Zxid(15), Zxid(17)));
    }

    #[test]
    fn a_record_of_which_nobody_knows_what_it_follows_can_only_begin_a_history() {
        let unknown = [(Some(10), 11), (None, 21), (Some(21), 22)];
        assert_eq!(walk(11, 22, ALL, &unknown).into_excerpt(), None);
        let history = walk(0, 22, ALL, &unknown).into_history(Zxid(22));
        assert_eq!((history.after(), history.last()), (Zxid(21), Zxid(22)));
    }

    #[test]
    fn what_does_not_fit_goes_oldest_first() {
        let few = HistoryBounds { count_max: 2, len_max: 1000 };
        assert!(walk(0, 14, few, &CHAIN).is_full());
        assert_eq!(walk(0, 14, few, &CHAIN).into_history(Zxid(14)).after(), Zxid(12));
        assert_eq!(walk(11, 14, few, &CHAIN).into_excerpt(), None);
        assert!(walk(12, 14, few, &CHAIN).into_excerpt().is_some());
    }

    #[test]
    fn a_state_that_no_log_leads_to_has_no_history() {
        let history = walk(0, 14, ALL, &CHAIN).into_history(Zxid(20));
        assert_eq!((history.after(), history.last()), (Zxid(20), Zxid(20)));
    }
}
