use ringkeeper_core::format::wal::RecordBatch;
use ringkeeper_core::id::Zxid;
use ringkeeper_core::prep::LogSink;
use ringkeeper_core::proto::{Txn, TxnHeader};
use ringkeeper_core::zab::Logged;

/// What a leader orders: goes to its own log and is proposed to the others, in the same bytes.
pub(super) struct Proposals<'a> {
    pub(super) records: &'a mut RecordBatch,
    pub(super) proposed: Vec<Logged>,
}

impl LogSink for Proposals<'_> {
    fn append(&mut self, zxid: Zxid, header: &TxnHeader, txn: &Txn<'_>) {
        let mut payload = Vec::new();
        header.encode(txn, &mut payload);
        self.records.push(zxid, |record| record.extend_from_slice(&payload));
        self.proposed.push(Logged { zxid, payload: payload.into() });
    }
}
