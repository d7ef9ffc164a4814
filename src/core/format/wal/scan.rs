use super::batch::RecordBatch;
use super::cursor::{Chain, Cursor, Sync, batch_len, encoded_len};
use super::layout::{
    BATCH_HEADER_LEN, BLOCK_LEN, BatchHeader, Corruption, RECORD_HEADER_LEN, Reason, SECTOR_LEN,
    SegmentHeader, is_zero, u32_at, u64_at, zero_sectors,
};
use crate::id::Zxid;

/// A copy of a segment without what is after `zxid`; `None` if that is nothing.
///
/// # Errors
///
/// If the segment's header is damaged.
pub fn shortened(segment: &[u8], zxid: Zxid) -> Result<Option<Vec<u8>>, Corruption> {
    let mut scanner = Scanner::open(segment, None)?;
    let header = scanner.header();
    let Some(batch) = scanner.find(|batch| batch.records().any(|(record, _)| record > zxid)) else {
        return Ok(None);
    };
    let start = batch.offset() as usize;
    let mut copy = segment[..start].to_vec();
    copy.resize(header.len as usize, 0);
    let mut left = RecordBatch::new();
    for (record, payload) in batch.records().take_while(|(record, _)| *record <= zxid) {
        left.push(record, |out| out.extend_from_slice(payload));
    }
    if !left.is_empty() {
        let mut cursor = Cursor::resume(header, batch.offset(), batch.continues(), Sync::Promised);
        cursor.encode(&left, &mut copy[start..start + encoded_len(&left)]);
    }
    Ok(Some(copy))
}

/// Reads a segment's batches from front to back. Yields only whole, proven ones; then [`Scanner::verdict`]
/// says why there are no more.
#[derive(Debug)]
pub struct Scanner<'a> {
    segment: &'a [u8],
    header: SegmentHeader,
    offset: usize,
    chain: Option<Chain>,
    verdict: Option<Verdict>,
}

/// Why a segment has no further batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing but zeros follows.
    End,
    /// The batch that was in flight at a crash is not whole. It was never acknowledged.
    TornTail {
        /// Where it starts, and the next batch goes.
        offset: u64,
        /// Up to where the segment must be zeroed again before anything is written to it.
        dirty_end: u64,
        /// Whether batches that were written without sync lie behind it, and are lost with it.
        holes: bool,
    },
    /// Something that was synced has changed.
    Corrupt(Corruption),
}

