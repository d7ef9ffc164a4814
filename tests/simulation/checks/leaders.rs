//! **At most one leader is established in an epoch.**

use std::collections::BTreeMap;

use super::{Verdict, must};

pub(crate) const PROMISE: &str = "at most one leader is established in an epoch";

#[derive(Default)]
pub(crate) struct Leaders {
    by_epoch: BTreeMap<u32, usize>,
}

impl Leaders {
    /// A server that leads serves.
    pub(crate) fn on_established(&mut self, epoch: u32, server: usize) -> Verdict {
        let before = self.by_epoch.insert(epoch, server);
        must!(PROMISE, before.is_none(), "epoch {epoch} has {server} after {before:?}");
        Ok(())
    }

    /// The last epoch that there was.
    pub(crate) fn last(&self) -> Option<u32> {
        self.by_epoch.last_key_value().map(|(epoch, _)| *epoch)
    }

    /// How many epochs there were.
    pub(crate) fn count(&self) -> usize {
        self.by_epoch.len()
    }
}
