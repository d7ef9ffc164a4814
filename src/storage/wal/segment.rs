//! The files of the log's segments: their names, making them, retiring them.

use std::fs::{self, File};
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ringkeeper_core::format::wal::{BLOCK_LEN, SegmentHeader};
use ringkeeper_core::id::Zxid;
use rustix::fs::Advice;

use crate::storage::disk::{Access, Disk};

/// What happens to segments off the write path, step by step. Each step is durable when it returns, and may
/// be cut off by a crash anywhere in between: see the table in [`ringkeeper_core::format::wal`].
#[derive(Clone, Debug)]
pub struct Segments {
    pub(super) disk: Arc<dyn Disk>,
    pub(super) dir: PathBuf,
    pub(super) access: Access,
}

impl Segments {
    /// The segments in `dir`, made by writes of this kind.
    pub fn new(disk: Arc<dyn Disk>, dir: &Path, access: Access) -> Segments {
        Segments { disk, dir: dir.to_owned(), access }
    }

    /// Names the segment that has its first records, the first of them `first`. Its records must be durable
    /// unless that promise is waived; they are when this returns.
    pub fn name(&self, first: Zxid) -> io::Result<()> {
        let name = Name::First(first);
        if name.path_in(&self.dir).try_exists()? {
            // An earlier job for the same active segment got as far as this.
            return Ok(());
        }
        // The name is a proof that the records are durable, also where forceSync=no waives the promise.
        self.disk.sync(&self.disk.open(&Name::Next.path_in(&self.dir), Access::Buffered)?)?;
        self.rename(Name::Next, name)
    }

    /// Makes a segment of zeros behind its header and calls it `wal.next`, in place of one that may be there.
    /// A spare of this length is used up for it. `after_chunk` runs between writes and may take its time, or
    /// end the work with an error.
    pub fn make(
        &self,
        number: u64,
        len: u64,
        after_chunk: impl FnMut() -> io::Result<()>,
    ) -> io::Result<SegmentHeader> {
        let header = SegmentHeader { number, nonce: random()?, len };
        match self.spare_of(len)? {
            // Until it is whole it keeps a name under which nobody reads it.
            Some(spare) => {
                let file = self.disk.open(&spare.path_in(&self.dir), self.access)?;
                self.fill(&file, header, after_chunk)?;
                self.rename(spare, Name::Next)?;
            }
            None => {
                if let Err(err) = self.fill_new(header, after_chunk) {
                    // Its space may be what is lacking. Should this fail too, the next start removes it.
                    let _ = self.disk.remove(&Name::Unfinished.path_in(&self.dir));
                    return Err(err);
                }
                self.rename(Name::Unfinished, Name::Next)?;
            }
        }
        Ok(header)
    }

    /// Retires the oldest segment, if another one behind it holds everything after `upto`: makes it a spare,
    /// or removes it if there are [`SPARES_MAX`]. Returns whether it did.
    pub fn retire_one(&self, upto: Zxid) -> io::Result<bool> {
        let (mut named, mut spares) = (Vec::new(), 0);
        for name in self.names()? {
            match name {
                Name::First(first) => named.push(first),
                Name::Spare(_) => spares += 1,
                Name::Next | Name::Unfinished => {}
            }
        }
        named.sort_unstable();
        let [oldest, second, ..] = named[..] else { return Ok(false) };
        if second.0.saturating_sub(1) > upto.0 {
            return Ok(false);
        }
        let path = Name::First(oldest).path_in(&self.dir);
        if spares < SPARES_MAX {
            self.disk.rename(&path, &Name::Spare(oldest).path_in(&self.dir))?;
        } else {
            self.disk.remove(&path)?;
        }
        // Before the next one goes, and before anything is written into this one.
        self.disk.sync_dir(&self.dir)?;
        tracing::debug!("{}: the snapshots cover this segment, it is retired", path.display());
        Ok(true)
    }

    /// Removes what was being made when the server stopped.
    pub(super) fn remove_unfinished(&self) -> io::Result<()> {
        match self.disk.remove(&Name::Unfinished.path_in(&self.dir)) {
            Err(err) if err.kind() == io::ErrorKind::NotFound => Ok(()),
            result => result,
        }
    }

    /// Gives a segment another name, durably.
    pub(super) fn rename(&self, from: Name, to: Name) -> io::Result<()> {
        self.disk.rename(&from.path_in(&self.dir), &to.path_in(&self.dir))?;
        self.disk.sync_dir(&self.dir)
    }

    /// Writes zeros into a part of a file, durably.
    pub(super) fn zero(&self, path: &Path, part: Range<u64>) -> io::Result<()> {
        let file = self.disk.open(path, Access::Buffered)?;
        self.write_zeros(&file, part, || Ok(()))?;
        self.disk.sync(&file)?;
        drop_cached(&file)
    }

