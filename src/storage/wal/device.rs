//! The only place of the log that knows glommio.

use std::io;
use std::path::Path;

use glommio::io::{BufferedFile, DmaFile, OpenOptions};
use rustix::fs::OFlags;

use super::probe::{Method, SyncBy};
use crate::storage::disk::Access;

/// A segment open for writing on the current executor. Writes go into space that is there already.
pub(super) struct LogFile {
    file: AnyFile,
    sync: SyncBy,
}

enum AnyFile {
    Direct(DmaFile),
    Buffered(BufferedFile),
}

impl LogFile {
    pub(super) async fn open(path: &Path, method: Method) -> io::Result<LogFile> {
        let mut options = OpenOptions::new();
        // Reading is for glommio's own probe of the device, which must not be a create.
        options.read(true).write(true);
        if method.sync == SyncBy::Write {
            options.custom_flags(OFlags::DSYNC.bits() as i32);
        }
        let file = match method.access {
            Access::Direct => AnyFile::Direct(options.dma_open(path).await?),
            Access::Buffered => AnyFile::Buffered(options.buffered_open(path).await?),
        };
        Ok(LogFile { file, sync: method.sync })
    }

    /// Writes `len` bytes, whole blocks, with one request. `fill` gets them with anything in them and says
    /// at which offset they go. When this returns they are all written, and durable as the method promises.
    pub(super) async fn write(&self, len: usize, fill: impl FnOnce(&mut [u8]) -> u64) -> io::Result<()> {
        let written = match &self.file {
            AnyFile::Direct(file) => {
                let mut buffer = file.alloc_dma_buffer(len);
                let offset = fill(buffer.as_bytes_mut());
                file.write_at(buffer, offset).await?
            }
            AnyFile::Buffered(file) => {
                let mut buffer = vec![0; len];
                let offset = fill(&mut buffer);
                file.write_at(buffer, offset).await?
            }
        };
        all_of(len, written)?;
        match self.sync {
            SyncBy::Fdatasync => self.sync().await,
            SyncBy::Write | SyncBy::Nothing => Ok(()),
        }
    }

    /// Makes everything that was written durable, whatever the method.
    pub(super) async fn sync(&self) -> io::Result<()> {
        match &self.file {
            AnyFile::Direct(file) => file.fdatasync().await?,
            AnyFile::Buffered(file) => file.fdatasync().await?,
        }
        Ok(())
    }

    pub(super) async fn close(self) -> io::Result<()> {
        match self.file {
            AnyFile::Direct(file) => file.close().await?,
            AnyFile::Buffered(file) => file.close().await?,
        }
        Ok(())
    }
}

/// A short write is as bad as none: nobody knows what the rest would have come to.
fn all_of(len: usize, written: usize) -> io::Result<()> {
    match written == len {
        true => Ok(()),
        false => Err(io::Error::new(
            io::ErrorKind::WriteZero,
            format!("only {written} of {len} bytes were written"),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_write_is_an_error_with_both_lengths() {
        assert!(all_of(4096, 4096).is_ok());
        let err = all_of(8192, 4096).expect_err("short");
        assert_eq!(err.to_string(), "only 4096 of 8192 bytes were written");
    }
}
