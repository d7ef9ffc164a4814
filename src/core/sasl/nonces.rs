use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

/// Values that nobody can guess and that don't come again, made from a secret that a driver draws by lot.
#[derive(Clone)]
pub struct Nonces {
    secret: [u8; 32],
    count: u64,
}

impl Nonces {
    /// Those that come from this secret.
    pub fn new(secret: [u8; 32]) -> Nonces {
        Nonces { secret, count: 0 }
    }

    /// The next one: letters, digits and a few signs.
    pub fn next_nonce(&mut self) -> String {
        STANDARD.encode(&self.next()[..NONCE_LEN])
    }

    /// Others, of which these tell nothing.
    pub fn apart(&mut self) -> Nonces {
        Nonces::new(self.next())
    }

    fn next(&mut self) -> [u8; 32] {
        self.count += 1;
        Sha256::new().chain_update(self.secret).chain_update(self.count.to_be_bytes()).finalize().into()
    }
}

impl std::fmt::Debug for Nonces {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Nonces({})", self.count)
    }
}

/// As long as Java's.
const NONCE_LEN: usize = 30;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn none_comes_twice_nor_from_another_secret() {
        let (mut one, mut other) = (Nonces::new([1; 32]), Nonces::new([2; 32]));
        let mut third = one.apart();
        let mut all: Vec<String> =
            (0..100).flat_map(|_| [&mut one, &mut other, &mut third].map(Nonces::next_nonce)).collect();
        assert!(all.iter().all(|nonce| nonce.len() == 40));
        all.sort();
        all.dedup();
        assert_eq!(all.len(), 300);
        assert!(!format!("{one:?}").contains("1, 1"), "the secret is told to nobody");
    }
}
