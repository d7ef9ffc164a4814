//! What was once synced and has changed is named; it is never cut, and never read as something else.

use proptest::prelude::*;

use super::*;
use crate::format::wal::layout::SECTOR_LEN;

fn three_batches() -> Image {
    let mut image = Image::new(12);
    image.write(&[payload(100)]).write(&[payload(6000), payload(70)]).write(&[payload(300)]);
    image
}

#[test]
fn a_damaged_batch_before_a_good_one_is_named_with_both_checksums_and_the_proof() {
    let mut image = three_batches();
    let (offset, proof) = (image.batches[1].offset, image.batches[2].offset);
    image.bytes[offset + 5000] ^= 4;
    let (records, verdict) = scan(&image.bytes, None);
    assert_eq!(records, image.records_but(2));
    let corruption = corruption(verdict);
    assert_eq!((corruption.offset, corruption.reason), (offset as u64, Reason::BatchBody));
    assert_eq!(corruption.proof, Some(proof as u64));
    assert_ne!(corruption.stored, corruption.computed);
}

#[test]
fn what_looks_like_a_tear_is_damage_where_a_later_batch_exists() {
    let mut image = three_batches();
    let (offset, proof) = (image.batches[1].offset, image.batches[2].offset);
    image.bytes[offset + SECTOR_LEN..offset + 2 * SECTOR_LEN].fill(0);
    let corruption = corruption(scan(&image.bytes, None).1);
    assert_eq!((corruption.offset, corruption.reason), (offset as u64, Reason::BatchBody));
    assert_eq!(corruption.proof, Some(proof as u64));
}

#[test]
fn damage_in_the_very_last_batch_is_told_from_a_tear() {
    for at in [0, 20, 64, 300, 4095] {
        let mut image = three_batches();
        let offset = image.batches[2].offset;
        image.bytes[offset + at] ^= 1;
        let (records, verdict) = scan(&image.bytes, None);
        assert_eq!(records, image.records_but(1));
        assert_eq!(corruption(verdict).offset, offset as u64, "byte {at}");
    }
}

#[test]
fn a_batch_turned_zero_is_missing_if_a_later_one_exists() {
    let mut image = three_batches();
    let (offset, end) = (image.batches[1].offset, image.batches[1].end);
    image.bytes[offset..end].fill(0);
    let corruption = corruption(scan(&image.bytes, None).1);
    assert_eq!((corruption.offset, corruption.reason), (offset as u64, Reason::Missing));
    assert_eq!((corruption.stored, corruption.computed), (2, 1), "batch 2 stands where 1 should");
}

#[test]
fn the_header_of_a_torn_batch_proves_the_batch_before_it() {
    let mut image = three_batches();
    image.write(&[payload(9000)]);
    let torn = image.batches[3].offset;
    image.bytes[torn + SECTOR_LEN..].fill(0);
    assert!(matches!(scan(&image.bytes, None).1, Verdict::TornTail { .. }));
    // Whole sectors of the batch before, which alone would look like a tear.
    let (offset, end) = (image.batches[2].offset, image.batches[2].end);
    image.bytes[offset..end].fill(0);
    let corruption = corruption(scan(&image.bytes, None).1);
    assert_eq!((corruption.reason, corruption.proof), (Reason::Missing, Some(torn as u64)));
}

#[test]
fn a_lost_end_of_a_segment_is_blamed_on_that_segment() {
    let mut first = three_batches();
    let mut second = Image::after(4, 1, first.cursor.chain(), Sync::Promised);
    second.write(&[payload(20)]);
    let lost = first.batches[2].offset;
    for torn in [false, true] {
        // Once as if nothing had been written, once as if the batch had been torn.
        first.bytes[lost..].fill(0);
        first.bytes[lost + BLOCK_LEN - 1] = torn as u8;
        let mut recovery = Recovery::default();
        recovery.read(&first.bytes, true, accept).expect("alone it ends early");
        match recovery.read(&second.bytes, true, accept).expect_err("the next proves the loss") {
            RecoveryError::Corrupt { segment: 0, what } => {
                assert_eq!((what.offset, what.reason), (lost as u64, Reason::Missing));
                assert_eq!((what.stored, what.computed), (3, 2));
            }
            other => panic!("{other}"),
        }
    }
}

#[test]
fn a_missing_segment_is_named_by_number() {
    let first = three_batches();
    let mut third = Image::after(4, 2, first.cursor.chain(), Sync::Promised);
    third.write(&[payload(20)]);
    let mut recovery = Recovery::default();
    recovery.read(&first.bytes, true, accept).expect("whole");
    match recovery.read(&third.bytes, true, accept).expect_err("1 is missing") {
        RecoveryError::Corrupt { segment: 1, what } => {
            assert_eq!((what.reason, what.stored, what.computed), (Reason::SegmentNumber, 2, 1));
        }
        other => panic!("{other}"),
    }
}

#[test]
fn a_named_segment_without_its_first_batch_has_lost_it() {
    let mut image = Image::new(4);
    image.write(&[payload(20)]);
    image.bytes[BLOCK_LEN..].fill(0);
    let read = |is_named| Recovery::default().read(&image.bytes, is_named, accept);
    assert!(read(false).is_ok());
    assert!(matches!(
        read(true),
        Err(RecoveryError::Corrupt { segment: 0, what: Corruption { reason: Reason::Missing, .. } })
    ));
}

