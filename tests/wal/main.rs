//! The write-ahead log on real files: written through a real executor, read back after stops of all kinds.

mod damage;
mod kill;
mod restart;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use glommio::LocalExecutor;
use ringkeeper::storage::wal::{Batches, Options, RecoverError, Recovered, Wal, WalFigures, recover};
use ringkeeper_core::durable::Durable;
use ringkeeper_core::format::wal::RecordBatch;
use ringkeeper_core::id::Zxid;

/// Segments of the smallest size, so that tests see many.
const OPTIONS: Options = Options {
    segment_len: ringkeeper::storage::wal::SEGMENT_LEN_MIN,
    force_sync: true,
    slow_sync: std::time::Duration::from_secs(1),
};

/// What the record of a zxid holds: of any length, and never the same as another's.
fn payload(zxid: Zxid) -> Vec<u8> {
    let mut state = zxid.0 as u64 ^ 0x9e37_79b9_7f4a_7c15;
    let mut next = || {
        state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        (state >> 33) as u8
    };
    let len = 8 + usize::from(next()) * if next() < 16 { 80 } else { 4 };
    zxid.0.to_be_bytes().into_iter().chain(std::iter::repeat_with(next)).take(len).collect()
}

/// An inbox with batches of one to three records for these zxids.
struct Written<I>(I);

impl<I: Iterator<Item = i64>> Batches for Written<I> {
    async fn next(&mut self) -> Option<RecordBatch> {
        self.try_next()
    }

    fn try_next(&mut self) -> Option<RecordBatch> {
        let first = self.0.next()?;
        let mut batch = RecordBatch::new();
        let more = self.0.by_ref().take(first as usize % 3);
        for zxid in std::iter::once(first).chain(more).map(Zxid) {
            batch.push(zxid, |out| out.extend(payload(zxid)));
        }
        Some(batch)
    }
}

/// One batch for each write: the next is asked for only when the one before is durable.
struct OneByOne<B>(B);

impl<B: Batches> Batches for OneByOne<B> {
    fn next(&mut self) -> impl Future<Output = Option<RecordBatch>> {
        self.0.next()
    }

    fn try_next(&mut self) -> Option<RecordBatch> {
        None
    }
}

/// Reads the whole log, checks that it holds exactly `1..=last` for some last zxid, and says which.
fn read(dir: &Path, options: Options) -> Result<(Recovered, i64), RecoverError> {
    let mut last = 0;
    let recovered = recover(dir, options, |record| {
        last += 1;
        assert_eq!(record.zxid, Zxid(last), "records are recovered in order, each once");
        assert_eq!(record.payload, payload(record.zxid), "the record of {}", record.zxid);
        Ok(())
    })?;
    assert_eq!(recovered.durable().upto(), Zxid(last));
    Ok((recovered, last))
}

/// Writes records up to `last` behind what is there, and returns what became durable, write by write.
fn write(dir: &Path, options: Options, last: i64) -> (Vec<Durable>, WalFigures) {
    let (recovered, found) = read(dir, options).expect("the log can be read");
    LocalExecutor::default().run(async {
        let stats = recovered.stats();
        let wal = Wal::open(recovered).await.expect("the log can be opened");
        let mut durable = Vec::new();
        wal.run(OneByOne(Written(found + 1..=last)), |upto| durable.push(upto)).await;
        (durable, stats.figures())
    })
}

/// The names and contents of all files of a folder.
fn image(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let entries = fs::read_dir(dir).expect("the folder is there").map(|entry| entry.unwrap().path());
    entries.map(|path| (path.clone(), fs::read(&path).unwrap())).collect()
}

/// The segments that have records, in order.
fn segments(dir: &Path) -> Vec<PathBuf> {
    let names = image(dir).into_keys();
    names.filter(|path| path.extension().is_some_and(|hex| hex.len() == 16)).collect()
}
