//! The disk floor: blocks written one after the other, each durable before the next, over space that is
//! preallocated and zeroed, so that nothing but data moves.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use glommio::io::OpenOptions;
use glommio::{LocalExecutorBuilder, Placement};
use nix::libc::O_DSYNC;

use crate::latency::{Latency, Recorder};

/// Writes blocks of [`BLOCK_LEN`] with `O_DIRECT|O_DSYNC` to a file in `dir` for as long as asked.
///
/// # Errors
/// Also when the file system of `dir` has no direct I/O.
pub(crate) fn measure(dir: &Path, span: Duration) -> Result<Latency> {
    let path = dir.join("disk-floor");
    fill_with_zeros(&path).with_context(|| format!("cannot prepare {}", path.display()))?;
    let executor = LocalExecutorBuilder::new(Placement::Unbound)
        .name("disk")
        .make()
        .map_err(|error| anyhow!("cannot start a glommio executor: {error}"))?;
    let measured = executor.run(overwrite(&path, span));
    fs::remove_file(&path)?;
    measured
}

async fn overwrite(path: &Path, span: Duration) -> Result<Latency> {
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(O_DSYNC)
        .dma_open(path)
        .await
        .map_err(|error| anyhow!("cannot open {} for direct I/O: {error}", path.display()))?;
    let mut recorder = Recorder::new();
    let start = Instant::now();
    for block in 0.. {
        let mut buffer = file.alloc_dma_buffer(BLOCK_LEN);
        buffer.as_bytes_mut().fill(block as u8);
        let begun = Instant::now();
        file.write_at(buffer, block % BLOCKS * BLOCK_LEN as u64)
            .await
            .map_err(|error| anyhow!("cannot write to {}: {error}", path.display()))?;
        if block >= WARMUP_BLOCKS {
            recorder.record(begun.elapsed().as_nanos() as u64);
            if start.elapsed() >= span {
                break;
            }
        }
    }
    file.close().await.map_err(|error| anyhow!("cannot close {}: {error}", path.display()))?;
    recorder.summary().context("no block was written")
}

fn fill_with_zeros(path: &Path) -> Result<()> {
    let mut file = File::create(path)?;
    let block = [0; BLOCK_LEN];
    for _ in 0..BLOCKS {
        file.write_all(&block)?;
    }
    file.sync_all()?;
    Ok(())
}

/// What one small transaction takes in a log of whole blocks.
pub(crate) const BLOCK_LEN: usize = 4096;

const BLOCKS: u64 = (64 << 20) / BLOCK_LEN as u64;
const WARMUP_BLOCKS: u64 = 200;