#[test]
fn a_segment_of_another_history_breaks_the_chain() {
    let first = three_batches();
    let mut other = three_batches();
    other.write(&[payload(1)]);
    let mut foreign = Chain { crc: other.cursor.chain().crc, ..first.cursor.chain() };
    foreign.last = Zxid(100);
    let mut second = Image::after(4, 1, foreign, Sync::Promised);
    second.write(&[payload(20)]);
    let found = corruption(scan(&second.bytes, Some(first.cursor.chain())).1);
    assert_eq!((found.offset, found.reason), (BLOCK_LEN as u64, Reason::Chain));
    assert_eq!(found.stored, u64::from(foreign.crc));
}

#[test]
fn a_shortened_file_says_both_lengths() {
    let mut image = three_batches();
    image.bytes.truncate(9 * BLOCK_LEN + 7);
    let found = corruption(scan(&image.bytes, None).1);
    assert_eq!(found.reason, Reason::SegmentLength);
    assert_eq!((found.stored, found.computed), (12 * 4096, 9 * 4096 + 7));
}

#[test]
fn blocks_of_a_former_life_are_never_read_and_prove_nothing() {
    let former = three_batches();
    let header = SegmentHeader { number: 7, nonce: 0xabcd, len: former.bytes.len() as u64 };
    let mut image = Image {
        bytes: former.bytes.clone(),
        cursor: Cursor::at_start(header, Chain::default(), Sync::Promised),
        batches: Vec::new(),
    };
    image.bytes[..BLOCK_LEN].copy_from_slice(&header.encode()[..]);
    let expected =
        |offset: usize| Verdict::TornTail { offset: offset as u64, dirty_end: 5 * 4096, holes: false };
    assert_eq!(scan(&image.bytes, None), (vec![], expected(BLOCK_LEN)));
    image.write(&[payload(10)]);
    assert_eq!(scan(&image.bytes, None), (image.records_but(0), expected(2 * BLOCK_LEN)));
}

#[test]
fn a_payload_that_is_a_piece_of_log_is_not_taken_for_one() {
    // A client that could read the log keeps a copy of it in a znode, aligned like the original.
    let mut image = three_batches();
    let mut copy = vec![1; BLOCK_LEN - 64 - 12];
    copy.extend_from_slice(&image.bytes[BLOCK_LEN..]);
    image.bytes.resize(40 * BLOCK_LEN, 0);
    let header = SegmentHeader { len: image.bytes.len() as u64, ..image.cursor.segment() };
    image.bytes[..BLOCK_LEN].copy_from_slice(&header.encode()[..]);
    image.cursor = Cursor::resume(header, image.batches[2].end as u64, image.cursor.chain(), Sync::Promised);
    image.write(&[copy]);
    let torn = image.batches[3].offset;
    image.bytes[torn..torn + SECTOR_LEN].fill(0);
    let (records, verdict) = scan(&image.bytes, None);
    assert_eq!(records, image.records_but(1));
    assert!(
        matches!(verdict, Verdict::TornTail { offset, holes: false, .. } if offset == torn as u64),
        "{verdict:?}"
    );
}

proptest! {
    #[test]
    fn a_flipped_bit_in_a_batch_is_found_at_that_batch(
        batches in prop::collection::vec(prop::collection::vec(0usize..9000, 1..4), 1..5),
        at in any::<prop::sample::Index>(),
        bit in 0u32..8,
    ) {
        let mut image = Image::new(64);
        for lens in &batches {
            // Some payloads are all zero, so that zero sectors are not a sign of a tear by themselves.
            let payloads: Vec<_> =
                lens.iter().map(|&len| if len % 3 == 0 { vec![0; len] } else { payload(len) }).collect();
            image.write(&payloads);
        }
        let end = image.batches.last().expect("at least one").end;
        let at = BLOCK_LEN + at.index(end - BLOCK_LEN);
        image.bytes[at] ^= 1 << bit;
        let hit = image.batches.iter().position(|batch| at < batch.end).expect("inside a batch");
        let (records, verdict) = scan(&image.bytes, None);
        prop_assert_eq!(records, image.records_but(image.batches.len() - hit));
        prop_assert_eq!(corruption(verdict).offset, image.batches[hit].offset as u64);
    }

    #[test]
    fn a_flipped_bit_behind_the_last_batch_costs_no_record(
        at in any::<prop::sample::Index>(),
        bit in 0u32..8,
    ) {
        let mut image = three_batches();
        let end = image.batches[2].end;
        let at = end + at.index(image.bytes.len() - end);
        image.bytes[at] ^= 1 << bit;
        let (records, verdict) = scan(&image.bytes, None);
        prop_assert_eq!(records, image.records_but(0));
        match verdict {
            // In the sector where the next batch would start it can't be told from a damaged header.
            Verdict::Corrupt(what) => {
                prop_assert_eq!((what.offset, what.reason), (end as u64, Reason::BatchHeader));
                prop_assert!(at < end + SECTOR_LEN);
            }
            Verdict::TornTail { offset, dirty_end, holes: false } => {
                prop_assert_eq!(offset, end as u64);
                prop_assert!((offset..dirty_end).contains(&(at as u64)));
            }
            verdict => prop_assert!(false, "{:?}", verdict),
        }
    }

    #[test]
    fn any_bytes_are_judged_without_a_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..20_000)) {
        scan(&bytes, None);
        let header = Image::new(4).bytes;
        let len = bytes.len().min(BLOCK_LEN);
        bytes[..len].copy_from_slice(&header[..len]);
        scan(&bytes, None);
    }
}
