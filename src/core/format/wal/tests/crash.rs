//! A model disk that loses any part of the write in flight: what was acknowledged stays, and nothing that
//! was never written appears.

use proptest::prelude::*;

use super::*;
use crate::format::wal::layout::SECTOR_LEN;

#[test]
fn a_batch_with_any_one_sector_missing_is_a_torn_tail() {
    let mut image = Image::new(8);
    image.write(&[payload(50)]).write(&[payload(9000)]);
    let torn = &image.batches[1];
    let used = (64 + 12 + 9000usize).div_ceil(SECTOR_LEN);
    for sector in 0..used {
        let mut bytes = image.bytes.clone();
        let at = torn.offset + sector * SECTOR_LEN;
        bytes[at..at + SECTOR_LEN].fill(0);
        let (records, verdict) = scan(&bytes, None);
        assert_eq!(records, image.records_but(1));
        assert!(
            matches!(verdict, Verdict::TornTail { offset, holes: false, .. } if offset == torn.offset as u64),
            "sector {sector}: {verdict:?}"
        );
    }
}

#[test]
fn a_batch_of_which_nothing_landed_leaves_a_clean_end() {
    let mut image = Image::new(8);
    image.write(&[payload(50)]).write(&[payload(50)]);
    image.bytes[image.batches[1].offset..].fill(0);
    assert_eq!(scan(&image.bytes, None), (image.records_but(1), Verdict::End));
}

#[test]
fn without_sync_the_log_ends_at_the_first_hole() {
    let mut image = Image::after(8, 0, Chain::default(), Sync::Waived);
    image.write(&[payload(50)]).write(&[payload(50)]).write(&[payload(50)]);
    let (hole, end) = (image.batches[1].offset, image.batches[2].end as u64);
    image.bytes[hole..hole + SECTOR_LEN].fill(0);
    let expected = Verdict::TornTail { offset: hole as u64, dirty_end: end, holes: true };
    assert_eq!(scan(&image.bytes, None), (image.records_but(2), expected));
}

#[test]
fn a_synced_batch_behind_unsynced_ones_proves_them() {
    let mut image = Image::after(8, 0, Chain::default(), Sync::Waived);
    image.write(&[payload(50)]).write(&[payload(50)]);
    let (segment, chain) = (image.cursor.segment(), image.cursor.chain());
    image.cursor = Cursor::resume(segment, image.batches[1].end as u64, chain, Sync::Promised);
    image.write(&[payload(50)]);
    image.bytes[image.batches[0].offset..image.batches[2].offset].fill(0);
    let found = corruption(scan(&image.bytes, None).1);
    assert_eq!((found.reason, found.proof), (Reason::Missing, Some(image.batches[2].offset as u64)));
}

/// A server on a disk of small segments, as far as its log goes.
struct Server {
    random: Random,
    segments: Vec<Vec<u8>>,
    named: Vec<bool>,
    cursor: Cursor,
    active: usize,
    acknowledged: Vec<Owned>,
}

/// What a write came to.
enum Write {
    Returned,
    Crashed { in_flight: Vec<Owned> },
}

impl Server {
    fn start(seed: u64) -> Server {
        let mut random = Random(seed);
        let header = prepared(&mut random, 0);
        Server {
            segments: vec![zeroed(header)],
            named: vec![false],
            cursor: Cursor::at_start(header, Chain::default(), Sync::Promised),
            active: 0,
            acknowledged: Vec::new(),
            random,
        }
    }

    fn write(&mut self) -> Write {
        let records = self.some_records();
        let batch = batch_of(&records);
        if !self.cursor.fits(&batch) {
            self.roll();
        }
        let mut out = vec![0; encoded_len(&batch)];
        let offset = self.cursor.encode(&batch, &mut out) as usize;
        let on_disk = &mut self.segments[self.active][offset..offset + out.len()];
        if self.random.below(4) == 0 {
            land_some_sectors(&mut self.random, on_disk, &out);
            return Write::Crashed { in_flight: records };
        }
        on_disk.copy_from_slice(&out);
        self.acknowledged.extend(records);
        // The name comes later, off the commit path, and a crash may come before it.
        self.named[self.active] |= self.random.below(2) == 0;
        Write::Returned
    }

