//! Configurations in the transactions of the history.

use std::sync::Arc;

use super::reason::DownReason;
use crate::config::Membership;
use crate::id::Zxid;
use crate::jute::Reader;
use crate::proto::{OpCode, Txn, TxnHeader};

/// The configuration that a transaction proposes, if it is a reconfig.
///
/// # Errors
///
/// If it is one, and its configuration cannot be read.
pub(super) fn proposed(zxid: Zxid, payload: &[u8]) -> Result<Option<Arc<Membership>>, DownReason> {
    let kind = payload.get(TYPE_OFFSET..TYPE_OFFSET + 4);
    if kind != Some(&OpCode::Reconfig.number().to_be_bytes()) {
        return Ok(None);
    }
    let decoded = TxnHeader::decode(&mut Reader::new(payload));
    let (_, txn) = decoded.map_err(|error| DownReason::Undecodable { zxid, error })?;
    let Txn::Reconfig { data, .. } = txn else { return Ok(None) };
    let proposed = Membership::of_peer(data.as_deref().unwrap_or_default());
    let bad = |error| DownReason::BadConfiguration { zxid, error };
    // Its version is the transaction's number, whatever the text says.
    proposed.map(|proposed| Some(Arc::new(proposed.with_version(zxid.0)))).map_err(bad)
}

/// Where a transaction's header has its type.
const TYPE_OFFSET: usize = 28;
