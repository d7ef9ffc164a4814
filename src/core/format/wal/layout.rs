//! The headers of segments and batches, field by field.

use std::fmt;

use crate::id::Zxid;

/// The first block of a segment: which one it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentHeader {
    /// One more than the segment's before.
    pub number: u64,
    /// What every batch of this segment carries, and no other block on the disk.
    pub nonce: u64,
    /// The length of the whole segment in bytes: whole blocks, at least two.
    pub len: u64,
}

impl SegmentHeader {
    /// How many bytes an empty segment has for batches.
    pub fn room(&self) -> u64 {
        self.len - BLOCK_LEN as u64
    }

    /// The block to write at the start of the segment.
    pub fn encode(&self) -> Box<[u8; BLOCK_LEN]> {
        assert!(self.has_whole_blocks(), "a segment of {} bytes", self.len);
        let mut block = Box::new([0; BLOCK_LEN]);
        put(&mut block[..], 0, SEGMENT_MAGIC);
        put(&mut block[..], 8, FORMAT_VERSION.to_be_bytes());
        put(&mut block[..], 16, self.number.to_be_bytes());
        put(&mut block[..], 24, self.nonce.to_be_bytes());
        put(&mut block[..], 32, self.len.to_be_bytes());
        let crc = crc32c::crc32c(&block[8..]);
        put(&mut block[..], 4, crc.to_be_bytes());
        block
    }

    /// Reads the header from the start of a segment, of which `segment` may be the first block alone.
    pub fn decode(segment: &[u8]) -> Result<SegmentHeader, Corruption> {
        let corrupt =
            |reason, stored, computed| Corruption { offset: 0, reason, stored, computed, proof: None };
        let Some(block) = segment.get(..BLOCK_LEN) else {
            return Err(corrupt(Reason::SegmentLength, BLOCK_LEN as u64, segment.len() as u64));
        };
        let (stored, computed) = (u32_at(block, 4), crc32c::crc32c(&block[8..]));
        if block[..4] != SEGMENT_MAGIC || stored != computed {
            return Err(corrupt(Reason::SegmentHeader, stored.into(), computed.into()));
        }
        let version = u32_at(block, 8);
        if version != FORMAT_VERSION {
            return Err(corrupt(Reason::Version, version.into(), FORMAT_VERSION.into()));
        }
        let header =
            SegmentHeader { number: u64_at(block, 16), nonce: u64_at(block, 24), len: u64_at(block, 32) };
        if !header.has_whole_blocks() {
            return Err(corrupt(Reason::SegmentLength, header.len, segment.len() as u64));
        }
        Ok(header)
    }

    fn has_whole_blocks(&self) -> bool {
        self.len.is_multiple_of(BLOCK_LEN as u64) && self.len >= 2 * BLOCK_LEN as u64
    }
}

/// The start of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BatchHeader {
    pub(super) nonce: u64,
    pub(super) sequence: u64,
    pub(super) after: Zxid,
    pub(super) last: Zxid,
    pub(super) body_len: u32,
    pub(super) count: u32,
    pub(super) body_crc: u32,
    pub(super) previous_crc: u32,
    pub(super) zero_sectors: u32,
    pub(super) flags: u32,
}

/// The two checksums of a batch header that is not one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BadHeader {
    pub(super) stored: u32,
    pub(super) computed: u32,
}

impl BatchHeader {
    /// Writes the header to the start of `block` and returns its checksum, the chain's next link.
    pub(super) fn encode(&self, block: &mut [u8]) -> u32 {
        put(block, 0, BATCH_MAGIC);
        put(block, 8, self.nonce.to_be_bytes());
        put(block, 16, self.sequence.to_be_bytes());
        put(block, 24, self.after.0.to_be_bytes());
        put(block, 32, self.last.0.to_be_bytes());
        put(block, 40, self.body_len.to_be_bytes());
        put(block, 44, self.count.to_be_bytes());
        put(block, 48, self.body_crc.to_be_bytes());
        put(block, 52, self.previous_crc.to_be_bytes());
        put(block, 56, self.zero_sectors.to_be_bytes());
        put(block, 60, self.flags.to_be_bytes());
        let crc = crc32c::crc32c(&block[8..BATCH_HEADER_LEN]);
        put(block, 4, crc.to_be_bytes());
        crc
    }

    /// Reads the header from a whole block; with it comes its own checksum.
    pub(super) fn decode(block: &[u8]) -> Result<(BatchHeader, u32), BadHeader> {
        let stored = u32_at(block, 4);
        if block[..4] != BATCH_MAGIC {
            return Err(BadHeader { stored, computed: crc32c::crc32c(&block[8..BATCH_HEADER_LEN]) });
        }
        let computed = crc32c::crc32c(&block[8..BATCH_HEADER_LEN]);
        if stored != computed {
            return Err(BadHeader { stored, computed });
        }
        let header = BatchHeader {
            nonce: u64_at(block, 8),
            sequence: u64_at(block, 16),
            after: Zxid(u64_at(block, 24) as i64),
            last: Zxid(u64_at(block, 32) as i64),
            body_len: u32_at(block, 40),
            count: u32_at(block, 44),
            body_crc: u32_at(block, 48),
            previous_crc: u32_at(block, 52),
            zero_sectors: u32_at(block, 56),
            flags: u32_at(block, 60),
        };
        Ok((header, stored))
    }

    pub(super) fn is_synced(&self) -> bool {
        self.flags & FLAG_UNSYNCED == 0
    }
}

/// Damage to something that was once synced: what was found at which offset of a segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Corruption {
    /// Where the damaged header or batch starts, in bytes from the start of the segment.
    pub offset: u64,
    /// What does not hold.
    pub reason: Reason,
    /// What the disk says.
    pub stored: u64,
    /// What it should say, from everything else on the disk.
    pub computed: u64,
    /// Where in the segment a batch stands that was written later, if one was found.
    pub proof: Option<u64>,
}

