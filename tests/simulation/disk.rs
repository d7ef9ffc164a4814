//! What a server has on its disks: epochs, snapshots, and the log in its real format.
//!
//! A write to the log is in flight until it is finished; a crash leaves any subset of its sectors. Epoch files and
//! snapshots are there whole or not at all, as renaming makes them.

use std::collections::BTreeMap;

use ringkeeper_core::config::Configurations;
use ringkeeper_core::format::wal::{
    BLOCK_LEN, Cursor, Record, RecordBatch, Recovery, RecoveryError, SegmentHeader, Sync, encoded_len,
    shortened,
};
use ringkeeper_core::id::Zxid;
use ringkeeper_core::prep::{Pipeline, PipelineOptions};
use ringkeeper_core::tree::{DataTree, TreeOptions};
use ringkeeper_core::zab::{EpochFile, Epochs, HistoryBounds, LogExcerpt, LogWalk, Logged};

#[derive(Default)]
pub(crate) struct Disk {
    accepted: Option<u32>,
    current: Option<u32>,
    configurations: Option<Configurations>,
    snapshots: BTreeMap<Zxid, DataTree>,
    segments: Vec<Segment>,
    next_number: u64,
    /// The last transaction that a start would find, unless a write in flight lands.
    durable: Zxid,
    /// Whether there is a file `initialize`, which says that there should be no database yet.
    is_marked: bool,
}

struct Segment {
    header: SegmentHeader,
    bytes: Vec<u8>,
    /// Whether the file has the name of its first record.
    is_named: bool,
}

/// A write of the log that is not finished.
pub(crate) struct InFlight {
    segment: usize,
    offset: usize,
    bytes: Vec<u8>,
    last: Zxid,
}

/// Where the log goes on while a process writes it.
pub(crate) struct Writer {
    cursor: Cursor,
    segment: usize,
}

/// What a start finds.
pub(crate) struct Found {
    pub(crate) pipeline: Pipeline,
    /// What the log has beyond the snapshot.
    pub(crate) records: Vec<Logged>,
    pub(crate) writer: Writer,
}

impl Disk {
    /// What a server has that was never started.
    pub(crate) fn marked() -> Disk {
        Disk { is_marked: true, ..Disk::default() }
    }

    /// The operator says that there should be no database yet.
    pub(crate) fn mark(&mut self) {
        self.is_marked = true;
    }

    /// Whether there is a database, or should be none yet.
    pub(crate) fn is_sound(&self) -> bool {
        self.is_marked || !self.snapshots.is_empty() || self.durable > Zxid::ZERO
    }

    /// As a start does it that finds a file `initialize`: what it says is in a snapshot from now on, if it is needed.
    pub(crate) fn take_mark(&mut self, autocreate: bool) {
        if std::mem::take(&mut self.is_marked) && !autocreate && !self.is_sound() {
            self.snapshots.insert(Zxid::ZERO, DataTree::new(TREE));
        }
    }

    /// How far the epochs are, if they were read now.
    pub(crate) fn epochs(&self) -> Epochs {
        Epochs::recovered(self.accepted, self.current, self.durable).unwrap_or_else(|epochs| epochs)
    }

    /// The last transaction that a start would find at least.
    pub(crate) fn durable(&self) -> Zxid {
        self.durable
    }

    /// An epoch file is written.
    pub(crate) fn save_epoch(&mut self, file: EpochFile, epoch: u32) {
        match file {
            EpochFile::Accepted => self.accepted = Some(epoch),
            EpochFile::Current => self.current = Some(epoch),
        }
    }

    /// The files that say who the servers are, where they say something else than at the beginning.
    pub(crate) fn configurations(&self) -> Option<&Configurations> {
        self.configurations.as_ref()
    }

    /// Those files are written.
    pub(crate) fn save_configurations(&mut self, configurations: Configurations) {
        self.configurations = Some(configurations);
    }

    /// Reads the epochs as a start does, and writes what is missing.
    pub(crate) fn recover_epochs(&mut self, last: Zxid) -> Result<Epochs, String> {
        let epochs = Epochs::recovered(self.accepted, self.current, last)
            .map_err(|epochs| format!("the epochs on disk go backwards: {epochs:?}"))?;
        (self.accepted, self.current) = (Some(epochs.accepted), Some(epochs.current));
        Ok(epochs)
    }

