//! The log's format against crashes and damage.

mod crash;
mod damage;

use std::convert::Infallible;

use super::*;
use crate::id::Zxid;

type Owned = (Zxid, Vec<u8>);

/// One segment as the log role leaves it, with what went into it.
struct Image {
    bytes: Vec<u8>,
    cursor: Cursor,
    batches: Vec<Written>,
}

struct Written {
    offset: usize,
    end: usize,
    records: Vec<Owned>,
}

impl Image {
    fn new(blocks: usize) -> Image {
        Image::after(blocks, 0, Chain::default(), Sync::Promised)
    }

    fn after(blocks: usize, number: u64, chain: Chain, sync: Sync) -> Image {
        let header = SegmentHeader { number, nonce: 0x5eed_0000 + number, len: (blocks * BLOCK_LEN) as u64 };
        let mut bytes = vec![0; blocks * BLOCK_LEN];
        bytes[..BLOCK_LEN].copy_from_slice(&header.encode()[..]);
        Image { bytes, cursor: Cursor::at_start(header, chain, sync), batches: Vec::new() }
    }

    /// Writes one batch with a record for each payload.
    fn write(&mut self, payloads: &[Vec<u8>]) -> &mut Image {
        let start = self.cursor.chain().last;
        let records = (1..).zip(payloads).map(|(n, payload)| (Zxid(start.0 + n), payload.clone())).collect();
        self.write_records(records)
    }

    fn write_records(&mut self, records: Vec<Owned>) -> &mut Image {
        let batch = batch_of(&records);
        let mut out = vec![0xee; encoded_len(&batch)];
        let offset = self.cursor.encode(&batch, &mut out) as usize;
        let end = offset + out.len();
        self.bytes[offset..end].copy_from_slice(&out);
        self.batches.push(Written { offset, end, records });
        self
    }

    /// The records of all batches but the last `omitted`.
    fn records_but(&self, omitted: usize) -> Vec<Owned> {
        let kept = &self.batches[..self.batches.len() - omitted];
        kept.iter().flat_map(|batch| batch.records.clone()).collect()
    }
}

fn batch_of(records: &[Owned]) -> RecordBatch {
    let mut batch = RecordBatch::new();
    for (zxid, payload) in records {
        batch.push(*zxid, |out| out.extend_from_slice(payload));
    }
    batch
}

/// Everything that a scan of one segment finds, and its verdict.
fn scan(segment: &[u8], after: Option<Chain>) -> (Vec<Owned>, Verdict) {
    let mut scanner = match Scanner::open(segment, after) {
        Ok(scanner) => scanner,
        Err(corruption) => return (Vec::new(), Verdict::Corrupt(corruption)),
    };
    let mut records = Vec::new();
    for batch in scanner.by_ref() {
        records.extend(batch.records().map(|(zxid, payload)| (zxid, payload.to_vec())));
    }
    (records, scanner.verdict())
}

fn accept(_: Record<'_>) -> Result<(), Infallible> {
    Ok(())
}

fn corruption(verdict: Verdict) -> Corruption {
    match verdict {
        Verdict::Corrupt(corruption) => corruption,
        verdict => panic!("{verdict:?} where corruption was expected"),
    }
}

/// A payload whose sectors are not zero.
fn payload(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i % 251) as u8 | 1).collect()
}

#[test]
fn what_was_written_is_read_back_in_order() {
    let mut image = Image::new(16);
    image.write(&[payload(10)]).write(&[vec![], payload(9000), payload(1)]).write(&[payload(4096 - 64 - 12)]);
    assert_eq!(image.batches[1].end - image.batches[1].offset, 3 * BLOCK_LEN);
    assert_eq!(image.batches[2].end - image.batches[2].offset, BLOCK_LEN, "a batch may fill its block");
    assert_eq!(scan(&image.bytes, None), (image.records_but(0), Verdict::End));
}

#[test]
fn zxids_may_leave_gaps_and_start_a_new_epoch() {
    let mut image = Image::new(8);
    image.write_records(vec![(Zxid::new(1, 5), payload(3)), (Zxid::new(1, 9), payload(3))]);
    image.write_records(vec![(Zxid::new(4, 1), payload(3))]);
    assert_eq!(scan(&image.bytes, None), (image.records_but(0), Verdict::End));
}

