use super::layout::RECORD_HEADER_LEN;
use crate::id::Zxid;

/// Records on their way to the log, already in the layout they have on disk.
///
/// The commit role fills one each turn.
#[derive(Debug, Default)]
pub struct RecordBatch {
    body: Vec<u8>,
    first: Zxid,
    last: Zxid,
    count: u32,
}

impl RecordBatch {
    /// A batch without records.
    pub fn new() -> RecordBatch {
        RecordBatch::default()
    }

    /// Appends one record; `encode` appends the record's bytes to the vector and leaves what is there.
    ///
    /// # Panics
    ///
    /// If `zxid` is not larger than the last one of the batch: the order of zxids is the order of the log.
    pub fn push(&mut self, zxid: Zxid, encode: impl FnOnce(&mut Vec<u8>)) {
        self.follow_with(zxid, zxid);
        let start = self.body.len();
        self.body.extend_from_slice(&[0; RECORD_HEADER_LEN]);
        encode(&mut self.body);
        let payload_len = self.body.len().checked_sub(start + RECORD_HEADER_LEN);
        let payload_len = payload_len.and_then(|len| u32::try_from(len).ok());
        let payload_len = payload_len.expect("a record is appended and is shorter than 4 GiB");
        self.body[start..start + 4].copy_from_slice(&payload_len.to_be_bytes());
        self.body[start + 4..start + 12].copy_from_slice(&zxid.0.to_be_bytes());
        self.count += 1;
    }

    /// Moves all records of `other` behind those of this batch and leaves `other` empty.
    ///
    /// # Panics
    ///
    /// If `other` does not start after this batch's last zxid.
    pub fn append(&mut self, other: &mut RecordBatch) {
        if other.is_empty() {
            return;
        }
        self.follow_with(other.first, other.last);
        if self.body.is_empty() {
            std::mem::swap(&mut self.body, &mut other.body);
        } else {
            self.body.extend_from_slice(&other.body);
        }
        self.count += other.count;
        other.clear();
    }

    /// Whether the records of both batches may share one write.
    pub fn has_room_for(&self, other: &RecordBatch) -> bool {
        self.is_empty() || self.body.len() + other.body.len() <= BATCH_LEN_MAX
    }

    /// The zxid of the first record, if there is one.
    pub fn first(&self) -> Option<Zxid> {
        (!self.is_empty()).then_some(self.first)
    }

    /// The zxid of the last record, if there is one.
    pub fn last(&self) -> Option<Zxid> {
        (!self.is_empty()).then_some(self.last)
    }

    /// The number of records.
    pub fn count(&self) -> u32 {
        self.count
    }

    /// The records as they lie on disk.
    pub fn bytes(&self) -> &[u8] {
        &self.body
    }

    /// Whether there is no record.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Removes all records and keeps the memory.
    pub fn clear(&mut self) {
        self.body.clear();
        self.count = 0;
    }

    fn follow_with(&mut self, first: Zxid, last: Zxid) {
        if self.is_empty() {
            self.first = first;
        } else {
            assert!(first > self.last, "zxid {first} must follow {} in the log", self.last);
        }
        self.last = last;
    }
}

/// How many bytes of records share one write, at most; a single larger record still gets its own.
///
/// 1 MiB takes the better part of a millisecond on a fast device: enough to amortise a sync, little enough
/// for what queues behind it.
pub const BATCH_LEN_MAX: usize = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(zxids: &[i64]) -> RecordBatch {
        let mut batch = RecordBatch::new();
        for &zxid in zxids {
            batch.push(Zxid(zxid), |out| out.extend_from_slice(b"ab"));
        }
        batch
    }

    #[test]
    fn a_record_is_its_length_its_zxid_and_its_bytes() {
        let batch = batch(&[7]);
        assert_eq!(batch.bytes(), [0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 7, b'a', b'b']);
    }

    #[test]
    fn a_merged_batch_equals_one_filled_at_once() {
        let mut merged = RecordBatch::new();
        for mut part in [batch(&[1, 2]), batch(&[]), batch(&[9])] {
            merged.append(&mut part);
            assert!(part.is_empty() && part.bytes().is_empty());
        }
        let whole = batch(&[1, 2, 9]);
        assert_eq!(merged.bytes(), whole.bytes());
        assert_eq!((merged.first(), merged.last(), merged.count()), (Some(Zxid(1)), Some(Zxid(9)), 3));
    }

    #[test]
    fn a_cleared_batch_has_no_zxids_and_takes_any() {
        let mut batch = batch(&[5]);
        batch.clear();
        assert_eq!((batch.first(), batch.last(), batch.count()), (None, None, 0));
        batch.push(Zxid(1), |_| {});
        assert_eq!(batch.first(), Some(Zxid(1)));
    }

    #[test]
    fn room_ends_at_the_bound_but_an_empty_batch_takes_any_other() {
        let mut large = RecordBatch::new();
        large.push(Zxid(1), |out| out.resize(out.len() + BATCH_LEN_MAX, 0));
        assert!(RecordBatch::new().has_room_for(&large));
        assert!(!batch(&[1]).has_room_for(&large));
        assert!(batch(&[1]).has_room_for(&batch(&[2])));
    }

    #[test]
    #[should_panic(expected = "zxid 0x5 must follow 0x5 in the log")]
    fn a_zxid_that_does_not_increase_is_refused() {
        batch(&[5, 5]);
    }
}