    /// Reads the state as a start does, and makes the log ready to be written.
    pub(crate) fn open(&mut self, options: &PipelineOptions, nonce: u64) -> Result<Found, String> {
        let newest = self.snapshots.last_key_value();
        let tree = newest.map_or_else(|| DataTree::new(TREE), |(_, tree)| tree.clone());
        let mut pipeline = Pipeline::new(options.clone(), tree);
        let (mut records, mut recovery) = (Vec::new(), Recovery::default());
        for segment in &self.segments {
            let each = |record: Record<'_>| {
                let state = pipeline.last_zxid();
                if state < record.after {
                    return Err(format!("{} continues {}, the state is {state}", record.zxid, record.after));
                }
                // What is before the snapshot may be in no history, if a leader sent that.
                if record.zxid > state {
                    records.push(Logged { zxid: record.zxid, payload: record.payload.into() });
                }
                pipeline.recover(record.payload).map_err(|error| error.to_string())
            };
            recovery.read(&segment.bytes, segment.is_named, each).map_err(|error| error.to_string())?;
        }
        let recovered = recovery.finish();
        for cut in &recovered.cuts {
            self.segments[cut.segment].bytes[cut.offset as usize..cut.end as usize].fill(0);
        }
        let last = pipeline.last_zxid();
        let (segment, mut cursor) = match recovered.tail {
            Some((tail, end)) => {
                self.segments.truncate(tail + 1);
                self.segments[tail].is_named = true;
                (tail, Cursor::resume(self.segments[tail].header, end, recovered.chain, Sync::Promised))
            }
            None => {
                self.segments.clear();
                let header = self.add_segment(nonce, SEGMENT_LEN);
                (0, Cursor::at_start(header, recovered.chain, Sync::Promised))
            }
        };
        cursor.skip_to(last);
        self.durable = last;
        Ok(Found { pipeline, records, writer: Writer { cursor, segment } })
    }

    /// Begins to write a batch.
    pub(crate) fn begin(&mut self, writer: &mut Writer, batch: &RecordBatch, nonce: u64) -> InFlight {
        if !writer.cursor.fits(batch) {
            let len = SEGMENT_LEN.max((BLOCK_LEN + encoded_len(batch)) as u64);
            let header = self.add_segment(nonce, len);
            writer.segment = self.segments.len() - 1;
            writer.cursor = Cursor::at_start(header, writer.cursor.chain(), Sync::Promised);
        }
        let mut bytes = vec![0; encoded_len(batch)];
        let offset = writer.cursor.encode(batch, &mut bytes) as usize;
        let last = batch.last().expect("nothing is no write");
        InFlight { segment: writer.segment, offset, bytes, last }
    }

    /// The write is on the disk.
    pub(crate) fn finish(&mut self, write: InFlight) -> Zxid {
        let segment = &mut self.segments[write.segment];
        segment.bytes[write.offset..write.offset + write.bytes.len()].copy_from_slice(&write.bytes);
        segment.is_named = true;
        self.durable = write.last;
        write.last
    }

    /// The process is gone before the write was finished: of its sectors those are there that `lands` says.
    pub(crate) fn tear(&mut self, write: &InFlight, mut lands: impl FnMut() -> bool) {
        let bytes = &mut self.segments[write.segment].bytes;
        for (number, sector) in write.bytes.chunks(SECTOR_LEN).enumerate() {
            if lands() {
                let start = write.offset + number * SECTOR_LEN;
                bytes[start..start + sector.len()].copy_from_slice(sector);
            }
        }
    }

    /// Cuts the log off after `zxid`, with later snapshots; returns the state if it is to be built anew.
    pub(crate) fn cut(
        &mut self,
        zxid: Zxid,
        rebuild: bool,
        options: &PipelineOptions,
        nonce: u64,
    ) -> Result<(Writer, Option<DataTree>), String> {
        if !rebuild || zxid.counter() == 0 || self.leads_to(zxid)? {
            self.snapshots.split_off(&Zxid(zxid.0 + 1));
            self.shorten(zxid)?;
        }
        let mut found = self.open(options, nonce)?;
        if rebuild {
            return Ok((found.writer, Some(found.pipeline.tree().clone())));
        }
        if zxid > self.durable {
            // The state is an epoch's beginning, which is in no log.
            found.writer.cursor.skip_to(zxid);
        }
        Ok((found.writer, None))
    }

    /// Whether a snapshot or the log has exactly this state.
    fn leads_to(&self, zxid: Zxid) -> Result<bool, String> {
        let (mut has, mut recovery) = (self.snapshots.contains_key(&zxid), Recovery::default());
        for segment in &self.segments {
            let each = |record: Record<'_>| {
                has |= record.zxid == zxid;
                Ok(())
            };
            let read: Result<_, RecoveryError<String>> =
                recovery.read(&segment.bytes, segment.is_named, each);
            read.map_err(|error| error.to_string())?;
        }
        Ok(has)
    }

    /// The leader's tree takes the place of everything.
    pub(crate) fn restart(
        &mut self,
        tree: &DataTree,
        options: &PipelineOptions,
        nonce: u64,
    ) -> Result<Writer, String> {
        let zxid = tree.last_zxid();
        self.snapshots.split_off(&Zxid(zxid.0 + 1));
        self.shorten(zxid)?;
        self.snapshots.insert(zxid, tree.clone());
        self.open(options, nonce).map(|found| found.writer)
    }

    /// A snapshot is there; what two of them cover goes, but for `kept` segments.
    pub(crate) fn add_snapshot(&mut self, tree: DataTree, writer: &mut Writer, kept: usize) {
        self.snapshots.insert(tree.last_zxid(), tree);
        let covered = match self.snapshots.keys().rev().nth(1) {
            Some(zxid) => *zxid,
            None => return,
        };
        while self.snapshots.len() > 2 {
            self.snapshots.pop_first();
        }
        // A segment may go if the state before the next one's first record is covered.
        let firsts = self.segments.iter().skip(1).map(Segment::first);
        let is_covered = |first: &Option<Zxid>| first.is_some_and(|first| first <= covered);
        let gone = firsts.take_while(is_covered).count().saturating_sub(kept);
        self.segments.drain(..gone);
        writer.segment -= gone;
    }

    /// What the log has after the last record that is not after `from`.
    pub(crate) fn excerpt(&self, from: Zxid, upto: Zxid) -> Option<LogExcerpt> {
        let bounds = HistoryBounds { count_max: usize::MAX, len_max: EXCERPT_LEN_MAX };
        let mut walk = LogWalk::new(from, upto, bounds);
        let mut recovery = Recovery::default();
        for segment in &self.segments {
            let each = |record: Record<'_>| {
                walk.push(Some(record.after), record.zxid, record.payload);
                Ok::<_, String>(())
            };
            recovery.read(&segment.bytes, segment.is_named, each).ok()?;
        }
        walk.into_excerpt()
    }

    fn shorten(&mut self, zxid: Zxid) -> Result<(), String> {
        let kept =
            self.segments.iter().rposition(|segment| segment.first().is_some_and(|first| first <= zxid));
        self.segments.truncate(kept.map_or(0, |tail| tail + 1));
        if let Some(tail) = self.segments.last_mut()
            && let Some(copy) = shortened(&tail.bytes, zxid).map_err(|what| what.to_string())?
        {
            tail.bytes = copy;
        }
        Ok(())
    }

    fn add_segment(&mut self, nonce: u64, len: u64) -> SegmentHeader {
        let number = self.segments.last().map_or(self.next_number, |last| last.header.number + 1);
        self.next_number = number + 1;
        let header = SegmentHeader { number, nonce, len };
        let mut bytes = header.encode().to_vec();
        bytes.resize(len as usize, 0);
        self.segments.push(Segment { header, bytes, is_named: false });
        header
    }
}

impl Segment {
    fn first(&self) -> Option<Zxid> {
        let mut scanner = ringkeeper_core::format::wal::Scanner::open(&self.bytes, None).ok()?;
        scanner.next().and_then(|batch| batch.records().next().map(|(zxid, _)| zxid))
    }
}

/// What every tree in the simulation gets.
pub(crate) const TREE: TreeOptions = TreeOptions { extended_types: false, digest: true, seed: 0 };
/// Room for a few dozen batches: segments end and begin within a run.
const SEGMENT_LEN: u64 = 48 * BLOCK_LEN as u64;
const SECTOR_LEN: usize = 512;
const EXCERPT_LEN_MAX: usize = 1 << 20;
