//! How a learner is brought to the leader's state (zab §5).

use super::history::History;
use super::packet::FromLeader;
use crate::id::Zxid;

/// What a learner that has come this far needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Choice {
    /// This packet, and the history after this state.
    Send { start: FromLeader, after: Zxid },
    /// The learner is behind what is kept in memory: the log may have what it lacks.
    ReadLog,
    /// The whole tree.
    TakeSnapshot,
}

/// Chooses for a learner whose log ends at `peer`. `last` is the leader's own state: the last entry of the
/// history, or the epoch's zxid if nothing has happened in it.
///
/// ```text
///      peer        in the history: DIFF      beyond it: TRUNC
///   -----|-----[----------|-----------]------------|---
///   log or SNAP after                last          a tail that was never committed
/// ```
///
/// A TRUNC names only a transaction that the learner certainly has: one of the same epoch as the learner's
/// last, because a log that has a transaction has all earlier ones of its epoch. Java would name one of
/// another epoch where the learner is beyond the end; it gets the tree here.
pub(super) fn choose(peer: Zxid, last: Zxid, history: &History) -> Choice {
    if peer == Zxid::UNKNOWN {
        // Its server must not be trusted before it has everything: a part of it must not be on its disk.
        return Choice::TakeSnapshot;
    }
    let opens_epoch = peer.counter() == 0;
    if peer == last {
        return Choice::Send { start: FromLeader::Diff(peer), after: peer };
    }
    if peer > history.last() {
        return match opens_epoch {
            true => Choice::TakeSnapshot,
            false => truncate(peer, history.last()),
        };
    }
    if peer < history.after() {
        return Choice::ReadLog;
    }
    let around = history.around(peer);
    if around.at_or_before == peer || opens_epoch {
        return Choice::Send { start: FromLeader::Diff(history.last()), after: peer };
    }
    match around.next {
        Some(next) if next.epoch() == peer.epoch() => truncate(peer, around.at_or_before),
        _ => Choice::TakeSnapshot,
    }
}

fn truncate(peer: Zxid, to: Zxid) -> Choice {
    match to.epoch() == peer.epoch() && to.counter() != 0 {
        true => Choice::Send { start: FromLeader::Trunc(to), after: to },
        false => Choice::TakeSnapshot,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::zab::history::{HistoryBounds, Logged};

    const fn at(epoch: u32, counter: u32) -> Zxid {
        Zxid(((epoch as i64) << 32) | counter as i64)
    }

    /// After 1:3: 1:4, 1:5, then 3:1, 3:2.
    fn history() -> History {
        let mut history = History::new(at(1, 3), HistoryBounds::default());
        for zxid in [at(1, 4), at(1, 5), at(3, 1), at(3, 2)] {
            history.push(Logged { zxid, payload: [][..].into() });
        }
        history
    }

    fn diff(after: Zxid) -> Choice {
        Choice::Send { start: FromLeader::Diff(at(3, 2)), after }
    }

    fn trunc(to: Zxid) -> Choice {
        Choice::Send { start: FromLeader::Trunc(to), after: to }
    }

    #[test]
    fn each_place_in_the_history_has_its_answer() {
        for (peer, expected) in [
            (at(3, 2), diff(at(3, 2))),
            (at(3, 1), diff(at(3, 1))),
            (at(3, 0), diff(at(3, 0))),
            (at(2, 0), diff(at(2, 0))),
            (at(1, 5), diff(at(1, 5))),
            (at(1, 3), diff(at(1, 3))),
            (at(1, 6), Choice::TakeSnapshot),
            (at(2, 1), Choice::TakeSnapshot),
            (at(3, 3), trunc(at(3, 2))),
            (at(4, 0), Choice::TakeSnapshot),
            (at(4, 1), Choice::TakeSnapshot),
            (at(1, 2), Choice::ReadLog),
            (Zxid::ZERO, Choice::ReadLog),
            (Zxid::UNKNOWN, Choice::TakeSnapshot),
        ] {
            assert_eq!(choose(peer, at(3, 2), &history()), expected, "{peer}");
        }
    }

    #[test]
    fn a_gap_in_an_epoch_truncates_to_what_is_before_it() {
        let mut history = History::new(at(1, 3), HistoryBounds::default());
        history.push(Logged { zxid: at(1, 9), payload: [][..].into() });
        assert_eq!(choose(at(1, 5), at(1, 9), &history), trunc(at(1, 3)));
    }

    #[test]
    fn in_an_epoch_without_transactions_the_tail_of_the_last_one_is_cut() {
        let mut history = history();
        history.truncate(at(1, 5));
        let last = at(5, 0);
        assert_eq!(choose(at(1, 6), last, &history), trunc(at(1, 5)));
        assert_eq!(
            choose(at(1, 5), last, &history),
            Choice::Send { start: FromLeader::Diff(at(1, 5)), after: at(1, 5) }
        );
        assert_eq!(choose(last, last, &history), Choice::Send { start: FromLeader::Diff(last), after: last });
        history.restart(last);
        assert_eq!(choose(at(5, 1), last, &history), Choice::TakeSnapshot, "5:0 is in no log");
    }
}
