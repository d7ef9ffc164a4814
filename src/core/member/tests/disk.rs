use std::collections::VecDeque;
use std::sync::Arc;

use crate::id::Zxid;
use crate::jute::Reader;
use crate::tree::DataTree;
use crate::zab::{Epochs, LogExcerpt, Logged};

/// What a crash leaves, and what is being written to log and snapshot. The files of the epochs are written on
/// their own.
#[derive(Default)]
pub(super) struct Disk {
    pub(super) epochs: Epochs,
    pub(super) snapshot: Option<DataTree>,
    pub(super) log: Vec<Logged>,
    pub(super) cuts: u64,
    /// What is being written, in order.
    pub(super) writes: VecDeque<Write>,
}

pub(super) enum Write {
    Append(Vec<Logged>),
    Truncate { zxid: Zxid, rebuild: bool },
    Tree(Arc<DataTree>),
}

impl Write {
    /// Whether the write is one of what came before an epoch.
    pub(super) fn is_before(&self, epoch_zxid: Zxid) -> bool {
        match self {
            Write::Append(records) => records.iter().any(|logged| logged.zxid < epoch_zxid),
            Write::Truncate { .. } | Write::Tree(_) => true,
        }
    }
}

/// What the disk says when a write is done.
pub(super) enum Done {
    Durable(Zxid, u64),
    Truncated(Zxid, bool),
    Tree,
}

impl Disk {
    /// Finishes the oldest write.
    pub(super) fn finish_one(&mut self) -> Option<Done> {
        Some(match self.writes.pop_front()? {
            Write::Append(records) => {
                self.append(&records);
                Done::Durable(records.last()?.zxid, self.cuts)
            }
            Write::Truncate { zxid, rebuild } => {
                self.log.retain(|logged| logged.zxid <= zxid);
                self.cuts += 1;
                Done::Truncated(zxid, rebuild)
            }
            Write::Tree(tree) => {
                self.log.clear();
                self.snapshot = Some((*tree).clone());
                self.cuts += 1;
                Done::Tree
            }
        })
    }

    /// The process is gone, and with it what is being written, but for some records of the oldest write.
    pub(super) fn crash(&mut self, torn: usize) {
        if let Some(Write::Append(records)) = self.writes.front() {
            let kept = records[..torn % (records.len() + 1)].to_vec();
            self.append(&kept);
        }
        self.writes.clear();
        self.cuts = 0;
    }

    /// What the log has after the last record that is not after `from`.
    pub(super) fn excerpt(&self, from: Zxid) -> Option<LogExcerpt> {
        let next = self.log.partition_point(|logged| logged.zxid <= from);
        let after = self.log.get(next.checked_sub(1)?)?.zxid;
        Some(LogExcerpt { after, entries: self.log[next..].to_vec() })
    }

    /// The last transaction that is durable.
    pub(super) fn durable(&self) -> Zxid {
        let snapshot = self.snapshot.as_ref().map_or(Zxid::ZERO, DataTree::last_zxid);
        self.log.last().map_or(snapshot, |last| last.zxid.max(snapshot))
    }

    fn append(&mut self, records: &[Logged]) {
        for logged in records {
            assert!(self.log.last().is_none_or(|last| last.zxid < logged.zxid), "the log goes on");
            self.log.push(logged.clone());
        }
    }
}

/// The records of a batch as they lie on disk.
pub(super) fn records(bytes: &[u8]) -> Vec<Logged> {
    let (mut reader, mut records) = (Reader::new(bytes), Vec::new());
    while !reader.rest().is_empty() {
        let len = reader.int().expect("a length") as usize;
        let zxid = Zxid(reader.long().expect("a zxid"));
        let payload = &reader.rest()[..len];
        records.push(Logged { zxid, payload: payload.into() });
        reader = Reader::new(&reader.rest()[len..]);
    }
    records
}