    fn fill_new(&self, header: SegmentHeader, after_chunk: impl FnMut() -> io::Result<()>) -> io::Result<()> {
        let file = self.disk.create(&Name::Unfinished.path_in(&self.dir), self.access)?;
        self.disk.reserve(&file, header.len)?;
        self.fill(&file, header, after_chunk)
    }

    fn fill(
        &self,
        file: &File,
        header: SegmentHeader,
        after_chunk: impl FnMut() -> io::Result<()>,
    ) -> io::Result<()> {
        self.write_zeros(file, BLOCK_LEN as u64..header.len, after_chunk)?;
        let mut block = AlignedBuf::new(BLOCK_LEN);
        block.bytes().copy_from_slice(&header.encode()[..]);
        self.disk.write_at(file, block.bytes(), 0)?;
        self.disk.sync(file)?;
        drop_cached(file)
    }

    fn write_zeros(
        &self,
        file: &File,
        part: Range<u64>,
        mut after_chunk: impl FnMut() -> io::Result<()>,
    ) -> io::Result<()> {
        let mut zeros = AlignedBuf::new(ZERO_CHUNK_LEN);
        let mut offset = part.start;
        while offset < part.end {
            let chunk = ZERO_CHUNK_LEN.min((part.end - offset) as usize);
            self.disk.write_at(file, &zeros.bytes()[..chunk], offset)?;
            offset += chunk as u64;
            after_chunk()?;
        }
        Ok(())
    }

    /// A spare of this length. One of another is of no use any more and goes.
    fn spare_of(&self, len: u64) -> io::Result<Option<Name>> {
        for name in self.names()? {
            if matches!(name, Name::Spare(_)) {
                let path = name.path_in(&self.dir);
                if fs::metadata(&path)?.len() == len {
                    return Ok(Some(name));
                }
                self.disk.remove(&path)?;
            }
        }
        Ok(None)
    }

    fn names(&self) -> io::Result<Vec<Name>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.dir)? {
            names.extend(entry?.file_name().to_str().and_then(Name::parse));
        }
        Ok(names)
    }
}

/// What the file name of a segment says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Name {
    /// It has records, the first with this zxid.
    First(Zxid),
    /// It is ready, or has only just got its first records.
    Next,
    /// It was not ready when the server stopped.
    Unfinished,
    /// It once had records, the first with this zxid, and is of no use but to become another segment.
    Spare(Zxid),
}

impl Name {
    /// What a file in the log's folder is to the log, if it is a segment.
    pub fn parse(file_name: &str) -> Option<Name> {
        match file_name.strip_prefix("wal.")? {
            "next" => Some(Name::Next),
            "tmp" => Some(Name::Unfinished),
            rest => match rest.strip_prefix("spare.") {
                Some(hex) => parse_first(hex).map(Name::Spare),
                None => parse_first(rest).map(Name::First),
            },
        }
    }

    /// The path of the segment of this name.
    pub(super) fn path_in(self, dir: &Path) -> PathBuf {
        match self {
            Name::First(zxid) => dir.join(format!("wal.{:016x}", zxid.0)),
            Name::Next => dir.join("wal.next"),
            Name::Unfinished => dir.join("wal.tmp"),
            Name::Spare(zxid) => dir.join(format!("wal.spare.{:016x}", zxid.0)),
        }
    }
}

fn parse_first(hex: &str) -> Option<Zxid> {
    let is_ours = hex.len() == 16 && hex.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    is_ours.then(|| u64::from_str_radix(hex, 16).ok().map(|zxid| Zxid(zxid as i64))).flatten()
}

/// Forgets what the page cache has of a file: a direct write into cached pages would have to throw them
/// away first, which costs it the fast path.
pub(super) fn drop_cached(file: &File) -> io::Result<()> {
    Ok(rustix::fs::fadvise(file, 0, None, Advice::DontNeed)?)
}

/// Zeroed memory at an address that suits direct I/O.
pub(super) struct AlignedBuf {
    memory: Vec<u8>,
    range: Range<usize>,
}

impl AlignedBuf {
    pub(super) fn new(len: usize) -> AlignedBuf {
        let memory = vec![0; len + BLOCK_LEN];
        let start = memory.as_ptr().align_offset(BLOCK_LEN);
        AlignedBuf { memory, range: start..start + len }
    }

    pub(super) fn bytes(&mut self) -> &mut [u8] {
        &mut self.memory[self.range.clone()]
    }
}

fn random() -> io::Result<u64> {
    let mut bytes = [0; 8];
    // The kernel hands out so few bytes whole.
    rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty())?;
    Ok(u64::from_ne_bytes(bytes))
}

/// How many retired segments are kept for reuse. A log uses them up one at a time, and what is kept is
/// space that nobody else has.
pub const SPARES_MAX: usize = 2;

