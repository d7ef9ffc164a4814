//! Identifiers that ZooKeeper's protocol and files share.

use std::fmt;

/// A transaction id: the epoch of the leader that issued it in the upper half, a counter in the lower.
///
/// Ordered as the protocol orders it, as a signed 64-bit number. Printed as `0x…`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Zxid(pub i64);

impl Zxid {
    /// The zxid of an empty database.
    pub const ZERO: Zxid = Zxid(0);

    /// What a server says to others of a database that must not be trusted (election §3.2).
    pub const UNKNOWN: Zxid = Zxid(-1);

    /// The zxid with this epoch and counter.
    pub fn new(epoch: u32, counter: u32) -> Zxid {
        Zxid(((epoch as i64) << 32) | counter as i64)
    }

    /// The leader's epoch.
    pub fn epoch(self) -> u32 {
        (self.0 >> 32) as u32
    }

    /// The number of the transaction within its epoch.
    pub fn counter(self) -> u32 {
        self.0 as u32
    }

    /// The zxid after this one, in the same epoch; on overflow of the counter the next epoch's first.
    pub fn next(self) -> Zxid {
        Zxid(self.0 + 1)
    }
}

impl fmt::Display for Zxid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "0x{:x}", self.0)
    }
}

/// A client session. Zero means "none" on the wire. Printed as `0x…`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(pub i64);

impl SessionId {
    /// What a client sends to ask for a new session, and the owner of nodes that have none.
    pub const NONE: SessionId = SessionId(0);

    /// The first id that a server hands out when it starts at `since_ms`: the server's id in the top
    /// byte, 40 bits of the time below, 16 zero bits that count up (server-semantics §9).
    pub fn first(server: ServerId, since_ms: i64) -> SessionId {
        let time = (((since_ms as u64) << 24) >> 8) as i64;
        SessionId(time | (server.0 << 56))
    }

    /// The id of the server that handed it out, as far as the top byte tells.
    pub fn server(self) -> i64 {
        (self.0 >> 56) & 0xff
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "0x{:x}", self.0)
    }
}

/// A server of the ensemble: the content of its `myid`. A standalone server counts as 1 for session ids.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServerId(pub i64);

impl fmt::Display for ServerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zxid_is_epoch_and_counter() {
        let zxid = Zxid::new(3, 7);
        assert_eq!((zxid.0, zxid.epoch(), zxid.counter()), (0x3_0000_0007, 3, 7));
        assert_eq!(Zxid::new(1, u32::MAX).next(), Zxid::new(2, 0));
        assert_eq!(zxid.to_string(), "0x300000007");
    }

    #[test]
    fn a_session_id_carries_the_server_in_its_top_byte() {
        let id = SessionId::first(ServerId(1), 0x19_6d37_0000);
        assert_eq!(id.0 >> 56, 1);
        assert_eq!(id.0 & 0xffff, 0);
        let high = SessionId::first(ServerId(200), 0x19_6d37_0000);
        assert!(high.0 < 0, "server ids from 128 make negative session ids, as in Java");
    }
}
