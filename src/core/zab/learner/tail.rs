use std::collections::VecDeque;

use crate::id::Zxid;
use crate::jute::Reader;
use crate::proto::TxnHeader;
use crate::zab::history::Logged;
use crate::zab::reason::DownReason;

/// What a server's log has beyond its database: transactions of which it is not known, or was not when they
/// came, that they are committed.
#[derive(Clone, Debug, Default)]
pub struct Tail {
    applied: Zxid,
    entries: VecDeque<Logged>,
    /// How many of the entries are known to be committed.
    committed: usize,
}

impl Tail {
    /// The log ends where the database does.
    pub fn new(applied: Zxid) -> Tail {
        Tail { applied, entries: VecDeque::new(), committed: 0 }
    }

    /// What a leader that is down leaves behind.
    pub fn of(applied: Zxid, entries: VecDeque<Logged>) -> Tail {
        Tail { applied, entries, committed: 0 }
    }

    /// The state of the database.
    pub fn applied(&self) -> Zxid {
        self.applied
    }

    /// Where the log ends.
    pub fn last(&self) -> Zxid {
        self.entries.back().map_or(self.applied, |last| last.zxid)
    }

    /// The entries, oldest first.
    pub fn entries(&self) -> impl Iterator<Item = &Logged> {
        self.entries.iter()
    }

    /// Nothing is known to be committed any more: a new leader decides.
    pub(super) fn forget_commits(&mut self) {
        self.committed = 0;
    }

    /// Adds what the leader proposes next: within an epoch without a gap, and something that can be read,
    /// so that the log can be read again.
    pub(super) fn push(&mut self, logged: Logged) -> Result<(), DownReason> {
        let (last, zxid) = (self.last(), logged.zxid);
        if zxid != last.next() && zxid.epoch() <= last.epoch() {
            return Err(DownReason::OutOfOrder { expected: last.next(), found: zxid });
        }
        TxnHeader::decode(&mut Reader::new(&logged.payload))
            .map_err(|error| DownReason::Undecodable { zxid, error })?;
        self.entries.push_back(logged);
        Ok(())
    }

    /// The oldest entry that was not committed is. It must be this one.
    pub(super) fn commit(&mut self, zxid: Zxid) -> Result<(), DownReason> {
        match self.entries.get(self.committed) {
            Some(next) if next.zxid == zxid => {
                self.committed += 1;
                Ok(())
            }
            next => {
                let expected = next.map_or(self.last().next(), |next| next.zxid);
                Err(DownReason::OutOfOrder { expected, found: zxid })
            }
        }
    }

    /// All entries are part of the leader's history.
    pub(super) fn commit_all(&mut self) {
        self.committed = self.entries.len();
    }

    /// The last transaction that is known to be committed.
    pub(super) fn last_committed(&self) -> Zxid {
        let last = self.committed.checked_sub(1).and_then(|last| self.entries.get(last));
        last.map_or(self.applied, |last| last.zxid)
    }

    /// The entries that are not committed.
    pub(super) fn uncommitted(&self) -> impl Iterator<Item = Zxid> {
        self.entries.range(self.committed..).map(|logged| logged.zxid)
    }

    /// Takes out the oldest entry if it is committed: the database gets it.
    pub(super) fn pop_committed(&mut self) -> Option<Logged> {
        self.committed = self.committed.checked_sub(1)?;
        let logged = self.entries.pop_front()?;
        self.applied = logged.zxid;
        Some(logged)
    }

    /// Drops what follows this zxid, and says whether the database has some of it. The zxid must be that of
    /// a transaction here, or before the database's end, where only the disk can tell; or it opens an epoch.
    pub(super) fn truncate(&mut self, zxid: Zxid) -> Result<bool, DownReason> {
        self.entries.retain(|logged| logged.zxid <= zxid);
        if zxid < self.applied {
            self.applied = zxid;
            return Ok(true);
        }
        match self.last() == zxid || zxid.counter() == 0 {
            true => Ok(false),
            false => Err(DownReason::CannotTruncate { zxid }),
        }
    }

    /// A whole tree takes the place of database and log.
    pub(super) fn restart(&mut self, applied: Zxid) {
        *self = Tail::new(applied);
    }
}
