use std::collections::VecDeque;

use crate::format::snapshot::Digest;
use crate::id::Zxid;
use crate::proto::TxnDigest;
use crate::tree::DIGEST_VERSION;

/// What is known of the digests that this server's tree had, and whether they were what others said of the
/// same states: their transactions, and snapshots.
///
/// A tree that differs is reported and served all the same, as by Java: nobody knows who is right.
#[derive(Debug, Default)]
pub struct Digests {
    /// Every [`LOG_INTERVAL`]th state.
    log: VecDeque<(Zxid, u64)>,
    /// What a snapshot says of a state that is not reached yet. Until then the tree is part of later states.
    awaited: Option<(Zxid, i64)>,
    compared: u64,
    mismatches: u64,
    last: Option<Mismatch>,
}

/// A state whose digest is not what somebody said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mismatch {
    /// The state.
    pub zxid: Zxid,
    /// What was said.
    pub expected: i64,
    /// What this server's tree has.
    pub actual: i64,
}

impl Digests {
    /// The digests of every 128th transaction, the last 1024 of them: what the word `hash` shows.
    pub fn log(&self) -> impl Iterator<Item = (Zxid, u64)> {
        self.log.iter().copied()
    }

    /// How many were compared.
    pub fn compared(&self) -> u64 {
        self.compared
    }

    /// How many differed.
    pub fn mismatches(&self) -> u64 {
        self.mismatches
    }

    /// The last that differed.
    pub fn last_mismatch(&self) -> Option<Mismatch> {
        self.last
    }

    /// The tree is one that was loaded from a snapshot as of `loaded`, which says this of its digest. A snapshot
    /// that Java wrote while it served says it of a later state: the one at its end.
    pub(super) fn on_snapshot(&mut self, said: Digest, loaded: Zxid, actual: u64) {
        if said.version == DIGEST_VERSION && said.zxid >= loaded && said.zxid != Zxid::ZERO {
            self.awaited = Some((said.zxid, said.value));
            self.reach(loaded, actual);
        }
    }

    /// The tree is in the state after this transaction.
    pub(super) fn on_applied(&mut self, zxid: Zxid, actual: u64) {
        self.reach(zxid, actual);
        if zxid.0 % LOG_INTERVAL == 0 && self.awaited.is_none() {
            if self.log.len() == LOG_LEN_MAX {
                self.log.pop_front();
            }
            self.log.push_back((zxid, actual));
        }
    }

    /// Compares what the transaction that led to this state says.
    pub(super) fn check(&mut self, zxid: Zxid, said: TxnDigest, actual: u64) {
        if said.version == DIGEST_VERSION && self.awaited.is_none() {
            self.compare(zxid, said.tree_digest, actual);
        }
    }

    /// What comes after `zxid` was taken back.
    pub(super) fn rewind(&mut self, zxid: Zxid) {
        while self.log.back().is_some_and(|(last, _)| *last > zxid) {
            self.log.pop_back();
        }
    }

    /// Another tree takes the place of this one.
    pub(super) fn restart(&mut self) {
        let Digests { compared, mismatches, last, .. } = *self;
        *self = Digests { compared, mismatches, last, ..Digests::default() };
    }

    fn reach(&mut self, zxid: Zxid, actual: u64) {
        if let Some((at, expected)) = self.awaited.take_if(|(at, _)| *at <= zxid)
            && at == zxid
        {
            self.compare(zxid, expected, actual);
        }
    }

    fn compare(&mut self, zxid: Zxid, expected: i64, actual: u64) {
        let actual = actual as i64;
        self.compared += 1;
        if expected != actual {
            self.mismatches += 1;
            self.last = Some(Mismatch { zxid, expected, actual });
        }
    }
}

const LOG_INTERVAL: i64 = 128;
const LOG_LEN_MAX: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn said(value: i64) -> TxnDigest {
        TxnDigest { version: DIGEST_VERSION, tree_digest: value }
    }

    #[test]
    fn every_128th_state_is_kept_and_of_those_the_last_1024() {
        let mut digests = Digests::default();
        for zxid in 1..=128 * 1030 {
            digests.on_applied(Zxid(zxid), zxid as u64);
        }
        let log: Vec<_> = digests.log().collect();
        assert_eq!(
            (log.len(), log[0], log[1023]),
            (1024, (Zxid(128 * 7), 128 * 7), (Zxid(131_840), 131_840))
        );
        digests.rewind(Zxid(131_839));
        assert_eq!(digests.log().last(), Some((Zxid(131_712), 131_712)));
    }

    #[test]
    fn a_mismatch_is_counted_and_a_digest_of_another_version_is_none() {
        let mut digests = Digests::default();
        digests.check(Zxid(1), said(5), 5);
        digests.check(Zxid(2), TxnDigest { version: 3, tree_digest: 6 }, 5);
        assert_eq!((digests.mismatches(), digests.last_mismatch()), (0, None));
        digests.check(Zxid(3), said(-1), 5);
        let mismatch = Mismatch { zxid: Zxid(3), expected: -1, actual: 5 };
        assert_eq!((digests.mismatches(), digests.last_mismatch()), (1, Some(mismatch)));
        digests.restart();
        assert_eq!((digests.mismatches(), digests.last_mismatch()), (1, Some(mismatch)));
    }

    #[test]
    fn nothing_is_compared_before_a_fuzzy_snapshot_s_last_state() {
        let snapshot = |zxid| Digest { zxid: Zxid(zxid), version: DIGEST_VERSION, value: 9 };
        let mut digests = Digests::default();
        digests.on_snapshot(snapshot(130), Zxid(127), 1);
        digests.on_applied(Zxid(128), 2);
        digests.check(Zxid(128), said(7), 2);
        assert_eq!((digests.mismatches(), digests.log().count()), (0, 0));
        digests.on_applied(Zxid(130), 9);
        digests.check(Zxid(130), said(9), 9);
        assert_eq!(digests.mismatches(), 0);
        digests.check(Zxid(131), said(8), 9);
        assert_eq!(digests.mismatches(), 1);
    }

    #[test]
    fn a_snapshot_s_digest_counts_for_its_own_state_alone() {
        let snapshot = |zxid| Digest { zxid: Zxid(zxid), version: DIGEST_VERSION, value: 9 };
        for (zxid, actual, mismatches) in [(7, 9, 0), (7, 8, 1), (6, 8, 0), (0, 8, 0)] {
            let mut digests = Digests::default();
            digests.on_snapshot(snapshot(zxid), Zxid(7), actual);
            assert_eq!(digests.mismatches(), mismatches, "{zxid} {actual}");
            digests.check(Zxid(8), said(1), 2);
            assert_eq!(digests.mismatches(), mismatches + 1, "{zxid} {actual}");
        }
        let mut digests = Digests::default();
        digests.on_snapshot(snapshot(9), Zxid(7), 1);
        digests.on_applied(Zxid(10), 4);
        digests.check(Zxid(10), said(1), 4);
        assert_eq!(digests.mismatches(), 1, "the log has no such transaction");
    }
}
