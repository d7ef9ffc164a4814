use crate::id::SessionId;

/// What a stored `ephemeralOwner` says a node is (server-semantics §5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// A persistent node.
    None,
    /// An ephemeral, which goes with this session.
    Session(SessionId),
    /// A container, which goes when its last child is gone.
    Container,
    /// A node that goes when it has no children and was not modified for so many milliseconds.
    Ttl(i64),
}

impl Owner {
    /// Reads the stored number. Without extended types only containers are told from sessions.
    pub fn from_stored(stored: i64, extended_types: bool) -> Owner {
        match stored {
            0 => Owner::None,
            CONTAINER => Owner::Container,
            _ if extended_types && (stored as u64) >> 56 == TTL_TYPE => Owner::Ttl(stored & TTL_MS_MAX),
            _ => Owner::Session(SessionId(stored)),
        }
    }

    /// The number that is stored.
    pub fn stored(self) -> i64 {
        match self {
            Owner::None => 0,
            Owner::Session(session) => session.0,
            Owner::Container => CONTAINER,
            Owner::Ttl(ttl_ms) => ((TTL_TYPE << 56) as i64) | (ttl_ms & TTL_MS_MAX),
        }
    }

    /// The number that clients see: only a session shows.
    pub fn on_the_wire(self) -> i64 {
        match self {
            Owner::Session(session) => session.0,
            _ => 0,
        }
    }

    /// The longest time to live, in milliseconds.
    pub const TTL_MS_MAX: i64 = TTL_MS_MAX;
}

const CONTAINER: i64 = i64::MIN;
const TTL_TYPE: u64 = 0xff;
const TTL_MS_MAX: i64 = 0xff_ffff_ffff;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_reads_back_as_it_was_stored() {
        for owner in [Owner::None, Owner::Session(SessionId(5)), Owner::Container, Owner::Ttl(TTL_MS_MAX)] {
            assert_eq!(Owner::from_stored(owner.stored(), true), owner);
        }
    }

    #[test]
    fn without_extended_types_a_ttl_reads_as_a_session() {
        let stored = Owner::Ttl(1000).stored();
        assert_eq!(Owner::from_stored(stored, false), Owner::Session(SessionId(stored)));
    }
}
