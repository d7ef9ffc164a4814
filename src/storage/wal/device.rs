//! The only place of the log that knows glommio.

use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use glommio::io::{BufferedFile, DmaFile, OpenOptions};
use rustix::fs::{OFlags, major};

use super::probe::{Method, SyncBy};
use super::segment::AlignedBuf;
use crate::storage::disk::Access;

/// A segment open for writing on the current executor. Writes go into space that is there already.
pub(super) struct LogFile {
    file: AnyFile,
    sync: SyncBy,
}

enum AnyFile {
    Direct(DmaFile),
    /// Where the runtime cannot write directly: the executor's helper thread does.
    DirectByThread(Arc<File>),
    Buffered(BufferedFile),
}

impl LogFile {
    pub(super) async fn open(path: &Path, method: Method) -> io::Result<LogFile> {
        let sync = if method.sync == SyncBy::Write { OFlags::DSYNC } else { OFlags::empty() };
        let mut options = OpenOptions::new();
        // Reading is for glommio's own probe of the device, which must not be a create.
        options.read(true).write(true).custom_flags(sync.bits() as i32);
        let file = match method.access {
            Access::Direct if runtime_knows_device_of(path)? => {
                AnyFile::Direct(options.dma_open(path).await?)
            }
            Access::Direct => {
                let flags = (OFlags::DIRECT | sync).bits() as i32;
                AnyFile::DirectByThread(Arc::new(File::options().write(true).custom_flags(flags).open(path)?))
            }
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
            AnyFile::DirectByThread(file) => {
                let (mut buffer, file) = (AlignedBuf::new(len), file.clone());
                let offset = fill(buffer.bytes());
                let write = move || file.write_at(buffer.bytes(), offset);
                glommio::executor().spawn_blocking(write).await?
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
            AnyFile::DirectByThread(file) => {
                let file = file.clone();
                glommio::executor().spawn_blocking(move || file.sync_data()).await?;
            }
            AnyFile::Buffered(file) => file.fdatasync().await?,
        }
        Ok(())
    }

    pub(super) async fn close(self) -> io::Result<()> {
        match self.file {
            AnyFile::Direct(file) => file.close().await?,
            AnyFile::DirectByThread(_) => {}
            AnyFile::Buffered(file) => file.close().await?,
        }
        Ok(())
    }
}

/// Whether glommio can open a file of this device for direct I/O.
///
/// It asks the device whose number has the same major part and a minor one of 0 for its limits, and panics if
/// that is only a partition, as it may be where all partitions share a major number (259).
pub(super) fn runtime_knows_device_of(path: &Path) -> io::Result<bool> {
    let device = PathBuf::from(format!("/sys/dev/block/{}:0", major(std::fs::metadata(path)?.dev())));
    Ok(!device.exists() || device.join("queue").exists())
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
    use ringkeeper_core::format::wal::BLOCK_LEN;

    use super::*;

    #[test]
    fn what_the_helper_thread_writes_is_in_its_place() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        std::fs::write(&path, [0; 3 * BLOCK_LEN]).unwrap();
        let file = File::options().write(true).open(&path).unwrap();
        let log = LogFile { file: AnyFile::DirectByThread(Arc::new(file)), sync: SyncBy::Fdatasync };
        glommio::LocalExecutor::default().run(async {
            let fill = |blocks: &mut [u8]| {
                blocks.fill(7);
                BLOCK_LEN as u64
            };
            log.write(BLOCK_LEN, fill).await.unwrap();
            log.close().await.unwrap();
        });
        let expected = [[0; BLOCK_LEN], [7; BLOCK_LEN], [0; BLOCK_LEN]].concat();
        assert_eq!(std::fs::read(&path).unwrap(), expected);
    }

    #[test]
    fn a_short_write_is_an_error_with_both_lengths() {
        assert!(all_of(4096, 4096).is_ok());
        let err = all_of(8192, 4096).expect_err("short");
        assert_eq!(err.to_string(), "only 4096 of 8192 bytes were written");
    }
}
