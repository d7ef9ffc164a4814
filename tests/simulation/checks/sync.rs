//! **A read after a sync is linearizable**: it shows at least everything that anybody had been shown, by a reply to
//! whatever request, when the sync was asked for.

use super::history::History;
use super::{Verdict, must};
use ringkeeper_core::id::Zxid;

pub(crate) const PROMISE: &str = "a read after a sync is linearizable";

#[derive(Default)]
pub(crate) struct Syncs {
    /// How much of the history clients were shown.
    frontier: usize,
}

impl Syncs {
    /// A client was shown so much of the history.
    pub(crate) fn on_shown(&mut self, len: usize) {
        self.frontier = self.frontier.max(len);
    }

    /// What a sync that is asked for now must cover.
    pub(crate) fn frontier(&self) -> usize {
        self.frontier
    }

    /// The answer to a sync: what its session reads from now on has at least this zxid, for a session is never shown
    /// less than before.
    pub(crate) fn on_answer(&self, history: &History, asked: usize, zxid: Zxid, whose: &str) -> Verdict {
        let len = history.len_at(zxid);
        must!(PROMISE, len >= asked, "{whose} synced at {zxid}, {} transactions behind", asked - len);
        Ok(())
    }
}
