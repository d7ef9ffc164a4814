//! Files in memory, through mmap.
//!
//! A disk that fails shows as zeros here, and as an error of [`Mapped::check`] or [`MappedMut::sync`]: see
//! [`Watch`].

use std::fs::File;
use std::io;
use std::ops::{Deref, DerefMut};
use std::path::Path;

use memmap2::{Mmap, MmapMut, MmapOptions};

use crate::runtime::Watch;

/// A whole file, to be read.
pub(crate) struct Mapped {
    // Ends before the map does.
    watch: Watch,
    map: Mmap,
}

/// Part of a file, to be written.
pub(super) struct MappedMut {
    watch: Watch,
    map: MmapMut,
}

impl Mapped {
    /// Maps the file.
    #[allow(unsafe_code, reason = "the compiler cannot know that nobody else changes the file")]
    pub(crate) fn open(path: &Path) -> io::Result<Mapped> {
        let file = File::open(path)?;
        // SAFETY: the folder is locked for this process, which changes no finished file in it; what somebody
        // truncates all the same reads as zeros.
        let map = unsafe { Mmap::map(&file) }?;
        map.advise(memmap2::Advice::Sequential)?;
        Ok(Mapped { watch: Watch::over(&map)?, map })
    }

    /// Whether all that was read until now is what the file holds. To be asked before it is believed.
    pub(crate) fn check(&self) -> io::Result<()> {
        self.watch.check()
    }
}

impl MappedMut {
    /// Maps `len` bytes of a file from `start` on, which is a multiple of the page size. The file has them and
    /// space for them: otherwise a full disk shows only when it is synced.
    #[allow(unsafe_code, reason = "the compiler cannot know that nobody else changes the file")]
    pub(super) fn new(file: &File, start: u64, len: usize) -> io::Result<MappedMut> {
        // SAFETY: the file is new, has a name that only this process uses, and its folder is locked.
        let map = unsafe { MmapOptions::new().offset(start).len(len).map_mut(file) }?;
        // Else the first touch reads ahead: the kernel fills a folio of up to the whole length with zeros, 20 ms in
        // which a kernel without preemption lets nobody else run on this CPU, and then goes through all the blocks
        // of that folio for each of its pages.
        map.advise(memmap2::Advice::Random)?;
        Ok(MappedMut { watch: Watch::over(&map)?, map })
    }

    /// Waits until what was written is on the disk.
    pub(super) fn sync(&self) -> io::Result<()> {
        self.map.flush()?;
        self.watch.check()
    }
}

impl Deref for Mapped {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.map
    }
}

impl Deref for MappedMut {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.map
    }
}

impl DerefMut for MappedMut {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.map
    }
}
