//! The log's promise, as a value.

use crate::id::Zxid;

/// Proof that every transaction up to a zxid is on stable storage.
///
/// An acknowledgement, to a client or to a leader, is a promise about the disk, so it takes one of these
/// to make one. Where the operator has waived the promise (`forceSync=no`), it says only that the log has
/// handed the transactions to the operating system.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Durable {
    upto: Zxid,
}

impl Durable {
    /// For the log alone, when the write that carries `upto` has returned: whoever else calls this breaks
    /// the guarantee that nothing acknowledged is ever lost.
    pub fn promised_by_the_log(upto: Zxid) -> Durable {
        Durable { upto }
    }

    /// What a log would promise that a test plays.
    #[cfg(any(test, feature = "simulation"))]
    pub fn in_a_test(upto: Zxid) -> Durable {
        Durable { upto }
    }

    /// The last transaction that the promise covers.
    pub fn upto(self) -> Zxid {
        self.upto
    }
}
