use simd_adler32::Adler32;
use thiserror::Error;

use super::compression::{Compression, UnpackError};
use super::{END, END_LEN, MAGIC, SEAL_LEN};

/// Why a file is not what was once written as a snapshot.
#[derive(Debug, Error)]
pub enum SealError {
    /// It cannot be unpacked.
    #[error(transparent)]
    Unpack(#[from] UnpackError),
    /// It begins or ends otherwise than snapshots do.
    #[error("it does not begin and end as a snapshot does")]
    Cut,
    /// It has changed.
    #[error("it does not match its checksum: stored {stored:#x}, computed {computed:#x}")]
    Checksum {
        /// The checksum in the file.
        stored: u64,
        /// The checksum of the file.
        computed: u64,
    },
}

/// Whether a file holds what was once written as a snapshot: its last seal's sum is that of everything
/// before. This costs a pass over the file, no memory, and a fraction of the time to load it.
pub fn check_seal(compression: Compression, file: &[u8]) -> Result<(), SealError> {
    let mut pass = Pass::default();
    compression.each_piece(file, |piece| pass.push(piece))?;
    pass.finish()
}

/// Sums up everything but the end that may turn out to be the last seal.
#[derive(Default)]
struct Pass {
    sum: Adler32,
    start: Vec<u8>,
    end: Vec<u8>,
}

impl Pass {
    fn push(&mut self, piece: &[u8]) {
        let wanted = MAGIC_LEN - self.start.len();
        self.start.extend_from_slice(&piece[..wanted.min(piece.len())]);
        if piece.len() >= SEAL_LEN {
            self.sum.write(&self.end);
            let (sealed, end) = piece.split_at(piece.len() - SEAL_LEN);
            self.sum.write(sealed);
            self.end.clear();
            self.end.extend_from_slice(end);
        } else {
            self.end.extend_from_slice(piece);
            let sealed = self.end.len().saturating_sub(SEAL_LEN);
            self.sum.write(&self.end[..sealed]);
            self.end.drain(..sealed);
        }
    }

    fn finish(self) -> Result<(), SealError> {
        let (Some((stored, slash)), true) =
            (self.end.split_first_chunk::<8>(), self.start == MAGIC.to_be_bytes())
        else {
            return Err(SealError::Cut);
        };
        if slash.len() != END_LEN || slash[..4] != [0, 0, 0, 1] || slash[4..] != *END {
            return Err(SealError::Cut);
        }
        let (stored, computed) = (u64::from_be_bytes(*stored), self.sum.finish().into());
        if stored != computed { Err(SealError::Checksum { stored, computed }) } else { Ok(()) }
    }
}

const MAGIC_LEN: usize = size_of_val(&MAGIC);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::format::snapshot::{Digest, Packer, Sections, SnapshotWriter};
    use crate::id::Zxid;
    use crate::testing::tree_of;

    fn written(sections: Sections) -> Vec<u8> {
        let tree = tree_of(&[("/a", Some(&[7; 3000])), ("/a/b", None), ("/c", Some(b""))]);
        let mut writer = SnapshotWriter::new(tree.freeze(), sections);
        let mut file = Vec::new();
        while writer.fill(&mut file, 100) {}
        file
    }

    fn packed(compression: Compression, file: &[u8]) -> Vec<u8> {
        let (mut packer, mut out) = (Packer::new(compression), Vec::new());
        packer.push(file, &mut out);
        packer.finish(&mut out);
        out
    }

    const ALL: [Compression; 3] = [Compression::None, Compression::Gzip, Compression::Snappy];

    #[test]
    fn what_is_written_is_sealed_whatever_its_sections_and_its_compression() {
        let digest = Some(Digest { zxid: Zxid(3), version: 2, value: 4 });
        for sections in [
            Sections::default(),
            Sections { digest, last_zxid: None },
            Sections { digest: None, last_zxid: Some(Zxid(3)) },
            Sections { digest, last_zxid: Some(Zxid(3)) },
        ] {
            for compression in ALL {
                let file = packed(compression, &written(sections));
                assert!(check_seal(compression, &file).is_ok(), "{sections:?} {compression:?}");
            }
        }
    }

    #[test]
    fn another_file_with_the_right_sum_is_no_snapshot() {
        let mut other = b"ZKLG and then something".to_vec();
        let sum = simd_adler32::adler32(&other.as_slice());
        other.extend_from_slice(&u64::from(sum).to_be_bytes());
        other.extend_from_slice(b"\0\0\0\x01/");
        assert!(matches!(check_seal(Compression::None, &other), Err(SealError::Cut)));
    }

    proptest! {
        #[test]
        fn a_file_that_was_cut_or_changed_is_not(at in any::<prop::sample::Index>(), bit in 0u32..8) {
            let whole = written(Sections::default());
            let mut changed = whole.clone();
            changed[at.index(whole.len())] ^= 1 << bit;
            let cut = &whole[..at.index(whole.len())];
            for compression in ALL {
                prop_assert!(check_seal(compression, &packed(compression, &changed)).is_err());
                prop_assert!(check_seal(compression, &packed(compression, cut)).is_err());
                prop_assert!(check_seal(compression, cut).is_err());
            }
        }

        #[test]
        fn the_pieces_in_which_a_file_comes_do_not_matter(lens in prop::collection::vec(1usize..40, 1..40)) {
            let whole = written(Sections::default());
            let (mut pass, mut rest) = (Pass::default(), &whole[..]);
            for len in lens {
                let (piece, later) = rest.split_at(len.min(rest.len()));
                pass.push(piece);
                rest = later;
            }
            pass.push(rest);
            prop_assert!(pass.finish().is_ok());
        }
    }
}