#[test]
fn a_segment_may_be_filled_to_its_last_block() {
    let mut image = Image::new(3);
    image.write(&[payload(10)]).write(&[payload(10)]);
    assert!(!image.cursor.fits(&batch_of(&[(Zxid(3), vec![])])));
    assert_eq!(scan(&image.bytes, None), (image.records_but(0), Verdict::End));
}

#[test]
fn the_chain_continues_in_the_next_segment() {
    let mut first = Image::new(4);
    first.write(&[payload(10)]).write(&[payload(10)]);
    let mut second = Image::after(4, 1, first.cursor.chain(), Sync::Promised);
    second.write(&[payload(20)]);

    let mut records = Vec::new();
    let mut recovery = Recovery::default();
    for image in [&first, &second] {
        let collect = |record: Record<'_>| {
            records.push((record.zxid, record.payload.to_vec()));
            Ok::<(), Infallible>(())
        };
        recovery.read(&image.bytes, true, collect).expect("both segments are whole");
    }
    let recovered = recovery.finish();
    assert_eq!(records, [first.records_but(0), second.records_but(0)].concat());
    assert_eq!(recovered.chain, second.cursor.chain());
    assert_eq!(recovered.tail, Some((1, second.batches[0].end as u64)));
    assert_eq!(recovered.firsts, [Some(Zxid(1)), Some(Zxid(3))]);
    assert_eq!((recovered.spare, recovered.cuts), (None, vec![]));
}

#[test]
fn a_refused_record_is_named_with_its_place() {
    let mut image = Image::new(4);
    image.write(&[payload(10)]).write(&[payload(10), payload(10)]);
    let err = Recovery::default()
        .read(
            &image.bytes,
            true,
            |record| if record.zxid == Zxid(3) { Err("not a transaction") } else { Ok(()) },
        )
        .expect_err("the third record is refused");
    assert_eq!(err.to_string(), "segment 0, record 0x3 of the batch at offset 8192: not a transaction");
}

#[test]
fn an_empty_log_is_clean_and_a_lone_prepared_segment_is_its_spare() {
    let recovered = Recovery::default().finish();
    assert_eq!((recovered.chain, recovered.tail, recovered.spare), (Chain::default(), None, None));

    let mut recovery = Recovery::default();
    recovery.read(&Image::new(4).bytes, false, accept).expect("prepared");
    let recovered = recovery.finish();
    assert_eq!((recovered.chain, recovered.tail, recovered.spare), (Chain::default(), None, Some(0)));
}

#[test]
fn every_record_says_which_state_it_continues() {
    let mut first = Image::new(4);
    first.write_records(vec![(Zxid(5), payload(3)), (Zxid(7), payload(3))]);
    first.cursor.skip_to(Zxid(20));
    let mut second = Image::after(4, 1, first.cursor.chain(), Sync::Promised);
    second.write_records(vec![(Zxid::new(1, 1), payload(3))]).write_records(vec![(Zxid::new(1, 2), vec![])]);

    let mut after = Vec::new();
    let mut recovery = Recovery::default();
    for image in [&first, &second] {
        let note = |record: Record<'_>| {
            after.push((record.after, record.zxid));
            Ok::<(), Infallible>(())
        };
        recovery.read(&image.bytes, true, note).expect("whole");
    }
    let (one, two) = (Zxid::new(1, 1), Zxid::new(1, 2));
    assert_eq!(after, [(Zxid(0), Zxid(5)), (Zxid(5), Zxid(7)), (Zxid(20), one), (one, two)]);
}

#[test]
fn what_is_left_of_a_log_says_where_it_continues() {
    let mut first = Image::new(4);
    first.write(&[payload(10)]).write(&[payload(10)]);
    let mut second = Image::after(4, 1, first.cursor.chain(), Sync::Promised);
    second.write(&[payload(20)]);
    let mut after = None;
    let note = |record: Record<'_>| {
        after = after.or(Some(record.after));
        Ok::<(), Infallible>(())
    };
    Recovery::default().read(&second.bytes, true, note).expect("the first segment is gone");
    assert_eq!(after, Some(Zxid(2)));
}