impl fmt::Display for Corruption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Corruption { offset, reason, stored, computed, proof } = self;
        write!(f, "at offset {offset} ({offset:#x}) {reason}: stored {stored:#x}, computed {computed:#x}")?;
        match proof {
            None => Ok(()),
            Some(proof) => write!(f, "; the batch at offset {proof} ({proof:#x}) was written after it"),
        }
    }
}

/// Which of the format's rules is broken. Decides what [`Corruption`]'s two values are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The segment's header does not match its checksum.
    SegmentHeader,
    /// The segment has a format version that this program does not know.
    Version,
    /// The file has not the length that its header says.
    SegmentLength,
    /// The segment has not the number that follows: one is missing.
    SegmentNumber,
    /// A batch's header does not match its checksum.
    BatchHeader,
    /// A batch's records do not match their checksum, although all its sectors were written.
    BatchBody,
    /// A batch does not match the checksum of the batch before it.
    Chain,
    /// A batch has not the sequence number that follows: one is missing or comes twice.
    Sequence,
    /// A batch is gone, or partly gone, that later ones follow.
    Missing,
    /// A batch matches its checksum, and yet its records are not what its header says.
    Records,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Reason::SegmentHeader => "the segment's header does not match its checksum",
            Reason::Version => "the log's format version is not known to this program",
            Reason::SegmentLength => "the file has not the length that its header says",
            Reason::SegmentNumber => "the segment has not the number that follows",
            Reason::BatchHeader => "a batch's header does not match its checksum",
            Reason::BatchBody => "a batch's records do not match their checksum",
            Reason::Chain => "a batch does not match the checksum of the batch before it",
            Reason::Sequence => "a batch has not the sequence number that follows",
            Reason::Missing => "a batch is gone that was confirmed",
            Reason::Records => "a batch's records are not what its header says",
        })
    }
}

pub(super) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes(array_at(bytes, at))
}

pub(super) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_be_bytes(array_at(bytes, at))
}

fn array_at<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut array = [0; N];
    array.copy_from_slice(&bytes[at..at + N]);
    array
}

fn put<const N: usize>(bytes: &mut [u8], at: usize, value: [u8; N]) {
    bytes[at..at + N].copy_from_slice(&value);
}

/// How many of these bytes' sectors are all zero.
pub(super) fn zero_sectors(bytes: &[u8]) -> u32 {
    bytes.chunks(SECTOR_LEN).filter(|sector| is_zero(sector)).count() as u32
}

/// Whether these bytes, at most a block of them, are all zero.
pub(super) fn is_zero(bytes: &[u8]) -> bool {
    *bytes == ZEROS[..bytes.len()]
}

/// What a batch is a whole number of, and where one may start. Direct I/O needs no larger alignment on
/// any device that has blocks of up to this size.
pub const BLOCK_LEN: usize = 4096;

/// What a device writes whole or not at all.
pub(super) const SECTOR_LEN: usize = 512;
pub(super) const BATCH_HEADER_LEN: usize = 64;
pub(super) const RECORD_HEADER_LEN: usize = 12;
pub(super) const FLAG_UNSYNCED: u32 = 1;

const SEGMENT_MAGIC: [u8; 4] = *b"RKWL";
const BATCH_MAGIC: [u8; 4] = *b"RKWB";
const FORMAT_VERSION: u32 = 1;
static ZEROS: [u8; BLOCK_LEN] = [0; BLOCK_LEN];

const _: () = assert!(BLOCK_LEN.is_multiple_of(SECTOR_LEN) && BATCH_HEADER_LEN < SECTOR_LEN);

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: SegmentHeader = SegmentHeader { number: 3, nonce: 0x1122_3344_5566_7788, len: 1 << 20 };

    #[test]
    fn a_segment_header_reads_back() {
        assert_eq!(SegmentHeader::decode(&HEADER.encode()[..]), Ok(HEADER));
    }

    #[test]
    fn every_bit_of_a_segment_header_is_covered() {
        let block = HEADER.encode();
        for bit in (0..512).chain(BLOCK_LEN * 8 - 8..BLOCK_LEN * 8) {
            let mut flipped = block.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let err = SegmentHeader::decode(&flipped[..]).expect_err("a flipped bit passed");
            assert_eq!((err.offset, err.reason), (0, Reason::SegmentHeader), "bit {bit}");
        }
    }

    #[test]
    fn a_segment_of_another_version_says_which() {
        let mut block = HEADER.encode();
        block[11] = 2;
        let crc = crc32c::crc32c(&block[8..]);
        put(&mut block[..], 4, crc.to_be_bytes());
        let err = SegmentHeader::decode(&block[..]).expect_err("version 2 is not known");
        assert_eq!((err.reason, err.stored, err.computed), (Reason::Version, 2, 1));
    }

    #[test]
    fn a_file_shorter_than_a_block_is_no_segment() {
        let err = SegmentHeader::decode(&[0; 100]).expect_err("too short");
        assert_eq!((err.reason, err.computed), (Reason::SegmentLength, 100));
    }

    #[test]
    fn a_corruption_names_offset_values_and_proof() {
        let corruption = Corruption {
            offset: 8192,
            reason: Reason::BatchBody,
            stored: 0xab,
            computed: 0xcd,
            proof: Some(12288),
        };
        assert_eq!(
            corruption.to_string(),
            "at offset 8192 (0x2000) a batch's records do not match their checksum: stored 0xab, computed \
             0xcd; the batch at offset 12288 (0x3000) was written after it"
        );
    }
}
