use super::batch::RecordBatch;
use super::layout::{BATCH_HEADER_LEN, BLOCK_LEN, BatchHeader, FLAG_UNSYNCED, SegmentHeader, zero_sectors};
use crate::id::Zxid;

/// What the next batch must continue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Chain {
    /// The sequence number of the next batch.
    pub sequence: u64,
    /// The checksum of the last batch's header, which covers that of its records.
    pub crc: u32,
    /// The state that the next batch continues: the zxid of the last record, unless the state has come
    /// further otherwise since; [`Zxid::ZERO`] in an empty log of an empty database.
    pub last: Zxid,
}

/// Whether a write that has returned is a promise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sync {
    /// It is on stable storage.
    Promised,
    /// It is with the operating system (`forceSync=no`).
    Waived,
}

/// Where in which segment the next batch goes.
#[derive(Clone, Debug)]
pub struct Cursor {
    segment: SegmentHeader,
    offset: u64,
    chain: Chain,
    sync: Sync,
}

impl Cursor {
    /// A cursor at the start of a segment in which there is no batch.
    pub fn at_start(segment: SegmentHeader, chain: Chain, sync: Sync) -> Cursor {
        Cursor::resume(segment, BLOCK_LEN as u64, chain, sync)
    }

    /// A cursor behind the last valid batch of a segment, with nothing but zeros ahead.
    pub fn resume(segment: SegmentHeader, offset: u64, chain: Chain, sync: Sync) -> Cursor {
        assert!(
            offset.is_multiple_of(BLOCK_LEN as u64) && (BLOCK_LEN as u64..=segment.len).contains(&offset)
        );
        Cursor { segment, offset, chain, sync }
    }

    /// Whether the rest of the segment holds a batch with these records.
    pub fn fits(&self, batch: &RecordBatch) -> bool {
        encoded_len(batch) as u64 <= self.room()
    }

    /// How many bytes the rest of the segment has.
    pub fn room(&self) -> u64 {
        self.segment.len - self.offset
    }

    /// Encodes one batch with these records into `out`, which has exactly [`encoded_len`] bytes with
    /// anything in them, and moves on. Returns where in the segment `out` is to be written, in one write,
    /// before the next batch is.
    ///
    /// # Panics
    ///
    /// If the batch is empty, does not fit, or does not start after the log's last zxid.
    pub fn encode(&mut self, batch: &RecordBatch, out: &mut [u8]) -> u64 {
        let (Some(first), Some(last)) = (batch.first(), batch.last()) else {
            panic!("a batch without records has no place in the log");
        };
        let after = self.chain.last;
        assert!(first > after, "zxid {first} must follow {after} in the log");
        assert!(self.fits(batch), "a batch of {} bytes at offset {} of its segment", out.len(), self.offset);
        assert_eq!(out.len(), encoded_len(batch));

        let body = batch.bytes();
        let body_end = BATCH_HEADER_LEN + body.len();
        out[BATCH_HEADER_LEN..body_end].copy_from_slice(body);
        out[body_end..].fill(0);
        // The first sector counts as written whatever its body is: it has the header.
        out[..BATCH_HEADER_LEN].fill(u8::MAX);
        let header = BatchHeader {
            nonce: self.segment.nonce,
            sequence: self.chain.sequence,
            after,
            last,
            body_len: u32::try_from(body.len()).expect("a batch is shorter than 4 GiB"),
            count: batch.count(),
            body_crc: crc32c::crc32c(&out[BATCH_HEADER_LEN..]),
            previous_crc: self.chain.crc,
            zero_sectors: zero_sectors(out),
            flags: if self.sync == Sync::Waived { FLAG_UNSYNCED } else { 0 },
        };
        let crc = header.encode(out);

        let offset = self.offset;
        self.offset += out.len() as u64;
        self.chain = Chain { sequence: self.chain.sequence + 1, crc, last };
        offset
    }

    /// Lets the next batch continue the state at this zxid, to which the server has come otherwise than by
    /// this log: by a snapshot, or by Java's log. What was between is then not asked of this log any more.
    ///
    /// # Panics
    ///
    /// If the log is already beyond that.
    pub fn skip_to(&mut self, state: Zxid) {
        assert!(state >= self.chain.last, "the log ends at {}, not before {state}", self.chain.last);
        self.chain.last = state;
    }

    /// What the next batch continues.
    pub fn chain(&self) -> Chain {
        self.chain
    }

    /// What its batches promise.
    pub fn sync(&self) -> Sync {
        self.sync
    }

    /// The segment that is being filled.
    pub fn segment(&self) -> SegmentHeader {
        self.segment
    }
}

/// How many bytes a batch with these records takes in a segment: whole blocks.
pub fn encoded_len(batch: &RecordBatch) -> usize {
    batch_len(batch.bytes().len())
}

pub(super) fn batch_len(body_len: usize) -> usize {
    (BATCH_HEADER_LEN + body_len).next_multiple_of(BLOCK_LEN)
}
