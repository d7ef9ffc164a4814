use thiserror::Error;

use super::cursor::Chain;
use super::layout::{Corruption, Reason, SegmentHeader};
use super::scan::{Scanner, Verdict};
use crate::id::Zxid;

/// Puts segments together into one log: feed it each segment, ordered by the numbers in their headers.
///
/// Segments are named by their place in that order, from 0.
#[derive(Debug, Default)]
pub struct Recovery {
    chain: Option<Chain>,
    read: Vec<ReadSegment>,
    cuts: Vec<Cut>,
}

/// What a recovered log needs before it takes new batches, and where those go.
#[derive(Debug)]
pub struct Recovered {
    /// What the next batch continues.
    pub chain: Chain,
    /// The segment that has the last batch, and where that batch ends; `None` in an empty log.
    pub tail: Option<(usize, u64)>,
    /// A segment behind that one, without a batch.
    pub spare: Option<usize>,
    /// What must be zeroed, and be so on the disk, before anything is written.
    pub cuts: Vec<Cut>,
    /// The zxid of each segment's first record.
    pub firsts: Vec<Option<Zxid>>,
}

/// A record as it is recovered: proven, and in its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// The state that it continues: usually the record before it. The state from which the log is replayed
    /// must have come at least to here, or something between the two is lost.
    pub after: Zxid,
    /// Its zxid, which is larger.
    pub zxid: Zxid,
    /// Its bytes.
    pub payload: &'a [u8],
}

/// A torn batch in a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cut {
    /// The segment.
    pub segment: usize,
    /// Where the torn batch starts.
    pub offset: u64,
    /// The end of what it left behind.
    pub end: u64,
    /// Whether batches that were written without sync lie behind it, and are lost with it.
    pub holes: bool,
}

/// Why a log can't be read to its end.
#[derive(Debug, Error)]
pub enum RecoveryError<E> {
    /// A segment is damaged.
    #[error("segment {segment}, {what}")]
    Corrupt {
        /// The segment, which may be one before the one that was being read.
        segment: usize,
        /// The damage.
        what: Corruption,
    },
    /// The reader of the records refused one.
    #[error("segment {segment}, record {zxid} of the batch at offset {offset}: {source}")]
    Refused {
        /// The segment.
        segment: usize,
        /// Where the record's batch starts.
        offset: u64,
        /// The record.
        zxid: Zxid,
        /// Why it was refused.
        source: E,
    },
}

impl Recovery {
    /// Reads the next segment and hands each record, proven and in order, to `each`. `is_named` tells
    /// whether the file has the name of its first record, which it gets when that has been synced.
    pub fn read<E>(
        &mut self,
        segment: &[u8],
        is_named: bool,
        mut each: impl FnMut(Record<'_>) -> Result<(), E>,
    ) -> Result<(), RecoveryError<E>> {
        let index = self.read.len();
        let corrupt = |what| RecoveryError::Corrupt { segment: index, what };
        let mut scanner = Scanner::open(segment, self.chain).map_err(corrupt)?;
        self.check_number(scanner.header()).map_err(corrupt)?;

        let mut first = None;
        for batch in scanner.by_ref() {
            let mut after = batch.continues().last;
            for (zxid, payload) in batch.records() {
                first = first.or(Some(zxid));
                each(Record { after, zxid, payload }).map_err(|source| {
                    let offset = batch.offset();
                    RecoveryError::Refused { segment: index, offset, zxid, source }
                })?;
                after = zxid;
            }
        }
        let (header, end, chain) = (scanner.header(), scanner.offset(), scanner.chain_end());
        match scanner.verdict() {
            Verdict::Corrupt(what) if first.is_none() => {
                let (segment, what) = self.blame(index, what);
                return Err(RecoveryError::Corrupt { segment, what });
            }
            Verdict::Corrupt(what) => return Err(corrupt(what)),
            Verdict::TornTail { .. } | Verdict::End if is_named && first.is_none() => {
                let (stored, computed) = (0, self.chain.map_or(0, |chain| chain.sequence));
                let what = Corruption { offset: end, reason: Reason::Missing, stored, computed, proof: None };
                return Err(corrupt(what));
            }
            Verdict::TornTail { offset, dirty_end, holes } => {
                self.cuts.push(Cut { segment: index, offset, end: dirty_end, holes });
            }
            Verdict::End => {}
        }
        self.chain = chain;
        self.read.push(ReadSegment { number: header.number, first, end });
        Ok(())
    }

    /// What the segments that were read come to.
    pub fn finish(self) -> Recovered {
        let tail = self.read.iter().rposition(|segment| segment.first.is_some());
        let spare = tail.map_or(0, |tail| tail + 1);
        Recovered {
            chain: self.chain.unwrap_or_default(),
            tail: tail.map(|tail| (tail, self.read[tail].end)),
            spare: (spare < self.read.len()).then_some(spare),
            cuts: self.cuts,
            firsts: self.read.iter().map(|segment| segment.first).collect(),
        }
    }

    fn check_number(&self, header: SegmentHeader) -> Result<(), Corruption> {
        match self.read.last() {
            Some(last) if header.number.checked_sub(1) != Some(last.number) => Err(Corruption {
                offset: 0,
                reason: Reason::SegmentNumber,
                stored: header.number,
                computed: last.number.wrapping_add(1),
                proof: None,
            }),
            _ => Ok(()),
        }
    }

    /// A segment that starts with a later batch than the next shows that the one before it lost its end.
    fn blame(&self, index: usize, what: Corruption) -> (usize, Corruption) {
        match self.read.last() {
            Some(last) if what.reason == Reason::Sequence && what.stored > what.computed => {
                let what = Corruption { offset: last.end, reason: Reason::Missing, proof: None, ..what };
                (index - 1, what)
            }
            _ => (index, what),
        }
    }
}

#[derive(Debug)]
struct ReadSegment {
    number: u64,
    first: Option<Zxid>,
    end: u64,
}
