use super::Action;
use crate::config::Configurations;
use crate::durable::Durable;
use crate::format::wal::RecordBatch;
use crate::id::Zxid;
use crate::zab::{EpochFile, Logged};

/// What is on its way to the disk, and how far that is.
pub(super) struct Storage {
    records: RecordBatch,
    /// The last record of the log, or the snapshot's zxid if there is none after it.
    last: Zxid,
    durable: Zxid,
    /// How often the log was told to cut off its end, and where it ended after the last time.
    cuts: u64,
    kept: Zxid,
    /// How many answers are awaited that say more than that a record is durable.
    unsettled: usize,
}

impl Storage {
    pub(super) fn new(last: Zxid) -> Storage {
        Storage { records: RecordBatch::new(), last, durable: last, cuts: 0, kept: last, unsettled: 0 }
    }

    /// The last record, and how far the log is durable.
    pub(super) fn log(&self) -> (Zxid, Zxid) {
        (self.last, self.durable)
    }

    pub(super) fn append(&mut self, logged: &Logged) {
        self.records.push(logged.zxid, |record| record.extend_from_slice(&logged.payload));
        self.last = logged.zxid;
    }

    /// Hands over what was appended, which every other action about the log must follow.
    pub(super) fn flush(&mut self, out: &mut Vec<Action>) {
        if !self.records.is_empty() {
            out.push(Action::Append(std::mem::take(&mut self.records)));
        }
    }

    pub(super) fn save_epoch(&mut self, file: EpochFile, epoch: u32, out: &mut Vec<Action>) {
        self.unsettled += 1;
        out.push(Action::SaveEpoch(file, epoch));
    }

    pub(super) fn save_configurations(&mut self, configurations: Configurations, out: &mut Vec<Action>) {
        self.unsettled += 1;
        out.push(Action::Configure(configurations));
    }

    pub(super) fn truncate(&mut self, zxid: Zxid, rebuild: bool, out: &mut Vec<Action>) {
        self.cut(self.last.min(zxid), out);
        out.push(Action::Truncate { zxid, rebuild });
    }

    /// A tree as of `zxid` takes the place of the log.
    pub(super) fn start_from(&mut self, zxid: Zxid, out: &mut Vec<Action>) {
        self.cut(zxid, out);
        self.durable = Zxid::ZERO;
    }

    /// Whether the promise is one about the log as it is now.
    pub(super) fn on_durable(&mut self, durable: Durable, cuts: u64) -> bool {
        let is_current = cuts == self.cuts;
        if is_current {
            self.durable = self.durable.max(durable.upto());
        }
        is_current
    }

    pub(super) fn on_truncated(&mut self) {
        self.durable = self.durable.max(self.kept);
        self.on_settled();
    }

    pub(super) fn on_tree_saved(&mut self) {
        self.on_truncated();
    }

    pub(super) fn on_settled(&mut self) {
        self.unsettled = self.unsettled.saturating_sub(1);
    }

    pub(super) fn is_settled(&self) -> bool {
        self.unsettled == 0
    }

    fn cut(&mut self, kept: Zxid, out: &mut Vec<Action>) {
        self.flush(out);
        self.unsettled += 1;
        self.cuts += 1;
        self.kept = kept;
        (self.last, self.durable) = (kept, self.durable.min(kept));
    }
}
