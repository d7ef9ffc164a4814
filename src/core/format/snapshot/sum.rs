use simd_adler32::adler32;

/// The Adler-32 of bytes, to which those of the bytes behind them can be joined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sum {
    adler: u32,
    len: usize,
}

impl Sum {
    /// The sum of no bytes.
    pub(super) const EMPTY: Sum = Sum { adler: 1, len: 0 };

    pub(super) fn of(bytes: &[u8]) -> Sum {
        Sum { adler: adler32(&bytes), len: bytes.len() }
    }

    /// The sum of these bytes and those behind them. The low half of a sum starts at 1 and has each byte
    /// added; the high half is the sum of all that the low half was, so it has as many times more what
    /// the low half starts with as bytes follow.
    pub(super) fn join(self, behind: Sum) -> Sum {
        let (low, high) = self.halves();
        let (low_behind, high_behind) = behind.halves();
        let ahead = (low + MODULUS - 1) % MODULUS;
        let low = (low_behind + ahead) % MODULUS;
        let high = (high + high_behind + (behind.len as u64 % MODULUS) * ahead) % MODULUS;
        Sum { adler: (high << 16 | low) as u32, len: self.len + behind.len }
    }

    pub(super) fn value(self) -> u32 {
        self.adler
    }

    /// Of how many bytes it is.
    pub(super) fn len(self) -> usize {
        self.len
    }

    fn halves(self) -> (u64, u64) {
        (u64::from(self.adler & 0xffff), u64::from(self.adler >> 16))
    }
}

const MODULUS: u64 = 65521;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_sum_of_pieces_is_that_of_the_whole(pieces in prop::collection::vec(prop::collection::vec(128u8.., 0..9000), 0..40)) {
            let joined = pieces.iter().fold(Sum::EMPTY, |sum, piece| sum.join(Sum::of(piece)));
            prop_assert_eq!(joined, Sum::of(&pieces.concat()));
        }
    }

    #[test]
    fn more_bytes_than_the_modulus_are_summed_as_well() {
        let bytes = vec![0xff; 1 << 20];
        let (first, rest) = bytes.split_at(100_000);
        assert_eq!(Sum::of(first).join(Sum::of(rest)), Sum::of(&bytes));
    }
}