impl<'a> Scanner<'a> {
    /// Starts to read a segment, `segment` being the file's bytes. `after` is what the segment before left
    /// behind; the first segment that is kept is taken on trust.
    pub fn open(segment: &'a [u8], after: Option<Chain>) -> Result<Scanner<'a>, Corruption> {
        let header = SegmentHeader::decode(segment)?;
        let len = usize::try_from(header.len).ok();
        let Some(segment) = len.and_then(|len| segment.get(..len)) else {
            return Err(Corruption {
                offset: 0,
                reason: Reason::SegmentLength,
                stored: header.len,
                computed: segment.len() as u64,
                proof: None,
            });
        };
        Ok(Scanner { segment, header, offset: BLOCK_LEN, chain: after, verdict: None })
    }

    /// The segment's header.
    pub fn header(&self) -> SegmentHeader {
        self.header
    }

    /// What follows the batches read so far must continue; `None` if there never was one.
    pub fn chain_end(&self) -> Option<Chain> {
        self.chain
    }

    /// Where the batches read so far end: where the next one goes if the verdict is not corruption.
    pub fn offset(&self) -> u64 {
        self.offset as u64
    }

    /// Why there are no more batches. Reads what is left of them first.
    pub fn verdict(mut self) -> Verdict {
        loop {
            match self.verdict {
                Some(verdict) => return verdict,
                None => self.next(),
            };
        }
    }

    fn read_batch(&self) -> Result<(Batch<'a>, Chain), Flaw> {
        let rest = &self.segment[self.offset..];
        let Some(block) = rest.get(..BLOCK_LEN) else {
            return Err(Flaw::Full);
        };
        if is_zero(&block[..SECTOR_LEN]) {
            return Err(Flaw::Absent);
        }
        let (header, crc) = BatchHeader::decode(block)
            .map_err(|bad| Flaw::Changed(Reason::BatchHeader, bad.stored.into(), bad.computed.into()))?;
        if header.nonce != self.header.nonce {
            return Err(Flaw::Absent);
        }
        self.check_place(&header)?;

        let body_end = BATCH_HEADER_LEN as u64 + u64::from(header.body_len);
        let Some(extent) = rest.get(..batch_len(header.body_len as usize)) else {
            return Err(Flaw::Changed(Reason::Records, body_end, rest.len() as u64));
        };
        let body_crc = crc32c::crc32c(&extent[BATCH_HEADER_LEN..]);
        if body_crc != header.body_crc {
            return Err(match zero_sectors(extent) > header.zero_sectors {
                true => Flaw::Torn { stored: header.body_crc, computed: body_crc },
                false => Flaw::Changed(Reason::BatchBody, header.body_crc.into(), body_crc.into()),
            });
        }
        let body = &extent[BATCH_HEADER_LEN..BATCH_HEADER_LEN + header.body_len as usize];
        let continues = Chain { sequence: header.sequence, crc: header.previous_crc, last: header.after };
        let batch = Batch { offset: self.offset as u64, len: extent.len(), continues, body };
        batch.check(&header, self.chain.map_or(Zxid(i64::MIN), |chain| chain.last))?;
        Ok((batch, Chain { sequence: header.sequence + 1, crc, last: header.last }))
    }

    /// That a header of this segment is the one that follows.
    fn check_place(&self, header: &BatchHeader) -> Result<(), Flaw> {
        match self.chain {
            Some(chain) if header.sequence != chain.sequence => {
                Err(Flaw::Changed(Reason::Sequence, header.sequence, chain.sequence))
            }
            Some(chain) if header.previous_crc != chain.crc => {
                Err(Flaw::Changed(Reason::Chain, header.previous_crc.into(), chain.crc.into()))
            }
            // Nothing is written behind the last number there is.
            _ if header.sequence == u64::MAX => Err(Flaw::Changed(Reason::Sequence, u64::MAX, 0)),
            _ => Ok(()),
        }
    }

    fn judge(&self, flaw: Flaw) -> Verdict {
        let later = self.later_batch();
        let proof = later.filter(|later| later.synced).map(|later| later.offset);
        let corrupt = |reason, stored, computed| {
            Verdict::Corrupt(Corruption { offset: self.offset as u64, reason, stored, computed, proof })
        };
        match (flaw, later) {
            (Flaw::Full, _) => Verdict::End,
            (Flaw::Changed(reason, stored, computed), _) => corrupt(reason, stored, computed),
            (Flaw::Torn { stored, computed }, _) if proof.is_some() => {
                corrupt(Reason::BatchBody, stored.into(), computed.into())
            }
            (Flaw::Absent, Some(later)) if proof.is_some() => {
                let expected = self.chain.map_or(0, |chain| chain.sequence);
                corrupt(Reason::Missing, later.sequence, expected)
            }
            (Flaw::Torn { .. } | Flaw::Absent, _) => match self.dirty_end() {
                None => Verdict::End,
                Some(dirty_end) => {
                    let holes = later.is_some();
                    Verdict::TornTail { offset: self.offset as u64, dirty_end, holes }
                }
            },
        }
    }

    /// A batch behind the current offset that was written after the one that should be there: one that was
    /// synced if there is one, for only that is a proof.
    fn later_batch(&self) -> Option<Later> {
        let expected = self.chain.map_or(0, |chain| chain.sequence);
        let blocks = self.segment[self.offset..].chunks_exact(BLOCK_LEN).enumerate().skip(1);
        let mut unsynced = None;
        for (index, block) in blocks {
            let Ok((header, _)) = BatchHeader::decode(block) else { continue };
            if header.nonce != self.header.nonce || header.sequence <= expected && self.chain.is_some() {
                continue;
            }
            let later = Later {
                offset: (self.offset + index * BLOCK_LEN) as u64,
                sequence: header.sequence,
                synced: header.is_synced(),
            };
            if later.synced {
                return Some(later);
            }
            unsynced = unsynced.or(Some(later));
        }
        unsynced
    }

    /// The end of the last block that is not zero, from the current offset.
    fn dirty_end(&self) -> Option<u64> {
        let rest = &self.segment[self.offset..];
        let clean = rest.rchunks(BLOCK_LEN).take_while(|block| is_zero(block)).count() * BLOCK_LEN;
        (clean < rest.len()).then_some((self.segment.len() - clean) as u64)
    }
}

impl<'a> Iterator for Scanner<'a> {
    type Item = Batch<'a>;

