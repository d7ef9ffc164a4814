//! Files in memory, through mmap.

use std::fs::File;
use std::io;
use std::ops::{Deref, DerefMut};
use std::path::Path;

use memmap2::{Mmap, MmapMut, MmapOptions};

/// A whole file, to be read.
pub(super) struct Mapped(Mmap);

/// Part of a file, to be written.
pub(super) struct MappedMut(MmapMut);

impl Mapped {
    /// Maps the file.
    #[allow(unsafe_code, reason = "the compiler cannot know that nobody else changes the file")]
    pub(super) fn open(path: &Path) -> io::Result<Mapped> {
        let file = File::open(path)?;
        // SAFETY: the folder is locked for this process, which changes no finished file in it; a file that
        // somebody truncates all the same ends the process with SIGBUS, and nothing wrong is served.
        let map = unsafe { Mmap::map(&file) }?;
        map.advise(memmap2::Advice::Sequential)?;
        Ok(Mapped(map))
    }
}

impl MappedMut {
    /// Maps `len` bytes of a file from `start` on, which is a multiple of the page size. The file has them and
    /// space for them: running out of space while writing into the map would be a SIGBUS.
    #[allow(unsafe_code, reason = "the compiler cannot know that nobody else changes the file")]
    pub(super) fn new(file: &File, start: u64, len: usize) -> io::Result<MappedMut> {
        // SAFETY: the file is new, has a name that only this process uses, and its folder is locked.
        Ok(MappedMut(unsafe { MmapOptions::new().offset(start).len(len).map_mut(file) }?))
    }

    /// Waits until what was written is on the disk.
    pub(super) fn sync(&self) -> io::Result<()> {
        self.0.flush()
    }
}

impl Deref for Mapped {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl Deref for MappedMut {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl DerefMut for MappedMut {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.0
    }
}