/// Small enough that a commit's write that queues behind one hardly notices.
const ZERO_CHUNK_LEN: usize = 256 << 10;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::disk::Os;

    fn segments(dir: &Path) -> Segments {
        Segments::new(Arc::new(Os), dir, Access::Buffered)
    }

    fn listed(dir: &Path) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(dir)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn names_are_read_as_they_are_written_and_others_are_left_alone() {
        let dir = Path::new("d");
        let zxid = Zxid::new(3, 255);
        for name in [Name::First(zxid), Name::Next, Name::Unfinished, Name::Spare(zxid)] {
            let path = name.path_in(dir);
            assert_eq!(Name::parse(path.file_name().unwrap().to_str().unwrap()), Some(name));
        }
        assert_eq!(Name::First(Zxid(0x1_0000_00ff)).path_in(dir), Path::new("d/wal.00000001000000ff"));
        for other in [
            "log.100000001",
            "wal.",
            "wal.1",
            "wal.00000001000000FF",
            "wal.next.bak",
            "wal.spare.",
            "wal.spare.1",
            "snapshot.0",
        ] {
            assert_eq!(Name::parse(other), None, "{other}");
        }
    }

    #[test]
    fn a_new_segment_is_its_header_and_zeros_and_replaces_the_one_before() {
        let dir = tempfile::tempdir().unwrap();
        for (number, len) in [(4, 1 << 20), (4, 300 << 10)] {
            let header = segments(dir.path()).make(number, len, || Ok(())).unwrap();
            assert_fresh(dir.path(), header);
            assert_eq!((header.number, header.len), (number, len));
        }
    }

    #[test]
    fn work_that_is_ended_leaves_no_segment() {
        let dir = tempfile::tempdir().unwrap();
        let stop = || Err(io::ErrorKind::Interrupted.into());
        segments(dir.path()).make(0, 1 << 20, stop).expect_err("ended");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_spare_becomes_the_next_segment_with_nothing_of_its_former_life() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(Name::Spare(Zxid(1)).path_in(dir.path()), vec![7; 1 << 20]).unwrap();
        fs::write(Name::Spare(Zxid(2)).path_in(dir.path()), vec![7; 1 << 19]).unwrap();
        let header = segments(dir.path()).make(9, 1 << 20, || Ok(())).unwrap();
        assert_fresh(dir.path(), header);
        assert!(!Name::Spare(Zxid(1)).path_in(dir.path()).exists());
        // One of another length is kept by nobody for long.
        segments(dir.path()).make(10, 1 << 20, || Ok(())).unwrap();
        assert_eq!(listed(dir.path()), ["wal.next"]);
    }

    fn assert_fresh(dir: &Path, header: SegmentHeader) {
        let bytes = fs::read(Name::Next.path_in(dir)).unwrap();
        assert_eq!(SegmentHeader::decode(&bytes), Ok(header));
        assert_eq!(header.len, bytes.len() as u64);
        assert!(bytes[BLOCK_LEN..].iter().all(|byte| *byte == 0));
        assert!(!Name::Unfinished.path_in(dir).exists());
    }

    #[test]
    fn the_oldest_segments_are_retired_as_far_as_another_holds_what_is_after_them() {
        let dir = tempfile::tempdir().unwrap();
        for first in [1, 10, 20, 30] {
            fs::write(Name::First(Zxid(first)).path_in(dir.path()), b"records").unwrap();
        }
        fs::write(Name::Next.path_in(dir.path()), b"empty").unwrap();
        let retired = |upto| {
            let segments = segments(dir.path());
            std::iter::repeat_with(|| segments.retire_one(Zxid(upto)).unwrap()).take_while(|did| *did).count()
        };
        assert_eq!(retired(8), 0, "9 is in the first segment");
        assert_eq!(retired(9), 1);
        assert_eq!(retired(9), 0);
        assert_eq!(retired(i64::MAX - 1), 2, "the newest stays, whatever covers it");
        let expected = ["wal.000000000000001e", "wal.next"];
        assert_eq!(listed(dir.path())[..2], expected);
        assert_eq!(listed(dir.path())[2..], ["wal.spare.0000000000000001", "wal.spare.000000000000000a"]);
    }

    #[test]
    fn no_more_than_so_many_spares_are_kept() {
        let dir = tempfile::tempdir().unwrap();
        for first in 1..=SPARES_MAX as i64 + 3 {
            fs::write(Name::First(Zxid(first)).path_in(dir.path()), b"records").unwrap();
        }
        while segments(dir.path()).retire_one(Zxid(100)).unwrap() {}
        let spares = listed(dir.path()).iter().filter(|name| name.starts_with("wal.spare.")).count();
        assert_eq!((spares, listed(dir.path()).len()), (SPARES_MAX, SPARES_MAX + 1));
    }
}