    fn next(&mut self) -> Option<Batch<'a>> {
        if self.verdict.is_some() {
            return None;
        }
        match self.read_batch() {
            Ok((batch, chain)) => {
                self.offset += batch.len;
                self.chain = Some(chain);
                Some(batch)
            }
            Err(flaw) => {
                self.verdict = Some(self.judge(flaw));
                None
            }
        }
    }
}

/// A whole batch that matches its checksums and continues the chain.
#[derive(Clone, Copy, Debug)]
pub struct Batch<'a> {
    offset: u64,
    len: usize,
    continues: Chain,
    body: &'a [u8],
}

impl<'a> Batch<'a> {
    /// Where in the segment the batch starts.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// What the batch continues. Its `last` is that of the record before it, or a later one that is not in
    /// this log.
    pub fn continues(&self) -> Chain {
        self.continues
    }

    /// The records, in order.
    pub fn records(&self) -> Records<'a> {
        Records { rest: self.body }
    }

    fn check(&self, header: &BatchHeader, log_ends: Zxid) -> Result<(), Flaw> {
        let after = self.continues.last;
        if after < log_ends {
            return Err(Flaw::Changed(Reason::Records, after.0 as u64, log_ends.0 as u64));
        }
        let mut records = self.records();
        let (mut count, mut last) = (0u32, after);
        for (zxid, _) in records.by_ref() {
            if zxid <= last {
                return Err(Flaw::Changed(Reason::Records, zxid.0 as u64, last.0 as u64));
            }
            count += 1;
            last = zxid;
        }
        let whole = records.rest.is_empty() && count > 0;
        match whole && count == header.count && last == header.last {
            true => Ok(()),
            false => Err(Flaw::Changed(Reason::Records, header.count.into(), count.into())),
        }
    }
}

/// The records of a [`Batch`]: each one's zxid and bytes.
#[derive(Clone, Debug)]
pub struct Records<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Records<'a> {
    type Item = (Zxid, &'a [u8]);

    fn next(&mut self) -> Option<(Zxid, &'a [u8])> {
        let (header, rest) = self.rest.split_at_checked(RECORD_HEADER_LEN)?;
        let (payload, rest) = rest.split_at_checked(u32_at(header, 0) as usize)?;
        self.rest = rest;
        Some((Zxid(u64_at(header, 4) as i64), payload))
    }
}

/// What is wrong with the batch at the current offset, before the rest of the segment is asked.
enum Flaw {
    /// The segment ends here.
    Full,
    /// There is no batch of this segment: the first sector did not land, or nothing was written.
    Absent,
    /// Some of the batch's sectors did not land.
    Torn { stored: u32, computed: u32 },
    /// What no tear explains: the rule, what is stored, and what it should be.
    Changed(Reason, u64, u64),
}

#[derive(Clone, Copy)]
struct Later {
    offset: u64,
    sequence: u64,
    synced: bool,
}
