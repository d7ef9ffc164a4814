use crate::id::SessionId;
use crate::proto::{PASSWORD_LEN, Password};

/// The password of a session: the first 16 bytes of Java's `Random` seeded with the session's id and a
/// constant, so that Java servers and this one accept each other's clients (client-protocol §3). It
/// guards against mistakes, not against attackers.
pub fn password_of(session: SessionId) -> Password {
    let mut state = (session.0 as u64 ^ SECRET ^ MULTIPLIER) & STATE_MASK;
    let mut password = [0; PASSWORD_LEN];
    for word in password.as_chunks_mut::<4>().0 {
        state = state.wrapping_mul(MULTIPLIER).wrapping_add(INCREMENT) & STATE_MASK;
        *word = ((state >> 16) as u32).to_le_bytes();
    }
    password
}

const SECRET: u64 = 0xb341_5c00;
const MULTIPLIER: u64 = 0x5_deec_e66d;
const INCREMENT: u64 = 0xb;
const STATE_MASK: u64 = (1 << 48) - 1;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_password_is_the_one_that_java_derives() {
        let expected =
            [0xdb, 0xa7, 0xe6, 0x94, 0xcc, 0x6b, 0x7d, 0x15, 0xb1, 0xf9, 0x50, 0xc5, 0xf5, 0x9e, 0x9d, 0x06];
        assert_eq!(password_of(SessionId(0x0100_0019_6d37_0000)), expected);
    }
}