    fn roll(&mut self) {
        self.named[self.active] = true;
        self.active += 1;
        if self.active == self.segments.len() {
            let header = prepared(&mut self.random, self.active as u64);
            self.segments.push(zeroed(header));
            self.named.push(false);
        }
        let header = SegmentHeader::decode(&self.segments[self.active]).expect("prepared");
        self.cursor = Cursor::at_start(header, self.cursor.chain(), Sync::Promised);
    }

    /// Starts again from the disk; the start itself may crash while it zeroes a torn batch.
    fn recover(&mut self, in_flight: Vec<Owned>) {
        loop {
            let mut records = Vec::new();
            let mut recovery = Recovery::default();
            for (segment, &is_named) in self.segments.iter().zip(&self.named) {
                recovery
                    .read(segment, is_named, |record| {
                        records.push((record.zxid, record.payload.to_vec()));
                        Ok::<(), Infallible>(())
                    })
                    .expect("a crash is not damage");
            }
            let recovered = recovery.finish();
            let with_last = [self.acknowledged.clone(), in_flight.clone()].concat();
            assert!(records == self.acknowledged || records == with_last, "lost or invented records");

            if self.zero(&recovered.cuts) {
                // What a client was not told of may be kept, but then it stays.
                self.acknowledged = records;
                let (active, offset) = recovered.tail.unwrap_or((0, BLOCK_LEN as u64));
                let header = SegmentHeader::decode(&self.segments[active]).expect("read before");
                self.active = active;
                self.cursor = Cursor::resume(header, offset, recovered.chain, Sync::Promised);
                return;
            }
        }
    }

    fn zero(&mut self, cuts: &[Cut]) -> bool {
        for cut in cuts {
            let dirty = &mut self.segments[cut.segment][cut.offset as usize..cut.end as usize];
            if self.random.below(3) == 0 {
                let zeros = vec![0; dirty.len()];
                land_some_sectors(&mut self.random, dirty, &zeros);
                return false;
            }
            dirty.fill(0);
        }
        true
    }

    fn some_records(&mut self) -> Vec<Owned> {
        let mut zxid = self.cursor.chain().last;
        let count = 1 + self.random.below(4);
        (0..count)
            .map(|_| {
                zxid = match self.random.below(10) {
                    0 => Zxid::new(zxid.epoch() + 1, 1),
                    n => Zxid(zxid.0 + 1 + n as i64 / 8),
                };
                (zxid, self.some_payload())
            })
            .collect()
    }

    fn some_payload(&mut self) -> Vec<u8> {
        let len = match self.random.below(4) {
            0 => self.random.below(6000),
            _ => self.random.below(200),
        };
        match self.random.below(5) {
            0 => vec![0; len],
            // What lies on the disk already, batch headers and all.
            1 => self.segments[self.active].iter().copied().cycle().skip(BLOCK_LEN).take(len).collect(),
            _ => (0..len).map(|_| self.random.below(256) as u8).collect(),
        }
    }
}

fn prepared(random: &mut Random, number: u64) -> SegmentHeader {
    SegmentHeader { number, nonce: random.next(), len: (8 + random.below(8) * 2) as u64 * BLOCK_LEN as u64 }
}

fn zeroed(header: SegmentHeader) -> Vec<u8> {
    let mut segment = vec![0; header.len as usize];
    segment[..BLOCK_LEN].copy_from_slice(&header.encode()[..]);
    segment
}

fn land_some_sectors(random: &mut Random, disk: &mut [u8], write: &[u8]) {
    let chance = random.below(101);
    for (on_disk, written) in disk.chunks_mut(SECTOR_LEN).zip(write.chunks(SECTOR_LEN)) {
        if random.below(100) < chance {
            on_disk.copy_from_slice(written);
        }
    }
}

/// SplitMix64: the same seed, the same run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }
}

proptest! {
    #[test]
    fn whatever_a_crash_keeps_of_the_last_write_everything_acknowledged_is_recovered(seed in any::<u64>()) {
        let mut server = Server::start(seed);
        for _ in 0..40 {
            if let Write::Crashed { in_flight } = server.write() {
                server.recover(in_flight);
            }
        }
        server.recover(Vec::new());
    }
}
