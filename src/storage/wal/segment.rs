//! Segment files: their names, and making them.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::ops::Range;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use ringkeeper_core::format::wal::{BLOCK_LEN, SegmentHeader};
use ringkeeper_core::id::Zxid;
use rustix::fs::{Advice, FallocateFlags, OFlags};
use rustix::io::Errno;

use super::probe::Access;

/// What the file name of a segment says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Name {
    /// It has records, the first with this zxid.
    First(Zxid),
    /// It is ready, or has only just got its first records.
    Next,
    /// It was not ready when the server stopped.
    Unfinished,
}

impl Name {
    /// What a file in the log's folder is to the log, if it is a segment.
    pub fn parse(file_name: &str) -> Option<Name> {
        match file_name.strip_prefix("wal.")? {
            "next" => Some(Name::Next),
            "tmp" => Some(Name::Unfinished),
            hex if hex.len() == 16 && hex.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) => {
                u64::from_str_radix(hex, 16).ok().map(|zxid| Name::First(Zxid(zxid as i64)))
            }
            _ => None,
        }
    }

    /// The path of the segment of this name.
    pub(super) fn path_in(self, dir: &Path) -> PathBuf {
        match self {
            Name::First(zxid) => dir.join(format!("wal.{:016x}", zxid.0)),
            Name::Next => dir.join("wal.next"),
            Name::Unfinished => dir.join("wal.tmp"),
        }
    }
}

/// Makes a segment of zeros behind its header and calls it [`Name::Next`], in place of one that may be
/// there. When this returns all of that is on stable storage. `after_chunk` runs between writes and may
/// take its time, or end the work with an error.
pub(super) fn create(
    dir: &Path,
    number: u64,
    len: u64,
    access: Access,
    after_chunk: impl FnMut() -> io::Result<()>,
) -> io::Result<SegmentHeader> {
    let header = SegmentHeader { number, nonce: random()?, len };
    let unfinished = Name::Unfinished.path_in(dir);
    match fill(&unfinished, header, access, after_chunk) {
        Ok(()) => rename(dir, Name::Unfinished, Name::Next).map(|()| header),
        Err(err) => {
            // Its space may be what is lacking. Should this fail too, the next start removes it.
            let _ = fs::remove_file(&unfinished);
            Err(err)
        }
    }
}

fn fill(
    path: &Path,
    header: SegmentHeader,
    access: Access,
    mut after_chunk: impl FnMut() -> io::Result<()>,
) -> io::Result<()> {
    let file = open_to_fill(path, access)?;
    let len = header.len;
    reserve(&file, len)?;
    let mut zeros = AlignedBuf::new(ZERO_CHUNK_LEN);
    let mut offset = BLOCK_LEN as u64;
    while offset < len {
        let chunk = zeros.bytes().len().min((len - offset) as usize);
        file.write_all_at(&zeros.bytes()[..chunk], offset)?;
        offset += chunk as u64;
        after_chunk()?;
    }
    zeros.bytes()[..BLOCK_LEN].copy_from_slice(&header.encode()[..]);
    file.write_all_at(&zeros.bytes()[..BLOCK_LEN], 0)?;
    file.sync_all()?;
    drop_cached(&file)
}

/// Gives a segment another name, durably.
pub(super) fn rename(dir: &Path, from: Name, to: Name) -> io::Result<()> {
    fs::rename(from.path_in(dir), to.path_in(dir))?;
    sync_dir(dir)
}

/// Writes zeros into a part of a file, durably.
pub(super) fn zero(file: &File, part: Range<u64>) -> io::Result<()> {
    let zeros = vec![0; ZERO_CHUNK_LEN];
    let mut offset = part.start;
    while offset < part.end {
        let chunk = zeros.len().min((part.end - offset) as usize);
        file.write_all_at(&zeros[..chunk], offset)?;
        offset += chunk as u64;
    }
    file.sync_data()
}

/// Forgets what the page cache has of a file: a direct write into cached pages would have to throw them
/// away first, which costs it the fast path.
pub(super) fn drop_cached(file: &File) -> io::Result<()> {
    Ok(rustix::fs::fadvise(file, 0, None, Advice::DontNeed)?)
}

pub(super) fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

/// Opens an empty file of this path for whole blocks at aligned offsets from aligned memory.
pub(super) fn open_to_fill(path: &Path, access: Access) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(true);
    if access == Access::Direct {
        options.custom_flags(OFlags::DIRECT.bits() as i32);
    }
    options.open(path)
}

/// Reserves the space in one piece where the filesystem can; the zeros allocate it otherwise.
pub(super) fn reserve(file: &File, len: u64) -> io::Result<()> {
    match rustix::fs::fallocate(file, FallocateFlags::empty(), 0, len) {
        Err(Errno::OPNOTSUPP) => Ok(()),
        result => Ok(result?),
    }
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

/// Small enough that a commit's write that queues behind one hardly notices.
const ZERO_CHUNK_LEN: usize = 256 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_are_written_and_others_are_left_alone() {
        let dir = Path::new("d");
        for name in [Name::First(Zxid::new(3, 255)), Name::Next, Name::Unfinished] {
            let path = name.path_in(dir);
            assert_eq!(Name::parse(path.file_name().unwrap().to_str().unwrap()), Some(name));
        }
        assert_eq!(Name::First(Zxid(0x1_0000_00ff)).path_in(dir), Path::new("d/wal.00000001000000ff"));
        for other in ["log.100000001", "wal.", "wal.1", "wal.00000001000000FF", "wal.next.bak", "snapshot.0"]
        {
            assert_eq!(Name::parse(other), None, "{other}");
        }
    }

    #[test]
    fn a_new_segment_is_its_header_and_zeros_and_replaces_the_one_before() {
        let dir = tempfile::tempdir().unwrap();
        for (number, len) in [(4, 1 << 20), (4, 300 << 10)] {
            let header = create(dir.path(), number, len, Access::Buffered, || Ok(())).unwrap();
            let bytes = fs::read(Name::Next.path_in(dir.path())).unwrap();
            assert_eq!(SegmentHeader::decode(&bytes), Ok(header));
            assert_eq!((header.number, header.len), (number, bytes.len() as u64));
            assert!(bytes[BLOCK_LEN..].iter().all(|byte| *byte == 0));
            assert!(!Name::Unfinished.path_in(dir.path()).exists());
        }
    }

    #[test]
    fn work_that_is_ended_leaves_no_segment() {
        let dir = tempfile::tempdir().unwrap();
        let stop = || Err(io::ErrorKind::Interrupted.into());
        create(dir.path(), 0, 1 << 20, Access::Buffered, stop).expect_err("ended");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
