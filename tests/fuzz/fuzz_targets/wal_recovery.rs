//! Whatever a disk does to a log, recovery ends without a panic and reads only what was written, in order.

#![no_main]

use libfuzzer_sys::{arbitrary, arbitrary::Arbitrary, fuzz_target};
use ringkeeper_core::format::wal::{
    BLOCK_LEN, Chain, Cursor, RecordBatch, Recovery, RecoveryError, SegmentHeader, Sync, encoded_len,
};
use ringkeeper_core::id::Zxid;

#[derive(Arbitrary, Debug)]
enum Input<'a> {
    /// A sound segment header, and then these bytes.
    Raw(&'a [u8]),
    /// A log that was written and then damaged.
    Damaged { batches: Vec<Batch<'a>>, segment_blocks: u8, damage: Vec<Damage> },
}

#[derive(Arbitrary, Debug)]
struct Batch<'a> {
    records: Vec<&'a [u8]>,
    fill: u16,
}

#[derive(Arbitrary, Debug)]
enum Damage {
    Byte { segment: u8, at: u32, value: u8 },
    ZeroSector { segment: u8, at: u16 },
    CopyBlock { segment: u8, from: u8, to: u8 },
    Truncate { segment: u8, len: u32 },
}

fuzz_target!(|input: Input| match input {
    Input::Raw(bytes) => {
        let blocks = 1 + bytes.len().div_ceil(BLOCK_LEN).max(1);
        let mut segment = empty_segment(header(0, blocks));
        segment[BLOCK_LEN..][..bytes.len()].copy_from_slice(bytes);
        recover(&[segment]);
        recover(&[bytes.to_vec()]);
    }
    Input::Damaged { batches, segment_blocks, damage } => {
        let (written, mut segments) = write(&batches, 8 + usize::from(segment_blocks));
        for damage in &damage {
            damage.apply(&mut segments);
        }
        let read = recover(&segments);
        assert!(written.starts_with(&read), "recovery read what was never written");
        assert!(!damage.is_empty() || read == written, "recovery lost what was written");
    }
});

type Record = (Zxid, Vec<u8>);

/// The log begins later than the state ends.
#[derive(Debug)]
struct Missing;

fn header(number: u64, blocks: usize) -> SegmentHeader {
    SegmentHeader { number, nonce: 0x5eed + number, len: (blocks * BLOCK_LEN) as u64 }
}

fn empty_segment(header: SegmentHeader) -> Vec<u8> {
    let mut segment = vec![0; header.len as usize];
    segment[..BLOCK_LEN].copy_from_slice(&header.encode()[..]);
    segment
}

fn write(batches: &[Batch], blocks: usize) -> (Vec<Record>, Vec<Vec<u8>>) {
    let mut written = Vec::new();
    let mut segments = vec![empty_segment(header(0, blocks))];
    let mut cursor = Cursor::at_start(header(0, blocks), Chain::default(), Sync::Promised);
    for batch in batches.iter().take(BATCHES_MAX) {
        let mut records = RecordBatch::new();
        // A fill makes batches of several blocks from few bytes of input.
        let fill = vec![0xa5; usize::from(batch.fill) % (4 * BLOCK_LEN)];
        for payload in batch.records.iter().copied().chain([&fill[..]]) {
            let zxid = Zxid(written.last().map_or(1, |(last, _): &Record| last.0 + 1));
            records.push(zxid, |out| out.extend_from_slice(payload));
            written.push((zxid, payload.to_vec()));
        }
        if !cursor.fits(&records) {
            let needed = 1 + encoded_len(&records) / BLOCK_LEN;
            let next = header(segments.len() as u64, blocks.max(needed));
            segments.push(empty_segment(next));
            cursor = Cursor::at_start(next, cursor.chain(), Sync::Promised);
        }
        let mut out = vec![0; encoded_len(&records)];
        let offset = cursor.encode(&records, &mut out) as usize;
        segments.last_mut().expect("never empty")[offset..offset + out.len()].copy_from_slice(&out);
    }
    (written, segments)
}

impl Damage {
    fn apply(&self, segments: &mut [Vec<u8>]) {
        let (Damage::Byte { segment, .. }
        | Damage::ZeroSector { segment, .. }
        | Damage::CopyBlock { segment, .. }
        | Damage::Truncate { segment, .. }) = *self;
        let index = usize::from(segment) % segments.len();
        let segment = &mut segments[index];
        match *self {
            Damage::Byte { at, value, .. } => {
                if let Some(byte) = segment.get_mut(at as usize) {
                    *byte = value;
                }
            }
            Damage::ZeroSector { at, .. } => {
                if let Some(sector) = segment.chunks_mut(512).nth(at.into()) {
                    sector.fill(0);
                }
            }
            Damage::CopyBlock { from, to, .. } => {
                let (from, to) = (usize::from(from) * BLOCK_LEN, usize::from(to) * BLOCK_LEN);
                if from.max(to) + BLOCK_LEN <= segment.len() {
                    segment.copy_within(from..from + BLOCK_LEN, to);
                }
            }
            Damage::Truncate { len, .. } => segment.truncate(len as usize),
        }
    }
}

/// What is replayed until recovery ends or refuses, or a server without a snapshot refuses what does not continue
/// its state.
fn recover(segments: &[Vec<u8>]) -> Vec<Record> {
    let mut read: Vec<Record> = Vec::new();
    let mut recovery = Recovery::default();
    for segment in segments {
        let result = recovery.read(segment, false, |record| {
            let state = read.last().map_or(Zxid(0), |(zxid, _)| *zxid);
            if state < record.after {
                return Err(Missing);
            }
            read.push((record.zxid, record.payload.to_vec()));
            Ok(())
        });
        if let Err(error) = result {
            if let RecoveryError::Corrupt { segment, what } = error {
                assert!(segment < segments.len() && !what.to_string().is_empty());
            }
            return read;
        }
    }
    let recovered = recovery.finish();
    for cut in recovered.cuts {
        assert!(cut.offset < cut.end && cut.end <= segments[cut.segment].len() as u64);
    }
    read
}

const BATCHES_MAX: usize = 64;
